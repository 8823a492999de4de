#!/usr/bin/env bash
# verify-export: what the library scores against what the trainer scores, and what it says
# when they differ.
. "${TOP:?}/tests/e2e/lib.sh"
real_python=${MTPS_PYTHON:-python3}
small_data
"$MTPS" train -c small.yaml >/dev/null 2>&1
"$MTPS" train -c small.yaml --set train.epochs=2 --run-dir runs/longer >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o b/f32 >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o b/int8 --rows int8 >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o b/some --min-count 40 >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o b/most --min-count 19 >/dev/null 2>&1 # most users occur 19 times, others 18

expect_exit 0 "a bundle of the checkpoint" "$MTPS" verify-export --ckpt runs/small --bundle b/f32
same "has the same bits in every task" 3 "$(grep -c 'same bits' "$out")"
check "and says so" grep -q '^well: at most 0' "$out"
expect_exit 0 "as JSON" "$MTPS" verify-export --ckpt runs/small --bundle b/f32 --json
same "with the rows" 1000 "$(json rows <"$out")"
same "and a verdict" true "$(json ok <"$out")"

for form in f32 int8 some; do
    expect_error 78 'exported from another checkpoint: from [0-9a-f]{32}, and .* is [0-9a-f]{32}' "$form rows of another checkpoint" \
        "$MTPS" verify-export --ckpt runs/longer --bundle b/$form
done

expect_exit 0 "rounded rows promise nothing" "$MTPS" verify-export --ckpt runs/small --bundle b/int8
check "but the difference is shown" grep -qE '^click +0\.0' "$out"
expect_exit 1 "unless it is asked for" "$MTPS" verify-export --ckpt runs/small --bundle b/int8 --tolerance 1e-7
check "it is said" grep -q '^NOT WELL: at most 1e-07 is allowed' "$out"
expect_exit 1 "as JSON" "$MTPS" verify-export --ckpt runs/small --bundle b/int8 --tolerance 1e-7 --json
same "is not well" false "$(json ok <"$out")"
check "in most rows" test "$(json different <"$out")" -gt 900
expect_exit 0 "with a tolerance that holds" "$MTPS" verify-export --ckpt runs/small --bundle b/int8 --tolerance 0.05
expect_exit 0 "left-out rows promise nothing" "$MTPS" verify-export --ckpt runs/small --bundle b/some

# ---- ONNX Runtime beside them
export MTPS_PYTHON=/nowhere/python
expect_exit 0 "without a Python" "$MTPS" verify-export --ckpt runs/small --bundle b/f32
check "it is said that ONNX Runtime is not compared" grep -q '^ONNX Runtime is not compared: /nowhere/python' "$out"
expect_exit 0 "as JSON" "$MTPS" verify-export --ckpt runs/small --bundle b/int8 --json
check "rounded rows are not written as ONNX" grep -q '"onnx_skipped":"rows are f32, not i8"' "$out"
cat >python <<'SH'
#!/bin/sh
# python -c SCRIPT FOLDER ROWS: scores of 0 for three tasks
head -c $(($4 * 12)) /dev/zero >"$3/out"
SH
chmod +x python
export MTPS_PYTHON=$PWD/python
expect_exit 1 "other scores of ONNX Runtime" "$MTPS" verify-export --ckpt runs/small --bundle b/f32
check "are not well" grep -q '^NOT WELL' "$out"
expect_exit 1 "nor with left-out rows" "$MTPS" verify-export --ckpt runs/small --bundle b/most
check "of which the rest is compared" grep -q '^NOT WELL' "$out"
printf '#!/bin/sh\ntouch "$3/started"; exit 1\n' >python
expect_error 70 'ONNX Runtime failed' "a runtime that fails on the model" "$MTPS" verify-export --ckpt runs/small --bundle b/f32
same "does so behind the library's figures" 3 "$(grep -c 'same bits' "$out")"
expect_error 70 'ONNX Runtime failed' "as JSON" "$MTPS" verify-export --ckpt runs/small --bundle b/f32 --json
same "has them, too" "false 1000" "$(json ok <"$out") $(json rows <"$out")"
check "and what failed" grep -q '"onnx_failed":"ONNX Runtime failed' "$out"
for program in 'exit 1' 'exit 3' 'kill -9 $$'; do
    printf '#!/bin/sh\n%s\n' "$program" >python
    expect_exit 0 "a program that is no Python with ONNX Runtime ($program)" "$MTPS" verify-export --ckpt runs/small --bundle b/f32
    same "leaves the library's figures" 3 "$(grep -c 'same bits' "$out")"
    same "and one line says why" 1 "$(grep -cE '^ONNX Runtime is not compared: .*/python (ended with 1|has no onnxruntime|was ended by signal 9)' "$out")"
done
MTPS_PYTHON=/bin/false expect_exit 0 "as JSON" "$MTPS" verify-export --ckpt runs/small --bundle b/f32 --json
check "too" grep -q '"onnx_skipped":"/bin/false ended with 1 before' "$out"
check "no temporary folder stays" bash -c "! ls -d '${TMPDIR:-/tmp}'/mtps-onnx-* 2>/dev/null | grep -q ."
export MTPS_PYTHON=$real_python
if "$MTPS_PYTHON" -c 'import numpy, onnxruntime' 2>/dev/null; then
    expect_exit 0 "with ONNX Runtime" "$MTPS" verify-export --ckpt runs/small --bundle b/f32 --json
    check "most rows are compared" test "$(json onnx_rows <"$out")" -gt 500
    expect_exit 0 "also where rows are left out" "$MTPS" verify-export --ckpt runs/small --bundle b/most
    expect_exit 0 "as JSON" "$MTPS" verify-export --ckpt runs/small --bundle b/f32 --json
    check "within 1e-5, but not with the same bits" bash -c "grep -oE '\"onnx\":[0-9.e-]+' '$out' | awk -F: '\$2 > 1e-5 { bad = 1 } \$2 > 0 { some = 1 } END { exit bad || !some }'"
else
    echo "      (no Python with onnxruntime: its scores are not compared)"
fi

expect_error 64 '\-\-bundle is missing' "no bundle" "$MTPS" verify-export --ckpt runs/small
expect_error 64 '\-\-ckpt is missing' "no checkpoint" "$MTPS" verify-export --bundle b/f32
expect_error 66 'nowhere' "a bundle that is not there" "$MTPS" verify-export --ckpt runs/small --bundle nowhere
expect_error 64 'tolerance' "a tolerance that is none" "$MTPS" verify-export --ckpt runs/small --bundle b/f32 --tolerance x
check "no temporary file stays" bash -c "! ls '${TMPDIR:-/tmp}'/mtps-verify-* 2>/dev/null | grep -q ."
finish
