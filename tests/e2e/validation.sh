#!/usr/bin/env bash
# data.valid, eval_every and early stopping: the best checkpoint is kept, named,
# evaluated and reported.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
early=(--set 'data.valid={fraction: 0.2, by: user}' --set 'train.eval_every=1 epoch' --set train.epochs=60
    --set 'train.early_stop={task: mean, metric: auc, patience: 2}' --set 'train.optimizer={adam: {lr: 0.02}}'
    --set checkpoint.keep=1)
expect_exit 0 "a run that stops early" "$MTPS" train -c small.yaml "${early[@]}" --json
cp "$out" early.json
epochs=$(json epochs <early.json)
check "it ends before its 60 epochs ($epochs)" awk -v e="$epochs" 'BEGIN { exit !(e >= 3 && e < 60) }'
best=$(json checkpoint <early.json)
check "the checkpoint that it names is there" test -f "$best/MANIFEST.json"
same "the eval line has the step of that checkpoint" "$((10#${best##*step-}))" \
    "$(grep '"kind":"eval"' runs/small/metrics.jsonl | json step)"
check "metrics.jsonl has the validations" test "$(grep -c '"valid"' runs/small/metrics.jsonl)" -ge 3
expect_exit 0 "eval of the run directory" "$MTPS" eval --ckpt runs/small --json
same "scores the best checkpoint, as training did" "$(json auc <early.json)" "$(json auc <"$out")"
same "which is the one that the digest of the run is of" "$(digest "$best")" "$(digest runs/small)"

expect_exit 0 "the same with many checkpoints after the best one" "$MTPS" train -c small.yaml "${early[@]}" \
    --set 'checkpoint.every=[5 steps]' --run-dir runs/often
check "keeps the best one" test -f "runs/often/checkpoints/$(basename "$best")/MANIFEST.json"
check "and not all others" test "$(find runs/often/checkpoints -maxdepth 1 -name 'step-*' | wc -l)" -le 3
same "to the same best model" "$(digest runs/small)" "$(digest runs/often)"

expect_exit 0 "the same on two workers" ranks 3 "$MTPS" train -c small.yaml "${early[@]}" --servers 1 --run-dir runs/mpi --json
same "stops at the same epoch" "$epochs" "$(json epochs <"$out")"
same "with the same best model" "$(digest runs/small)" "$(digest runs/mpi)"

# The end of a run is looked at, but a run that goes on from there does what one run does.
legs=("${early[@]}" --set 'train.eval_every=7 steps' --set 'train.early_stop={task: mean, metric: auc, patience: 4}')
expect_exit 0 "a run that looks every seven steps" "$MTPS" train -c small.yaml "${legs[@]}" --run-dir runs/one-leg
for steps in 10 25; do
    expect_exit 0 "a leg to step $steps" "$MTPS" train -c small.yaml "${legs[@]}" --run-dir runs/legs --set train.max_steps=$steps --json
    same "is looked at there" $steps "$(grep '"kind":"valid"' runs/legs/metrics.jsonl | tail -n 1 | json step)"
    cp "$out" leg.json
    expect_exit 0 "(again)" "$MTPS" train -c small.yaml "${legs[@]}" --run-dir runs/legs --set train.max_steps=$steps --json
    same "and gives the same when it is started again" "$(json checkpoint <leg.json)" "$(json checkpoint <"$out")"
    same "which is what best.json names" "$(json checkpoint <runs/legs/checkpoints/best.json)" "$(basename "$(json checkpoint <leg.json)")"
done
expect_exit 0 "and on to the end" "$MTPS" train -c small.yaml "${legs[@]}" --run-dir runs/legs
same "the best checkpoint is that of the run in one leg" "$(cat runs/one-leg/checkpoints/best.json)" "$(cat runs/legs/checkpoints/best.json)"
same "bit for bit" "$(digest runs/one-leg)" "$(digest runs/legs)"
same "and it stops at the same step" "$(cat runs/one-leg/checkpoints/LATEST)" "$(cat runs/legs/checkpoints/LATEST)"

