# What the measurements of mtps serve share; sourced, not run. W2 MMoE (configs/kuairand-w2.yaml,
# side tables in the bundle), one row of data.eval a request, JSON, wrk as load generator.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C
mtps=${MTPS:-build/release/bin/mtps}
path=/v1/models/w2:predict
for tool in wrk curl; do
    command -v "$tool" >/dev/null || { echo "error: $tool is not installed" >&2; exit 66; }
done
work=$(mktemp -d "${TMPDIR:-/tmp}/mtps-bench-XXXXXX")
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

make_bundle() { # trains; PROJECT=1: with projected rows
    "$mtps" train -q -c configs/kuairand-w2.yaml --run-dir "$work/run" >/dev/null
    "$mtps" export --ckpt "$work/run" -o "$work/bundle" --with-joins ${PROJECT:+--project} >/dev/null
    "$mtps" predict --bundle "$work/bundle" --keep user_id,video_id,tab,hourmin --format jsonl -o "$work/scored.jsonl" >/dev/null
    head -n 5000 "$work/scored.jsonl" | sed -E 's/("hourmin":"[^"]*").*/\1}/' >"$work/rows.jsonl"
}

cat >"$work/rows.lua" <<'LUA'
local bodies, at, one = {}, 0, nil
ok, busy, other = 0, 0, 0
function setup(thread) one = thread end
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
    local e, seconds = summary.errors, summary.duration * 1e-6
    io.write(string.format("rate %.0f p50 %.3f p99 %.3f max %.3f failed %d ", summary.requests / seconds,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000,
        e.connect + e.read + e.write + e.status + e.timeout))
    io.write(string.format("good %.0f busy %.0f other %d\n", one:get("ok") / seconds, one:get("busy") / seconds,
        one:get("other") + e.connect + e.read + e.write + e.timeout))
    if e.connect + e.read + e.write + e.timeout + e.status - one:get("busy") > 0 then
        io.stderr:write(string.format("failed: connect %d, read %d, write %d, status %d, timeout %d\n",
            e.connect, e.read, e.write, e.status, e.timeout))
    end
end
LUA
{ cat "$work/rows.lua"; echo 'function delay() return pause end'; } >"$work/paused.lua"
{
    cat "$work/rows.lua"
    echo 'function response(status) if status == 200 then ok = ok + 1 elseif status == 503 then busy = busy + 1 else other = other + 1 end end'
} >"$work/counted.lua"

start_server() { # option...; address in $url. SERVER: a command in front, as `taskset -c 0`
    : >"$work/out"
    ${SERVER:-} "$mtps" serve -q --port 0 --json --bundle w2="$work/bundle" "$@" >"$work/out" &
    server=$!
    for _ in $(seq 200); do grep -q url "$work/out" && break; sleep 0.05; done
    url=$(sed -E 's/.*"url":"([^"]*)".*/\1/' "$work/out")
}
stop_server() {
    kill "$server" && wait "$server"
    server=
}
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$server/status"; } # KiB
field() { sed -E "s/.*\b$1 ([0-9.]+).*/\1/"; }
# Of that: rate of all answers, their times in ms, those that failed. counted: also rates of 200 and 503, and number of others.
load() { # SCRIPT CONNECTIONS SECONDS PAUSE. CLIENTS: a command in front
    ${CLIENTS:-} wrk -t1 -c"$2" -d"$3" -s "$work/$1.lua" "$url$path" -- "$work/rows.jsonl" "$4" | grep '^rate'
}
pause() { # CONNECTIONS RATE: ms between two requests of a connection, so that all together have the rate
    awk -v c="$1" -v r="$2" 'BEGIN { printf "%d", 1000 * c / r + 0.5 }'
}
loads() { # WHAT NAME:LINE...: what `load` printed of each, as a table
    local what=$1 line
    shift
    echo "| $what | requests/s | p50, ms | p99, ms | longest, ms | failed |"
    echo "| --- | --- | --- | --- | --- | --- |"
    for line in "$@"; do
        echo "| ${line%%:*} | $(field rate <<<"$line") | $(field p50 <<<"$line") | $(field p99 <<<"$line") | $(field max <<<"$line") | $(field failed <<<"$line") |"
    done
    echo
}
