"""SYSU-MM01: four visible and two near-infrared cameras (Wu et al., ICCV 2017; IJCV 2020).

Tree, splits and camera numbers are documented by the official repository (wuancong/SYSU-MM01). Cameras 1, 2, 4 and 5
are visible; 3 (in the room of camera 2) and 6 are near-infrared. The 99 official validation identities count as
training identities, as in every published result (395 in all).
"""

import hashlib
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib import paths
from reidlib.console import spelling
from reidlib.data import matlab, tree
from reidlib.data.dataset import Reader, ReIDDataset
from reidlib.data.report import Problem, left_out

CAMERAS = (1, 2, 3, 4, 5, 6)
INFRARED_CAMERAS = (3, 6)
PERMUTATIONS = "exp/rand_perm_cam.mat"
TRIALS = 10
EXPECTED_TREE = """\
SYSU-MM01/
  cam1/0006/0001.jpg …     cam1 to cam6 / four-digit identity / four-digit number from 0001
  exp/train_id.txt         one line of comma-separated identities each (or the .mat of the same name)
  exp/val_id.txt
  exp/test_id.txt
  exp/rand_perm_cam.mat    official gallery draws; NOT in the download, see data/README.md"""

# Derived from the official identity lists and permutations: images per camera, identities per list.
PUBLISHED_IMAGES = pd.DataFrame(
    {
        "all": [6289, 7528, 9812, 8030, 8224, 5980],
        "train": [4721, 5753, 7909, 5811, 5973, 4000],
        "test": [1374, 1565, 1883, 1918, 1918, 1920],
    },
    index=CAMERAS,
)
PUBLISHED_IDENTITIES = {"train": 395, "test": 96}
_PERMUTATIONS_SHA256 = "90402382dd587e05b615dcee35637fee9ad61e56e26ac86988a00a43997ac0a7"

_IMAGE = re.compile(r"([0-9]{4})\.(?:jpg|jpeg|png|bmp)", re.IGNORECASE)


class Listing(NamedTuple):
    """What lies in the camera folders: ``images`` as (pid, camid, number, path), sorted, and names not understood."""

    images: list[tuple[int, int, int, str]]
    strays: list[str]


def read(root: Path, split: None = None) -> pd.DataFrame:
    """The frame of a SYSU-MM01 tree, sorted by identity, camera and file number; identities of no list stay out."""
    listing, lists = scan(root), read_lists(root)
    split_of = dict.fromkeys(lists["train"] + lists["val"], "train") | dict.fromkeys(lists["test"], "test")
    rows = [(path, pid, camid, split_of[pid]) for pid, camid, _, path in listing.images if pid in split_of]
    if not rows:
        raise ValueError(f"{root}: no image of a listed identity was found; expected tree:\n{EXPECTED_TREE}")
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "split"])
    return frame.assign(modality=frame["camid"].isin(INFRARED_CAMERAS).astype("int64"))


def scan(root: Path) -> Listing:
    """List the camera folders.

    The root and the camera folders may be links; deeper links must stay inside their camera folder.

    Raises:
        FileNotFoundError: a camera folder is missing.
        ValueError: a link leads out of its camera folder.
    """
    tree.require_folders(root, [f"cam{camid}" for camid in CAMERAS], EXPECTED_TREE, "sysu")
    images, strays = [], []
    for camid in CAMERAS:
        camera = f"cam{camid}"
        for pid, image, path in tree.identity_images(root, camera, "[0-9]{4}", root / camera, strays):
            if (match := _IMAGE.fullmatch(image.name)) and image.is_file():
                images.append((pid, camid, int(match[1]), path))
            else:
                strays.append(path)
    return Listing(sorted(images), strays)


def read_lists(root: Path) -> dict[str, list[int]]:
    """The identities of ``exp/train_id``, ``val_id`` and ``test_id``.

    Raises:
        FileNotFoundError, ValueError: a list is missing or malformed, or an identity is in test and in another list.
    """
    lists = {name: tree.read_ids(root / "exp" / f"{name}_id", EXPECTED_TREE) for name in ("train", "val", "test")}
    for name in ("train", "val"):
        if both := sorted(set(lists[name]) & set(lists["test"])):
            raise ValueError(f"{root / 'exp'}: {name}_id and test_id both list {both}; results would be void")
    return lists


def read_permutations(root: Path) -> dict[tuple[int, int], np.ndarray]:
    """The official gallery draws: ``(camid, pid)`` → int64 ``(10, n)``, row ``t`` a permutation of the numbers 1 … n.

    Documented (official evaluation code): trial ``t`` takes the first (or first ten) numbers of row ``t``.

    Raises:
        FileNotFoundError: the file is missing; the message says where it comes from.
        ValueError: the file does not have this shape.
    """
    path = root / PERMUTATIONS
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {_get_permutations()}")
    cells = np.ravel(matlab.read(path, "rand_perm_cam"))
    if len(cells) != len(CAMERAS) or cells.dtype != object:
        raise ValueError(f"{path}: rand_perm_cam must be a cell with one entry per camera (6), found {cells.shape}")
    draws = {}
    for camid, cell in zip(CAMERAS, cells, strict=True):
        for pid, draw in enumerate(np.ravel(cell), start=1):
            if np.size(draw):
                draws[camid, pid] = _validated_draw(draw, f"{path}: camera {camid}, identity {pid}")
    return draws


