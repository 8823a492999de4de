#!/usr/bin/env bash
# What is wrong is said under mpirun as it is in one process: one line, one documented
# code, and all ranks end.
. "${TOP:?}/tests/e2e/lib.sh"
small_data

# On three ranks; a hang is a failure.
bad() { # CODE PATTERN SENTENCE train-argument...
    local code=$1 pattern=$2 sentence=$3
    shift 3
    expect_error "$code" "$pattern" "$sentence" timeout --signal=KILL 30 \
        "$TOP/launch/local.sh" 3 "$MTPS" train -c small.yaml --servers 1 --run-dir runs/bad "$@"
}

# ---- configuration
bad 64 'train\.batch_size' "a number where there is text" --set train.batch_size=many
bad 64 'train\.batch_size' "a number out of range" --set train.batch_size=-5
bad 64 'lanes' "lanes that are no power of two" --set train.lanes=3
bad 64 'lanes' "a batch smaller than the lanes" --set train.batch_size=2 --set train.lanes=4
bad 64 'clickk' "a label on a missing column" --set tasks.click.label=clickk
bad 64 'dim' "a table with two dims" \
    --set 'features=[{name: user, table: t, dim: 4}, {name: item, table: t, dim: 8}]'
bad 64 'servers' "a number of servers that no size holds" --servers 18446744073709551617

# ---- data
: >empty.csv
bad "65|66" 'empty\.csv' "an empty file" --set 'data.train={files: [empty.csv]}'
bad 65 'no row' "a filter that no row passes" --set 'data.train={files: [train.csv], where: "day > 1000"}'
mkfifo pipe
bad 66 'pipe.*regular file' "data from a pipe" --set 'data.train={files: [pipe]}'
cp train.csv secret.csv && chmod 000 secret.csv
if [ "$(id -u)" != 0 ]; then
    bad 66 'secret\.csv' "a file that cannot be read" --set 'data.train={files: [secret.csv]}'
else # root reads everything
    chmod 777 "$work"
    as_nobody() { HOME=$work setpriv --reuid 65534 --clear-groups "$@"; }
    check "(another user runs the program)" as_nobody "$MTPS" version
    expect_error 66 'secret\.csv' "a file that cannot be read" as_nobody timeout --signal=KILL 30 \
        "$TOP/launch/local.sh" 3 "$MTPS" train -c small.yaml --servers 1 --run-dir nobody/run \
        --set 'data.train={files: [secret.csv]}' --set data.cache=nobody/cache
fi

# ---- the run directory
touch plain-file
bad 73 'plain-file' "a run directory below a file" --run-dir plain-file/run
bad 73 '/proc/run' "a run directory on a file system that takes none" --run-dir /proc/run
"$MTPS" train -c small.yaml --run-dir runs/held --set train.epochs=100000 --set 'log.every=20 steps' >/dev/null 2>&1 </dev/null &
holder=$!
children+=("$holder")
until_true grep -qs '"kind":"train"' runs/held/metrics.jsonl
bad 77 'runs/held' "two jobs in one run directory" --run-dir runs/held
check "the first one goes on" kill -0 "$holder"
kill -KILL "$holder"
wait "$holder" 2>/dev/null || true

# ---- a full disk: the rows are prepared elsewhere, the checkpoint does not fit
mkdir disk
trap 'umount -l "$work/disk" 2>/dev/null || true; clean_up' EXIT
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=96k tmpfs disk 2>/dev/null; then
    bad 74 'disk/run.*(No space| are free)' "a full disk" --run-dir disk/run
    check "with what to do" grep -q '^hint: ' "$err"
    check "leaves no half-made checkpoint" test -z "$(find disk/run/checkpoints -name 'step-*')"
    umount -l disk
else
    small_disk() { (ulimit -f 64 && trap '' XFSZ && "$@"); }
    expect_error 74 'runs/full.*File too large' "a full disk (files cannot grow)" small_disk timeout --signal=KILL 30 \
        "$TOP/launch/local.sh" 3 "$MTPS" train -c small.yaml --servers 1 --run-dir runs/full
fi
check "a run that could not start leaves no checkpoint" test ! -e runs/bad/checkpoints
finish
