#!/usr/bin/env bash
# export and predict --bundle: the scores of the checkpoint, bit for bit, from one file;
# and the errors on the way.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
expect_exit 0 "a model" "$MTPS" train -c small.yaml
step=$("$MTPS" ckpt digest runs/small --json | json step)

# ---- a bundle
expect_exit 0 "export of a run directory" "$MTPS" export --ckpt runs/small -o bundles --json
same "the version is the step" "bundles/$step" "$(json path <"$out")"
same "every row is there" "$("$MTPS" ckpt digest runs/small --json | json rows)" "$(json rows <"$out")"
check "the folder holds what it says" bash -c "cd bundles/$step && sha256sum -c SHA256SUMS"
same "and nothing else" "MODEL_CARD.md SHA256SUMS model.mtps" "$(ls "bundles/$step" | xargs)"
same "the file has the size it says" "$(json bytes <"$out")" "$(stat -c %s "bundles/$step/model.mtps")"
for word in '`tags`: list of ids' '`user`: id' '`price`: number' 'play >= length' mmoe 'bit for bit' '(32 updates), 1 epochs' \
    '| data.train | `train.csv` |' '| rows of one pass | 4000 |' 'dates of these rows | not known' 'On data.eval: `eval.csv`'; do
    check "the model card says $word" grep -qF -e "$word" "bundles/$step/MODEL_CARD.md"
