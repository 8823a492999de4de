#!/usr/bin/env bash
# Trains day after day: each day goes on from the one before (hot_start, mode all), which is
# first evaluated on it. The configuration names the day's rows with ${day}:
#
#   vars: {day: 20220425}
#   data: {train: {files: [log.csv], where: "date == ${day}"}}
#
#   launch/daily.sh -c daily.yaml 20220425 20220426 ...            the days, in order
#
#   --runs DIR     run directories DIR/day-DAY, and DIR/daily.tsv (default: runs/daily)
#   --from PATH    what the first day of all starts from (default: nothing)
#   --keep N       run directories of days that stay, at least 2 (default: 7)
#   --set K=V      for training and evaluation, may be given several times
#   --launch CMD   in front of training, for example "mpirun -n 4 --hostfile hosts"
#
# daily.tsv has a line per day: the AUC of every task on that day before training on it;
# after it, rows of tables, ids that wait for a row (tables.*.admit), and steps. A day that
# was interrupted resumes when the same command is run again; days that are done are not done
# again. Days that follow go on from the last one in the table, with or without those before.
set -euo pipefail
export LC_ALL=C

fail() { # what, hint, code
    printf 'error: daily: %s\nhint: %s\n' "$1" "$2" >&2
    exit "${3:-64}"
}

mtps=${MTPS:-mtps}
config='' runs=runs/daily from='' keep=7 launch=()
sets=() days=()
while [ $# -gt 0 ]; do
    case $1 in
    -c | --config | --runs | --from | --keep | --set | --launch)
        [ $# -ge 2 ] || fail "$1 needs a value" "launch/daily.sh -c FILE DAY..."
        case $1 in
        --runs) runs=$2 ;;
        --from) from=$2 ;;
        --keep) keep=$2 ;;
        --set) sets+=(--set "$2") ;;
        --launch) read -ra launch <<<"$2" ;;
        *) config=$2 ;;
        esac
        shift 2
        ;;
    -*) fail "$1: unknown option" "launch/daily.sh -c FILE DAY..." ;;
    *)
        days+=("$1")
        shift
        ;;
    esac
done
[ -n "$config" ] || fail "no configuration" "launch/daily.sh -c FILE DAY..."
[ ${#days[@]} -gt 0 ] || fail "no days" "name them in order: launch/daily.sh -c $config 20220425 20220426"
[[ $keep =~ ^[0-9]+$ ]] && [ "$keep" -ge 2 ] || fail "--keep $keep: not a number from 2 on" "--keep 7"
for day in "${days[@]}"; do
    [[ $day =~ ^[A-Za-z0-9._-]+$ ]] || fail "'$day' cannot be a day" "letters, digits, '.', '_' and '-'"
done

table=$runs/daily.tsv
mkdir -p "$runs"

# FILE: "TASK<tab>AUC" of every task in the JSON of eval.
auc_of() {
    sed -E 's/.*"eval": ?\{//' "$1" | grep -oE '"[^"{}]+": ?\{"auc": ?[0-9.eE+-]+' |
        sed -E 's/^"([^"]+)": ?\{"auc": ?/\1\t/'
}

# KEY FILE: the first whole number with this key.
number() {
    grep -oE "\"$1\": ?[0-9]+" "$2" | head -n 1 | grep -oE '[0-9]+$'
}

# DAY BEFORE: AUC of the day before's model on this day's rows, kept so that it is measured once.
evaluate() {
    local out=$runs/day-$1.before.json
    [ -s "$out" ] && return
    "$mtps" eval -q -c "$config" "${sets[@]}" --set "vars.day=$1" --ckpt "$2" --on train --json >"$out.tmp" </dev/null
    mv "$out.tmp" "$out"
}

# DAY BEFORE: train, or go on with it.
train() {
    local run=$runs/day-$1 hot=()
    [ -s "$run/daily.json" ] && return
    [ -z "$2" ] || hot=(--set "hot_start.from=$2" --set hot_start.mode=all)
    "${launch[@]}" "$mtps" train -q -c "$config" "${sets[@]}" --set "vars.day=$1" "${hot[@]}" \
        --run-dir "$run" --json >"$runs/day-$1.tmp" </dev/null
    "$mtps" ckpt digest "$run" --json >>"$runs/day-$1.tmp"
    mv "$runs/day-$1.tmp" "$run/daily.json"
}

# NAME DAY: what stands in this column.
column() {
    local run=$runs/day-$2 before=$runs/day-$2.before.json
    case $1 in
    day) echo "$2" ;;
    steps) number steps "$run/daily.json" ;;
    rows | waiting) number "$1" <(tail -n 1 "$run/daily.json") ;;
    auc.*) [ ! -s "$before" ] || auc_of "$before" | awk -F '\t' -v task="${1#auc.}" '$1 == task { printf "%.5f\n", $2 }' ;;
    esac
}

# DAY: its line, once. Columns are those of the first line.
add_line() {
    local tasks task name value line=
    is_done "$1" && return
    if [ ! -s "$table" ]; then
        tasks=$("$mtps" config show -c "$config" "${sets[@]}" --set "vars.day=$1" | sed -n '/^tasks:/,/^[a-z]/p' |
            sed -nE "s/^  ['\"]?([^ '\"#:]+)['\"]?:.*/\1/p")
        printf 'day\trows\twaiting\tsteps%s\n' "$(for task in $tasks; do printf '\tauc.%s' "$task"; done)" >"$table"
    fi
    while read -r name; do
        value=$(column "$name" "$1") || value=
        line+=${line:+$'\t'}${value:--}
    done < <(head -n 1 "$table" | tr '\t' '\n')
    echo "$line" >>"$table"
    tail -n 1 "$table"
}

# Is the day done?
is_done() {
    [ -s "$table" ] && awk -F '\t' -v day="$1" 'NR > 1 && $1 "" == day "" { n++ } END { exit !n }' "$table"
}

# Folders of days before the last $keep of the table go.
clean_up() {
    local day
    tail -n +2 "$table" | cut -f 1 | head -n "-$keep" | while read -r day; do rm -rf "$runs/day-$day"; done
}

previous=$from
if [ -s "$table" ] && ! is_done "${days[0]}"; then
    previous=$runs/day-$(tail -n 1 "$table" | cut -f 1)
    [ -d "$previous" ] || fail "$previous: is gone, the last day in $table" "put it back, or begin with another --runs" 66
fi
for day in "${days[@]}"; do
    if [ ! -d "$runs/day-$day" ] && is_done "$day"; then continue; fi # its folder is gone
    [ -z "$previous" ] || [ -s "$runs/day-$day/daily.json" ] || evaluate "$day" "$previous"
    train "$day" "$previous"
    add_line "$day"
    rm -f "$runs/day-$day.before.json"
    previous=$runs/day-$day
    clean_up
done
