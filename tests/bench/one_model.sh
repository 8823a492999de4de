#!/usr/bin/env bash
# Why one model for several tasks: a four-task MMoE beside four single-task models on KuaiRand,
# all on the features of CONFIG (default: configs/kuairand-best.yaml): quality, bytes of the
# bundles, resident memory, microseconds a row, core-seconds of training.
#
#   tests/bench/one_model.sh [SEEDS] [DIR]    (default: 3 seeds; DIR, default build/one_model, keeps the runs)
#
# A single-task model is the same MMoE with one task, or, with SINGLE='[64]' for example, a
# plain network of these widths; EXPERTS=N gives the MMoE N experts. The table of AUC says which
# are as good. The figures of four models are their sums; a row is scored by all four of them.
# MTPS and BENCH_INFER name the programs (bench_infer: a build with -DMTPS_TESTS=ON).
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seeds=${1:-3}
dir=${2:-build/one_model}
build=${BUILD:-build/release}
mtps=${MTPS:-$build/bin/mtps}
bench=${BENCH_INFER:-$build/bin/bench_infer}
single=${SINGLE:-}
mmoe=mmoe${EXPERTS:-}
config=${CONFIG:-configs/kuairand-best.yaml}
tasks=(click like long_view finish)
mkdir -p "$dir"

# NAME, options: trains once for each seed on one core, with the core-seconds beside it.
train() {
    local name=$1 seed run
    shift
    for seed in $(seq 42 $((41 + seeds))); do
        run=$dir/$name-$seed
        [ -s "$run.json" ] && continue
        rm -rf "$run"
        "$mtps" data prepare -q -c "$config" "$@" >/dev/null 2>&1
        TIMEFORMAT='%U %S'
        { time taskset -c 0 "$mtps" train -q -c "$config" --json --seed "$seed" --run-dir "$run" \
            --set train.lanes=1 --set cluster.threads=1 --set data.eval=null "$@" >/dev/null 2>&1; } 2>"$run.time"
        rm -rf "$run.bundle"
        "$mtps" export --ckpt "$run" -o "$run.bundle" --version 1 >/dev/null
        taskset -c 0 "$bench" "$run.bundle" </dev/null >"$run.infer"
        "$mtps" eval -q --ckpt "$run" --json -c "$config" --seed "$seed" "$@" \
            --set train.lanes=1 --set cluster.threads=1 >"$run.json" 2>/dev/null
    done
}

train "$mmoe" ${EXPERTS:+--set "model.experts.count=$EXPERTS"}
for task in "${tasks[@]}"; do
    others=()
    for other in "${tasks[@]}"; do [ "$other" = "$task" ] || others+=(--set "tasks.$other=null"); done
    if [ -z "$single" ]; then
        train "$task${EXPERTS:-}" ${EXPERTS:+--set "model.experts.count=$EXPERTS"} "${others[@]}"
    else
        train "$task${single//[^0-9]/-}" --set model.type=dnn --set "model.bottom.layers=$single" "${others[@]}"
    fi
done
own() { [ -z "$single" ] && echo "$1${EXPERTS:-}" || echo "$1${single//[^0-9]/-}"; } # name of a task's runs

# FILE KEY: the value of a line of bench_infer; TASK FILE: its AUC.
infer() { sed -nE "s/.*\"name\":\"$2\",\"value\":([0-9.]+).*/\1/p" "$1"; }
auc() { grep -oE "\"$1\": ?\{[^}]*\"auc\": ?[0-9.]+" "$2" | grep -oE '[0-9.]+$'; }
mean() { awk '{ s += $1 } END { printf "%.5g", s / NR }'; }
each() { # NAME: seconds, bytes, KiB, us a row at batch 256, us of batch 1; the mean over seeds
    local run seed
    for seed in $(seq 42 $((41 + seeds))); do
        run=$dir/$1-$seed
        echo "$(awk '{ print $1 + $2 }' "$run.time") $(stat -c %s "$run.bundle/1/model.mtps") $(infer "$run.infer" infer.resident)" \
            "$(awk -v x="$(infer "$run.infer" infer.keys.batch256)" 'BEGIN { print x / 256 }') $(infer "$run.infer" infer.keys.batch1)"
    done | awk '{ for (i = 1; i <= 5; i++) s[i] += $i } END { for (i = 1; i <= 5; i++) printf "%s ", s[i] / NR; print "" }'
}

printf '%-12s %10s %10s\n' "AUC" "one MMoE" "its own"
for task in "${tasks[@]}"; do
    printf '%-12s %10.5f %10.5f\n' "$task" \
        "$(for s in $(seq 42 $((41 + seeds))); do auc "$task" "$dir/$mmoe-$s.json"; done | mean)" \
        "$(for s in $(seq 42 $((41 + seeds))); do auc "$task" "$dir/$(own "$task")-$s.json"; done | mean)"
done
{
    each "$mmoe"
    for task in "${tasks[@]}"; do each "$(own "$task")"; done
} | awk 'NR == 1 { for (i = 1; i <= 5; i++) one[i] = $i; next } { for (i = 1; i <= 5; i++) four[i] += $i }
    function line(what, i, by) { printf "%-34s %10.2f %10.2f %8.2f\n", what, one[i] / by, four[i] / by, four[i] / one[i] }
    END {
        printf "%-34s %10s %10s %8s\n", "", "one MMoE", "four", "ratio"
        line("training, core-seconds", 1, 1); line("bundles, MB", 2, 1e6); line("resident, MiB", 3, 1024)
        line("a row of a batch of 256, us", 4, 1); line("a row alone, us", 5, 1)
    }'
