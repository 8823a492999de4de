#!/usr/bin/env bash
# Gate and expert health in metrics.jsonl and the log: there at every evaluation, the same
# for any layout, of use to compare's page, and without a trace in the model.
. "${TOP:?}/tests/e2e/lib.sh"
rows 1 4000 >train.csv
rows 4001 9000 >eval.csv # five blocks of rows
config health >health.yaml
common=(-c health.yaml --set 'data.valid={files: [eval.csv]}' --set 'train.eval_every=20 steps')
health() { # RUN KIND: evaluation lines of the run without their time
    grep "\"kind\":\"$2\"" "$1/metrics.jsonl" | sed -E 's/"t":[0-9.]+/"t":0/'
}

expect_exit 0 "a run" "$MTPS" train "${common[@]}" --run-dir runs/one --set cluster.threads=1
cp "$err" log
check "says its health at validation" grep -q 'valid .*health .*least gate entropy 0\.[0-9]* (0/' log
check "and at evaluation" grep -q 'eval .*health .*least gradient cosine -\?0\.[0-9]* (' log
same "every validation has gates" "$(health runs/one valid | wc -l)" "$(health runs/one valid | grep -c '"gates":{"0/click":\[')"
for key in gates entropy dead cosine; do
    check "the line of the evaluation has $key" grep -q "\"$key\":{" <(health runs/one eval)
done
check "loads of a gate add up to 1" awk -v line="$(health runs/one eval)" 'BEGIN {
    sub(/.*"0\/click":\[/, "", line); sub(/\].*/, "", line); n = split(line, w, ",")
    for (i = 1; i <= n; i++) sum += w[i]
    exit !(n == 4 && sum > 0.999999 && sum < 1.000001) }'

expect_exit 0 "two threads" "$MTPS" train "${common[@]}" --run-dir runs/threads --set cluster.threads=2
same "the same health, to the last digit" "$(health runs/one eval)" "$(health runs/threads eval)"
expect_exit 0 "2 servers and 3 workers" ranks 5 "$MTPS" train "${common[@]}" --run-dir runs/ranks --servers 2
same "the same health" "$(health runs/one eval)" "$(health runs/ranks eval)"
same "the same at every validation" "$(health runs/one valid)" "$(health runs/ranks valid)"

# What eval says of the final checkpoint is what training said of it at its end.
of() { sed 's/.*"health"://'; }
first_load() { sed 's/.*"gates":{"0\/click":\[//' | cut -c1-12; }
expect_exit 0 "eval" "$MTPS" eval --ckpt runs/one --json
cp "$out" eval.json
check "says it in the log" grep -q 'eval .*health .*least gate entropy 0\.[0-9]* (0/' "$err"
same "and in its JSON: what training said" "$(health runs/one eval | first_load)" "$(of <eval.json | first_load)"
expect_exit 0 "eval on two workers" ranks 3 "$MTPS" eval --ckpt runs/one --json
same "says the same" "$(of <eval.json)" "$(of <"$out")"
expect_exit 0 "eval --on valid" "$MTPS" eval --ckpt runs/one --on valid --json -q
check "has that of the validation rows" grep -q '"health":{"gates":{' "$out"

expect_exit 0 "a run that is never evaluated" "$MTPS" train -c health.yaml --set data.eval=null --run-dir runs/blind
same "is the same model" "$(digest runs/blind)" "$(digest runs/one)"

expect_exit 0 "a model without gates" "$MTPS" train "${common[@]}" --run-dir runs/dnn --set model.type=dnn
check "has dead units" grep -q '"dead":{"dnn/click":' <(health runs/dnn eval)
check "and neither gates nor cosines" bash -c '! grep -qE "gates|entropy|cosine"' _ <(health runs/dnn eval)
expect_exit 0 "experts that start dead" "$MTPS" train "${common[@]}" --run-dir runs/dead \
    --set 'train.optimizer={sgd: {lr: 100}}' --set train.max_steps=20
check "are seen" awk -v line="$(health runs/dead eval)" 'BEGIN {
    sub(/.*"dead":\{/, "", line); sub(/\}.*/, "", line); n = split(line, w, ",")
    for (i = 1; i <= n; i++) { sub(/.*:/, "", w[i]); if (w[i] + 0 > worst) worst = w[i] + 0 }
    exit !(worst > 0.2) }'

expect_exit 0 "a comparison" "$MTPS" compare -c health.yaml --vary model.type=mmoe,ple --set train.max_steps=20 \
    --out cmp --json
check "draws the gates" grep -q 'mmoe: mean gate weights' cmp/compare.html
check "of ple, too" grep -q 'ple: mean gate weights' cmp/compare.html
finish
