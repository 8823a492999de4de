#!/usr/bin/env bash
# init drafts a configuration that trains as it is: from the shipped Census data, from
# small made files, from a PaddleRec YAML, and from samples when they are there.
. "${TOP:?}/tests/e2e/lib.sh"
samples=${MTPS_SAMPLES:-$TOP/samples}

# drafts SENTENCE NAME args...: init writes NAME.yaml.
drafts() {
    local sentence=$1 name=$2
    shift 2
    expect_exit 0 "$sentence" "$MTPS" init "$@" -o "$name.yaml"
}
trains() { # NAME [args]: the draft trains, for an epoch
    local name=$1
    shift
    expect_exit 0 "the draft $name trains" "$MTPS" train -c "$name.yaml" --json -q --set train.epochs=1 "$@"
}
has() { check "$1" grep -qE -e "$3" "$2.yaml"; }
lacks() { check "$1" bash -c "! grep -qE -e '$3' $2.yaml"; }

# ---- small made files
small_data
drafts "a csv file" made --data train.csv --label click like
expect_exit 0 "which trains unchanged" "$MTPS" train -c made.yaml --json -q
has "users and items are ids" made 'names: \[day, user, item\]'
has "a cell of several ids is cut" made 'name: tags, split: " ", pool: mean'
has "a price with gaps is a number" made 'names: \[price\]|names: \[.*price'
has "GAUC is by user" made 'group: user'
has "two labels make an mmoe" made 'type: mmoe'
check "some rows are for the final metrics" grep -q '"auc"' "$out"
expect_error 73 'made\.yaml' "an existing file is not written over" \
    "$MTPS" init --data train.csv --label click -o made.yaml
expect_exit 0 "but with --force it is" "$MTPS" init --data train.csv --label click -o made.yaml --force
has "one label makes a dnn" made 'type: dnn'
has "another column that is called like an outcome is no input" made '#   like +called like an outcome'
expect_exit 0 "an own file to evaluate on" \
    "$MTPS" init --data train.csv --eval eval.csv --label 'finish=play >= length' -o own.yaml
trains own
check "is evaluated on whole" grep -q '"rows": \?1000' "$out"
lacks "what a label reads is no input" own 'names: .*(play|length)'

# ---- likely labels
expect_exit 0 "without --label what is called like an outcome is taken" "$MTPS" init --data train.csv
check "on stdout" grep -q '^  click: {label: click}' "$out"
check "with a word about it" grep -q 'no --label: click' "$err"
awk 'BEGIN { print "a,b,c,x"; for (i = 0; i < 300; i++) print i % 2 "," int(i / 2) % 2 "," (i % 3 == 0) "," i % 17 }' >unclear.csv
expect_error 64 'a, b, c' "several candidates are listed" "$MTPS" init --data unclear.csv
expect_error 64 'clickk.*|no column' "a label that is not there" "$MTPS" init --data train.csv --label clickk
expect_error 66 'absent' "a file that is not there" "$MTPS" init --data absent.csv --label x
expect_error 64 'data' "no file at all" "$MTPS" init --label click
printf 'one\ntwo\n' >words.csv
expect_error 65 'words\.csv' "a file without a separator" "$MTPS" init --data words.csv --label x

# ---- leaks and constants
awk 'BEGIN { srand(3); print "user,item,click,copy,grade,always,score,row"
    for (i = 0; i < 3000; i++) { c = rand() < 0.3
        printf "u%d,i%d,%d,%d,%s,x,%.4f,%d\n", rand() * 99, rand() * 50, c, c, c ? "A" : "B", c + rand() / 2, 900000 + i } }' >leaky.csv
drafts "a file with leaks" leaky --data leaky.csv --label click
for column in copy grade score; do
    has "$column is left out as a leak" leaky "#   $column +a leak"
done
has "a constant is left out" leaky "#   always +always 'x'"
has "an id of the row is left out" leaky '#   row +another value'
check "leaks are warned of" grep -q 'copy is left out: a leak: equal to click' "$err"
trains leaky

# ---- other forms
tail -n +2 train.csv | tr , '\t' | gzip >bare.tsv.gz
drafts "tabs, no header line, gzip" bare --data bare.tsv.gz --columns day,user,item,tags,price,click,like,play,length --label like
trains bare
has "lists the names" bare 'columns: \[day, user, item'
rows 1 900 | sed '1s/.*/day;user;item;tags;price;click;like;play;length/; 2,$s/,/;/g' >semi.csv
drafts "semicolons" semi --data semi.csv --label click
has "are the delimiter" semi 'delimiter: ";"'
trains semi
awk 'BEGIN { print "uid,sku,ts,bought"; for (i = 0; i < 4000; i++) print i * 7 % 90 "," i * 13 % 40 "," 1650000000 + i * 500 "," ((i * 7 % 90 + i * 13 % 40) % 3 == 0 ? "yes" : "no") }' >timed.csv
drafts "a file with times" timed --data timed.csv --label bought
has "is split by time" timed 'where: "ts >= 165'
has "the hour is an input" timed 'hour\(ts\)'
has "yes and no are 1 and 0" timed 'bought == "yes"'
trains timed
check "and the newest rows are evaluated" grep -qE '"rows": ?(39|40)[0-9]' "$out"
awk 'BEGIN { for (i = 0; i < 600; i++) print "click:" (i % 3 == 0) " user:" 100 + i % 37 " tag:" i % 5 " tag:" 7 + i % 3 " num:0." i % 90 " num:0." i % 7 }' >slots.txt
drafts "slot text" slots --data slots.txt
has "slots are keys" slots 'names: \[user, tag\], pool: sum'
has "numbers are a vector" slots 'name: num, kind: dense, width: 2'
trains slots