def _validated_draw(draw: np.ndarray, where: str) -> np.ndarray:
    if not np.issubdtype(np.asarray(draw).dtype, np.number) or np.ndim(draw) != 2 or len(draw) != TRIALS:
        raise ValueError(f"{where}: expected {TRIALS} rows of numbers, found shape {np.shape(draw)}")
    if not (np.sort(draw, axis=1) == np.arange(1, draw.shape[1] + 1)).all():
        raise ValueError(f"{where}: a row is not a permutation of 1 … {draw.shape[1]}")
    return draw.astype(np.int64)


def _get_permutations() -> str:
    way_out = spelling.argument("gallery", "agw", of="protocol")
    return (
        "it is not in the download: copy evaluation/data_split/rand_perm_cam.mat from github.com/wuancong/SYSU-MM01 "
        f"into exp/, or draw the gallery as AGW does, which needs no such file: {way_out}"
    )


def check(dataset: ReIDDataset) -> list[Problem]:
    """What is missing or odd in a SYSU-MM01 tree; a tree that is no twin is compared with the published counts."""
    listing, lists = scan(dataset.root), read_lists(dataset.root)
    numbers = defaultdict(list)
    for pid, camid, number, _ in listing.images:
        numbers[camid, pid].append(number)
    problems = _check_lists(listing, lists) + _check_numbers(numbers) + _check_permutations(dataset, numbers)
    problems += left_out(listing.strays)
    return problems if dataset.is_twin else _check_published(dataset, listing) + problems


def _check_lists(listing: Listing, lists: dict[str, list[int]]) -> list[Problem]:
    problems = []
    present = {pid for pid, *_ in listing.images}
    for name, pids in lists.items():
        problems += tree.check_ids(f"exp/{name}_id", pids, present)
    if shared := sorted(set(lists["train"]) & set(lists["val"])):
        problems.append(Problem("warning", "exp/val_id", f"also in train_id: {shared}", "clean the lists"))
    if unlisted := sorted(present - set().union(*lists.values())):
        message = f"{len(unlisted)} identities with images are in no list and not used: {_short(unlisted)}"
        problems.append(Problem("note", "exp", message))
    for camid in CAMERAS:
        if all(camera != camid for _, camera, *_ in listing.images):
            problems.append(Problem("error", f"cam{camid}", "holds no image", "complete the tree"))
    return problems


def _check_numbers(numbers: dict[tuple[int, int], list[int]]) -> list[Problem]:
    problems = []
    for (camid, pid), found in sorted(numbers.items()):
        where = f"cam{camid}/{pid:04d}"
        if repeated := tree.repeats(found):
            message = f"several files carry the number {_short(repeated)}"
            problems.append(Problem("warning", where, message, "keep one file per number"))
        if gaps := sorted(set(range(1, max(found) + 1)) - set(found)):
            fix = "complete the folder: gallery draws address images by number, from 0001 without gaps"
            problems.append(Problem("warning", where, f"number {_short(gaps)} of 1 … {max(found)} missing", fix))
    return problems


def _check_permutations(dataset: ReIDDataset, numbers: dict[tuple[int, int], list[int]]) -> list[Problem]:
    try:
        draws = read_permutations(dataset.root)
    except FileNotFoundError:
        return [Problem("warning", PERMUTATIONS, "is missing", _get_permutations())]
    except ValueError as error:
        return [Problem("error", PERMUTATIONS, str(error), _get_permutations())]
    problems = []
    test_pids = set(dataset.frame.loc[dataset.frame["split"] == "test", "pid"])
    for camid, pid in sorted(numbers.keys() | draws.keys()):
        drawn, found = draws[camid, pid].shape[1] if (camid, pid) in draws else 0, len(numbers.get((camid, pid), []))
        if drawn != found:
            severity = "error" if pid in test_pids else "warning"
            message = f"cam{camid}/{pid:04d} holds {found} images, the permutation has {drawn}"
            fix = "complete the tree, or take the file that belongs to it: the official draws are void otherwise"
            problems.append(Problem(severity, PERMUTATIONS, message, fix))
    digest = hashlib.sha256(paths.read_bounded(dataset.root / PERMUTATIONS)).hexdigest()
    if not dataset.is_twin and digest != _PERMUTATIONS_SHA256:
        message = "is not the published file (SHA-256 differs)"
        problems.append(Problem("note", PERMUTATIONS, message, _get_permutations()))
    return problems


def _check_published(dataset: ReIDDataset, listing: Listing) -> list[Problem]:
    """Differences from the published numbers of images per camera and of identities per split."""
    cameras = pd.Series([camid for _, camid, *_ in listing.images], dtype="int64")
    found = {"all": cameras.value_counts()}
    for split in PUBLISHED_IDENTITIES:
        found[split] = dataset.frame.loc[dataset.frame["split"] == split, "camid"].value_counts()
    fix = "copy the tree again from the original archive, and the lists in exp/ with it"
    problems = []
    for camid in CAMERAS:
        for part, published in PUBLISHED_IMAGES.loc[camid].items():
            if (count := int(found[part].get(camid, 0))) != published:
                message = f"{count:,} images ({part}), published: {published:,}"
                problems.append(Problem("error", f"cam{camid}", message, fix))
    for split, published in PUBLISHED_IDENTITIES.items():
        if (count := dataset.frame.loc[dataset.frame["split"] == split, "pid"].nunique()) != published:
            problems.append(Problem("error", split, f"{count} identities, published: {published}", fix))
    return problems


def _short(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return shown + (f", … ({len(numbers)} in all)" if len(numbers) > 10 else "")


READER = Reader("SYSU-MM01", read, check)
