#!/usr/bin/env bash
# One training run in one process: what it prints and leaves, and running it again.
. "${TOP:?}/tests/e2e/lib.sh"
small_data

expect_exit 0 "training ends with 0" "$MTPS" train -c small.yaml --json
cp "$out" first.json
same "stdout is one line of JSON" 1 "$(wc -l <first.json | tr -d ' ')"
same "it counts the steps: 4,000 rows in batches of 128" 32 "$(json steps <first.json)"
same "it counts the rows" 4000 "$(json rows <first.json)"
for key in epochs samples_per_s checkpoint eval wall_s; do
    check "the JSON has $key" grep -q "\"$key\":" first.json
done
for task in click like finish; do
    check "the JSON has an AUC of $task" grep -qE "\"$task\": ?\{[^}]*\"auc\": ?0\.[0-9]" first.json
done
auc=$(json auc <first.json)
check "a learnable task is learnt (AUC $auc)" awk -v a="$auc" 'BEGIN { exit !(a > 0.7) }'
finish_rows=$(awk -F, 'NR > 1 && $9 > 0' eval.csv | wc -l | tr -d ' ')
check "absent labels are left out of a task's metrics" grep -qE "\"finish\": ?\{[^}]*\"rows\": ?${finish_rows}[,}]" first.json

for file in config.yaml environment.json status.json metrics.jsonl; do
    check "the run directory has $file" test -s runs/small/$file
done
check "the run directory has one folder of logs" test -d runs/small/logs
check "status.json says done" grep -qE '"state": ?"done"' runs/small/status.json
checkpoint=$(json checkpoint <first.json)
check "the checkpoint that the JSON names is there" test -f "$checkpoint/MANIFEST.json"
check "the log says that it is committed" grep -qr "committed" runs/small/logs

check "times in metrics.jsonl have milliseconds" grep -qE '"t":[0-9]{10}\.[0-9]{2,3}[,}]' runs/small/metrics.jsonl
parts() { # FILE: the parts of the time of every line, one a line
    grep -o '"times":{[^}]*}' "$1" | grep -oE ':-?[0-9][0-9.e+-]*' | tr -d ':'
}
expect_exit 0 "a run on two threads that waits for its rows" "$MTPS" train -c small.yaml --run-dir runs/split --json \
    --set cluster.threads=2 --set data.shuffle_window=64 --set 'log.every=1 step'
cp "$out" split.json
check "every line has the parts of the time" test "$(parts runs/split/metrics.jsonl | wc -l)" -ge 100
check "no part is negative" awk '$1 < 0 { exit 1 }' <(parts runs/split/metrics.jsonl)
check "together they are not more than the time that passed" \
    awk -v wall="$(json wall_s <split.json)" '{ s += $1 } END { exit !(NR == 5 && s > 0 && s <= wall) }' <(parts split.json)
# Weights hardly move at this rate, so every row's loss is that of the base rate,
# in the short batch at the end (4,000 = 31 x 128 + 32) as in the others.
last_loss() { grep '"kind":"train"' "$1/metrics.jsonl" | tail -n 1 | json click; }
still=(--set 'train.optimizer={sgd: {lr: 1e-9}}' --set 'tables.default.optimizer={sgd: {lr: 1e-9}}' --set 'log.every=1 step')
expect_exit 0 "a run that learns nothing" "$MTPS" train -c small.yaml "${still[@]}" --run-dir runs/still
base=$(awk -F, 'NR > 1 { n++; c += $6 } END { p = c / n; printf "%.4f", -p * log(p) - (1 - p) * log(1 - p) }' train.csv)
check "the last line's loss is the mean over its rows (near $base, is $(last_loss runs/still))" \
    awk -v a="$(last_loss runs/still)" -v b="$base" 'BEGIN { exit !(a > 0.7 * b && a < 1.3 * b) }'
