#!/usr/bin/env bash
# eval and predict: every row, in order, the same bits alone or in company, and
# tables stay as they are.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
expect_exit 0 "a model" "$MTPS" train -c small.yaml --json
cp "$out" train.json
before=$(digest runs/small)

# ---- eval
expect_exit 0 "eval of a run directory" "$MTPS" eval --ckpt runs/small --json
same "eval says what train said" "$(json auc <train.json)" "$(json auc <"$out")"
same "it counts the rows, the last partial batch included" 1000 "$(json rows <"$out")"
expect_exit 0 "eval on two workers" ranks 3 "$MTPS" eval --ckpt runs/small --json
same "gives the same numbers" "$(json auc <train.json)" "$(json auc <"$out")"
expect_exit 0 "eval by the value of an expression" "$MTPS" eval --ckpt runs/small --by day --json
for day in 11 12 13; do check "has day $day" grep -q "\"$day\"" "$out"; done


# Missing stays missing, and long texts stay whole: counted apart by awk.
rows_of() { # VALUE: rows of one value in $out
    grep -oE "\"$1\":\{\"click\":\{[^}]*" "$out" | grep -oE '"rows":[0-9]+' | head -n 1 | cut -d: -f2
}
expect_exit 0 "eval by whether a column is missing" "$MTPS" eval --ckpt runs/small --by 'is_missing(price)' --json
same "rows without a price" "$(awk -F, 'NR > 1 && $5 == ""' eval.csv | wc -l)" "$(rows_of 1)"
same "rows with one" "$(awk -F, 'NR > 1 && $5 != ""' eval.csv | wc -l)" "$(rows_of 0)"
expect_exit 0 "eval by a comparison with missing values" "$MTPS" eval --ckpt runs/small --by 'price > 5' --json
same "a comparison with missing is missing" "$(awk -F, 'NR > 1 && $5 == ""' eval.csv | wc -l)" "$(rows_of missing)"
awk 'BEGIN { FS = OFS = "," } NR > 1 { $4 = "t0"; for (k = 1; k < 100; k++) $4 = $4 " t" k } { print }' eval.csv >long.csv
expect_exit 0 "eval by a text of 389 bytes" "$MTPS" eval --ckpt runs/small --set 'data.eval={files: [long.csv]}' --by 'n_items(tags, " ")' --json
same "all its items are counted" 1000 "$(rows_of 100)"
expect_error 64 '^error: .*--by: column "nope" is not in the data' "a column that is not there" "$MTPS" eval --ckpt runs/small --by 'nope + 1'
expect_error 64 '--by:1:' "a broken expression" "$MTPS" eval --ckpt runs/small --by 'price > '

# ---- predict
expect_exit 0 "predict without --input scores data.eval" \
    "$MTPS" predict --ckpt runs/small --keep user,item -o all.csv --json
same "it says how many" 1000 "$(json rows <"$out")"
same "a header line: kept columns, then tasks" "user,item,click,like,finish" "$(head -n 1 all.csv)"
same "the rows are in input order" "$(cut -d, -f2,3 eval.csv | md5sum)" "$(cut -d, -f1,2 all.csv | md5sum)"
check "probabilities" awk -F, 'NR > 1 && !($3 > 0 && $3 < 1) { bad = 1 } END { exit bad }' all.csv

{ head -n 1 eval.csv; sed -n 501p eval.csv; } >alone.csv
{ head -n 1 eval.csv; sed -n '400,600p' eval.csv; } >some.csv
expect_exit 0 "one row alone" "$MTPS" predict --ckpt runs/small --input alone.csv --keep user,item -o alone.out
same "has the bits it has among a thousand" "$(sed -n 501p all.csv)" "$(sed -n 2p alone.out)"
expect_exit 0 "the row in a file of 201" "$MTPS" predict --ckpt runs/small --input some.csv --keep user,item -o some.out
same "has them too" "$(sed -n '400,600p' all.csv | md5sum)" "$(tail -n +2 some.out | md5sum)"
for n in 7 256; do
    expect_exit 0 "in batches of $n" "$MTPS" predict --ckpt runs/small --keep user,item -o "b$n.csv" --set train.batch_size=$((n * 4))
    same "the same file" "$(md5sum <all.csv)" "$(md5sum <"b$n.csv")"
done
for n in 2 4; do
    expect_exit 0 "on $n ranks" ranks "$n" "$MTPS" predict --ckpt runs/small --keep user,item -o "r$n.csv"
    same "the same file" "$(md5sum <all.csv)" "$(md5sum <"r$n.csv")"
