"""Draw strokes given as points: black lines with round ends and smooth edges."""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

CANVAS = 256
"""Coordinates of strokes run from 0 to 256, x to the right and y down, as in the files of QMUL's sketch sets."""
LINE_WIDTH = 3.0
"""Of a stroke for which no width is known, in units of the canvas. Reconstructed: those files hold none."""

_SAMPLES = 4  # a side of each pixel: lines are drawn that much larger, then averaged


def ink(strokes: Iterable[np.ndarray], height: int, width: int, weight: float = LINE_WIDTH) -> Image.Image:
    """Strokes (N, 2) on the canvas, in lines ``weight`` wide → grey image: 255 is full ink, 0 bare paper.

    A stroke of one point is a dot.
    """
    scale = np.array([width, height]) * _SAMPLES / CANVAS
    page = Image.new("L", (width * _SAMPLES, height * _SAMPLES))
    pen, radius = ImageDraw.Draw(page), weight * min(scale) / 2
    for stroke in strokes:
        points = [tuple(point) for point in (stroke * scale).tolist()]
        pen.line(points, fill=255, width=max(round(2 * radius), 1), joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return page.reduce(_SAMPLES)
