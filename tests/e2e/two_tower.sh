#!/usr/bin/env bash
# two_tower: features by side, scores and vectors that agree, the same bits for all
# layouts, and what is wrong with a configuration said where it is.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
# Two towers beside the other parts: one file serves several types.
awk '{ print } /^  type: mmoe/ {
    print "  user: {features: [user, day], layers: [16, 8]}"
    print "  item: {features: [item, \"tags*\", price], layers: [12, 8]}"
}' small.yaml >towers.yaml
sed -i 's/type: mmoe/type: two_tower/' towers.yaml
config() { "$MTPS" config check -c towers.yaml "$@"; }

# ---- the configuration
expect_exit 0 "a two_tower configuration is valid" config
expect_exit 0 "its parts do not trouble another type" config --set model.type=ple
expect_exit 0 "which says that it leaves them alone" "$MTPS" config show -c towers.yaml --set model.type=ple
check "every one" test "$(grep -c 'not used by type ple' "$out")" -ge 8
expect_error 64 'towers.yaml:[0-9]+:5: features.day: is neither in model.user.features nor' \
    "a feature in neither list" config --set 'model.user.features=[user]'
expect_error 64 "'item' is in model.user.features too" "a feature in both" config --set 'model.user.features=[user, day, "i*"]'
expect_error 64 "model.item.features: there is no feature 'prise'" "a name that is no feature" \
    config --set 'model.item.features=[item, "tags*", prise, price]'
check "has the nearest in the hint" grep -q "did you mean 'price'" "$err"
expect_error 64 "there is no feature 'x\*'" "a pattern that matches none" config --set 'model.item.features=[item, "tags*", price, "x*"]'
expect_error 64 'the vector has 9 floats, that of model.user 8' "vectors of two widths" config --set 'model.item.layers=[9]'
expect_error 64 "needs 'model.item.layers'" "a side without layers" config --set model.item.layers=null
expect_error 64 "needs 'model.user.features'" "a side without features" config --set model.user=null
expect_error 64 'temperature: 0 is out of range' "a temperature of 0" config --set model.temperature=0
expect_error 64 "attention to 'item', which is on the other side" "attention over the sides" config \
    --set 'features.tags.pool={attention: {target: item, layers: [4]}}' \
    --set 'model.user.features=[user, day, tags]' --set 'model.item.features=[item, tags_sum, price]'
sed 's/names: \[user, item\]/names: ["use?", item]/' towers.yaml >pattern.yaml
expect_exit 0 "features by pattern are known with the data" "$MTPS" config check -c pattern.yaml --set 'model.user.features=[day]'
expect_error 64 'pattern.yaml:[0-9]+:5: features.user: is neither' "and checked then" \
    "$MTPS" train -c pattern.yaml -q --run-dir runs/pattern --set 'model.user.features=[day]'

# ---- training: every key does something
scores() { "$MTPS" predict --ckpt "$1" --input eval.csv -o - -q 2>/dev/null | md5sum | cut -d' ' -f1; }
short=(--set train.max_steps=12 --set data.eval=null)
all=()
for set in name=a model.temperature=0.2 'model.user.layers=[9, 8]' 'model.item.layers=[8]' model.user.activation=tanh \
    model.item.norm=layer model.user.dropout=0.5 'model.cross={layers: 1}' 'model.cross={layers: 2, rank: 2}'; do
    expect_exit 0 "$set trains" "$MTPS" train -c towers.yaml -q --run-dir "runs/k${#all[@]}" "${short[@]}" --set "$set"
    all+=("$(scores "runs/k${#all[@]}")")
done
same "nine settings make nine models" 9 "$(printf '%s\n' "${all[@]}" | sort -u | wc -l)"
expect_exit 0 "the whole epoch" "$MTPS" train -c towers.yaml --json --run-dir runs/whole
check "learns" awk -v auc="$(json auc <"$out")" 'BEGIN { exit !(auc > 0.6) }'

# ---- the same bits
want=$(digest runs/k0)
for layout in 2,1 3,1 4,2; do
    expect_exit 0 "${layout%,*} ranks, ${layout#*,} servers" ranks "${layout%,*}" "$MTPS" train -c towers.yaml -q \
        --servers "${layout#*,}" --run-dir "runs/l$layout" "${short[@]}" --set name=a
    same "the same model" "$want" "$(digest "runs/l$layout")"
done
expect_exit 0 "half of the steps" "$MTPS" train -c towers.yaml -q --run-dir runs/half "${short[@]}" --set name=a --set train.max_steps=6
expect_exit 0 "and the rest" "$MTPS" train -c towers.yaml -q --run-dir runs/half "${short[@]}" --set name=a
same "are the same model" "$want" "$(digest runs/half)"

# ---- vectors
vectors() { "$MTPS" predict --ckpt runs/whole --vectors "$@"; }
expect_exit 0 "scores" "$MTPS" predict --ckpt runs/whole --keep user,item -o scores.csv
expect_exit 0 "vectors of users" vectors user --keep user -o user.csv
expect_exit 0 "vectors of items" vectors item --keep item -o item.csv --json
same "as many as rows" 1000 "$(json rows <"$out")"
same "a column per float and task" "item,click_0,click_7,like_0,finish_7" "$(head -n 1 item.csv | cut -d, -f1,2,9,10,25)"
check "have length 1" awk -F, 'NR > 1 { s = 0; for (i = 2; i <= 9; i++) s += $i * $i; if (s < 0.9999 || s > 1.0001) bad = 1 }
    END { exit bad || NR != 1001 }' item.csv
# logit - <user, item> / temperature is one number for all rows: the bias.
agree() { # TASK's place
    paste -d, scores.csv user.csv item.csv | awk -F, -v k="$1" 'NR > 1 {
        p = $(3 + k); dot = 0
        for (i = 1; i <= 8; i++) dot += $(6 + 8 * k + i) * $(31 + 8 * k + i)
        b = log(p / (1 - p)) - dot / 0.1
        if (NR == 2) { low = high = b }
        if (b < low) low = b
        if (b > high) high = b
    } END { exit !(NR == 1001 && high - low < 2e-4) }'
}
for k in 0 1 2; do check "user . item is the logit of task $k" agree $k; done
check "the same item has the same vector" test "$(tail -n +2 item.csv | sort -u | wc -l)" -lt 400
expect_exit 0 "on three ranks" ranks 3 "$MTPS" predict --ckpt runs/whole --vectors item --keep item -o ranks.csv
check "the same file" cmp item.csv ranks.csv
expect_exit 0 "as tsv" vectors item --keep item -o item.tsv --format tsv
same "the same values" "$(md5sum <item.csv)" "$(tr '\t' , <item.tsv | md5sum)"
expect_exit 0 "as jsonl" vectors item --keep item -o item.jsonl --format jsonl
same "a list per task" "$(sed -n 2p item.csv)" "$(head -n 1 item.jsonl | sed 's/"[a-z]*"://g; s/[]["{}]//g')"
expect_error 64 'none of user, item' "a side that is none" vectors both -o x.csv
expect_error 64 "name of a column of task click's vector" "a kept column of a vector's name" vectors item --keep click_7 -o x.csv
expect_exit 0 "a model of another type" "$MTPS" train -c small.yaml -q --run-dir runs/mmoe "${short[@]}"
expect_error 64 'the model has none' "has no vectors" "$MTPS" predict --ckpt runs/mmoe --input eval.csv --vectors item -o x.csv

