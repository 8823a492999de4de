#!/usr/bin/env bash
# data synth: files that train as they stand, learnable as far as they promise.
. "${TOP:?}/tests/e2e/lib.sh"

# auc SCORE-COLUMN LABEL-COLUMN FILE: of rows that have a label.
auc() {
    awk -F, -v s="$1" -v y="$2" 'NR > 1 && $y != "" { print $s, $y }' "$3" | sort -g | awk '
        { if ($2 == 1) { sum += n } else n++; p += $2 } END { print sum / (p * n) }'
}
at_least() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && a >= b) }'; }

# ---- tasks
expect_exit 0 "tasks" "$MTPS" data synth tasks -o t --rows 60000 --eval-rows 20000 --tasks 4 --correlation 0.8 --present 1,1,0.3 --json
same "say where their configuration is" "t/config.yaml" "$(json config <"$out")"
cp t/train.csv first.csv
expect_exit 0 "made again" "$MTPS" data synth tasks -o t --rows 60000 --eval-rows 20000 --tasks 4 --correlation 0.8 --present 1,1,0.3
check "are the same bytes" cmp -s first.csv t/train.csv
expect_exit 0 "their configuration trains unchanged" "$MTPS" train -c t/config.yaml --json
learnt=$(json auc <"$out")
expect_exit 0 "predict beside the truth" "$MTPS" predict --ckpt runs/synth-tasks --keep true1 -o scores.csv
paste -d, <(cut -d, -f9 t/eval.csv) scores.csv >p.csv # label, truth, scores
best=$(auc 2 1 p.csv)
check "the true probabilities rank best" at_least "$best" "$learnt"
check "the model comes near: half of the way from chance at least" at_least "$learnt" "$(awk -v b="$best" 'BEGIN { print 0.5 + (b - 0.5) / 2 }')"
expect_exit 0 "stats" "$MTPS" data stats -c t/config.yaml --json
check "three tenths of the rows have the third label" awk -v n="$(sed 's/.*"task3"//' "$out" | json rows)" 'BEGIN { exit !(n > 17000 && n < 19000) }'

# ---- funnel
expect_exit 0 "a funnel" "$MTPS" data synth funnel -o f --rows 60000 --format tsv
expect_exit 0 "trains" "$MTPS" train -c f/config.yaml --json
expect_exit 0 "predict beside the known rates" "$MTPS" predict --ckpt runs/synth-funnel --keep true_cvr,true_ctr -o f.csv
same "beside the rates of clicks, of buys, and of buys after a click" \
    "true_cvr,true_ctr,click,buy,buy|click" "$(head -n 1 f.csv)"
check "the predicted rate after a click goes with the known one on all rows, clicked or not" \
    awk -F, 'NR > 1 { a = log($1 + 1e-7); b = log($5); n++; x += a; y += b; xx += a * a; yy += b * b; xy += a * b }
             END { exit !((xy / n - x / n * y / n) / sqrt((xx / n - x / n * x / n) * (yy / n - y / n * y / n)) > 0.4) }' f.csv

# ---- mmoe
expect_exit 0 "the MMoE paper's data" "$MTPS" data synth mmoe -o m --rows 40000 --correlation 0.9 --seed 3
same "has 100 numbers and two labels" 102 "$(head -n 1 m/train.csv | tr , '\n' | wc -l)"
expect_exit 0 "trains" "$MTPS" train -c m/config.yaml --json
rmse=$(json rmse <"$out")
check "the first label is learnt in part" awk -v r="$rmse" -F, 'NR > 1 { n++; s += $101; q += $101 * $101 } END { exit !(r * r < 0.97 * (q / n - s / n * s / n)) }' m/eval.csv

# ---- refused
expect_error 64 "terms is not for 'tasks'" "an option of another kind" "$MTPS" data synth tasks -o x --terms 3
expect_error 64 "correlation: 2 is not from 0 to 1" "a correlation above 1" "$MTPS" data synth mmoe -o x --correlation 2
expect_error 64 "rate: 'a' is not a number" "a rate that is no number" "$MTPS" data synth tasks -o x --rate 0.1,a
expect_error 64 "no 'mmo'" "a kind that is not there" "$MTPS" data synth mmo -o x
expect_error 64 "output is missing" "no folder" "$MTPS" data synth mmoe
check "nothing was written" test ! -e x
: >file
expect_error "73|74" "file" "a folder that cannot be made" "$MTPS" data synth tasks -o file/x --rows 10
finish
