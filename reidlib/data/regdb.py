"""RegDB: one visible and one thermal camera, ten splits (Nguyen et al., Sensors 2017; splits by Ye et al.).

Tree, lists and the ten splits are documented by the code that reads them (mangye16/Cross-Modal-Re-ID-baseline and its
successors). The identity is the folder's name; the labels in the lists start at 0 in training *and* in test lists, so
they only number a classifier's outputs. Camera 1 is visible, 2 is thermal.
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reidlib.data import tree
from reidlib.data.dataset import Reader, ReIDDataset
from reidlib.data.lists import IMAGE_SUFFIX, Listed, read_images, require_labels
from reidlib.data.report import Problem, left_out

SPLITS = tuple(range(1, 11))
FOLDERS = {"visible": "Visible", "thermal": "Thermal"}
CAMERAS = {"visible": 1, "thermal": 2}
EXPECTED_TREE = """\
RegDB/
  Visible/285/male_back_v_05528_285.bmp …     identity / {male|female}_{front|back}_{v|t}_frame_identity.bmp
  Thermal/285/male_back_t_05630_285.bmp …
  idx/train_visible_1.txt …                   {train,test}_{visible,thermal}_{1..10}.txt, lines like
                                              "Visible/285/male_back_v_05528_285.bmp 0"; see data/README.md"""

PUBLISHED_LINES, PUBLISHED_IDENTITIES = 2060, 206  # of each list
PUBLISHED_IMAGES = 4120  # of each modality

_IMAGES = {
    name: re.compile(rf"{folder}/(?P<pid>[0-9]{{1,4}})/[^./\\:\s][^/\\:\s]*{IMAGE_SUFFIX}")
    for name, folder in FOLDERS.items()
}
_NAME = re.compile(r"(?:male|female)_(?:front|back)_(?P<modality>[vt])_[0-9]+_(?P<pid>[0-9]+)\..*")
_GET_LISTS = "take the idx folder that belongs to the data set; data/README.md says where it comes from"

Lists = dict[tuple[str, str], list[Listed]]
"""(``"train"`` or ``"test"``, ``"visible"`` or ``"thermal"``) → the lines of that list."""


class Listing(NamedTuple):
    """What lies in the two image folders: paths of ``images``, sorted, and names not understood."""

    images: list[str]
    strays: list[str]


def read(root: Path, split: int) -> pd.DataFrame:
    """The frame of a split, sorted by identity, camera and file name; every split of RegDB lists every image."""
    scan(root)
    rows = [
        (line.path, line.pid, CAMERAS[modality], part, int(modality == "thermal"))
        for (part, modality), listed in read_lists(root, split).items()
        for line in listed
    ]
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "split", "modality"])
    return frame.sort_values(["pid", "camid", "path"], ignore_index=True)


def scan(root: Path) -> Listing:
    """List the image folders. The root and its folders may be links; links deeper down must stay inside the root.

    Raises:
        FileNotFoundError: a folder is missing.
        ValueError: a link leads out of the root.
    """
    tree.require_folders(root, [*FOLDERS.values(), "idx"], EXPECTED_TREE, "regdb")
    images, strays = [], []
    for name, folder in FOLDERS.items():
        for _, image, path in tree.identity_images(root, folder, "[0-9]{1,4}", root, strays):
            (images if _IMAGES[name].fullmatch(path) and image.is_file() else strays).append(path)
    return Listing(images, strays)


def read_lists(root: Path, split: int) -> Lists:
    """The four lists of a split.

    Raises:
        FileNotFoundError, ValueError: a list is missing or malformed, a path leaves the root or belongs to the other
            modality, a label is out of range, or an identity is in training and in test.
    """
    lists, pids = {}, {}
    for part in ("train", "test"):
        for modality, folder in FOLDERS.items():
            file, example = root / "idx" / f"{part}_{modality}_{split}.txt", f"{folder}/285/name_285.bmp"
            lists[part, modality] = read_images(file, _IMAGES[modality], example, EXPECTED_TREE)
        both = lists[part, "visible"] + lists[part, "thermal"]
        require_labels(both, f"{root / 'idx'}/{part}_*_{split}.txt")
        pids[part] = {line.pid for line in both}
    if shared := sorted(pids["train"] & pids["test"]):
        raise ValueError(
            f"{root / 'idx'}: train and test of split {split} share {shared}; results would be void; {_GET_LISTS}"
        )
    return lists


def check(dataset: ReIDDataset) -> list[Problem]:
    """What is missing or odd in a RegDB tree; a tree that is no twin is compared with the published counts."""
    listing, problems, listed = scan(dataset.root), [], set()
    for split in SPLITS:
        try:
            lists = read_lists(dataset.root, split)
        except (OSError, ValueError) as error:
            problems.append(Problem("error", f"idx (split {split})", str(error), _GET_LISTS))
            continue
        listed |= {line.path for lines in lists.values() for line in lines}
        problems += _check_lists(lists, split) + ([] if dataset.is_twin else _check_published_lists(lists, split))
    if unlisted := sorted(set(listing.images) - listed):
        message = f"{len(unlisted)} images are in no list and not used"
        problems.append(Problem("warning", unlisted[0], message, _GET_LISTS))
    problems += _check_names(listing)
    return problems if dataset.is_twin else _check_published_images(listing) + problems


def _check_lists(lists: Lists, split: int) -> list[Problem]:
    """Visible and thermal lists that do not name the same identities, line by line."""
    problems = []
    for part in ("train", "test"):
        visible, thermal = ([line.pid for line in lists[part, modality]] for modality in FOLDERS)
        if visible != thermal:
            line = next(
                (i for i, (a, b) in enumerate(zip(visible, thermal, strict=False)) if a != b),
                min(len(visible), len(thermal)),
            )
            message = f"visible and thermal lists part at line {line + 1}; the published ones list equal identities"
            problems.append(Problem("error", f"idx/{part}_*_{split}.txt", message, _GET_LISTS))
    return problems


def _check_names(listing: Listing) -> list[Problem]:
    problems = left_out(listing.strays)
    for path in listing.images:
        folder, pid, name = path.split("/")
        if (match := _NAME.fullmatch(name)) and (match["modality"], match["pid"]) != (folder[0].lower(), pid):
            message = f"is named as {match['modality']!r}, identity {match['pid']}, but lies elsewhere"
            problems.append(Problem("warning", path, message, "copy the file again from the original archive"))
    return problems


def _check_published_lists(lists: Lists, split: int) -> list[Problem]:
    problems = []
    for (part, modality), lines in lists.items():
        found = len(lines), len({line.pid for line in lines})
        if found != (PUBLISHED_LINES, PUBLISHED_IDENTITIES):
            message = (
                f"{found[0]:,} lines of {found[1]} identities, published: {PUBLISHED_LINES:,} of {PUBLISHED_IDENTITIES}"
            )
            problems.append(Problem("error", f"idx/{part}_{modality}_{split}.txt", message, _GET_LISTS))
    return problems


def _check_published_images(listing: Listing) -> list[Problem]:
    found = Counter(path.split("/")[0] for path in listing.images)
    fix = "copy the tree again from the original archive"
    return [
        Problem("error", folder, f"{found[folder]:,} images, published: {PUBLISHED_IMAGES:,}", fix)
        for folder in FOLDERS.values()
        if found[folder] != PUBLISHED_IMAGES
    ]


READER = Reader("RegDB", read, check, SPLITS, modalities=("visible", "thermal"))