done
checkpoint=$(echo runs/small/checkpoints/step-*)
check "which configuration it was" grep -q "SHA-256 $(json config_sha256 <"$checkpoint/MANIFEST.json")" "bundles/$step/MODEL_CARD.md"
auc=$(grep '"kind":"eval"' runs/small/metrics.jsonl | tail -n 1 | grep -oE '"click":\{"auc":[0-9.]+' | grep -oE '[0-9.]+$')
check "and the metrics of its evaluation, with their rows" grep -q "^| click | auc $auc, .* rows 1000 |" "bundles/$step/MODEL_CARD.md"
expect_exit 0 "exported once more" "$MTPS" export --ckpt runs/small -o b/again
check "it has the same card" cmp "bundles/$step/MODEL_CARD.md" "b/again/$step/MODEL_CARD.md"
mkdir -p alone/checkpoints && cp -r "$checkpoint" alone/ && cp -r "$checkpoint" alone/checkpoints
expect_exit 0 "a checkpoint out of its run" "$MTPS" export --ckpt "alone/$(basename "$checkpoint")" -o b/alone
check "has no known metrics, and its card says so" grep -q '^Not known: the checkpoint is not in the folder of its run' b/alone/*/MODEL_CARD.md
{ grep -v '"kind":"eval"' runs/small/metrics.jsonl; grep '"kind":"eval"' runs/small/metrics.jsonl | sed "s/\"step\":$step,/\"step\":1,/"; printf '{"kind":"eval","step":%d' "$step"; } >alone/metrics.jsonl
expect_exit 0 "a run that was evaluated at another step" "$MTPS" export --ckpt "alone/checkpoints/$(basename "$checkpoint")" -o b/alone --version 2
check "has no metrics of this one" grep -q "^Not known: .* no evaluation after step $step" b/alone/2/MODEL_CARD.md
rm -r alone
same "no file of an unfinished export stays" "$step" "$(ls -A bundles)"
expect_exit 0 "(a checkpoint of step 0)" "$MTPS" train -c small.yaml --set data.eval=null --set train.max_steps=0 --run-dir runs/step0 -q
expect_exit 0 "its export" "$MTPS" export --ckpt runs/step0 -o b/step0
expect_exit 0 "is found in its folder" "$MTPS" predict --bundle b/step0 --input eval.csv -o step0.csv -q

# ---- the same scores
"$MTPS" predict --ckpt runs/small --keep user,item -o want.csv 2>/dev/null >/dev/null
expect_exit 0 "predict with a bundle" "$MTPS" predict --bundle bundles --keep user,item -o got.csv --json
cp "$out" got.json
check "gives the file that the checkpoint gives" cmp want.csv got.csv
"$MTPS" eval --ckpt runs/small --json >want.json 2>/dev/null
same "and the metrics of eval, since there are labels" "$(sed 's/^{//; s/,"health":.*/}/' want.json)" "$(sed 's/^{//' got.json)"
expect_exit 0 "without the training data" bash -c \
    "mkdir away && cp eval.csv away && cd away && '$MTPS' predict --bundle ../bundles/$step/model.mtps --keep user,item -o got.csv"
check "too" cmp want.csv away/got.csv
cut -d, -f1-5 eval.csv >plain.csv
expect_exit 0 "rows without labels" "$MTPS" predict --bundle bundles --input plain.csv --keep user,item -o got.csv --json
check "have the same scores" cmp want.csv got.csv
same "and no metrics" '{"rows":1000}' "$(cat "$out")"
expect_exit 0 "a condition" "$MTPS" predict --bundle bundles --input plain.csv --where 'item == "i5" or price > 10' -o some.csv
"$MTPS" predict --ckpt runs/small --input plain.csv --where 'item == "i5" or price > 10' -o want_some.csv >/dev/null 2>&1
check "selects the same rows" cmp want_some.csv some.csv
{ cat plain.csv; echo '12,u1,i1,t1,cheap'; echo '12,u1,i1,t1'; echo '12,u9999,i9999,t1 never,3'; } >bad.csv
"$MTPS" predict --ckpt runs/small --input bad.csv --set data.bad_rows.max=5 -o want_bad.csv >/dev/null 2>&1
expect_exit 0 "bad rows are left out" "$MTPS" predict --bundle bundles --input bad.csv --set data.bad_rows.max=5 -o bad_got.csv
check "the same ones, and unknown ids are scored" cmp want_bad.csv bad_got.csv
same "each is shown with its place" 2 "$(grep -c 'bad.csv:100[23]:' "$err")"
expect_exit 0 "tsv" "$MTPS" predict --bundle bundles --keep user -o - --format tsv
same "with a header" "$(printf 'user\tclick\tlike\tfinish')" "$(head -n 1 "$out")"
head -n 30 plain.csv | sed '2,$s/,[^,]*$/,cheap/' >none.csv
for form in csv tsv; do
    expect_error 65 'are bad' "rows that cannot be used" "$MTPS" predict --bundle bundles --input none.csv -o - --format $form
    check "leave nothing on standard output" test ! -s "$out"
done
check "nor a file" bash -c "! '$MTPS' predict --bundle bundles --input none.csv -o none.out && ! ls none.out* 2>/dev/null"
head -n 1 plain.csv >nobody.csv
expect_exit 0 "no rows" "$MTPS" predict --bundle bundles --input nobody.csv -o -
same "are a header alone" "click,like,finish" "$(cat "$out")"
expect_exit 0 "JSON lines" "$MTPS" predict --bundle bundles --format jsonl -o got.jsonl
same "one for each row" 1000 "$(grep -c '"click":' got.jsonl)"

# ---- other types of models, other forms of data
# Every type that there is; those that need parts of their own get them.
cp small.yaml types.yaml
sed -i 's/^model:/model:\n  user: {features: [user, day], layers: [8, 4]}\n  item: {features: [item, "tags*", price], layers: [4]}/' types.yaml
for type in $("$MTPS" config schema | tr -d ' \n' | grep -oE '"enum":\["lr","[^]]*' | head -n 1 | grep -oE '"[a-z_]+"' | grep -v enum | tr -d '"'); do
    "$MTPS" train -c types.yaml --set "model.type=$type" --run-dir "runs/$type" >/dev/null 2>"$err" || {
        grep -q 'model\.' "$err" && continue # needs more than this file says
    }
    "$MTPS" predict --ckpt "runs/$type" -o want.out >/dev/null 2>&1
    expect_exit 0 "export of $type" "$MTPS" export --ckpt "runs/$type" -o "b/$type"
    expect_exit 0 "predict with it" "$MTPS" predict --bundle "b/$type" -o got.out
    check "gives the same file" cmp want.out got.out
done
for type in lr fm deepfm dnn share_bottom omoe cgc ple two_tower; do check "$type was among them" test -d "b/$type"; done
cat >other.yaml <<'YAML'
version: 1
name: other
data:
  train: {files: [train.csv], where: "day > 1"}
  eval: {files: [eval.csv]}
  trim: true
  joins: [{files: [items.csv], key: item}]
features:
  - {names: [user, ite*], except: [item_x]}
  - {name: "größe·大", column: user}
  - {name: pair, cross: [user, item]}
  - {name: kind, kind: one_hot}
  - {name: tags, split: " ", keep: last, max_len: 2, pool: sqrtn, missing: [t1]}
  - {name: near, column: tags, split: " ", pool: {attention: {target: user, layers: [4]}}}
  - {name: price, bucketize: 5}
  - {name: weight, kind: dense, transform: [minmax]}
  - {name: hour, kind: dense, expr: "(price + 1) * n_items(tags, \" \")", default: mean}
tables: {default: {dim: 6, init: {uniform: 0.05}}}
tasks:
  click: {label: click}
  seconds: {label: play, duration: length, loss: completion}
model: {type: mmoe, cross: {layers: 1}, experts: {count: 3, layers: [8], norm: layer, dropout: 0.1}, gates: {layers: [4]}, towers: {layers: []}}
train: {batch_size: 256, epochs: 1}
YAML
awk 'BEGIN { print "item,kind,weight,item_x"; for (i = 0; i < 60; i++) printf "i%d, k%d ,%.1f,x\n", i, i % 4, i / 7 }' >items.csv
"$MTPS" train -c other.yaml >/dev/null 2>&1
"$MTPS" predict --ckpt runs/other -o want.out >/dev/null 2>&1
expect_exit 0 "export with joins, crosses, buckets, levels, lists, times" "$MTPS" export --ckpt runs/other -o b/other
expect_exit 0 "predict with it" "$MTPS" predict --bundle b/other -o got.out
check "gives the same file" cmp want.out got.out
check "its card says which rows it was trained on" grep -q '^| data.train | `train.csv`, rows where `day > 1` |' b/other/*/MODEL_CARD.md
check "and with which side tables" grep -q '^| side table | `items.csv`, by `item` |' b/other/*/MODEL_CARD.md
check "its card lists the columns of side tables as inputs" grep -q 'weight.*side table' b/other/*/MODEL_CARD.md
expect_exit 0 "the same with the side tables inside" "$MTPS" export --ckpt runs/other -o b/joined --with-joins
check "its card asks for the main columns" bash -c '! grep -q "^- .weight" b/joined/*/MODEL_CARD.md && grep -q "^- .item" b/joined/*/MODEL_CARD.md'
mkdir alone && cp eval.csv alone
expect_exit 0 "scores main rows without the side tables' files" \
    bash -c "cd alone && '$MTPS' predict --bundle ../b/joined -o got.out"
check "with the same scores" cmp want.out alone/got.out

# Labels, conditions, groups and kept columns of side tables, which the model may not read.
cat >sides.yaml <<'YAML'
version: 1
name: sides
data:
  train: {files: [train.csv]}
  eval: {files: [eval.csv], where: "weight < 8"}
  joins: [{files: [items.csv], key: item}, {files: [kinds.csv], key: kind}]
  group: shelf
features: [{names: [user, item, kind, floor]}]
tables: {default: {dim: 4, init: {uniform: 0.05}}}
tasks:
  click: {label: click}
  long: {label: "play >= usual", present: "usual > 0"}
  seconds: {label: play, duration: usual, loss: completion}
model: {type: mmoe, experts: {count: 2, layers: [8]}, towers: {layers: [4]}}
train: {batch_size: 256, epochs: 1}
YAML
awk 'BEGIN { print "kind,shelf,usual,floor"; for (i = 0; i < 4; i++) printf "k%d,s%d,%s,f%d\n", i, i % 3, i ? 10 * i : "", i % 2 }' >kinds.csv
sed -i 's/ k\([0-9]\) /k\1/' items.csv
expect_exit 0 "(a model whose labels are of side tables)" "$MTPS" train -c sides.yaml
"$MTPS" predict --ckpt runs/sides --keep item,shelf,item_x -o want.out >/dev/null 2>&1
"$MTPS" eval --ckpt runs/sides --json >want.json 2>/dev/null
check "(has metrics of all)" grep -q '"click":{"auc".*"gauc".*"long":{"auc".*"seconds"' want.json
expect_exit 0 "its export with the side tables inside" "$MTPS" export --ckpt runs/sides -o b/sides --with-joins
expect_exit 0 "predict reads labels, group, condition and kept columns of side tables" \
    "$MTPS" predict --bundle b/sides --keep item,shelf,item_x -o got.out --json
cp "$out" got.json
check "and gives the same file" cmp want.out got.out
same "and the metrics of eval" "$(sed 's/^{//; s/,"health":.*/}/' want.json)" "$(sed 's/^{//' got.json)"
expect_exit 0 "verify-export, too" "$MTPS" verify-export --ckpt runs/sides --bundle b/sides --json
same "finds no row that differs" 0 "$(json different <"$out")"
cp plain.csv alone
"$MTPS" predict --ckpt runs/sides --input plain.csv -o want.out >/dev/null 2>&1
expect_exit 0 "without the side tables' files rows without labels" \
    bash -c "cd alone && '$MTPS' predict --bundle ../b/sides --input plain.csv -o got.out"
check "have the same scores" cmp want.out alone/got.out
check "without a warning" bash -c "! grep -qi warn '$err'"
expect_exit 0 "rows with labels" bash -c "cd alone && '$MTPS' predict --bundle ../b/sides --input eval.csv -o got.out"
check "get a warning of what is left out" \
    grep -q 'items.csv is not there.*: the label of long, the label of seconds, data.group, shelf;' "$err"
check "and the metrics of the others" grep -q '^click .*auc' "$out"
expect_error 64 'tasks.long.label: .*no column' "rows of data.eval, whose labels must be there" \
    bash -c "cd alone && '$MTPS' predict --bundle ../b/sides --set data.eval.where=null -o x.csv"
check "say which file is missed" grep -q '^hint: .*items.csv is not there' "$err"
for option in "--where 'floor == \"f1\"'" "--keep shelf"; do
    expect_error 64 'no column|not in the data' "$option" bash -c "cd alone && '$MTPS' predict --bundle ../b/sides --input plain.csv $option -o x.csv"
    check "too" grep -q '^hint: .*items.csv is not there' "$err"
done
rm -r runs/sides
cat >slot.yaml <<'YAML'
version: 1
name: slot
data:
  format: slot
  slot: {fixed: [id, click], order: name_first, separator: " "}
  train: {files: [train.slot]}
  eval: {files: [eval.slot]}
features:
  - {names: [2..5], max_len: 3}
  - {name: dense, kind: dense, width: 3}
tables: {default: {dim: 4}}
tasks: {click: {label: click}}
model: {type: dnn, bottom: {layers: [8]}}
train: {batch_size: 128}
YAML
for part in "train 1 1500" "eval 1501 1900"; do
    # shellcheck disable=SC2086
    set -- $part
    awk -v first="$2" -v last="$3" 'BEGIN { for (i = first; i <= last; i++) {
        printf "%d %d", i, ((i * 7 % 5 + i % 3) > 3)
        for (s = 2; s <= 5; s++) for (k = 0; k < (i + s) % 4; k++) printf " %d:%d", s, (i * s + k * 17) % 97
        if (i % 5) printf " dense:%.2f dense:%.2f dense:%.2f", i % 7, i % 3 / 2, i % 11 / 10
        print "" } }' >"$1.slot"
