"""Market-Sketch-1K: sketches by six artists of persons of Market-1501 (Lin et al., ACM MM 2023).

Tree, names and rules are documented by the owners' code and README (Lin-Kayla/subjectivity-sketch-reid): the identity
is the first four characters of every file name, ``photo/query`` holds the *gallery* despite its name, and training
photos of identities without a sketch are not used. Photos are named as in Market-1501 and carry their camera, 1 to 6; a
sketch has camera number 0, and its artist in column ``artist``.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reidlib.data import tree
from reidlib.data.dataset import Reader, ReIDDataset
from reidlib.data.report import Problem, left_out

ARTISTS = "ABCDEF"
FOLDERS = {"train": "train", "test": "query"}
EXPECTED_TREE = """\
Market-Sketch-1K/
  photo/train/0002_c1s1_000451_03.jpg …   identity, camera and sequence, frame, box
  photo/query/ …                          the gallery, despite the name
  sketch/A/train/0002….jpg …              A to F; file names begin with the four digits of the identity
  sketch/A/query/ …                       the queries"""

PUBLISHED_SKETCHES, PUBLISHED_IDENTITIES = 4763, 996
PUBLISHED_SKETCHES_OF_F = {"train": 497, "test": 493}
"""Sketches of artist F, as the README's erratum counts them; the numbers of the others are not published."""

_SUFFIX = r"\.(?:jpg|jpeg|png|bmp)"
_PHOTO = re.compile(rf"([0-9]{{4}})_c([1-6])(?:[^0-9].*)?{_SUFFIX}", re.IGNORECASE)
_SKETCH = re.compile(rf"([0-9]{{4}})(?:[^0-9].*)?{_SUFFIX}", re.IGNORECASE)
_COPY_AGAIN = "copy the tree again from the original archive"


class Listing(NamedTuple):
    """Photos as (pid, camid, path, split), sketches as (pid, artist, path, split); names not understood."""

    photos: list[tuple[int, int, str, str]]
    sketches: list[tuple[int, str, str, str]]
    strays: list[str]


def read(root: Path, split: None = None) -> pd.DataFrame:
    """The frame of a Market-Sketch-1K tree, by identity, photos before sketches, artists in alphabetical order."""
    listing = scan(root)
    drawn = {pid for pid, _, _, part in listing.sketches if part == "train"}
    rows = [
        (path, pid, camid, 0, "", part) for pid, camid, path, part in listing.photos if part == "test" or pid in drawn
    ]
    rows += [(path, pid, 0, 1, artist, part) for pid, artist, path, part in listing.sketches]
    if not rows:
        raise ValueError(f"{root}: no photo or sketch was found; expected tree:\n{EXPECTED_TREE}")
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "artist", "split"])
    return frame.sort_values(["pid", "modality", "artist", "camid", "path"], ignore_index=True)


def scan(root: Path) -> Listing:
    """List the image folders. The root and its folders may be links; deeper links must stay inside their folder.

    Raises:
        FileNotFoundError: a folder is missing.
        ValueError: a link leads out of its folder.
    """
    folders = [f"photo/{name}" for name in FOLDERS.values()]
    folders += [f"sketch/{artist}/{name}" for artist in ARTISTS for name in FOLDERS.values()]
    tree.require_folders(root, folders, EXPECTED_TREE, "market-sketch-1k")
    photos, sketches, strays = [], [], []
    for folder in folders:
        kind, *artist, name = folder.split("/")
        part = next(part for part, own in FOLDERS.items() if own == name)
        for image, path in tree.inside(root, folder):
            match = (_SKETCH if artist else _PHOTO).fullmatch(image.name)
            if match is None or not image.is_file():
                strays.append(path)
            elif kind == "photo":
                photos.append((int(match[1]), int(match[2]), path, part))
            else:
                sketches.append((int(match[1]), artist[0], path, part))
    return Listing(photos, sketches, strays)


