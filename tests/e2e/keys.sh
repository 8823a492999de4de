#!/usr/bin/env bash
# Every key that shapes a model or its training does something: another value gives other
# metrics. A key of docs/configuration.md that is not tried here fails this test.
. "${TOP:?}/tests/e2e/lib.sh"
small_data
cat >all.yaml <<'YAML'
version: 1
name: all
include: small.yaml
features:
  - {name: pair, cross: [user, item]}
  - {name: level, kind: one_hot, column: length}
  - {name: bucket, column: length, bucketize: 8}
model:
  experts: {layers: [12, 8]}
  gates: {layers: [6]}
  bottom: {layers: [12, 8]}
  towers: {layers: [8, 4]}
  wide: {features: [user, item, pair, price]}
  user: {features: [user, tags, tags_sum, day, price], layers: [8, 6]}
  item: {features: [item, pair, level, bucket], layers: [8, 6]}
YAML

base=() # options of the runs that keys are tried on
plain= # their metrics
tried=()
metrics() { # option...: what a short training ends with; nothing when it fails
    rm -rf runs/key
    "$MTPS" train -c all.yaml -q --json --run-dir runs/key --set data.cache=cache --set train.max_steps=12 \
        --set cluster.threads=1 "${base[@]}" "$@" 2>"$err" </dev/null | sed 's/.*"eval"://; s/"wall_s".*//' || true
}
on() { # option...: the keys that follow are tried beside these
    base=()
    local option
    for option in "$@"; do base+=(--set "$option"); done
    plain=$(metrics)
    check "a run with ${*:-the defaults}" test -n "$plain"
}
key() { # KEY VALUE...: each of these values gives other metrics
    local name=$1 value got
    shift
    tried+=("$name")
    for value in "$@"; do
        tried+=("$name.$value")
        got=$(metrics --set "$name=$value")
        : >"$out"
        check "$name=$value does something" test -n "$got" -a "$got" != "$plain"
    done
}
elsewhere() { # KEY: not here; the comment beside it says where
    tried+=("$1")
}

# ---- features
on
key features.user.column item
key features.day.expr '"day % 3"'
key features.pair.cross '[user, day]'
key features.bucket.bucketize 3
key features.tags.split '";"'
key features.tags.max_len 1
key features.tags.pool sum sqrtn
key features.tags.table other
key features.user.dim 4
key features.day.key uint64
key features.day.kind one_hot
key features.price.transform '[minmax]' '[]'
key features.price.default 3
key features.level.max_levels 2
key features.user.missing '[u1, u2, u3]'
on features.tags.max_len=1
key features.tags.keep last
on features.tags.pool=sum
key features.tags.pool mean
on 'features.tags.pool={attention: {target: item, layers: [8]}}'
key features.tags.pool.attention.target user
key features.tags.pool.attention.layers '[]' '[4, 4]'
key features.tags.pool.attention.activation tanh
for name in name names except; do elsewhere "features[].$name"; done # how features are named: unit.schema
elsewhere 'features[].width'                                         # vectors of slot text: e2e.paddlerec

# ---- how rows and the dense part learn
rule() { # KEY RULE DECAY? [option...]: the rule's keys
    local name=$1 rule=$2 decay=$3
    shift 3
    on "$name={$rule: {}}" "$@"
    key "$name.$rule.lr" 0.3
    case $rule in
    *adagrad) key "$name.$rule.initial_accumulator" 0.01 && key "$name.$rule.eps" 0.01 ;;
    adam) key "$name.adam.beta1" 0.5 && key "$name.adam.beta2" 0.9 && key "$name.adam.eps" 0.01 ;;
    ftrl) key "$name.ftrl.beta" 0.01 && key "$name.ftrl.l1" 0.001 && key "$name.ftrl.l2" 0.1 ;;
    esac
    [ "$decay" = no ] || key "$name.$rule.weight_decay" 0.5
}
for rule in sgd adagrad rowwise_adagrad adam ftrl; do
    rule tables.default.optimizer $rule no
    rule model.wide.optimizer $rule no model.type=wide_deep
done
rule train.optimizer sgd yes
rule train.optimizer adagrad yes
rule train.optimizer adam yes
rule train.optimizer ftrl no
on
key train.optimizer sgd
key tables.user.optimizer sgd
key tables.user.dim 4
key tables.user.init zero
key tables.user.init.normal 0.1
key tables.user.init.uniform 0.1
key tables.user.init.constant 0.1
key tables.user.l2 0.01
key tables.user.admit.min_count 4
elsewhere tables.TABLE.evict.unseen_days # of a hot start: e2e.hot_start