done
"$MTPS" train -c slot.yaml >/dev/null 2>&1
"$MTPS" predict --ckpt runs/slot -o want.out >/dev/null 2>&1
expect_exit 0 "export of a model on slot text" "$MTPS" export --ckpt runs/slot -o b/slot
expect_exit 0 "predict with it" "$MTPS" predict --bundle b/slot -o got.out
check "gives the same file" cmp want.out got.out

# ---- options
expect_exit 0 "projected rows" "$MTPS" export --ckpt runs/small -o b/projected --project --json
check "make the file larger" test "$(json bytes <"$out")" -gt "$(stat -c %s "bundles/$step/model.mtps")"
check "the card says so" grep -q 'within 1e-6' b/projected/*/MODEL_CARD.md
expect_exit 0 "with fewer rows" "$MTPS" export --ckpt runs/small -o b/projected-some --project --min-count 40
check "the card says that, too" grep -q 'within 1e-6.*Rows with ids that were left out differ' b/projected-some/*/MODEL_CARD.md
check "which holds for no other" bash -c '! grep -q "left out differ" b/projected/*/MODEL_CARD.md'
same "nothing else is left in the folder" "MODEL_CARD.md SHA256SUMS model.mtps" "$(ls b/projected/* | xargs)"
expect_exit 0 "scores" "$MTPS" verify-export --ckpt runs/small --bundle b/projected --json
same "are within the promise" 1e-6 "$(json promise <"$out")"
check "but for some bits" test "$(json different <"$out")" -gt 0
expect_exit 0 "also with a dozen kinds of features" "$MTPS" export --ckpt runs/ple -o b/projected-ple --project
expect_exit 0 "and shared tables" "$MTPS" verify-export --ckpt runs/ple --bundle b/projected-ple
expect_error 64 'no first layer' "a model without such a layer" "$MTPS" export --ckpt runs/lr -o b/unprojected --project
expect_error 64 'projected rows are f32' "other rows" "$MTPS" export --ckpt runs/small -o b/unprojected --project --rows f16
check "leave nothing" test -z "$(ls -A b/unprojected 2>/dev/null)"
expect_exit 0 "f16 rows" "$MTPS" export --ckpt runs/small -o bundles --rows f16 --version 1000 --json
check "are about half as large" test "$(json bytes <"$out")" -lt "$(stat -c %s "bundles/$step/model.mtps")"
expect_exit 0 "int8 rows" "$MTPS" export --ckpt runs/small -o bundles --rows int8 --version 1001
"$MTPS" predict --bundle bundles --keep user,item -o int8.csv --json >int8.json 2>/dev/null
"$MTPS" predict --ckpt runs/small --keep user,item -o want.csv >/dev/null 2>&1
check "of the highest version are read, and rounded" bash -c "! cmp -s int8.csv want.csv"
check "but nearly the same" awk -F, 'NR == FNR { a[FNR] = $3; next } FNR > 1 && ($3 - a[FNR] > 0.02 || a[FNR] - $3 > 0.02) { bad = 1 } END { exit bad }' want.csv int8.csv
expect_exit 0 "rows of frequent ids" "$MTPS" export --ckpt runs/small -o b/frequent --min-count 40 --json
check "are fewer" test "$(json rows <"$out")" -lt "$("$MTPS" ckpt digest runs/small --json | json rows)"
expect_exit 0 "rows of recent ids" "$MTPS" export --ckpt runs/small -o b/recent --max-age 1 --json
check "are fewer, too" test "$(json rows <"$out")" -lt "$("$MTPS" ckpt digest runs/small --json | json rows)"
"$MTPS" predict --bundle b/frequent -o frequent.csv >/dev/null 2>&1
check "the others count as never seen" bash -c "! cmp -s frequent.csv want.csv"

