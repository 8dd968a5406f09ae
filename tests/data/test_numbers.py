"""Arrays out of files of others: nothing is unpickled, and what is damaged, too large or of another kind is named."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from reidlib.data import numbers


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_arrays_come_back_as_they_were(here):
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "c": np.array(["x", "yz"]),
    }
    np.savez_compressed("a.npz", **arrays)
    found = numbers.read("a.npz")
    assert all(np.array_equal(found[name], arrays[name]) and found[name].dtype == arrays[name].dtype for name in arrays)
    np.save("a.npy", arrays["b"])
    assert np.array_equal(numbers.read("a.npy")["features"], arrays["b"])
    savemat(
        "a.mat",
        {
            "f": arrays["a"].astype(np.float32),
            "text": "left out",
            "deep": np.zeros((2, 2, 2)),
            "id": np.arange(3, dtype=np.uint8),
        },
    )
    found = numbers.read("a.mat")
    assert set(found) == {"f", "id"} and found["f"].dtype == np.float32 and np.array_equal(found["f"], arrays["a"])
    assert found["id"].tolist() == [[0, 1, 2]]


def npz(name, content):
    with zipfile.ZipFile(name, "w") as archive:
        archive.writestr("features.npy", content)


def header(shape, kind="<f4"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": kind, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("f.npz", lambda name: np.savez(name, f=np.array([Harm()], object)), "'f' holds Python objects"),
        ("f.npy", lambda name: np.save(name, np.array([Harm()], object)), "Python objects"),
        ("f.npy", lambda name: Path(name).write_bytes(pickle.dumps(Harm())), "pickle"),
        ("f.npz", lambda name: Path(name).write_bytes(pickle.dumps(Harm())), "not a readable .npz file"),
        ("f.npz", lambda name: npz(name, header((1 << 40, 1 << 20))), "'features' is cut off"),
        ("f.npz", lambda name: npz(name, b"no array"), "not a readable .npz file"),
        ("f.npz", lambda name: npz(name, header((3,)) + b"123"), "'features' is cut off"),
        ("f.npy", lambda name: Path(name).write_bytes(header((1 << 40,))), "not a readable .npy file"),
        ("f.mat", lambda name: Path(name).write_bytes(b"no matrix"), "not a readable MATLAB file"),
        ("f.mat", lambda name: savemat(name, {"text": "only"}), "holds no matrix of numbers, only .*text"),
        (
            "f.h5",
            lambda name: Path(name).write_bytes(b""),
            r"read from .npy, .npz, .mat, not from .h5; save the numbers",
        ),
    ],
)
def test_what_is_no_array_is_named_and_not_run(here, name, write, message):
    write(name)
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        numbers.read(name)
    assert not (here / "harm").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(numbers, "MOST_BYTES", 10_000)
    np.savez_compressed("f.npz", f=np.zeros((100, 100)))
    with pytest.raises(ValueError, match=r"f.npz .* holds more than 10,000 bytes"):
        numbers.read("f.npz")
    with pytest.raises(FileNotFoundError, match=r"no file gone.npz"):
        numbers.read("gone.npz")
