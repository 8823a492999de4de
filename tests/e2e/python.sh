#!/usr/bin/env bash
# The Python module: the library's scores, bit for bit, from dicts.
. "${TOP:?}/tests/e2e/lib.sh"
: "${BUILD:?the build folder}"
command -v python3 >/dev/null || skip "python3 is not installed"
lib=$BUILD/serve/libmtps_infer.so
if nm -D "$lib" 2>/dev/null | grep -qE '__(asan|tsan)_init'; then skip "the library needs a sanitizer's runtime"; fi
small_data
"$MTPS" train -c small.yaml >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o bundles >/dev/null 2>&1
"$MTPS" predict --ckpt runs/small -o want.csv >/dev/null 2>&1
export MTPS_INFER_LIBRARY=$lib PYTHONPATH=$TOP/serve/python PYTHONDONTWRITEBYTECODE=1
cat >use.py <<'PY'
import csv, struct, sys, threading
import mtps_infer

model = mtps_infer.Model("bundles")
assert model.inputs == ["user", "item", "tags", "day", "price"], model.inputs
assert model.lists == ["tags"] and model.tasks == ["click", "like", "finish"]
assert model.info["name"] == "small" and model.info["rows"] == "f32" and len(model.info["id"]) == 32
assert mtps_infer.version().count(".") == 2

def bits(x):
    return struct.pack("f", x)

with open("want.csv") as f:
    want = [{k: bits(float(v)) for k, v in row.items()} for row in csv.DictReader(f)]
with open("eval.csv") as f:
    raw = [{k: v for k, v in row.items() if k in model.inputs} for row in csv.DictReader(f)]

def same(rows, first=0):
    got = model.score(rows)
    return all({k: bits(v) for k, v in g.items()} == w for g, w in zip(got, want[first : first + len(got)]))

assert same(raw) and all(same(raw[i : i + 1], i) for i in range(0, 1000, 97))
typed = [dict(r, day=int(r["day"]), tags=r["tags"].split(), price=float(r["price"]) if r["price"] else None) for r in raw]
assert same(typed)
assert model.score([]) == []
assert model.score([{}]) == model.score([dict.fromkeys(model.inputs)])
assert model.score([{"price": float("nan")}]) == model.score([{}])
assert model.score([{"user": 2**64}]) == model.score([{"user": str(2**64)}])

def fails(row, text, status=65):
    try:
        model.score([{}, row])
    except mtps_infer.Error as e:
        assert text in str(e) and e.status == status and e.row == 1, (str(e), e.status, e.row)
        return
    raise AssertionError(text)

fails({"price": "cheap"}, "price: not a number")
fails({"colour": 1}, "row 1: colour: the model has no such input")
fails({"user": object()}, "user: a value of type object")
try:
    mtps_infer.Model("nowhere")
except mtps_infer.Error as e:
    assert e.status == 66 and "nowhere" in e.text
else:
    raise AssertionError("nowhere")

good = []
threads = [threading.Thread(target=lambda: good.append(same(raw))) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert good == [True] * 4
print("well")
PY
expect_exit 0 "the module scores dicts, in threads, and says what does not fit" python3 use.py
same "to its end" well "$(cat "$out")"
MTPS_INFER_LIBRARY= LD_LIBRARY_PATH= expect_exit 1 "without the library" python3 -c 'import mtps_infer; mtps_infer.version()'
check "it says what to set" grep -q 'set MTPS_INFER_LIBRARY' "$err"
finish
