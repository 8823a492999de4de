#!/usr/bin/env bash
# Ids get a row when they have been seen often enough, and rows that no day has seen for long
# go (tables.*.admit, evict): counted exactly, the same in any layout, over days and resumes.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
train() { # RUN ARGS...
    local run=$1
    shift
    "$MTPS" train -c small.yaml --set data.eval=null --run-dir "runs/$run" -q "$@"
}
count() { # NAME RUN: rows or waiting
    "$MTPS" ckpt digest "runs/$2" --json | json "$1"
}
rows_of() { # TABLE RUN
    "$MTPS" ckpt dump --table "$1" "runs/$2" | tail -n +2 | wc -l | tr -d ' '
}
# users FILE MIN: how many users of a file were seen so often
users() { tail -n +2 "$1" | cut -d, -f2 | sort | uniq -c | awk -v min="$2" '$1 >= min' | wc -l | tr -d ' '; }

# Users differ in how often they come.
awk -F, -v OFS=, 'NR > 1 { u = NR * 7919 % 211; $2 = "u" int(u * u / 300) } 1' train.csv >skewed.csv
data=(--set 'data.train={files: [skewed.csv]}')
admit=("${data[@]}" --set tables.user.admit.min_count=30)

# ---- who gets a row
expect_exit 0 "everybody gets a row" train all "${data[@]}"
expect_exit 0 "users who came 30 times get one" train some "${admit[@]}"
same "by exact counts" "$(users skewed.csv 30)" "$(rows_of user some)"
check "(some did, some did not)" test "$(users skewed.csv 30)" -gt 5 -a "$(users skewed.csv 30)" -lt "$(users skewed.csv 1)"
same "the others wait" "$(($(users skewed.csv 1) - $(users skewed.csv 30)))" "$(count waiting some)"
same "nobody waits otherwise" 0 "$(count waiting all)"
same "rows of other tables are all there" "$(rows_of item all)" "$(rows_of item some)"
same "who waits is counted" "$(users skewed.csv 1)" \
    "$({ "$MTPS" ckpt dump --table user runs/some; "$MTPS" ckpt dump --table user/waiting runs/some; } | grep -c '^[0-9]')"
check "no more than 29 times" bash -c "'$MTPS' ckpt dump --table user/waiting runs/some | tail -n +2 | awk -F, '\$2 < 1 || \$2 > 29 { exit 1 }'"
check "the checkpoint is sound" "$MTPS" ckpt verify runs/some
check "show tells them apart" bash -c "'$MTPS' ckpt show runs/some | grep -qE '^ids +user/waiting +[1-9]'"
expect_exit 0 "nobody comes 10,000 times" train none --set tables.default.admit.min_count=10000
same "no rows" 0 "$(count rows none)"

# ---- who has no row is scored as somebody never seen
awk -F, -v OFS=, 'NR > 1 { $2 = "never" NR } 1' eval.csv >strangers.csv
scores() { "$MTPS" predict --ckpt "runs/$1" --input "$2" -o "$1.csv" -q >/dev/null 2>&1 && cksum <"$1.csv"; }
sed -i 's/^  default: .*/&\n  user: {dim: 8, init: zero}/' small.yaml
expect_exit 0 "rows begin with zeros, and nobody has one" train zero "${data[@]}" --set tables.user.admit.min_count=100000
same "who waits is scored as a stranger" "$(scores zero eval.csv)" "$(scores zero strangers.csv)"
expect_exit 0 "(rows for everybody)" train zero-all "${data[@]}"
check "who has a row is not" test "$(scores zero-all eval.csv)" != "$(scores zero-all strangers.csv)"

# ---- any layout, resumed
expect_exit 0 "with four threads" train threads "${admit[@]}" --set cluster.threads=4
expect_exit 0 "on 2 servers and 3 workers" ranks 5 "$MTPS" train -c small.yaml --set data.eval=null --servers 2 \
    --run-dir runs/ranks -q "${admit[@]}"
expect_exit 0 "in one process" train one "${admit[@]}" --set cluster.threads=1
same "the same bits" "$(digest runs/one)" "$(digest runs/threads)"
same "and counts" "$(digest runs/one)" "$(digest runs/ranks)"
expect_exit 0 "stopped in the middle" train parts "${admit[@]}" --set train.max_steps=11
check "when some wait who will not" test "$(count waiting parts)" -gt "$(count waiting one)"
expect_exit 0 "resumed on 3 servers" ranks 4 "$MTPS" train -c small.yaml --set data.eval=null --servers 3 \
    --run-dir runs/parts -q "${admit[@]}"
same "counts go on" "$(digest runs/one)" "$(digest runs/parts)"
expect_error 78 'admit' "another threshold is another training" train parts "${data[@]}" --set tables.user.admit.min_count=31
expect_exit 0 "a checkpoint is scored whatever is admitted now" "$MTPS" predict --ckpt runs/one -c small.yaml \
    --input eval.csv -o any.csv -q

