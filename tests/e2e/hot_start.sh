#!/usr/bin/env bash
# A hot start keeps what was learned: a task is added and the old ones' scores stay, bit
# for bit; any layout gives the same bits; what does not fit is refused in one line.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
# What some of the types below read besides.
sed -i 's/^  towers: .*/&\
  wide: {features: [user, item, tags], only: [tags]}\
  user: {features: [user, day], layers: [8, 4]}\
  item: {features: [item, "tags*", price], layers: [8, 4]}/' small.yaml
types=(share_bottom omoe mmoe cgc ple lr fm dnn wide_deep deepfm two_tower)
shape() { # TYPE: its settings
    local levels=1
    [ "$1" != ple ] || levels=3
    echo "--set model.type=$1 --set model.experts.levels=$levels --set model.experts.own=2"
}
old_tasks=(--set tasks.like=null --set data.eval=null)
train() { # RUN ARGS...: quietly, without an evaluation
    local run=$1
    shift
    "$MTPS" train -c small.yaml --set data.eval=null --run-dir "runs/$run" -q "$@"
}
# scores RUN COLUMN...: those columns of predict on rows that training has not seen
scores() {
    local run=$1
    shift
    "$MTPS" predict --ckpt "runs/$run" --input eval.csv -o "$run.csv" -q >/dev/null 2>&1 || return 1
    awk -F, -v names="$*" 'NR == 1 { n = split(names, want, " "); for (i = 1; i <= NF; i++) at[$i] = i }
        { for (i = 1; i <= n; i++) printf "%s%s", $at[want[i]], i < n ? "," : "\n" }' "$run.csv"
}
same_scores() { # SENTENCE RUN RUN COLUMN...
    local sentence=$1 a=$2 b=$3
    shift 3
    same "$sentence" "$(scores "$a" "$@" | cksum)" "$(scores "$b" "$@" | cksum)"
}
differ() { # SENTENCE RUN RUN COLUMN...
    local sentence=$1 a=$2 b=$3
    shift 3
    check "$sentence" test "$(scores "$a" "$@" | cksum)" != "$(scores "$b" "$@" | cksum)"
}

# ---- adding a task preserves the function of the old ones
for type in "${types[@]}"; do
    read -ra of_type <<<"$(shape "$type")"
    expect_exit 0 "$type learns two tasks" train "$type" "${of_type[@]}" "${old_tasks[@]}" --set train.max_steps=30
    for mode in sparse+shared all; do
        expect_exit 0 "$type with a third one, mode $mode, before the first step" train "$type-$mode" \
            "${of_type[@]}" --set "hot_start.from=runs/$type" --set "hot_start.mode=$mode" --set train.max_steps=0
        same_scores "the old tasks' scores are those of before" "$type" "$type-$mode" click finish
    done
    expect_exit 0 "$type, mode sparse" train "$type-sparse" "${of_type[@]}" \
        --set "hot_start.from=runs/$type" --set train.max_steps=0
    differ "keeps no function" "$type" "$type-sparse" click
done

# ---- a task beside a funnel
for type in esmm aitm; do
    funnel=($(shape "$type") --set 'model.funnel=[click, like]')
    expect_exit 0 "$type learns a funnel" train "$type" "${funnel[@]}" --set tasks.finish=null --set train.max_steps=30
    expect_exit 0 "$type with a task beside it" train "$type-all" "${funnel[@]}" --set train.max_steps=0 \
        --set "hot_start.from=runs/$type" --set hot_start.mode=all
    same_scores "scores of both steps stay" "$type" "$type-all" click like 'like|click'
done

# ---- old tasks anywhere in the order, other features, tables and names
for type in ple lr wide_deep; do
    expect_exit 0 "$type: the new task may come first" train "$type-order" $(shape $type) --set train.max_steps=0 \
        --set "hot_start.from=runs/$type" --set hot_start.mode=all \
        --set 'tasks={like: {label: like}, click: {label: click}, finish: {label: "play >= length", present: "length > 0"}}'
    same_scores "and the scores stay" "$type" "$type-order" click finish
done
expect_exit 0 "a task of wide_deep gets another name, the other goes" train wide-renamed $(shape wide_deep) \
    --set train.max_steps=0 --set hot_start.from=runs/wide_deep --set hot_start.mode=all \
    --set 'tasks={tap: {label: "play >= length", present: "length > 0"}}' --set 'hot_start.rename={task/tap: task/finish}'
