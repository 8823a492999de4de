#!/usr/bin/env bash
# mtps compare: cells and seeds side by side, the same models as train alone; runs
# that are finished stay, interrupted ones go on, failed ones stop nobody.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
compare() { "$MTPS" compare -c small.yaml "$@"; }

# ---- the command line
expect_error 64 'no configuration' "a configuration is needed" "$MTPS" compare
expect_error 64 'this is not KEY=V1' "--vary has a value" compare --vary model.type
expect_error 64 "unknown key 'typ'" "--vary names a key of the table" compare --vary model.typ=mmoe,ple
expect_error 64 'cell mmo: ' "and values that it takes" compare --vary model.type=ple,mmo
expect_error 64 'same seeds' "the seed is not varied" compare --vary seed=1,2
expect_error 64 'range is for random' "a range needs --random" compare --vary train.batch_size=64..256
expect_error 64 'nothing is varied' "--random needs something to draw" compare --random 3
expect_error 64 'folder of its own' "run_dir is not the comparison's folder" compare --run-dir runs/x
expect_error 64 'data.valid is not given' "--on valid needs validation rows" compare --on valid
expect_error 64 'mpirun' "mpirun does not start it" env OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 \
    "$MTPS" compare -c small.yaml
check "nothing was written" test ! -e runs

# ---- parameters and widths, without training
expect_exit 0 "a dry run" compare --vary model.type=mmoe,share_bottom,cgc,ple,lr --equal-params --dry-run --json
check "trains nothing" test ! -e runs
cp "$out" dry.json
near_first() { grep -o '"deviation":[-0-9.e]*' dry.json | cut -d: -f2 |
    awk 'NR <= 4 && ($1 > 0.05 || $1 < -0.05) { bad = 1 } END { exit bad || NR != 5 }'; }
check "widths bring four types within 5 % (a unit is that large here)" near_first
check "lr has no widths" grep -q '"label":"lr","id":"[^"]*","params":[0-9]*,"deviation":-0.99' dry.json

# ---- a grid
grid=(--vary model.type=share_bottom,mmoe --vary 'model.towers.layers=[8],[4, 4]' --seeds 2)
expect_exit 0 "four cells with two seeds" compare "${grid[@]}" --json
cp "$out" grid.json
same "stdout is one line of JSON" 1 "$(wc -l <grid.json | tr -d ' ')"
same "it has eight runs" 8 "$(grep -o '"run_dir"' grid.json | wc -l | tr -d ' ')"
check "a run names its set as YAML means it" \
    grep -qF '"set":{"model.type":"share_bottom","model.towers.layers":[4,4]},"seed":8,' grid.json
check "and its parameters and metrics" grep -qE '"params":[0-9]+,"cell":0,"eval":\{"click":\{"auc":0\.[0-9]+' grid.json
for file in compare.json compare.csv compare.svg compare.html; do
    check "$file is there" test -s runs/small-compare/$file
done
same "the CSV has a line per run, task and number" $((1 + 8 * 3 * 5)) "$(wc -l <runs/small-compare/compare.csv | tr -d ' ')"
cell=$(find runs/small-compare/cells -maxdepth 1 -name 'type=mmoe_layers=_4__4_-*')
expect_exit 0 "the same configuration trained alone" "$MTPS" train -c small.yaml --seed 8 --run-dir runs/alone \
    --set model.type=mmoe --set 'model.towers.layers=[4, 4]' --json
same "has the same model" "$(digest runs/alone)" "$(digest "$cell/seed-8")"
alone=$(json auc <"$out")
check "and the same metrics" grep -qF "\"type=mmoe layers=[4, 4]\",mmoe,\"[4, 4]\",8," \
    <(grep -F ",auc,$alone" runs/small-compare/compare.csv)
expect_exit 0 "cell.yaml alone trains it again" "$MTPS" train -c "$cell/seed-8/cell.yaml" --run-dir runs/from-cell
same "to the same model" "$(digest runs/alone)" "$(digest runs/from-cell)"

