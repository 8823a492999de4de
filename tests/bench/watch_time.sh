#!/usr/bin/env bash
# Every watch-time head of configs/kuairand-watch.yaml orders the watch times of the
# evaluation rows better than the mean of the duration's decile, by more than three
# standard errors over seeds. Prints the table of docs/results-watch.md.
#
#   MTPS=build/release/bin/mtps tests/bench/watch_time.sh [SEEDS]
set -euo pipefail
export LC_ALL=C
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
seeds=${1:-5}
mtps=${MTPS:-$top/build/release/bin/mtps}
work=$(mktemp -d "${TMPDIR:-/tmp}/mtps-watch-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$top" # configurations name their data relative to here

for seed in $(seq "$seeds"); do
    "$mtps" train -q -c configs/kuairand-watch.yaml --seed "$seed" --run-dir "$work/$seed" \
        --set data.cache="$work/cache" 2>"$work/log" | grep ' xauc ' >>"$work/scores" ||
        { cat "$work/log" >&2; exit 1; }
done
zstd -dc datasets/kuairand-pure/log_standard*.csv.zst |
    awk -v last=20220503 -f tests/bench/watch_baseline.awk >"$work/baseline"

awk -v seeds="$seeds" '
    function figure(name,    i) {
        for (i = 1; i < NF; i++) if ($i == name) return $(i + 1)
    }
    function add(task, name,    v) {
        v = figure(name)
        sum[task, name] += v
        square[task, name] += v * v
    }
    FNR == NR { base = figure("xauc"); mae = figure("mae"); rows = figure("rows"); next }
    {
        if (!($1 in seen)) { seen[$1] = 1; order[++n] = $1 }
        add($1, "xauc"); add($1, "gxauc"); add($1, "mae"); add($1, "pcoc")
    }
    function mean(task, name) { return sum[task, name] / seeds }
    function error(task, name,    v) {
        v = (square[task, name] - sum[task, name] ^ 2 / seeds) / (seeds - 1)
        return sqrt((v > 0 ? v : 0) / seeds)
    }
    END {
        printf "| head | XAUC | within a user | MAE, s | predicted / watched |\n| --- | --- | --- | --- | --- |\n"
        printf "| mean of the duration decile | %.4f | | %.2f | |\n", base, mae
        for (i = 1; i <= n; i++) {
            t = order[i]
            printf "| %s | %.4f ± %.4f | %.4f ± %.4f | %.2f ± %.2f | %.3f ± %.3f |\n", t, mean(t, "xauc"), error(t, "xauc"),
                mean(t, "gxauc"), error(t, "gxauc"), mean(t, "mae"), error(t, "mae"), mean(t, "pcoc"), error(t, "pcoc")
        }
        for (i = 1; i <= n; i++) {
            t = order[i]
            ok = mean(t, "xauc") - base > 3 * error(t, "xauc")
            printf "%s  %s is above the decile means by %.4f, %.1f standard errors\n", ok ? "ok  " : "FAIL", t,
                mean(t, "xauc") - base, (mean(t, "xauc") - base) / error(t, "xauc")
            failed += !ok
        }
        exit failed > 0 || n != 3
    }' "$work/baseline" "$work/scores"
