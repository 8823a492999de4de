#!/usr/bin/env bash
# model.cross: every deep type takes cross layers; each key changes what is predicted;
# the same bits for all layouts; a resume goes on; tensors are kept by feature.
. "${TOP:?}/tests/e2e/lib.sh"
small_data

scores() { # RUN: a digest of its predictions
    "$MTPS" predict --ckpt "$1" --input eval.csv -o - -q 2>/dev/null | md5sum | cut -d' ' -f1
}
train() { # NAME option...
    local name=$1
    shift
    expect_exit 0 "$name trains" "$MTPS" train -c small.yaml -q --run-dir "runs/$name" \
        --set train.max_steps=12 --set data.eval=null "$@"
}

# ---- each key does something
all=()
for cross in '{}' '{layers: 1}' '{layers: 2}' '{layers: 2, rank: 3}' '{layers: 2, rank: 5}'; do
    train "mmoe-${#all[@]}" --set "model.cross=$cross"
    all+=("$(scores "runs/mmoe-${#all[@]}")")
done
same "five settings of model.cross make five models" 5 "$(printf '%s\n' "${all[@]}" | sort -u | wc -l)"
for type in dnn share_bottom omoe cgc ple; do
    train "$type-0" --set model.type=$type
    train "$type-2" --set model.type=$type --set 'model.cross={layers: 2, rank: 4}'
    check "cross layers change $type" test "$(scores "runs/$type-0")" != "$(scores "runs/$type-2")"
done
train lr-0 --set model.type=lr
train lr-2 --set model.type=lr --set model.cross.layers=2
same "lr has none" "$(scores runs/lr-0)" "$(scores runs/lr-2)"
expect_exit 0 "config show" "$MTPS" config show -c small.yaml --set model.type=lr --set model.cross.layers=2
check "says so" grep -qE '^    layers: 2 .*not used by type lr' "$out"
expect_exit 0 "a rank without layers" "$MTPS" config check -c small.yaml --set model.cross.rank=4
check "is a warning" grep -q 'model.cross.rank does nothing' "$err"
expect_error 64 'model.cross.layers: 65 is out of range' "too many layers" "$MTPS" config check -c small.yaml --set model.cross.layers=65
expect_error 64 "unknown key 'ranks'" "a misspelt key" "$MTPS" config check -c small.yaml --set model.cross.ranks=4

# ---- the same bits
cross=(--set 'model.cross={layers: 2, rank: 4}' --set train.max_steps=12 --set data.eval=null)
want=$(digest runs/ple-2)
for layout in 2,1 3,1 4,2; do
    expect_exit 0 "ple on ${layout%,*} ranks, ${layout#*,} servers" ranks "${layout%,*}" "$MTPS" train -c small.yaml -q \
        --servers "${layout#*,}" --run-dir "runs/ple-$layout" --set model.type=ple "${cross[@]}"
    same "the same model" "$want" "$(digest "runs/ple-$layout")"
done
expect_exit 0 "half of the steps" "$MTPS" train -c small.yaml -q --run-dir runs/half --set model.type=ple "${cross[@]}" --set train.max_steps=6
expect_exit 0 "and the rest" "$MTPS" train -c small.yaml -q --run-dir runs/half --set model.type=ple "${cross[@]}"
same "are the same model" "$want" "$(digest runs/half)"
sed '/^  - {names: \[user, item\]}/d; s/^tables:/  - {names: [item, user]}\n&/' small.yaml >moved.yaml
expect_exit 0 "features in another order" "$MTPS" train -c moved.yaml -q --run-dir runs/moved --set model.type=ple "${cross[@]}"
same "make the same model" "$want" "$(digest runs/moved)"

# ---- sizes
expect_exit 0 "equal parameters" "$MTPS" compare -c small.yaml --vary 'model.cross.layers=0,1' --set model.cross.rank=4 \
    --set 'model.experts.layers=[64]' --equal-params --dry-run --json
check "are reached by narrower experts" awk -v text="$(grep -o '"deviation":[-0-9.e]*' "$out" | tail -n 1)" \
    'BEGIN { split(text, a, ":"); exit !(a[2] > -0.05 && a[2] < 0.05 && a[2] != 0) }'
expect_exit 0 "bench step" "$MTPS" bench step -c small.yaml --rounds 1 --json --set 'model.cross={layers: 2}'
check "has a bound" grep -qE '"ratio": ?[0-9]' "$out"
cd "$TOP" || exit
expect_exit 0 "the shipped configuration trains some steps" "$MTPS" train -c configs/kuairand-dcn.yaml --run-dir "$work/dcn" -q \
    --set train.max_steps=4 --set data.eval=null --set data.cache="$work/cache"
finish
