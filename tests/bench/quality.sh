#!/usr/bin/env bash
# Held-out AUC of the shipped configurations, mean ± standard deviation over seeds:
#
#   tests/bench/quality.sh [SEEDS]
#
# Trains every row of the quality tables in docs/results.md and prints them. The
# runs stay in build/quality; a finished one is not trained again.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seeds=${1:-3}
mtps=${MTPS:-build/release/bin/mtps}
runs=${RUNS:-build/quality}
mkdir -p "$runs"

# cell NAME CONFIG TASKS option...: one row of a table.
cell() {
    local name=$1 config=$2 tasks=$3 seed
    shift 3
    for seed in $(seq "$seeds"); do
        local out=$runs/$name-$seed
        [ -s "$out.json" ] && continue
        "$mtps" train -q -c "configs/$config.yaml" --run-dir "$out" --seed "$seed" --json "$@" >"$out.tmp" </dev/null
        mv "$out.tmp" "$out.json"
    done
    printf '| %s |' "$name"
    local task
    for task in $tasks; do
        for seed in $(seq "$seeds"); do
            sed -E "s/.*\"eval\"://; s/.*\"$task\":\{\"auc\":([0-9.]+).*/\1/" "$runs/$name-$seed.json"
        done | awk '{ s += $1; q += $1 * $1 } END { m = s / NR; v = NR > 1 ? (q - NR * m * m) / (NR - 1) : 0
            printf " %.4f ± %.4f |", m, sqrt(v > 0 ? v : 0) }'
    done
    echo
}

echo "| Census-Income, $seeds seeds | income | never_married |"
echo "| --- | --- | --- |"
cell census-mmoe census-mmoe "income never_married"
echo
echo "| KuaiRand-Pure, $seeds seeds | click | like | long_view | finish |"
echo "| --- | --- | --- | --- | --- |"
kuairand="click like long_view finish"
cell kuairand-mmoe kuairand-mmoe "$kuairand"
for type in lr dnn share_bottom mmoe cgc; do
    cell "w2-$type" kuairand-w2 "$kuairand" --set "model.type=$type"
done
