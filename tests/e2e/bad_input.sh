#!/usr/bin/env bash
# What is wrong is said in one line with the documented code; nothing is left or
# overwritten by a run that could not start.
. "${TOP:?}/tests/e2e/lib.sh"
small_data

set_is_bad() { # CODE PATTERN SENTENCE KEY=VALUE...
    local code=$1 pattern=$2 sentence=$3 args=()
    shift 3
    for kv in "$@"; do args+=(--set "$kv"); done
    expect_error "$code" "$pattern" "$sentence" "$MTPS" train -c small.yaml --run-dir runs/bad "${args[@]}"
}

# ---- command line
expect_error 64 'no-such-option' "an unknown option" "$MTPS" train --no-such-option
expect_error 64 'trian' "an unknown command" "$MTPS" trian
expect_error 64 'config' "train without a configuration" "$MTPS" train
expect_error 66 'missing\.yaml' "a configuration that is not there" "$MTPS" train -c missing.yaml

# ---- configuration
sed 's/batch_size/batchsize/' small.yaml >typo.yaml
expect_error 64 "typo\\.yaml:$(grep -n batchsize typo.yaml | cut -d: -f1):9" "a misspelt key names file, line and column" "$MTPS" train -c typo.yaml
check "and the nearest key is suggested" grep -q 'batch_size' "$err"
printf 'train: [1, 2\n' >broken.yaml
expect_error 64 'broken\.yaml' "YAML that does not parse" "$MTPS" train -c broken.yaml
set_is_bad 64 'train\.batch_size' "a number where there is text" train.batch_size=many
set_is_bad 64 'train\.batch_size' "a number out of range" train.batch_size=-5
set_is_bad 64 'lanes' "lanes that are no power of two" train.lanes=3
set_is_bad 64 'lanes' "a batch smaller than the lanes" train.batch_size=2 train.lanes=4
set_is_bad 64 'lanes' "lanes that do not divide the batch" train.batch_size=130 train.lanes=4
set_is_bad 64 'gru' "an unknown model type" model.type=gru
set_is_bad 64 'experts' "a model without its part" 'model={type: mmoe}'
check "a configuration with a mistake leaves no run directory" test ! -e runs/bad
set_is_bad 64 'clickk' "a label on a missing column" tasks.click.label=clickk
set_is_bad 64 'no_such' "a feature without a column" 'features=[{name: no_such}]'
set_is_bad 64 'day >' "an expression that does not parse" 'data.train={files: [train.csv], where: "day > > 3"}'
set_is_bad 64 'dim' "a table with two dims" \
    'features=[{name: user, table: t, dim: 4}, {name: item, table: t, dim: 8}]'

# ---- data
set_is_bad 66 'absent\.csv' "a data file that is not there" 'data.train={files: [absent.csv]}'
set_is_bad 66 'absent' "a pattern without a match" 'data.train={files: ["absent*.csv"]}'
: >empty.csv
set_is_bad "65|66" "empty\.csv" "an empty file" "data.train={files: [empty.csv]}"
head -n 1 train.csv >header_only.csv
set_is_bad 65 'row' "a header without rows" 'data.train={files: [header_only.csv]}'
set_is_bad 65 'row' "a filter that no row passes" 'data.train={files: [train.csv], where: "day > 1000"}'
set_is_bad 65 'like' "a task with one class only" 'data.train={files: [train.csv], where: "like == 0"}'
set_is_bad 65 'finish' "a task without a label" tasks.finish.present='"length > 1000"'
set_is_bad 65 'data\.eval.*row' "rows to evaluate on that are none" 'data.eval={files: [header_only.csv]}'
set_is_bad 65 'data\.valid.*row' "validation rows that are none" 'data.valid={where: "day > 1000"}'
if [ "$(id -u)" != 0 ]; then
    cp train.csv secret.csv && chmod 000 secret.csv
    set_is_bad 66 'secret\.csv' "a file that cannot be read" 'data.train={files: [secret.csv]}'
fi
cp train.csv twice.csv && printf 'user,age\nu1,3\nu2,4\nu1,5\n' >side.csv
set_is_bad 65 'side\.csv.*u1|u1.*side\.csv' "a key twice in a side table" 'data.joins=[{files: [side.csv], key: user}]' \
    'features=[{name: user}, {name: age}]'

