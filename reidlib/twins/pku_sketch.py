"""The twin of PKU-Sketch: its tree and numbers, with rendered people drawn by five artists of our own.

What is real here: 200 identities, two photos each by the pairs of cameras the real set has, one sketch each, and how
many identities each artist drew. What is not: the people, who drew whom, frame numbers, and the artists' hands.
"""

import re
from functools import lru_cache
from pathlib import PurePosixPath

from reidlib import profiles
from reidlib.twins.artists import Artist, Sitting
from reidlib.twins.identity import Identity, sample_identity
from reidlib.twins.plan import TwinPlan, encode, image_size, keyed, no_image, thinned
from reidlib.twins.randomness import Draw, shuffled
from reidlib.twins.scene import VISIBLE, Camera, Scene, sample_scene
from reidlib.twins.sketch import render

__all__ = ["SIZES", "VERSION", "describe", "encode", "image_size", "plan", "render"]

VERSION = "1"
POPULATION = 4  # the seed of this twin's people: every data set shows other ones
DEVELOPMENT = 104  # the seed of the people of its development twins
DEVELOPMENT_IDS = range(501, 601)  # their numbers, which no person of the twin has
IDENTITIES = 200
DRAWN = {"a": 46, "b": 20, "c": 79, "d": 33, "e": 22}
"""Identities per artist, as counted in the names of the real annotation files."""
TESTED = {"a": 11, "b": 5, "c": 20, "d": 8, "e": 6}
"""Of them, those that a split tests."""

PAIRS = {(3, 5): 0.45, (4, 6): 0.4, (3, 7): 0.15}
"""Pairs of cameras that photographed a person (documented), and how often (ours: mostly the first two)."""

CAMERAS = keyed(
    "camid",
    Camera(3, VISIBLE, "gate", 0.14, (1.00, 1.02, 1.00), 1.10, 0.95, 0.012, 0.45, 1.0),
    Camera(4, VISIBLE, "garden", 0.12, (0.98, 1.05, 0.96), 1.05, 1.05, 0.014, 0.50, -0.9),
    Camera(5, VISIBLE, "passage", 0.22, (0.94, 0.99, 1.08), 0.88, 1.15, 0.020, 0.60, -0.5),
    Camera(6, VISIBLE, "laboratory", 0.18, (1.05, 1.00, 0.92), 0.96, 1.00, 0.018, 0.55, 0.6),
    Camera(7, VISIBLE, "office", 0.26, (1.07, 1.00, 0.90), 1.00, 0.90, 0.016, 0.50, 0.2),
)

ARTISTS = keyed(
    "name",
    Artist("a", weight=6.5, spacing=17),
    Artist("b", weight=6, pressure=0.62, wobble=6, passes=2, grain=0.5, tone="smudge", frequency=1.2,
           proportions=(1.0, 1.05, 1.0, 0.97)),
    Artist("c", weight=5.5, wobble=2, drops=0.03, tone="cross", spacing=13, angle=0.8, folds=3, forgets=0.05,
           yaw=0.3),
    Artist("d", weight=13, pressure=1.0, wobble=4, drops=0.2, grain=0.05, tone="solid", spacing=26, folds=0,
           face=False, proportions=(0.95, 1.06, 0.95, 1.05)),
    Artist("e", weight=7, wobble=8, step=36, tone="none", folds=0, forgets=0.3, frequency=1.5, yaw=0.05, stance=0.1,
           proportions=(1.1, 0.95, 1.06, 0.94)),
)  # fmt: skip
"""a: a fine liner and parallel lines; b: a soft pencil, smudged; c: an engraver's cross-hatching; d: a brush, solid
black, no faces; e: an unpractised hand, angular, without shading, that forgets much."""

SIZES = {"ci": 100, "screen": 200, "cpu": 200, "gpu": 200}
SIZES |= {f"{profile}{profiles.DEVELOPMENT}": size for profile, size in SIZES.items()}
"""Identities by profile; a development twin has 100 people more, in ``ci`` 20, which every split tests."""

_SALT = 83
_PHOTO, _SKETCH = re.compile(r"photo/([1-9]\d{0,2})_0([3-7])_(\d{1,5})\.jpg"), re.compile(r"sketch/([1-9]\d{0,2})\.jpg")


def plan(profile: str) -> TwinPlan:
    """Return the images and the annotation files of the twin in ``profile``."""
    drawn = {artist: _drawn_by(artist, range(1, IDENTITIES + 1), SIZES[profile]) for artist in DRAWN}
    shown = None
    if profiles.is_development(profile):
        more = 20 if profiles.of_twin(profile).name == "ci" else len(DEVELOPMENT_IDS)
        developed = {artist: _drawn_by(artist, DEVELOPMENT_IDS, more) for artist in DRAWN}
        tested = sum(round(len(pids) * TESTED[artist] / DRAWN[artist]) for artist, pids in drawn.items())
        shown = 3 * (SIZES[profile] - tested + sum(map(len, developed.values())))
        drawn = {artist: pids + developed[artist] for artist, pids in drawn.items()}
    images = []
    for pid in sorted(pid for pids in drawn.values() for pid in pids):
        images += [f"photo/{pid}_{camid:02d}_{frame}.jpg" for camid, frame in _photos(pid)] + [f"sketch/{pid}.jpg"]
    files = {
        f"styleAnnotation/{artist}_{len(pids)}.txt": "".join(f"{pid}\n" for pid in pids).encode()
        for artist, pids in drawn.items()
    }
    return TwinPlan(images, files, shown=shown)


def _drawn_by(artist: str, pids: range, count: int) -> list[int]:
    """An artist's share of ``count`` of the identities, evenly spread over those that the artist drew."""
    everyone = [pid for pid in pids if artists()[pid] == artist]
    return thinned(everyone, round(DRAWN[artist] * count / IDENTITIES))


def describe(path: str) -> tuple[Identity, Scene | Sitting]:
    """Who is on the image at ``path`` (relative to the root), and how it was taken or who drew it."""
    name = PurePosixPath(path).as_posix()
    photo, sketch = _PHOTO.fullmatch(name), _SKETCH.fullmatch(name)
    match = photo or sketch
    if match is None or (pid := int(match[1])) not in artists():
        number = f"<1…{IDENTITIES}>"
        raise no_image(path, "a PKU-Sketch", f"photo/{number}_<03…07>_<frame>.jpg or sketch/{number}.jpg")
    population = DEVELOPMENT if pid in DEVELOPMENT_IDS else POPULATION
    identity = sample_identity(pid, population)
    if photo:
        return identity, sample_scene(CAMERAS[int(photo[2])], population, pid, int(photo[3]))
    return identity, Sitting(ARTISTS[artists()[pid]], (population, pid))


@lru_cache(maxsize=1)
def artists() -> dict[int, str]:
    """Identity → artist, in the published numbers, and in the same shares for development; by ascending identity."""
    names = "".join(artist * count for artist, count in DRAWN.items())
    drawn = dict(zip(shuffled(range(1, IDENTITIES + 1), _SALT, 0), names, strict=True))
    developed = zip(shuffled(DEVELOPMENT_IDS, _SALT, 2), names[::2], strict=True)
    return dict(sorted({**drawn, **dict(developed)}.items()))


def _photos(pid: int) -> list[tuple[int, int]]:
    """(camera, frame number) of the two photos of a person."""
    draw = Draw(_SALT, 1, pid)
    return [(camid, 1 + draw.integer(12_000)) for camid in draw.choice(tuple(PAIRS), tuple(PAIRS.values()))]
