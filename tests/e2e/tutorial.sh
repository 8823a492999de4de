#!/usr/bin/env bash
# docs/tutorial.md by its script: every step does what it says, within a quarter of an hour.
. "${TOP:?}/tests/e2e/lib.sh"
start=$(date +%s)
expect_exit 0 "the tutorial runs" "$TOP/launch/tutorial.sh" "$work/t"
cp "$out" log
check "in less than 15 minutes" test $(($(date +%s) - start)) -lt 900
same "in seven steps" 7 "$(grep -c '^== [1-7]/7' log)"
check "shows what is in the data" grep -q '^task finish: label on 132864 rows' log
# Of a training's last lines in the log: the AUC of a task.
auc() { awk -v task="$2" -v run="$1" '$1 == "$" { on = $0 ~ run } on && $1 == task && $2 == "auc" { print $3 }' log; }
check "the first model learns" awk -v a="$(auc 'run-dir runs/first' finish)" 'BEGIN { exit !(a > 0.79) }'
same "three architectures with three seeds" 9 "$(find t/architectures/cells -name result.json | wc -l)"
check "have nearly as many parameters" awk '/^cell/ { on = 1; next } /^click/ { on = 0 }
    on { d = $3 + 0; if (d > 5 || d < -5) bad = 1 } END { exit bad }' <(sed -n '/3\/7/,/4\/7/p' log)
check "a page shows them" test -s t/architectures/compare.html
same "four settings of gates and experts with two seeds" 8 "$(find t/tuning/cells -name result.json | wc -l)"
check "the plan says what is new" grep -q '^initialised  tower/like ' log
check "old tasks keep their scores" grep -q 'as the old one, bit for bit' log
check "the new task learns" awk -v a="$(auc 'run-dir runs/second' like)" -v b="$(auc 'run-dir runs/before' like)" 'BEGIN { exit !(a > 0.7 && a > b + 0.05) }'
check "the bundle is the model" grep -q '^well: at most 0' log
same "three requests have scores of four tasks" "4 6" "$(sed -n '/^user_id,video_id,click/,/^[$]/p' log | awk -F, 'NF > 1 { n++; f = NF } END { print n, f }')"
check "the server gives the same scores" grep -qF "{\"predictions\":[{\"click\":$(grep -E '^0,0,' log | cut -d, -f3)," log
check "a request says that it is JSON, in the document, too" bash -c "grep -q '^[$] curl -H .Content-Type: application/json. ' log && grep -q '^[$] curl -H .Content-Type: application/json. ' '$TOP/docs/tutorial.md'"
check "what is documented is what is run" bash -c "grep -oE '^\\$ mtps (data stats|train|compare|hotstart plan|export|verify-export|predict|serve)' '$TOP/docs/tutorial.md' | sort -u | while read -r c; do grep -qF \"\$c\" log || exit 1; done"
expect_exit 0 "again, it goes on where it was" "$TOP/launch/tutorial.sh" "$work/t"
same "and ends with the same scores" "$(grep -A 3 '^user_id,video_id,click' log)" "$(grep -A 3 '^user_id,video_id,click' "$out")"
finish
