"""MATLAB files of others: read in a child process, which may die, hang or lie."""

import json
import threading
import time

import numpy as np
import pytest
import scipy.sparse
from scipy.io import loadmat, savemat

from reidlib.data import matlab, tree


def write(path, **options):
    savemat(path, {"id": np.arange(1, 4, dtype=np.uint16)}, **options)
    return path


def test_cells_come_back_as_scipy_reads_them(tree):
    path = tree / "exp" / "rand_perm_cam.mat"
    found, expected = (
        np.ravel(cells) for cells in (matlab.read(path, "rand_perm_cam"), loadmat(path)["rand_perm_cam"])
    )
    assert found.dtype == object and len(found) == 6
    for camera, known in zip(found, expected, strict=True):
        assert camera.shape == known.shape
        for draw, same in zip(camera.ravel(), known.ravel(), strict=True):
            assert draw.dtype == same.dtype and draw.shape == same.shape and (draw == same).all()


@pytest.mark.parametrize("options", [{"format": "4"}, {"do_compression": True}])
def test_older_and_compressed_files_are_read(tmp_path, options):
    assert matlab.read(write(tmp_path / "id.mat", **options), "id").tolist() == [[1, 2, 3]]


def cells(*values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def nested(depth):
    value = np.ones((1, 1))
    for _ in range(depth):
        value = cells(value)
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "is of class char"),
        ({"a": 1}, "is of class struct"),
        (scipy.sparse.csc_matrix(np.eye(3)), "is of class sparse"),
        ([1j], "complex128, not numbers"),
        (np.zeros(10**7, dtype=np.uint8), r"has the shape \(1, 10000000\), more than 2,097,152 numbers"),
        (cells(*[np.zeros(1 << 20)] * 3), "more than 2,097,152 numbers"),
        (nested(50), "no plain array of numbers or cells"),
    ],
)
def test_what_is_no_array_of_numbers_is_named(tmp_path, value, message):
    savemat(tmp_path / "id.mat", {"id": value}, do_compression=True)
    with pytest.raises(ValueError, match=rf"id\.mat is not a readable MATLAB file: .*{message}"):
        matlab.read(tmp_path / "id.mat", "id")


def test_another_variable_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"id\.mat .* has no variable 'pid', only \['id'\]"):
        matlab.read(write(tmp_path / "id.mat"), "pid")


@pytest.fixture
def child(tmp_path, monkeypatch):
    """``child(code)``: files are read by this program instead."""

    def instead(code):
        (tmp_path / "child.py").write_text(code)
        monkeypatch.setattr(matlab, "__file__", str(tmp_path / "child.py"))
        matlab._in_child.cache_clear()
        return write(tmp_path / "id.mat")

    yield instead
    matlab._in_child.cache_clear()


def test_a_child_that_dies_is_an_error_that_names_the_file(child):
    path = child("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(ValueError, match=r"id\.mat is not a readable .* damaged, and the process .* \(exit status -"):
        matlab.read(path, "id")


def test_a_child_that_hangs_is_ended(child, monkeypatch):
    monkeypatch.setattr(matlab, "_SECONDS_IN_ALL", 1)
    path, started = child("import time; time.sleep(60)"), time.monotonic()
    with pytest.raises(ValueError, match=r"id\.mat .* did not end within 1 seconds"):
        matlab.read(path, "id")
    assert time.monotonic() - started < 10


def test_a_reading_that_hangs_ends_itself(child):
    path = child(
        "import faulthandler, re; faulthandler.dump_traceback_later(0.2, exit=True)\n"
        "re.fullmatch('(a*)*b', 'a' * 64)"  # holds the interpreter, as scipy may
    )
    with pytest.raises(ValueError, match=r"id\.mat .* takes more than 5 seconds"):
        matlab.read(path, "id")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[" * 100_000,
        [],
        {"kind": "<f8", "shape": [2], "content": [1.0]},
        {"kind": "<f8", "shape": [10**12], "content": []},
        {"kind": "<f8", "shape": [-1], "content": [1.0]},
        {"kind": "O", "shape": [1], "content": [1]},
        {"kind": "<U4", "shape": [1], "content": ["text"]},
        {"kind": "|u1", "shape": [1], "content": [300]},
        {"kind": "<f8", "shape": [1], "content": [[1.0]]},
        {"kind": "cell", "shape": [1], "content": [1]},
        {"kind": "cell", "shape": "1", "content": [1]},
    ],
)
def test_an_answer_of_another_form_is_not_believed(child, answer):
    text = answer if isinstance(answer, str) else json.dumps(answer)
    path = child(f"print({text!r})")
    with pytest.raises(ValueError, match=r"id\.mat"):
        matlab.read(path, "id")


def test_a_content_is_read_once_and_in_threads(tmp_path, monkeypatch):
    path, found = write(tmp_path / "id.mat", format="4"), []
    matlab.read(path, "id")
    monkeypatch.setattr(matlab.subprocess, "run", lambda *_, **__: pytest.fail("read again"))
    threads = [threading.Thread(target=lambda: found.append(matlab.read(path, "id"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [array.tolist() for array in found] == [[[1, 2, 3]]] * 4
    found[0][:] = 0
    assert matlab.read(path, "id").tolist() == [[1, 2, 3]], "nobody else's array"


def test_endless_lists_are_refused_and_repeats_are_counted_in_one_go(tmp_path):
    (tmp_path / "id.txt").write_text("1," * 500_000)
    with pytest.raises(ValueError, match=r"id\.txt holds 500,000 numbers; identities are 9,999 at most"):
        tree.read_ids(tmp_path / "id", "tree")
    numbers = [*range(1, 10_000)] * 10
    started = time.monotonic()
    assert tree.check_ids("id", numbers, set(numbers))[0].message.startswith("listed more than once: [1, 2,")
    assert time.monotonic() - started < 2


def test_text_lists_that_never_end_are_refused(tmp_path):
    with (tmp_path / "id.txt").open("wb") as stream:
        stream.truncate(1 << 34)
    with pytest.raises(ValueError, match=r"id\.txt holds more than 16,777,216 bytes"):
        tree.read_ids(tmp_path / "id", "tree")