# ---- finished runs stay
stamps() { find runs/small-compare/cells -name result.json -printf '%p %T@\n' | sort; }
before=$(stamps)
expect_exit 0 "the same command again" compare "${grid[@]}" --json
same "trains nothing" "$before" "$(stamps)"
same "and prints the same" "$(cat grid.json)" "$(cat "$out")"
expect_exit 0 "a third seed" compare "${grid[@]}" --seeds 3
same "trains four runs" 12 "$(stamps | wc -l | tr -d ' ')"
same "and no other" "$before" "$(stamps | grep -v seed-9)"
check "the table has means, the best and the test" \
    grep -qE '^  type=mmoe layers=\[8\] .* ± .* t +-?[0-9.]+  p 0\.[0-9]+$' "$out"
expect_exit 0 "another configuration in the same folder" compare --vary model.type=mmoe --set train.epochs=2
same "is another cell" 13 "$(stamps | wc -l | tr -d ' ')"
expect_exit 0 "cells that mean the same" compare --vary model.type=lr --vary 'model.bottom.layers=[8],[9]' --json
same "are trained once" 1 "$(grep -o '"run_dir"' "$out" | wc -l | tr -d ' ')"
check "and that is said" grep -q 'is the same model as' "$err"

# ---- random draws, other rows, several files
draws=(--random 3 --vary train.optimizer.adam.lr=1e-3..1e-2:log --vary model.type=mmoe,cgc -o runs/draws)
expect_exit 0 "three draws" compare "${draws[@]}" --json
grep -o '"set":{[^}]*}' "$out" >first.txt
same "of a range and a list" 6 "$(wc -l <first.txt | tr -d ' ')"
expect_exit 0 "drawn again" compare "${draws[@]}" --json
same "are the same" "$(cat first.txt)" "$(grep -o '"set":{[^}]*}' "$out")"
sed 's/layers: \[24\]/layers: [12]/; s/eval: .*/valid: {fraction: 0.2}/' small.yaml >other.yaml
expect_exit 0 "rows of validation and training, two files" "$MTPS" compare -c other.yaml small.yaml \
    --set 'data.valid={fraction: 0.2}' --set model.type=dnn --on valid,train -o runs/rows --json
check "the file is what is varied" grep -qF '"set":{"config":"other.yaml"}' "$out"
check "metrics on further rows stand beside" grep -qE '"also":\{"train":\{"click":\{"auc":0\.[0-9]+' "$out"
run=$(find runs/rows/cells -path '*other.yaml*' -name seed-7)
expect_exit 0 "eval --on valid" "$MTPS" eval --ckpt "$run" --on valid --json
same "gives the same" "$(json auc <runs/rows/compare.json)" "$(json auc <"$out" | cut -c1-14)"
expect_error 64 'data.eval only' "eval --by is not for other rows" "$MTPS" eval --ckpt "$run" --on train --by day

# ---- interrupted and killed
slow=(--vary 'model.experts.count=3,4' --set train.epochs=40 --set model.type=mmoe -o runs/slow --jobs 2)
steps() { cat runs/slow/cells/*/seed-7/metrics.jsonl 2>/dev/null | grep -c '"kind":"train"' || true; }
running() { for _ in $(seq 2000); do [ "$(steps)" -gt "$1" ] && return; sleep 0.02; done; return 1; }
start() {
    "$MTPS" compare -c small.yaml "${slow[@]}" >"$out" 2>"$err" </dev/null &
    pid=$!
    children+=("$pid")
}
start
check "two runs start" running 4
victim=$(pgrep -P "$pid" | head -n 1)
same "they are processes of the same program" "mtps train -c" "$(tr '\0' ' ' <"/proc/$victim/cmdline" | cut -d' ' -f1-3)"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
same "SIGTERM ends the comparison with 75" 75 "$code"
check "it says how far it came" grep -q '^error: stopped with 0 of 2 runs finished' "$err"
check "no child is left" bash -c '! kill -0 "$1" 2>/dev/null' _ "$victim"
check "each has a checkpoint" test "$(find runs/slow/cells -name MANIFEST.json | wc -l)" -ge 2
start
check "the same command goes on" running "$(steps)"
victim=$(pgrep -P "$pid" | head -n 1)
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
gone() { for _ in $(seq 600); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.05; done; return 1; }
check "a comparison that is killed leaves nobody behind" gone "$victim"
start
check "and goes on" running "$(steps)"
kill -KILL "$(pgrep -P "$pid" | head -n 1)"
code=0
wait "$pid" || code=$?
same "a child that is killed is a lost peer" 76 "$code"
check "its line names the run and its log" grep -qE '^error: 1 of 2 runs failed, first: runs/slow/cells/.*signal 9' "$err"
check "and the other run is finished" test "$(find runs/slow/cells -name result.json | wc -l)" = 1
expect_exit 0 "once more, to the end" compare "${slow[@]}"
for count in 3 4; do
    expect_exit 0 "(uninterrupted, $count experts)" "$MTPS" train -c small.yaml --set train.epochs=40 \
        --set "model.experts.count=$count" --run-dir "runs/whole-$count"
    same "interrupted and resumed is uninterrupted" "$(digest "runs/whole-$count")" \
        "$(digest "$(find runs/slow/cells -path "*/$count-*" -name seed-7)")"
