#!/usr/bin/env bash
# Interrupted and resumed is uninterrupted, bit for bit: by a step limit, by
# signals, by a kill, with another number of servers and workers.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
common=(-c small.yaml --set data.eval=null --set train.epochs=4)

expect_exit 0 "the uninterrupted run" "$MTPS" train "${common[@]}" --run-dir runs/whole
want=$(digest runs/whole)

# ---- a step limit, then on; one process, then several ranks, then one again
expect_exit 0 "a run of 40 steps" "$MTPS" train "${common[@]}" --run-dir runs/parts --set train.max_steps=40
expect_exit 0 "goes on to 90 on 2 servers and 2 workers" ranks 4 \
    "$MTPS" train "${common[@]}" --servers 2 --run-dir runs/parts --set train.max_steps=90
expect_exit 0 "and to the end in one process with two threads" \
    "$MTPS" train "${common[@]}" --run-dir runs/parts --set cluster.threads=2 --resume require
same "the model is that of the uninterrupted run" "$want" "$(digest runs/parts)"

# ---- signals
slow=("${common[@]}" --set train.epochs=2000 --set 'log.every=20 steps')
started() { # RUN: wait for its first progress line
    for _ in $(seq 200); do
        grep -qs '"kind":"train"' "$1/metrics.jsonl" && return
        sleep 0.05
    done
    return 1
}
last_step() { "$MTPS" ckpt ls "$1" --json | grep -oE '"step": ?[0-9]+' | grep -oE '[0-9]+' | sort -n | tail -n 1; }

for signal in USR2 TERM; do
    "$MTPS" train "${slow[@]}" --run-dir "runs/$signal" >/dev/null 2>&1 </dev/null &
    pid=$!
    children+=("$pid")
    check "the run for $signal starts" started "runs/$signal"
    kill "-$signal" "$pid"
    code=0
    wait "$pid" || code=$?
    same "$signal ends it with 75" 75 "$code"
    step=$(last_step "runs/$signal")
    check "after a commit (step ${step:-none})" test "${step:-0}" -gt 0
    expect_exit 0 "a run of its own to that step" "$MTPS" train "${slow[@]}" \
        --run-dir "runs/$signal-straight" --set "train.max_steps=$step"
    same "gives the same model" "$(digest "runs/$signal-straight")" "$(digest "runs/$signal")"
done

"$MTPS" train "${slow[@]}" --run-dir runs/USR1 >/dev/null 2>&1 </dev/null &
pid=$!
children+=("$pid")
check "the run for USR1 starts" started runs/USR1
kill -USR1 "$pid"
committed() { for _ in $(seq 100); do ls -d runs/USR1/checkpoints/step-* && return; sleep 0.1; done; return 1; }
check "USR1 commits" committed
check "and the run goes on" kill -0 "$pid"
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
step=$(last_step runs/USR1)
expect_exit 0 "after SIGKILL it resumes from that commit" \
    "$MTPS" train "${slow[@]}" --run-dir runs/USR1 --set "train.max_steps=$((step + 10))"
expect_exit 0 "(a run of its own)" "$MTPS" train "${slow[@]}" --run-dir runs/USR1-straight \
    --set "train.max_steps=$((step + 10))"
same "and loses nothing" "$(digest runs/USR1-straight)" "$(digest runs/USR1)"

# ---- before the first step there is nothing to commit
rows 1 150000 >many.csv
early() { # RUN command...: starts it, waits until data is prepared
    local run=$1
    shift
    "$@" "$MTPS" train "${common[@]}" --set 'data.train={files: [many.csv]}' --set "data.cache=.cache/$run" \
        --servers 1 --run-dir "runs/$run" >"$out" 2>"$err" </dev/null &
    pid=$!
    children+=("$pid")
    until_true grep -q preparing "runs/$run/status.json"
}
ends_early() { # RUN CODES SENTENCE
    code=0
    wait "$pid" || code=$?
    same "$3" yes "$(case "|$2|" in *"|$code|"*) echo yes ;; *) echo "$code" ;; esac)"
    same "and says so in status.json" stopped "$(json state <"runs/$1/status.json")"
    check "and in the log" grep -qr 'stop requested' "runs/$1/logs"
}
nothing_made() { # RUN
    check "no half-made file is left" test -z "$(find ".cache/$1" -name '*.h5*')"
}
for signal in USR2 TERM; do
    early "early-$signal" env
    kill "-$signal" "$pid"
    ends_early "early-$signal" 75 "$signal while data is prepared ends with 75"
    nothing_made "early-$signal"
done
early early-mpi "$TOP/launch/local.sh" 3
kill -USR2 "$pid"
ends_early early-mpi 75 "SIGUSR2 to mpirun does as well"
nothing_made early-mpi
early early-term "$TOP/launch/local.sh" 3
kill -TERM "$pid"
ends_early early-term '1|75|143' "SIGTERM to mpirun, which passes it on after a second, ends the job"
expect_exit 0 "the same command starts over" "$MTPS" train "${common[@]}" --run-dir runs/early-USR2 \
    --set 'data.train={files: [many.csv]}' --set data.cache=.cache/early-USR2 --set train.max_steps=3

