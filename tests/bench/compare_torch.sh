#!/usr/bin/env bash
# Training speed beside PyTorch on the same data, model and cores, in turn.
#
#   PEERS=DIR PYTHON=venv/bin/python tests/bench/compare_torch.sh [ROUNDS]
#
# DIR holds torch_mtl.py and prep.py; PYTHON has torch, numpy and pandas; PEERS_DATA
# (default ./peers-data) keeps the arrays that prep.py makes. Prints every
# round, then medians and ratios. Results are only worth as much as the machine
# is quiet: nothing else should run.
set -euo pipefail
export LC_ALL=C
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rounds=${1:-3}
peers=${PEERS:?folder of torch_mtl.py and prep.py}
python=${PYTHON:-python3}
mtps=${MTPS:-$top/build/release/bin/mtps}
export PEERS_DATA=${PEERS_DATA:-$PWD/peers-data}
table=$(mktemp)
trap 'rm -f "$table"' EXIT

for workload in w1 w2; do
    if [ ! -f "$PEERS_DATA/$workload.npz" ]; then
        "$python" "$peers/prep.py" "$workload" >&2
    fi
done
cd "$top" # configurations name their data relative to here

number() { sed -nE "s/.*\"$1\": ?([0-9.e+]+).*/\1/p" | tail -n 1; }

torch() { # WORKLOAD THREADS
    local args=()
    if [ "$1" = w2 ]; then args=(--init normal:0.0001 --emb-lr 0.1 --acc0 1e-7); fi
    taskset -c "0-$(($2 - 1))" "$python" "$peers/torch_mtl.py" --workload "$1" --bench 4 --threads "$2" "${args[@]}" | number sps
}
ours() { # CONFIG THREADS option...
    local config=$1 threads=$2
    shift 2
    taskset -c "0-$((threads - 1))" "$mtps" bench step -c "configs/$config.yaml" --json \
        --set "cluster.threads=$threads" "$@" | number samples_per_s
}
note() { # NAME VALUE
    printf '%-24s %10.0f samples/s\n' "$1" "$2"
    echo "$1 $2" >>"$table"
}

for round in $(seq "$rounds"); do
    echo "round $round"
    note torch-w2-2 "$(torch w2 2)"
    note mtps-w2-2 "$(ours kuairand-w2 2 --set train.lanes=2)"
    note torch-w2-1 "$(torch w2 1)"
    note mtps-w2-1 "$(ours kuairand-w2 1 --set train.lanes=1)"
    note torch-w1-1 "$(torch w1 1)"
    note mtps-w1-1 "$(ours census-mmoe 1 --set train.lanes=1)"
done

median() { awk -v n="$1" '$1 == n { print $2 }' "$table" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
echo "medians of $rounds rounds"
for case in w2-2 w2-1 w1-1; do
    awk -v c="$case" -v a="$(median "mtps-$case")" -v b="$(median "torch-$case")" \
        'BEGIN { printf "%-6s mtps %9.0f   torch %9.0f   ratio %.2f\n", c, a, b, a / b }'
done
