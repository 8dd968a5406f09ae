"""The twin of QMUL-ShoeV2: its tree of images, and its numbers thinned, with procedural shoes.

What is real here: the folders, sketches in the alpha of PNG files, 200 test photos, and how many sketches a photo has
on average. What is not: the shoes, their names, and who drew them.
"""

import re

from reidlib.twins.objects.catalogue import Catalogue, encode, image_size
from reidlib.twins.objects.shoe_details import build
from reidlib.twins.objects.shoes import PARTS, misremembered, sample_shoe
from reidlib.twins.objects.surfaces import Camera, framed
from reidlib.twins.plan import TwinPlan, TwinSize
from reidlib.twins.randomness import Draw

__all__ = ["PARTS", "SIZES", "VERSION", "describe", "encode", "image_size", "plan", "render"]

VERSION = "1"
SIZES = {"ci": TwinSize(24, 20), "screen": TwinSize(150, 100), "cpu": TwinSize(350, 200), "gpu": TwinSize(800, 200)}


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
    name=lambda number: str(2_429_000_000 + number),  # ten digits
    path=re.compile(r"(?P<split>train|test)(?:B/(?P<photo>\d+)|A/(?P<name>\d+)_(?P<k>[1-9]))\.png"),
    title="QMUL-ShoeV2",
    expected="<split>B/<name>.png or <split>A/<name>_<k>.png",
)
describe, render = CATALOGUE.describe, CATALOGUE.render


def plan(profile: str) -> TwinPlan:
    """Return the photos and the sketches of the twin in ``profile``."""
    images = []
    for number in CATALOGUE.numbers(SIZES[profile]):
        split, name = CATALOGUE.split(number), CATALOGUE.name(number)
        images.append(f"{split}B/{name}.png")
        images += [f"{split}A/{name}_{k}.png" for k in range(1, CATALOGUE.count(number) + 1)]
    return TwinPlan(images, {})