# ---- a rank alone may be told: here the server
"$TOP/launch/local.sh" 3 "$MTPS" train "${slow[@]}" --servers 1 --run-dir runs/server >/dev/null 2>&1 </dev/null &
pid=$!
children+=("$pid")
check "three ranks start" started runs/server
kill -USR1 "$(rank_pid "$pid" 2)"
until_true find runs/server/checkpoints/LATEST
check "SIGUSR1 to the server alone commits, and the job goes on" kill -0 "$pid"
kill -TERM "$(rank_pid "$pid" 2)"
code=0
wait "$pid" || code=$?
same "SIGTERM to the server alone ends the job with 75" 75 "$code"
same "and says so in status.json" stopped "$(json state <runs/server/status.json)"

# ---- under mpirun: SIGUSR2 to mpirun reaches every rank
"$TOP/launch/local.sh" 3 "$MTPS" train "${slow[@]}" --servers 1 --run-dir runs/mpi >/dev/null 2>&1 </dev/null &
pid=$!
children+=("$pid")
check "three ranks start" started runs/mpi
kill -USR2 "$pid"
code=0
wait "$pid" || code=$?
same "SIGUSR2 to mpirun ends the job with 75" 75 "$code"
step=$(last_step runs/mpi)
expect_exit 0 "one process goes on from it" "$MTPS" train "${slow[@]}" --run-dir runs/mpi \
    --set "train.max_steps=$((step + 5))"
expect_exit 0 "(a run of its own)" "$MTPS" train "${slow[@]}" --run-dir runs/mpi-straight \
    --set "train.max_steps=$((step + 5))"
same "with the same model" "$(digest runs/mpi-straight)" "$(digest runs/mpi)"

# ---- the data of the checkpoint
cp train.csv data.csv
changed=(-c small.yaml --set 'data.train={files: [data.csv]}' --set data.eval=null --run-dir runs/changed)
expect_exit 0 "a run of 20 steps" "$MTPS" train "${changed[@]}" --set train.max_steps=20
before=$(digest runs/changed)
sed -i '5s/,u[0-9]*,/,u1000,/' data.csv
expect_error 78 'data.train' "does not go on with changed data" "$MTPS" train "${changed[@]}"
check "and says what to do" grep -q '^hint: .*--run-dir' "$err"
expect_error 78 'data.train' "nor under mpirun, said once" ranks 3 "$MTPS" train "${changed[@]}" --servers 1
expect_error 78 'data.train' "nor when it is finished" "$MTPS" train "${changed[@]}" --set train.max_steps=20
same "the checkpoint stays" "$before" "$(digest runs/changed)"
cp train.csv data.csv
expect_exit 0 "the old contents, written anew and prepared elsewhere, will do" \
    "$MTPS" train "${changed[@]}" --set data.cache=elsewhere
cp eval.csv valid.csv
held=("${changed[@]:0:6}" --run-dir runs/held --set 'data.valid={files: [valid.csv]}')
expect_exit 0 "a run with validation rows of their own" "$MTPS" train "${held[@]}" --set train.max_steps=20
sed -i '5s/,u[0-9]*,/,u1000,/' valid.csv
expect_error 78 'data.valid' "does not go on with other ones" "$MTPS" train "${held[@]}"
sed -i 5d eval.csv
expect_exit 0 "other rows of data.eval may come" "$MTPS" train -c small.yaml --run-dir runs/changed \
    --set 'data.train={files: [data.csv]}'

# ---- a damaged checkpoint is passed over
expect_exit 0 "a run with two checkpoints" "$MTPS" train "${common[@]}" --run-dir runs/damaged \
    --set 'checkpoint.every=[50 steps]' --set train.max_steps=100
newest=$(find runs/damaged/checkpoints -maxdepth 1 -name 'step-*' | sort | tail -n 1)
file=$(find "$newest" -name 'sparse-*' | head -n 1)
size=$(stat -c %s "$file")
printf '\377\377' | dd of="$file" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
expect_exit 0 "resumes from the older valid one" "$MTPS" train "${common[@]}" --run-dir runs/damaged
check "and says which was passed over" grep -q "$(basename "$newest")" "$err"
same "to the same model" "$want" "$(digest runs/damaged)"

# ---- nor does a run whose checkpoints are all damaged start afresh over them
for file in runs/damaged/checkpoints/step-*/MANIFEST.json; do truncate -s 10 "$file"; done
left=$(find runs/damaged/checkpoints | sort)
expect_error 66 'runs/damaged/checkpoints: none of [0-9]+' "a run without a usable checkpoint ends" \
    "$MTPS" train "${common[@]}" --run-dir runs/damaged
check "naming each" grep -q "$(basename "$newest").*MANIFEST" "$err"
check "and a way out" grep -q '^hint: .*--run-dir NEW' "$err"
expect_error 66 'runs/damaged/checkpoints: none of [0-9]+' "also on several ranks, once" \
    ranks 3 "$MTPS" train "${common[@]}" --servers 1 --run-dir runs/damaged
expect_error 73 'runs/damaged' "--resume never does not either" \
    "$MTPS" train "${common[@]}" --run-dir runs/damaged --resume never
same "nothing was written over" "$left" "$(find runs/damaged/checkpoints | sort)"
finish