# ---- the shipped Census data
census=$TOP/datasets/census-income
drafts "Census-Income" census --data "$census/census-income.train.csv.zst" --eval "$census/census-income.test.csv.zst" \
    --label income 'never_married=marital_stat == "Never married"'
has "the ages are numbers" census 'names: \[age, '
has "codes are ids" census 'detailed_industry_recode'
lacks "the marital status is no input" census 'names: .*marital_stat'
trains census --set train.max_steps=100 --set data.valid=null --set train.early_stop=null --set data.cache="$work/cache"
check "and knows something" awk -v auc="$(json auc <"$out")" 'BEGIN { exit !(auc > 0.85) }'

# ---- PaddleRec
mkdir -p rec/data/train && cat >rec/config.yaml <<'YAML'
runner:
  train_data_dir: "data/train"
  train_reader_path: "criteo_reader"
  use_gpu: False
  train_batch_size: 16
  epochs: 2
  print_interval: 5
  model_save_path: "output_model"
hyper_parameters:
  optimizer: {class: Adam, learning_rate: 0.002, strategy: async}
  sparse_inputs_slots: 4
  sparse_feature_number: 1000001
  sparse_feature_dim: 9
  dense_input_dim: 2
  fc_sizes: [24, 12]
YAML
drafts "a PaddleRec YAML without its data" rec_bare --from-paddlerec rec/config.yaml
has "its folder" rec_bare 'files: \["rec/data/train/\*"\]'
has "its slots" rec_bare 'names: \[1..3\], pool: sum, table: feature'
has "its vector" rec_bare 'name: dense_feature, kind: dense, width: 2'
has "its layers" rec_bare 'bottom: \{layers: \[24, 12\]\}'
has "its dimension" rec_bare 'feature: \{dim: 9,'
has "its learning rate" rec_bare 'optimizer: \{adam: \{lr: 0.002\}\}'
has "its batch" rec_bare 'batch_size: 16'
for key in runner.use_gpu runner.train_reader_path hyper_parameters.optimizer.strategy hyper_parameters.sparse_feature_number; do
    has "$key is named as not taken over" rec_bare "^#   $key: "
done
lacks "a key that is taken over is not" rec_bare '^#   .*(fc_sizes|epochs|print_interval)'
expect_exit 0 "the draft is valid" "$MTPS" config check -c rec_bare.yaml
awk 'BEGIN { for (i = 0; i < 200; i++) print "click:" (i % 3 == 0) " dense_feature:0." i % 9 " dense_feature:1.5 1:" i % 37 " 2:" i % 5 " 3:" 7 + i % 3 }' >rec/data/train/part-0
drafts "with its data" rec --from-paddlerec rec/config.yaml
trains rec --run-dir runs/rec
cat >mmoe.yaml <<'YAML'
runner: {train_data_dir: data, train_batch_size: 2, epochs: 3}
hyper_parameters:
  {feature_size: 6, task_num: 2, shared_num: 2, exp_per_task: 3, level_number: 2, expert_size: 16, tower_size: 8,
   optimizer: {class: sgd, learning_rate: 0.1}}
YAML
drafts "a PLE" ple --from-paddlerec mmoe.yaml
has "is a ple" ple 'experts: \{own: 3, shared: 2, levels: 2, layers: \[16\]\}'
has "with sgd" ple 'optimizer: \{sgd: \{lr: 0.1\}\}'
expect_exit 0 "and valid" "$MTPS" config check -c ple.yaml
expect_error 64 'hyper_parameters' "another YAML file" "$MTPS" init --from-paddlerec small.yaml

# ---- samples
if [ -d "$samples/aliexpress-sample" ]; then
    dir=$samples/aliexpress-sample
    drafts "AliExpress" aliexpress --data "$dir/tiny_mtl_train.csv.zst" --eval "$dir/tiny_mtl_test.csv.zst"
    has "its two labels are found" aliexpress '^  conversion: \{label: conversion\}'
    has "its numbers" aliexpress 'numerical_1\.\.57'
    trains aliexpress
fi
if [ -d "$samples/movielens-100k" ]; then
    drafts "MovieLens-100K" ml --data "$samples/movielens-100k/ml-100k.inter.tsv.zst" --label 'like=rating >= 4'
    has "is split by time" ml 'where: "timestamp >= 8913'
    has "types behind the names are left away" ml 'columns: \[user_id, item_id, rating, timestamp\]'
    trains ml
    check "and knows something" awk -v auc="$(json auc <"$out")" 'BEGIN { exit !(auc > 0.6) }'
fi
finish