# What is no regular file is refused at once: its reader would wait for ever.
mkfifo pipe
at_once() { timeout 10 "$@"; }
for file in pipe /dev/zero; do
    expect_error 66 "$file.*regular file" "data from $file" at_once "$MTPS" data stats -c small.yaml --set "data.train={files: [$file]}"
    expect_error 66 "$file.*regular file" "(train)" at_once "$MTPS" train -c small.yaml --run-dir runs/bad --set "data.train={files: [$file]}"
    expect_error 66 "$file.*regular file" "a configuration from $file" at_once "$MTPS" config check -c "$file"
done
set_is_bad 66 'pipe.*regular file' "a side table from a pipe" 'data.joins=[{files: [pipe], key: user}]'

# ---- the run directory
touch plain-file
expect_error 73 'plain-file' "a run directory below a file" "$MTPS" train -c small.yaml --run-dir plain-file/run
expect_error 73 '/proc/run' "a run directory on a file system that takes none" \
    "$MTPS" train -c small.yaml --run-dir /proc/run
expect_exit 0 "a small run" "$MTPS" train -c small.yaml --set train.max_steps=10 --set data.eval=null
kept=$(digest runs/small)
expect_error 66 'pipe.*regular file' "rows to score from a pipe" at_once "$MTPS" predict --ckpt runs/small --input pipe -o scores.csv
expect_error 65 'data\.eval.*row' "an evaluation of no rows" \
    "$MTPS" eval --ckpt runs/small --set 'data.eval={files: [eval.csv], where: "day > 1000"}'
for command in "eval --ckpt runs/small --set data.eval.files=[eval.csv]" "predict --ckpt runs/small --input eval.csv -o scores.csv"; do
    # shellcheck disable=SC2086
    expect_exit 0 "-q: $command" "$MTPS" $command -q
    check "says nothing but warnings and errors" test ! -s "$err"
done
expect_error 64 'servers.*from 1 to' "a number of servers that no size holds" \
    "$MTPS" train -c small.yaml --servers 18446744073709551617
expect_error 78 'train\.batch_size' "resuming with another batch size names the key" \
    "$MTPS" train -c small.yaml --set train.batch_size=64
check "and says to use another run directory" grep -q -- '--run-dir' "$err"
expect_error 78 'tables\.default\.dim.*|dim' "resuming with another dim names it" \
    "$MTPS" train -c small.yaml --set tables.default.dim=4
expect_error 78 'seed.*' "resuming with another seed names it" "$MTPS" train -c small.yaml --seed 8
same "nothing was overwritten" "$kept" "$(digest runs/small)"

# A run that holds the directory: the second one is turned away and harms nothing.
"$MTPS" train -c small.yaml --run-dir runs/held --set train.epochs=100000 --set 'log.every=20 steps' >/dev/null 2>&1 </dev/null &
children+=($!)
for _ in $(seq 100); do grep -qs '"kind":"train"' runs/held/metrics.jsonl && break; sleep 0.1; done
expect_error 77 'runs/held' "a second job in one run directory" "$MTPS" train -c small.yaml --run-dir runs/held
kill -KILL "${children[0]}"
wait "${children[0]}" 2>/dev/null || true
expect_exit 0 "the lock dies with its owner" \
    "$MTPS" train -c small.yaml --run-dir runs/held --set train.max_steps=2 --resume auto

# Results that nobody gets are no results.
if [ -c /dev/full ]; then
    to_full() { "$@" >/dev/full; }
    for command in "--help" "--version" "version --json" "train --help" "config show -c small.yaml" \
        "data head -c small.yaml" "data stats -c small.yaml --json" "ckpt ls runs/small" \
        "ckpt digest runs/small --json" "train -c small.yaml --run-dir runs/told --json" \
        "eval --ckpt runs/told --json" "predict --ckpt runs/told -o -"; do
        # shellcheck disable=SC2086
        expect_error 74 'standard output.*No space' "a full standard output: $command" to_full "$MTPS" $command
    done
fi
closed() { "$@" >&-; }
expect_error 74 'standard output' "a closed standard output" closed "$MTPS" ckpt digest runs/small
same "does no harm" "$kept" "$(digest runs/small)"

# A full disk: files cannot grow beyond 64 blocks of 1 KiB.
small_disk() { (ulimit -f 64 && trap '' XFSZ && "$@"); }
expect_error 74 'runs/full.*File too large' "a disk that is full is said so" \
    small_disk "$MTPS" train -c small.yaml --run-dir runs/full
check "with what to do" grep -q '^hint: .*ulimit' "$err"
expect_error 74 '\.cache/full.*File too large' "also where rows are prepared" \
    small_disk "$MTPS" data prepare -c small.yaml --set data.cache=.cache/full
check "with what to do" grep -q '^hint: .*ulimit' "$err"
finish
