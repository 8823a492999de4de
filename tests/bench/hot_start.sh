#!/usr/bin/env bash
# The experiments of docs/hot-start.md: every table there is one name here.
#
#   tests/bench/hot_start.sh NAME...        (experiments_lib.sh says what can be set)
#   tests/bench/hot_start.sh list
#
# The first models (configs/kuairand-hot-base.yaml) are trained when they are missing, one per
# seed: seed 43 of a comparison goes on from the first model of seed 43.
. "$(dirname "${BASH_SOURCE[0]}")/experiments_lib.sh"
paired=error
picture=curves
first_seed=42
batch=1024
first=configs/kuairand-hot-base.yaml
half='date <= ${until} and hash(user_id) % 2 == 0'

# base NAME CONFIG option...: the first models. A finished training is only evaluated.
base() {
    local name=$1 config=$2 seed
    shift 2
    for ((seed = first_seed; seed < first_seed + seeds; seed++)); do
        "$mtps" train -q -c "$config" --seed "$seed" --run-dir "$out/$name/seed-$seed" "$@" \
            --json >"$out/$name-$seed.json" </dev/null
    done
}
base_files() { local seed; for ((seed = first_seed; seed < first_seed + seeds; seed++)); do echo "$out/$1-$seed.json"; done; }

# base_auc NAME: a line of a table, what they score on the days of the test.
base_auc() {
    printf 'The first models on the same rows:\n\n'
    base_files "$1" | xargs jq -rs "$numbers"'
        [.[0].eval | keys_unsorted[]] as $tasks | map(.eval) as $runs
        | "| eval auc | \($tasks | join(" | ")) |", "| --- |\($tasks | map(" --- |") | join(""))",
          "| first model | \($tasks | map(. as $t | [$runs[][$t].auc] | "\(digits(mean; 4)) ± \(digits(se; 4))") | join(" | ")) |", ""'
}

# from NAME: the option with which a comparison goes on from them, seed by seed.
from() { printf '%s' "hot_start.from=$out/$1/seed-\${seed}"; }

# coverage NAME: what share of the new rows finds a row of theirs, as a table.
coverage() {
    printf '\nmtps hotstart plan -c configs/kuairand-hot.yaml --from %s\n\n' "$out/$1/seed-$first_seed"
    echo '| feature | ids | found | lookups | found |'
    echo '| --- | --- | --- | --- | --- |'
    "$mtps" hotstart plan -q -c configs/kuairand-hot.yaml --from "$out/$1/seed-$first_seed" --json </dev/null | jq -r "$numbers"'
        .coverage.features | to_entries[] | .key as $name | .value
        | "| \($name) | \(.distinct) | \(digits(100 * .distinct_found / .distinct; 2)) % | \(.lookups) | \(digits(100 * .lookups_found / .lookups; 2)) % |"'
    echo
}

# points NAME METRIC: a JSON line {cell, seed, step, value: {TASK: x}} per evaluation of a run.
points() {
    local cell seed dir
    jq -r '.runs[] | [.cell, .seed, .run_dir] | @tsv' "$out/$1.json" | while read -r cell seed dir; do
        jq -c --argjson cell "$cell" --argjson seed "$seed" --arg metric "$2" 'select(.kind == "valid" or .kind == "eval")
            | {cell: $cell, seed: $seed, step, value: (.tasks | map_values(.[$metric]))}' "$dir/metrics.jsonl"
    done
}

# curves NAME: AUC against rows, a table per task.
curves() {
    points "$1" auc | jq -rs --slurpfile doc "$out/$1.json" --argjson batch "$batch" "$numbers"'
        . as $points | ([.[].step] | unique) as $steps | ([$steps[] | select(. % 10 == 0 or . == $steps[0] or . == $steps[-1])]) as $shown
        | ($doc[0].cells[0].tasks | keys_unsorted[]) as $task
        | "| \($task), auc after rows | \($shown | map("\(. * $batch / 1000 | round) k") | join(" | ")) |",
          "| --- |\($shown | map(" --- |") | join(""))",
          (range($doc[0].cells | length) as $i
           | "| \($doc[0].cells[$i].label) | \($shown | map(. as $step
               | [$points[] | select(.cell == $i and .step == $step) | .value[$task]] | digits(mean; 4)) | join(" | ")) |"), ""'
}

