#!/usr/bin/env bash
# export --to onnx: ONNX Runtime's scores are those of predict within 1e-5. Needs Python
# with onnxruntime and numpy: python3, or what MTPS_PYTHON names.
. "${TOP:?}/tests/e2e/lib.sh"
: "${BUILD:?the build folder}"
small_data
"$MTPS" train -c small.yaml >/dev/null 2>&1
expect_exit 0 "export as ONNX" "$MTPS" export --ckpt runs/small -o onnx --to onnx --version 1 --json
cp "$out" json
same "the folder holds the model and its card" "MODEL_CARD.md SHA256SUMS model.onnx" "$(ls onnx/1 | xargs)"
check "with sums" bash -c "cd onnx/1 && sha256sum -c SHA256SUMS"
check "the card has no id of a bundle that is not there" grep -qE '^\| file \| `model.onnx`, [0-9]+ bytes \|$' onnx/1/MODEL_CARD.md
check "nor has the result" bash -c "! grep -q '\"id\"' json"
check "the card lists the inputs" grep -q '^| tags | int64 \[n\], and `.offsets`.*XXH3-64 of the text' onnx/1/MODEL_CARD.md
expect_exit 0 "tables beside it, when they are large" "$MTPS" export --ckpt runs/small -o onnx --to onnx --onnx-rows 100 --version 2
same "are files of keys and vectors" "0-day.ids.bin 0-day.vectors.bin" "$(ls onnx/2 | grep '^0' | xargs)"
same "one vector for each key" "$(($(stat -c %s onnx/2/3-user.ids.bin) / 8 * 8 * 4))" "$(stat -c %s onnx/2/3-user.vectors.bin)"
expect_error 64 'none of bundle, onnx' "another form" "$MTPS" export --ckpt runs/small -o onnx --to pickle
expect_error 64 'onnx-rows is for' "rows of ONNX in a bundle" "$MTPS" export --ckpt runs/small -o b --onnx-rows 100
expect_error 64 'are for bundles' "options of bundles" "$MTPS" export --ckpt runs/small -o onnx --to onnx --with-joins
expect_error 64 'rows are f32' "other rows" "$MTPS" export --ckpt runs/small -o onnx --to onnx --rows int8

