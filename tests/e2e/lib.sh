# What end-to-end scripts share; sourced, not run. CTest sets MTPS (the program)
# and TOP (the tree). A script works in a folder of its own, $work, which is
# removed at the end. Each case is one sentence; `finish` gives the verdict.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C
: "${MTPS:?the program under test}" "${TOP:?top of the tree}"

work=$(mktemp -d "${TMPDIR:-/tmp}/mtps-e2e-XXXXXX")
out=$work/.out
err=$work/.err
: >"$out"
: >"$err"
n_cases=0
n_failed=0
children=()

clean_up() {
    local pid
    for pid in "${children[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    chmod -R u+w "$work" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work"

verdict() { # ok?, sentence, detail...
    n_cases=$((n_cases + 1))
    if [ "$1" = 0 ]; then
        echo "ok    $2"
        return
    fi
    n_failed=$((n_failed + 1))
    echo "FAIL  $2"
    shift 2
    printf '      %s\n' "$@"
    sed 's/^/      out: /' "$out" 2>/dev/null | tail -n 5 || true
    sed 's/^/      err: /' "$err" 2>/dev/null | tail -n 15 || true
}

# Run a command with its output in $out and $err; gives the exit code in $code.
run() {
    code=0
    "$@" >"$out" 2>"$err" </dev/null || code=$?
}

# expect_exit CODE SENTENCE command...: CODE may be several, "73|74".
expect_exit() {
    local want=$1 sentence=$2
    shift 2
    run "$@"
    if [[ "|$want|" == *"|$code|"* ]]; then
        verdict 0 "$sentence"
    else
        verdict 1 "$sentence" "exit $code instead of $want: $*"
    fi
}

# expect_error CODE PATTERN SENTENCE command...: one `error:` line that matches.
expect_error() {
    local want=$1 pattern=$2 sentence=$3 lines
    shift 3
    run "$@"
    lines=$(grep -c '^error: ' "$err" || true)
    if [[ "|$want|" == *"|$code|"* ]] && [ "$lines" = 1 ] && grep '^error: ' "$err" | grep -qE -e "$pattern"; then
        verdict 0 "$sentence"
    else
        verdict 1 "$sentence" "exit $code instead of $want, or not one error line with /$pattern/: $*"
    fi
}

# check SENTENCE command...: the command succeeds.
check() {
    local sentence=$1
    shift
    if "$@" >/dev/null 2>&1; then verdict 0 "$sentence"; else verdict 1 "$sentence" "false: $*"; fi
}

# same SENTENCE A B: two texts are equal and not empty.
same() {
    if [ -n "$2" ] && [ "$2" = "$3" ]; then verdict 0 "$1"; else verdict 1 "$1" "'$2'" "'$3'"; fi
}

# First value of a key in JSON on stdin: a number or a string without its quotes.
json() {
    grep -oE "\"$1\": ?(\"[^\"]*\"|[^][{},\"]+)" | head -n 1 | sed -E 's/^"[^"]*": ?//; s/^"(.*)"$/\1/'
}

digest() { # RUN-DIR-OR-CHECKPOINT
    "$MTPS" ckpt digest "$1" --json 2>/dev/null | json digest
}

ranks() { # N command...: on N ranks of this machine
    "$TOP/launch/local.sh" "$@"
}

# Pid of a rank among the children of mpirun.
rank_pid() { # PID-OF-MPIRUN RANK
    local pid
    for pid in $(pgrep -P "$1"); do
        if tr '\0' '\n' <"/proc/$pid/environ" | grep -qx "OMPI_COMM_WORLD_RANK=$2"; then echo "$pid"; fi
    done
}

# until_true command...: wait for it, at most 10 s.
until_true() {
    local i
    for i in $(seq 500); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.02
    done
    verdict 1 "it happens within 10 s ($i looks)" "$*"
}

finish() {
    echo "$((n_cases - n_failed)) of $n_cases cases passed"
    [ "$n_failed" = 0 ] && [ "$n_cases" -gt 0 ]
}

skip() { # why
    echo "skipped: $1"
    exit 77
}

# rows FIRST LAST: csv rows of a small learnable data set, with a header line.
# user and item are ids, tags is multi-valued, price is a number with gaps; click
# depends on user and item, like is rarer, play and length make `finish`, and
# length 0 means that there is no finish label.
rows() {
    awk -v first="$1" -v last="$2" 'BEGIN {
        print "day,user,item,tags,price,click,like,play,length"
        for (i = first; i <= last; i++) {
            u = (i * 7919) % 211; v = (i * 104729 + int(i / 97)) % 83; h = (i * 31 + u * 17 + v * 13) % 100
            tags = ""; for (k = 0; k < i % 4; k++) tags = tags (k ? " " : "") "t" ((v + k * 5) % 19)
            price = i % 11 ? (v * 3 % 50) / 4 : ""
            click = (u % 5 + v % 7 + h / 40 > 5.5); like = click && (v % 3 == 0) && h < 30
            len = i % 13 ? 10 + v % 20 : 0; play = len * (u % 4 + h / 50) / 3
            printf "%d,u%d,i%d,%s,%s,%d,%d,%.2f,%d\n", 1 + int(i * 10 / 4000), u, v, tags, price, click, like, play, len
        }
    }'
}

# config NAME: a configuration over train.csv and eval.csv of the current folder.
config() {
    cat <<YAML
version: 1
name: $1
seed: 7
data:
  train: {files: [train.csv]}
  eval: {files: [eval.csv]}
  group: user
features:
  - {names: [user, item]}
  - {name: tags, split: " ", pool: mean}
  - {name: tags_sum, column: tags, split: " ", pool: sum, table: tags}
  - {name: day, expr: "day % 7"}
  - {name: price, kind: dense, default: mean, transform: [log1p, standardize]}
tables:
  default: {dim: 8, init: {normal: 0.01}, optimizer: {adagrad: {lr: 0.1, initial_accumulator: 1e-7}}}
tasks:
  click: {label: click}
  like: {label: like}
  finish: {label: "play >= length", present: "length > 0"}
model:
  type: mmoe
  experts: {count: 4, own: 1, shared: 1, levels: 1, layers: [16]}
  bottom: {layers: [24]}
  gates: {layers: []}
  towers: {layers: [8]}
train: {batch_size: 128, lanes: 4, epochs: 1, optimizer: {adam: {lr: 0.003}}}
checkpoint: {keep: 5}
YAML
}

# The usual folder: 4,000 training and 1,000 evaluation rows and a configuration.
small_data() {
    rows 1 4000 >train.csv
    rows 4001 5000 >eval.csv
    config small >small.yaml
}
