#!/usr/bin/env bash
# The README's own-data example, as it stands there: two commands from a raw file to a
# trained model, and the yaml beside them.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
sed '1s/like/buy/' train.csv | cut -d, -f1-7 >train1.csv
rows 2001 4000 | sed '1s/like/buy/' | cut -d, -f1-7 >train2.csv
sed '1s/like/buy/' eval.csv | cut -d, -f1-7 >test.csv
rm train.csv eval.csv

block() { # LANGUAGE: the first such block of the section
    sed -n '/^## Your own data/,/^## Comparing/p' "$TOP/README.md" |
        awk -v fence="\`\`\`$1" '$0 == fence && !n { n = 1; next } /^```/ && n == 1 { exit } n == 1'
}
block '' >commands
same "there are two commands" 2 "$(wc -l <commands | tr -d ' ')"
same "init, then train" "init train" "$(cut -d' ' -f2 commands | xargs)"
mkdir bin && ln -s "$MTPS" bin/mtps
while read -r command; do
    expect_exit 0 "$command" env PATH="$work/bin:$PATH" bash -c "$command"
done <commands
check "both labels are measured on the rows of test.csv" test "$(grep -cE '^(click|buy) .*auc 0\.[0-9]+ .*rows 1000' "$out")" = 2
check "the draft has both as tasks" grep -q '^  buy: {label: buy}' my.yaml
check "and says what it saw" grep -q '^# Drafted by mtps init from' my.yaml

{
    echo 'version: 1'
    echo 'name: shown'
    echo 'data: {train: {files: ["train*.csv"]}, eval: {files: [test.csv]}}'
    block yaml
} >shown.yaml
expect_exit 0 "the lines that are shown train, too" "$MTPS" train -c shown.yaml --json
check "both tasks" grep -qE '"click":.*"buy":' "$out"
finish