done
expect_exit 0 "with a filter" "$MTPS" predict --ckpt runs/small --input eval.csv --where 'price > 5' --keep user,item -o where.csv
same "only its rows" "$(awk -F, 'NR > 1 && $5 != "" && $5 > 5' eval.csv | wc -l)" "$(tail -n +2 where.csv | wc -l)"
cut -d, -f1-5 eval.csv >nolabels.csv
head -n 4 eval.csv >z.csv
{ head -n 1 eval.csv && sed -n 5,6p eval.csv; } >a.csv
expect_exit 0 "several files, one of them twice" "$MTPS" predict --ckpt runs/small --input z.csv a.csv z.csv --keep user,item -o listed.csv
same "rows are in the order of the files given, repeats too" \
    "$({ sed 1d z.csv; sed 1d a.csv; sed 1d z.csv; } | cut -d, -f2,3 | xargs)" "$(sed 1d listed.csv | cut -d, -f1,2 | xargs)"
expect_exit 0 "without label columns" "$MTPS" predict --ckpt runs/small --input nolabels.csv --keep user,item -o nolabels.out
same "the same scores" "$(md5sum <all.csv)" "$(md5sum <nolabels.out)"
expect_exit 0 "as tsv" "$MTPS" predict --ckpt runs/small --keep user,item -o all.tsv --format tsv
same "the same values" "$(md5sum <all.csv)" "$(tr '\t' , <all.tsv | md5sum)"
expect_exit 0 "as jsonl" "$MTPS" predict --ckpt runs/small --keep user,item -o all.jsonl --format jsonl
same "an object a row" 1000 "$(grep -c '^{.*}$' all.jsonl)"
same "tables are as before" "$before" "$(digest runs/small)"

expect_error 66 'runs/none' "a checkpoint that is not there" "$MTPS" predict --ckpt runs/none -o x.csv
expect_error 73 'no/such' "an output that cannot be made" "$MTPS" predict --ckpt runs/small -o no/such/x.csv
expect_error 64 'colour' "a kept column that is not there" "$MTPS" predict --ckpt runs/small --keep colour -o x.csv
check "and nothing is written then" test ! -e x.csv

# ---- text that needs care
{ head -n 1 eval.csv; printf '11,"u\t1","i""2",t1,3,1,0,4,5\n'; } >odd.csv
expect_exit 0 "a tab and a quote as tsv" "$MTPS" predict --ckpt runs/small --input odd.csv --keep user,item -o odd.tsv --format tsv
same "are quoted" "$(printf '"u\t1"\t"i""2"')" "$(sed -n 2p odd.tsv | cut -f1-3)"
expect_error 64 'click.*task' "a kept column of a task's name" "$MTPS" predict --ckpt runs/small --keep user,click -o x.csv
expect_error 64 'user.*twice' "a kept column twice" "$MTPS" predict --ckpt runs/small --keep user,item,user -o x.csv

# ---- where the scores go
cp eval.csv copy.csv
expect_error 73 'input, copy\.csv' "an output that is an input" "$MTPS" predict --ckpt runs/small --input copy.csv -o copy.csv
ln -s copy.csv link.csv
expect_error 73 'input, copy\.csv' "also by another name" "$MTPS" predict --ckpt runs/small --input copy.csv -o ./link.csv
expect_error 73 'input' "or under mpirun" ranks 2 "$MTPS" predict --ckpt runs/small --input copy.csv -o link.csv
check "and the input is as it was" cmp eval.csv copy.csv
expect_error 73 'input, eval\.csv' "data.eval is an input too" "$MTPS" predict --ckpt runs/small -o eval.csv
expect_error 73 'checkpoints' "a file of the checkpoint" "$MTPS" predict --ckpt runs/small -o runs/small/checkpoints/"$(ls runs/small/checkpoints | head -n 1)"/manifest.json
same "which is as before" "$before" "$(digest runs/small)"
expect_exit 0 "a link to a file" "$MTPS" predict --ckpt runs/small --keep user,item -o link.csv
check "stays a link" test -L link.csv
same "and its target has the scores" "$(md5sum <all.csv)" "$(md5sum <copy.csv)"
mkfifo pipe
cat pipe >piped.csv &
expect_exit 0 "a pipe" "$MTPS" predict --ckpt runs/small --keep user,item -o pipe
wait $!
check "stays a pipe" test -p pipe
same "and carries the scores" "$(md5sum <all.csv)" "$(md5sum <piped.csv)"
expect_exit 0 "standard output by its name" "$MTPS" predict --ckpt runs/small --keep user,item -o /dev/stdout
same "gets the scores and nothing else" "$(md5sum <all.csv)" "$(md5sum <"$out")"
if [ -c /dev/full ]; then
    ln -s /dev/full full
    expect_error 74 'full.*No space' "a device that is full" "$MTPS" predict --ckpt runs/small -o full
    check "is a device still" test -c /dev/full
fi
finish
