#!/usr/bin/env bash
# Funnels: what later steps mean, what is written and measured about them, on any
# layout; and what ESMM is for: conversion rates of rows that nobody clicked.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
config funnel | sed '/^model:/a\  funnel: [click, like]' >funnel.yaml

metric() { sed "s/.*\"$1\"//" "$3" | json "$2"; } # SCORE METRIC JSON-FILE
clicked=$(awk -F, 'NR > 1 && $6 == 1' eval.csv | wc -l)
long=$(awk -F, 'NR > 1 && $9 > 0' eval.csv | wc -l)

# ---- scores and metrics, for every kind of model
for type in esmm aitm mmoe; do
    expect_exit 0 "$type trains on a funnel" "$MTPS" train -c funnel.yaml --run-dir "runs/$type" --set "model.type=$type" --json
    cp "$out" "$type.json"
    same "the joint step is measured on all rows" 1000 "$(metric like rows "$type.json")"
    same "given the step before on its rows alone" "$clicked" "$(metric 'like|click' rows "$type.json")"
    same "tasks outside of it stay as they are" "$long" "$(metric finish rows "$type.json")"
    check "metrics.jsonl has all of them" grep -q '"like|click":{"auc"' "runs/$type/metrics.jsonl"
    expect_exit 0 "predict" "$MTPS" predict --ckpt "runs/$type" --keep user -o "$type.csv"
    same "a column for every task, then for the later step" "user,click,like,finish,like|click" "$(head -n 1 "$type.csv")"
    expect_exit 0 "export it" "$MTPS" export --ckpt "runs/$type" -o "b/$type"
    expect_exit 0 "predict with the bundle" "$MTPS" predict --bundle "b/$type" --keep user -o bundle.csv --json
    check "gives the same file" cmp "$type.csv" bundle.csv
    same "and the metrics of training, also of the later step" "$(sed 's/.*"eval"://; s/},"wall_s.*//; s/}*$//' "$type.json")" \
        "$(sed 's/.*"eval"://; s/}*$//' "$out")"
    expect_exit 0 "verify-export" "$MTPS" verify-export --ckpt "runs/$type" --bundle "b/$type"
    check "the later step given the one before is their ratio, below 1" \
        awk -F, 'NR > 1 { r = $3 / $2; if (r > 0.999999) r = 0.999999; d = $5 - r; bad += d * d > 1e-10 || $5 >= 1 } END { exit bad || NR < 1001 }' "$type.csv"
done
check "esmm: a like is never likelier than a click" awk -F, 'NR > 1 && $3 > $2 { bad = 1 } END { exit bad }' esmm.csv
check "types learn different things" test "$(sort -u <(md5sum <esmm.csv) <(md5sum <aitm.csv) <(md5sum <mmoe.csv) | wc -l)" = 3

# ---- the same bits for any layout
for type in esmm aitm; do
    expect_exit 0 "$type on two workers and a server" ranks 3 "$MTPS" train -c funnel.yaml --run-dir "runs/$type-3" --set "model.type=$type" --set cluster.threads=2
    same "has the same bits" "$(digest "runs/$type")" "$(digest "runs/$type-3")"
done
expect_exit 0 "eval on two workers" ranks 3 "$MTPS" eval --ckpt runs/esmm --json
same "gives the same numbers" "$(grep -oE '"eval":([^}]*}){4}' esmm.json)" "$(grep -oE '"eval":([^}]*}){4}' "$out")"
expect_exit 0 "eval by day" "$MTPS" eval --ckpt runs/esmm --by day --json
check "has the later step in every slice" grep -q '"11":{"click":.*"like|click":' "$out"
expect_exit 0 "importance" "$MTPS" importance --ckpt runs/esmm --json
check "has a figure for it" grep -q '"like|click"' "$out"
{ head -n 1 eval.csv; sed -n 501p eval.csv; } | cut -d, -f1-5 >alone.csv
expect_exit 0 "a row alone, without labels" "$MTPS" predict --ckpt runs/aitm --input alone.csv --keep user -o alone.out
same "has the bits it has among a thousand" "$(sed -n 501p aitm.csv)" "$(sed -n 2p alone.out)"

# ---- options of aitm do something, also where steps are about equally likely
for option in constraint=0.6 constraint=0 stop_gradient=true; do
    expect_exit 0 "aitm with $option" "$MTPS" train -c funnel.yaml --run-dir "runs/$option" --set model.type=aitm --set 'model.funnel=[like, click]' --set "model.aitm.$option" -q
    expect_exit 0 "predict" "$MTPS" predict --ckpt "runs/$option" --keep user -o "$option.csv"
done
for option in constraint=0 stop_gradient=true; do
    check "$option predicts something else" test "$(md5sum <$option.csv)" != "$(md5sum <constraint=0.6.csv)"
done

