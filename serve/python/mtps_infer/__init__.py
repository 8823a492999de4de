"""Scores of trained multi-task models, from a bundle that `mtps export` wrote.

    import mtps_infer

    model = mtps_infer.Model("bundles/kuairand")
    model.inputs                          # raw columns that a row may have
    model.score([{"user_id": 7, "video_id": "4711", "tab": 1}])
    # [{"click": 0.3817, "like": 0.0102, ...}]

A row is a mapping from names of inputs to values: str, int, float, bool, or a list of
these; None and absent names are missing, unknown names an error. The scores are those of
`mtps predict`, bit for bit, when the bundle holds f32 rows.

This is a thin layer over libmtps_infer (mtps.h), loaded by ctypes: from the path in
MTPS_INFER_LIBRARY, else where the system finds it. A Model may be used by several threads.
"""

import ctypes
import ctypes.util
import math
import os
import threading

__all__ = ["Error", "Model", "version"]


class Error(Exception):
    """What the library says: one line, with a hint behind it where there is one."""

    def __init__(self, status, text, hint="", row=None):
        super().__init__(f"{text} ({hint})" if hint else text)
        self.status, self.text, self.hint, self.row = status, text, hint, row


class _Error(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 1536), ("hint", ctypes.c_char * 512), ("row", ctypes.c_size_t)]