# jq, of points: rows after which a run is as good as the first cell's run of the same seed is
# at its end, null for never; a straight line between evaluations, the first of which counts from
# its own rows. $better: 1 for metrics that rise, -1 for those that fall.
reaching='
    def curve($cell; $seed; $task): map(select(.cell == $cell and .seed == $seed)) | unique_by(.step) | map([.step, $better * .value[$task]]);
    def first_at($level): . as $c | [range(length) | select($c[.][1] >= $level)][0] as $i
        | if $i == null then null elif $i == 0 then $c[0][0]
          else $c[$i - 1] as $a | $c[$i] as $b | $a[0] + ($b[0] - $a[0]) * ($level - $a[1]) / ($b[1] - $a[1]) end;
    def reached($cell; $task): . as $points | [([.[].seed] | unique)[] as $seed | ($points | curve(0; $seed; $task) | last[1]) as $level
        | $points | curve($cell; $seed; $task) | first_at($level) | if . then . * $batch else null end];'

# reach NAME METRIC BETTER: those rows, mean and standard error of the seeds that get there.
reach() {
    points "$1" "$2" | jq -rs --slurpfile doc "$out/$1.json" --argjson batch "$batch" --argjson better "$3" "$numbers$reaching"'
        . as $points | [$doc[0].cells[0].tasks | keys_unsorted[]] as $tasks
        | "| thousand rows to the end of \($doc[0].cells[0].label) | \($tasks | join(" | ")) |", "| --- |\($tasks | map(" --- |") | join(""))",
          (range($doc[0].cells | length) as $i
           | "| \($doc[0].cells[$i].label) | \($tasks | map(. as $task | ($points | reached($i; $task)) as $at
               | ($at | map(select(. != null) / 1000)) as $there
               | if $there == [] then "never" else "\(digits($there | mean; 1)) ± \(digits($there | se; 1))"
                 + if ($there | length) < ($at | length) then " (\($there | length) of \($at | length))" else "" end end) | join(" | ")) |"), ""'
}

modes=hot_start.mode=cold,sparse,sparse+shared,all

# ---- a task is added ----