# train.early_stop may change when a run goes on.
stop_after() { # RUN PATIENCE: trains; its JSON is in $out
    expect_exit 0 "a run of patience $2 in $1" "$MTPS" train -c small.yaml "${early[@]}" --run-dir "$1" --json \
        --set "train.early_stop={task: mean, metric: auc, patience: $2}"
}
stop_after runs/patient 6
steps=$(json steps <"$out")
stop_after runs/hasty 1
check "stops earlier with less" test "$(json steps <"$out")" -lt "$steps"
stop_after runs/hasty 6
same "goes on with more, as if it had been so from the start" "$steps" "$(json steps <"$out")"
same "to the same best checkpoint" "$(cat runs/patient/checkpoints/best.json)" "$(cat runs/hasty/checkpoints/best.json)"
same "bit for bit" "$(digest runs/patient)" "$(digest runs/hasty)"
expect_exit 0 "without early stopping it trains to the end" "$MTPS" train -c small.yaml "${early[@]}" --run-dir runs/hasty --json \
    --set train.early_stop=null --set train.epochs=20
same "(all epochs)" 20.0 "$(json epochs <"$out")"
same "and the newest checkpoint is the one reported" "runs/hasty/checkpoints/$(cat runs/hasty/checkpoints/LATEST)" "$(json checkpoint <"$out")"
check "no other is called the best" test ! -e runs/hasty/checkpoints/best.json

expect_exit 0 "early stopping by logloss" "$MTPS" train -c small.yaml --set 'data.valid={fraction: 0.2}' --set train.epochs=3 \
    --set 'train.early_stop={task: click, metric: logloss, patience: 3}' --run-dir runs/logloss
step=$((10#$(json checkpoint <runs/logloss/checkpoints/best.json | sed 's/step-//')))
same "best.json has the metric as it is" \
    "$(grep '"kind":"valid"' runs/logloss/metrics.jsonl | grep "\"step\":$step," | json logloss | cut -c 1-12)" \
    "$(json value <runs/logloss/checkpoints/best.json | cut -c 1-12)"

whole=(--set 'data.valid={where: "day == 10"}' --set 'train.eval_every=10 steps' --set train.epochs=2)
expect_exit 0 "validation rows by a condition, every ten steps" "$MTPS" train -c small.yaml "${whole[@]}" --run-dir runs/where
same "six validations in 57 steps and one at the end, or without it" yes \
    "$(case $(grep -c '"valid"' runs/where/metrics.jsonl) in 5 | 6) echo yes ;; *) grep -c '"valid"' runs/where/metrics.jsonl ;; esac)"
expect_exit 0 "validation rows in a file of their own" \
    "$MTPS" train -c small.yaml --set 'data.valid={files: [eval.csv]}' --set 'train.eval_every=1 epoch' --run-dir runs/file
# day 1 has labels of one kind for `like` in these rows: no AUC there
awk -F, 'NR == 1 || $1 == 1 && $7 == 0' train.csv >one-class.csv
partly=(--set 'data.valid={files: [one-class.csv]}' --set 'train.eval_every=1 epoch' --set train.epochs=3
    --set 'train.optimizer={adam: {lr: 0.02}}')
expect_exit 0 "the mean leaves out a task whose AUC is not defined" "$MTPS" train -c small.yaml "${partly[@]}" \
    --set 'train.early_stop={task: mean, metric: auc, patience: 3}' --run-dir runs/partly
same "it is named once" 1 "$(grep -c 'auc of like is not defined' "$err")"
check "and a best checkpoint is kept" test -s runs/partly/checkpoints/best.json
expect_error 65 'auc of like is not defined' "a watched task without a value ends the run" \
    "$MTPS" train -c small.yaml "${partly[@]}" --set 'train.early_stop={task: like, metric: auc}' --run-dir runs/no-value
expect_error 64 'valid' "early stopping without data.valid" \
    "$MTPS" train -c small.yaml --set 'train.early_stop={task: click}' --run-dir runs/none
finish