same "and its scores go with it" "$(scores wide_deep finish | tail -n +2 | cksum)" "$(scores wide-renamed tap | tail -n +2 | cksum)"
expect_exit 0 "features turn round, one is new with a table of its own" train mmoe-features $(shape mmoe) \
    --set train.max_steps=0 --set hot_start.from=runs/mmoe --set hot_start.mode=sparse+shared --set 'features=[
    {name: price, kind: dense, default: mean, transform: [log1p, standardize]},
    {name: a_new_one, expr: "length % 7"}, {name: z_number, kind: dense, column: length},
    {name: tags, split: " ", pool: mean}, {names: [item, user]},
    {name: tags_sum, column: tags, split: " ", pool: sum, table: tags}, {name: day, expr: "day % 7"}]'
same_scores "and the scores stay" mmoe mmoe-features click finish
expect_exit 0 "a feature comes first of all, with a task" train ple-first $(shape ple) --set train.max_steps=0 \
    --set hot_start.from=runs/ple --set hot_start.mode=all --set 'features=[
    {name: a_new_one, expr: "length % 7"}, {names: [user, item]}, {name: tags, split: " ", pool: mean},
    {name: tags_sum, column: tags, split: " ", pool: sum, table: tags}, {name: day, expr: "day % 7"},
    {name: price, kind: dense, default: mean, transform: [log1p, standardize]}]'
same_scores "and the scores stay" ple ple-first click finish
for cross in '{layers: 2}' '{layers: 2, rank: 3}'; do
    expect_exit 0 "crossed features $cross" train crossed $(shape mmoe) "${old_tasks[@]}" --set train.max_steps=20 \
        --set "model.cross=$cross"
    expect_exit 0 "with one more, and a new task" train crossed-more $(shape mmoe) --set train.max_steps=0 \
        --set hot_start.from=runs/crossed --set hot_start.mode=all --set "model.cross=$cross" \
        --set 'features=[{names: [user, item]}, {name: tags, split: " ", pool: mean}, {name: a_new_one, expr: "length % 7"},
        {name: tags_sum, column: tags, split: " ", pool: sum, table: tags}, {name: day, expr: "day % 7"},
        {name: price, kind: dense, default: mean, transform: [log1p, standardize]}]'
    same_scores "keep the scores" crossed crossed-more click finish
    rm -r runs/crossed runs/crossed-more
done
expect_exit 0 "a task, a feature and a table get other names" train cgc-renamed $(shape cgc) --set train.max_steps=0 \
    --set hot_start.from=runs/cgc --set hot_start.mode=all --set 'tasks={tap: {label: click}, like: {label: like},
    finish: {label: "play >= length", present: "length > 0"}}' \
    --set 'features.price={name: price_now, kind: dense, column: price, default: mean, transform: [log1p, standardize]}' \
    --set features.user.table=people \
    --set 'hot_start.rename={task/tap: task/click, feature/price_now: feature/price, table/people: table/user}'
same "and the scores go with them" "$(scores cgc click finish | tail -n +2 | cksum)" \
    "$(scores cgc-renamed tap finish | tail -n +2 | cksum)"
expect_exit 0 "two tasks change their names" train ple-swapped $(shape ple) --set train.max_steps=0 \
    --set hot_start.from=runs/ple --set hot_start.mode=all --set tasks.like=null \
    --set 'hot_start.rename={task/click: task/finish, task/finish: task/click}' \
    --set 'tasks={finish: {label: click}, click: {label: "play >= length", present: "length > 0"}}'
same "and their scores" "$(scores ple click finish | tail -n +2 | cksum)" "$(scores ple-swapped finish click | tail -n +2 | cksum)"
expect_exit 0 "a task is taken out" train ple-less $(shape ple) --set train.max_steps=0 --set hot_start.from=runs/ple \
    --set hot_start.mode=all --set tasks.like=null --set tasks.finish=null
expect_exit 0 "and trains on" train ple-less-on $(shape ple) --set train.max_steps=5 --set hot_start.from=runs/ple \
    --set hot_start.mode=all --set tasks.like=null --set tasks.finish=null

# ---- sparse works across types of models
for to in dnn share_bottom ple; do
    expect_exit 0 "rows of mmoe in $to" train "mmoe-to-$to" $(shape "$to") --set hot_start.from=runs/mmoe \
        --set hot_start.state.sparse=reset --set train.max_steps=10
done

expect_error 78 'nothing of' "weights of lr are no embeddings" train lr-to-mmoe $(shape mmoe) --set hot_start.from=runs/lr

