"""LLCM: nine cameras, visible by day, near-infrared by night (Zhang & Wang, DEEN, CVPR 2023).

Tree and lists are documented by the code that reads them (ZYK100/LLCM). ``vis`` and ``nir`` hold every image; training
images are those of the training lists. Test images lie a second time in ``test_vis`` and ``test_nir``, sorted by
camera and identity, and these copies are the test rows of the frame: all protocols are defined on them. Camera numbers
are shared between the modalities.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reidlib.data import tree
from reidlib.data.dataset import Reader, ReIDDataset
from reidlib.data.lists import IMAGE_SUFFIX, Listed, read_images, require_labels
from reidlib.data.report import Problem, left_out

CAMERAS = tuple(range(1, 10))
MODALITIES = {"vis": 0, "nir": 1}
EMPTY = "test_nir/cam3"  # in the published tree
EXPECTED_TREE = f"""\
LLCM/
  vis/0001/0001_c01_s185535_f7010_vis.jpg …     identity / identity_cCAMERA_sTIME_fFRAME_vis.jpg
  nir/0001/0001_c01_s200656_f4830_nir.jpg …
  test_vis/cam1/0005/*.jpg …                    cam1 to cam9 / identity, the test images again
  test_nir/cam1/0005/*.jpg …                    ({EMPTY} is empty)
  idx/train_vis.txt, train_nir.txt              lines like "vis/0001/0001_c01_s185535_f7010_vis.jpg 0"
  idx/test_vis.txt, test_nir.txt                the same for the test images
  idx/test_id.txt                               one line of comma-separated identities"""

PUBLISHED_IMAGES = {("train", "vis"): 16_946, ("train", "nir"): 13_975, ("test", "vis"): 8_680, ("test", "nir"): 7_166}
PUBLISHED_IDENTITIES = {"train": 713, "test": 351}

_LINES = {
    name: re.compile(rf"{name}/(?P<pid>[0-9]{{4}})/[0-9]{{4}}_c(?P<camid>0[1-9])_[^/\\:\s]*{IMAGE_SUFFIX}")
    for name in MODALITIES
}
_TEST_IMAGE = re.compile(rf"[^./\\:\s][^/\\:\s]*{IMAGE_SUFFIX}")
_TEST_NAME = re.compile(r"(?P<pid>[0-9]{4})_c(?P<camid>[0-9]{2})_.*")
_COPY_AGAIN = "copy the tree again from the original archive, and the lists in idx/ with it"


class Listing(NamedTuple):
    """What lies in the test folders: ``images`` as (pid, camid, modality, path), sorted, and names not understood."""

    images: list[tuple[int, int, str, str]]
    strays: list[str]


def read(root: Path, split: None = None) -> pd.DataFrame:
    """The frame of an LLCM tree, sorted by identity, modality, camera and file name.

    Training rows are the lines of the training lists, test rows the images of listed identities in the test folders.
    """
    listing, training, test_pids = scan(root), read_training(root), set(read_test_ids(root))
    if shared := sorted(test_pids & {line.pid for lines in training.values() for line in lines}):
        raise ValueError(
            f"{root / 'idx'}: test_id and the training lists share {shared}; results would be void; {_COPY_AGAIN}"
        )
    rows = [
        (line.path, line.pid, int(_LINES[name].fullmatch(line.path)["camid"]), MODALITIES[name], "train")
        for name, lines in training.items()
        for line in lines
    ]
    rows += [
        (path, pid, camid, MODALITIES[name], "test") for pid, camid, name, path in listing.images if pid in test_pids
    ]
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])
    return frame.sort_values(["pid", "modality", "camid", "path"], ignore_index=True)


def scan(root: Path) -> Listing:
    """List the test folders, and look for links that lead out of the root in ``vis`` and ``nir``.

    The root and its folders may be links; links deeper down must stay inside the root.

    Raises:
        FileNotFoundError: a folder is missing (the one that is published empty may be: archives drop such folders).
        ValueError: a link leads out of the root.
    """
    cameras = {f"test_{name}/cam{camid}": (name, camid) for name in MODALITIES for camid in CAMERAS}
    tree.require_folders(
        root, [*MODALITIES, "idx", *(path for path in cameras if path != EMPTY)], EXPECTED_TREE, "llcm"
    )
    for name in MODALITIES:
        list(tree.identity_images(root, name, "(?s).*", root, []))  # refuses links
    images, strays = [], []
    for folder, (name, camid) in cameras.items():
        found = tree.identity_images(root, folder, "[0-9]{4}", root, strays) if (root / folder).is_dir() else ()
        for pid, image, path in found:
            if _TEST_IMAGE.fullmatch(image.name) and image.is_file():
                images.append((pid, camid, name, path))
            else:
                strays.append(path)
    return Listing(sorted(images), strays)


def read_training(root: Path) -> dict[str, list[Listed]]:
    """The lines of ``idx/train_vis.txt`` and ``idx/train_nir.txt``, by ``"vis"`` and ``"nir"``.

    Raises:
        FileNotFoundError, ValueError: a list is missing or malformed, a path leaves the root or belongs to the other
            modality, or a label is out of range or means another identity in the other list.
    """
    lists = {name: _read_list(root, "train", name) for name in MODALITIES}
    require_labels([line for lines in lists.values() for line in lines], f"{root / 'idx'}/train_*.txt")
    return lists


def read_test_ids(root: Path) -> list[int]:
    """The identities of ``idx/test_id.txt``, as written.

    Raises:
        FileNotFoundError, ValueError: the list is missing or malformed.
    """
    return tree.read_ids(root / "idx" / "test_id", EXPECTED_TREE)


def _read_list(root: Path, part: str, name: str) -> list[Listed]:
    example = f"{name}/0001/0001_c01_s185535_f7010_{name}.jpg"
    return read_images(root / "idx" / f"{part}_{name}.txt", _LINES[name], example, EXPECTED_TREE)


def check(dataset: ReIDDataset) -> list[Problem]:
    """What is missing or odd in an LLCM tree; a tree that is no twin is compared with the published counts."""
    listing, test_pids = scan(dataset.root), read_test_ids(dataset.root)
    problems = _check_ids(listing, test_pids) + _check_names(listing)
    for name in MODALITIES:
        problems += _check_test_list(dataset.root, listing, set(test_pids), name)
    return problems if dataset.is_twin else _check_published(dataset, listing) + problems


def _check_ids(listing: Listing, pids: list[int]) -> list[Problem]:
    where, present = "idx/test_id.txt", {pid for pid, *_ in listing.images}
    problems = tree.check_ids(where, pids, present)
    if unlisted := sorted(present - set(pids)):
        message = f"test folders hold identities that it does not list; they are not used: {unlisted}"
        problems.append(Problem("warning", where, message, _COPY_AGAIN))
    return problems


def _check_names(listing: Listing) -> list[Problem]:
    problems = left_out(listing.strays)
    for pid, camid, _, path in listing.images:
        if match := _TEST_NAME.fullmatch(path.rsplit("/", 1)[1]):
            named = int(match["pid"]), int(match["camid"])
            if named != (pid, camid):
                message = f"is named as identity {named[0]}, camera {named[1]}, but lies elsewhere"
                problems.append(Problem("warning", path, message, _COPY_AGAIN))
    return problems


def _check_test_list(root: Path, listing: Listing, pids: set[int], name: str) -> list[Problem]:
    """The test list and the test folders of a modality must hold the same file names; protocols use the folders."""
    where, folder = f"idx/test_{name}.txt", f"test_{name}"
    try:
        listed = {line.path.rsplit("/", 1)[1] for line in _read_list(root, "test", name)}
    except FileNotFoundError:
        message = f"is missing, so {folder} cannot be compared with it"
        return [Problem("warning", where, message, _COPY_AGAIN)]
    except ValueError as error:
        return [Problem("error", where, str(error), _COPY_AGAIN)]
    found = {path.rsplit("/", 1)[1] for pid, _, modality, path in listing.images if modality == name and pid in pids}
    if listed == found:
        return []
    example = min(listed ^ found)
    message = f"{len(listed - found)} names are only in the list, {len(found - listed)} only in {folder}: {example} …"
    return [Problem("error", where, message, _COPY_AGAIN)]


def _check_published(dataset: ReIDDataset, listing: Listing) -> list[Problem]:
    """Differences from the published numbers of images and identities, and images in the folder that has none."""
    problems, frame = [], dataset.frame
    for (split, name), published in PUBLISHED_IMAGES.items():
        count = int(((frame["split"] == split) & (frame["modality"] == MODALITIES[name])).sum())
        if count != published:
            message = f"{count:,} {name} images, published: {published:,}"
            problems.append(Problem("error", split, message, _COPY_AGAIN))
    for split, published in PUBLISHED_IDENTITIES.items():
        if (count := frame.loc[frame["split"] == split, "pid"].nunique()) != published:
            problems.append(Problem("error", split, f"{count} identities, published: {published}", _COPY_AGAIN))
    if count := sum(path.startswith(f"{EMPTY}/") for *_, path in listing.images):
        message = f"{count:,} images, published: none; DEEN's protocol does not look here"
        problems.append(Problem("warning", EMPTY, message, _COPY_AGAIN))
    return problems


READER = Reader("LLCM", read, check)
