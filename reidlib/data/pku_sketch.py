"""PKU-Sketch (PKUSketchRE-ID_V1): 200 persons, two photos and one sketch each, five artists (Pang et al., ACM MM 2018).

Tree, names and the number of identities per artist are documented by the data set's ReadMe and by code that reads it
(SketchTrans, IHDA). Photos are from cameras 3 to 7; a sketch has camera number 0, and its artist in column ``artist``.

No split is distributed: published results draw 150 training and 50 test identities at random, ten times. Ours are in
``splits/pku_sketch.json``, stratified by artist with 11, 5, 20, 8 and 6 test identities of artists a to e (documented:
SketchTrans). Who drew whom is known from the holder's own annotation files only, so the lists hold *positions*: 3 in
the list of artist ``a`` is the fourth identity of ``styleAnnotation/a_46.txt`` in ascending order.
"""

import json
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib import paths, profiles
from reidlib.data import tree
from reidlib.data.dataset import Reader, ReIDDataset
from reidlib.data.report import Problem, left_out

SPLITS = tuple(range(1, 11))
ANNOTATION = "styleAnnotation"
EXPECTED_TREE = """\
PKUSketchRE-ID_V1/
  photo/1_05_356.jpg …       identity 1 to 200, camera 03 to 07, frame; two photos each
  sketch/1.jpg …             one sketch each
  styleAnnotation/a_46.txt   {a_46,b_20,c_79,d_33,e_22}.txt: the identities an artist drew, one a line"""

PUBLISHED_IDENTITIES = {"a": 46, "b": 20, "c": 79, "d": 33, "e": 22}
PUBLISHED_TEST_IDENTITIES = {"a": 11, "b": 5, "c": 20, "d": 8, "e": 6}
PUBLISHED_IMAGES = {"photo": 400, "sketch": 200}
DEVELOPED_FROM = 500
"""In a development twin, identities with higher numbers are those of development."""
SEED = 2018
"""Of the published splits: see ``draw_positions``."""

_PHOTO = re.compile(r"([0-9]{1,4})_([0-9]{1,2})_([0-9]{1,9})\.(?:jpg|jpeg|png|bmp)", re.IGNORECASE)
_SKETCH = re.compile(r"([0-9]{1,4})\.(?:jpg|jpeg|png|bmp)", re.IGNORECASE)
_STYLE = re.compile(r"([a-e])(?:_([0-9]{1,4}))?\.txt")
_COPY_AGAIN = "copy it again from the original archive"


class Listing(NamedTuple):
    """Photos as (pid, camid, frame, path), sketches as (pid, path), both in numeric order; names not understood."""

    photos: list[tuple[int, int, int, str]]
    sketches: list[tuple[int, str]]
    strays: list[str]


def read(root: Path, split: int) -> pd.DataFrame:
    """The frame of a split, by identity, photos before the sketch; identities that no artist's list names stay out."""
    listing, part_of = scan(root), {pid: part for part, pids in split_ids(root, split).items() for pid in pids}
    artist_of = {pid: artist for artist, pids in read_annotation(root).items() for pid in pids}
    artist_of = {pid: artist for pid, artist in artist_of.items() if pid in part_of}
    rows = [(path, pid, camid, 0, "") for pid, camid, _, path in listing.photos if pid in artist_of]
    rows += [(path, pid, 0, 1, artist_of[pid]) for pid, path in listing.sketches if pid in artist_of]
    if not rows:
        raise ValueError(f"{root}: no image of an annotated identity was found; expected tree:\n{EXPECTED_TREE}")
    rows.sort(key=lambda row: (row[1], row[3]))  # stable: photos stay in the order of camera and frame
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "artist"])
    return frame.assign(split=frame["pid"].map(part_of))


def scan(root: Path) -> Listing:
    """List the image folders. The root and its folders may be links; deeper links must stay inside their folder.

    Raises:
        FileNotFoundError: a folder is missing.
        ValueError: a link leads out of its folder.
    """
    tree.require_folders(root, ("photo", "sketch", ANNOTATION), EXPECTED_TREE, "pku-sketch")
    photos, sketches, strays = [], [], []
    for folder, pattern in (("photo", _PHOTO), ("sketch", _SKETCH)):
        for image, path in tree.inside(root, folder):
            match = pattern.fullmatch(image.name)
            if match is None or int(match[1]) == 0 or not image.is_file():
                strays.append(path)
            elif folder == "photo":
                photos.append((int(match[1]), int(match[2]), int(match[3]), path))
            else:
                sketches.append((int(match[1]), path))
    return Listing(sorted(photos), sorted(sketches), strays)