expect_exit 0 "the same on two workers" ranks 3 "$MTPS" train -c small.yaml "${still[@]}" --servers 1 --run-dir runs/still-2
same "reports the same loss" "$(last_loss runs/still | cut -c 1-12)" "$(last_loss runs/still-2 | cut -c 1-12)"

expect_exit 0 "a run with three workers" ranks 5 "$MTPS" train -c small.yaml --servers 2 --run-dir runs/three
check "says at the start what a server needs for messages" \
    grep -qE ' job +step messages up to [0-9.]+ MiB; a server holds 3, up to [0-9.]+ MiB' "$err"

# One absurd number: its gradient is a float, but not what an optimiser would make of it.
awk -F, -v OFS=, 'NR == 1 { print $0, "huge" } NR > 1 { print $0, NR == 1500 ? "1e25" : "" }' train.csv >huge.csv
huge=(-c small.yaml --run-dir runs/huge --set data.eval=null --set 'data.train={files: [huge.csv]}'
    --set 'features=[{names: [user, item]}, {name: huge, kind: dense}]')
expect_exit 0 "a number of 1e25 in one row" "$MTPS" train "${huge[@]}"
same "costs the step that has it" 1 "$(grep '"kind":"train"' runs/huge/metrics.jsonl | tail -n 1 | json skipped)"
expect_exit 0 "and no row keeps infinity of it" "$MTPS" ckpt verify runs/huge

# A run that is killed may leave half a line.
printf '{"epoch":0.5,"ki' >>runs/huge/metrics.jsonl
expect_exit 0 "a run goes on" "$MTPS" train "${huge[@]}" --set train.epochs=2
check "half a line in metrics.jsonl is taken away" test -z "$(grep -v '^{.*}$' runs/huge/metrics.jsonl)"
same "and whole ones stay" 2 "$(grep -c '"kind":"checkpoint"' runs/huge/metrics.jsonl)"

before=$(digest runs/small)
expect_exit 0 "a finished run started again ends with 0" "$MTPS" train -c small.yaml --json
same "it trains nothing: the same digest" "$before" "$(digest runs/small)"
cut_times() { sed -E 's/"(wall_s|samples_per_s)": ?[^,}]*//g' "$1"; }
same "it prints the same JSON" "$(cut_times first.json)" "$(cut_times "$out")"

expect_error 73 'runs/small' "--resume never on a used directory is refused" \
    "$MTPS" train -c small.yaml --resume never
same "and nothing is overwritten" "$before" "$(digest runs/small)"
expect_error 66 '' "--resume require without a checkpoint is refused" \
    "$MTPS" train -c small.yaml --run-dir runs/none --resume require

expect_exit 0 "the same seed" "$MTPS" train -c small.yaml --run-dir runs/again
same "gives the same model, bit for bit" "$before" "$(digest runs/again)"
expect_exit 0 "another seed" "$MTPS" train -c small.yaml --seed 8 --run-dir runs/seed8
check "gives another model" test "$before" != "$(digest runs/seed8)"

expect_exit 0 "another seed uses the prepared data that is there" \
    "$MTPS" train -c small.yaml --seed 9 --run-dir runs/seed9
check "(it prepares nothing)" bash -c '! grep -qi "preparing\|prepared [0-9]" "$1"' _ "$err"

expect_exit 0 "without data.eval there is no evaluation" \
    "$MTPS" train -c small.yaml --set 'data.eval=null' --run-dir runs/noeval --json
expect_exit 0 "fewer rows than lanes are allowed" \
    "$MTPS" train -c small.yaml --set 'data.train={files: [train.csv], where: "day == 1 and price == 12"}' \
    --set 'train.batch_size=64' --run-dir runs/few

for type in lr dnn share_bottom omoe mmoe cgc ple; do
    expect_exit 0 "model.type $type trains on the same file" \
        "$MTPS" train -c small.yaml --set model.type=$type --set train.max_steps=5 --run-dir "runs/type-$type"
done
finish
