#!/usr/bin/env bash
# Raw files: compression, bad rows, the cache of prepared data, data head and stats.
. "${TOP:?}/tests/e2e/lib.sh"
small_data

expect_exit 0 "data stats" "$MTPS" data stats -c small.yaml --json
same "counts the rows" 4000 "$(json rows <"$out")"
expect_exit 0 "data head shows rows" "$MTPS" data head -c small.yaml
check "with their values" grep -q 'u112' "$out"
expect_exit 0 "data prepare" "$MTPS" data prepare -c small.yaml
expect_exit 0 "again" "$MTPS" data prepare -c small.yaml

# ---- found by content, whatever the name
expect_exit 0 "training on plain text" "$MTPS" train -c small.yaml --run-dir runs/plain
want=$(digest runs/plain)
for tool in gzip zstd lz4 xz bzip2; do
    command -v "$tool" >/dev/null || continue
    "$tool" -c train.csv >"packed-$tool"
    expect_exit 0 "training on $tool" "$MTPS" train -c small.yaml --set "data.train={files: [packed-$tool]}" --run-dir "runs/$tool"
    same "gives the same model" "$want" "$(digest "runs/$tool")"
done
head -n 2001 train.csv >part-1.csv
{ head -n 1 train.csv; tail -n 2000 train.csv; } >part-2.csv
expect_exit 0 "training on two files by a pattern" \
    "$MTPS" train -c small.yaml --set 'data.train={files: ["part-*.csv"]}' --run-dir runs/parts
same "gives the same model" "$want" "$(digest runs/parts)"

# ---- bad rows
awk 'NR == 2001 { print "1,u1,i1,,not-a-number,0,0,1,1" }
     NR == 1001 { print "1,u1" }
     NR == 3001 { print "1,\"u1,i1,,1,0,0,1,1" }
     NR == 3500 { printf "1,u1,i1,,1,7,0,1,1\n" }
     { print }' train.csv >dirty.csv
bad=(--set 'data.train={files: [dirty.csv]}')
expect_exit 0 "four bad rows of 4,004 are within a limit of 1 %" \
    "$MTPS" train -c small.yaml "${bad[@]}" --set 'data.bad_rows.max=1%' --run-dir runs/dirty
check "they are shown with file and line" grep -qE 'dirty\.csv:1001' "$err"
check "and column and text" grep -qE 'dirty\.csv:2002:.*not-a-number' "$err"
same "the model is that of the file without them" "$want" "$(digest runs/dirty)"
expect_error 65 'bad rows|dirty\.csv' "beyond the limit the run ends" \
    "$MTPS" train -c small.yaml "${bad[@]}" --set data.bad_rows.max=3 --run-dir runs/limit
expect_exit 0 "two workers on the file" ranks 3 "$MTPS" train -c small.yaml "${bad[@]}" --set 'data.bad_rows.max=1%' --run-dir runs/dirty2
same "it is reported once" 1 "$(grep -c 'bad rows left out' "$err")"
awk 'NR == 1500 { print "1,u1,i1,,1,0,0,inf,1" } { print }' train.csv >infinite.csv
expect_exit 0 "a label of two columns, one of them infinite" "$MTPS" train -c small.yaml \
    --set 'data.train={files: [infinite.csv]}' --set data.bad_rows.max=1 --run-dir runs/infinite
check "names the place and the text" grep -qE "infinite\.csv:1500:16: .*'inf'" "$err"
rows 1 60000 | gzip -c >truncated.gz && truncate -s 300000 truncated.gz
expect_error 65 'rows are bad.*truncated\.gz' "a truncated gzip file is not read to half in silence" \
    "$MTPS" train -c small.yaml --set 'data.train={files: [truncated.gz]}' --set data.bad_rows.max=0 --run-dir runs/truncated
truncate -s 5000 truncated.gz
expect_error "65|66" 'truncated\.gz' "nor one that ends before its first row" \
    "$MTPS" train -c small.yaml --set 'data.train={files: [truncated.gz]}' --run-dir runs/truncated
{ head -n 1 train.csv; head -c 100000 /dev/urandom; } >junk.csv
expect_error 65 'rows are bad.*junk\.csv' "binary junk" "$MTPS" train -c small.yaml --set 'data.train={files: [junk.csv]}' --run-dir runs/junk
head -c 100000 /dev/urandom >junk.csv
expect_error "64|65|66" 'junk\.csv|no column' "junk from the first byte" \
    "$MTPS" train -c small.yaml --set 'data.train={files: [junk.csv]}' --run-dir runs/junk
{ head -n 50 train.csv; awk 'BEGIN { for (i = 0; i < 3000000; i++) printf "0123456789" }'; echo; tail -n +51 train.csv; } >long.csv
expect_exit 0 "a line of 30 MB is one bad row" \
    "$MTPS" train -c small.yaml --set 'data.train={files: [long.csv]}' --set data.bad_rows.max=1 --run-dir runs/long
same "and the rest trains as without it" "$want" "$(digest runs/long)"

# ---- the cache
made() { find "$1" -type f | wc -l | tr -d ' '; }
cache=(--set data.cache=own-cache)
expect_exit 0 "a cache of its own" "$MTPS" data prepare -c small.yaml "${cache[@]}"
n=$(made own-cache)
expect_exit 0 "another seed and filter" "$MTPS" train -c small.yaml "${cache[@]}" --seed 3 --run-dir runs/seed3 \
    --set 'data.train={files: [train.csv], where: "day < 5"}' --set 'data.eval=null'
same "prepare nothing again" "$n" "$(made own-cache)"
expect_exit 0 "another transform" "$MTPS" train -c small.yaml "${cache[@]}" --set features.price.transform='[standardize]' \
    --set 'data.eval=null' --run-dir runs/transform
same "prepares nothing again" "$n" "$(made own-cache)"
rows 1 3999 >train.csv && rows 4002 4002 | tail -n 1 >>train.csv
expect_exit 0 "a changed raw file" "$MTPS" data prepare -c small.yaml "${cache[@]}"
check "is prepared again" test "$(made own-cache)" -gt "$n"
finish
