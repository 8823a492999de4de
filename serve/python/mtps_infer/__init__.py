"""Scores of trained multi-task models, from a bundle that `mtps export` wrote.

    import mtps_infer

    with mtps_infer.Model("bundles/kuairand") as model:
        model.inputs                      # raw columns that a row may have
        model.score([{"user_id": 7, "video_id": "4711", "tab": 1}])
        # [{"click": 0.3817, "like": 0.0102, ...}]

A row is a mapping from names of inputs to values:

    str, bytes     a text; bytes as they are, for training data that was not UTF-8
    int, bool      its decimal text; True is 1
    float          the shortest text that reads back; NaN is missing
    numpy          scalars as the Python value that they hold, arrays as lists
    list, tuple    several of these
    None           missing, as a name that is absent

Unknown names are an error. The scores are those of `mtps predict`, bit for bit, when the
bundle holds f32 rows.

This is a thin layer over libmtps_infer (mtps.h), loaded by ctypes: from the path in
MTPS_INFER_LIBRARY, else where the system finds it. A Model may be used by several threads.
"""

import ctypes
import ctypes.util
import difflib
import math
import operator
import os
import threading
from collections.abc import Mapping

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
    """An open bundle: a file, the folder of a version, or a folder of versions.

    close(), or the end of a `with`, gives its memory back when no score() is under way; without
    either the garbage collector does.
    """

    def __init__(self, path, check_all=True):
        path = os.fsencode(path)
        if b"\0" in path:
            raise ValueError("mtps_infer.Model: a character 0 in the path")
        lib = self._lib = _library()
        self._lock = threading.Lock()  # of what close() takes away
        self._scorers = threading.local()
        self._model, error = ctypes.c_void_p(), _Error()
        flags = 0 if check_all else _SKIP_BIG_CHECKS
        _check(lib.mtps_open(path, flags, ctypes.byref(self._model), ctypes.byref(error)), error)
        n = range(lib.mtps_n_inputs(self._model))
        entries = [lib.mtps_input(self._model, i).contents for i in n]
        self.inputs = [_text(e.name) for e in entries]
        self.lists = [_text(e.name) for e in entries if e.is_list]
        tasks = (lib.mtps_task(self._model, i).contents for i in range(lib.mtps_n_tasks(self._model)))
        self.tasks = [_text(t.name) for t in tasks]
        self._place = {name: i for i, name in enumerate(self.inputs)}
        self._describe()

    def _describe(self):
        info = _Info()
        self._lib.mtps_describe(self._model, ctypes.byref(info))
        values = ((name, getattr(info, name)) for name, _ in _Info._fields_)
        self.info = {name: _text(value) if isinstance(value, bytes) else value for name, value in values}

    def close(self):
        """Closes the model; again is fine. score() then raises ValueError."""
        with self._lock:
            model, self._model = self._model, None
            self._scorers = threading.local()  # those in use go when their score() ends
        if model:
            self._lib.mtps_close(model)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_model", None):
            self.close()

    def score(self, rows):
        """A dict of task -> score for each of an iterable of rows. Raises Error when a value
        does not fit its input, TypeError when rows are none."""
        if isinstance(rows, (Mapping, str, bytes)):
            raise TypeError(f"score() takes a list of rows, not {type(rows).__name__}: score([row])")
        rows = list(rows)
        scorer = self._scorer()  # kept until the end: close() may come in another thread
        keep = []  # what pointers lead to
        n = len(self.inputs)
        values = (_Value * max(len(rows) * n, 1))()
        for r, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise TypeError(f"row {r}: a mapping from inputs to values is expected, not {type(row).__name__}")
            for name, value in row.items():
                place = self._place.get(name)
                if place is None:
                    raise Error(_DATA, f"row {r}: {name}: the model has no such input", self._nearest(name), row=r)
                try:
                    _fill(values[r * n + place], value, keep)
                except ValueError as why:
                    raise Error(_DATA, f"row {r}: {name}: {why}", row=r) from None
        scores = (ctypes.c_float * max(len(rows) * len(self.tasks), 1))()
        error = _Error()
        _check(self._lib.mtps_score(scorer.pointer, values, len(rows), scores, ctypes.byref(error)), error)
        n = len(self.tasks)
        return [dict(zip(self.tasks, scores[r * n : (r + 1) * n])) for r in range(len(rows))]

    def _nearest(self, name):
        near = difflib.get_close_matches(name, self.inputs, 1) if isinstance(name, str) else []
        return f"did you mean {near[0]}?" if near else ""

    def _scorer(self):
        with self._lock:
            if not self._model:
                raise ValueError("the model is closed")
            if not hasattr(self._scorers, "scorer"):
                self._scorers.scorer = _Scorer(self._lib, self._model)
            return self._scorers.scorer


def _text(name):
    """Names of data that is not UTF-8 come out as os.fsdecode has them, never as an error."""
    return name.decode("utf-8", "surrogateescape")


def _fill(to, value, keep, inside=False):
    """ValueError says what is wrong with the value."""
    if hasattr(value, "tolist"):  # numpy's arrays and scalars
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        if inside:
            raise ValueError("a list in a list")
        items = (_Value * max(len(value), 1))()
        for item, v in zip(items, value):
            _fill(item, v, keep, True)
        keep.append(items)
        to.kind, to.n, to.u.list = _LIST, len(value), items
    elif isinstance(value, (str, bytes, bytearray)):
        text = _encode(value) if isinstance(value, str) else bytes(value)
        keep.append(text)
        to.kind, to.n, to.u.text = _TEXT, len(text), text
    elif value is not None:
        _fill_number(to, value, keep)


def _encode(text):
    try:
        return text.encode()
    except UnicodeEncodeError as why:
        raise ValueError(f"no UTF-8 can be made of character {why.start} (U+{ord(text[why.start]):04X}): give bytes") from None


def _fill_number(to, value, keep):
    try:
        number = operator.index(value)  # int, bool
    except TypeError:
        if not hasattr(value, "__float__"):
            raise ValueError(f"a value of type {type(value).__name__}") from None
        number = float(value)
        if not math.isnan(number):
            to.kind, to.u.real = _REAL, number
        return
    if -(2**63) <= number < 2**63:
        to.kind, to.u.integer = _INTEGER, number
    else:
        _fill(to, str(number), keep)