# ---- what cannot be done
expect_error 73 'bundles/.*there already' "a version is never replaced" "$MTPS" export --ckpt runs/small -o bundles
expect_error 66 'nowhere' "no checkpoint" "$MTPS" export --ckpt nowhere -o b/none
check "leaves nothing behind" test ! -e b/none
expect_error 64 '\-\-rows' "an unknown type of rows" "$MTPS" export --ckpt runs/small -o b/none --rows f64
expect_error 64 'one of --ckpt' "both" "$MTPS" predict --ckpt runs/small --bundle bundles -o x.csv
expect_error 64 'one of --ckpt' "neither" "$MTPS" predict -o x.csv
for from in "--ckpt runs/small" "--bundle bundles"; do
    # shellcheck disable=SC2086
    expect_error 64 'column "nobody"' "an unknown column to keep" "$MTPS" predict $from --keep nobody -o x.csv
    check "the hint says which there are" grep -q '^hint: .*"day" to "length"' "$err"
done
expect_error 64 'from 1 to 9223372036854775807' "a version that is too large" "$MTPS" export --ckpt runs/small -o b/none --version 99999999999999999999
while IFS='|' read -r code words; do
    # shellcheck disable=SC2086
    expect_error "$code" . "mtps $words" "$MTPS" $words
    check "has a hint" grep -q '^hint: ' "$err"
