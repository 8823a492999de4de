#!/usr/bin/env bash
# The training step on W2 (configs/kuairand-w2.yaml) in its shapes, in turn:
#
#   tests/bench/speed.sh [ROUNDS]
#
# Prints every round, then medians and the ratios of docs/results.md. Nothing else should run.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rounds=${1:-5}
mtps=${MTPS:-build/release/bin/mtps}
table=$(mktemp)
trap 'rm -f "$table"' EXIT

number() { sed -nE "s/.*\"$1\": ?([0-9.e+]+).*/\1/p" <<<"$json" | tail -n 1; }
step() { # NAME command...
    local name=$1 json
    shift
    json=$("$@" bench step -q -c configs/kuairand-w2.yaml --json "${options[@]}" </dev/null 2>/dev/null)
    local speed bound keys apply
    speed=$(number samples_per_s) bound=$(number bound_samples_per_s)
    keys=$(number keys) apply=$(number apply)
    printf '%-10s %9.0f samples/s   bound %9.0f   keys %4.0f us   apply %4.0f us\n' "$name" "$speed" "$bound" "$keys" "$apply"
    echo "$name $speed $bound $keys $apply" >>"$table"
}

for round in $(seq "$rounds"); do
    echo "round $round"
    options=(--set train.lanes=1 --set cluster.threads=1)
    step one taskset -c 0 "$mtps"
    options+=(--form gather)
    step gather taskset -c 0 "$mtps"
    options=(--set train.lanes=2 --set cluster.threads=2)
    step two taskset -c 0,1 "$mtps"
    options=(--set train.lanes=2 --set cluster.threads=1 --set cluster.servers=1)
    step mpirun taskset -c 0,1 launch/local.sh 3 "$mtps"
done

median() { awk -v n="$1" -v c="$2" '$1 == n { print $c }' "$table" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ratio() { awk -v what="$1" -v a="$2" -v b="$3" 'BEGIN { printf "%-58s %.2f\n", what, a / b }'; }
echo "medians of $rounds rounds"
ratio "1 thread / bound" "$(median one 2)" "$(median one 3)"
ratio "1 thread, gather form / bound" "$(median gather 2)" "$(median gather 3)"
ratio "keys, rows and row optimiser / gather step" \
    "$(awk -v a="$(median gather 4)" -v b="$(median gather 5)" 'BEGIN { print a + b }')" \
    "$(awk -v s="$(median gather 2)" 'BEGIN { print 1024e6 / s }')"
ratio "2 threads / 1 thread" "$(median two 2)" "$(median one 2)"
ratio "mpirun, 1 server and 2 workers / 2 threads" "$(median mpirun 2)" "$(median two 2)"
