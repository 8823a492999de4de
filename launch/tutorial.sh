#!/usr/bin/env bash
# docs/tutorial.md as one script: data, training, comparing, tuning, a task more, export,
# scores, a server. Under 15 minutes on two cores.
#
#   launch/tutorial.sh [DIR]     everything goes into DIR (default: tutorial)
#
# MTPS names the program (default: build/release/bin/mtps, which is built when it is not
# there). Run again, it goes on where it was interrupted.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."
top=$PWD

dir=${1:-tutorial}
mtps=${MTPS:-$top/build/release/bin/mtps}
if [ ! -x "$mtps" ]; then
    launch/install.sh
    launch/build.sh build/release -DCMAKE_BUILD_TYPE=Release -DMTPS_TESTS=OFF
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

step() { printf '\n== %s\n' "$1"; }
exec 3>&1
# Shows a command as it would be typed in DIR, also where its output is filtered, and runs it.
run() {
    printf '$ mtps %s\n' "${*//$dir\//}" >&3
    "$mtps" "$@"
}

step "1/7 the data: a configuration, and what it says about the rows"
cat >"$dir/first.yaml" <<YAML
version: 1
name: first
include: $top/configs/kuairand-w2.yaml
data:
  valid: {where: "date == 20220503"}     # the last day of training rows: choices are made on it
tasks:
  like: null                             # comes in step 5
YAML
run data stats -c "$dir/first.yaml" 2>/dev/null | grep -E 'rows selected|^task'

step "2/7 train"
run train -q -c "$dir/first.yaml" --run-dir "$dir/runs/first"

step "3/7 compare architectures with as many parameters, each with three seeds"
run compare -q -c "$dir/first.yaml" --vary model.type=share_bottom,mmoe,ple --seeds 3 --equal-params --on valid \
    --out "$dir/architectures"

step "4/7 tune gates and experts of mmoe"
run compare -q -c "$dir/first.yaml" --vary model.experts.count=4,8 --vary 'model.gates.layers=[],[16]' --seeds 2 --on valid \
    --out "$dir/tuning"

step "5/7 add a task: like, which starts from what the first model has learned"
cat >"$dir/second.yaml" <<YAML
version: 1
name: second
include: $top/configs/kuairand-w2.yaml
hot_start: {from: $dir/runs/first, mode: sparse+shared}
YAML
run hotstart plan -c "$dir/second.yaml" 2>/dev/null | grep -E '^mode|/like'
run train -q -c "$dir/second.yaml" --run-dir "$dir/runs/before" --set train.max_steps=0
run predict -q --ckpt "$dir/runs/first" -o "$dir/first.csv"
run predict -q --ckpt "$dir/runs/before" -o "$dir/before.csv"
# Columns by name: the new task stands between the old ones.
columns() {
    awk -F, -v names="click,long_view,finish" 'NR == 1 { n = split(names, want, ","); for (i = 1; i <= NF; i++) at[$i] = i }
        { for (i = 1; i <= n; i++) printf "%s%s", $(at[want[i]]), i < n ? "," : "\n" }' "$1"
}
cmp <(columns "$dir/first.csv") <(columns "$dir/before.csv")
echo "before its first step the new model scores click, long_view and finish as the old one, bit for bit"
run train -q -c "$dir/second.yaml" --run-dir "$dir/runs/second"

step "6/7 export, with the side tables inside, and check it"
[ -d "$dir/bundle/1" ] || run export --ckpt "$dir/runs/second" -o "$dir/bundle" --version 1 --with-joins
run verify-export -q --ckpt "$dir/runs/second" --bundle "$dir/bundle"

step "7/7 score: four columns are enough"
printf 'user_id,video_id,tab,hourmin\n0,0,1,900\n1,2,1,2130\n7,4711,4,1200\n' >"$dir/requests.csv"
run predict -q --bundle "$dir/bundle" --input "$dir/requests.csv" --keep user_id,video_id -o -
# The same over HTTP; curl is not asked for, bash can say it.
printf '$ mtps serve --bundle m=bundle --port 0\n'
: >"$dir/serve.json"
"$mtps" serve -q --json --bundle "m=$dir/bundle" --port 0 >"$dir/serve.json" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
for _ in $(seq 100); do [ -s "$dir/serve.json" ] && break || sleep 0.1; done
port=$(grep -oE ':[0-9]+"' "$dir/serve.json" | head -n 1 | tr -d ':"')
body='{"instances": [{"user_id": 0, "video_id": 0, "tab": 1, "hourmin": 900}]}'
exec 4<>"/dev/tcp/127.0.0.1/$port"
printf 'POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    ${#body} "$body" >&4
printf '$ curl -H '\''Content-Type: application/json'\'' 127.0.0.1:%s/v1/models/m:predict -d '\''%s'\''\n' "$port" "$body"
tail -n 1 <&4
echo
kill -TERM "$server"
wait "$server"
trap - EXIT

cat <<NEXT

What to look at: $dir/architectures/compare.html, $dir/tuning/compare.html, $dir/bundle/1/MODEL_CARD.md.
docs/tutorial.md explains each step; docs/deployment.md how a program or a server gets scores.
NEXT
