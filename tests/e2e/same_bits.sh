#!/usr/bin/env bash
# The same model, bit for bit, for any number of servers, workers and threads:
# the KuaiRand configuration (sum, mean and multi-valued features) at four lanes.
#   same_bits.sh          a short version: some layouts, some steps
#   same_bits.sh all      every layout, a whole epoch
#   same_bits.sh types    every type of model, one layout, some steps
. "${TOP:?}/tests/e2e/lib.sh"
cd "$TOP" || exit
layouts="1,2 2,2 2,3"
length=(--set train.max_steps=12)
threads="2"
if [ "${1:-}" = all ]; then
    layouts="1,1 1,2 2,1 2,2 3,2 1,4 2,3"
    length=()
    threads="1 2"
fi

train() { # NAME option...: a run in $work, sharing the prepared data
    local name=$1
    shift
    expect_exit 0 "$name trains" "${start[@]}" "$MTPS" train -c configs/kuairand-mmoe.yaml -q \
        --run-dir "$work/$name" --set data.cache="$work/cache" --set train.lanes=4 \
        --set data.eval=null --set 'features.tag.pool=sum' "${length[@]}" "$@"
}

if [ "${1:-}" = types ]; then
    for type in lr fm dnn wide_deep deepfm two_tower share_bottom omoe mmoe cgc ple esmm aitm; do
        model=(-c configs/kuairand-road.yaml --set "model.type=$type")
        [[ $type != esmm && $type != aitm ]] || model+=(--set 'model.funnel=[click, like]')
        start=()
        train "$type" "${model[@]}" --set cluster.threads=1
        start=(ranks 5)
        train "$type-5" "${model[@]}" --servers 2 --set cluster.threads=2
        same "$type: 2 servers and 3 workers of 2 threads" "$(digest "$work/$type")" "$(digest "$work/$type-5")"
    done
    check "they are different models" \
        test "$(for run in "$work"/*-5; do digest "$run"; done | sort -u | wc -l)" = 13
    finish
    exit
fi

start=()
train one --set cluster.threads=1
want=$(digest "$work/one")
for t in $threads; do
    if [ "$t" != 1 ]; then
        start=()
        train "threads-$t" --set "cluster.threads=$t"
        same "one process with $t threads" "$want" "$(digest "$work/threads-$t")"
    fi
    for layout in $layouts; do
        s=${layout%,*} w=${layout#*,}
        start=(ranks $((s + w)))
        train "s$s-w$w-t$t" --servers "$s" --set "cluster.threads=$t"
        same "$s servers, $w workers, $t threads each" "$want" "$(digest "$work/s$s-w$w-t$t")"
    done
done
finish
