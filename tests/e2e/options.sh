#!/usr/bin/env bash
# Optional parts of models: each changes the predictions of a run, and gives the same
# model for other layouts and after a resume.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
common=(-c small.yaml --set data.eval=null --set data.cache=cache)
# A linear gate has no layer for an option.
deep=(--set 'model.experts.layers=[16, 12]' --set 'model.gates.layers=[8]')

predictions() { # RUN: digest of its scores of eval.csv
    "$MTPS" predict --ckpt "$1" --set data.eval.files=[eval.csv] -o "$work/scores.csv" -q >/dev/null 2>&1
    sha256sum <"$work/scores.csv"
}

expect_exit 0 "the run without options" "$MTPS" train "${common[@]}" "${deep[@]}" --run-dir runs/plain
plain=$(predictions runs/plain)
same "scored again it has the same predictions" "$plain" "$(predictions runs/plain)"

# changes NAME --set...: with these options predictions differ from `plain`.
changes() {
    local name=$1
    shift
    expect_exit 0 "$name: a run" "$MTPS" train "${common[@]}" "${deep[@]}" "$@" \
        --set cluster.threads=1 --run-dir "runs/$name"
    check "$name: other predictions" test "$plain" != "$(predictions "runs/$name")"
}

# option NAME --set...: and its bits depend on nothing but the configuration.
option() {
    local name=$1 want
    changes "$@"
    shift
    want=$(digest "runs/$name")
    expect_exit 0 "$name: 2 servers, 3 workers" ranks 5 "$MTPS" train "${common[@]}" "${deep[@]}" "$@" \
        --servers 2 --run-dir "runs/$name-5"
    same "$name: the same bits" "$want" "$(digest "runs/$name-5")"
    expect_exit 0 "$name: 13 steps" "$MTPS" train "${common[@]}" "${deep[@]}" "$@" \
        --set train.max_steps=13 --run-dir "runs/$name-parts"
    expect_exit 0 "$name: then the rest, with 2 threads" "$MTPS" train "${common[@]}" "${deep[@]}" "$@" \
        --set cluster.threads=2 --resume require --run-dir "runs/$name-parts"
    same "$name: the same bits" "$want" "$(digest "runs/$name-parts")"
}

option norm --set model.experts.norm=layer --set model.gates.norm=layer --set model.towers.norm=layer
for part in experts gates towers; do
    changes "norm-$part" --set "model.$part.norm=layer"
done
option dropout --set model.experts.dropout=0.2 --set model.gates.dropout=0.2 --set model.towers.dropout=0.2
for part in experts gates towers; do
    changes "dropout-$part" --set "model.$part.dropout=0.2"
done
expect_exit 0 "dropout may differ when scoring: it does nothing there" "$MTPS" eval --ckpt runs/dropout -c small.yaml \
    "${deep[@]}" --set model.experts.dropout=0.5

option l2 --set tables.default.l2=0.01
changes l2-one-table --set tables.user.l2=0.01
for rule in sgd rowwise_adagrad adam ftrl; do
    expect_exit 0 "$rule without l2" "$MTPS" train "${common[@]}" "${deep[@]}" --run-dir "runs/$rule" \
        --set "tables.default.optimizer=$rule"
    plain=$(predictions "runs/$rule")
    changes "l2-$rule" --set "tables.default.optimizer=$rule" --set tables.default.l2=0.01
done
expect_exit 0 "l2 may differ when scoring" "$MTPS" eval --ckpt runs/l2 -c small.yaml "${deep[@]}"

plain=$(predictions runs/plain)
attention='features.tags.pool={attention: {target: item, layers: [8]}}'
option attention --set "$attention"
for form in gather project; do
    changes "attention-$form" --set "$attention" --set "train.form=$form"
done
for type in dnn share_bottom cgc ple; do
    expect_exit 0 "$type trains with attention" "$MTPS" train "${common[@]}" "${deep[@]}" --set "$attention" \
        --set "model.type=$type" --set train.max_steps=5 --run-dir "runs/attention-$type"
done
for pool in sum mean; do
    expect_exit 0 "lr with pool: $pool" "$MTPS" train "${common[@]}" --set "features.tags.pool=$pool" \
        --set model.type=lr --run-dir "runs/lr-$pool"
