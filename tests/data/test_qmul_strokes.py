"""Strokes in a pickle that somebody else wrote: keys, arrays, and what a malicious one asks for."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import reidlib.data
from reidlib.data import qmul

STROKES = np.array([[40, 60, 0], [200, 60, 1], [128, 100, 0], [128, 220, 0], [60, 220, 1]], dtype=float)


def dump(root: Path, sketches: dict) -> None:
    (root / "ChairV2_Coordinate").write_bytes(pickle.dumps(sketches, protocol=4))
    qmul._load_sketches.cache_clear()  # a file written twice within a tick of the clock


@pytest.fixture
def chair(tmp_path) -> Path:
    """A ChairV2 tree of two photos, and sketches of both."""
    (tmp_path / "ChairV2" / "photo").mkdir(parents=True)
    for name in ("plain", "plain_1"):
        Image.new("RGB", (20, 16)).save(tmp_path / "ChairV2" / "photo" / f"{name}.png")
    dump(tmp_path / "ChairV2", dict.fromkeys(["/train/plain_1", "/test/plain_1_1"], STROKES))
    return tmp_path / "ChairV2"


@pytest.mark.parametrize(
    "key",
    [
        "plain_1", "train/plain_1", "/val/plain_1", "/train/plain", "/train/plain_x", "/train/_1", "/train/a/b_1",
        "/train/../../etc/passwd_1", "/train/a\\b_1", "/train//plain_1", "/train/plain_1\n", "/train/pl\x00ain_1",
        "//train/plain_1", "/train/plain_1/", "/train/plain_1234567", "",
    ],
)  # fmt: skip
def test_other_keys_are_refused(chair, key):
    dump(chair, {"/train/plain_1": STROKES, key: STROKES})
    with pytest.raises(ValueError, match=r"ChairV2_Coordinate: key '.* is not like '/train/<name>_<k>'"):
        reidlib.data.open("chair", root=chair)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((4, 2)), r"expected \(N, 3\) numbers"),
        (np.zeros((4, 5)), r"expected \(N, 3\) numbers"),
        (np.zeros(3), r"expected \(N, 3\) numbers"),
        (np.zeros((0, 3)), r"expected \(N, 3\) numbers"),
        (np.zeros((2, 3), bool), r"expected \(N, 3\) numbers"),
        (np.zeros((100_001, 3)), "holds 100,001 points"),
        (np.array([[1.0, np.nan, 0.0]]), "not on the canvas"),
        (np.array([[1.0, np.inf, 0.0]]), "not on the canvas"),
        (np.array([[1e9, 1.0, 0.0]]), "not on the canvas"),
        (np.array([[1, 2, None]], dtype=object), "not of numbers"),
    ],
)
def test_other_arrays_are_refused_with_their_key(chair, points, message):
    dump(chair, {"/train/plain_1": STROKES, "/test/plain_1_1": points})
    with pytest.raises(ValueError, match=rf"ChairV2_Coordinate: key '/test/plain_1_1'.*{message}"):
        reidlib.data.open("chair", root=chair)


def test_whole_numbers_and_single_precision_are_taken(chair):
    dump(chair, {"/train/plain_1": STROKES.astype(np.int16)})
    whole = qmul.load_sketches(chair / "ChairV2_Coordinate")["/train/plain_1"]
    assert whole.dtype == np.float64
    np.testing.assert_array_equal(whole, STROKES)


class Command:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def test_opening_a_malicious_tree_executes_nothing(chair, tmp_path):
    canary = tmp_path / "canary"
    dataset = reidlib.data.open("chair", root=chair)
    dump(chair, {"/train/plain_1": Command(canary)})
    with pytest.raises(
        ValueError, match=r"key '/train/plain_1': the pickle asks for \w+\.system; nothing was executed"
    ):
        reidlib.data.open("chair", root=chair)
    assert not dataset.check().ok, "nor does looking at one that was changed after it was opened"
    with pytest.raises(OSError, match="nothing was executed"):
        dataset.image(int(dataset.rows(modality=1)[0]))
    assert not canary.exists()