def train_on(dataset: ReIDDataset, artists: str) -> ReIDDataset:
    """The same data set with the sketches of some artists for training, such as ``"AC"``; the test part stays whole.

    As in the owners' code, training photos stay only of identities that one of them drew. Check the data set before:
    what is left out here would count as missing. Which artists draw the queries is an option of the protocol.

    Raises:
        ValueError: this is another data set, or ``artists`` are not letters from A to F, each once.
    """
    if dataset.name != "market-sketch-1k":
        raise ValueError(f"only 'market-sketch-1k' has artists A to F, not {dataset.name!r}")
    artists, frame = require_artists(artists), dataset.frame
    drawn = frame["artist"].isin(list(artists))
    test, photo = frame["split"] == "test", frame["modality"] == 0
    kept = test | drawn | (photo & frame["pid"].isin(frame.loc[drawn & ~test, "pid"]))
    title = f"{dataset.reader.title} (trained on artists {artists})"
    return replace(dataset, frame=frame[kept], reader=replace(dataset.reader, title=title))


def require_artists(artists: str) -> str:
    """The letters in alphabetical order; ``ValueError`` unless they are letters from A to F, each once."""
    if not artists or not isinstance(artists, str) or set(artists) - set(ARTISTS) or len(set(artists)) != len(artists):
        raise ValueError(f"artists must be one or more of the letters {ARTISTS}, each once, got {artists!r}")
    return "".join(sorted(artists))


def sketches_per_artist(dataset: ReIDDataset) -> pd.DataFrame:
    """Number of sketches by artist (rows) and split (columns); nought where there is none."""
    sketches = dataset.frame[dataset.frame["modality"] == 1]
    table = pd.crosstab(sketches["artist"], sketches["split"])
    return table.reindex(index=list(ARTISTS), columns=list(FOLDERS), fill_value=0)


def check(dataset: ReIDDataset) -> list[Problem]:
    """What is missing or odd in a Market-Sketch-1K tree; one that is no twin is compared with the published counts."""
    listing = scan(dataset.root)
    problems = left_out(listing.strays)
    drawn = {pid for pid, _, _, part in listing.sketches if part == "train"}
    if undrawn := sorted({pid for pid, _, _, part in listing.photos if part == "train"} - drawn):
        message = f"photos of {len(undrawn)} identities without a sketch are not used: {', '.join(map(str, undrawn))}"
        problems.append(Problem("note", "photo/train", message))
    keys = pd.DataFrame(listing.sketches, columns=["pid", "artist", "path", "split"]).groupby(
        ["artist", "split", "pid"]
    )
    for (artist, part, pid), count in keys.size().items():
        if count > 1:
            message = f"{count} sketches of identity {pid}; one expected"
            problems.append(Problem("warning", f"sketch/{artist}/{FOLDERS[part]}", message, "keep one of them"))
    return problems if dataset.is_twin else _check_published(dataset) + problems


def _check_published(dataset: ReIDDataset) -> list[Problem]:
    table = sketches_per_artist(dataset)
    counts = "; ".join(f"{artist} {train} + {test}" for artist, train, test in table.itertuples())
    problems = [Problem("note", "sketch", f"sketches per artist (train + query): {counts}")]
    found = int(table.to_numpy().sum()), dataset.frame.loc[dataset.frame["modality"] == 1, "pid"].nunique()
    if found != (PUBLISHED_SKETCHES, PUBLISHED_IDENTITIES):
        published = f"{PUBLISHED_SKETCHES:,} of {PUBLISHED_IDENTITIES}"
        message = f"{found[0]:,} sketches of {found[1]:,} identities, published: {published}"
        problems.append(Problem("error", "sketch", message, _COPY_AGAIN))
    for part, published in PUBLISHED_SKETCHES_OF_F.items():
        if (count := int(table.loc["F", part])) != published:
            message = f"{count} sketches, published: {published}"
            problems.append(Problem("error", f"sketch/F/{FOLDERS[part]}", message, _COPY_AGAIN))
    return problems


READER = Reader("Market-Sketch-1K", read, check, modalities=("photo", "sketch"))