done
expect_exit 0 "lr takes attention as well" "$MTPS" train "${common[@]}" --set "$attention" --set model.type=lr \
    --run-dir runs/lr-attention
same "as the sum of its weights" "$(digest runs/lr-sum)" "$(digest runs/lr-attention)"
check "not as their mean" test "$(digest runs/lr-mean)" != "$(digest runs/lr-attention)"
plain=$(predictions runs/attention)
changes sum --set features.tags.pool=sum
changes attention-to-user --set 'features.tags.pool={attention: {target: user, layers: [8]}}'
changes attention-deeper --set 'features.tags.pool={attention: {target: item, layers: [8, 4]}}'
changes attention-tanh --set 'features.tags.pool={attention: {target: item, layers: [8], activation: tanh}}'
expect_error 64 'attention to "itme": there is no such feature' "a target that is not there is an error" \
    "$MTPS" train "${common[@]}" --set 'features.tags.pool={attention: {target: itme}}' --run-dir runs/no-target

# A task's own parts.
plain=$(predictions runs/norm-towers)
changes norm-one-tower --set model.towers.norm=layer --set tasks.like.tower.norm=none
plain=$(predictions runs/dropout-towers)
changes dropout-one-tower --set model.towers.dropout=0.2 --set tasks.like.tower.dropout=0
plain=$(predictions runs/plain)
option towers --set 'tasks.like.tower={layers: [12, 4], activation: tanh}' --set 'tasks.finish.tower={layers: []}'
changes gate --set 'tasks.like.gate={layers: [6, 5], activation: silu}'
expect_exit 0 "cgc" "$MTPS" train "${common[@]}" "${deep[@]}" --set model.type=cgc --run-dir runs/cgc
plain=$(predictions runs/cgc)
changes own --set model.type=cgc --set tasks.like.own=2
changes no-own --set model.type=cgc --set tasks.like.own=0

# Corners.
expect_exit 0 "cgc with no experts but shared ones" "$MTPS" train "${common[@]}" "${deep[@]}" \
    --set model.type=cgc --set model.experts.own=0 --set model.experts.shared=4 --run-dir runs/cgc-shared
same "is mmoe" "$(digest runs/plain)" "$(digest runs/cgc-shared)"
expect_error 64 'no expert for it' "a task without any expert is an error" "$MTPS" train "${common[@]}" \
    --set model.type=cgc --set model.experts.shared=0 --set tasks.like.own=0 --run-dir runs/none
for type in omoe mmoe cgc ple; do
    expect_exit 0 "$type with one task and one expert" "$MTPS" train "${common[@]}" --set model.type=$type \
        --set 'tasks={click: {label: click}}' --set 'model.experts={count: 1, own: 1, shared: 0, levels: 2, layers: [6]}' \
        --set train.max_steps=5 --run-dir "runs/one-$type"
done
many='tasks={click: {label: click}, like: {label: like}, even: {label: "day % 2 == 0"}'
for day in 1 2 3 4 5 6 7 8 9; do many+=", after$day: {label: \"day > $day\"}"; done
for type in mmoe cgc ple; do
    option "twelve-$type" --set model.type=$type --set "$many}" --set model.experts.levels=2
done

# A task is trained on its own rows alone: rows without its label do not count.
awk -F, -v OFS=, 'NR > 1 && $9 == 0 { $8 = 99 } 1' train.csv >other.csv
check "rows of length 0 have other labels of finish" bash -c '! cmp -s train.csv other.csv'
expect_exit 0 "what is written where a label is absent" "$MTPS" train "${common[@]}" "${deep[@]}" \
    --set 'data.train.files=[other.csv]' --run-dir runs/other
same "is not read" "$(digest runs/plain)" "$(digest runs/other)"
expect_exit 0 "row_weight 0 in place of present" "$MTPS" train "${common[@]}" "${deep[@]}" \
    --set tasks.finish.present=null --set 'tasks.finish.row_weight="if(length > 0, 1, 0)"' --run-dir runs/weighted
same "is the same" "$(digest runs/plain)" "$(digest runs/weighted)"
plain=$(predictions runs/plain)
changes half --set 'tasks.finish.present="length > 15"'
finish
