"""QMUL-ShoeV2 and QMUL-ChairV2: product photos, and sketches that amateurs drew of each (Yu et al., QMUL SketchX).

Documented (the released ChairV2 files, and public code that reads both sets). The sets are passed on in two layouts:

* strokes: ``photo/<name>.png`` and a pickle, ``ChairV2_Coordinate`` or ``ShoeV2_Coordinate``, that holds every sketch
  as points; `reidlib.data.unpickle` reads it, and a sketch is drawn when its image is asked for;
* images: photos in ``trainB``, ``testB``; sketches in ``trainA``, ``testA``, as PNG whose alpha holds the strokes.

A sketch belongs to the photo called like everything before its last underscore: names hold underscores themselves.
"""

import re
import threading
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from reidlib.data import marks, tree
from reidlib.data.dataset import Reader, ReIDDataset
from reidlib.data.decode import read_image
from reidlib.data.qmul_kinds import KINDS, Kind
from reidlib.data.report import Problem, left_out
from reidlib.data.unpickle import load_arrays

PHOTO, SKETCH = 0, 1
CANVAS = 256
"""Coordinates of strokes run from 0 to 256, x to the right and y down; sketches are drawn on that many pixels."""

_MOST_POINTS = 100_000  # of a sketch, which people draw with hundreds

PHOTOS = {"train": "trainB", "test": "testB"}
SKETCHES = {"train": "trainA", "test": "testA"}
_IMAGE = re.compile(r"(.+)\.(?:jpg|jpeg|png|bmp)", re.IGNORECASE)
_SKETCH = re.compile(r"(.+)_([0-9]{1,6})")
_KEY = re.compile(r"/(train|test)/([^/\\\x00-\x1f\x7f]+)")


@dataclass
class Listing:
    """What a tree holds: photos (name → path), rows (name, modality, number, path, split), and what was left out."""

    photos: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[str, int, int, str, str]] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    unsketched: list[str] = field(default_factory=list)


def read(kind: Kind, root: Path, split: None = None) -> pd.DataFrame:
    """The frame of a tree in either layout, sorted by photo name, photo before sketches, sketches by number.

    ``pid`` is the position of the photo among all photo names in ascending order, train and test together; ``camid``
    is 0 for photos and 1 for sketches; the column ``name`` holds the photo's name.
    """
    listing = scan(kind, root)
    pids = {name: pid for pid, name in enumerate(sorted(listing.photos))}
    rows = [
        (path, pids[name], modality, modality, part, name) for name, modality, _, path, part in sorted(listing.rows)
    ]
    if not rows:
        raise ValueError(f"{root}: no sketch of any photo was found; expected tree:\n{kind.expected_tree}")
    return pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split", "name"])


def scan(kind: Kind, root: Path) -> Listing:
    """List a tree in the layout it has.

    Raises:
        FileNotFoundError: a part of the layout is missing.
        ValueError: both layouts are there; a name is taken twice, or is in train and in test; a sketch lacks its photo;
            the pickle cannot be trusted or its content is wrong.
    """
    strokes = [place for place in ("photo", kind.pickle) if (root / place).exists()]
    images = [place for place in (*PHOTOS.values(), *SKETCHES.values()) if (root / place).is_dir()]
    if strokes and images:
        raise ValueError(
            f"{root} holds two layouts, {', '.join(strokes)} and {', '.join(images)}, and which one is meant cannot be "
            f"told; move one of them away. Expected either:\n{kind.expected_tree}"
        )
    needed = ("photo", kind.pickle) if strokes else (*PHOTOS.values(), *SKETCHES.values())
    if missing := [place for place in needed if place not in strokes + images]:
        raise FileNotFoundError(
            f"{root} lacks {', '.join(missing)}; {_hint(kind, root)}expected tree:\n{kind.expected_tree}"
        )
    return _scan_strokes(kind, root) if strokes else _scan_images(root)


def _hint(kind: Kind, root: Path) -> str:
    for other in KINDS.values():
        if other is not kind and (root / other.pickle).exists():
            return f"{other.pickle} is there: this is the tree of {other.name!r}; "
    return marks.hint(kind.name, root)


