"""Pickles that hold arrays, and pickles that would rather do something else."""

import io
import os
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest

from reidlib.data.unpickle import ALLOWED, load_arrays

ARRAYS = {
    "/train/a_1": np.array([[1.5, 2.0, 0.0], [250.0, 3.0, 1.0]]),
    "/train/b-1_v2_3": np.arange(12, dtype=">f4").reshape(4, 3),
    "/test/c_1": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
}


def load(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    path = folder / "Coordinate"
    path.write_bytes(content)
    return load_arrays(path)


def names_in(content: bytes) -> set[tuple[str, str]]:
    """What a pickle asks for, found by running it in an interpreter that grants everything as a number."""
    asked = set()

    class Listing(pickle.Unpickler):
        def find_class(self, module, name):
            asked.add((module, name))
            return super().find_class(module, name)

    Listing(io.BytesIO(content), encoding="latin1").load()
    return asked


@pytest.mark.parametrize("protocol", range(5))
def test_arrays_come_back_in_every_protocol(tmp_path, protocol):
    content = pickle.dumps(ARRAYS, protocol)
    assert names_in(content) <= ALLOWED
    loaded = load(tmp_path, content)
    assert list(loaded) == list(ARRAYS)
    for key, expected in ARRAYS.items():
        assert type(loaded[key]) is np.ndarray and loaded[key].dtype == expected.dtype
        np.testing.assert_array_equal(loaded[key], expected)


def test_protocol_5_loads_where_it_needs_no_further_name(tmp_path):
    arrays = {"/train/a_1": np.arange(12.0).reshape(4, 3)[::2]}  # not contiguous: stored by `_reconstruct`
    np.testing.assert_array_equal(load(tmp_path, pickle.dumps(arrays, 5))["/train/a_1"], arrays["/train/a_1"])
    with pytest.raises(ValueError, match=r"key '/train/a_1'.*_frombuffer .*can save it with protocol 4"):
        load(tmp_path, pickle.dumps(ARRAYS, 5))


def python_2(protocol: int) -> bytes:
    """What Python 2 with numpy 1.16 wrote for {'/train/a_1': array([[1., 2., 1.]])}: bytes as text, no `_codecs`."""
    raw = np.array([[1.0, 2.0, 1.0]]).tobytes()
    state = b"(I1\n(I1\nI3\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
    make = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    if protocol == 0:
        text = "".join(f"\\x{byte:02x}" for byte in raw).encode()
        return b"(dS'/train/a_1'\n" + make + state + b"S'" + text + b"'\ntbs."
    return b"\x80\x02}U\x0a/train/a_1" + make + state + b"U" + bytes([len(raw)]) + raw + b"tbs."


@pytest.mark.parametrize("protocol", [0, 2])
def test_pickles_of_python_2_load(tmp_path, protocol):
    content = python_2(protocol)
    assert pickle.loads(content, encoding="latin1")["/train/a_1"].tolist() == [[1.0, 2.0, 1.0]], "a pickle as any"
    assert load(tmp_path, content)["/train/a_1"].tolist() == [[1.0, 2.0, 1.0]]


def test_both_homes_of_numpys_functions_are_known(tmp_path):
    content = pickle.dumps(ARRAYS, 2)
    old = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert {("numpy.core.multiarray", "_reconstruct")} < names_in_text(old)
    assert load(tmp_path, old).keys() == load(tmp_path, content).keys()


def names_in_text(content: bytes) -> set[tuple[str, str]]:
    return {tuple(argument.split(" ")) for code, argument, _ in pickletools.genops(content) if code.name == "GLOBAL"}


def test_numbers_are_arrays_without_a_shape(tmp_path):
    loaded = load(tmp_path, pickle.dumps({"x": np.float64(2.5)}, 4))
    assert loaded["x"].shape == () and loaded["x"] == 2.5


# --- refusals --------------------------------------------------------------------------------------------------------


class Call:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


class Own:
    """A class outside the list."""


def innocent():
    return np.ones((2, 3))


CALLABLES = {
    "os.system": lambda canary: Call(os.system, f"touch {canary}"),
    "eval": lambda canary: Call(eval, f"open({str(canary)!r}, 'w')"),
    "exec": lambda canary: Call(exec, f"open({str(canary)!r}, 'w')"),
    "open": lambda canary: Call(open, str(canary), "w"),
    "getattr": lambda canary: Call(getattr, np.ones((2, 3)), "tofile"),
    "a class of one's own": lambda canary: Own(),
    "a function of one's own": lambda canary: Call(innocent),
    "numpy.load": lambda canary: Call(np.load, str(canary)),
    "numpy.save": lambda canary: Call(np.save, str(canary), np.ones(3)),
    "numpy.fromfile": lambda canary: Call(np.fromfile, str(canary)),
    "numpy.ones": lambda canary: Call(np.ones, (2, 3)),
    "numpy.testing": lambda canary: Call(np.testing.assert_equal, 1, 1),
    "runstring": lambda canary: Call(np.testing.runstring, f"open({str(canary)!r}, 'w')", {}),
    "nested": lambda canary: Call(len, [Call(os.system, f"touch {canary}")]),
    "an argument of an array": lambda canary: Call(
        np._core.multiarray._reconstruct, Call(os.system, f"touch {canary}")
    ),
}


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("name", CALLABLES)
def test_no_other_name_is_called(tmp_path, name, protocol):
    canary = tmp_path / "canary"
    content = pickle.dumps({"/train/a_1": innocent(), "/train/b_1": CALLABLES[name](canary)}, protocol)
    with pytest.raises(ValueError, match=r"Coordinate: key '/train/b_1': the pickle asks for .*nothing was executed"):
        load(tmp_path, content)
    assert not canary.exists()


def text(word: str) -> bytes:
    return b"\x8c" + bytes([len(word)]) + word.encode()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy", "load"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "dtype.__class__"),
        ("numpy", "core.multiarray._reconstruct"),
        ("numpy.core", "multiarray._reconstruct"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy._core.multiarray", "ndarray"),
        ("numpy.core.multiarray", ""),
        ("numpy", ""),
        ("", ""),
        ("builtins", "eval"),
        ("__builtin__", "eval"),
        ("_codecs", "decode"),
        ("codecs", "encode"),
        ("numpy.ndarray", "numpy"),
        (" numpy", "ndarray"),
        ("NUMPY", "ndarray"),
    ],
)
def test_names_are_compared_whole(tmp_path, module, name):
    for content in (
        b"\x80\x04}" + text("/t/a_1") + text(module) + text(name) + b"\x93)Rs.",
        b"\x80\x02}" + b"X\x06\x00\x00\x00/t/a_1" + f"c{module}\n{name}\n)Rs.".encode(),
    ):
        with pytest.raises(ValueError, match="key '/t/a_1': the pickle asks for"):
            load(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04}" + text("k1") + b"K\x05" + text("load") + b"\x93)Rs.",  # STACK_GLOBAL with a number
        b"\x80\x04}" + text("k1") + text("numpy") + text("ndarray") + b"\x93}" + text("x") + b"K\x01sbs.",  # BUILD
        b"\x80\x04}" + text("k1") + text("numpy") + text("ndarray") + b"\x93)\x81s.",  # NEWOBJ
        b"\x80\x04}" + text("k1") + text("numpy") + text("ndarray") + b"\x93)Rs.",  # numpy.ndarray()
        b"\x80\x04}" + text("k1") + text("_codecs") + text("encode") + b"\x93" + text("a") + text("rot13") + b"\x86Rs.",
        b"\x80\x04}" + text("k1") + text("pid") + b"Qs.",  # a persistent id
        b"\x80\x02}U\x02k1\x82\x01s.",  # a registered extension
        b"(ios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
    ],
)
def test_other_ways_to_an_object_are_closed(tmp_path, content):
    with pytest.raises(ValueError, match="Coordinate"):
        load(tmp_path, content)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([[1, None, "a"]], dtype=object), "an array of 'O8', not of numbers"),
        (np.ones((2, 3), complex), "'c16'"),
        (np.array(["text"]), "'U4'"),
        (np.zeros(2, [("x", "f8")]), "'V8'"),
        (np.array(["2026-01-01"], "datetime64[D]"), "'M8'"),
        ([[1.0, 2.0, 1.0]], "object of type list"),
        ({"x": innocent()}, "object of type dict"),
        (3, "object of type int"),
        (None, "object of type nonetype"),
        (b"abc", "object of type bytes"),
    ],
)
def test_values_other_than_arrays_of_numbers_are_refused(tmp_path, value, message):
    with pytest.raises(ValueError, match=rf"Coordinate: key '/train/b_1'.*{message}"):
        load(tmp_path, pickle.dumps({"/train/a_1": innocent(), "/train/b_1": value}, 4))