def read_annotation(root: Path) -> dict[str, list[int]]:
    """Artist ``a`` … ``e`` → the identities they drew, ascending.

    Raises:
        FileNotFoundError: an artist's list is missing.
        ValueError: a list is malformed, an artist has two, or two artists list the same identity.
    """
    drawn: dict[str, list[int]] = {}
    for artist, name in sorted(_style_files(root)):
        if artist in drawn:
            raise ValueError(f"{root / ANNOTATION}: artist {artist} has several lists; keep one, such as {name}")
        drawn[artist] = sorted(set(_read_style(root, name)))
    if missing := [artist for artist in PUBLISHED_IDENTITIES if artist not in drawn]:
        raise FileNotFoundError(
            f"{root / ANNOTATION} lacks the list of artist {', '.join(missing)}; expected tree:\n{EXPECTED_TREE}"
        )
    if twice := tree.repeats(pid for pids in drawn.values() for pid in pids):
        raise ValueError(f"{root / ANNOTATION}: several artists list {twice}; every identity has one sketch")
    return drawn


def _style_files(root: Path) -> list[tuple[str, str]]:
    """(artist, file name) of the artists' lists."""
    names = [entry.name for entry in tree.entries(root / ANNOTATION)]
    return [(match[1], name) for name in names if (match := _STYLE.fullmatch(name))]


def _read_style(root: Path, name: str) -> list[int]:
    return tree.read_ids(root / ANNOTATION / Path(name).stem, EXPECTED_TREE)


def split_ids(root: Path, split: int) -> dict[str, list[int]]:
    """The identities of a split, ascending: ``{"train": […], "test": […]}``.

    A tree with other numbers of identities per artist than the published ones (a small twin, an incomplete copy) is
    split by the same rule in proportion, see ``draw_positions``. In a development twin every split tests the people of
    development, and leaves out those that it tests elsewhere.

    Raises:
        FileNotFoundError, ValueError: the annotation is missing or malformed, or there is no such split.
    """
    drawn, developed = read_annotation(Path(root)), []
    if profiles.is_development((paths.read_manifest(root) or {}).get("profile")):
        developed = sorted(pid for pids in drawn.values() for pid in pids if pid > DEVELOPED_FROM)
        drawn = {artist: [pid for pid in pids if pid <= DEVELOPED_FROM] for artist, pids in drawn.items()}
    counts = {artist: len(pids) for artist, pids in drawn.items()}
    if split not in SPLITS:
        raise ValueError(f"PKU-Sketch has splits {SPLITS[0]} to {SPLITS[-1]}, not {split!r}")
    positions = published_positions()[split] if counts == PUBLISHED_IDENTITIES else draw_positions(counts, split)
    test = {drawn[artist][position] for artist in drawn for position in positions[artist]}
    everyone = sorted(pid for pids in drawn.values() for pid in pids)
    return {"train": [pid for pid in everyone if pid not in test], "test": developed or sorted(test)}


@lru_cache(maxsize=1)
def published_positions() -> dict[int, dict[str, list[int]]]:
    """Split → artist → positions, from 0, of the test identities in the artist's ascending list."""
    content = json.loads((Path(__file__).parent / "splits" / "pku_sketch.json").read_text(encoding="utf-8"))
    return {int(split): positions for split, positions in content["test positions"].items()}


def draw_positions(counts: dict[str, int], split: int) -> dict[str, list[int]]:
    """How the published splits were drawn: of every artist's ``counts`` identities, the test positions, ascending.

    Each position gets a number from a PCG64 stream seeded by (`SEED`, split, the artist's place in the alphabet); the
    lowest are tested. 11 of 46, 5 of 20, 20 of 79, 8 of 33 and 6 of 22, and the same shares of other numbers.
    """
    positions = {}
    for place, (artist, published) in enumerate(PUBLISHED_IDENTITIES.items()):
        numbers = np.random.Generator(np.random.PCG64(np.random.SeedSequence((SEED, split, place))))
        tested = round(counts[artist] * PUBLISHED_TEST_IDENTITIES[artist] / published)
        positions[artist] = sorted(np.argsort(numbers.random(counts[artist]), kind="stable")[:tested].tolist())
    return positions


