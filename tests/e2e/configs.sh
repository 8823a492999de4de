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
for name in kuairand-mmoe kuairand-w2 kuairand-watch kuairand-hot-base census-mmoe; do
    expect_exit 0 "$name trains some steps" "$MTPS" train -c "configs/$name.yaml" --run-dir "$work/$name" -q \
        --set train.max_steps=4 --set data.eval=null --set data.cache="$work/cache"
done
expect_exit 0 "kuairand-hot goes on from kuairand-hot-base" "$MTPS" train -c configs/kuairand-hot.yaml -q \
    --set hot_start.from="$work/kuairand-hot-base" --run-dir "$work/kuairand-hot" --set train.max_steps=4 \
    --set data.eval=null --set data.valid=null --set data.cache="$work/cache"

# check says what training would say, without reading rows.
rows 1 50 >"$work/train.csv"
cp "$work/train.csv" "$work/eval.csv"
config small >"$work/small.yaml"
cd "$work" || exit
expect_exit 0 "a small configuration is valid" "$MTPS" config check -c small.yaml
expect_error 64 'in expression .length > . at column 10' "a broken expression" "$MTPS" config check -c small.yaml --set 'name=x' --set 'tasks.click.present="length > "'
expect_error 64 'nofun' "an unknown function" "$MTPS" config check -c small.yaml --set 'tasks.click.present=nofun(length)'
expect_error 64 'lenght' "a misspelt column of a label" "$MTPS" config check -c small.yaml --set 'tasks.click.label=play >= lenght'
expect_error 64 'nope' "a column that is not there" "$MTPS" config check -c small.yaml --set 'features=[{name: user, column: nope}]'
expect_error 64 'dya' "a misspelt column of a filter" "$MTPS" config check -c small.yaml --set 'data.train={files: [train.csv], where: "dya < 3"}'
expect_exit 0 "data that are not there" "$MTPS" config check -c small.yaml --set 'data.train={files: [absent.csv]}'
check "are a warning that names them" grep -q 'columns were not checked: absent.csv' "$err"
check "and are counted" grep -q '1 warnings' "$out"
expect_error 64 'in expression' "expressions are checked all the same" "$MTPS" config check -c small.yaml --set 'data={train: {files: [absent.csv]}}' --set 'tasks.click.label="1 +"'
expect_exit 0 "a table that no feature uses" "$MTPS" config check -c small.yaml --set tables.usr.dim=4
check "is a warning with the nearest name" grep -q "tables.usr: no feature uses this table; did you mean 'user'?" "$err"
cd "$TOP" || exit
check "a configuration for PaddleRec's samples has 25 lines at most" \
    bash -c 'for f in configs/paddlerec-*.yaml; do [ "$(wc -l <"$f")" -le 25 ] || exit 1; done'
finish
