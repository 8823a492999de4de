#!/usr/bin/env bash
# mtps serve under load: W2 MMoE, one row a request, JSON, load generator and server on the
# same cores.
#
#   tests/bench/serve_speed.sh [SECONDS] [serve option...]
#
# Prints requests/s at full load, latencies at half of that, and the server's memory at the
# start, between the two and at the end. The measured rows are those of data.eval. Needs wrk and curl (Debian
# packages); nothing else should run. 600 seconds show whether memory is flat.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-30}
shift || true
connections=${CONNECTIONS:-32}
. tests/bench/serve_lib.sh
make_bundle
start_server "$@"

# Four times the connections, each pausing so long that all together ask half as often.
many=$((4 * connections))
half() { pause "$many" "$(awk -v r="$1" 'BEGIN { print r / 2 }')"; }
warm=$(load rows "$connections" 3 0 | field rate)
load paused "$many" 3 "$(half "$warm")" >/dev/null # every connection has its memory
first=$(resident)
full=$(load rows "$connections" "$seconds" 0)
middle=$(resident)
rate=$(field rate <<<"$full")
half=$(load paused "$many" "$seconds" "$(half "$rate")")
last=$(resident)

loads "load" "full: $full" "half: $half"
echo "resident memory: $first KiB at the start, $middle KiB between the two, $last KiB at the end"
