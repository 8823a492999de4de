#!/usr/bin/env bash
# The training step of every model type on W2 (configs/kuairand-w2.yaml) beside its own
# matrix products, one thread:
#
#   tests/bench/models_speed.sh [ROUNDS]
#
# Prints the table of docs/results.md. Nothing else should run.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rounds=${1:-5}
mtps=${MTPS:-build/release/bin/mtps}

number() { sed -nE "s/.*\"$1\": ?([0-9.e+]+).*/\1/p"; }
step() { # NAME CONFIG option...
    local name=$1 config=$2 json
    shift 2
    json=$(taskset -c 0 "$mtps" bench step -q -c "configs/$config.yaml" --json --rounds "$rounds" \
        --set train.lanes=1 --set cluster.threads=1 "$@" </dev/null)
    awk -v n="$name" -v s="$(number samples_per_s <<<"$json")" -v b="$(number bound_samples_per_s <<<"$json")" \
        -v r="$(number ratio <<<"$json")" 'BEGIN { if (b > 0) printf "| %s | %.0f | %.0f | %.2f |\n", n, s, b, r; else printf "| %s | %.0f | no products | |\n", n, s }'
}

echo "| model | samples/s | bound, samples/s | ratio |"
echo "| --- | --- | --- | --- |"
for type in lr fm dnn wide_deep deepfm share_bottom omoe mmoe cgc ple; do
    step "$type" kuairand-w2 --set "model.type=$type" --set 'model.wide={features: [user_id, video_id, author_id, tab]}'
done
step two_tower kuairand-two-tower
for type in esmm aitm; do
    step "$type" kuairand-w2 --set "model.type=$type" --set 'model.funnel=[click, like]'
    step "$type without a bottom" kuairand-w2 --set "model.type=$type" --set 'model.funnel=[click, like]' \
        --set 'model.bottom.layers=[]' --set 'model.towers.layers=[128, 64]'
done
step "mmoe, attention" kuairand-mmoe --set 'features.watched.pool={attention: {target: video_id, layers: [36]}}'
step "dnn, cross layers of rank 148" kuairand-dcn
step "mmoe, gather form" kuairand-w2 --form gather