# ---- the plan, dry and at the start of a training
plan() { "$MTPS" hotstart plan -c small.yaml --set data.eval=null -q "$@"; }
expect_exit 0 "a dry run" plan $(shape ple) --from runs/ple --set hot_start.mode=all --json
tr -d ' \n' <"$out" >dry.json
check "leaves no run behind" test ! -e runs/small
expect_exit 0 "(the training)" train planned $(shape ple) --set hot_start.from=runs/ple --set hot_start.mode=all \
    --set train.max_steps=0
same "the run directory holds the same report" "$(cksum <dry.json)" "$(tr -d ' \n' <runs/planned/hot_start.json | cksum)"
expect_exit 0 "as lines" plan $(shape ple) --from runs/ple --set hot_start.mode=all
check "every part is there" grep -q '^initialised  tower/like .* new task$' "$out"
check "with the share of ids" grep -qE '^feature  user +100.00 % of 211 ids  100.00 % of 4000 lookups$' "$out"
expect_exit 0 "(half of the users)" train half $(shape ple) "${old_tasks[@]}" --set train.max_steps=20 \
    --set "data.train={files: [train.csv], where: 'user < \"u2\"'}"
expect_exit 0 "a plan from them" plan $(shape ple) --from runs/half
check "shows what is not covered" grep -qE '^feature  user +[1-9][0-9]?\.[0-9]+ % of 211 ids' "$out"
cp -r runs/half 'odd ${name} "1"'
expect_exit 0 "any name of a folder will do" plan $(shape ple) --from 'odd ${name} "1"'
expect_error 66 'runs/nothing' "no checkpoint" plan --from runs/nothing
expect_error 64 'no hot_start' "no source" plan
expect_error 64 'give a command' "no command" "$MTPS" hotstart
expect_error 78 'fits nothing' "a plan refuses what a training refuses" plan --from runs/mmoe --set 'hot_start.exclude=[x]'

# ---- the same bits in any layout, also after more steps
hot=($(shape ple) --set hot_start.from=runs/ple --set hot_start.mode=all --set train.max_steps=12
    --set 'hot_start.perturb={table/item: {shrink: 0.9, noise: 0.01}, "expert/*": {shrink: 0.8, noise: 0.02}}'
    --set hot_start.rows.min_count=2)
expect_exit 0 "a hot start in one process" train one "${hot[@]}" --set cluster.threads=1
expect_exit 0 "with four threads" train threads "${hot[@]}" --set cluster.threads=4
expect_exit 0 "on 2 servers and 3 workers" ranks 5 "$MTPS" train -c small.yaml --set data.eval=null \
    --servers 2 --run-dir runs/ranks -q "${hot[@]}"
same "the model is the same" "$(digest runs/one)" "$(digest runs/threads)"
same "everywhere" "$(digest runs/one)" "$(digest runs/ranks)"
expect_exit 0 "without noise" train plain "${hot[@]}" --set hot_start.perturb=null
check "it is another one" test "$(digest runs/one)" != "$(digest runs/plain)"

# ---- position starts anew, state is kept; a resumed run does not start again
expect_exit 0 "a day of 10 steps" train day "${hot[@]}" --set train.max_steps=10
cp -r runs/ple runs/gone
expect_exit 0 "starts hot, stops after 4 steps" train parts $(shape ple) --set hot_start.from=runs/gone \
    --set hot_start.mode=all --set train.max_steps=4
rm -r runs/gone
expect_exit 0 "and goes on when the source is gone" train parts $(shape ple) --set hot_start.from=runs/gone \
    --set hot_start.mode=all --set train.max_steps=12
expect_exit 0 "(uninterrupted)" train whole $(shape ple) --set hot_start.from=runs/ple --set hot_start.mode=all \
    --set train.max_steps=12
same "with the bits of the uninterrupted one" "$(digest runs/whole)" "$(digest runs/parts)"


# ---- frozen, slowed down, opened on a schedule: kept by a resumed run, in any layout
slow=($(shape ple) --set hot_start.from=runs/ple --set hot_start.mode=all --set hot_start.new_task.only_new=3
    --set hot_start.new_task.ramp=4 --set hot_start.new_task.open=5 --set hot_start.new_task.gate=click
    --set 'hot_start.freeze=[{names: [table/user, tower/finish], until: 8}]' --set 'hot_start.lr_scale={task/click: 0.1}')
