"""The twin of QMUL-ChairV2: its tree with a coordinate pickle and its numbers, with procedural chairs.

What is real here: 300 and 100 photos, 952 and 323 sketches, the layout of the strokes, and names with underscores and
hyphens in them. What is not: the chairs, their names, and who drew them.
"""

import pickle
import re
from functools import partial

import numpy as np

from reidlib.compiled.strokes import LINE_WIDTH
from reidlib.twins.objects.catalogue import Catalogue, encode, image_size
from reidlib.twins.objects.chair_surfaces import build
from reidlib.twins.objects.chairs import PARTS, Chair, misremembered, sample_chair
from reidlib.twins.objects.draughtsman import SHEET, Drawing, strokes
from reidlib.twins.objects.surfaces import Camera, framed, look
from reidlib.twins.plan import TwinPlan, TwinSize
from reidlib.twins.randomness import Draw

__all__ = ["PARTS", "SIZES", "VERSION", "describe", "encode", "image_size", "plan", "render"]

VERSION = "1"
PICKLE = "ChairV2_Coordinate"
SIZES = {"ci": TwinSize(24, 20), "screen": TwinSize(200, 100), "cpu": TwinSize(300, 100), "gpu": TwinSize(300, 100)}


def _view(draw: Draw) -> Camera:
    """From the front, turned to one side, a little from above."""
    yaw, pitch = draw.choice((-1.0, 1.0)) * draw.bell(0.5, 0.15), draw.uniform(0.15, 0.4)
    fill = draw.uniform(0.7, 0.9)
    return Camera(yaw, pitch, fill=fill, shift=framed(draw, fill))


def _name(number: int) -> str:
    """Made up like a shop's: number, country, version, what it is."""
    chair = sample_chair(number, CATALOGUE.population)
    return f"{number:04d}{chair.base[:3].upper()}-UK_v{1 + number % 3}_{chair.back}"


CATALOGUE = Catalogue(
    photos={"train": 300, "test": 100},
    sketches={"train": 952, "test": 323},
    population=7,
    sample=sample_chair,
    misremembered=misremembered,
    build=build,
    view=_view,
    name=_name,
    path=re.compile(rf"photo/(?P<photo>.+)\.png|{PICKLE}/(?P<split>train|test)/(?P<name>.+)_(?P<k>[1-9])"),
    title="QMUL-ChairV2",
    expected=f"photo/<name>.png or {PICKLE}/<split>/<name>_<k>",
    weight=LINE_WIDTH,  # the pickle holds none
)
describe, render = CATALOGUE.describe, CATALOGUE.render  # a sketch as readers of the pickle draw it


def plan(profile: str) -> TwinPlan:
    """Return the photos of the twin in ``profile``, and the strokes of its sketches."""
    numbers = CATALOGUE.numbers(SIZES[profile])
    sketches = [(number, k) for number in numbers for k in range(1, CATALOGUE.count(number) + 1)]
    keys = {f"/{CATALOGUE.split(number)}/{_name(number)}_{k}": (number, k) for number, k in sketches}
    return TwinPlan(
        images=[f"photo/{_name(number)}.png" for number in numbers],
        files={PICKLE: partial(_coordinates, keys)},
        packed=tuple(PICKLE + key for key in keys),
    )


def _coordinates(keys: dict[str, tuple[int, int]]) -> bytes:
    """The pickle: key → float64 (N, 3), x and y in 0 … 256, and 1 where a stroke ends."""
    return pickle.dumps({key: _points(*CATALOGUE.shown(*which)) for key, which in keys.items()}, protocol=4)


def _points(chair: Chair, drawing: Drawing) -> np.ndarray:
    view = look(CATALOGUE.recalled(chair, drawing), drawing.camera, SHEET, SHEET)
    drawn = [np.column_stack([stroke, np.arange(len(stroke)) == len(stroke) - 1]) for stroke in strokes(view, drawing)]
    return np.concatenate(drawn)
