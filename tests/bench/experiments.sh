#!/usr/bin/env bash
# The comparisons of docs/results.md: every table there is one name here.
#
#   tests/bench/experiments.sh NAME...      (needs jq)
#   tests/bench/experiments.sh list
#
# Runs stay in build/experiments (EXPERIMENTS=DIR): an interrupted one goes on, a finished
# one only prints. A table has, per task, the mean ± its standard error over the seeds, and
# below the first row the paired difference to it with its p value. With jq alone
# the tables can be printed again from compare.json.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mtps=${MTPS:-build/release/bin/mtps}
top=$PWD
out=${EXPERIMENTS:-build/experiments}
seeds=${SEEDS:-5}
mkdir -p "$out"

# Markdown from compare.json on stdin: table METRIC ROWS.
table() {
    jq -r --arg metric "$1" --arg on "$2" '
        def digits($n; $d): ($n * pow(10; $d) | round | fabs | tostring) as $t
            | ("0" * ($d + 1 - ($t | length)) // "") + $t
            | (if $n < 0 and ($n * pow(10; $d) | round) != 0 then "-" else "" end) + .[:-$d] + "." + .[-$d:];
        def mean: add / length;
        def sd: mean as $m | if length > 1 then (map(pow(. - $m; 2)) | add / (length - 1) | sqrt) else 0 end;
        . as $doc
        | [$doc.cells[0].tasks | to_entries[] | select(.value[$metric]) | .key] as $tasks
        | def values($cell; $task): [$doc.runs[] | select(.cell == $cell)
              | (if $on == $doc.on[0] then .eval else .also[$on] end)[$task][$metric]];
          "| \($on) \($metric) | parameters | \($tasks | join(" | ")) |",
          "| --- | --- |\($tasks | map(" --- |") | join(""))",
          (range($doc.cells | length) as $i | $doc.cells[$i] as $c
           | "| \($c.label | sub("^.*/"; "") | sub("[.]yaml$"; "")) | \($c.params) | " + ($tasks | map(. as $t | values($i; $t)
                | "\(digits(mean; 4)) ± \(digits(sd / (length | sqrt); 4))") | join(" | ")) + " |",
             if $i > 0 and $on == $doc.on[0] then
                "| | | " + ($tasks | map(. as $t | $c.tasks[$t][$metric]
                    | "\(if .diff >= 0 then "+" else "" end)\(digits(.diff; 4)), p \(if .p == null then "-" elif .p < 0.001 then "< 0.001" else digits(.p; 3) end)") | join(" | ")) + " |"
             else empty end)'
}

# Words as a shell reads them back, quoted where they have to be.
quoted() {
    local word
    for word in "$@"; do
        [[ $word =~ ^[A-Za-z0-9_./=,:-]+$ ]] || word="'$word'"
        printf ' %s' "$word"
    done
}

# compare NAME METRIC option...: run it, print its tables.
compare() {
    local name=$1 metric=$2 on
    shift 2
    printf '\n### %s\n\n```\nmtps compare' "$name"
    quoted "$@"
    printf '\n```\n\n'
    "$mtps" compare -q --out "$out/$name" --seeds "$seeds" --json "$@" >"$out/$name.json" 2>"$out/$name.log" </dev/null || {
        tail -n 5 "$out/$name.log" >&2
        return 1
    }
    for on in $(jq -r '.on[]' "$out/$name.json"); do
        table "$metric" "$on" <"$out/$name.json"
        echo
    done
}

# overlay NAME INCLUDED: a configuration that adds stdin to another.
overlay() {
    mkdir -p "$out/configs"
    { echo "include: $top/configs/$2.yaml"; echo "name: $1"; cat; } >"$out/configs/$1.yaml"
    echo "$out/configs/$1.yaml"
}

# ---- the article ----

article() { compare article auc -c configs/census-article.yaml --vary model.type=share_bottom,mmoe,ple --on eval,train; }
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
claims() { # NAME CONFIG
    compare "$1" auc -c "$2" --equal-params --vary model.type=mmoe,cgc,ple --vary model.experts.levels=2,3
}
claims_kuairand() { claims claims_kuairand configs/kuairand-mmoe.yaml; }
claims_census() { claims claims_census configs/census-mmoe.yaml; }
claims_synthetic() {
    "$mtps" data synth tasks -q -o "$out/synth" --tasks 4 --correlation 0.5 --present 1,1,1,0.3 >/dev/null
    claims claims_synthetic "$out/synth/config.yaml"
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

single() {
    local task other files=()
    for task in click like long_view finish; do
        files+=("$(for other in click like long_view finish; do
            [ "$other" = "$task" ] || echo "  $other: null"
        done | { echo "tasks:"; cat; } | overlay "single-$task" kuairand-mmoe)")
    done
    compare single auc -c configs/kuairand-mmoe.yaml
    for task in click like long_view finish; do
        compare "single_$task" auc -c "$out/configs/single-$task.yaml" --equal-params
    done
}

names() { declare -F | awk '{ print $3 }' | grep -vE '^(table|quoted|compare|overlay|claims|names)$'; }
(($#)) || set -- list
for name in "$@"; do
    if [ "$name" = list ]; then names; continue; fi
    names | grep -qx "$name" || { echo "error: experiments: $name: unknown; one of: $(names | xargs)" >&2; exit 64; }
    "$name"
done