expect_exit 0 "a schedule of 12 steps" train slow "${slow[@]}" --set train.max_steps=12
expect_exit 0 "stopped in it" train slow-parts "${slow[@]}" --set train.max_steps=4
expect_exit 0 "and resumed on 2 servers and 2 workers, without the key" ranks 4 "$MTPS" train -c small.yaml --servers 2 \
    --set data.eval=null --run-dir runs/slow-parts -q $(shape ple) --set train.max_steps=12
same "gives the same model" "$(digest runs/slow)" "$(digest runs/slow-parts)"
expect_exit 0 "up to step 3" train slow-3 "${slow[@]}" --set train.max_steps=3
same_scores "the old tasks' scores have not moved" ple slow-3 click finish
expect_exit 0 "a step later" train slow-4 "${slow[@]}" --set train.max_steps=4
differ "they have" ple slow-4 click

expect_exit 0 "a start from the middle of the opening" train slow-on $(shape ple) --set hot_start.from=runs/slow-4 \
    --set hot_start.mode=all --set train.max_steps=6
expect_exit 0 "and one that stops" train slow-on-parts $(shape ple) --set hot_start.from=runs/slow-4 \
    --set hot_start.mode=all --set train.max_steps=2
expect_exit 0 "and resumes" ranks 3 "$MTPS" train -c small.yaml --servers 1 --set data.eval=null \
    --run-dir runs/slow-on-parts -q $(shape ple) --set train.max_steps=6
same "gives the same model" "$(digest runs/slow-on)" "$(digest runs/slow-on-parts)"
# ---- rows and state
rows_of() { "$MTPS" ckpt digest "$1" --json | json rows; }
for key in "rows.min_count=50" "rows.max_age=3" "exclude=[table/user]"; do
    expect_exit 0 "hot_start.$key" train "rows-$key" $(shape mmoe) --set hot_start.from=runs/mmoe \
        --set train.max_steps=0 --set "hot_start.$key"
    check "leaves rows out" test "$(rows_of "runs/rows-$key")" -lt "$(rows_of runs/mmoe)"
done
same "all rows come otherwise" "$(rows_of runs/mmoe)" "$(rows_of runs/mmoe-sparse)"
expect_exit 0 "state is kept" train kept $(shape mmoe) --set hot_start.from=runs/mmoe --set train.max_steps=0
expect_exit 0 "or reset" train reset $(shape mmoe) --set hot_start.from=runs/mmoe --set train.max_steps=0 \
    --set hot_start.state.sparse=reset
check "which makes a difference" test "$(digest runs/kept)" != "$(digest runs/reset)"

# ---- another width, on request only
wide=($(shape mmoe) --set hot_start.from=runs/mmoe --set hot_start.mode=all --set train.max_steps=0
    --set 'tables.default.dim=12' --set 'model.towers.layers=[16]')
expect_error 78 'shape is|dim is' "another width is refused" train wide "${wide[@]}"
check "with what to do" grep -q '^hint: .*resize' "$err"
expect_exit 0 "padded" train wide "${wide[@]}" --set hot_start.resize=pad
same_scores "the function stays" mmoe wide click finish
expect_exit 0 "padded, with a new task in all gates" train wide-ple $(shape ple) --set hot_start.from=runs/ple \
    --set hot_start.mode=all --set train.max_steps=0 --set tables.default.dim=12 --set 'model.experts.layers=[24]' \
    --set hot_start.resize=pad
same_scores "the function stays, too" ple wide-ple click finish
expect_error 78 'shape is|dim is' "pad does not cut" train narrow "${wide[@]}" --set tables.default.dim=4 \
    --set hot_start.resize=pad
expect_exit 0 "cut does" train narrow "${wide[@]}" --set tables.default.dim=4 --set 'model.towers.layers=[4]' \
    --set hot_start.resize=cut

