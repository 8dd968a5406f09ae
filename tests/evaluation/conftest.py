"""SYSU-MM01 trees without photographs: of empty files in the real numbers, and a small one of plain colours."""

import csv
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import reidlib.data
from reidlib.data import ReIDDataset
from reidlib.twins.sysu import CELL_LENGTH, TEST_IDS

TESTS = Path(__file__).parent.parent
Counts = dict[tuple[int, int], int]


@pytest.fixture(scope="session")
def rank_reference() -> Callable:
    """The readable per-query counterpart of ``evaluation.rank``."""
    return benchmark("rank_reference").rank_reference


@pytest.fixture(scope="session")
def reranking_reference() -> Callable:
    """The readable counterpart of ``evaluation.k_reciprocal``, one item at a time."""
    return benchmark("reranking_reference").k_reciprocal_reference


def benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TESTS.parent / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_tree(root: Path, counts: Counts, test_pids: list[int], write_image: Callable[[Path, int], None]) -> Path:
    """``counts[camid, pid]`` images per folder; one training identity, 1, without images."""
    for camid in range(1, 7):
        (root / f"cam{camid}").mkdir(parents=True)
    for (camid, pid), count in counts.items():
        folder = root / f"cam{camid}" / f"{pid:04d}"
        folder.mkdir()
        for number in range(1, count + 1):
            write_image(folder / f"{number:04d}.jpg", pid)
    (root / "exp").mkdir()
    for name, pids in (("train", [1]), ("val", [1]), ("test", test_pids)):
        (root / "exp" / f"{name}_id.txt").write_text(",".join(map(str, pids)) + "\n")
    write_permutations(root, counts)
    return root


def write_permutations(root: Path, counts: Counts) -> None:
    """`rand_perm_cam.mat` in the shape of the official file: a 6×1 cell of n×1 cells of 10×n_i uint8."""
    rng = np.random.default_rng(0)
    cameras = np.empty((6, 1), dtype=object)
    for camid, length in CELL_LENGTH.items():
        cell = np.empty((length, 1), dtype=object)
        for pid in range(1, length + 1):
            rows = [rng.permutation(counts.get((camid, pid), 0)) + 1 for _ in range(10)]
            cell[pid - 1, 0] = np.array(rows, dtype=np.uint8)
        cameras[camid - 1, 0] = cell
    savemat(root / "exp" / "rand_perm_cam.mat", {"rand_perm_cam": cameras})


@pytest.fixture(scope="session")
def real_counts() -> Counts:
    """(camid, pid) → images of the test identities in the real data set."""
    with (TESTS / "assets" / "sysu_counts.csv").open() as file:
        rows = [(int(row["cam"]), int(row["id"]), int(row["images"])) for row in csv.DictReader(file)]
    return {(camid, pid): images for camid, pid, images in rows if pid in TEST_IDS}


@pytest.fixture(scope="session")
def stubs(tmp_path_factory: pytest.TempPathFactory, real_counts: Counts) -> Iterator[ReIDDataset]:
    """The test part of SYSU-MM01 in its real numbers, every image an empty file."""
    folder = tmp_path_factory.mktemp("stubs")
    yield reidlib.data.open("sysu", write_tree(folder, real_counts, TEST_IDS, lambda path, _: path.touch()))
    shutil.rmtree(folder)  # ten thousand files: pytest would keep those of the last three runs


SHADES = {6: 20, 10: 90, 17: 160, 21: 230}


def write_shade(path: Path, pid: int) -> None:
    Image.new("RGB", (8, 16), (SHADES.get(pid, 0),) * 3).save(path)


@pytest.fixture
def write_small_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ReIDDataset]:
    """Four identities with three 16×8 images a folder, each identity in its shade of grey.

    Camera 2 is the only visible camera that saw identity 21. ``train_images`` more per camera show identity 1.
    """
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))

    def write(train_images: int = 0) -> ReIDDataset:
        counts = {(camid, pid): 3 for camid in range(1, 7) for pid in SHADES}
        counts = {folder: count for folder, count in counts.items() if folder not in {(1, 21), (4, 21), (5, 21)}}
        if train_images:
            counts |= {(camid, 1): train_images for camid in range(1, 7)}
        return reidlib.data.open("sysu", write_tree(tmp_path / "small", counts, list(SHADES), write_shade))

    return write


@pytest.fixture
def small(write_small_tree: Callable[..., ReIDDataset]) -> ReIDDataset:
    return write_small_tree()
