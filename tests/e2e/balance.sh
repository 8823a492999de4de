#!/usr/bin/env bash
# model.balance: every kind trains another model, the same for any layout and after a
# resume, fits in a comparison, and is refused in words where it cannot work.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
common=(-c small.yaml --set data.eval=null -q)
dwa='{dwa: {window: 5, temperature: 0.5}}' # 5 does not divide the steps of the parts below

train() { # NAME BALANCE option...
    local name=$1 balance=$2
    shift 2
    expect_exit 0 "$name trains" "${start[@]}" "$MTPS" train "${common[@]}" --run-dir "runs/$name" \
        --set "model.balance=$balance" "$@"
}
scores() { # RUN: hash of its predictions
    "$MTPS" predict --ckpt "$1" --input eval.csv -o scores.csv -q >/dev/null 2>&1 && sha256sum <scores.csv
}

start=()
train fixed fixed
fixed=$(scores runs/fixed)
for balance in uncertainty "$dwa" pcgrad mgda; do
    name=$(tr -cd a-z <<<"${balance%%:*}")
    start=()
    train "$name" "$balance" --set cluster.threads=1
    check "$name is not fixed" test "$(scores "runs/$name")" != "$fixed"
    want=$(digest "runs/$name")
    train "$name-threads" "$balance" --set cluster.threads=2
    same "$name with two threads" "$want" "$(digest "runs/$name-threads")"
    start=(ranks 5)
    train "$name-ranks" "$balance" --servers 2
    same "$name on 2 servers and 3 workers" "$want" "$(digest "runs/$name-ranks")"
    start=()
    train "$name-parts" "$balance" --set train.max_steps=13
    start=(ranks 3)
    train "$name-parts" "$balance" --servers 1 --set train.max_steps=24
    start=()
    train "$name-parts" "$balance" --resume require
    same "$name after two resumes, one on other ranks" "$want" "$(digest "runs/$name-parts")"
done

check "weights of dwa are in metrics.jsonl" grep -q '"weights":{"click":[0-9.]*,' runs/dwa/metrics.jsonl
expect_exit 0 "log variances are tensors of the checkpoint" "$MTPS" ckpt show runs/uncertainty
train other '{dwa: {window: 7, temperature: 0.5}}'
check "another window is another model" test "$(digest runs/other)" != "$(digest runs/dwa)"
train other2 '{dwa: {window: 5, temperature: 3}}'
check "so is another temperature" test "$(digest runs/other2)" != "$(digest runs/dwa)"
expect_error 78 'model.balance' "a run does not go on with another balance" \
    "$MTPS" train "${common[@]}" --run-dir runs/dwa --set model.balance=mgda

for type in share_bottom omoe cgc ple; do
    train "$type" fixed --set "model.type=$type"
    train "$type-pcgrad" pcgrad --set "model.type=$type"
    check "pcgrad changes $type" test "$(scores "runs/$type")" != "$(scores "runs/$type-pcgrad")"
done
expect_error 64 '--set.*model.balance: pcgrad compares .* in this dnn there is none of them' "pcgrad of dnn is refused" \
    "$MTPS" config check -c small.yaml --set model.type=dnn --set model.balance=pcgrad
expect_error 64 'model.balance: mgda .* this cgc' "mgda without shared experts is refused" \
    "$MTPS" config check -c small.yaml --set model.type=cgc --set model.experts.shared=0 --set model.balance=mgda
for type in esmm aitm; do
    expect_error 64 "in this $type a step's loss comes there through the towers of several" "pcgrad of $type is refused" \
        "$MTPS" config check -c small.yaml --set "model={type: $type, funnel: [click, like], balance: pcgrad}" --set 'model.towers.layers=[8]'
done
expect_error 64 'pcgrd' "a word that is none is refused" "$MTPS" config check -c small.yaml --set model.balance=pcgrd
check "with the nearest" grep -q "did you mean 'pcgrad'" "$err"

expect_exit 0 "compare varies the balance" "$MTPS" compare -c small.yaml --set train.max_steps=8 \
    --vary 'model.balance=fixed,uncertainty,{dwa: {window: 2}},pcgrad,mgda' --out cmp --json
same "five cells" 5 "$(grep -o '"state": *"done"' "$out" | wc -l)"
finish
