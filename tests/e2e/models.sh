#!/usr/bin/env bash
# fm, wide_deep and deepfm as a user meets them: they learn, every key of theirs does
# something, the bits do not depend on the layout, state survives a checkpoint, mistakes
# are named. (The arithmetic: golden.golden, unit.model_gradient.)
. "${TOP:?}/tests/e2e/lib.sh"
small_data
cat >wide.yaml <<YAML
version: 1
name: wide
include: small.yaml
features:
  - {name: user_item, cross: [user, item]}
  - {name: level, kind: one_hot, column: length}
model:
  wide: {features: [user, item, user_item, price, level]}
  bottom: {layers: [16, 8]}
tables: {default: {optimizer: {adagrad: {lr: 0.03}}}}
YAML

start=()
train() { # NAME option...
    local name=$1
    shift
    expect_exit 0 "$name trains" "${start[@]}" "$MTPS" train -c wide.yaml --run-dir "runs/$name" --json "$@"
}
scores() { # NAME: what the model of that run predicts
    "$MTPS" predict --ckpt "runs/$1" -o "$1.csv" >/dev/null 2>&1 && md5sum <"$1.csv"
}
changes() { # NAME option...: these options change the predictions of the run `plain`
    local name=$1
    shift
    train "$name" --set model.type="$type" "$@" --set train.max_steps=12
    check "$type: and $name changes the predictions" test "$plain" != "$(scores "$name")"
}

for type in fm wide_deep deepfm; do
    start=()
    train "$type" --set model.type=$type
    auc=$(json auc <"$out")
    check "$type learns what is learnable (AUC of click $auc)" awk -v a="$auc" 'BEGIN { exit !(a > 0.7) }'
    expect_exit 0 "its checkpoint is whole" "$MTPS" ckpt verify "runs/$type"
    check "it has a table of wide weights" bash -c '"$1" ckpt show "$2" | grep -q "wide/user"' _ "$MTPS" "runs/$type"

    train "$type-part" --set model.type=$type --set train.max_steps=7
    train "$type-part" --set model.type=$type
    same "$type: a resumed run is the uninterrupted one" "$(digest "runs/$type")" "$(digest "runs/$type-part")"
    for layout in "1 1 2" "2 3 1"; do
        read -r s w t <<<"$layout"
        start=(ranks $((s + w)))
        train "$type-$s-$w-$t" --set model.type=$type --servers "$s" --set cluster.threads="$t"
        same "$type: $s servers, $w workers, $t threads: the same bits" "$(digest "runs/$type")" \
            "$(digest "runs/$type-$s-$w-$t")"
    done
    start=()

    train "$type-plain" --set model.type=$type --set train.max_steps=12
    plain=$(scores "$type-plain")
    for key in lr=0.02 beta=0.01 l1=0.001 l2=0.1; do
        changes "$type-wide.optimizer.$key" --set model.wide.optimizer.ftrl.$key
    done
    changes "$type-tables" --set tables.default.optimizer.adagrad.lr=0.05
    changes "$type-seed" --set seed=8
    [ $type = fm ] || changes "$type-bottom" --set 'model.bottom.layers=[16]'
done
type=wide_deep
plain=$(scores wide_deep-plain)
changes "wide_deep-features" --set 'model.wide.features=[user, user_item]'
changes "wide_deep-only-none" --set 'model.wide.only=[]'
changes "wide_deep-only-user" --set 'model.wide.only=[user]'

# ---- the wide part's optimiser is its own
still=(--set 'train.optimizer={sgd: {lr: 0}}' --set 'tables.default.optimizer={sgd: {lr: 0}}')
train still --set model.type=wide_deep "${still[@]}" --set 'model.wide.optimizer={sgd: {lr: 0}}'
train moved --set model.type=wide_deep "${still[@]}" --set 'model.wide.optimizer={sgd: {lr: 0.5}}'
train numbers --set model.type=wide_deep "${still[@]}" --set 'model.wide.optimizer={sgd: {lr: 0.5}}' \
    --set 'model.wide.features=[price, level]'
check "ids: it moves them when nothing else moves" test "$(scores still)" != "$(scores moved)"
check "so it does numbers and levels" test "$(scores still)" != "$(scores numbers)"

# ---- one task, one feature
for type in fm deepfm; do
    expect_exit 0 "$type of one feature and one task" "$MTPS" train -c small.yaml --run-dir "runs/$type-one" \
        --set model.type=$type --set 'features=[{name: user}]' --set 'tasks={click: {label: click}}' --set train.max_steps=5
done

# ---- what is said
expect_error 64 "model.wide.features: there is no feature 'usr'" "a name in the wide part that is no feature's" \
    "$MTPS" config check -c wide.yaml --set model.type=wide_deep --set 'model.wide.features=[usr]'
check "and the nearest one is offered" grep -q "did you mean 'user'" "$err"
expect_error 64 "needs 'model.wide.features'" "wide_deep without wide features" \
    "$MTPS" config check -c small.yaml --set model.type=wide_deep
expect_error 64 "feature item has dim 4" "fields with vectors of two lengths" \
    "$MTPS" train -c wide.yaml --set model.type=fm --set 'tables.item={dim: 4}' --run-dir runs/dims
expect_exit 0 "config show" "$MTPS" config show -c wide.yaml --set model.type=fm
check "marks what fm does not use" grep -qE 'features: \[user, item, user_item, price, level\].*not used by type fm' "$out"
check "and not what it does" grep -q 'beta: 1e-4  # default$' "$out"

for type in fm wide_deep deepfm; do
    expect_exit 0 "bench step of $type" "$MTPS" bench step -c wide.yaml --set model.type=$type --rounds 1 --seconds 0.05 --json
    check "has a ratio" grep -qE '"ratio": ?[0-9]' "$out"
done
expect_exit 0 "bench step of lr over ids alone" "$MTPS" bench step -c wide.yaml --set model.type=lr \
    --set 'features=[{name: user}]' --rounds 1 --seconds 0.05 --json
check "has no matrix products, and says so" grep -q '"ratio": \?null' "$out"
expect_exit 0 "compare at equal parameters" "$MTPS" compare -c wide.yaml --vary model.type=dnn,wide_deep,deepfm \
    --equal-params --dry-run --json
finish
