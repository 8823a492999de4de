#!/usr/bin/env bash
# verify-export: what the library scores against what the trainer scores, and what it says
# when they differ.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
"$MTPS" train -c small.yaml >/dev/null 2>&1
"$MTPS" train -c small.yaml --set train.epochs=2 --run-dir runs/longer >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o b/f32 >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o b/int8 --rows int8 >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o b/some --min-count 40 >/dev/null 2>&1

expect_exit 0 "a bundle of the checkpoint" "$MTPS" verify-export --ckpt runs/small --bundle b/f32
same "has the same bits in every task" 3 "$(grep -c 'same bits' "$out")"
check "and says so" grep -q '^well: at most 0' "$out"
expect_exit 0 "as JSON" "$MTPS" verify-export --ckpt runs/small --bundle b/f32 --json
same "with the rows" 1000 "$(json rows <"$out")"
same "and a verdict" true "$(json ok <"$out")"

expect_exit 1 "a bundle of another checkpoint" "$MTPS" verify-export --ckpt runs/longer --bundle b/f32 --json
same "is not well" false "$(json ok <"$out")"
check "in most rows" test "$(json different <"$out")" -gt 900
expect_exit 1 "in words, too" "$MTPS" verify-export --ckpt runs/longer --bundle b/f32
check "it is said" grep -q '^NOT WELL' "$out"

expect_exit 0 "rounded rows promise nothing" "$MTPS" verify-export --ckpt runs/small --bundle b/int8
check "but the difference is shown" grep -qE '^click +0\.0' "$out"
expect_exit 1 "unless it is asked for" "$MTPS" verify-export --ckpt runs/small --bundle b/int8 --tolerance 1e-7
expect_exit 0 "with a tolerance that holds" "$MTPS" verify-export --ckpt runs/small --bundle b/int8 --tolerance 0.05
expect_exit 0 "left-out rows promise nothing" "$MTPS" verify-export --ckpt runs/small --bundle b/some

expect_error 64 '\-\-bundle is missing' "no bundle" "$MTPS" verify-export --ckpt runs/small
expect_error 64 '\-\-ckpt is missing' "no checkpoint" "$MTPS" verify-export --bundle b/f32
expect_error 66 'nowhere' "a bundle that is not there" "$MTPS" verify-export --ckpt runs/small --bundle nowhere
expect_error 64 'tolerance' "a tolerance that is none" "$MTPS" verify-export --ckpt runs/small --bundle b/f32 --tolerance x
check "no temporary file stays" bash -c "! ls '${TMPDIR:-/tmp}'/mtps-verify-* 2>/dev/null | grep -q ."
finish
