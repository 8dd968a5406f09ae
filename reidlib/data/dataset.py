"""A data set on disk, as a tidy frame with one row per image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from PIL import Image

from reidlib import paths, profiles
from reidlib.console import progress, spelling
from reidlib.data import decode
from reidlib.data.cache import ImageCache, just, open_cache
from reidlib.data.report import CheckReport, Problem

if TYPE_CHECKING:
    from reidlib.data.registry import Truth

SPLITS = ("train", "test")
MODALITIES = {0: "visible/photo", 1: "infrared/sketch"}
_OPENED: WeakKeyDictionary["ReIDDataset", dict[tuple[int, int], ImageCache]] = WeakKeyDictionary()  # stays unpickled
_UNSAFE_PATH = r"^$|^/|^[A-Za-z]:|\\|//|(?:^|/)\.\.?(?:/|$)"


@dataclass(frozen=True)
class Reader:
    """How one data set is read: one of these per file in this folder.

    ``read(root, split)`` returns the frame; it lists the same files in the same order for every split, so that all
    splits share one cache. ``check(dataset)`` returns what is odd about the tree, beyond what every data set is
    checked for. ``splits`` are the split numbers the publishers define, empty if there is one split only.
    ``modalities`` are the names of modality 0 and 1 in captions; ``shape`` is that of the images, see
    :meth:`reidlib.profiles.Profile.size`. ``local_pids`` says that pids number what one tree holds: in another profile
    of its twin they are somebody else's.

    Two more for trees whose rows are not plain image files (strokes kept in one file, faces that must be aligned):
    ``decode(root, path)`` returns the image of a row, ``None`` for the file at ``root / path``; it raises ``OSError``
    naming what is damaged. ``files(path)`` are the files the image is made of, relative to the root; ``None`` for
    ``path`` alone.
    """

    title: str
    read: Callable[[Path, int | None], pd.DataFrame]
    check: Callable[["ReIDDataset"], list[Problem]]
    splits: Sequence[int] = ()
    modalities: tuple[str, str] = ("visible", "infrared")
    shape: str = "person"
    decode: Callable[[Path, str], Image.Image] | None = None
    files: Callable[[str], Sequence[str]] | None = None
    local_pids: bool = False


@dataclass(frozen=True, eq=False)
class ReIDDataset:
    """One data set, real or synthetic; nothing in it depends on which.

    ``frame`` has a ``RangeIndex`` and the columns ``path`` (relative to ``root``, forward slashes), ``pid`` (as the
    data set numbers them), ``camid``, ``modality`` (0 visible/photo, 1 infrared/sketch) and ``split`` (``"train"`` or
    ``"test"``); readers may add columns. *Row* always means a position in this frame. ``own_split`` says how train and
    test were told apart where that is not the publishers' split; ``None`` where it is.
    """

    name: str
    root: Path
    frame: pd.DataFrame = field(repr=False)
    reader: Reader = field(repr=False)
    split: int | None = None
    is_twin: bool = False
    twin_version: str | None = None
    profile: str | None = None
    own_split: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", validated(self.frame, self.root))

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def title(self) -> str:
        """Name for tables and captions; says so when the images are synthetic."""
        twin = f" ({profiles.twin_title(self.profile)} {self.twin_version}, {self.profile})" if self.is_twin else ""
        split = f", split {self.split}" if self.split is not None else ""
        split = f", own split ({self.own_split})" if self.own_split is not None else split
        return f"{self.reader.title}{twin}{split}"

    @property
    def is_development(self) -> bool:
        """Whether its test shows people to choose by: a development twin, see `reidlib.profiles.DEVELOPMENT`."""
        return self.is_twin and profiles.is_development(self.profile)

    def rows(
        self, split: str | None = None, modality: int | None = None, camids: Sequence[int] | None = None
    ) -> np.ndarray:
        """Positions (int64, ascending) of the frame rows that match every condition given.

        Raises:
            ValueError: an unknown split or modality, or a camera the data set does not have.
        """
        keep = np.ones(len(self.frame), dtype=bool)
        if split is not None:
            keep &= (self.frame["split"] == _one_of("split", split, SPLITS)).to_numpy()
        if modality is not None:
            keep &= self.frame["modality"].to_numpy() == _one_of("modality", modality, tuple(MODALITIES))
        if camids is not None:
            cameras = self.frame["camid"].to_numpy()
            known = tuple(np.unique(cameras).tolist())
            keep &= np.isin(cameras, [_one_of("camera", camid, known) for camid in camids])
        return np.flatnonzero(keep)

    def train_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Class labels 0 … C-1 (int64) of the training rows in row order, and the ``C`` sorted pids they stand for."""
        pids, labels = np.unique(self.frame["pid"].to_numpy()[self.rows("train")], return_inverse=True)
        return labels.astype(np.int64), pids

    def summary(self) -> pd.DataFrame:
        """Number of images and identities per split, modality and camera."""
        groups = self.frame.groupby(["split", "modality", "camid"], sort=True)
        table = groups.agg(images=("path", "size"), identities=("pid", "nunique")).reset_index()
        order = table["split"].map(SPLITS.index)
        return table.iloc[np.argsort(order.to_numpy(), kind="stable")].reset_index(drop=True)

    def images(self, height: int, width: int, *, progress: bool = True) -> ImageCache:
        """All images at one size as bytes, aligned with the frame; decoded on the first call, then mapped from disk.

        Whether files have changed is asked once: a data set that was opened shows them as they were at its first call.

        Raises:
            OSError: an image is missing or damaged (named), or the disk is too full.
        """
        opened = _OPENED.setdefault(self, {})
        if (height, width) not in opened:
            opened[height, width] = open_cache(
                *(self.name, self.root, self.frame["path"].tolist(), height, width),
                decode=self.reader.decode,
                files=self.reader.files,
                progress=progress,
            )
        return opened[height, width]

    def image(self, row: int) -> Image.Image:
        """One image in RGB, at its own size.

        Raises:
            OSError: the file is missing or damaged (named).
        """
        return decode.read_row(self.root, self.frame["path"].iloc[row], self.reader.decode)

    def truth(self, row: int) -> "Truth":
        """What was rendered at a row of a twin: person mask, part mask, identity factors.

        Raises:
            ValueError: this is not a twin; nobody knows the truth behind a photograph.
        """
        if not self.is_twin:
            remedy = f"open one with {spelling.argument('twin', 'cpu')}"
            raise ValueError(f"{self.root} is not a synthetic twin, so it has no known truth; {remedy}")
        from reidlib.data.registry import renderer

        return renderer().truth(self.root, self.frame["path"].iloc[row])

    def check(self, decode: bool = False) -> CheckReport:
        """Look for what is missing or odd; ``decode=True`` also decodes every image (minutes on a full data set)."""
        try:
            problems = self.reader.check(self)
        except (OSError, ValueError) as error:  # the tree changed since it was opened
            problems = [Problem("error", str(self.root), str(error))]
        problems += (_check_twin(self) if self.is_twin else []) + _check_modalities(self) + _check_files(self, decode)
        return CheckReport(self.title, problems)