# ---- a model of Triton's repository
expect_exit 0 "export for Triton" "$MTPS" export --ckpt runs/small -o repository/small --to triton --version 1
same "a model's folder holds its configuration and versions" "1 config.pbtxt" "$(ls repository/small | xargs)"
check "the version the same graph as for ONNX" cmp onnx/1/model.onnx repository/small/1/model.onnx
cat >want.pbtxt <<'PBTXT'
name: "small"
platform: "onnxruntime_onnx"
max_batch_size: 0
input [
  {
    name: "user"
    data_type: TYPE_INT64
    dims: [ -1 ]
  },
PBTXT
check "the configuration names model, platform and inputs" cmp want.pbtxt <(head -n "$(wc -l <want.pbtxt)" repository/small/config.pbtxt)
check "and outputs" bash -c "sed -n '/^output/,\$p' repository/small/config.pbtxt | grep -A 2 'name: \"click\"' | grep -q 'dims: \[ -1 \]'"
printf 'instance_group [ { kind: KIND_CPU } ]\n' >>repository/small/config.pbtxt
expect_exit 0 "another version" "$MTPS" export --ckpt runs/small -o repository/small --to triton --version 2
check "leaves what a site added" grep -q '^instance_group' repository/small/config.pbtxt
expect_error 78 'other inputs or outputs' "a version with other inputs" "$MTPS" export --ckpt runs/small -o repository/small --to triton --onnx-rows 0 --version 3
same "does not appear" "1 2 config.pbtxt" "$(ls -A repository/small | xargs)"
"$MTPS" train -c small.yaml --set 'features.tags.pool={attention: {target: user, layers: [4]}}' --run-dir runs/attention >/dev/null 2>&1
expect_error 64 'attention pooling cannot be written as ONNX' "a model with parts that it does not know" \
    "$MTPS" export --ckpt runs/attention -o onnx --to onnx --version 9
check "leaves nothing" test ! -e onnx/9

# ---- names: of two inputs or outputs, and of values inside
named() { # FEATURES, TASKS: trains runs/named
    printf '%s\n' "version: 1" "name: named" "data: {train: {files: [train.csv]}}" "features: [$1]" \
        "tables: {default: {dim: 4, init: {normal: 0.05}}}" "tasks: {$2}" \
        "model: {type: mmoe, experts: {count: 2, layers: [8]}, towers: {layers: [4]}}" "train: {batch_size: 256}" >named.yaml
    rm -rf runs/named
    expect_exit 0 "a model is trained" "$MTPS" train -c named.yaml
}
refused() { # WHY, WHAT, FEATURES, TASKS
    named "$3" "$4"
    expect_error 64 "$1" "$2 of one name" "$MTPS" export --ckpt runs/named -o named --to triton
    check "with a hint" grep -q '^hint: .*rename one' "$err"
    same "leave nothing" "named:" "$(ls -AR named | xargs)"
}
refused 'named click: feature click, and task click' "a feature and a task" "{name: user}, {name: click, column: item}" "click: {label: click}"
refused 'named tags.offsets: .*the offsets of feature tags' "offsets and a feature" \
    '{name: tags, split: " "}, {name: tags.offsets, column: user}' "click: {label: click}"
refused 'named s.duration: feature s.duration, and the duration of task s' "a feature and a duration" \
    "{name: user}, {name: s.duration, column: item}" "click: {label: click}, s: {label: play, duration: length, loss: completion}"
named '{name: _c_0, column: user}, {name: __Add_3, column: item}, {name: _Gather_9, kind: dense, column: price}' \
    "_c_1: {label: click}, _MatMul_40: {label: play, loss: mse}"
expect_exit 0 "names like those of values inside" "$MTPS" export --ckpt runs/named -o named --to onnx --version 1

python=${MTPS_PYTHON:-python3}
if ! "$python" -c 'import numpy, onnxruntime' 2>/dev/null; then
    echo "      (no Python with onnxruntime: the scores are not compared)"
    finish
    exit
fi
lib=$BUILD/serve/libmtps_infer.so
if nm -D "$lib" 2>/dev/null | grep -qE '__(asan|tsan)_init'; then finish; exit; fi
cat >scores.py <<'PY'
"""scores.py MODEL.onnx WANT.csv ROWS.csv: largest difference for each task."""
import csv, ctypes, math, os, sys
import numpy as np, onnxruntime

lib = ctypes.CDLL(os.environ["LIB"])
lib.mtps_key.restype, lib.mtps_key.argtypes = ctypes.c_uint64, (ctypes.c_char_p, ctypes.c_size_t)

def key(text):
    b = (text or "missing").encode()
    return np.array(lib.mtps_key(b, len(b)), np.uint64).astype(np.int64)

def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & 2**64 - 1
    x = (x ^ x >> 27) * 0x94D049BB133111EB & 2**64 - 1
    return x ^ x >> 31

def pair(a, b):
    a, b = int(a) % 2**64, int(b) % 2**64
    return np.array(mix((mix(a) + 0x9E3779B97F4A7C15 + (b << 1 | b >> 63)) % 2**64), np.uint64).astype(np.int64)

def number(text):
    return float(text) if text else math.nan

rows = list(csv.DictReader(open(sys.argv[3])))
want = list(csv.DictReader(open(sys.argv[2])))
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
lists = [[key(t) for t in r["tags"].split()] for r in rows]
feed = {
    "user": np.array([key(r["user"]) for r in rows]),
    "item": np.array([key(r["item"]) for r in rows]),
    "day": np.array([key(str(int(r["day"]) % 7)) for r in rows]),
    "price": np.array([[number(r["price"])] for r in rows], np.float32),
    "tags": np.array([k for l in lists for k in l], np.int64),
    "tags.offsets": np.cumsum([0] + [len(l) for l in lists]).astype(np.int64),
    "kind": np.array([key(r["item"]) for r in rows]),
    "bin": np.array([[number(r["price"])] for r in rows], np.float32),
    "both": np.array([pair(key(r["user"]), key(r["item"])) for r in rows]),
    "seconds.duration": np.array([[float(r["length"])] for r in rows], np.float32),
}
feed["_c_0"], feed["__Add_3"], feed["_Gather_9"] = feed["user"], feed["item"], feed["price"]
feed["tags_sum"], feed["tags_sum.offsets"] = feed["tags"], feed["tags.offsets"]
feed = {i.name: feed[i.name] for i in session.get_inputs()}
names = [o.name for o in session.get_outputs()]
got = dict(zip(names, session.run(names, feed)))
worst = {n: max(abs(float(g) - float(w[n])) / max(1, abs(float(w[n]))) for g, w in zip(got[n], want)) for n in names}
print(worst)
one = dict(zip(names, session.run(names, {k: v[:1] if not k.startswith("tags") else v[: len(lists[0])] if k[-7:] != "offsets" else v[:2] for k, v in feed.items()})))
assert all(abs(float(one[n][0]) - float(got[n][0])) < 1e-5 for n in names)
sys.exit(max(worst.values()) > 1e-5)
PY
export LIB=$lib
cat >pbtxt.py <<'PY'
"""pbtxt.py CONFIG MODEL.onnx: the text parses as Triton's message and fits the graph."""
import sys
import onnxruntime
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
f = descriptor_pb2.FileDescriptorProto(name="config.proto", package="t", syntax="proto3")
kinds = f.enum_type.add(name="DataType")
for number, name in ((0, "TYPE_INVALID"), (5, "TYPE_INT64"), (11, "TYPE_FP32")): kinds.value.add(name=name, number=number)
group = f.message_type.add(name="Group")
group.field.add(name="kind", number=4, type=14, label=1, type_name=".t.Kind")
f.enum_type.add(name="Kind").value.add(name="KIND_CPU", number=0)
tensor = f.message_type.add(name="Tensor")
tensor.field.add(name="name", number=1, type=9, label=1)
tensor.field.add(name="data_type", number=2, type=14, label=1, type_name=".t.DataType")
tensor.field.add(name="dims", number=3, type=3, label=3)
config = f.message_type.add(name="Config")
config.field.add(name="name", number=1, type=9, label=1)
config.field.add(name="platform", number=2, type=9, label=1)
config.field.add(name="max_batch_size", number=4, type=5, label=1)
config.field.add(name="input", number=5, type=11, label=3, type_name=".t.Tensor")
config.field.add(name="output", number=6, type=11, label=3, type_name=".t.Tensor")
config.field.add(name="instance_group", number=7, type=11, label=3, type_name=".t.Group")
pool = descriptor_pool.DescriptorPool()
pool.Add(f)
c = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Config"))()
text_format.Parse(open(sys.argv[1]).read(), c)
s = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
types = {"tensor(int64)": 5, "tensor(float)": 11}
shape = lambda v: [d if isinstance(d, int) else -1 for d in v.shape]
for ours, theirs in ((c.input, s.get_inputs()), (c.output, s.get_outputs())):
    assert [(t.name, t.data_type, list(t.dims)) for t in ours] == [(v.name, types[v.type], shape(v)) for v in theirs]
PY
if "$python" -c 'from google.protobuf import message_factory; message_factory.GetMessageClass' 2>/dev/null; then
    expect_exit 0 "Triton's configuration parses and says what the graph has" "$python" pbtxt.py repository/small/config.pbtxt repository/small/2/model.onnx
fi
# Every id has a row: those of eval.csv that training never saw count as zeros there.
"$MTPS" predict --ckpt runs/small --input train.csv -o want.csv >/dev/null 2>&1
expect_exit 0 "ONNX Runtime gives the scores within 1e-5" "$python" scores.py onnx/1/model.onnx want.csv train.csv
"$MTPS" predict --ckpt runs/named --input train.csv -o want.csv >/dev/null 2>&1
expect_exit 0 "whatever features and tasks are called" "$python" scores.py named/1/model.onnx want.csv train.csv
for type in lr dnn share_bottom omoe cgc ple; do
    "$MTPS" train -c small.yaml --set "model.type=$type" --set "model.towers={layers: [8, 4], activation: gelu, norm: layer}" \
        --set model.experts.activation=silu --set model.bottom.activation=tanh --run-dir "runs/$type" >/dev/null 2>&1
    "$MTPS" predict --ckpt "runs/$type" --input train.csv -o want.csv >/dev/null 2>&1
    "$MTPS" export --ckpt "runs/$type" -o "t/$type" --to onnx --version 1 >/dev/null 2>&1
    expect_exit 0 "of $type, too" "$python" scores.py "t/$type/1/model.onnx" want.csv train.csv
done
# ---- parts of other kinds: cross layers, factorisation machines, wide parts, towers, funnels
awk '{ print } /^  type: mmoe/ {
    print "  user: {features: [user, day], layers: [16, 8]}"
    print "  item: {features: [item, \"tags*\", price], layers: [12, 8]}"
    print "  funnel: [click, like]" }' small.yaml >parts.yaml
