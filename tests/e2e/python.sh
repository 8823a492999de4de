#!/usr/bin/env bash
# The Python module: the library's scores, bit for bit, from dicts; what is no row or no value;
# the end of a model; installed by pip. MTPS_PYTHON names a Python with numpy, if there is one.
. "${TOP:?}/tests/e2e/lib.sh"
: "${BUILD:?the build folder}"
python=${MTPS_PYTHON:-python3}
command -v "$python" >/dev/null || skip "$python is not installed"
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

fails({"users": 1}, "did you mean user?")
fails({7: 1}, "row 1: 7: the model has no such input")
fails({"user": "\ud800"}, "row 1: user: no UTF-8 can be made of character 0 (U+D800)")
fails({"user": 10**5000}, "row 1: user: ")
fails({"user": 1j}, "user: a value of type complex")
fails({"price": float("inf")}, "price: a number that is not finite")
fails({"tags": ["t1", ["t2"]]}, "row 1: tags: a list in a list")
circle = []
circle.append(circle)
fails({"tags": circle}, "row 1: tags: a list in a list")
fails({"user": ["u1", "u2"]}, "user: a list where one value is expected")

def refuses(kind, call, text):
    try:
        call()
    except kind as e:
        assert text in str(e), str(e)
        return
    raise AssertionError(text)

row = {"user": "u1", "item": "i1", "tags": ["t1", "t2"], "price": 1.5}
refuses(TypeError, lambda: model.score(row), "a list of rows, not dict: score([row])")
refuses(TypeError, lambda: model.score("user"), "a list of rows, not str")
refuses(TypeError, lambda: model.score(b"user"), "a list of rows, not bytes")
refuses(TypeError, lambda: model.score(None), "NoneType")
refuses(TypeError, lambda: model.score(["user"]), "row 0: a mapping from inputs to values is expected, not str")
refuses(TypeError, lambda: model.score([{}, [("user", 1)]]), "row 1: a mapping")
refuses(ValueError, lambda: mtps_infer.Model("bundles\0x"), "a character 0")
refuses(TypeError, lambda: mtps_infer.Model(7), "int")

def equal(a, b):
    assert model.score([a]) == model.score([b]), (a, b)

def differ(a, b):
    assert model.score([a]) != model.score([b]), (a, b)

assert model.score(r for r in [row]) == model.score([row]) == model.score((row,))
equal({"user": b"u1"}, {"user": "u1"})
equal({"user": bytearray(b"u1")}, {"user": "u1"})
equal({"tags": ("t1", b"t2")}, {"tags": "t1 t2"})
differ({"user": "u1"}, {"user": "u1\0"})
differ({"user": b"u1\xff"}, {"user": b"u1"})
differ({"user": "ü"}, {"user": "ü".encode("latin-1")})
equal({"price": True}, {"price": 1})
equal({"user": True}, {"user": "1"})
equal({"price": "1.5"}, {"price": 1.5})

class Count: # as numpy's integers and those of other libraries
    def __index__(self):
        return 7

class Real:
    def __float__(self):
        return 1.5

equal({"day": Count()}, {"day": 7})
equal({"price": Real()}, {"price": 1.5})
try:
    import numpy as np
except ImportError:
    print("      (no numpy: its values are not tried)", file=sys.stderr)
else:
    for kind in (np.int8, np.int64, np.uint16, np.uint64, np.float32, np.float64):
        equal({"day": kind(7), "price": kind(7)}, {"day": 7, "price": 7})
        equal({"user": kind(7)}, {"user": "7"})
    equal({"user": np.uint64(2**64 - 1)}, {"user": str(2**64 - 1)})
    equal({"price": np.float32("nan")}, {"price": None})
    equal({"price": np.bool_(True)}, {"price": 1})
    equal({"user": np.str_("u1")}, {"user": "u1"})
    equal({"user": np.bytes_(b"u1")}, {"user": "u1"})
    equal({"user": np.array("u1")}, {"user": "u1"})
    equal({"tags": np.array(["t1", "t2"])}, {"tags": ["t1", "t2"]})
    equal({"tags": np.array([3, 4])}, {"tags": ["3", "4"]})
    fails({"user": np.datetime64("2026-01-01")}, "user: a value of type date")
    fails({"tags": np.zeros((2, 2))}, "row 1: tags: a list in a list")

# The end of a model, also while others score: what was begun is done, what comes later is refused.
with mtps_infer.Model("bundles") as other:
    assert other.score([row]) == model.score([row])
other.close()
refuses(ValueError, lambda: other.score([row]), "the model is closed")
want_row = model.score([row])
for _ in range(20):
    other = mtps_infer.Model("bundles")
    scored = []

    def score_until_closed():
        try:
            while True:
                scored.append(other.score([row]) == want_row)
        except ValueError as e:
            assert str(e) == "the model is closed"

    threads = [threading.Thread(target=score_until_closed) for _ in range(3)]
    for t in threads:
        t.start()
    while len(scored) < 10:
        pass
    other.close()
    for t in threads:
        t.join()
    assert all(scored)

good = []
threads = [threading.Thread(target=lambda: good.append(same(raw))) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert good == [True] * 4
print("well")
PY
expect_exit 0 "the module scores dicts, in threads, and says what does not fit" "$python" use.py
same "to its end" well "$(cat "$out")"
MTPS_INFER_LIBRARY= LD_LIBRARY_PATH= expect_exit 1 "without the library" "$python" -c 'import mtps_infer; mtps_infer.version()'
check "it says what to set" grep -q 'set MTPS_INFER_LIBRARY' "$err"

# ---- as its users get it
# setuptools makes wheels itself, or, before version 70.1, with the package wheel.
if "$python" -m pip --version >/dev/null 2>&1 &&
    { "$python" -c 'import setuptools.command.bdist_wheel' || "$python" -c 'import setuptools, wheel'; } 2>/dev/null; then
    cp -r "$TOP/serve/python" source
    expect_exit 0 "pip installs it" "$python" -m pip install -q --no-index --no-build-isolation --no-deps --disable-pip-version-check \
        --root-user-action=ignore --target site ./source
    expect_exit 0 "and it scores from there" env PYTHONPATH=site "$python" -c '
import importlib.metadata, mtps_infer, os
assert os.path.dirname(mtps_infer.__file__).endswith("site/mtps_infer")
assert importlib.metadata.version("mtps-infer") == mtps_infer.version()
print(len(mtps_infer.Model("bundles").score([{}])))'
    same "with the version of the library" 1 "$(cat "$out")"
else
    echo "      (no pip that makes wheels offline: the installed module is not tried)"
fi
finish