def validated(frame: pd.DataFrame, root: Path) -> pd.DataFrame:
    """A copy of ``frame`` with the promised columns and types.

    Raises:
        ValueError: what is wrong, with the column and the offending file.
    """
    if missing := [name for name in ("path", "pid", "camid", "modality", "split") if name not in frame.columns]:
        raise ValueError(f"{root}: the frame lacks the column(s) {', '.join(missing)}")
    if frame.empty:
        raise ValueError(f"{root}: there is no image in the frame")
    frame = frame.reset_index(drop=True)
    for column in ("path", "split"):
        is_text = frame[column].map(lambda value: isinstance(value, str)).astype(bool)
        _refuse(frame, ~is_text, column, "must be text", root)
    listed, rule = frame["path"].astype("str"), "must be relative, inside the root, with '/' between"
    _refuse(frame, listed.str.contains(_UNSAFE_PATH), "path", rule, root)
    _refuse(frame, listed.duplicated(), "path", "is listed twice", root)
    for column in ("pid", "camid", "modality"):
        if not pd.api.types.is_integer_dtype(frame[column]) or frame[column].hasnans:
            raise ValueError(f"{root}: column {column!r} must hold whole numbers, not {frame[column].dtype}")
        frame[column] = frame[column].astype("int64")
    _refuse(frame, ~frame["modality"].isin(list(MODALITIES)), "modality", f"must be one of {tuple(MODALITIES)}", root)
    _refuse(frame, ~frame["split"].isin(list(SPLITS)), "split", f"must be one of {SPLITS}", root)
    in_both = set(frame.loc[frame["split"] == "train", "pid"]) & set(frame.loc[frame["split"] == "test", "pid"])
    _refuse(frame, frame["pid"].isin(in_both), "pid", "is both in train and in test", root)
    return frame


