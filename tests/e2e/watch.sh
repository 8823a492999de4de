#!/usr/bin/env bash
# Watch-time heads: predictions are times, metrics compare times, and any layout gives
# the same figures.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
config watch | sed '/^tasks:/,/^model:/{/^  [a-z]*: {label/d}' >watch.yaml
sed -i 's/^tasks:/tasks:\n  odds: {label: play, present: "length > 0", loss: weighted_logistic}\n  share: {label: play, duration: length, loss: completion}\n  logs: {label: play, present: "length > 0", loss: log_mse}/' watch.yaml
sed -i 's/^features:/features:\n  - {name: long, kind: dense, column: length, transform: [log1p, standardize]}/' watch.yaml

expect_exit 0 "three heads train" "$MTPS" train -c watch.yaml --set train.epochs=4 --json
cp "$out" train.json
for task in odds share logs; do
    check "$task orders times better than chance" awk -v x="$(sed "s/.*\"$task\"//" train.json | json xauc)" 'BEGIN { exit !(x > 0.6 && x <= 1) }'
done
check "a time has no auc" bash -c '! grep -q "\"auc\"" train.json'
same "every head has its figures on the rows with a length" "1" \
    "$(sed 's/.*"eval"//' train.json | grep -oE '"rows":[0-9]+' | sort -u | wc -l)"

expect_exit 0 "eval on two workers" ranks 3 "$MTPS" eval --ckpt runs/watch --json
metrics() { grep -o '"eval":{.*' "$1" | sed 's/}}.*//'; }
same "gives the same numbers" "$(metrics train.json)" "$(metrics "$out")"
check "of every head" bash -c '[[ $1 == *\"odds\"*\"share\"*\"logs\"* ]]' _ "$(metrics train.json)"
expect_exit 0 "eval by length" "$MTPS" eval --ckpt runs/watch --by "floor(length / 10)" --json
check "has every bucket" grep -q '"1":.*"2":' "$out"
check "with an xauc" grep -q '"2":{"odds":{[^}]*"xauc"' "$out"

expect_exit 0 "predict" "$MTPS" predict --ckpt runs/watch --keep play,length -o p.csv
check "a completion is no longer than the video" \
    awk -F, 'NR > 1 && ($4 < 0 || $4 > $2) { bad = 1 } END { exit bad || NR < 2 }' p.csv
check "and 0 without one" awk -F, 'NR > 1 && $2 == 0 { n++; bad += $4 != 0 } END { exit bad || !n }' p.csv
check "odds and logs are times" awk -F, 'NR > 1 && ($3 <= 0 || $5 < 0) { bad = 1 } END { exit bad }' p.csv
check "their mean is the mean time, within a fifth" \
    awk -F, 'NR > 1 && $2 > 0 { t += $1; o += $3; } END { exit !(o > 0.8 * t && o < 1.2 * t) }' p.csv

cut -d, -f1-7,9 eval.csv >nolabels.csv
expect_exit 0 "rows without the time" "$MTPS" predict --ckpt runs/watch --input nolabels.csv --keep length -o q.csv
same "have the same predictions" "$(cut -d, -f3- p.csv | md5sum)" "$(cut -d, -f2- q.csv | md5sum)"
cut -d, -f1-8 eval.csv >nolength.csv
expect_error 64 'length' "rows without the length have none" "$MTPS" predict --ckpt runs/watch --input nolength.csv -o r.csv

expect_exit 0 "early stopping by xauc" "$MTPS" train -c watch.yaml --run-dir runs/stop \
    --set 'data.valid={fraction: 0.2}' --set train.epochs=3 --set 'train.early_stop={task: share, metric: xauc, patience: 1}'
expect_exit 0 "the same heads on two workers and a server" ranks 3 "$MTPS" train -c watch.yaml --set train.epochs=4 --run-dir runs/two
same "are the same bits" "$(digest runs/watch)" "$(digest runs/two)"
finish