done <<'TEXT'
66|predict --bundle nowhere -o x.csv
73|predict --bundle bundles -o bundles
64|verify-export --ckpt runs/small --bundle bundles --set data.eval=null
64|export --ckpt runs/small -o b/none --project --rows f16
64|export --ckpt runs/small -o b/none --item-key item
66|export --ckpt nowhere -o b/none
73|export --ckpt runs/small -o eval.csv
TEXT
expect_error 78 'does not fit' "a changed model" "$MTPS" predict --bundle bundles --set model.experts.count=5 -o x.csv
expect_error 73 'destroy an input' "the bundle itself as output" \
    "$MTPS" predict --bundle "bundles/$step/model.mtps" -o "bundles/$step/model.mtps"
cut -d, -f2 eval.csv >lacks.csv
expect_error 64 "^error: lacks.csv: has no column 'item', which the model reads" "a column that the model reads is absent" \
    "$MTPS" predict --bundle bundles --input lacks.csv -o x.csv
check "and the hint says what to do" grep -q '^hint: .*empty' "$err"
cp "bundles/$step/model.mtps" damaged.mtps
printf 'X' | dd of=damaged.mtps bs=1 seek=9000 conv=notrunc status=none
expect_error 65 'damaged.mtps: section' "a damaged bundle" "$MTPS" predict --bundle damaged.mtps -o x.csv
mkdir empty
expect_error 66 'empty: neither' "a folder without a bundle" "$MTPS" predict --bundle empty -o x.csv
expect_error 65 'not a bundle' "another file" "$MTPS" predict --bundle eval.csv -o x.csv
check "no output of what failed" test ! -e x.csv
if [ "$(id -u)" != 0 ]; then
    mkdir locked && chmod a-w locked
    expect_error 73 locked "a folder that cannot be written" "$MTPS" export --ckpt runs/small -o locked/b
fi
( ulimit -f 8; trap '' XFSZ; "$MTPS" export --ckpt runs/small -o b/full >"$out" 2>"$err" </dev/null; echo $? >full.code ) || true
same "a full disk is an I/O error" 74 "$(cat full.code)"
check "and leaves no file" test -z "$(ls -A b/full 2>/dev/null)"
finish
