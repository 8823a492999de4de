#!/usr/bin/env bash
# What is too long for every change, before a release: the tests with the label thorough, the
# unit tests and a million changed requests under sanitizers, the server with slow clients and with
# too many (wrk), and each fuzz target for some seconds (clang).
#
#   tests/thorough.sh [SECONDS]     of each fuzz target (default: 3600)
#
# What a fuzz target finds is left in build/fuzz; it becomes a seed of its corpus.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-3600}
[[ $seconds =~ ^[0-9]+$ ]] || { printf 'error: thorough: %s: not a number of seconds\nhint: tests/thorough.sh 600\n' "$seconds" >&2; exit 64; }
launch/install.sh test

echo "== thorough tests"
launch/build.sh build/tests -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O2 -g" -DMTPS_TESTS=ON -DMTPS_WERROR=ON
ctest --test-dir build/tests -L thorough --output-on-failure --no-tests=error </dev/null

echo "== unit tests and corpora under address and undefined-behaviour sanitizers"
launch/build.sh build/asan -DCMAKE_BUILD_TYPE=Debug -DMTPS_SANITIZE=address,undefined
ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    ctest --test-dir build/asan -j2 -L 'unit|fuzz' --output-on-failure --no-tests=error </dev/null

ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    ctest --test-dir build/asan -R '^unit.serve_load_full$' --output-on-failure --no-tests=error </dev/null

echo "== the server with slow clients, and with too many"
launch/build.sh build/release -DCMAKE_BUILD_TYPE=Release
tests/bench/serve_hard.sh

echo "== fuzz targets, $seconds s each"
command -v clang >/dev/null || { printf 'error: thorough: no clang\nhint: apt-get install clang\n' >&2; exit 66; }
{ cmake --preset fuzz && cmake --build --preset fuzz --target fuzz; } >build/fuzz.log 2>&1 ||
    { tail -n 40 build/fuzz.log >&2; printf 'error: thorough: build/fuzz: failed\nhint: the whole log is build/fuzz.log\n' >&2; exit 70; }
failed=0
for target in build/fuzz/bin/fuzz_*; do
    name=${target##*/fuzz_}
    mkdir -p "build/fuzz/found/$name"
    echo "-- $name"
    UBSAN_OPTIONS=halt_on_error=1 "$target" -max_total_time="$seconds" -timeout=1 -rss_limit_mb=512 -max_len=80000 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-" "build/fuzz/found/$name" "tests/fuzz/corpus/$name" >"build/fuzz/$name.log" 2>&1 || failed=1
    grep -E '^stat::number_of_executed_units|^stat::average_exec_per_sec|ERROR|SUMMARY' "build/fuzz/$name.log" || true
done
[ "$failed" = 0 ] || { printf 'error: thorough: a fuzz target found something\nhint: build/fuzz/*.log and the files beside them\n' >&2; exit 70; }
