#!/usr/bin/env bash
# FTRL as a user meets it: every key does something, its state survives a checkpoint, and
# the bits are those of one process. (The arithmetic: unit.optim, golden.golden.)
. "${TOP:?}/tests/e2e/lib.sh"
small_data

# train NAME option...: twelve steps with FTRL everywhere, unless the options say otherwise
start=()
train() {
    local name=$1
    shift
    expect_exit 0 "$name trains" "${start[@]}" "$MTPS" train -c small.yaml --run-dir "runs/$name" \
        --set 'tables.default.optimizer={ftrl: {lr: 0.1, beta: 1e-3}}' \
        --set 'train.optimizer={ftrl: {lr: 0.02, beta: 1e-3}}' --set train.max_steps=12 "$@"
}
scores() { # NAME: what the model of that run predicts
    "$MTPS" predict --ckpt "runs/$1" -o "$1.csv" >/dev/null 2>&1 && md5sum <"$1.csv"
}

train plain
plain=$(scores plain)
for part in tables.default.optimizer train.optimizer; do
    for key in lr=0.05 beta=0.01 l1=0.001 l2=0.01; do
        train "$part.$key" --set "$part.ftrl.$key"
        check "and $part.ftrl.$key changes the predictions" test "$plain" != "$(scores "$part.$key")"
    done
done

train short --set train.max_steps=5
train short
same "a resumed run is the uninterrupted one: z and n are saved" "$(digest runs/plain)" "$(digest runs/short)"
start=(ranks 5)
train layout --servers 2 --set cluster.threads=2
same "2 servers and 3 workers: the same bits" "$(digest runs/plain)" "$(digest runs/layout)"

expect_error 64 'beta: 0 is out of range' "a beta of 0 is refused" \
    "$MTPS" train -c small.yaml --set 'train.optimizer={ftrl: {beta: 0}}' --run-dir runs/none
finish