# ---- over days: five of 800 rows, with users of their own and some who stay
for day in 1 2 3 4 5; do
    { head -n 1 skewed.csv; sed -n "$((2 + 800 * (day - 1))),$((1 + 800 * day))p" skewed.csv |
        awk -F, -v OFS=, -v day="$day" 'NR % 4 { $2 = "d" day "-" NR % 40 } 1'; } >"day$day.csv"
done
sed -e 's/^name:/vars: {day: 1}\nname:/' -e 's/^  train: .*/  train: {files: ["day${day}.csv"]}/' -e '/^  eval:/d' small.yaml >daily.yaml
seen() { cat "$@" | grep -v '^day,' | cut -d, -f2 | sort -u | wc -l | tr -d ' '; }
daily() { "$TOP/launch/daily.sh" -c daily.yaml --runs "$@" 1 2 3 4 5; }
expect_exit 0 "five days" daily kept
same "all users of all days stay" "$(seen day[1-5].csv)" "$("$MTPS" ckpt dump --table user kept/day-5 | grep -c '^[0-9]')"
expect_exit 0 "rows unseen for two days go" daily gone --set tables.user.evict.unseen_days=2
same "those of the last two days and today's are there" "$(seen day[345].csv)" "$("$MTPS" ckpt dump --table user gone/day-5 | grep -c '^[0-9]')"
fourth=(-c daily.yaml --set vars.day=4 --set hot_start.from=kept/day-3 --set hot_start.mode=all --run-dir halves -q)
expect_exit 0 "(a fourth day is stopped)" "$MTPS" train "${fourth[@]}" --set train.max_steps=2
expect_exit 0 "(and resumed)" "$MTPS" train "${fourth[@]}"
expect_exit 0 "a start from it" "$MTPS" train -c daily.yaml --set vars.day=5 --set hot_start.from=halves -q \
    --set tables.user.evict.unseen_days=2 --set train.max_steps=0 --run-dir fifth
same "knows the days before" "$(seen day[34].csv)" "$("$MTPS" ckpt dump --table user fifth | grep -c '^[0-9]')"
expect_exit 0 "a start from that, which has no steps" "$MTPS" train -c daily.yaml --set vars.day=5 --set hot_start.from=fifth -q \
    --set tables.user.evict.unseen_days=2 --set train.max_steps=0 --run-dir fifth-again
same "counts the same days" "$("$MTPS" ckpt digest fifth --json | json rows)" "$("$MTPS" ckpt digest fifth-again --json | json rows)"
expect_exit 0 "admitted with 15 occurrences over all days" daily counted --set tables.user.admit.min_count=15
want=$(cat day[1-5].csv | grep -v '^day,' | cut -d, -f2 | sort | uniq -c | awk '$1 >= 15' | wc -l | tr -d ' ')
same "counts go on from day to day" "$want" "$("$MTPS" ckpt dump --table user counted/day-5 | grep -c '^[0-9]')"
same "the table says how many wait" "$(count waiting ../counted/day-5)" "$(tail -n 1 counted/daily.tsv | cut -f 3)"
check "(somebody does)" test "$(tail -n 1 counted/daily.tsv | cut -f 3)" -gt 0
same "and how many rows there are" "$(count rows ../counted/day-5)" "$(tail -n 1 counted/daily.tsv | cut -f 2)"
expect_exit 0 "both" daily both --set tables.user.admit.min_count=15 --set tables.user.evict.unseen_days=1
same "who waits is forgotten, too" "$(seen day[45].csv)" \
    "$({ "$MTPS" ckpt dump --table user both/day-5; "$MTPS" ckpt dump --table user/waiting both/day-5; } | grep -c '^[0-9]')"
expect_exit 0 "a plan says so" "$MTPS" hotstart plan -c daily.yaml --from kept/day-5 --set tables.user.evict.unseen_days=2 -q
check "at the table" grep -qE '^loaded +table/user .*but rows unseen for 2 days' "$out"
check "and ids that wait are no part that is left over" bash -c "! '$MTPS' hotstart plan -c daily.yaml --from counted/day-5 -q | grep -q waiting"

# ---- rows that come otherwise
"$MTPS" ckpt dump --table user runs/all >users.csv
expect_exit 0 "rows of all are put into a checkpoint in which some wait" "$MTPS" ckpt import --table user --csv users.csv \
    runs/some -o runs/both
check "which is sound" "$MTPS" ckpt verify runs/both
expect_exit 0 "a start from it" train from-both "${admit[@]}" --set hot_start.from=runs/both --set train.max_steps=0 \
    --set hot_start.state.sparse=reset
same "nobody waits who has a row" 0 "$(count waiting from-both)"
expect_error 64 'unseen_days' "days are at most 366" train bad --set tables.user.evict.unseen_days=400
expect_error 64 'min_count' "nobody comes 0 times" train bad --set tables.user.admit.min_count=0
finish