# ---- three steps, one of them an expression; the best step is watched
sed 's/like\]/like, fan]/; s/^tasks:/tasks:\n  fan: {label: "like == 1 and play > 5"}/' funnel.yaml >three.yaml
for type in esmm aitm; do
    expect_exit 0 "$type takes three steps" "$MTPS" train -c three.yaml --run-dir "runs/$type-fan" --set "model.type=$type" --json \
        --set 'data.valid={fraction: 0.2}' --set train.epochs=2 --set 'train.early_stop={task: "like|click", metric: logloss, patience: 1}'
    check "and has both later ones" grep -q '"like|click":{.*"fan|like":{' "$out"
done
expect_exit 0 "compare" "$MTPS" compare -c funnel.yaml --vary model.type=share_bottom,esmm --seeds 1 --out runs/compare --set train.max_steps=8
check "compares the later step, too" grep -q '^like|click ' "$out"

# ---- data that is not what a funnel says
awk -F, -v OFS=, 'NR > 1 && NR % 100 == 0 { $6 = 0; $7 = 1 } 1' train.csv >odd.csv
sed 's/train.csv/odd.csv/; s/name: funnel/name: odd/' funnel.yaml >odd.yaml
expect_exit 0 "likes without a click" "$MTPS" train -c odd.yaml --set model.type=esmm --set train.max_steps=2
check "are counted and named" grep -q 'model.funnel: 40 training rows have like without click: they count as no like' "$err"
expect_exit 0 "data stats" "$MTPS" data stats -c odd.yaml --json
same "counts them, too" 40 "$(metric like violations "$out")"
same "as no like" "$(awk -F, 'NR > 1 && $6 == 1 && $7 == 1' odd.csv | wc -l)" "$(metric like sum "$out" | cut -d. -f1)"
sed 's/like: {label: like}/like: {label: like, present: "click == 1"}/; s/name: funnel/name: gaps/' funnel.yaml >gaps.yaml
expect_exit 0 "likes that are known after a click alone" "$MTPS" train -c gaps.yaml --set model.type=esmm --set train.max_steps=2
check "are not made to be 0, and this is said" grep -q 'no training row without click has a label of like' "$err"

# ---- refused
sed 's/, like\]/, lik]/' funnel.yaml >misspelt.yaml
expect_error 64 'misspelt.yaml:[0-9]+:[0-9]+: model.funnel: there is no task .lik' "a step that is no task" "$MTPS" train -c misspelt.yaml
expect_error 64 "needs 'model.funnel'" "esmm without a funnel" "$MTPS" train -c funnel.yaml --set model.type=esmm --set model.funnel=null
expect_error 78 'model.funnel' "another funnel on resume" "$MTPS" train -c funnel.yaml --run-dir runs/esmm --set model.type=esmm --set 'model.funnel=[like, click]' --set train.epochs=2
expect_error 64 'like.click' "a kept column with the name of a score" "$MTPS" predict --ckpt runs/esmm --keep 'like|click' -o no.csv

# ---- the rate after a click, on rows with and without one, against the known one
expect_exit 0 "a funnel with known rates" "$MTPS" data synth funnel -o f --rows 200000 --ids 50 --correlation 0.9 --rate 0.1,0.3 --interaction 0
sed '/^  click:/d; /^  funnel:/d; s/synth-funnel/alone/; s/\(train.csv"\]\)/\1, where: "click == 1"/' f/config.yaml >f/alone.yaml
towers=(--set 'model.bottom.layers=[]' -q)
expect_exit 0 "esmm trains on all rows" "$MTPS" train -c f/config.yaml "${towers[@]}"
expect_exit 0 "the same tower on clicked rows alone" "$MTPS" train -c f/alone.yaml --set model.type=share_bottom "${towers[@]}"
# mean / true mean, and the mean divergence from the known rate, of the last column
quality() {
    awk -F, 'NR > 1 { p = $NF; t = $1; m += p; s += t; kl += t * log(t / p) + (1 - t) * log((1 - t) / (1 - p)) }
             END { print m / s, kl / (NR - 1) }' "$1"
}
for run in synth-funnel alone; do
    expect_exit 0 "predict all rows" "$MTPS" predict --ckpt "runs/$run" --input f/eval.csv --keep true_cvr -o "$run.csv"
done
read -r esmm_ratio esmm_kl < <(quality synth-funnel.csv)
read -r alone_ratio alone_kl < <(quality alone.csv)
echo "      esmm: mean / true mean $esmm_ratio, divergence $esmm_kl; clicked rows alone: $alone_ratio, $alone_kl"
check "esmm's mean rate is within a tenth of the known one" awk -v r="$esmm_ratio" 'BEGIN { exit !(r > 0.9 && r < 1.1) }'
check "and is three times nearer to it than that of clicked rows alone" \
    awk -v a="$esmm_ratio" -v b="$alone_ratio" 'function off(x) { return x > 1 ? x - 1 : 1 - x } BEGIN { exit !(3 * off(a) < off(b)) }'
check "row by row, it diverges less than half as much" awk -v a="$esmm_kl" -v b="$alone_kl" 'BEGIN { exit !(2 * a < b) }'
finish
