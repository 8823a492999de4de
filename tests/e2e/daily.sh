#!/usr/bin/env bash
# launch/daily.sh: day after day, each evaluated before it is trained on; an interrupted day
# resumes to the bits of one that was not. With an argument: on the eleven days of KuaiRand.
. "${TOP:?}/tests/e2e/lib.sh"
if [ "${1:-}" = kuairand ]; then
    cd "$TOP" || exit
    file=$work/daily.yaml
    cat >"$file" <<YAML
include: $TOP/configs/kuairand-w2.yaml
name: daily
vars: {day: 20220425}
data:
  train: {files: ["datasets/kuairand-pure/log_standard*.csv.zst"], where: "date == \${day}"}
  eval: null
  cache: $work/cache
YAML
    days=(20220425 20220426 20220427 20220428 20220429 20220430 20220501 20220502 20220503 20220504 20220505)
    killed=20220429
    where=$work
else
    rows 1 4000 >train.csv
    config daily >plain.yaml
    sed -e 's/^name:/vars: {day: 1}\nname:/' -e 's/^  train: .*/  train: {files: [train.csv], where: "day == ${day}"}/' \
        -e '/^  eval:/d' plain.yaml >daily.yaml
    file=daily.yaml
    days=(1 2 3 4 5 6)
    killed=3
    where=.
fi
daily() { "$TOP/launch/daily.sh" -c "$file" --keep 20 "$@"; }

expect_exit 0 "all days" daily --runs "$where/whole" "${days[@]}"
table=$where/whole/daily.tsv
same "a line for each" "${#days[@]}" "$(($(wc -l <"$table") - 1))"
check "the first has nothing to be compared with" bash -c "sed -n 2p '$table' | grep -q '	-'"
check "all others have an AUC of every task" bash -c "tail -n +3 '$table' | awk -F '\t' '{ for (i = 5; i <= NF; i++) if (\$i !~ /^0\.[0-9]+$/) exit 1 } NF < 7 { exit 1 }'"
check "rows grow from day to day" bash -c "tail -n +2 '$table' | cut -f 2 | sort -nc"
expect_exit 0 "(the AUC before the third day by hand)" "$MTPS" eval -q -c "$file" --set "vars.day=${days[2]}" \
    --ckpt "$where/whole/day-${days[1]}" --on train --json
same "is what the table says" "$(sed -n 4p "$table" | cut -f 5)" "$(printf %.5f "$(json auc <"$out")")"

# ---- killed in the middle of a day
expect_exit 0 "up to the day before" daily --runs "$where/parts" "${days[@]:0:$(($(printf '%s\n' "${days[@]}" | grep -nxF "$killed" | cut -d: -f1) - 1))}"
"$TOP/launch/daily.sh" -c "$file" --keep 20 --runs "$where/parts" --set train.epochs=1 --set 'checkpoint.every=[1 steps]' \
    "${days[@]}" >/dev/null 2>&1 </dev/null &
pid=$!
children+=("$pid")
first_commit() { for _ in $(seq 600); do ls -d "$where/parts/day-$killed/checkpoints/step-"* && return; sleep 0.02; done; return 1; }
check "the day begins" first_commit
read -ra trainings <"/proc/$pid/task/$pid/children" || true
kill -KILL "$pid" "${trainings[@]}" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
sleep 0.3
expect_exit 0 "the same command goes on" daily --runs "$where/parts" "${days[@]}"
for day in "$killed" "${days[-1]}"; do
    same "day $day has the bits of the uninterrupted one" "$(digest "$where/whole/day-$day")" "$(digest "$where/parts/day-$day")"
done
same "the tables are the same" "$(cksum <"$table")" "$(cksum <"$where/parts/daily.tsv")"

# ---- again, and with few days kept
before=$(cksum <"$table")
expect_exit 0 "once more does nothing" daily --runs "$where/whole" "${days[@]}"
same "the table stays" "$before" "$(cksum <"$table")"
expect_exit 0 "two days are kept" "$TOP/launch/daily.sh" -c "$file" --keep 2 --runs "$where/two" "${days[@]:0:4}"
same "two folders" 2 "$(find "$where/two" -maxdepth 1 -name 'day-*' -type d | wc -l)"
same "with the same last day" "$(digest "$where/whole/day-${days[3]}")" "$(digest "$where/two/day-${days[3]}")"
expect_exit 0 "the next day later" "$TOP/launch/daily.sh" -c "$file" --keep 2 --runs "$where/two" "${days[@]:0:5}"
same "goes on from there" "$(digest "$where/whole/day-${days[4]}")" "$(digest "$where/two/day-${days[4]}")"
expect_exit 0 "another day, named alone" "$TOP/launch/daily.sh" -c "$file" --keep 2 --runs "$where/two" "${days[5]}"
same "goes on from the last one, too" "$(digest "$where/whole/day-${days[5]}")" "$(digest "$where/two/day-${days[5]}")"
same "and two folders stay" 2 "$(find "$where/two" -maxdepth 1 -name 'day-*' -type d | wc -l)"
rm -r "$where/two/day-${days[5]}"
expect_error 66 'is gone' "a last day that is gone is told" "$TOP/launch/daily.sh" -c "$file" --runs "$where/two" 20991231
expect_exit 0 "on ranks" "$TOP/launch/daily.sh" -c "$file" --runs "$where/ranks" --launch "$TOP/launch/local.sh 3" "${days[@]:0:2}"
same "the same bits" "$(digest "$where/whole/day-${days[1]}")" "$(digest "$where/ranks/day-${days[1]}")"
expect_error 64 'no days' "no days" "$TOP/launch/daily.sh" -c "$file"
expect_error 64 'keep 1' "one day is too few" "$TOP/launch/daily.sh" -c "$file" --keep 1 "${days[@]}"
expect_error 64 'cannot be a day' "a path is no day" "$TOP/launch/daily.sh" -c "$file" ../x
finish
