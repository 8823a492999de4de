#!/usr/bin/env bash
# export --delta-from: what changed since another version, and the scores of a complete one.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
# The second day's rows know few of the ids.
rows 1 4000 >train.csv
rows 1 4040 >more.csv
"$MTPS" train -c small.yaml >/dev/null 2>&1
first=$("$MTPS" ckpt digest runs/small --json | json step)
expect_exit 0 "a complete version" "$MTPS" export --ckpt runs/small -o b --version 1 --json
all=$(json rows <"$out")
full=$(json bytes <"$out")
expect_exit 0 "a delta without a change" "$MTPS" export --ckpt runs/small -o b --version 2 --delta-from b/1 --json
same "has no row" 0 "$(json rows <"$out")"
check "and is smaller" test "$(json bytes <"$out")" -lt "$full"
expect_exit 0 "scores" "$MTPS" verify-export --ckpt runs/small --bundle b/2
same "have the same bits" 3 "$(grep -c 'same bits' "$out")"

# A few steps more touch some of the rows.
"$MTPS" train -c small.yaml --set train.batch_size=16 --set train.max_steps=40 --set "data.train.where=user == \"u7\" or user == \"u8\"" \
    --set train.epochs=20 --set "hot_start={from: runs/small, mode: all}" --run-dir runs/next >/dev/null 2>&1
expect_exit 0 "a delta of the next model" "$MTPS" export --ckpt runs/next -o b --version 3 --delta-from b/1 --json
cp "$out" delta.json
check "has some rows" test "$(json rows <delta.json)" -gt 0
check "but not all" test "$(json rows <delta.json)" -lt "$all"
expect_exit 0 "scores" "$MTPS" verify-export --ckpt runs/next --bundle b/3
same "have the bits of the next model" 3 "$(grep -c 'same bits' "$out")"
check "but are not compared with ONNX, which has no base" grep -q "^ONNX Runtime is not compared: a delta cannot" "$out"
check "its card names the base" grep -q 'version 1 (id' b/3/MODEL_CARD.md

# Rows that a filter leaves out of the new version are gone, though the base has them.
"$MTPS" export --ckpt runs/small -o complete --min-count 40 >/dev/null 2>&1
"$MTPS" predict --bundle complete -o want.csv >/dev/null 2>&1
expect_exit 0 "a delta that takes rows away" "$MTPS" export --ckpt runs/small -o b --version 4 --delta-from b/1 --min-count 40
"$MTPS" predict --bundle b/4 -o got.csv >/dev/null 2>&1
check "scores as a complete version without them" cmp want.csv got.csv
for form in f16 int8; do
    "$MTPS" export --ckpt runs/small -o "$form" --version 1 --rows $form >/dev/null 2>&1
    "$MTPS" export --ckpt runs/next -o "$form" --version 2 --rows $form --delta-from "$form/1" >/dev/null 2>&1
    "$MTPS" export --ckpt runs/next -o "$form-complete" --rows $form >/dev/null 2>&1
    "$MTPS" predict --bundle "$form/2" -o got.csv >/dev/null 2>&1
    "$MTPS" predict --bundle "$form-complete" -o want.csv >/dev/null 2>&1
    check "$form rows: a delta scores as a complete version" cmp want.csv got.csv
done

# ---- which base is meant
number=10
for from in b runs/small runs/small/checkpoints/step-*; do
    expect_exit 0 "a delta from $from" "$MTPS" export --ckpt runs/next -o b --version $number --delta-from "$from"
    check "is one from the only complete version" grep -q 'version 1 (id' b/$number/MODEL_CARD.md
    check "and the same as when that is named" bash -c "
        sed 's/^# .*//; s/^| file .*//' b/3/MODEL_CARD.md >named; sed 's/^# .*//; s/^| file .*//' b/$number/MODEL_CARD.md | cmp named -"
    number=$((number + 1))
done
"$MTPS" export --ckpt runs/small -o b --version 20 --rows f16 >/dev/null 2>&1
mkdir b/21 && echo damaged >b/21/model.mtps
for from in b runs/small; do
    expect_exit 0 "of several complete versions ($from)" "$MTPS" export --ckpt runs/next -o b --version $number --delta-from $from
    check "that with such rows counts" grep -q 'version 1 (id' b/$number/MODEL_CARD.md
    check "and one that is damaged is passed over with a warning" grep -q '^warning: .*b/21/model.mtps: ' "$err"
    number=$((number + 1))
done
rm -r b/20 b/21
expect_error 78 'runs/next: no complete version in the folder .* from this checkpoint' "a checkpoint that was not exported" \
    "$MTPS" export --ckpt runs/next -o b --version 9 --delta-from runs/next
check "the hint names those that are there" grep -q "^hint: complete versions in b: 1 (step $first); or" "$err"
expect_error 78 'no complete version' "an output folder without any" "$MTPS" export --ckpt runs/next -o fresh --delta-from runs/small
check "the hint says what to do" grep -q '^hint: no complete version is in fresh: export one' "$err"
mkdir nothing
expect_error 78 'no complete version is in it' "a folder without versions" "$MTPS" export --ckpt runs/next -o b --version 9 --delta-from nothing
expect_error 66 'delta-from: nowhere' "what is not there" "$MTPS" export --ckpt runs/next -o b --version 9 --delta-from nowhere
check "the hint names versions, too" grep -q "^hint: complete versions in b: 1 (step $first)" "$err"

# ---- a delta applies to its base only
expect_error 78 'is a delta itself' "a delta of a delta" "$MTPS" export --ckpt runs/next -o b --version 9 --delta-from b/2
check "the hint names its base" grep -q '^hint: .*--delta-from b/1$' "$err"
expect_error 78 'no version in the folder' "a base elsewhere" "$MTPS" export --ckpt runs/next -o b --version 9 --delta-from complete
check "the hint names one that is not" grep -q "^hint: complete versions in b: 1 (step $first)" "$err"
expect_error 78 'another form' "other rows" "$MTPS" export --ckpt runs/next -o b --version 9 --delta-from b/1 --rows f16
expect_error 64 'a delta cannot have them' "projected rows" "$MTPS" export --ckpt runs/next -o b --version 9 --delta-from b/1 --project
"$MTPS" train -c small.yaml --set model.experts.count=3 --run-dir runs/other >/dev/null 2>&1
expect_error 78 'model.experts.count' "another model" "$MTPS" export --ckpt runs/other -o b --version 9 --delta-from b/1
check "and leave no version" test ! -e b/9 -a ! -e fresh
mkdir alone && cp -r b/3 alone/3
expect_error 66 'alone/3' "a delta without its base" "$MTPS" predict --bundle alone/3 -o x.csv
check "says which one it needs" grep -q 'version 1, beside it' "$err"
cp -r complete/"$first" alone/1
expect_error 65 'its base is' "a delta beside another bundle" "$MTPS" predict --bundle alone/3 -o x.csv
finish