added() { # NAME BASE
    compare "$1" auc -c configs/kuairand-hot.yaml --set "$(from "$2")" --vary "$modes"
    base_auc "$2"
    reach "$1" auc 1
    curves "$1"
    coverage "$2"
}
new_task() {
    base hot-base $first
    added new_task hot-base
}
# The first models have not seen half of the users.
half_users() {
    base hot-half $first --set data.train.where="$half"
    added half_users hot-half
}
# Everything anew on all nine days, of which the last three have likes.
anew() {
    local file
    file=$(overlay anew kuairand-hot <<<'
data: {train: {where: "date <= ${last}"}, valid: null}
tasks: {like: {present: "date > ${until}"}}
hot_start: null')
    compare anew auc -c "$file"
}
# Ways to go gently, all with mode all.
gently() {
    local files=()
    base hot-base $first
    way() { files+=("$(overlay "$1" kuairand-hot <<<"data: {valid: null}
hot_start: {mode: all$2}")"); }
    way all ''
    way only-new-ramp ', new_task: {only_new: 10, ramp: 20}'
    way copied-gate ', new_task: {gate: click}'
    way shrink ', perturb: {"expert/*": {shrink: 0.6, noise: 0.01}}'
    way slow-experts ', lr_scale: {"expert/*": 0.1}'
    way frozen ', freeze: [{names: ["table/*", "expert/*", task/click, task/long_view, task/finish]}]'
    way experts-alone ', exclude: ["tower/*", "gate/*"]'
    compare gently auc -c "${files[@]}" --set "$(from hot-base)"
}

# ---- the model is changed; the tasks stay ----

changed() { # NAME, the change on stdin
    local file
    file=$(overlay "$1" kuairand-hot)
    base hot-base $first
    compare "$1" auc -c "$file" --set data.valid=null --set tasks.like=null --set "$(from hot-base)" \
        --vary hot_start.mode=cold,sparse,all
}
to_cgc() {
    changed to_cgc <<<'
model: {type: cgc, experts: {own: 1, shared: 5}}
hot_start:
  rename:
    expert/level0/click/0: expert/level0/shared/5
    expert/level0/long_view/0: expert/level0/shared/6
    expert/level0/finish/0: expert/level0/shared/7'
}
more_experts() { changed more_experts <<<'
model: {experts: {count: 12}}
hot_start: {new_task: {open: 20}}'; }
wider_tower() { changed wider_tower <<<'
model: {towers: {layers: [64]}}
hot_start: {resize: pad}'; }
wider_rows() { changed wider_rows <<<'
tables: {default: {dim: 32}}
hot_start: {resize: pad}'; }

# ---- ids that get a row ----

# Rows and waiting ids are the same for all seeds: counts are those of the data.
admission() {
    local label dir
    compare admission auc -c configs/kuairand-mmoe.yaml --vary tables.default.admit.min_count=1,2,3,5,10
    printf '| least count | rows | waiting | bytes of the checkpoint |\n| --- | --- | --- | --- |\n'
    jq -r '.cells as $cells | .runs | group_by(.cell)[] | .[0] | [$cells[.cell].label, .run_dir] | @tsv' "$out/admission.json" |
        while read -r label dir; do
            "$mtps" ckpt digest "$dir" --json </dev/null | jq -r --arg least "$label" --arg bytes \
                "$(cat "$dir"/checkpoints/step-*/sparse-* | wc -c | tr -d ' ')" '"| \($least) | \(.rows) | \(.waiting) | \($bytes) |"'
        done
    echo
}

# ---- with a verdict ----

# judge NAME BASE TASK: the new task is as good as a cold start at its end after half of its rows
# with sparse and with all, and with all the old tasks lose no more than the first models of several
# seeds differ by.
judge() {
    points "$1" logloss | jq -rs --slurpfile doc "$out/$1.json" --slurpfile first <(base_files "$2" | xargs jq -s 'map(.eval)') \
        --arg task "$3" --argjson batch "$batch" --argjson better -1 "$numbers$reaching"'
        def verdict($ok; $text): "\(if $ok then "ok   " else "FAIL " end) \($text)";
        . as $points | ([.[].step] | max * $batch) as $rows
        | (range($doc[0].cells | length) as $i | $doc[0].cells[$i].label as $mode | select($mode == "sparse" or $mode == "all")
           | ($points | reached($i; $task)) as $at
           | verdict(($at | all) and ($at | mean) <= $rows / 2;
               "\($mode): \($task) after \(if $at | all then digits($at | mean / 1000; 1) else "more than \($rows / 1000)" end) thousand rows, at most half of \(digits($rows / 1000; 1))"),
             (select($mode == "all") | $first[0][0] | keys[] as $old
              | [$first[0][][$old].logloss] as $before | [$doc[0].runs[] | select(.cell == $i) | .eval[$old].logloss] as $after
              | verdict(($after | mean) <= ($before | mean) + ($before | sd);
                  "\($mode): \($old) has error \(digits($after | mean; 4)), the first models \(digits($before | mean; 4)) (sd \(digits($before | sd; 4)))")))'
}
# Three tasks whose logits have pairwise correlation 0.9; the third comes after 300,000 rows.
synthetic() {
    local data=$out/synth-hot batch=256
    "$mtps" data synth tasks -o "$data" --tasks 3 --correlation 0.9 -n 400000 --eval-rows 20000 >/dev/null
    head -n 300001 "$data/train.csv" >"$data/first.csv"
    sed '2,300001d' "$data/train.csv" >"$data/next.csv"
    cat >"$data/first.yaml" <<'YAML'
include: config.yaml
data: {train: {files: ["${dir}/first.csv"]}}
tasks: {task3: null}
YAML
    cat >"$data/next.yaml" <<'YAML'
include: config.yaml
data: {train: {files: ["${dir}/next.csv"]}, valid: {files: ["${dir}/eval.csv"]}}
train: {eval_every: 20 steps}
YAML
    base synth-first "$data/first.yaml"
    compare synthetic logloss -c "$data/next.yaml" --set "$(from synth-first)" --vary "$modes"
    reach synthetic logloss -1
    judge synthetic synth-first task3 | tee "$out/synthetic.verdict"
    ! grep -q FAIL "$out/synthetic.verdict" && [ -s "$out/synthetic.verdict" ]
}

run_named 'base base_files judge base_auc from coverage points curves reach added changed way' "$@"
