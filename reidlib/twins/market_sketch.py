"""The twin of Market-Sketch-1K: its tree, with rendered people drawn by six artists of our own.

What is real here: folders and file names, six cameras, six artists, the shares of the identities that artists drew
(F almost all, the others about three in four). What is not: the people, the identity numbers, who drew whom, the number
of photos, and the artists' hands.
"""

import re
from pathlib import PurePosixPath

from reidlib import profiles
from reidlib.twins.artists import Artist, Sitting
from reidlib.twins.identity import Identity, sample_identity
from reidlib.twins.plan import TwinPlan, TwinSize, encode, image_size, keyed, no_image, thinned, with_development
from reidlib.twins.randomness import Draw, shuffled
from reidlib.twins.scene import VISIBLE, Camera, Scene, sample_scene
from reidlib.twins.sketch import render

__all__ = ["SIZES", "VERSION", "describe", "encode", "image_size", "plan", "render"]

VERSION = "1"
POPULATION = 5  # the seed of this twin's people: every data set shows other ones
DEVELOPMENT = 105  # the seed of the people of its development twins
DEVELOPMENT_IDS = range(2001, 2097)  # their numbers, which no person of the twin has
TRAIN_IDS, TEST_IDS = range(2, 1496, 3), range(3, 1497, 3)
"""498 and 498 identity numbers (ours: the real list is in the download only)."""

SHARES = dict.fromkeys("ABCDE", 0.757) | {"F": 0.994}
"""Share of the identities that an artist drew: F 990 of 996, all six 4,763 sketches (published)."""

CAMERAS = keyed(
    "camid",
    Camera(1, VISIBLE, "gate", 0.16, (1.02, 1.00, 0.97), 1.08, 1.00, 0.015, 0.55, 0.9),
    Camera(2, VISIBLE, "gate", 0.22, (0.97, 1.00, 1.04), 0.95, 1.08, 0.018, 0.60, -0.8),
    Camera(3, VISIBLE, "garden", 0.12, (0.98, 1.05, 0.96), 1.12, 0.95, 0.014, 0.50, -1.1),
    Camera(4, VISIBLE, "office", 0.20, (1.06, 1.00, 0.90), 0.98, 1.05, 0.020, 0.55, 0.3),
    Camera(5, VISIBLE, "passage", 0.18, (0.94, 1.00, 1.07), 0.88, 1.12, 0.022, 0.65, 0.6),
    Camera(6, VISIBLE, "laboratory", 0.26, (1.00, 1.02, 1.00), 1.00, 0.92, 0.024, 0.80, -0.3),
)

ARTISTS = keyed(
    "name",
    Artist("A", weight=5, pressure=0.8, wobble=4, gaps=0.16, tone="none", folds=2, yaw=0.25),
    Artist("B", weight=9, pressure=0.5, wobble=6, passes=3, grain=0.55, spacing=20, angle=1.7,
           proportions=(0.93, 1.05, 0.96, 1.05)),
    Artist("C", weight=8, pressure=0.95, wobble=7, step=22, grain=0.1, tone="cross", spacing=20, angle=2.7, folds=0,
           frequency=1.4, stance=0.1, proportions=(1.06, 1.0, 1.08, 0.96)),
    Artist("D", weight=15, pressure=0.9, wobble=5, drops=0.35, gaps=0.06, grain=0.1, tone="none", folds=0,
           face=False, forgets=0.3, stance=0.8),
    Artist("E", weight=6, pressure=0.8, grain=0.35, tone="smudge", folds=2, forgets=0.05, yaw=0.45,
           proportions=(1.08, 0.97, 1.04, 0.96)),
    Artist("F", weight=6, pressure=0.9, wobble=9, step=28, passes=2, gaps=0.05, grain=0.15, tone="solid",
           spacing=12, angle=0.5, frequency=0.75),
)  # fmt: skip
"""A: a light, broken contour; B: a broad soft pencil, gone over three times; C: a felt pen, crossing lines; D: a few
bold strokes of a marker; E: smudged graphite, turned to the side; F: a restless pen that fills what is black."""


SIZES = with_development(
    {
        "ci": TwinSize(24, 24, train_images=2, gallery_images=2),
        "screen": TwinSize(120, 60, train_images=3, gallery_images=3),
        "cpu": TwinSize(150, 150, train_images=3, gallery_images=3),
        "gpu": TwinSize(300, 300, train_images=4, gallery_images=4),
    },
    test_ids=96,
    gallery_images=3,
)
"""Identities, and photos of each."""

_SALT = 84
_PHOTO = re.compile(r"photo/(?:train|query)/(\d{4})_c([1-6])s\d_(\d{6})_\d\d\.jpg")
_SKETCH = re.compile(r"sketch/([A-F])/(?:train|query)/(\d{4})\.jpg")


def plan(profile: str) -> TwinPlan:
    """Return the images of the twin in ``profile``; there are no other files."""
    size, images = SIZES[profile], []
    train = "train", thinned(TRAIN_IDS, size.train_ids), size.train_images
    tested = thinned(DEVELOPMENT_IDS if profiles.is_development(profile) else TEST_IDS, size.test_ids)
    test = "query", tested, size.gallery_images
    for part, pids, photos in (train, test):
        for pid in pids:
            images += [f"photo/{part}/{name}" for name in _photos(pid, photos)]
            images += [f"sketch/{artist}/{part}/{pid:04d}.jpg" for artist in _artists(pid)]
    return TwinPlan(images, {}, folders=tuple(f"sketch/{artist}/{p}" for artist in ARTISTS for p in ("train", "query")))


def describe(path: str) -> tuple[Identity, Scene | Sitting]:
    """Who is on the image at ``path`` (relative to the root), and how it was taken or who drew it."""
    name = PurePosixPath(path).as_posix()
    if photo := _PHOTO.fullmatch(name):
        pid, camid, frame = map(int, photo.groups())
        return sample_identity(pid, _population(pid)), sample_scene(CAMERAS[camid], _population(pid), pid, frame)
    if sketch := _SKETCH.fullmatch(name):
        pid = int(sketch[2])
        return sample_identity(pid, _population(pid)), Sitting(ARTISTS[sketch[1]], (_population(pid), pid))
    expected = "photo/train/0002_c1s1_000451_03.jpg or sketch/A/train/0002.jpg (query for train)"
    raise no_image(path, "a Market-Sketch-1K", expected)


def _population(pid: int) -> int:
    return DEVELOPMENT if pid in DEVELOPMENT_IDS else POPULATION


def _photos(pid: int, count: int) -> list[str]:
    """File names as in Market-1501: identity, camera and sequence, frame, box; each by another camera."""
    draw = Draw(_SALT, 0, pid)
    return sorted(
        f"{pid:04d}_c{camid}s{1 + draw.integer(6)}_{1 + draw.integer(99_999):06d}_{draw.integer(5):02d}.jpg"
        for camid in shuffled(CAMERAS, _SALT, 1, pid)[:count]
    )


def _artists(pid: int) -> list[str]:
    """The artists who drew a person; somebody always did."""
    drew = [artist for artist, share in SHARES.items() if Draw(_SALT, 2, pid, ord(artist)).chance(share)]
    return drew or ["F"]
