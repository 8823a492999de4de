#!/usr/bin/env bash
# Every shipped configuration is valid and trains.
. "${TOP:?}/tests/e2e/lib.sh"
cd "$TOP" || exit
for config in configs/*.yaml; do
    expect_exit 0 "$config is valid" "$MTPS" config check -c "$config"
    expect_exit 0 "its effective form is printed" "$MTPS" config show -c "$config"
    cp "$out" "$work/effective.yaml"
    expect_exit 0 "and is valid itself" "$MTPS" config check -c "$work/effective.yaml"
done
for name in kuairand-mmoe kuairand-w2 kuairand-watch census-mmoe; do
    expect_exit 0 "$name trains some steps" "$MTPS" train -c "configs/$name.yaml" --run-dir "$work/$name" -q \
        --set train.max_steps=4 --set data.eval=null --set data.cache="$work/cache"
done
check "a configuration for PaddleRec's samples has 25 lines at most" \
    bash -c 'for f in configs/paddlerec-*.yaml; do [ "$(wc -l <"$f")" -le 25 ] || exit 1; done'
finish