class _Info(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("id", ctypes.c_char_p),
        ("path", ctypes.c_char_p),
        ("rows", ctypes.c_char_p),
        ("created_by", ctypes.c_char_p),
        ("projected", ctypes.c_int),
        ("version", ctypes.c_uint64),
        ("step", ctypes.c_uint64),
        ("n_rows", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
    ]


class _Input(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("is_list", ctypes.c_int), ("is_number", ctypes.c_int)]


class _Task(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("kind", ctypes.c_int)]


class _Value(ctypes.Structure):
    pass  # a value may be a list of values


class _Union(ctypes.Union):
    _fields_ = [
        ("text", ctypes.c_char_p),
        ("integer", ctypes.c_int64),
        ("real", ctypes.c_double),
        ("list", ctypes.POINTER(_Value)),
    ]


_Value._fields_ = [("kind", ctypes.c_int), ("n", ctypes.c_size_t), ("u", _Union)]

_TEXT, _INTEGER, _REAL, _LIST = 1, 2, 3, 4
_DATA, _SKIP_BIG_CHECKS = 65, 1


def _load():
    path = os.environ.get("MTPS_INFER_LIBRARY") or ctypes.util.find_library("mtps_infer")
    if not path:
        raise OSError("libmtps_infer is not installed: set MTPS_INFER_LIBRARY to its path")
    lib = ctypes.CDLL(path)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    error = ctypes.POINTER(_Error)
    for name, result, *arguments in (
        ("mtps_version", ctypes.c_char_p),
        ("mtps_open", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint, ctypes.POINTER(pointer), error),
        ("mtps_close", None, pointer),
        ("mtps_describe", None, pointer, ctypes.POINTER(_Info)),
        ("mtps_n_inputs", size, pointer),
        ("mtps_input", ctypes.POINTER(_Input), pointer, size),
        ("mtps_n_tasks", size, pointer),
        ("mtps_task", ctypes.POINTER(_Task), pointer, size),
        ("mtps_scorer_create", ctypes.c_int, pointer, ctypes.POINTER(pointer), error),
        ("mtps_scorer_destroy", None, pointer),
        ("mtps_score", ctypes.c_int, pointer, ctypes.POINTER(_Value), size, ctypes.POINTER(ctypes.c_float), error),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


_lib = None
_lock = threading.Lock()


def _library():
    global _lib
    with _lock:
        if _lib is None:
            _lib = _load()
    return _lib


def version():
    """Version of the library."""
    return _library().mtps_version().decode()


def _check(status, error):
    if status:
        row = error.row if status == _DATA else None
        raise Error(status, error.text.decode("utf-8", "replace"), error.hint.decode("utf-8", "replace"), row)


class _Scorer:
    """Memory of one thread; destroyed with it."""

    def __init__(self, lib, model):
        self.lib, self.pointer, error = lib, ctypes.c_void_p(), _Error()
        _check(lib.mtps_scorer_create(model, ctypes.byref(self.pointer), ctypes.byref(error)), error)

    def __del__(self):
        if self.pointer:
            self.lib.mtps_scorer_destroy(self.pointer)


class Model:
    """An open bundle: a file, the folder of a version, or a folder of versions."""

    def __init__(self, path, check_all=True):
        lib = self._lib = _library()
        self._model, error = ctypes.c_void_p(), _Error()
        flags = 0 if check_all else _SKIP_BIG_CHECKS
        _check(lib.mtps_open(os.fsencode(path), flags, ctypes.byref(self._model), ctypes.byref(error)), error)
        n = range(lib.mtps_n_inputs(self._model))
        entries = [lib.mtps_input(self._model, i).contents for i in n]
        self.inputs = [e.name.decode() for e in entries]
        self.lists = [e.name.decode() for e in entries if e.is_list]
        tasks = (lib.mtps_task(self._model, i).contents for i in range(lib.mtps_n_tasks(self._model)))
        self.tasks = [t.name.decode() for t in tasks]
        self._place = {name: i for i, name in enumerate(self.inputs)}
        self._scorers = threading.local()
        self._describe()

    def _describe(self):
        info = _Info()
        self._lib.mtps_describe(self._model, ctypes.byref(info))
        self.info = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in ((field, getattr(info, field)) for field, _ in _Info._fields_)
        }

    def __del__(self):
        if getattr(self, "_model", None):
            self._lib.mtps_close(self._model)

    def score(self, rows):
        """A dict of task -> score for each row. Raises Error when a value does not fit its input."""
        rows = list(rows)
        keep = []  # what pointers lead to
        values = (_Value * max(len(rows) * len(self.inputs), 1))()
        for r, row in enumerate(rows):
            for name, value in row.items():
                if name not in self._place:
                    raise Error(_DATA, f"row {r}: {name}: the model has no such input", row=r)
                _fill(values[r * len(self.inputs) + self._place[name]], value, keep, f"row {r}: {name}", r)
        scores = (ctypes.c_float * max(len(rows) * len(self.tasks), 1))()
        error = _Error()
        _check(self._lib.mtps_score(self._scorer().pointer, values, len(rows), scores, ctypes.byref(error)), error)
        n = len(self.tasks)
        return [dict(zip(self.tasks, scores[r * n : (r + 1) * n])) for r in range(len(rows))]

    def _scorer(self):
        if not hasattr(self._scorers, "scorer"):
            self._scorers.scorer = _Scorer(self._lib, self._model)
        return self._scorers.scorer


def _fill(to, value, keep, where, row):
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return
    if isinstance(value, (list, tuple)):
        items = (_Value * max(len(value), 1))()
        for item, v in zip(items, value):
            _fill(item, v, keep, where, row)
        keep.append(items)
        to.kind, to.n, to.u.list = _LIST, len(value), items
    elif isinstance(value, (str, bytes)):
        text = value if isinstance(value, bytes) else value.encode()
        keep.append(text)
        to.kind, to.n, to.u.text = _TEXT, len(text), text
    elif hasattr(value, "__index__"):  # int, bool, numpy's integers
        number = value.__index__()
        if not -(2**63) <= number < 2**63:
            _fill(to, str(number), keep, where, row)
            return
        to.kind, to.u.integer = _INTEGER, number
    elif hasattr(value, "__float__"):
        to.kind, to.u.real = _REAL, float(value)
    else:
        raise Error(_DATA, f"{where}: a value of type {type(value).__name__}", row=row)
