#!/usr/bin/env bash
# Configures (when needed) and builds: launch/build.sh DIR [cmake option...]
# Prints the compiler's messages only when the build fails.
set -euo pipefail
export LC_ALL=C
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${1:?directory to build in}
shift
case "$dir" in /*) ;; *) dir=$top/$dir ;; esac
mkdir -p "$dir"
log=$dir/build.log
{
    cmake -S "$top" -B "$dir" -G Ninja "$@" && cmake --build "$dir"
} >"$log" 2>&1 </dev/null || {
    grep -E -A 12 'error|warning|FAILED|CMake Error' "$log" | head -n 60 >&2 || tail -n 40 "$log" >&2
    printf 'error: build: %s: failed\nhint: the whole log is %s\n' "$dir" "$log" >&2
    exit 70
}