# ---- what does not fit, in one line, nothing overwritten
bad() { # CODE PATTERN SENTENCE ARGS...
    local code=$1 pattern=$2 sentence=$3
    shift 3
    expect_error "$code" "$pattern" "$sentence" train bad $(shape mmoe) --set train.max_steps=5 "$@"
}
from=(--set hot_start.from=runs/mmoe --set hot_start.mode=all)
bad 66 'runs/nothing' "a path that is not there" --set hot_start.from=runs/nothing
mkdir empty
bad 66 'empty' "a folder without checkpoints" --set hot_start.from=empty
bad 66 'small.yaml' "a file" --set hot_start.from=small.yaml
cp -r runs/mmoe damaged
file=$(find damaged -name 'sparse-*' | head -n 1)
printf '\377\377' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc 2>/dev/null
bad 66 'damaged' "a damaged one" --set hot_start.from=damaged
one=$(find runs/mmoe/checkpoints -maxdepth 1 -name 'step-*' | head -n 1)
mkdir foreign
cp -r "$one" foreign/
foreign=foreign/$(basename "$one")
rewrite() { # sed expression over the manifest, with its hash put right
    sed -i "$1" "$foreign/MANIFEST.json"
    head -n -2 "$foreign/MANIFEST.json" | head -c -2 >body
    printf '%s,\n  "sha256": "%s"\n}\n' "$(cat body)" "$(sha256sum <body | cut -d' ' -f1)" >"$foreign/MANIFEST.json"
}
rewrite 's/"format": "mtps-checkpoint"/"format": "other"/'
bad 66 'not a manifest' "one of something else" --set "hot_start.from=$foreign"
rewrite 's/"format": "other"/"format": "mtps-checkpoint"/; s/"version": 1,/"version": 9,/'
bad 66 'version' "one of another format version" --set "hot_start.from=$foreign"
rewrite 's/"version": 9,/"version": 1,/; s/"hash_version": 1,/"hash_version": 7,/'
bad 66 'hash_version' "one whose ids have another hash" --set "hot_start.from=$foreign"
bad 78 "'tower/clack' fits nothing" "a pattern that fits nothing" "${from[@]}" --set 'hot_start.exclude=[tower/clack]'
check "names the nearest" grep -q "^hint: .*tower/click" "$err"
bad 78 "'task/lke' fits nothing" "a rename from nothing" "${from[@]}" --set 'hot_start.rename={task/like: task/lke}'
bad 78 'two sources' "two sources for one target" "${from[@]}" \
    --set 'hot_start.rename={task/like: task/click, tower/like: tower/finish}'
sed 's/,u\([0-9]*\),/,\1,/' train.csv >numbers.csv
numbers=(--set 'data.train={files: [numbers.csv]}')
expect_exit 0 "(a run on numbers)" train numbers $(shape mmoe) "${numbers[@]}" --set train.max_steps=5
expect_exit 0 "ids of one definition" train numbers-on $(shape mmoe) "${numbers[@]}" --set train.max_steps=0 \
    --set hot_start.from=runs/numbers
bad 78 'table/user: ids have uint64 keys now, hash keys in the checkpoint' "ids of another definition" \
    "${numbers[@]}" --set hot_start.from=runs/numbers --set features.user.key=uint64
bad 78 'another optimiser' "another optimiser of rows" "${from[@]}" --set tables.default.optimizer=adam
bad 78 'another optimiser' "another optimiser of tensors" "${from[@]}" --set train.optimizer=adagrad
expect_exit 0 "which reset allows" train optimiser $(shape mmoe) "${from[@]}" --set train.optimizer=adagrad \
    --set hot_start.state.dense=reset --set train.max_steps=0
bad 78 'but task like is new' "a task both frozen and new" --set hot_start.from=runs/ple --set hot_start.mode=all \
    --set model.type=ple --set model.experts.levels=3 --set 'hot_start.freeze=[{names: [task/like]}]'
bad 78 'nothing of' "nothing loaded at all" --set hot_start.from=runs/mmoe --set 'hot_start.exclude=["*"]'
bad 78 'finds no part' "a rename from another kind of part" "${from[@]}" --set 'hot_start.rename={task/like: table/user}'
bad 78 'cannot copy gate/level0/like' "a gate to copy that is not there" --set hot_start.from=runs/ple \
    --set hot_start.mode=all --set model.type=ple --set model.experts.levels=3 --set hot_start.new_task.gate=like
bad 78 'no row of' "rows of which the filter leaves none" --set hot_start.from=runs/mmoe --set hot_start.rows.min_count=100000
bad 64 "needs 'from'" "no source" --set hot_start.mode=sparse
expect_error 78 'another optimiser' "said once under mpirun" ranks 3 "$MTPS" train -c small.yaml --servers 1 \
    --set data.eval=null --run-dir runs/bad-ranks "${from[@]}" --set train.optimizer=adagrad
check "nothing was committed" test -z "$(find runs/bad runs/bad-ranks -name 'step-*')"
expect_exit 0 "cold starts from nothing" train cold $(shape mmoe) --set hot_start.mode=cold --set train.max_steps=5
expect_exit 0 "(a run without hot_start)" train fresh $(shape mmoe) --set train.max_steps=5
same "with its bits" "$(digest runs/fresh)" "$(digest runs/cold)"
finish
