"""Small SYSU-MM01 trees of noise images, written as the publishers pack them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

CAMERAS = range(1, 7)
LISTS = {"train": [1, 2, 4], "val": [334], "test": [6, 10]}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has its own cache, and no licensed data set is in reach."""
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("REIDLIB_DATA", raising=False)


def noise_jpeg(seed: int, height: int = 24, width: int = 12) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def write_permutations(path: Path, counts: dict[tuple[int, int], int]) -> None:
    """`rand_perm_cam.mat` for a tree with ``counts[camid, pid]`` images per folder."""
    generator = np.random.default_rng(0)
    longest = max(pid for _, pid in counts)
    cells = np.empty((len(CAMERAS), 1), dtype=object)
    for camid in CAMERAS:
        cell = np.empty((longest, 1), dtype=object)
        for pid in range(1, longest + 1):
            count = counts.get((camid, pid), 0)
            rows = [generator.permutation(count) + 1 for _ in range(10)]
            cell[pid - 1, 0] = np.array(rows, dtype=np.uint8).reshape(10, count)
        cells[camid - 1, 0] = cell
    savemat(path, {"rand_perm_cam": cells})


def write_tree(
    root: Path,
    counts: dict[tuple[int, int], int] | None = None,
    lists: dict[str, list[int]] | None = None,
    content: Callable[[int], bytes] = noise_jpeg,
) -> Path:
    """Write cam1 … cam6 and exp/; by default every identity has three images in every camera."""
    lists = LISTS if lists is None else lists
    if counts is None:
        counts = {(camid, pid): 3 for camid in CAMERAS for pids in lists.values() for pid in pids}
    for camid in CAMERAS:
        (root / f"cam{camid}").mkdir(parents=True)
    serial = 0
    for (camid, pid), count in counts.items():
        folder = root / f"cam{camid}" / f"{pid:04d}"
        folder.mkdir()
        for number in range(1, count + 1):
            (folder / f"{number:04d}.jpg").write_bytes(content(serial))
            serial += 1
    (root / "exp").mkdir()
    for name, pids in lists.items():
        (root / "exp" / f"{name}_id.txt").write_text(",".join(map(str, pids)) + "\n")
    write_permutations(root / "exp" / "rand_perm_cam.mat", counts)
    return root


@pytest.fixture(scope="session", name="write_tree")
def write_tree_fixture() -> Callable[..., Path]:
    return write_tree


@pytest.fixture
def make_tree(tmp_path: Path) -> Callable[..., Path]:
    """``make_tree(name="tree", counts=None, lists=None, content=…)`` writes a tree and returns its root."""
    return lambda name="tree", **options: write_tree(tmp_path / name, **options)


@pytest.fixture
def tree(make_tree: Callable[..., Path]) -> Path:
    return make_tree()
