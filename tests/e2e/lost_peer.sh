#!/usr/bin/env bash
# A rank that dies, hangs or differs ends the whole job: nothing hangs.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
endless=(-c small.yaml --set train.epochs=100000 --set data.eval=null --set 'cluster.deadline=3 s' --set 'log.every=20 steps')

start_job() { # RUN: three ranks; pid of mpirun in $job
    "$TOP/launch/local.sh" 3 "$MTPS" train "${endless[@]}" --servers 1 --run-dir "$1" >"$out" 2>"$err" </dev/null &
    job=$!
    children+=("$job")
    for _ in $(seq 200); do
        grep -qs '"kind":"train"' "$1/metrics.jsonl" && return
        sleep 0.05
    done
    verdict 1 "the job of $1 starts"
}
ended_within() { # SECONDS: exit code in $code
    local deadline=$((SECONDS + $1))
    while kill -0 "$job" 2>/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
    if kill -0 "$job" 2>/dev/null; then
        code=none
        kill -KILL "$job"
        return
    fi
    code=0
    wait "$job" || code=$?
}

gone() { # PID: ended, or waits to be collected by a parent that does not
    for _ in $(seq 20); do
        case $(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null) in '' | Z) return ;; esac
        sleep 0.1
    done
    return 1
}

for rank in 1 2; do # rank 1 is a worker, rank 2 the server
    start_job "runs/stopped-$rank"
    pid=$(rank_pid "$job" "$rank")
    kill -STOP "$pid"
    ended_within 15
    same "a stopped rank $rank ends the job with 76" 76 "$code"
    check "one line names the rank and what it waited for" grep -qE "^error: .*(rank $rank.*step|step.*rank $rank)" "$err"
    same "only one line, whoever waited for it" 1 "$(grep -c '^error: ' "$err")"
    check "no rank is left" gone "$pid"
    same "status.json says failed" failed "$(json state <"runs/stopped-$rank/status.json")"
    check "at the step that was reported last, or later" test "$(json step <"runs/stopped-$rank/status.json")" -gt 0
    check "and why" grep -q "no sign of life" "runs/stopped-$rank/status.json"
done

for rank in 1 2; do
    start_job "runs/killed-$rank"
    kill -KILL "$(rank_pid "$job" "$rank")"
    ended_within 15
    same "a killed rank $rank ends the job (mpirun's 137, or our 76)" yes \
        "$(case $code in 137 | 76) echo yes ;; *) echo "$code" ;; esac)"
done

# ---- before all ranks have come to MPI
printf '#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" = 1 ] && exec sleep 100\nexec "$@"\n' >late.sh
chmod +x late.sh
"$TOP/launch/local.sh" 3 ./late.sh "$MTPS" train "${endless[@]}" --servers 1 --run-dir runs/late >"$out" 2>"$err" </dev/null &
job=$!
children+=("$job")
ended_within 40
same "a rank that never comes to MPI ends the job with 76" 76 "$code"
same "which is said once" 1 "$(grep -c '^error: the start of the job: not all ranks have come' "$err")"
check "nothing is left of it" test ! -e runs/late

# ---- before the first step, and without steps: nobody serves yet
rows 1 150000 >many.csv
quiet=(-c small.yaml --servers 1 --set 'cluster.deadline=2 s' --set "data.train={files: [many.csv]}")
begin() { # command...: three ranks; pid of mpirun in $job
    "$TOP/launch/local.sh" 3 "$MTPS" "$@" >"$out" 2>"$err" </dev/null &
    job=$!
    children+=("$job")
}
stopped_rank() { # RANK SENTENCE
    pid=$(rank_pid "$job" "$1")
    kill -STOP "$pid"
    ended_within 15
    same "$2 ends the job with 76" 76 "$code"
    same "in one line" 1 "$(grep -c '^error: ' "$err")"
    check "that names rank, host and what was awaited" \
        grep -qE "^error: .*rank $1 on host .*waited for [a-z]" "$err"
    check "no rank is left" gone "$pid"
}
for rank in 0 1 2; do
    run_dir=runs/prepare-$rank
    begin train "${quiet[@]}" --run-dir "$run_dir" --set data.cache=".cache/$rank"
    until_true grep -q preparing "$run_dir/status.json"
    stopped_rank "$rank" "rank $rank stopped while data is prepared"
    same "and status.json says failed" failed "$(json state <"$run_dir/status.json")"
done
expect_exit 0 "(a checkpoint)" "$MTPS" train -c small.yaml --run-dir runs/whole --set data.eval=null
for rank in 0 2; do
    begin eval --ckpt runs/whole --set "data.eval={files: [many.csv]}" --set data.cache=".cache/eval-$rank" \
        --servers 1 --set 'cluster.deadline=2 s'
    until_true grep -q ' job ' "$err"
    stopped_rank "$rank" "rank $rank stopped in an evaluation"
done

two_kinds() { # program and seed of rank 0, of rank 1: a worker and a server
    local flags=(--bind-to none --oversubscribe)
    if [ "$(id -u)" = 0 ]; then flags+=(--allow-run-as-root); fi
    mpirun "${flags[@]}" -n 1 "$1" train -c small.yaml --servers 1 --run-dir runs/mixed --seed "$2" : \
        -n 1 "$3" train -c small.yaml --servers 1 --run-dir runs/mixed --seed "$4"
}
expect_error 64 'config.*rank 1|rank 1.*config' "ranks with different configurations" two_kinds "$MTPS" 7 "$MTPS" 8
build=$("$MTPS" version --json | json build)
sed "s/$build/$(tr 0-9a-f 1-9a-f0 <<<"$build")/g" "$MTPS" >other-build && chmod +x other-build
check "(another build says so)" test "$build" != "$(./other-build version --json | json build)"
expect_error 64 'build.*rank 1|rank 1.*build' "ranks of different builds" two_kinds "$MTPS" 7 ./other-build 7
check "nothing is made by ranks that differ" test ! -e runs/mixed
expect_error 64 'servers' "more servers than ranks leave a worker" ranks 2 "$MTPS" train -c small.yaml --servers 2
expect_error 64 'bachsize|batchsize' "an error in the configuration under mpirun is said once" \
    ranks 3 "$MTPS" train -c small.yaml --servers 1 --set train.batchsize=4
expect_error 66 'absent' "a missing file under mpirun is said once" \
    ranks 3 "$MTPS" train -c small.yaml --servers 1 --set 'data.train={files: [absent.csv]}' --run-dir runs/absent
expect_error 65 'like' "bad data under mpirun is said once" \
    ranks 3 "$MTPS" train -c small.yaml --servers 1 --run-dir runs/one-class \
    --set 'data.train={files: [train.csv], where: "like == 0"}'
finish
