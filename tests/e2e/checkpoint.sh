#!/usr/bin/env bash
# ckpt ls, show, verify, digest: read-only, without MPI, on good and bad files.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
expect_exit 0 "a model on two servers" ranks 4 "$MTPS" train -c small.yaml --servers 2 --set 'checkpoint.every=[10 steps]'
expect_exit 0 "the same in one process" "$MTPS" train -c small.yaml --run-dir runs/one
run_dir=runs/small
newest=$(find $run_dir/checkpoints -maxdepth 1 -name 'step-*' | sort | tail -n 1)

expect_exit 0 "ckpt ls" "$MTPS" ckpt ls $run_dir
check "lists every checkpoint" test "$(grep -c 'step' "$out")" -ge 3
expect_exit 0 "ckpt show" "$MTPS" ckpt show "$newest"
check "names tables" grep -q 'user' "$out"
check "and tensors" grep -q 'tower/click/layer0/w' "$out"
expect_exit 0 "ckpt digest" "$MTPS" ckpt digest "$newest" --json
same "of a checkpoint and of its run directory are equal" "$(json digest <"$out")" "$(digest $run_dir)"
same "and do not depend on the number of servers" "$(digest runs/one)" "$(digest $run_dir)"
expect_exit 0 "ckpt verify" "$MTPS" ckpt verify "$newest"
if command -v h5dump >/dev/null; then
    for file in "$newest"/*.h5; do
        expect_exit 0 "h5dump reads $(basename "$file")" h5dump -H "$file"
    done
fi

damage() { # FILE OFFSET: flip bits of one byte in a copy of the checkpoint
    rm -rf copy && cp -r "$newest" copy
    local byte
    byte=$(od -An -tu1 -j "$2" -N1 "copy/$1" | tr -d ' ')
    printf "\\$(printf %03o $((byte ^ 255)))" | dd of="copy/$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
for file in dense.h5 sparse-00000-of-00002.h5 sparse-00001-of-00002.h5 train_state.h5; do
    size=$(stat -c %s "$newest/$file")
    for at in 0 $((size / 3)) $((size - 1)); do
        damage "$file" "$at"
        expect_error 66 "$file" "verify finds a wrong byte at $at of $file" "$MTPS" ckpt verify copy
    done
    rm -rf copy && cp -r "$newest" copy && truncate -s $((size - 1)) "copy/$file"
    expect_error 66 "$file" "and its last byte missing" "$MTPS" ckpt verify copy
    rm -f "copy/$file"
    expect_error 66 "$file" "and all of it missing" "$MTPS" ckpt verify copy
done
damage MANIFEST.json 100
expect_error 66 'MANIFEST' "verify finds an edited manifest" "$MTPS" ckpt verify copy
rm copy/MANIFEST.json
expect_error 66 'copy' "a folder without a manifest is no checkpoint" "$MTPS" ckpt verify copy
expect_error 66 'empty-run' "nor is an empty folder" bash -c 'mkdir -p empty-run && exec "$MTPS" ckpt digest empty-run'
expect_error 66 'nowhere' "nor a folder that is not there" "$MTPS" ckpt ls nowhere
# ---- a whole run
expect_exit 0 "verify of a run directory" "$MTPS" ckpt verify $run_dir
same "reads every checkpoint" "$(find $run_dir/checkpoints -maxdepth 1 -name 'step-*' | wc -l)" "$(grep -c ': valid' "$out")"
rm -rf hurt && cp -r $run_dir hurt && truncate -s 1000 "hurt/checkpoints/$(basename "$newest")/dense.h5"
expect_error 66 "$(basename "$newest")/dense.h5" "and names the file of a damaged one, be there older valid ones" \
    "$MTPS" ckpt verify hurt
check "with how many there are" grep -q '^hint: 1 of ' "$err"
check "the others are said to be valid" grep -q ': valid' "$out"
expect_error 66 "$(basename "$newest")/dense.h5" "(as JSON)" "$MTPS" ckpt verify hurt/checkpoints --json
same "the JSON lists the same" "$(find $run_dir/checkpoints -maxdepth 1 -name 'step-*' | wc -l)" \
    "$(grep -o '"path":"[^"]*step-' "$out" | wc -l)"
check "with the reason" grep -q '"valid":false,"error":"[^"]*dense.h5' "$out"
for command in "ckpt digest hurt" "ckpt show hurt" "eval --ckpt hurt" "predict --ckpt hurt -o scores.csv"; do
    # shellcheck disable=SC2086
    expect_exit 0 "a damaged newest checkpoint is passed over: $command" "$MTPS" $command
    check "and that is said" grep -qE "^warning: .*$(basename "$newest") skipped" "$err"
done
expect_exit 0 "(on several ranks)" ranks 3 "$MTPS" eval --ckpt hurt --servers 1
same "once" 1 "$(grep -c "$(basename "$newest") skipped" "$err")"
mkdir -p $run_dir/checkpoints/.tmp-step-000000099999-a0001-x && touch $run_dir/checkpoints/.tmp-step-000000099999-a0001-x/dense.h5
expect_exit 0 "an unfinished checkpoint" "$MTPS" ckpt ls $run_dir
check "is never the newest" test "$(digest $run_dir)" = "$(digest runs/one)"
finish
