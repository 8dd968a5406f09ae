"""Reading arrays out of a pickle that somebody else wrote, without running anything that it asks for.

A pickle is a program: it names functions and calls them. Here exactly the names in ``ALLOWED`` exist, those by which
numpy stores arrays; every other name, numpy's too, ends the reading. Even the allowed names do not lead to numpy: they
lead to stand-ins that check what they are given, and an array is built from bytes whose type and number are known.
"""

import io
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reidlib import paths

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since numpy 2
ALLOWED = frozenset(
    {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
    | {(module, name) for module in _ARRAY_MODULES for name in ("_reconstruct", "scalar")}
)
"""The only (module, name) pairs a pickle may mention."""

MAX_BYTES = 1 << 30
MAX_READS = 5_000_000  # about one for each instruction; an array takes a few dozen, whatever its size
_INSTRUCTIONS = """
PROTO FRAME STOP MARK POP POP_MARK DUP PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET NONE NEWTRUE NEWFALSE
INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE
SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3
LIST EMPTY_LIST APPEND APPENDS DICT EMPTY_DICT SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD
"""
_NUMBERS = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")


class _Refused(Exception):
    """The pickle asks for something that arrays of numbers do not need."""


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read a pickled dictionary of text → array of numbers, written by Python 2 or 3 in any protocol.

    (Where protocol 5 stores an array under a name that is not allowed, the message says how to save it again.)

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no pickle, asks for a name that is not allowed, or holds something else; the message
            names the file, and the key where there is one.
    """
    path = Path(path)
    unpickler = _Unpickler(_Bounded(paths.read_bounded(path, MAX_BYTES)), encoding="latin1")
    try:
        found = unpickler.load()
    except _Refused as error:
        raise ValueError(
            f"{path}{unpickler.place()}: {error}; nothing was executed. Do not load this file by other means; take it "
            "from the publishers again"
        ) from None
    except Exception as error:  # damaged bytes make an unpickler raise almost anything
        raise ValueError(f"{path} is not a readable pickle: {str(error)[:200]}; copy the file again") from error
    if type(found) is not dict:
        raise ValueError(f"{path} holds an object of type {_kind(found)}, not a dictionary of arrays")
    return {key: _content(value, f"{path}: key {key[:80]!r}") for key, value in found.items()}


def _content(value: Any, where: str) -> np.ndarray:
    if type(value) is not _Array or value.content is None:
        raise ValueError(f"{where} holds an object of type {_kind(value)}, not an array of numbers")
    return value.content


def _kind(value: Any) -> str:
    return type(value).__name__.lstrip("_").lower()


class _Bounded(io.BytesIO):
    """The bytes of a pickle; a gigabyte of idle instructions would take an hour."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise _Refused(f"the pickle holds more than {MAX_READS:,} instructions")
        return super().read(size)


class _Unpickler(pickle._Unpickler):
    """The interpreter of pickles that is written in Python: unlike the compiled one, it never takes more memory than
    the file fills, and its table of instructions can be cut down to those that build dictionaries of arrays.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            hint = " (an array in protocol 5; whoever wrote it can save it with protocol 4)" * (name == "_frombuffer")
            raise _Refused(f"the pickle asks for {module[:80]}.{name[:80]}{hint}")
        return _Function(name)

    def place(self) -> str:
        """The key whose value was being read, for messages: the last text among the items of the dictionary."""
        for items in (*self.metastack, self.stack):
            if texts := [item for item in items if type(item) is str and len(item) > 1]:
                return f": key {texts[-1][:80]!r}"
        return ""


def _refuse(_: _Unpickler) -> None:
    raise _Refused("the pickle holds an instruction that no array needs")


def _with_text_keys(store: Callable[[_Unpickler], None], first: int | None) -> Callable[[_Unpickler], None]:
    """``store``, once the keys on the stack are known to be text: hashing tuples nested a million deep would crash."""

    def store_checked(unpickler: _Unpickler) -> None:
        for key in unpickler.stack[first::2]:
            if type(key) is not str:
                raise _Refused(f"a key is of type {_kind(key)}, not text")
        store(unpickler)

    return store_checked


_known = {getattr(pickle, name)[0] for name in _INSTRUCTIONS.split()}
_Unpickler.dispatch = {code: do if code in _known else _refuse for code, do in pickle._Unpickler.dispatch.items()} | {
    pickle.FRAME[0]: lambda unpickler: unpickler.read(8),  # frames follow each other: all is read through _Bounded
    pickle.DICT[0]: _with_text_keys(pickle._Unpickler.load_dict, None),
    pickle.SETITEMS[0]: _with_text_keys(pickle._Unpickler.load_setitems, None),
    pickle.SETITEM[0]: _with_text_keys(pickle._Unpickler.load_setitem, -2),
}


class _StandIn:
    """An object that a pickle can neither look into nor change, unless its class says how."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise _Refused(f"the pickle changes a {_kind(self)}")


class _Function(_StandIn):
    """One of the allowed functions; calling it checks the arguments and gives a stand-in, or bytes."""

    __slots__ = ("_name",)

    def __init__(self, name: str):
        object.__setattr__(self, "_name", name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise _Refused("the pickle changes a function")

    def __call__(self, *arguments: Any) -> Any:
        if self._name == "encode":
            return _encode(*arguments)
        if self._name == "dtype":
            return _Dtype(*arguments)
        if self._name == "scalar":
            return _Array(*_scalar(*arguments))
        if self._name == "_reconstruct":
            return _Array()  # of a class, a shape and a type that its state replaces
        raise _Refused("the pickle makes an array in a way of its own")


def _encode(text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes in protocols 0 to 2."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise _Refused("the pickle encodes something other than bytes")
    return text.encode("latin1")


class _Dtype(_StandIn):
    """A type of numbers; its state says only in which order the bytes come."""

    __slots__ = ("dtype",)

    def __init__(self, code: Any, *flags: Any):
        if type(code) is not str or not _NUMBERS.fullmatch(code):  # other objects may take a terabyte to print
            found = repr(code[:40]) if type(code) is str else _kind(code)
            raise _Refused(f"the pickle holds an array of {found}, not of numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order, structure = state[1], state[2:5]
        if order not in ("<", ">", "=", "|") or structure != (None, None, None):
            raise _Refused("the pickle holds an array of structures, not of numbers")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(_StandIn):
    """An array, ``content`` None until its state is known."""

    __slots__ = ("content",)

    def __init__(self, content: np.ndarray | None = None):
        self.content = content

    def __setstate__(self, state: Any) -> None:
        shape, dtype, fortran, content = state[-4:]  # preceded by a version number
        self.content = _from_bytes(shape, dtype, bool(fortran), content)


def _scalar(dtype: Any, content: Any) -> tuple[np.ndarray]:
    return (_from_bytes((), dtype, False, content),)


def _from_bytes(shape: Any, dtype: Any, fortran: bool, content: Any) -> np.ndarray:
    if type(dtype) is not _Dtype:
        raise _Refused("the pickle holds an array without a type")
    if type(shape) is not tuple or not all(type(length) is int and length >= 0 for length in shape):
        raise _Refused("the pickle holds an array without a shape")
    if type(content) is str:  # Python 2 had text and bytes in one type
        content = content.encode("latin1")
    if type(content) not in (bytes, bytearray):
        raise _Refused("the pickle holds an array of objects, not of numbers")
    if len(shape) > 8 or math.prod(shape) * dtype.dtype.itemsize != len(content):
        raise _Refused(f"the pickle holds {len(content):,} bytes for an array of shape {str(shape)[:60]}")
    flat = np.frombuffer(content, dtype.dtype)
    return flat.reshape(shape, order="F" if fortran else "C")