done

# ---- from a first model each
for seed in 7 8; do
    expect_exit 0 "(a first model of seed $seed)" "$MTPS" train -c small.yaml --seed $seed --set train.max_steps=5 \
        --set data.eval=null --run-dir runs/first-$seed -q
done
hot=(--set 'hot_start.from=runs/first-${seed}' --vary hot_start.mode=cold,all --set train.max_steps=3 --seeds 2 -o runs/hot)
expect_exit 0 "a hot start" compare "${hot[@]}" --json
for seed in 7 8; do
    expect_exit 0 "(seed $seed by hand)" "$MTPS" train -c small.yaml --seed $seed --set hot_start.from=runs/first-$seed \
        --set hot_start.mode=all --set train.max_steps=3 --set data.eval=null --run-dir runs/by-hand-$seed -q
    same "seed $seed goes on from the model of seed $seed" "$(digest runs/by-hand-$seed)" \
        "$(digest "$(find runs/hot/cells -path '*/all-*' -name seed-$seed)")"
done
expect_exit 0 "the same again" compare "${hot[@]}"
same "trains nothing" 2 "$(find runs/hot/cells -maxdepth 1 -mindepth 1 | wc -l | tr -d ' ')"
rm -r runs/first-7
expect_exit 0 "(another first model in its place)" "$MTPS" train -c small.yaml --seed 7 --set train.max_steps=6 \
    --set data.eval=null --run-dir runs/first-7 -q
expect_exit 0 "from another first model" compare "${hot[@]}"
same "is another cell, but for the cold one" 3 "$(find runs/hot/cells -maxdepth 1 -mindepth 1 | wc -l | tr -d ' ')"

# ---- a run that fails: something lies where its checkpoints go
bad=(--vary train.optimizer.adam.lr=0.001,0.002 -o runs/bad)
expect_exit 0 "(the cells' names)" compare "${bad[@]}" --dry-run --json
blocked=runs/bad/cells/$(grep -o '"id":"0.001-[^"]*"' "$out" | cut -d'"' -f4)/seed-7
mkdir -p "$blocked"
touch "$blocked/checkpoints"
expect_error '73|74' "1 of 2 runs failed, first: $blocked: .*checkpoints" "a run that fails gives its exit code" \
    compare "${bad[@]}" --json
check "the others are trained" grep -q '"state":"done"' "$out"
check "its error is in the JSON" grep -qE '"state":"failed".*"exit":7[34],"error":"[^"]*checkpoints' "$out"
check "and in the page" grep -q '(exit 7[34]): .*checkpoints' runs/bad/compare.html
check "the hint names its log" grep -q "^hint: see $blocked/output.log" "$err"
rm "$blocked/checkpoints"
expect_exit 0 "the cause removed, the same command finishes" compare "${bad[@]}"

# ---- one at a time
mkdir -p runs/busy
flock runs/busy/LOCK sleep 30 &
holder=$!
children+=("$holder")
sleep 0.2
expect_error 77 'runs/busy' "two comparisons do not share a folder" compare -o runs/busy
pkill -P "$holder" || true
finish