def check(dataset: ReIDDataset) -> list[Problem]:
    """What is missing or odd in a PKU-Sketch tree; one that is no twin is compared with the published counts."""
    listing, drawn = scan(dataset.root), read_annotation(dataset.root)
    problems = _check_annotation(dataset.root, listing, drawn) + _check_images(listing) + left_out(listing.strays)
    return problems if dataset.is_twin else _check_published(listing, drawn) + problems


def _check_annotation(root: Path, listing: Listing, drawn: dict[str, list[int]]) -> list[Problem]:
    problems = []
    for artist, name in _style_files(root):
        lines, announced = _read_style(root, name), _STYLE.fullmatch(name)[2]
        if repeated := tree.repeats(lines):
            problems.append(Problem("warning", f"{ANNOTATION}/{name}", f"lists more than once: {repeated}", "clean it"))
        if announced and int(announced) != len(drawn[artist]):
            message = f"names {len(drawn[artist])} identities, the file's name says {announced}"
            problems.append(Problem("warning", f"{ANNOTATION}/{name}", message, _COPY_AGAIN))
    known = {name for _, name in _style_files(root)}
    for entry in tree.entries(root / ANNOTATION):
        if entry.name not in known:
            message = "is no artist's list and was left out"
            problems.append(Problem("warning", f"{ANNOTATION}/{entry.name}", message, "see the expected tree"))
    present = {pid for pid, *_ in (*listing.photos, *listing.sketches)}
    annotated = {pid for pids in drawn.values() for pid in pids}
    fix = "complete the annotation: a split is drawn from each artist's list"
    for pid in sorted(present - annotated):
        problems.append(Problem("error", f"identity {pid}", "is in no artist's list and was left out", fix))
    for pid in sorted(annotated - present):
        problems.append(Problem("error", f"identity {pid}", "is annotated, but without any image", "complete the tree"))
    return problems


def _check_images(listing: Listing) -> list[Problem]:
    """Every identity has two photos, by different cameras, and one sketch; one without any is reported elsewhere."""
    problems = []
    sketches, cameras = Counter(pid for pid, _ in listing.sketches), {}
    for pid, camid, *_ in listing.photos:
        cameras.setdefault(pid, []).append(camid)
    for pid, found in sorted(cameras.items()):
        if len(found) != 2:
            message = f"{len(found)} photo{'s' * (len(found) > 1)}, two expected"
            problems.append(Problem("error", f"identity {pid}", message, "complete the tree, or take the surplus out"))
        elif found[0] == found[1]:
            message = f"both photos are named as of camera {found[0]}"
            problems.append(Problem("warning", f"identity {pid}", message, _COPY_AGAIN))
    for pid, count in sorted(sketches.items()):
        if count > 1:
            problems.append(Problem("error", f"identity {pid}", f"{count} sketches, one expected", "keep one of them"))
    return problems


def _check_published(listing: Listing, drawn: dict[str, list[int]]) -> list[Problem]:
    fix, problems = "copy the tree again from the original archive", []
    for folder, found in (("photo", listing.photos), ("sketch", listing.sketches)):
        if len(found) != PUBLISHED_IMAGES[folder]:
            message = f"{len(found):,} images, published: {PUBLISHED_IMAGES[folder]}"
            problems.append(Problem("error", folder, message, fix))
    for artist, published in PUBLISHED_IDENTITIES.items():
        if len(drawn[artist]) != published:
            message = f"artist {artist} drew {len(drawn[artist])} identities, published: {published}"
            problems.append(Problem("error", ANNOTATION, f"{message}; other identities are tested", fix))
    if {pid for pids in drawn.values() for pid in pids} != set(range(1, sum(PUBLISHED_IDENTITIES.values()) + 1)):
        problems.append(Problem("error", ANNOTATION, "the lists do not divide the identities 1 to 200", fix))
    return problems


READER = Reader("PKU-Sketch", read, check, SPLITS, modalities=("photo", "sketch"))