# ---- beside a bundle
expect_exit 0 "export with items' vectors" "$MTPS" export --ckpt runs/whole -o b --version 1 --item-vectors eval.csv --item-key item
same "adds two files" "MODEL_CARD.md SHA256SUMS item_ids.txt item_vectors.f32 model.mtps" "$(ls b/1 | xargs)"
check "an item a line, in the order of the rows" cmp b/1/item_ids.txt <(tail -n +2 item.csv | cut -d, -f1)
od -An -v -tf4 -w96 b/1/item_vectors.f32 | awk '{ $1 = $1; print }' >floats
check "its vectors are those of predict" bash -c "paste -d' ' floats <(tail -n +2 item.csv | cut -d, -f2- | tr , ' ') | awk '{
    for (i = 1; i <= 24; i++) { d = \$i - \$(24 + i); if (d > 1e-6 || d < -1e-6) bad = 1 } } END { exit bad || NR != 1000 || NF != 48 }'"
check "the card says what they are" grep -q '3 tasks x 8 float32' b/1/MODEL_CARD.md
awk -F, -v OFS=, 'NR == 5 { $3 = "" } 1' eval.csv >gap.csv
expect_error 65 'row 3 has no id' "an item without an id" "$MTPS" export --ckpt runs/whole -o b --version 2 --item-vectors gap.csv --item-key item
check "leaves nothing" test ! -e b/2
expect_error 64 'go together' "files without their key" "$MTPS" export --ckpt runs/whole -o b --version 2 --item-vectors eval.csv
expect_error 64 'the model has none' "vectors of another type" "$MTPS" export --ckpt runs/mmoe -o b --version 2 --item-vectors eval.csv --item-key item
{ cat eval.csv; echo '12,u1,i1,t1'; } >short.csv
expect_exit 0 "a row that cannot be read" "$MTPS" export --ckpt runs/whole -o b --version 3 --item-vectors short.csv --item-key item
same "is left out" 1000 "$(grep -c . b/3/item_ids.txt)"
check "which a warning says" grep -q 'item-vectors: 1 bad rows left out of 1001' "$err"
check "with its place" grep -q 'short.csv:1002:' "$err"
expect_error 64 '--item-key: column "itm"' "a key that is no column" "$MTPS" export --ckpt runs/whole -o b --version 2 --item-vectors eval.csv --item-key itm

# ---- beside other types
expect_exit 0 "equal parameters" "$MTPS" compare -c towers.yaml --vary model.type=mmoe,two_tower \
    --set 'model.experts.layers=[64]' --equal-params --dry-run --json
check "are reached by both towers" awk -v text="$(grep -o '"deviation":[-0-9.e]*' "$out" | tail -n 1)" \
    'BEGIN { split(text, a, ":"); exit !(a[2] > -0.05 && a[2] < 0.05 && a[2] != 0) }'
expect_exit 0 "importance" "$MTPS" importance --ckpt runs/whole --json
expect_exit 0 "bench step" "$MTPS" bench step -c towers.yaml --rounds 1 --json
check "has a bound" grep -qE '"ratio": ?[0-9]' "$out"
cd "$TOP" || exit
expect_exit 0 "the shipped configuration trains some steps" "$MTPS" train -c configs/kuairand-two-tower.yaml --run-dir "$work/kuairand" -q \
    --set train.max_steps=4 --set data.eval=null --set data.cache="$work/cache"
finish