def _scan_strokes(kind: Kind, root: Path) -> Listing:
    listing = Listing()
    for name, path in _photos(root, "photo", listing):
        listing.photos[name] = path
    splits: dict[str, str] = {}
    for key in load_sketches(root / kind.pickle):
        _, split, label = key.split("/")
        name, number = _SKETCH.fullmatch(label).groups()
        if splits.setdefault(name, split) != split:
            raise ValueError(
                f"{root / kind.pickle}: sketches of {name!r} are in train and in test; results would be void"
            )
        listing.rows.append((name, SKETCH, int(number), kind.pickle + key, split))
    _require_photos(listing, root)
    for name, path in listing.photos.items():
        if name in splits:
            listing.rows.append((name, PHOTO, 0, path, splits[name]))
        else:
            listing.unsketched.append(path)
    return listing


def _scan_images(root: Path) -> Listing:
    listing = Listing()
    for split, folder in PHOTOS.items():
        for name, path in _photos(root, folder, listing):
            listing.photos[name] = path
            listing.rows.append((name, PHOTO, 0, path, split))
    splits = {name: split for name, _, _, _, split in listing.rows}
    for split, folder in SKETCHES.items():
        for label, path in _images(root, folder, listing):
            if (match := _SKETCH.fullmatch(label)) is None:
                listing.strays.append(path)
                continue
            name, number = match.groups()
            if splits.get(name, split) != split:
                raise ValueError(f"{root / path}: its photo is in {PHOTOS[splits[name]]}, not in {PHOTOS[split]}")
            listing.rows.append((name, SKETCH, int(number), path, split))
    _require_photos(listing, root)
    return listing


def _images(root: Path, folder: str, listing: Listing) -> list[tuple[str, str]]:
    """(name without suffix, path) of the images in a folder; the rest goes to the strays."""
    found = []
    for entry, path in tree.inside(root, folder):
        if (match := _IMAGE.fullmatch(entry.name)) and entry.is_file():
            found.append((match[1], path))
        else:
            listing.strays.append(path)
    return found


def _photos(root: Path, folder: str, listing: Listing) -> list[tuple[str, str]]:
    found, seen = _images(root, folder, listing), dict(listing.photos)
    for name, path in found:
        if name in seen:
            raise ValueError(f"{root}: two photos are called {name!r}, {seen[name]} and {path}; keep one")
        seen[name] = path
    return found


def _require_photos(listing: Listing, root: Path) -> None:
    if orphans := sorted(path for name, _, _, path, _ in listing.rows if name not in listing.photos):
        more = f" (and {len(orphans) - 1} more)" if len(orphans) > 1 else ""
        raise ValueError(
            f"{root}: the sketch {orphans[0]} has no photo{more}: nothing is called like what stands before its last "
            "underscore; complete the photos from the original archive, or take the sketch away"
        )


def load_sketches(path: Path) -> dict[str, np.ndarray]:
    """The strokes in a coordinate pickle: key ``/train/<name>_<k>`` → float64 (N, 3): x, y, and 1 where a stroke ends.

    Raises:
        ValueError: the pickle asks for more than arrays, or a key or an array is not like this; both are named.
    """
    state = path.stat()
    with _lock:  # threads that decode ask for the same file at once
        return _load_sketches(path, state.st_size, state.st_mtime_ns)


_lock = threading.Lock()


