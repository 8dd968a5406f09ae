"""The twin of QMUL-ShoeV2: its tree of images, and its numbers thinned, with procedural shoes.

What is real here: the folders, sketches in the alpha of PNG files, 200 test photos, and how many sketches a photo has
on average. What is not: the shoes, their names, and who drew them.
"""

import re

from reidlib import profiles
from reidlib.twins.objects.catalogue import Catalogue, Size
from reidlib.twins.objects.draughtsman import Drawing
from reidlib.twins.objects.photo import ObjectRendering, Studio
from reidlib.twins.objects.shoe_details import build
from reidlib.twins.objects.shoes import PARTS, Shoe, misremembered, sample_shoe
from reidlib.twins.objects.surfaces import Camera, framed
from reidlib.twins.plan import TwinPlan
from reidlib.twins.randomness import Draw

__all__ = ["PARTS", "SIZES", "VERSION", "describe", "encode", "image_size", "plan", "render"]

VERSION = "1"
SIZES = {"ci": Size(24, 20), "screen": Size(150, 100), "cpu": Size(350, 200), "gpu": Size(800, 200)}
_FIRST = 2_429_000_000  # names are numbers of ten digits


def _view(draw: Draw) -> Camera:
    """From the outer side, a little from above, toe to the left: as shoes are sold."""
    yaw, pitch = draw.bell(0.05, 0.13), draw.uniform(0.12, 0.4)
    fill = draw.uniform(0.72, 0.92)
    return Camera(yaw, pitch, fill=fill, shift=framed(draw, fill))


CATALOGUE = Catalogue(
    photos={"train": 1800, "test": 200},
    sketches={"train": 6051, "test": 679},
    population=6,
    sample=sample_shoe,
    misremembered=misremembered,
    build=build,
    view=_view,
)
_PATH = re.compile(r"(?P<split>train|test)(?:B/(?P<photo>\d{10})|A/(?P<name>\d{10})_(?P<k>[1-9]))\.png", re.ASCII)


def plan(profile: str) -> TwinPlan:
    """Return the photos and the sketches of the twin in ``profile``."""
    images = []
    for number in CATALOGUE.numbers(SIZES[profile]):
        split, name = CATALOGUE.split(number), _FIRST + number
        images.append(f"{split}B/{name}.png")
        images += [f"{split}A/{name}_{k}.png" for k in range(1, CATALOGUE.count(number) + 1)]
    return TwinPlan(images, {})


def describe(path: str) -> tuple[Shoe, Studio | Drawing]:
    """Which shoe is on the image at ``path``, and how."""
    match = _PATH.fullmatch(path)
    number = int(match["photo"] or match["name"]) - _FIRST if match else -1
    known = 0 <= number < sum(CATALOGUE.photos.values()) and match["split"] == CATALOGUE.split(number)
    if not known or int(match["k"] or 0) > CATALOGUE.count(number):
        raise ValueError(
            f"{path!r} is not an image of a QMUL-ShoeV2 twin; expected <split>B/<name>.png or <split>A/<name>_<k>.png"
        )
    return CATALOGUE.describe(number, int(match["k"] or 0))


def render(shoe: Shoe, scene: Studio | Drawing, height: int, width: int) -> ObjectRendering:
    """The photo or the sketch."""
    return CATALOGUE.render(shoe, scene, height, width)


def encode(rendering: ObjectRendering, scene: Studio | Drawing, path: str) -> bytes:
    """The image as the file at ``path`` holds it: a sketch has its strokes in alpha."""
    return rendering.png()


def image_size(profile: str) -> tuple[int, int]:
    """(height, width) of its images."""
    return profiles.get(profile).size("square")
