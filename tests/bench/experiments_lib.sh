# What the scripts of experiments share; sourced, not run: a comparison, its command and its
# tables in Markdown. Needs jq.
#
# Runs stay in build/experiments (EXPERIMENTS=DIR): an interrupted one goes on, a finished
# one only prints. SEEDS=5 seeds each, JOBS=N runs side by side. A table has, per task, the mean
# ± its standard error over the seeds, and below the first row the paired difference to it, with
# its p value or (paired=error) its standard error. PLOTS=DIR also copies the pictures there
# (docs/plots), as NAME.svg. With jq alone the tables can be printed again from compare.json.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
command -v jq >/dev/null || { echo "skipped: jq is not installed"; exit 77; }
mtps=${MTPS:-build/release/bin/mtps}
top=$PWD
out=${EXPERIMENTS:-build/experiments}
seeds=${SEEDS:-5}
paired=p
picture=compare # which one PLOTS takes: that, or curves
mkdir -p "$out"

# jq: a number with so many decimals, means and standard errors.
numbers='
    def digits($n; $d): ($n * pow(10; $d) | round | fabs | tostring) as $t
        | ("0" * ($d + 1 - ($t | length)) // "") + $t
        | (if $n < 0 and ($n * pow(10; $d) | round) != 0 then "-" else "" end) + .[:-$d] + "." + .[-$d:];
    def mean: add / length;
    def sd: mean as $m | if length > 1 then (map(pow(. - $m; 2)) | add / (length - 1) | sqrt) else 0 end;
    def se: sd / (length | sqrt);
    # P(|T| >= |t|) for n degrees of freedom: the finite sums of Student'"'"'s distribution.
    def student($t; $n): ($t / ($n | sqrt) | atan | fabs) as $a | ($a | cos) as $c | ($a | sin) as $s
        | def sum($first; next): reduce range(1; $n / 2 | floor) as $i ([$first, $first];
              (.[0] * ($i | next) * $c * $c) as $term | [$term, .[1] + $term]) | .[1];
          1 - (if $n % 2 == 0 then $s * sum(1; (2 * . - 1) / (2 * .))
               else ($a + (if $n == 1 then 0 else $s * sum($c; 2 * . / (2 * . + 1)) end)) * 2 / 3.141592653589793 end);'

# Markdown from compare.json on stdin: table METRIC ROWS.
table() {
    jq -r --arg metric "$1" --arg on "$2" --arg paired "$paired" "$numbers"'
        . as $doc
        | [$doc.cells[0].tasks | to_entries[] | select(.value[$metric]) | .key] as $tasks
        | def values($cell; $task): [$doc.runs[] | select(.cell == $cell)
              | (if $on == $doc.on[0] then .eval else .also[$on] end)[$task][$metric] | numbers];
          "| \($on) \($metric) | parameters | \($tasks | map(gsub("[|]"; "\\|")) | join(" | ")) |",
          "| --- | --- |\($tasks | map(" --- |") | join(""))",
          (range($doc.cells | length) as $i | $doc.cells[$i] as $c
           | "| \($c.label | sub("^.*/"; "") | sub("[.]yaml$"; "")) | \($c.params) | " + ($tasks | map(. as $t | values($i; $t)
                | if length == 0 then "" else "\(digits(mean; 4)) ± \(digits(se; 4))" end) | join(" | ")) + " |",
             if $i > 0 and $on == $doc.on[0] then
                "| | | " + ($tasks | map(. as $t | $c.tasks[$t][$metric]
                    | if .diff == null then "" else "\(if .diff >= 0 then "+" else "" end)\(digits(.diff; 4))" +
                      if $paired == "error" then " ± \([values($i; $t), values(0; $t)] | transpose | map(.[0] - .[1]) | digits(se; 4))"
                      else ", p \(if .p == null then "-" elif .p < 0.001 then "< 0.001" else digits(.p; 3) end)" end end)
                    | join(" | ")) + " |"
             else empty end)'
}

# Win, tie or loss of one cell against another, paired by seed, by p < 0.05: verdicts METRIC
# CELL:BASE...
verdicts() {
    local metric=$1
    shift
    jq -r --arg metric "$metric" "$numbers"'
        . as $doc
        | [$doc.cells[0].tasks | to_entries[] | select(.value[$metric]) | .key] as $tasks
        | def values($cell; $task): [$doc.runs[] | select(.cell == $cell) | .eval[$task][$metric]];
          def verdict($cell; $base; $task):
              [values($cell; $task), values($base; $task)] | transpose | map(.[0] - .[1])
              | mean as $diff | (length - 1) as $n | se as $se
              | (if $se > 0 then student($diff / $se; $n) elif $diff == 0 then 1 else 0 end) as $p
              | "\(if $p >= 0.05 then "tie" elif $diff > 0 then "win" else "loss" end), "
                + (if $p < 0.001 then "p < 0.001" else "p \(digits($p; 3))" end);
          "| | \($tasks | join(" | ")) |", "| --- |\($tasks | map(" --- |") | join(""))",
          ($ARGS.positional[] | split(":") | map(tonumber) as [$cell, $base]
           | "| \($doc.cells[$cell].label) against \($doc.cells[$base].label) | " | gsub("type="; "")
             + ($tasks | map(verdict($cell; $base; .)) | join(" | ")) + " |")' --args "$@"
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
    "$mtps" compare -q --out "$out/$name" --seeds "$seeds" ${JOBS:+--jobs "$JOBS"} --json "$@" >"$out/$name.json" 2>"$out/$name.log" </dev/null || {
        tail -n 5 "$out/$name.log" >&2
        return 1
    }
    [ -z "${PLOTS:-}" ] || [ ! -e "$out/$name/$picture.svg" ] || cp "$out/$name/$picture.svg" "$PLOTS/$name.svg"
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

functions() { declare -F | awk '{ print $3 }'; }
helpers=$(functions | xargs)

# run_named HELPERS NAME...: run these functions of the script. HELPERS are those that are no
# experiments; `list` says which are.
run_named() {
    local names name
    names=$(functions | grep -vxF "$(tr ' ' '\n' <<<"$helpers run_named $1")")
    shift
    (($#)) || set -- list
    for name in "$@"; do
        if [ "$name" = list ]; then echo "$names"; continue; fi
        grep -qx "$name" <<<"$names" || { echo "error: ${0##*/}: $name: unknown; one of: $(xargs <<<"$names")" >&2; exit 64; }
        "$name"
    done
}
