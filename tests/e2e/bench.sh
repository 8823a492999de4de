#!/usr/bin/env bash
# bench: prints what it measured, in the promised form, and leaves nothing behind.
# Whether the figures are good is not a test's business.
. "${TOP:?}/tests/e2e/lib.sh"

rows 1 2000 >train.csv
rows 2001 2400 >eval.csv
config small >small.yaml

positive() { # KEY: its first value in $out
    awk -v v="$(json "$1" <"$out")" 'BEGIN { exit !(v + 0 > 0) }'
}

expect_exit 0 "bench step runs" "$MTPS" bench step -q -c small.yaml --rounds 1 --seconds 0.05 --json
for key in samples_per_s bound_samples_per_s ratio model; do
    check "bench step says $key" positive "$key"
done
bound() { # option...: the bound of a small model
    "$MTPS" bench step -q -c small.yaml --rounds 3 --seconds 0.05 --json --set model.type=share_bottom \
        --set 'model.towers.layers=[]' --set 'model.bottom.layers=[4]' "$@" 2>/dev/null </dev/null | json bound_samples_per_s
}
plain=$(bound)
attends=$(bound --set 'features.tags.pool={attention: {target: item, layers: [256, 256]}}')
check "products of attention are in the bound ($plain, $attends samples/s)" awk -v a="$plain" -v b="$attends" 'BEGIN { exit !(b > 0 && b < a / 2) }'
expect_exit 0 "bench step runs under mpirun" ranks 3 "$MTPS" bench step -q -c small.yaml --rounds 1 --seconds 0.05 --json
same "one JSON document from all ranks" 1 "$(wc -l <"$out")"
check "the busiest server's time is there" positive server_us

expect_exit 0 "bench data runs" "$MTPS" bench data -c small.yaml --rounds 2 --set data.cache=cache --json
same "a line for each stage" "prepare read batches" "$(sed -E 's/.*"name":"([a-z]+)".*/\1/' "$out" | xargs)"
same "all are rows a second" 3 "$(grep -cE '"value":[1-9][0-9.e+]*,"unit":"rows/s"' "$out")"
check "its prepared files are gone" rmdir cache

expect_error 64 "which benchmark" "a benchmark has to be named" "$MTPS" bench -c small.yaml
expect_error 64 "no benchmark 'stp'" "an unknown one is refused" "$MTPS" bench stp -c small.yaml
expect_error 66 "nowhere.csv" "missing data is one line" "$MTPS" bench data -c small.yaml --set 'data.train.files=[nowhere.csv]' --set data.cache=cache
finish