part() { # NAME, options...
    local name=$1
    shift
    "$MTPS" train -c parts.yaml --run-dir "runs/$name" "$@" >/dev/null 2>&1
    "$MTPS" predict --ckpt "runs/$name" --input train.csv -o want.csv >/dev/null 2>&1
    expect_exit 0 "$name is exported" "$MTPS" export --ckpt "runs/$name" -o "t/$name" --to onnx --version 1
    expect_exit 0 "with its scores" "$python" scores.py "t/$name/1/model.onnx" want.csv train.csv
}
part cross --set model.funnel=null --set 'model.cross={layers: 2}'
part low_rank --set model.funnel=null --set model.type=ple --set 'model.cross={layers: 2, rank: 3}'
part fm --set model.funnel=null --set model.type=fm
part wide_deep --set model.funnel=null --set model.type=wide_deep --set 'model.wide={features: [user, item, tags, price]}'
part deepfm --set model.funnel=null --set model.type=deepfm --set 'model.cross={layers: 1}'
part two_tower --set model.funnel=null --set model.type=two_tower
part two_tower_cross --set model.funnel=null --set model.type=two_tower --set 'model.cross={layers: 1}'
part esmm --set model.type=esmm
part aitm --set model.type=aitm
part one_task --set model.funnel=null --set model.type=deepfm --set tasks.like=null --set tasks.finish=null
expect_exit 0 "a wide part without tables" "$MTPS" export --ckpt runs/wide_deep -o t/wide_deep --to onnx --onnx-rows 0 --version 2
check "has vectors of its own" grep -q '^| wide/user | float \[batch, 3\]' t/wide_deep/2/MODEL_CARD.md
cat >more.yaml <<'YAML'
version: 1
name: more
data: {train: {files: [train.csv]}}
features:
  - {names: [user, item]}
  - {name: both, cross: [user, item]}
  - {name: bin, column: price, bucketize: 4}
  - {name: kind, kind: one_hot, column: item, max_levels: 20}
  - {name: tags, split: " ", pool: sqrtn}
  - {name: price, kind: dense, default: mean, transform: [{clip: [0, 15]}, log1p, minmax]}
tables: {default: {dim: 8, init: {normal: 0.01}}}
tasks: {click: {label: click}, seconds: {label: play, duration: length, loss: completion}, play: {label: play, loss: log_mse}}
model: {type: mmoe, experts: {count: 3, layers: [16, 8], norm: layer}, gates: {layers: [4]}, towers: {layers: []}}
train: {batch_size: 128}
YAML
"$MTPS" train -c more.yaml >/dev/null 2>&1
"$MTPS" predict --ckpt runs/more --input train.csv -o want.csv >/dev/null 2>&1
"$MTPS" export --ckpt runs/more -o t/more --to onnx --version 1 >/dev/null 2>&1
expect_exit 0 "crosses, buckets, levels, times" "$python" scores.py t/more/1/model.onnx want.csv train.csv
finish
