#!/usr/bin/env bash
# mtps serve when clients are slow, and when there are too many: W2 MMoE, one row a request,
# JSON; the server with one thread on one core, all clients on another one.
#
#   tests/bench/serve_hard.sh [SECONDS] [SLOW]
#
# SECONDS: of each load (default: 20). SLOW: slow connections (default: 500).
#
# First table: valid clients at half load, without and with SLOW connections that dawdle over
# heads, bodies and answers, and are opened again when they are dropped. Below it: how long
# after its limit the last one was dropped.
# Second table: five times the connections of the peak, where they wait, where there are too
# many, and where too many requests wait for their batch; those who are refused ask again at
# once. Peak: as many connections as the server takes. Memory: the most while it lasts, beside
# that after the peak. Back: from the end of the load until 20 fresh connections in a row are
# answered within twice the quiet p99.
#
# Needs wrk, curl, python3 and two cores (CORES="0 1"); nothing else should run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-20}
slow=${2:-500}
read -r one two <<<"${CORES:-0 1}"
SERVER="taskset -c $one"
CLIENTS="taskset -c $two"
connections=32
. tests/bench/serve_lib.sh
command -v python3 >/dev/null || { echo "error: python3 is not installed" >&2; exit 66; }
clients() { $CLIENTS python3 tests/bench/serve_clients.py "$@"; }
make_bundle
body='{"instances":[{"user_id":7,"video_id":"4711","tab":1,"hourmin":1830}]}'
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

# ---- slow clients
start_server --threads 1
many=$((4 * connections))
peak=$(load rows "$connections" "$seconds" 0 | field rate)
half=$(pause "$many" "$(awk -v r="$peak" 'BEGIN { print r / 2 }')")
load paused "$many" 3 "$half" >/dev/null
quiet=$(load paused "$many" "$seconds" "$half")
mkfifo "$work/hold"
clients slow "${url#http://}" "$server" "$slow" 10 30 30 <"$work/hold" >"$work/slow" &
slow_clients=$!
exec 9>"$work/hold"
until grep -q up "$work/slow"; do sleep 0.1; done
sleep 5 # until those that do not read have filled what the kernel holds
with=$(load paused "$many" "$seconds" "$half")
exec 9>&-
wait "$slow_clients"
dropped=$(tail -n 1 "$work/slow")
stop_server

loads "slow connections" "0: $quiet" "$slow: $with"
echo "p99 with slow connections / without: $(ratio "$(field p99 <<<"$with")" "$(field p99 <<<"$quiet")"). Of $(field opened <<<"$dropped") slow connections the last was"
echo "dropped $(field late <<<"$dropped") s after its limit; the server had its files back $(field end <<<"$dropped") s after the last limit."
echo

# ---- too many clients
watch_memory() { # the most so far, in a file
    local most=0 now
    while now=$(resident 2>/dev/null) && [ -n "$now" ]; do
        if ((now > most)); then
            most=$now
            echo "$most" >"$work/most.new" && mv "$work/most.new" "$work/most"
        fi
        sleep 0.1
    done
}
overload() { # WHAT serve option...: a line of the table
    local what=$1 peak load quiet before watcher back
    shift
    start_server --threads 1 "$@"
    load counted "$connections" 3 0 >/dev/null
    quiet=$(clients probe "${url#http://}" "$path" "$body")
    peak=$(load counted "$connections" "$seconds" 0)
    before=$(resident)
    watch_memory &
    watcher=$!
    load=$(load counted $((5 * connections)) "$seconds" 0)
    back=$(clients probe "${url#http://}" "$path" "$body" "$(awk -v q="$quiet" 'BEGIN { print 2 * q }')")
    kill "$watcher"
    wait "$watcher" 2>/dev/null || true
    stop_server
    echo "| $what | $(field good <<<"$peak") | $(field good <<<"$load") | $(ratio "$(field good <<<"$load")" "$(field good <<<"$peak")") |" \
        "$(field busy <<<"$load") | $(field other <<<"$load") | $before / $(cat "$work/most") | $back |"
}
echo "| overload | peak, 200/s | 200/s | share | 503/s | others | memory, KiB | back, s |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- |"
overload "connections wait"
overload "too many connections (\`--max-connections $connections\`)" --max-connections "$connections"
overload "too many in the queue (\`--batch-rows 16 --max-waiting $connections\`)" --batch-rows 16 --max-waiting "$connections"
