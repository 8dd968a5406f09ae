"""Sketch an object: what the eye separates becomes lines, lines become strokes of an untrained hand.

Nobody traces a photo here. The draughtsman remembers the object and the view, a little wrongly; what is remembered is
rasterised; borders between surfaces, edges of patterns and contours become lines; and the hand leaves some out, breaks
others, strays and overshoots. Colour and shade never show. Reconstructed: the factors are what people differ in who do
not draw for a living.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reidlib.compiled import compiled
from reidlib.compiled.strokes import CANVAS, ink
from reidlib.twins.objects.lines import lines, smoothed
from reidlib.twins.objects.photo import ObjectRendering
from reidlib.twins.objects.surfaces import Camera, Patch, View, framed, look
from reidlib.twins.randomness import Draw
from reidlib.twins.strokes import divided, runs

_SALT = 95
SHEET = 224
"""Samples a side of the view that is traced."""
_NEAR = 3  # samples between two lines that are drawn as one
_LEAST = (7, 7, 14)  # samples of the shortest line, by kind


@dataclass(frozen=True)
class Hand:
    """How somebody draws. Lengths in units of the canvas (256 a side), shares and probabilities in 0–1.

    Attributes:
        error: relative error of remembered measures; ``turn``: of the view, in radians; ``stretch``: of its aspect.
        weight: width of the pen.
        wobble: how far a line strays; ``step``: distance of the points it is drawn through (large: angular).
        drops: share of the lines left out, by kind.
        breaks: probability that a long line is drawn in two strokes.
        overshoot: length by which a stroke misses its end.
        twice: probability that a line is drawn twice.
    """

    error: float
    turn: float
    stretch: float
    weight: float
    wobble: float
    step: float
    drops: tuple[float, float, float]
    breaks: float
    overshoot: float
    twice: float


@dataclass(frozen=True)
class Drawing:
    """The circumstances of one sketch: the view of the photo it recalls, the hand, and the key of its chances."""

    camera: Camera
    hand: Hand
    key: tuple[int, ...]


def sample_drawing(camera: Camera, *key: int) -> Drawing:
    """Draw who makes the sketch named by ``key``, and how the view is recalled."""
    draw = Draw(_SALT, 0, *key)
    skill = draw.uniform()  # 0 careless, 1 careful
    loose = 1.0 - 0.6 * skill
    hand = Hand(
        error=0.03 + 0.07 * loose * draw.uniform(0.5, 1.0),
        turn=0.08 + 0.17 * loose,
        stretch=0.09 * loose,
        weight=draw.uniform(1.8, 3.6),
        wobble=0.5 + 2.2 * loose * draw.uniform(0.3, 1.0),
        step=draw.uniform(5.0, 9.0) + 7.0 * loose * draw.uniform(),
        drops=(0.0, 0.2 * loose * draw.uniform(), 0.7 * draw.uniform() * loose),
        breaks=draw.uniform(0.0, 0.5),
        overshoot=draw.uniform(0.0, 3.5),
        twice=draw.choice((0.0, 0.12), (0.75, 0.25)),
    )
    stretch = 1.0 + draw.bell(0.0, hand.stretch)
    fill = draw.uniform(0.62, 0.93) / max(stretch, 1 / stretch)
    recalled = Camera(
        yaw=camera.yaw + draw.bell(0.0, hand.turn),
        pitch=min(max(camera.pitch + draw.bell(0.0, 0.7 * hand.turn), 0.0), 0.7),
        distance=camera.distance * draw.uniform(0.8, 1.5),
        fill=fill,
        shift=framed(draw, fill),
        stretch=stretch,
    )
    return Drawing(recalled, hand, key)


def sketch(
    patches: Sequence[Patch], drawing: Drawing, height: int, width: int, weight: float | None = None
) -> ObjectRendering:
    """Draw remembered surfaces, in lines as wide as the hand draws or ``weight`` (units of the canvas)."""
    view = look(patches, drawing.camera, SHEET, SHEET)
    inked = ink(strokes(view, drawing), height, width, drawing.hand.weight if weight is None else weight)
    rows, columns = (((np.arange(size) + 0.5) * SHEET / size).astype(int) for size in (height, width))
    parts = view.part[np.ix_(rows, columns)].astype(np.uint8)
    image = np.repeat(255 - inked[..., None], 3, axis=2)
    return ObjectRendering(image, parts > 0, parts, view, inked)


def strokes(view: View, drawing: Drawing) -> list[np.ndarray]:
    """The strokes (N, 2) on the canvas, in the order in which they are drawn, coordinates rounded to a hundredth."""
    hand, draw = drawing.hand, Draw(_SALT, 1, *drawing.key)
    scale = CANVAS / len(view.label)
    taken = np.zeros([size + 2 * _NEAR + 1 for size in view.label.shape], bool)
    drawn = []
    for line, kind in lines(view):
        # what is short is overlooked first; around the object nothing is, or it would fall apart
        if draw.chance(hand.drops[kind] * (2.2 if len(line) < 14 else 1.0)):
            continue
        for stretch in _free(line, taken, _LEAST[kind]):
            for _ in range(2 if draw.chance(hand.twice) else 1):
                drawn += _by_hand(stretch * scale, hand, draw)
    return [np.round(np.clip(stroke, 0, CANVAS), 2) for stroke in drawn]


def _free(line: np.ndarray, taken: np.ndarray, least: int) -> list[np.ndarray]:
    """The stretches of a line that run along none drawn before (two lines so close would be one); takes its place."""
    free = _claimed(np.rint(line).astype(np.int64), taken)
    # on to the line that it meets; and what is too short is no line
    return [line[max(run.start - _NEAR, 0) : run.stop + _NEAR] for run in runs(free, least + 1)]


@compiled(nogil=True)
def _claimed(places, taken):
    """Which of the samples (N, 2) were free, int8 (N,); then mark them and their surroundings as taken."""
    free = np.empty(len(places), np.int8)
    for i in range(len(places)):
        free[i] = not taken[places[i, 1] + _NEAR, places[i, 0] + _NEAR]
    for i in range(len(places)):
        for up in range(2 * _NEAR + 1):
            for right in range(2 * _NEAR + 1):
                taken[places[i, 1] + up, places[i, 0] + right] = True
    return free


def _by_hand(line: np.ndarray, hand: Hand, draw: Draw) -> list[np.ndarray]:
    """One line as one or two strokes."""
    length = _length(line)
    points = divided(line, max(round(length / hand.step), 2))
    points = points + _wobble(length, len(points), hand.wobble * min(length / 60, 1.0), draw)
    if length > 90 and len(points) > 6 and draw.chance(hand.breaks):
        cut = 2 + draw.integer(len(points) - 4)
        pieces = [points[: cut + 1], points[cut:] + (draw.bell(0, 1.0), draw.bell(0, 1.0))]
    else:
        pieces = [points]
    return [_rounded(_overshot(piece, hand, draw), max(round(_length(piece) / 3.0), 2)) for piece in pieces]


def _overshot(points: np.ndarray, hand: Hand, draw: Draw) -> np.ndarray:
    points = points.copy()
    for end, before in ((0, 1), (-1, -2)):
        direction = points[end] - points[before]
        reach = hand.overshoot * draw.uniform(-0.7, 1.0)
        points[end] += direction * (reach / (math.hypot(*direction) + 1e-9))
    return points


def _wobble(length: float, count: int, size: float, draw: Draw) -> np.ndarray:
    """A slow drift of the hand, (count, 2)."""
    places = np.linspace(0, length, count)
    drift = np.zeros((count, 2))
    for axis in range(2):
        for wave, share in ((110.0, 0.8), (42.0, 0.45)):
            turns = places / (wave * draw.uniform(0.7, 1.4)) + draw.uniform()
            drift[:, axis] += share * size * np.sin(2 * math.pi * turns)
    return drift


def _length(line: np.ndarray) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def _rounded(line: np.ndarray, count: int) -> np.ndarray:
    """``count`` + 1 points evenly spread along a line, its corners rounded off."""
    points = divided(line, count)
    return smoothed(points, 1.2) if count > 4 else points
