#!/usr/bin/env bash
# The comparisons of docs/results.md: every table there is one name here.
#
#   tests/bench/experiments.sh NAME...      (experiments_lib.sh says what can be set)
#   tests/bench/experiments.sh list
. "$(dirname "${BASH_SOURCE[0]}")/experiments_lib.sh"

# ---- the article ----

# The one-hot form, without embeddings; what the article printed stands below it.
article() {
    compare article auc -c configs/census-article.yaml --vary model.type=share_bottom,mmoe,ple --on eval,train
    cat <<'TABLE'
| published auc | income | never_married |
| --- | --- | --- |
| share_bottom | 0.946 | 0.993 |
| mmoe | 0.957 | 0.994 |
| ple | 0.966 | 0.997 |
TABLE
}
article_embedded() { compare article_embedded auc -c configs/census-mmoe.yaml --vary model.type=share_bottom,mmoe,ple --on eval,train; }
road() { compare road auc -c configs/kuairand-road.yaml --equal-params --vary model.type=mmoe,lr,two_tower,dnn,fm,wide_deep,deepfm,share_bottom,cgc,ple; }
# Squares of vectors want smaller steps of the tables than the other types.
road_fm() {
    compare road_fm auc -c configs/kuairand-road.yaml --equal-params --set tables.default.optimizer.adagrad.lr=0.03 \
        --vary model.type=mmoe,fm,deepfm
}

# ---- its advice ----

gates() { compare gates auc -c configs/kuairand-mmoe.yaml --equal-params --vary 'model.gates.layers=[],[64],[64,64]'; }
experts() { compare experts auc -c configs/kuairand-mmoe.yaml --equal-params --vary model.experts.count=8,1,2,4,16; }
# cgc against mmoe, ple with two and three levels against cgc.
claims() { # NAME CONFIG
    compare "$1" auc -c "$2" --equal-params --vary model.type=mmoe,cgc,ple --vary model.experts.levels=2,3
    verdicts auc 1:0 2:1 3:1 <"$out/$1.json"
}
claims_kuairand() { claims claims_kuairand configs/kuairand-mmoe.yaml; }
claims_census() { claims claims_census configs/census-mmoe.yaml; }
claims_synthetic() {
    "$mtps" data synth tasks -o "$out/synth" --tasks 4 --correlation 0.5 --present 1,1,1,0.3 >/dev/null
    claims claims_synthetic "$out/synth/config.yaml"
}

# ---- funnels and rows of a task's own ----

# like counts where there was a click; like|click is its score given one.
funnel() {
    compare funnel auc -c configs/kuairand-mmoe.yaml --equal-params --set 'model.funnel=[click, like]' \
        --vary model.type=mmoe,share_bottom,esmm,aitm
}
# like and long_view learn from clicked rows alone, or from all; both are measured on clicked rows.
own_rows() {
    compare own_rows auc --set 'data.eval.where="date > ${last} and is_click == 1"' -c configs/kuairand-mmoe.yaml \
        "$(overlay own-rows kuairand-mmoe <<<'tasks: {like: {present: "is_click == 1"}, long_view: {present: "is_click == 1"}}')"
}

# ---- options, one at a time, on the same model ----

options() {
    local files=()
    files+=("$(overlay dropout kuairand-mmoe <<<'model: {experts: {dropout: 0.1}}')")
    files+=("$(overlay norm kuairand-mmoe <<<'model: {experts: {norm: layer}}')")
    files+=("$(overlay l2 kuairand-mmoe <<<'tables: {default: {l2: 1e-6}}')")
    files+=("$(overlay attention kuairand-mmoe <<<'features: [{name: watched, pool: {attention: {target: video_id, layers: [36]}}}]')")
    files+=("$(overlay cross kuairand-mmoe <<<'model: {cross: {layers: 1, rank: 64}}')")
    files+=("$(overlay gate-2 kuairand-mmoe <<<'model: {gates: {layers: [64]}}')")
    files+=("$(overlay towers-own kuairand-mmoe <<<'tasks: {like: {tower: {layers: [64, 32]}}}')")
    files+=("$(overlay ftrl kuairand-mmoe <<<'tables: {default: {optimizer: {ftrl: {lr: 0.1}}}}')")
    compare options auc -c configs/kuairand-mmoe.yaml "${files[@]}"
}
balance() { compare balance auc -c configs/kuairand-mmoe.yaml --vary 'model.balance=fixed,uncertainty,{dwa: {window: 25}},pcgrad,mgda'; }

# ---- the best shipped configurations ----

best_kuairand() { compare best_kuairand auc -c configs/kuairand-mmoe.yaml configs/kuairand-best.yaml; }
best_census() { compare best_census auc -c configs/census-mmoe.yaml configs/census-best.yaml; }

# ---- multi-task against single-task models ----

# One model of four tasks, and a model of each task alone with as many parameters.
single() {
    local task other files=()
    for task in click like long_view finish; do
        files+=("$(for other in click like long_view finish; do
            [ "$other" = "$task" ] || echo "  $other: null"
        done | { echo "tasks:"; cat; } | overlay "single-$task" kuairand-mmoe)")
    done
    compare single auc --equal-params -c configs/kuairand-mmoe.yaml "${files[@]}"
}

run_named 'claims' "$@"
