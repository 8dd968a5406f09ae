"""A folder of one's own as a data set: ``root/<modality>/<identity>/<anything>.jpg``.

Between identity and image there may be one more folder, the camera. ``root/train`` and ``root/test`` may hold a tree of
this form each; then they are the split.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import pandas as pd

from reidlib.console.spelling import argument, either
from reidlib.data import own, tree
from reidlib.data.dataset import SPLITS, Reader, ReIDDataset
from reidlib.data.divisions import Division
from reidlib.data.own import Picture
from reidlib.data.report import Problem, left_out

LISTS = ("train.txt", "test.txt")
"""In the root: lists of identities that are the split, unless others are given."""
_ALSO_CALLED = (
    ("visible", "vis", "rgb", "color", "colour", "photo", "photos", "day"),
    ("infrared", "ir", "nir", "thermal", "lwir", "night", "sketch", "sketches"),
)


@dataclass(frozen=True)
class Folders:
    """How a folder is read: its modalities, the pattern of cameras in file names, and its division."""

    modalities: tuple[str, str]
    cameras: str | None = None
    division: Division = field(default_factory=Division)


@dataclass
class Listing:
    """What lies in a folder: pictures, and paths of what was left out: other files, other folders, empty ones."""

    pictures: list[Picture] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def reader(folders: Folders, title: str, shape: str) -> Reader:
    """The reader of a folder, for :class:`ReIDDataset` and ``reidlib.data.register``."""
    return own.reader(title, folders.modalities, shape, partial(read, folders), partial(check, folders))


def read(folders: Folders, root: Path, split: None = None) -> pd.DataFrame:
    """The frame of a folder, sorted by identity, modality, camera and path."""
    return _read(folders, root)[0]


def _read(folders: Folders, root: Path) -> tuple[pd.DataFrame, str]:
    division = folders.division
    if not (division.train or division.test):
        lists = [(root / name,) if (root / name).is_file() else () for name in LISTS]
        division = Division(*lists, division.test_share, division.seed)
    frame, label = own.frame_of(scan(folders, root).pictures, root, division, in_order=False)
    return frame, "folders" if label == "as given" else label


def open_folder(root: Path, folders: Folders, name: str, title: str, shape: str) -> ReIDDataset:
    """The data set that a folder is read as; see :func:`reidlib.data.from_folders`."""
    frame, label = _read(folders, root)
    return ReIDDataset(name, root, frame, reader(folders, title, shape), own_split=label)


def scan(folders: Folders, root: Path) -> Listing:
    """List a folder. The root and the folders of modalities may be links; deeper links must stay inside the root.

    Raises:
        FileNotFoundError: the folder of a modality is missing; the message says what is there, and what may be meant.
        ValueError: a modality holds no image in folders of identities, a file name holds no camera, or a link leads out
            of the root.
    """
    listing, parts = Listing(), _parts(folders, root)
    for part, split in parts.items():
        for modality, name in enumerate(folders.modalities):
            _scan_modality(listing, root, f"{part}{name}", modality, split, folders.cameras)
        others = [entry.name for entry in tree.entries(root / part) if entry.is_dir()]
        listing.unused += [f"{part}{name}" for name in others if name not in folders.modalities]
    return listing


def _parts(folders: Folders, root: Path) -> dict[str, str | None]:
    """Prefix of the folders of modalities → the split that lies there."""
    if all((root / name).is_dir() for name in folders.modalities):
        return {"": None}
    if all((root / split / name).is_dir() for split in SPLITS for name in folders.modalities):
        return {f"{split}/": split for split in SPLITS}
    raise FileNotFoundError(_explained(folders, root))


def _scan_modality(
    listing: Listing, root: Path, folder: str, modality: int, split: str | None, cameras: str | None
) -> None:
    loose, before = [], len(listing.pictures)
    for identity, path in tree.inside(root, folder, root):
        if not identity.is_dir():
            loose.append(path)
            continue
        found = len(listing.pictures)
        for entry, inner in tree.inside(root, path, root):
            if entry.is_dir():
                for image, deepest in tree.inside(root, inner, root):
                    _add(listing, image, deepest, identity.name, modality, entry.name, split, cameras)
            else:
                _add(listing, entry, inner, identity.name, modality, None, split, cameras)
        if len(listing.pictures) == found:
            listing.empty.append(path)
    listing.strays += loose
    if len(listing.pictures) == before:
        flat = [path for path in loose if own.SUFFIX.search(path)]
        reason = (
            f"its {len(flat)} images lie in no folder of an identity; move {flat[0]} to {folder}/<identity>/, or list "
            "the images in a table (data.from_table)"
            if flat
            else "there is no image in folders of identities; expected " + _expected((folder,))
        )
        raise ValueError(f"{root / folder}: {reason}")


def _add(
    listing: Listing,
    entry: os.DirEntry,
    path: str,
    identity: str,
    modality: int,
    camera: str | None,
    split: str | None,
    cameras: str | None,
) -> None:
    if not own.SUFFIX.search(entry.name) or not entry.is_file():
        listing.strays.append(path)
        return
    if cameras is not None:
        if (match := re.search(cameras, entry.name)) is None or not match[1]:
            raise ValueError(
                f"{path}: the file name holds no camera: {argument('cameras', cameras, of='data')} does not match"
            )
        camera = match[1]
    listing.pictures.append(Picture(path, identity, modality, camera, split, path))


def require_pattern(cameras: str | None) -> str | None:
    """A regular expression with one group, or ``None``; ``ValueError`` otherwise."""
    if cameras is None:
        return None
    try:
        groups = re.compile(cameras).groups
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"{argument('cameras', cameras, of='data')} is no regular expression: {error}") from error
    if groups != 1:
        example = argument("cameras", r"_c(\d+)_", of="data")
        raise ValueError(f"{argument('cameras', cameras, of='data')} must have one group, the camera, as in {example}")
    return cameras


def _expected(folders: Sequence[str]) -> str:
    return " and ".join(f"{folder}/<identity>/<image>.jpg" for folder in folders)


def _explained(folders: Folders, root: Path) -> str:
    """What is missing, what is there instead, and how to go on."""
    missing = [name for name in folders.modalities if not (root / name).is_dir()]
    there = [entry.name for entry in tree.entries(root) if entry.is_dir()]
    shown = ", ".join(there[:12]) + (" …" if len(there) > 12 else "")
    holds = f"it holds the folders {shown}" if there else "it holds no folder"
    return (
        f"{root} lacks the folder {' and '.join(missing)}; {holds}. {_hint(folders, root, there)}Expected "
        f"{_expected(folders.modalities)}, with the names of the two folders as {argument('modalities', of='data')}"
    )


def _hint(folders: Folders, root: Path, there: list[str]) -> str:
    if guessed := _guessed(folders.modalities, there):
        return f"Did you mean {argument('modalities', guessed, of='data')}? "
    for name in there:
        inner = [entry.name for entry in tree.entries(root / name) if entry.is_dir()]
        if set(folders.modalities) <= set(inner) or (len(there) == 1 and _guessed(folders.modalities, inner)):
            is_identity = sum((root / each / folders.modalities[0]).is_dir() for each in there) > 1
            if is_identity:
                return (
                    f"Here the identity comes first ({name}/{folders.modalities[0]}); modality folders must: move the "
                    "folders, or list the images in a table (data.from_table). "
                )
            return f"Did you mean {either(f'root={str(root / name)!r}', f'--data folder={root / name}')}? "
    return ""


def _guessed(modalities: Sequence[str], there: Sequence[str]) -> tuple[str, str] | None:
    """The two of these folders that the modalities may be called."""
    lower = {name.lower(): name for name in there}
    found: list[str | None] = []
    for modality, known in zip(modalities, _ALSO_CALLED, strict=True):
        words = (modality.lower(), *known)
        exact = next((lower[word] for word in words if word in lower), None)
        close = get_close_matches(modality.lower(), lower, 1, 0.75)
        found.append(exact or (lower[close[0]] if close else None))
    rest = [name for name in there if name not in found]
    if len(there) == 2 and len(rest) == 1:  # the other one must be it
        found = [name or rest[0] for name in found]
    first, second = found
    return (first, second) if first and second and first != second else None


def check(folders: Folders, dataset: ReIDDataset) -> list[Problem]:
    """What was left out of a folder, beside what every data set is checked for."""
    listing = scan(folders, dataset.root)
    problems = left_out(listing.strays, "is no image in the folder of an identity")
    problems += [Problem("warning", path, "holds no image and was left out") for path in listing.empty]
    unused = f"is no folder of {' or '.join(folders.modalities)} and is not used"
    problems += [Problem("note", path, unused) for path in listing.unused]
    listed = {picture.path for picture in listing.pictures}
    if unlisted := sorted(listed - set(dataset.frame["path"])):
        message = f"{len(unlisted)} images are of nobody in the lists, and are not used"
        problems.append(Problem("note", unlisted[0], message))
    if new := sorted(set(dataset.frame["path"]) - listed):
        problems.append(Problem("error", new[0], f"{len(new)} images have gone since the folder was opened"))
    return problems