# ---- the model
on
key seed 8
key model.type cgc
key model.experts.count 3
for part in experts gates towers; do
    key "model.$part.layers" '[5]'
    key "model.$part.activation" tanh
    key "model.$part.norm" layer
    key "model.$part.dropout" 0.3
done
key model.gates.layers '[]' '[6, 6]'
key model.cross.layers 1
key model.balance uncertainty pcgrad mgda
on model.cross.layers=2
key model.cross.rank 3
on 'model.balance={dwa: {window: 3}}'
key model.balance fixed
key model.balance.dwa.window 4
key model.balance.dwa.temperature 0.3
on model.type=cgc
key model.experts.own 2
key model.experts.shared 2
key tasks.like.own 2
on model.type=ple model.experts.levels=2
key model.experts.levels 3
on model.type=share_bottom
key model.bottom.layers '[]' '[9]'
key model.bottom.activation silu
key model.bottom.norm layer
key model.bottom.dropout 0.3
on model.type=wide_deep
key model.wide.features '[user]'
key model.wide.only '[user, pair]'
key model.wide.optimizer sgd
on model.type=two_tower
key model.temperature 0.5
tried+=(model.user.features model.item.features)
moved=$(metrics --set 'model.user.features=[user, tags, tags_sum, price]' --set 'model.item.features=[item, pair, level, bucket, day]')
check "a feature on the other side does something" test -n "$moved" -a "$moved" != "$plain"
for side in user item; do
    key "model.$side.layers" '[6]'
    key "model.$side.activation" tanh
    key "model.$side.norm" layer
    key "model.$side.dropout" 0.3
done
on 'model.funnel=[like, click]'
key model.funnel '[click, like]'
on model.type=aitm 'model.funnel=[like, click]'
key model.aitm.constraint 0
key model.aitm.stop_gradient true

# ---- tasks
on
key tasks.like.label click
key tasks.like.present '"day > 5"'
key tasks.like.weight 3
key tasks.like.row_weight '"day + 1"'
key tasks.like.loss mse
for part in tower gate; do
    key "tasks.like.$part.layers" '[5]'
    key "tasks.like.$part.activation" tanh
    key "tasks.like.$part.norm" layer
    key "tasks.like.$part.dropout" 0.3
done
on tasks.finish.label=play tasks.finish.loss=huber
key tasks.finish.huber_delta 3
on tasks.finish.label=play tasks.finish.loss=completion tasks.finish.duration=length
key tasks.finish.duration '"length + 1"'

# ---- training
on
key train.batch_size 64
key train.lanes 2
key train.epochs 0.2
key train.max_steps 7
key train.schedule.warmup_steps 4
key train.schedule.decay.cosine '{}'
key train.schedule.decay.step '{every: 3}'
key train.clip_norm 0.01
on train.form=project
key train.form gather
on 'train.schedule.decay={cosine: {floor: 0.1}}'
key train.schedule.decay.cosine.floor 0.5
key train.schedule.decay none
on 'train.schedule.decay={step: {every: 3}}'
key train.schedule.decay.step.every 2
key train.schedule.decay.step.factor 0.1
elsewhere train.staleness # 0 alone: unit.config_parse
for name in eval_every early_stop.task early_stop.metric early_stop.patience; do
    elsewhere "train.$name" # e2e.validation
done

# ---- nothing is left out
general() { sed -E 's/^features\.[a-z_]+/features[]/; s/^tables\.[a-z]+/tables.TABLE/; s/^tasks\.[a-z]+/tasks.TASK/'; }
printf '%s\n' "${tried[@]}" | general | sort -u >tried.txt
grep -E '^\| `(features\[\]|tables|model|tasks|train)\.' "$TOP/docs/configuration.md" |
    grep -vE '^\| `[^`]*` \| (list of mappings|mapping)( |\|)*\|' >rows.txt || true
sed -E 's/^\| `([^`]*)`.*/\1/' rows.txt | sort -u >keys.txt
check "the documentation has its keys ($(wc -l <keys.txt))" test "$(wc -l <keys.txt)" -gt 120
comm -13 tried.txt keys.txt >"$out"
check "every key is tried: $(xargs <"$out")" test ! -s "$out"
finish
