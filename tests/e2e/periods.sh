#!/usr/bin/env bash
# Periods by the clock, and what the run directory says while a run goes on and
# after it has ended, however that was.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
endless=(-c small.yaml --set data.eval=null --set train.epochs=1000000)

lines() { # KIND RUN: lines of that kind in metrics.jsonl
    grep -c "\"kind\":\"$1\"" "$2/metrics.jsonl" 2>/dev/null || true
}
state() { json state <"$1/status.json"; }
until_lines() { # KIND N RUN: wait for N lines
    for _ in $(seq 200); do
        [ "$(lines "$1" "$3")" -ge "$2" ] 2>/dev/null && return
        sleep 0.1
    done
    return 1
}
stop_job() { # PID: exit code in $code
    kill -USR2 "$1"
    code=0
    wait "$1" || code=$?
}

# ---- periods by the clock
timed=("${endless[@]}" --set 'data.valid={fraction: 0.2}' --set 'log.every=0.3 s' --set 'train.eval_every=0.5 s')
for ranks in 1 3; do
    dir=runs/timed-$ranks
    command=("$MTPS" train "${timed[@]}" --run-dir "$dir")
    if [ $ranks -gt 1 ]; then command=("$TOP/launch/local.sh" "$ranks" "${command[@]}" --servers 1); fi
    "${command[@]}" >"$out" 2>"$err" </dev/null &
    pid=$!
    children+=("$pid")
    check "log.every in seconds gives progress on $ranks ranks" until_lines train 4 $dir
    check "train.eval_every in seconds gives validations" until_lines valid 3 $dir
    check "status.json follows" test "$(json step <$dir/status.json)" -gt 0
    stop_job "$pid"
    same "the job ends with 75" 75 "$code"
    same "status.json says stopped" stopped "$(state $dir)"
    same "and the step of the checkpoint" \
        "$("$MTPS" ckpt ls $dir --json | grep -oE '"step": ?[0-9]+' | grep -oE '[0-9]+' | sort -n | tail -n 1)" \
        "$(json step <$dir/status.json)"
done

# ---- a failure
expect_error 65 'label' "a run that fails while data is prepared" \
    "$MTPS" train -c small.yaml --set data.eval=null --set 'tasks.click={label: "day * 2"}' --run-dir runs/bad
same "leaves failed in status.json" failed "$(state runs/bad)"
check "with the reason" grep -q label runs/bad/status.json
finish
