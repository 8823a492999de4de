#!/usr/bin/env bash
# Rows of a table go out as csv and come in again: ckpt dump, ckpt import.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
expect_exit 0 "a model on two servers" ranks 4 "$MTPS" train -c small.yaml --servers 2 --run-dir runs/old \
    --set data.eval=null --set train.max_steps=20 -q
rows_of() { "$MTPS" ckpt digest "$1" --json | json rows; }

# ---- out
expect_exit 0 "ckpt dump" "$MTPS" ckpt dump --table user runs/old
cp "$out" user.csv
same "has a header line" "key,count,last_step,w0,w1,w2,w3,w4,w5,w6,w7" "$(head -n 1 user.csv)"
same "and a line per row" "$("$MTPS" ckpt show runs/old --json | grep -oE '"name":"user","dim":8,"rows":[0-9]+' | grep -oE '[0-9]+$')" \
    "$(($(wc -l <user.csv) - 1))"
expect_exit 0 "into a file" "$MTPS" ckpt dump --table user runs/old -o user2.csv
check "it is the same" cmp -s user.csv user2.csv
expect_error 66 "no table 'usr'" "a table that is not there" "$MTPS" ckpt dump --table usr runs/old
check "names the nearest" grep -q "^hint: .*'user'" "$err"
expect_error 64 'table is missing' "no table" "$MTPS" ckpt dump runs/old
expect_error 66 'runs/none' "no checkpoint" "$MTPS" ckpt dump --table user runs/none

# ---- in again
expect_exit 0 "ckpt import, alone" "$MTPS" ckpt import --table user --csv user.csv -o runs/user --json
same "every row comes" "$(($(wc -l <user.csv) - 1))" "$(json rows <"$out")"
expect_exit 0 "is a valid checkpoint" "$MTPS" ckpt verify runs/user
expect_exit 0 "of the same rows" "$MTPS" ckpt dump --table user runs/user
check "bit for bit" cmp -s user.csv "$out"
expect_exit 0 "the whole of the old one with the same rows" "$MTPS" ckpt import --table user --csv user.csv runs/old -o runs/both
same "has as many rows" "$(rows_of runs/old)" "$(rows_of runs/both)"
expect_exit 0 "verifies" "$MTPS" ckpt verify runs/both
expect_exit 0 "and goes by its configuration" "$MTPS" predict --ckpt runs/both --input eval.csv -o both.csv
expect_exit 0 "(the old one)" "$MTPS" predict --ckpt runs/old --input eval.csv -o old.csv
check "scores are the same" cmp -s old.csv both.csv

# ---- pretrained vectors by id
cat >pretrained.csv <<CSV
id,a,b,c,d,e,f,g,h
u1,1,2,3,4,5,6,7,8
"u,2",0.5,-0.25,1e-3,0,0,0,0,-1
nobody,9,9,9,9,9,9,9,9
CSV
expect_exit 0 "vectors by id" "$MTPS" ckpt import --table user --csv pretrained.csv -o runs/pretrained
expect_exit 0 "start a training" "$MTPS" train -c small.yaml --set data.eval=null --run-dir runs/hot \
    --set hot_start.from=runs/pretrained --set train.max_steps=0
expect_exit 0 "(its rows)" "$MTPS" ckpt dump --table user runs/hot
same "as they are" 1 "$(grep -c ',1,2,3,4,5,6,7,8$' "$out")"
same "all of them" 3 "$(($(wc -l <"$out") - 1))"
check "the report says how few of the ids they are" grep -qE 'feature  user +0.47 % of 211 ids' runs/hot/logs/*.log
expect_exit 0 "and train on" "$MTPS" train -c small.yaml --set data.eval=null --run-dir runs/hot-on -q \
    --set hot_start.from=runs/pretrained --set train.max_steps=5
expect_error 78 'keys' "ids do not become numbers" "$MTPS" train -c small.yaml --set data.eval=null --run-dir runs/bad \
    --set hot_start.from=runs/pretrained --set features.item.key=uint64 --set features.item.table=user \
    --set features.user.table=other --set 'features.item.expr=day'
expect_exit 0 "merged into the old checkpoint" "$MTPS" ckpt import --table user --csv pretrained.csv runs/old -o runs/merged
same "one row is replaced, two are new" "$(($(rows_of runs/old) + 2))" "$(rows_of runs/merged)"
expect_exit 0 "verifies" "$MTPS" ckpt verify runs/merged
expect_exit 0 "a table that the old one does not have" "$MTPS" ckpt import --table extra --csv pretrained.csv runs/old -o runs/extra
expect_exit 0 "verifies, too" "$MTPS" ckpt verify runs/extra

# ---- what is refused leaves nothing
bad() { # CODE PATTERN SENTENCE CSV ARGS...
    local code=$1 pattern=$2 sentence=$3
    printf '%b' "$4" >bad.csv
    shift 4
    expect_error "$code" "$pattern" "$sentence" "$MTPS" ckpt import --table user --csv bad.csv -o runs/bad-import "$@"
    check "and nothing is left" test -z "$(find runs/bad-import -name 'step-*' -o -name '.tmp-*' 2>/dev/null)"
}
bad 65 'bad.csv: empty' "an empty file" ''
bad 65 "bad.csv:1: the first column is 'name'" "another header" 'name,a\nx,1\n'
bad 65 'bad.csv:1: no column of values' "no values" 'id,count\nx,1\n'
bad 65 "bad.csv:3: column 2: 'one' is no finite number" "a word" 'id,a\nx,1\ny,one\n'
bad 65 "bad.csv:2: column 2: 'inf' is no finite number" "infinity" 'id,a\nx,inf\n'
bad 65 'bad.csv:2: 3 cells, the header has 2' "a row that is too long" 'id,a\nx,1,2\n'
bad 65 'rows 1 and 3 have one id' "an id twice" 'id,a\nx,1\ny,2\nx,3\n'
bad 65 "'-1' is no key" "a negative key" 'key,a\n-1,1\n'
bad 65 "'18446744073709551616' is no key" "a key of 65 bits" 'key,a\n18446744073709551616,1\n'
bad 78 'dim is 8 in the checkpoint, 1 in the csv' "another dim" 'id,a\nx,1\n' runs/old
expect_error 73 'holds checkpoints' "a run directory in use" "$MTPS" ckpt import --table user --csv pretrained.csv -o runs/old
expect_error 66 'none.csv' "no file" "$MTPS" ckpt import --table user --csv none.csv -o runs/bad-import
expect_error 64 'csv is missing' "no csv" "$MTPS" ckpt import --table user -o runs/bad-import
finish
