"""CUFSF: face photographs and sketches with exaggerated shapes (Zhang, Wang, Tang: CVPR 2011).

Documented (the archive, and bob.db.cuhk_cufsf, which reads it): the tree, the names, the three points. The photographs
are FERET's and are obtained separately, so where they lie (``photo/``) is this library's convention. Reconstructed,
because no list or rule is distributed: which 500 identities train (`split_of`), and the crop every face is aligned to
(`CROP`, `CANONICAL`).
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import affine_transform

from reidlib import paths
from reidlib.data import feret, marks, tree
from reidlib.data.dataset import Reader, ReIDDataset
from reidlib.data.decode import FORMATS, read_image
from reidlib.data.report import Problem, left_out

NAMES = "names_of_photos_used_for_drawing_sketches.txt"
POINTS_OF = {"photo": "photo_points", "original_sketch": "sketch_points"}
"""Folder of the images → folder of their points, in the order of the modalities and camera numbers 0 and 1."""
EXPECTED_TREE = f"""\
CUFSF/
  {NAMES}   one photo name a line: 00001fb010_930831
  original_sketch/00001.jpg …            five-digit identity
  sketch_points/00001.3pts …             three lines "x y": left eye, right eye, mouth
  photo_points/00001fb010_930831.3pts …
  photo/00001fb010_930831.jpg …          FERET's photographs; NOT in the download, see data/README.md"""

PUBLISHED_IDENTITIES, PUBLISHED_TRAINING = 1194, 500
CROP = (250, 200)
"""Height and width of an aligned face in pixels (reconstructed: hair, chin and collar are inside)."""
CANONICAL = np.array([[75.0, 115.0], [125.0, 115.0], [100.0, 168.0]])
"""Where the eyes and the mouth come to lie in the crop (reconstructed: the proportions of an average face)."""

_NAME = re.compile(r"([0-9]{5})[A-Za-z0-9_]*")
_SUFFIX = re.compile(r"\.(?:jpg|jpeg|png|bmp|tif|tiff|ppm|pgm)$", re.IGNORECASE)
_FORMATS = (*FORMATS, "TIFF", "PPM")  # FERET is passed on in these
_MAX_SAMPLES = 8
_GET_PHOTO = (
    "CUFSF holds no photographs: request FERET from NIST (data/README.md) and copy the frontal photo into photo/ under "
    "the name in the list, as .jpg, .png, .bmp, .tif, .ppm or .pgm"
)
_GET_AGAIN = "copy it again from the CUFSF archive"


class Listing(NamedTuple):
    """What lies on disk. ``names``: pid → photo name; ``images`` and ``points``: per folder, stem → file names."""

    names: dict[int, str]
    images: dict[str, dict[str, list[str]]]
    points: dict[str, dict[str, list[str]]]
    strays: list[str]


def read(root: Path, split: None = None) -> pd.DataFrame:
    """The frame of a CUFSF tree, by identity, photo before sketch; images that lack a file or points stay out.

    ``check`` names those, and the protocol refuses test identities without a pair. ``name`` is the photo's name.
    """
    listing = scan(root)
    splits = split_of(listing.names)
    rows = [
        (f"{folder}/{listing.images[folder][stem][0]}", pid, camid, camid, splits[pid], name)
        for pid, name in sorted(listing.names.items())
        for camid, (folder, stem) in enumerate(zip(POINTS_OF, (name, f"{pid:05d}"), strict=True))
        if stem in listing.images[folder] and stem in listing.points[POINTS_OF[folder]]
    ]
    if not rows:
        raise ValueError(f"{root}: no listed photo or sketch was found; expected tree:\n{EXPECTED_TREE}")
    return pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split", "name"])


def split_of(pids: Iterable[int]) -> dict[int, str]:
    """``"train"`` or ``"test"`` for each identity: 500 and 694 of the 1,194, the same share of fewer.

    Reconstructed: the sizes are documented (Zhang et al., 2011), the identities are not. Our rule needs no list:
    identities in the order of the SHA-256 (hexadecimal) of their five digits; the first 500 / 1,194 train.
    """
    order = sorted(pids, key=lambda pid: hashlib.sha256(f"{pid:05d}".encode()).hexdigest())
    training = round(len(order) * PUBLISHED_TRAINING / PUBLISHED_IDENTITIES)
    return dict.fromkeys(order[:training], "train") | dict.fromkeys(order[training:], "test")


