#!/usr/bin/env bash
# importance: what says something has a drop, noise has none, on any number of workers.
. "${TOP:?}/tests/e2e/lib.sh"

# click follows a, and b a little; noise says nothing.
table() { # FIRST LAST
    awk -v first="$1" -v last="$2" 'BEGIN {
        print "a,b,noise,tags,click,time"
        for (i = first; i <= last; i++) {
            a = (i * 7919) % 23; b = (i * 104729) % 17; h = (i * 2654435761) % 1000 / 1000
            click = (a % 2 ? 0.8 : 0.2) + (b % 3 ? 0.05 : -0.1) > h
            printf "%d,%d,%d,t%d t%d,%d,%.3f\n", a, b, (i * 31337) % 29, a, (i * 31) % 7, click, a * (0.5 + h)
        }
    }'
}
table 1 6000 >train.csv
table 6001 9000 >eval.csv
cat >small.yaml <<'YAML'
version: 1
name: small
seed: 7
data: {train: {files: [train.csv]}, eval: {files: [eval.csv]}}
features:
  - {names: [a, b, noise]}
  - {name: number, column: a, kind: dense, transform: [standardize]}
  - {name: tags, split: " "}
tasks: {click: {label: click}, time: {label: time, loss: log_mse}}
model: {type: mmoe, experts: {count: 2, layers: [16]}, towers: {layers: [8]}}
train: {batch_size: 128, lanes: 4, epochs: 3, optimizer: {adam: {lr: 0.003}}}
YAML
drop_of() { # FEATURE TASK: the object of this feature alone
    tr '{' '\n' <"$out" >objects
    awk -v f="\"feature\":\"$1\"" -v t="\"$2\":" 'index($0, f) { on = 1 } on && wanted { split($0, v, /[:,}]/); print v[2]; exit }
        on && $0 ~ t { wanted = 1 }' objects
}
within() { # LOW VALUE HIGH
    awk -v low="$1" -v v="$2" -v high="$3" 'BEGIN { exit !(v != "" && v >= low && v <= high) }'
}

expect_exit 0 "a model" "$MTPS" train -c small.yaml --json
auc=$(json auc <"$out")
expect_exit 0 "importance of every feature" "$MTPS" importance --ckpt runs/small --feature a,number,tags --feature noise \
    --feature b --feature number --repeats 4 --json
cp "$out" one.json
same "begins with the figures of untouched rows" "$auc" "$(json auc <"$out")"
same "and the number of rows" 3000 "$(json rows <"$out")"
check "moving all that says it leaves nothing of the AUC" within 0.2 "$(drop_of a,number,tags click)" 0.4
check "nor of the order of times" within 0.2 "$(drop_of a,number,tags time)" 0.5
check "the feature that says a little has a small drop" within 0.005 "$(drop_of b click)" 0.1
check "noise has none" within -0.01 "$(drop_of noise click)" 0.01
check "nor for times" within -0.01 "$(drop_of noise time)" 0.01
check "what others repeat has less than all together" \
    within -0.01 "$(drop_of number click)" "$(drop_of a,number,tags click)"
same "the largest comes first" "a,number,tags" "$(json feature <"$out")"

expect_exit 0 "on two workers" ranks 3 "$MTPS" importance --ckpt runs/small --feature a,number,tags --feature noise \
    --feature b --feature number --repeats 4 --json
same "the same bits" "$(cat one.json)" "$(cat "$out")"
expect_exit 0 "a feature alone" "$MTPS" importance --ckpt runs/small --feature noise --repeats 4 --json
same "has the number it has among others" "$(sed 's/.*\("feature":"noise"[^}]*}\).*/\1/' one.json)" \
    "$(sed 's/.*\("feature":"noise"[^}]*}\).*/\1/' "$out")"
expect_exit 0 "without --feature" "$MTPS" importance --ckpt runs/small --repeats 1
same "there is a line per feature" 7 "$(wc -l <"$out")"
expect_error 64 "no feature 'nois'" "a feature that is not there" "$MTPS" importance --ckpt runs/small --feature nois
expect_error 64 "repeats" "no repeats" "$MTPS" importance --ckpt runs/small --repeats 0
finish
