"""Draw strokes given as points, for readers of sketches and for twins: lines with round ends and smooth edges."""

import math
from collections.abc import Iterable

import numpy as np

from reidlib.compiled import compiled

CANVAS = 256
"""Coordinates of strokes run from 0 to 256, x to the right and y down, as in the files of QMUL's sketch sets."""
LINE_WIDTH = 3.0
"""Of a stroke for which no width is known, in units of the canvas. Reconstructed: those files hold none."""


def ink(strokes: Iterable[np.ndarray], height: int, width: int, weight: float = LINE_WIDTH) -> np.ndarray:
    """Strokes (N, 2) on the canvas, in lines ``weight`` wide → uint8 (H, W): 255 is full ink, 0 bare paper.

    A stroke of one point is a dot.
    """
    scale = np.array([width, height]) / CANVAS
    page = np.zeros((height, width))
    for stroke in strokes:
        _draw(page, np.asarray(stroke, np.float64) * scale, weight * float(min(scale)) / 2)
    return np.round(page * 255).astype(np.uint8)


@compiled(nogil=True, error_model="numpy")
def _draw(page, points, radius):
    """Darken the pixels by the share of them that the line covers, taken from their distance to it."""
    most = min(2 * radius, 1.0)  # a line thinner than a pixel is grey
    for i in range(max(len(points) - 1, 1)):
        ax, ay = points[i, 0], points[i, 1]
        bx, by = points[min(i + 1, len(points) - 1), 0], points[min(i + 1, len(points) - 1), 1]
        dx, dy = bx - ax, by - ay
        squared = dx * dx + dy * dy + 1e-12
        reach = radius + 1.0
        for row in range(max(int(min(ay, by) - reach), 0), min(int(max(ay, by) + reach) + 1, page.shape[0])):
            for column in range(max(int(min(ax, bx) - reach), 0), min(int(max(ax, bx) + reach) + 1, page.shape[1])):
                x, y = column + 0.5 - ax, row + 0.5 - ay
                t = min(max((x * dx + y * dy) / squared, 0.0), 1.0)
                distance = math.sqrt((x - t * dx) ** 2 + (y - t * dy) ** 2)
                cover = min(max(radius + 0.5 - distance, 0.0), most)
                if cover > page[row, column]:
                    page[row, column] = cover
