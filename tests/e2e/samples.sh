#!/usr/bin/env bash
# The configurations of public data sets that are not shipped, each on its sample or
# the whole, when it is there (docs/testing.md).
. "${TOP:?}/tests/e2e/lib.sh"
samples=${MTPS_SAMPLES:-$TOP/samples}
n_found=0
cd "$TOP" || exit

# trains CONFIG FOLDER ROWS TASK...: it trains, and every task is evaluated on so many rows.
trains() {
    local config=$1 folder=$samples/$2 rows=$3 task
    shift 3
    [ -d "$folder" ] || return 0
    n_found=$((n_found + 1))
    expect_exit 0 "$config trains" "$MTPS" train -c "configs/$config.yaml" --set "vars.dir=$folder" \
        --set data.cache="$work/cache" --set train.max_steps=40 --run-dir "$work/$config" --json
    cp "$out" "$work/result.json"
    for task in "$@"; do
        check "$config evaluates $task on $rows rows" \
            grep -qE "\"$task\": ?\{[^}]*\"rows\": ?$rows[,}]" "$work/result.json"
    done
}

trains ali-ccp ali-ccp-sample 50 click buy
trains ali-ccp-esmm ali-ccp-sample 50 click buy
[ ! -d "$work/ali-ccp-esmm" ] || check "ali-ccp-esmm evaluates buy after a click on the two rows with one" \
    grep -qE '"buy\|click": ?\{[^}]*"rows": ?2[,}]' "$work/result.json"
trains aliexpress aliexpress-sample 100 click conversion
trains icme2019 icme2019-sample 43 finish like
trains movielens-1m movielens-1m 100135 like love rating
[ "$n_found" -gt 0 ] || skip "none of the samples is in $samples"
finish