@lru_cache(maxsize=2)
def _load_sketches(path: Path, size: int, modified: int) -> dict[str, np.ndarray]:
    sketches = load_arrays(path)
    for key, points in sketches.items():
        match = _KEY.fullmatch(key)
        if match is None or not _SKETCH.fullmatch(match[2]):
            raise ValueError(f"{path}: key {key[:80]!r} is not like '/train/<name>_<k>' or '/test/<name>_<k>'")
        if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0 or points.dtype.kind not in "fiu":
            found = f"{points.dtype} {points.shape}"
            raise ValueError(f"{path}: key {key!r}: expected (N, 3) numbers: x, y, pen state; found {found}")
        if len(points) > _MOST_POINTS:
            raise ValueError(f"{path}: key {key!r} holds {len(points):,} points; a sketch has {_MOST_POINTS:,} at most")
        if not np.isfinite(points).all() or np.abs(points - CANVAS / 2).max() > 4 * CANVAS:
            raise ValueError(f"{path}: key {key!r} holds points that are not on the canvas (0 to {CANVAS})")
        sketches[key] = points.astype(np.float64)
    return sketches


def decode(kind: Kind, root: Path, path: str) -> Image.Image:
    """The image of a row: strokes are drawn, black on white; images lie on white, which shows alpha as strokes."""
    if not path.startswith(f"{kind.pickle}/"):
        return read_image(root / path)
    try:
        points = load_sketches(root / kind.pickle)[path.removeprefix(kind.pickle)]
    except (KeyError, ValueError) as error:  # the file changed since the tree was read
        raise OSError(f"cannot decode {root / path}: {error}") from error
    return draw(points)


def draw(points: np.ndarray) -> Image.Image:
    """A sketch (N, 3) on a white page of 256×256 pixels, in black lines 3 pixels wide with smooth edges.

    The width is reconstructed: the pickle holds none.
    """
    from reidlib.compiled.strokes import ink  # compiled: listing a tree does not need it

    strokes = np.split(points[:, :2], np.flatnonzero(points[:-1, 2] == 1) + 1)
    return Image.fromarray(255 - ink(strokes, CANVAS, CANVAS)).convert("RGB")


def files(kind: Kind, path: str) -> tuple[str]:
    """The file that the image of a row is made of."""
    return (kind.pickle,) if path.startswith(f"{kind.pickle}/") else (path,)


def check(kind: Kind, dataset: ReIDDataset) -> list[Problem]:
    """What is odd in a tree; one that is no twin is compared with the published numbers."""
    listing = scan(kind, dataset.root)
    message = "has no sketch, so its split is not known; it was left out"
    problems = [Problem("warning", path, message, "complete the pickle") for path in listing.unsketched]
    problems += left_out(listing.strays)
    return problems if dataset.is_twin else _check_published(kind, dataset) + problems


def _check_published(kind: Kind, dataset: ReIDDataset) -> list[Problem]:
    counted = {
        split: tuple(len(dataset.rows(split, modality)) for modality in (PHOTO, SKETCH)) for split in kind.images
    }
    if other := next((each for each in KINDS.values() if each is not kind and _is_of(each, counted)), None):
        message = f"as many photos as {other.title} has, and none of {kind.title}: is this the tree of {other.name!r}?"
        return [Problem("error", split, message, f"open it as {other.name!r}") for split in counted]
    problems = []
    for split, published in kind.images.items():
        found = counted[split]
        message = f"{found[0]:,} photos and {found[1]:,} sketches, published: {published[0]:,} and {published[1]:,}"
        if counted == kind.online:
            problems.append(Problem("note", split, f"{message} (the copy that is offered online; say what you used)"))
        elif not kind.exact:
            problems.append(Problem("note", split, f"{message} (copies in use differ; say what you used)"))
        elif found != published:
            problems.append(Problem("error", split, message, "copy the tree again from the original archive"))
    return problems


def _is_of(kind: Kind, counted: dict[str, tuple[int, int]]) -> bool:
    """Whether there are as many photos as in this set."""
    return all(counted[split][PHOTO] == published[PHOTO] for split, published in kind.images.items())


def _reader(kind: Kind) -> Reader:
    return Reader(  # partials, not lambdas: a sweep sends its data sets to other processes
        kind.title,
        read=partial(read, kind),
        check=partial(check, kind),
        modalities=("photo", "sketch"),
        shape="square",
        decode=partial(decode, kind),
        files=partial(files, kind),
        local_pids=True,
    )


SHOE, CHAIR = _reader(KINDS["shoe"]), _reader(KINDS["chair"])