def scan(root: Path) -> Listing:
    """List the names and the folders.

    The root and its folders may be links; deeper links must stay inside their folder.

    Raises:
        FileNotFoundError: the list of names or a folder is missing.
        ValueError: a name is malformed or two share an identity; a link leads out of its folder.
    """
    folders = [*POINTS_OF, *POINTS_OF.values()]
    if not (root / NAMES).is_file():
        raise FileNotFoundError(
            f"{root / NAMES} is missing; {marks.hint('cufsf', root)}expected tree:\n{EXPECTED_TREE}"
        )
    names = read_names(root / NAMES)
    if missing := [folder for folder in folders if not (root / folder).is_dir()]:
        hint = f"{_GET_PHOTO}; " if missing == ["photo"] else marks.hint("cufsf", root)
        raise FileNotFoundError(f"{root} lacks {', '.join(missing)}; {hint}expected tree:\n{EXPECTED_TREE}")
    strays: list[str] = []
    images = {folder: _stems(root, folder, _SUFFIX, strays) for folder in POINTS_OF}
    points = {folder: _stems(root, folder, re.compile(r"\.3pts$"), strays) for folder in POINTS_OF.values()}
    return Listing(names, images, points, strays)


def _stems(root: Path, folder: str, suffix: re.Pattern, strays: list[str]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for entry, path in tree.inside(root, folder):
        if (match := suffix.search(entry.name)) and entry.is_file():
            found[entry.name[: match.start()]].append(entry.name)
        else:
            strays.append(path)
    return dict(found)


def read_names(path: Path) -> dict[int, str]:
    """Identity → name of the photo it was drawn from, without folder or suffix.

    Windows line ends, blank lines, spaces, a byte-order mark and an image suffix behind the name are accepted.

    Raises:
        FileNotFoundError: the list is missing.
        ValueError: it is empty or no text, a line is no photo name, or two lines have the same five digits.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; expected tree:\n{EXPECTED_TREE}")
    names: dict[int, str] = {}
    for number, line in enumerate(tree.read_text(path).split("\n"), start=1):
        if not (name := _SUFFIX.sub("", line.strip())):
            continue
        if (match := _NAME.fullmatch(name)) is None:
            raise ValueError(f"{path}, line {number}: {name[:60]!r} is no photo name; expected 00001fb010_930831")
        if (pid := int(match[1])) in names:
            raise ValueError(f"{path}, line {number}: {names[pid]!r} and {name!r} are one identity; keep one of them")
        names[pid] = name
    if not names:
        raise ValueError(f"{path} is empty; it must hold one photo name a line")
    return names


def read_points(path: Path) -> np.ndarray:
    """Left eye, right eye, mouth: float64 (3, 2), x to the right and y down in pixels of the image, from 0.

    *Left* is the left of the image (documented: bob.db.cuhk_cufsf reads the first line as the person's right eye).

    Raises:
        OSError: the file cannot be read.
        ValueError: it does not hold three lines of two finite numbers, or not in this order.
    """
    text = paths.read_bounded(path, 1 << 16).decode("utf-8-sig", errors="replace")
    words = [line.replace(",", " ").split() for line in text.splitlines()]
    words = [line for line in words if line]
    try:
        points = np.array(words, dtype=np.float64)
    except ValueError:
        points = np.empty(0)
    if points.shape != (3, 2) or not np.isfinite(points).all():
        found = f"found {len(words)} lines: {str(words[:4])[:80]}"
        raise ValueError(f"{path} must hold three lines of two finite numbers x y, {found}")
    left, right, mouth = points
    if left[0] >= right[0]:
        raise ValueError(f"{path}: the eyes are swapped; the first line must be the eye on the left of the image")
    if mouth[1] <= (left[1] + right[1]) / 2:
        raise ValueError(f"{path}: the mouth (third line) is not below the eyes; y must count downwards")
    return points


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity transform that brings ``source`` (N, 2) closest to ``target`` (N, 2) in least squares.

    Returns float64 (2, 3), so that ``target ≈ source @ result[:, :2].T + result[:, 2]``. It turns, scales and moves; it
    never mirrors. Documented (Umeyama, PAMI 1991, eqs. 39–43).

    Raises:
        ValueError: all source points coincide.
    """
    mean, goal = source.mean(0), target.mean(0)
    variance = np.square(source - mean).sum(1).mean()
    if not variance > 0:
        raise ValueError("the points coincide: they fix no scale")
    left, stretch, right = np.linalg.svd((target - goal).T @ (source - mean) / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turn = (left * sign) @ right * (stretch @ sign / variance)
    return np.column_stack([turn, goal - turn @ mean])


def align(pixels: np.ndarray, points: np.ndarray, order: int = 1) -> np.ndarray:
    """Cut out the face: (H, W) or (H, W, C) → the same with `CROP` as height and width, the points at `CANONICAL`.

    Linear interpolation, averaged over several samples a pixel where the image shrinks; what lies outside the image
    continues its edge. ``order=0`` takes the nearest pixel instead, for masks and labels.

    Raises:
        ValueError: a point lies outside the image.
    """
    height, width = pixels.shape[:2]
    if not ((points >= 0) & (points <= (width, height))).all():
        raise ValueError(f"a point lies outside the image of {width}×{height} pixels: {points.tolist()}")
    to_crop = similarity(points, CANONICAL)
    back = np.linalg.inv(to_crop[::-1, 1::-1])  # crop (row, column) → image (row, column)
    samples = 1 if order == 0 else int(np.clip(np.ceil(np.sqrt(np.linalg.det(back))), 1, _MAX_SAMPLES))
    first = (0.5 / samples - 0.5) - to_crop[::-1, 2]
    channels = [
        affine_transform(
            channel, back / samples, back @ first, [size * samples for size in CROP], order=order, mode="nearest"
        )
        for channel in np.moveaxis(np.atleast_3d(pixels), 2, 0).astype(pixels.dtype if order == 0 else np.float32)
    ]
    crop = np.stack(channels, axis=2)
    if order:
        crop = crop.reshape(CROP[0], samples, CROP[1], samples, -1).mean((1, 3))
        crop = crop if np.issubdtype(pixels.dtype, np.floating) else np.clip(np.rint(crop), 0, 255)
    return crop.reshape(*CROP, *pixels.shape[2:]).astype(pixels.dtype)


def decode(root: Path, path: str) -> Image.Image:
    """The aligned face of a row, RGB of `CROP` size; ``OSError`` names the image or the points that are damaged."""
    pixels = np.asarray(read_image(root / path, _FORMATS))
    points = root / files(path)[1]
    try:
        return Image.fromarray(align(pixels, read_points(points)))
    except ValueError as error:
        raise OSError(f"cannot align {root / path} by {points.name}: {error}") from error


def files(path: str) -> tuple[str, str]:
    """The image and its points."""
    image = PurePosixPath(path)
    return path, f"{POINTS_OF[image.parent.name]}/{_SUFFIX.sub('', image.name)}.3pts"


def check(dataset: ReIDDataset) -> list[Problem]:
    """What is missing or odd in a CUFSF tree; one that is no twin is compared with the published count."""
    root, listing = dataset.root, scan(dataset.root)
    problems, alike = [], feret.alike(listing.names.values(), _in_photo(listing))
    if (count := len(listing.names)) != PUBLISHED_IDENTITIES and not dataset.is_twin:
        message = f"{count:,} names, published: {PUBLISHED_IDENTITIES:,}; other identities train and are tested"
        problems.append(Problem("error", NAMES, message, _GET_AGAIN))
    for pid, name in sorted(listing.names.items()):
        for (folder, points), stem in zip(POINTS_OF.items(), (name, f"{pid:05d}"), strict=True):
            if stem not in (found := listing.images[folder]):
                likely = f"; {alike[name]} looks like it" if folder == "photo" and name in alike else ""
                fix = feret.RENAME if likely else _GET_PHOTO if folder == "photo" else _GET_AGAIN
                problems.append(Problem("error", f"{folder}/{stem}", f"is missing, and with it the pair{likely}", fix))
            elif len(found[stem]) > 1:
                message = f"several files: {', '.join(found[stem])}; the first is used"
                problems.append(Problem("warning", f"{folder}/{stem}", message, "keep one of them"))
            problems += _check_points(root, f"{points}/{stem}.3pts", stem in listing.points[points])
    return problems + _check_unlisted(listing, set(alike.values()))


def _in_photo(listing: Listing) -> list[str]:
    """The names of the files in ``photo``, of whatever kind."""
    strays = [path.removeprefix("photo/") for path in listing.strays if path.startswith("photo/")]
    return strays + [file for several in listing.images["photo"].values() for file in several]


def _check_points(root: Path, path: str, there: bool) -> list[Problem]:
    if not there:
        message = "is missing (the suffix in small letters), so the image cannot be aligned"
        return [Problem("error", path, message, _GET_AGAIN)]
    try:
        read_points(root / path)
    except (OSError, ValueError) as error:
        return [Problem("error", path, str(error), _GET_AGAIN)]
    return []


def _check_unlisted(listing: Listing, alike: set[str]) -> list[Problem]:
    sketches = sorted(listing.images["original_sketch"].keys() - {f"{pid:05d}" for pid in listing.names})
    strays = [path for path in listing.strays if path.removeprefix("photo/") not in alike]
    problems = left_out(strays, "is no image or points file")
    problems += left_out([f"original_sketch/{stem}" for stem in sketches], f"is of nobody in {NAMES}")
    photos = listing.images["photo"].keys() - set(listing.names.values())
    if photos := [stem for stem in photos if not alike.intersection(listing.images["photo"][stem])]:
        message = f"{len(photos):,} photographs that no sketch was drawn from were left out"
        problems.append(Problem("note", "photo", message))
    return problems


READER = Reader("CUFSF", read, check, modalities=("photo", "sketch"), shape="face", decode=decode, files=files)
