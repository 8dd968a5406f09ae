"""What folders and tables of one's own have in common: numbers for names, a split of the identities, the frame.

`reidlib.data.folders` and `reidlib.data.table` list pictures; here they become a :class:`ReIDDataset` that is called by
its own name, never by that of a published data set. ``identity`` and ``camera`` are columns of its frame and keep the
names that ``pid`` and ``camid`` stand for.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from PIL import Image

from reidlib import profiles
from reidlib.data import decode, divisions
from reidlib.data.dataset import Reader, validated
from reidlib.data.divisions import plain

FORMATS = (*decode.FORMATS, "TIFF", "PPM", "WEBP")
"""What images of one's own may be."""
SUFFIX = re.compile(r"\.(?:jpg|jpeg|jpe|jfif|png|bmp|tif|tiff|ppm|pgm|webp)$", re.IGNORECASE)
NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
"""A data set's name is a folder of runs and a word of the command line."""
_MOST_DIGITS = 9


class Picture(NamedTuple):
    """One image: where it lies below the root, whom and what it shows, and where that is written, for messages."""

    path: str
    identity: str
    modality: int
    camera: str | None
    split: str | None
    where: str


def named(name: str | None, title: str | None, default: str, known: Iterable[str]) -> tuple[str, str]:
    """Name and title of a data set; without a name, one is made of the title or of ``default``, a folder's or file's.

    Raises:
        ValueError: the name is no word of small letters and digits, or that of a published data set.
    """
    known = tuple(known)
    title = (title or name or default).strip() or "own data"
    if not title.isprintable():
        raise ValueError(f"the title must be one printable line, not {title!r}; give title=")
    if name is None:
        plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "data"
        name = name if name[0].isalpha() and name not in known else f"own-{name}"
    if not NAME.fullmatch(name):
        raise ValueError(f"name must be lower-case letters and digits, with - or _ between, not {name!r}")
    if name in known:
        raise ValueError(
            f"{name!r} is a data set that reidlib knows; give yours another name, or open that one with "
            f"data.open({name!r}, root=…)"
        )
    return name, title


def require_modalities(modalities: Sequence[str]) -> tuple[str, str]:
    """Two different names, of which folders can be called and captions written."""
    found = tuple(modalities) if isinstance(modalities, list | tuple) else (modalities,)
    if len(found) != 2 or found[0] == found[1]:
        raise ValueError(f'modalities must be two different names, like ("visible", "infrared"), not {modalities!r}')
    for each in found:
        is_plain = isinstance(each, str) and each.strip() == each and each.isprintable()
        if not (is_plain and re.fullmatch(r"[^/\\,]+", each) and each not in (".", "..")):
            raise ValueError(f"modality {each!r} must be the name of a folder, without slashes and commas")
    return found


def require_shape(shape: str) -> str:
    profiles.get("ci").size(shape)
    return shape


def numbered(names: Iterable[str], what: str, root: Path, first: int = 0) -> dict[str, int]:
    """Name → number. Names that are all digits are their own numbers; else names count from ``first``, in order.

    Raises:
        ValueError: two names are one number, such as 1 and 0001.
    """
    known = sorted(set(names))
    if not all(re.fullmatch(f"[0-9]{{1,{_MOST_DIGITS}}}", name) for name in known):
        return {name: number for number, name in enumerate(known, start=first)}
    names_of: dict[int, str] = {}
    for name in known:
        if (other := names_of.setdefault(int(name), name)) != name:
            raise ValueError(f"{root}: {what} {other!r} and {name!r} are one number; spell it alike everywhere")
    return {name: number for number, name in names_of.items()}


def frame_of(
    pictures: Sequence[Picture], root: Path, division: divisions.Division, *, in_order: bool
) -> tuple[pd.DataFrame, str]:
    """The frame of some pictures, and what is to be said of its split.

    Args:
        division: how identities are divided, where pictures do not say so themselves.
        in_order: keep the pictures in the order given, instead of sorting them.

    Raises:
        ValueError: pictures disagree about their cameras or splits, an identity is in training and in test, or there
            are too few identities to divide; the message names the place.
    """
    frame = pd.DataFrame(pictures, columns=list(Picture._fields))
    _require_some(frame, root)
    for column, what in (("camera", "a camera"), ("split", "a split")):
        if (lacks := frame[column].isna()).any() and not lacks.all():
            with_it, without = frame.loc[~lacks, "where"].iloc[0], frame.loc[lacks, "where"].iloc[0]
            raise ValueError(f"{without} lacks {what}, unlike {with_it}; give {what} to every image or to none")
    frame["identity"] = frame["identity"].map(plain)
    frame["pid"] = frame["identity"].map(numbered(frame["identity"], "identities", root))
    if frame["camera"].isna().all():
        frame["camid"] = frame["modality"] + 1
        frame = frame.drop(columns="camera")
    else:
        frame["camera"] = frame["camera"].map(plain)
        frame["camid"] = frame["camera"].map(numbered(frame["camera"], "cameras", root, first=1))
    if not in_order:
        frame = frame.sort_values(["pid", "modality", "camid", "path"], ignore_index=True)
    if frame["split"].notna().all():
        divisions.require_apart(frame, root)
        label = "as given"
    else:
        frame, label = division.of(frame, root)
    others = [name for name in ("identity", "camera") if name in frame]
    columns = ["path", "pid", "camid", "modality", "split", *others]
    return validated(frame[columns].reset_index(drop=True), root), label


def _require_some(frame: pd.DataFrame, root: Path) -> None:
    if frame.empty:
        raise ValueError(f"{root} holds no image")
    for path, where in zip(frame["path"], frame["where"], strict=True):
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{root}: the file name {path!r} is not in UTF-8; rename it") from None
        if not path.isprintable():
            raise ValueError(f"{where}: the file name {path!r} holds signs that cannot be printed; rename it")


def reader(title: str, modalities: tuple[str, str], shape: str, read: Callable, check: Callable) -> Reader:
    """A reader of own data: pids count names. Partials, not lambdas: a sweep sends its data sets to other processes."""
    return Reader(title, read, check, modalities=modalities, shape=shape, decode=decoded, local_pids=True)


def decoded(root: Path, path: str) -> Image.Image:
    """The image of a row in RGB; ``OSError`` names what is damaged or of another format."""
    return decode.read_image(root / path, FORMATS)


def people(frame: pd.DataFrame) -> dict[int, str] | None:
    """pid → a digest of the identity's name, where pids only count names; ``None`` where names are numbers."""
    if "identity" not in frame:
        return None
    names: Mapping[int, str] = dict(zip(frame["pid"].tolist(), frame["identity"], strict=True))
    if all(name.isdecimal() for name in names.values()):
        return None
    return {pid: hashlib.sha256(name.encode()).hexdigest()[:12] for pid, name in sorted(names.items())}
