#!/usr/bin/env bash
# Large bundles: how fast a table of N rows is exported, with how much memory, and how long
# its bundle takes to open.
#
#   tests/bench/bundle.sh [N] [DIR]      (default: 10000000 rows; DIR gets about 5 GB, default: /tmp)
#
# MTPS and BENCH_INFER name the programs (bench_infer: a build with -DMTPS_TESTS=ON). Nothing else should run.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rows=${1:-10000000}
build=${BUILD:-build/release}
mtps=$(realpath "${MTPS:-$build/bin/mtps}")
bench=$(realpath "${BENCH_INFER:-$build/bin/bench_infer}")
work=$(mktemp -d "${2:-/tmp}/mtps-bundle-XXXXXX")
[ -n "${KEEP:-}" ] || trap 'rm -rf "$work"' EXIT
cd "$work"

awk 'BEGIN { print "item,click"; for (i = 0; i < 1024; i++) printf "%d,%d\n", i, i % 3 == 0 }' >train.csv
cat >c.yaml <<'YAML'
version: 1
name: large
data: {train: {files: [train.csv]}}
features: [{name: item}]
tables: {default: {dim: 16}}
tasks: {click: {label: click}}
model: {type: mmoe, experts: {count: 8, layers: [64]}, towers: {layers: [32]}}
train: {batch_size: 256}
YAML
"$mtps" train -q -c c.yaml --run-dir small >/dev/null 2>&1
awk -v n="$rows" 'BEGIN {
    printf "id"; for (j = 0; j < 16; j++) printf ",w%d", j; print ""
    for (k = 0; k < 8; k++) { w[k] = ""; for (j = 0; j < 16; j++) w[k] = w[k] "," ((k * 5 + j * 3) % 17 - 8) / 10 }
    for (i = 0; i < n; i++) print i w[i % 8] }' >rows.csv
"$mtps" ckpt import -q --table item --csv rows.csv -o large small >/dev/null 2>&1
rm rows.csv

seconds() { date +%s.%N; }
start=$(seconds)
"$mtps" export --ckpt large -o bundle --version 1 >export.out 2>&1 &
pid=$!
most=0
while kill -0 "$pid" 2>/dev/null; do
    now=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null || true)
    [ -z "$now" ] || [ "$now" -le "$most" ] || most=$now
    sleep 0.01
done
wait "$pid"
end=$(seconds)
bytes=$(stat -c %s bundle/1/model.mtps)
awk -v b="$bytes" -v t="$(awk -v a="$start" -v b="$end" 'BEGIN { print b - a }')" -v m="$most" -v n="$rows" 'BEGIN {
    printf "export of %d rows: %.0f MB in %.2f s, %.0f MB/s; at most %.0f MiB in memory\n", n, b / 1e6, t, b / 1e6 / t, m / 1024 }'
"$bench" bundle </dev/null | awk -F'[:,"]+' '{ print "bench_infer:", $3, $5, $0 ~ /us"/ ? "us" : "KiB" }' | grep -E 'open|resident'