def _refuse(frame: pd.DataFrame, bad: pd.Series, column: str, rule: str, root: Path) -> None:
    if bad.any():
        path, value = frame.loc[bad, "path"].iloc[0], frame.loc[bad, column].tolist()[0]
        more = f" (and {int(bad.sum()) - 1} more rows)" if bad.sum() > 1 else ""
        raise ValueError(f"{root}: {path}: {column} {value!r} {rule}{more}")


def _one_of(what: str, value: object, known: tuple) -> object:
    if value not in known:
        raise ValueError(f"unknown {what} {value!r}; choose from {known}")
    return value


def _check_twin(dataset: ReIDDataset) -> list[Problem]:
    build_again = "delete the folder of the twin and open it again"
    try:
        written = (paths.read_manifest(dataset.root) or {"images": 0})["images"]
    except (OSError, ValueError) as error:  # changed since the twin was opened
        return [Problem("error", paths.MANIFEST, str(error), build_again)]
    if written == len(dataset):
        return []
    message = f"{written:,} images were rendered, {len(dataset):,} are there"
    return [Problem("error", paths.MANIFEST, message, build_again)]


def _check_modalities(dataset: ReIDDataset) -> list[Problem]:
    """Identities seen in one modality only: they have no cross-modality pair."""
    counts = dataset.frame.groupby(["split", "pid"])["modality"].agg(["nunique", "first"])
    names = dict(zip(dataset.frame["pid"], dataset.frame.get("identity", ()), strict=False))
    problems = []
    for (split, pid), (number, modality) in counts.iterrows():
        if number == 1:
            lacking = (dataset.reader.modalities if names else MODALITIES)[1 - int(modality)]  # of one's own, by name
            sampler = spelling.either(" (or sample with PKSampler(..., allow_missing_modality=True))", "")
            fix = f"give the other modality, or take the identity out{sampler}"
            fix = fix if split == "train" else "complete the tree; such an identity is never matched across modalities"
            who = f"identity {names.get(pid, pid)}"
            problems.append(Problem("warning", who, f"({split}) has no {lacking} image", fix))
    return problems


def _check_files(dataset: ReIDDataset, decode_all: bool) -> list[Problem]:
    """Files that vanished, are empty, or (``decode_all``) cannot be decoded."""
    gone, empty = [], []
    sources = {path: (dataset.reader.files or just)(path) for path in dataset.frame["path"]}
    for path in dict.fromkeys(path for several in sources.values() for path in several):
        file = dataset.root / path
        if not file.is_file() or not file.stat().st_size:
            (empty if file.is_file() else gone).append(path)
    full = [path for path, several in sources.items() if not {*gone, *empty}.intersection(several)]
    copy_again = "copy the file again from the original archive"
    problems = [Problem("error", path, "the file has gone", copy_again) for path in gone]
    problems += [Problem("error", path, "the file is empty", copy_again) for path in empty]
    if decode_all:
        messages = decode.in_threads(partial(_decoding_error, dataset), full)
        for path, message in zip(full, progress.bar(messages, "decoding", len(full)), strict=True):
            if message:
                problems.append(Problem("error", path, message[0], message[1] or copy_again))
    return problems


def _decoding_error(dataset: ReIDDataset, path: str) -> tuple[str, str] | None:
    """What is wrong with an image and what to do about it, ``""`` if it is damaged."""
    try:
        decode.read_row(dataset.root, path, dataset.reader.decode)
    except OSError as error:
        if isinstance(error.__cause__, decode.UnfitImage):
            return f"cannot be used: {error.__cause__.message}", error.__cause__.remedy
        return f"cannot be decoded: {error.__cause__ or error}", ""
    return None
