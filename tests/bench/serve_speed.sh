#!/usr/bin/env bash
# mtps serve under load: W2 MMoE (configs/kuairand-w2.yaml, side tables in the bundle), one
# row a request, JSON, load generator and server on the same cores.
#
#   tests/bench/serve_speed.sh [SECONDS] [serve option...]
#
# Prints requests/s at full load, latencies at half of that, and the server's memory at the
# start and at the end. The measured rows are those of data.eval. Needs wrk and curl (Debian
# packages); nothing else should run. 600 seconds show whether memory is flat.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-30}
shift || true
mtps=${MTPS:-build/release/bin/mtps}
connections=${CONNECTIONS:-32}
for tool in wrk curl; do
    command -v "$tool" >/dev/null || { echo "error: $tool is not installed" >&2; exit 66; }
done
work=$(mktemp -d "${TMPDIR:-/tmp}/mtps-bench-XXXXXX")
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

"$mtps" train -q -c configs/kuairand-w2.yaml --run-dir "$work/run" >/dev/null
"$mtps" export --ckpt "$work/run" -o "$work/bundle" --with-joins ${PROJECT:+--project} >/dev/null
"$mtps" predict --bundle "$work/bundle" --keep user_id,video_id,tab,hourmin --format jsonl -o "$work/scored.jsonl" >/dev/null
head -n 5000 "$work/scored.jsonl" | sed -E 's/("hourmin":"[^"]*").*/\1}/' >"$work/rows.jsonl"

cat >"$work/rows.lua" <<'LUA'
local bodies, at = {}, 0
function init(args)
    for line in io.lines(args[1]) do bodies[#bodies + 1] = '{"instances":[' .. line .. ']}' end
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    pause = tonumber(args[2])
end
function request()
    at = at % #bodies + 1
    return wrk.format(nil, wrk.path, nil, bodies[at])
end
function done(summary, latency)
    local e = summary.errors
    io.write(string.format("rate %.0f p50 %.3f p99 %.3f max %.3f failed %d\n", summary.requests / (summary.duration * 1e-6),
        latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000,
        e.connect + e.read + e.write + e.status + e.timeout))
end
LUA
{ cat "$work/rows.lua"; echo 'function delay() return pause end'; } >"$work/paused.lua"

"$mtps" serve -q --port 0 --json --bundle w2="$work/bundle" "$@" >"$work/out" &
server=$!
for _ in $(seq 200); do grep -q url "$work/out" && break; sleep 0.05; done
url=$(sed -E 's/.*"url":"([^"]*)".*/\1/' "$work/out")
field() { sed -E "s/.*$1 ([0-9.]+).*/\1/"; }
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$server/status"; }
load() { # SCRIPT CONNECTIONS SECONDS PAUSE
    wrk -t1 -c"$2" -d"$3" -s "$work/$1.lua" "$url/v1/models/w2:predict" -- "$work/rows.jsonl" "$4" | grep '^rate'
}

# Four times the connections, each pausing so long that all together ask half as often.
many=$((4 * connections))
pause() { awk -v c="$many" -v r="$1" 'BEGIN { printf "%d", 1000 * c / (r / 2) + 0.5 }'; }
warm=$(load rows "$connections" 3 0 | field rate)
load paused "$many" 3 "$(pause "$warm")" >/dev/null # every connection has its memory
first=$(resident)
full=$(load rows "$connections" "$seconds" 0)
rate=$(field rate <<<"$full")
half=$(load paused "$many" "$seconds" "$(pause "$rate")")
last=$(resident)

echo "| load | requests/s | p50, ms | p99, ms | longest, ms | failed |"
echo "| --- | --- | --- | --- | --- | --- |"
for line in "full: $full" "half: $half"; do
    echo "| ${line%%:*} | $(field rate <<<"$line") | $(field p50 <<<"$line") | $(field p99 <<<"$line") | $(field max <<<"$line") | $(field failed <<<"$line") |"
done
echo
echo "resident memory: $first KiB at the start, $last KiB at the end"
