#!/usr/bin/env bash
# PaddleRec's own samples, when they are there (docs/testing.md).
. "${TOP:?}/tests/e2e/lib.sh"
samples=${MTPS_SAMPLES:-$TOP/samples}/paddlerec
for file in slot_dnn/demo_10 dnn/sample_train.txt; do
    [ -f "$samples/$file" ] || skip "no $samples/$file"
done
cd "$TOP" || exit
common=(--set data.cache="$work/cache")

slot=(-c configs/paddlerec-slot-dnn.yaml --set "vars.dir=$samples/slot_dnn" "${common[@]}")
expect_exit 0 "data stats of slot_dnn" "$MTPS" data stats "${slot[@]}" --json
cp "$out" "$work/stats.json"
same "10 rows" 10 "$(json rows <"$work/stats.json")"
for fact in 4537 2894 2275 270; do
    check "the statistics hold $fact" grep -qE "[: ]${fact}[,}]" "$work/stats.json"
done
check "a click on 4 of 10" grep -qE '"click": ?\{"rows": ?10,"sum": ?4[.,]' "$work/stats.json"
expect_exit 0 "slot_dnn trains" "$MTPS" train "${slot[@]}" --run-dir "$work/slot"
same "each distinct key has a row" 2894 "$("$MTPS" ckpt digest "$work/slot" --json | json rows)"

dnn=(-c configs/paddlerec-dnn.yaml --set "vars.dir=$samples/dnn" "${common[@]}")
expect_exit 0 "data stats of dnn" "$MTPS" data stats "${dnn[@]}" --json
same "80 rows" 80 "$(json rows <"$out")"
check "a click on 23" grep -qE '"click": ?\{"rows": ?80,"sum": ?23[.,]' "$out"
expect_exit 0 "dnn trains" "$MTPS" train "${dnn[@]}" --run-dir "$work/dnn"
expect_exit 0 "under mpirun too" ranks 3 "$MTPS" train "${dnn[@]}" --servers 1 --run-dir "$work/dnn3"
same "with the same model" "$(digest "$work/dnn")" "$(digest "$work/dnn3")"
finish