def forged(shape: bytes, content: bytes, dtype: bytes = text("f8")) -> bytes:
    """An array whose state does not fit."""
    make = text("numpy.core.multiarray") + text("_reconstruct") + b"\x93" + text("numpy") + text("ndarray") + b"\x93"
    kind = text("numpy") + text("dtype") + b"\x93" + dtype + b"\x85R"
    return b"\x80\x04}" + text("k1") + make + b")C\x01b\x87R(K\x01" + shape + kind + b"\x89" + content + b"tbs."


@pytest.mark.parametrize(
    ("shape", "content", "dtype"),
    [
        (b"M\xff\xffM\xff\xffM\xff\xff\x87", b"C\x08" + bytes(8), text("f8")),  # 2 PB of which 8 bytes are there
        (b"\x8a\x09" + bytes(8) + b"\x01K\x03\x86", b"C\x08" + bytes(8), text("f8")),  # 2**64 rows
        (b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86", b"C\x08" + bytes(8), text("f8")),  # -1 × -1
        (b"K\x01\x85", b"C\x08" + bytes(8), text("O8")),
        (b"K\x01\x85", b"](K\x01e", text("f8")),  # a list of objects
        (b"K\x01\x85", b"C\x08" + bytes(8), text("f8, f8")),
        (b"K\x01\x85", b"C\x08" + bytes(8), text("f1000000000")),
        (text("ab"), b"C\x08" + bytes(8), text("f8")),
        (b"(" + b"K\x01" * 40 + b"t", b"C\x08" + bytes(8), text("f8")),  # 40 axes
    ],
)
def test_forged_arrays_are_refused(tmp_path, shape, content, dtype):
    with pytest.raises(ValueError, match="Coordinate"):
        load(tmp_path, forged(shape, content, dtype))


def test_the_forgery_itself_is_sound(tmp_path):
    assert load(tmp_path, forged(b"K\x01\x85", b"C\x08" + bytes(8)))["k1"].tolist() == [0.0]


@pytest.mark.parametrize("key", [1, None, b"/train/a_1", ("a",), 2.5])
def test_keys_must_be_text(tmp_path, key):
    for protocol in (0, 4):
        with pytest.raises(ValueError, match="a key is of type"):
            load(tmp_path, pickle.dumps({key: innocent()}, protocol))


def test_bombs_of_memory_and_depth_do_no_harm(tmp_path):
    nested = b"\x80\x02})" + b"\x85" * 200_000
    with pytest.raises(ValueError, match="a key is of type tuple"):
        load(tmp_path, nested + b"Ns.")
    with pytest.raises(ValueError, match="not a dictionary of arrays"):
        load(tmp_path, b"\x80\x04Nr\xff\xff\xff\x7f.")  # 2**31 places to remember things in
    with pytest.raises(ValueError, match="not a readable pickle"):
        load(tmp_path, b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"abc.")  # a terabyte of bytes
    endless = text("numpy") + text("dtype") + b"\x93" + text("f8") + b"2\x86" * 60 + b"\x85R"  # prints as 2**60 texts
    with pytest.raises(ValueError, match="an array of tuple, not of numbers"):
        load(tmp_path, b"\x80\x04}" + text("k1") + endless + b"s.")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89PNG", b"hello world", pickle.dumps(ARRAYS, 4)[:-40]])
def test_damaged_files_are_named(tmp_path, content):
    with pytest.raises(ValueError, match=r"Coordinate( is not a readable pickle|: the pickle holds an instruction)"):
        load(tmp_path, content)


@pytest.mark.parametrize("value", [[1, 2], innocent(), "text", 7])
def test_only_dictionaries_are_taken(tmp_path, value):
    with pytest.raises(ValueError, match="not a dictionary of arrays"):
        load(tmp_path, pickle.dumps(value, 4))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="Coordinate"):
        load_arrays(tmp_path / "Coordinate")


@pytest.mark.parametrize("frame", [b"", b"\x95" + (10**6).to_bytes(8, "little")])
def test_idle_instructions_come_to_an_end(tmp_path, monkeypatch, frame):
    monkeypatch.setattr("reidlib.data.unpickle.MAX_READS", 1000)
    assert load(tmp_path, pickle.dumps(ARRAYS, 4)).keys() == ARRAYS.keys()
    with pytest.raises(ValueError, match="Coordinate: the pickle holds more than 1,000 instructions"):
        load(tmp_path, b"\x80\x04" + frame + b"]0" * 500_000 + b"N.")
