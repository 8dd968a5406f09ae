"""Architectures as boxes and arrows, and the boxes that several of them share."""

from collections.abc import Sequence
from itertools import pairwise
from math import isclose
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from reidlib.plots import style
from reidlib.plots.drawing import drawing

Box = tuple[str, float, float, str]  # text, x and y of the middle, colour
HEIGHT = 0.62
SHARED, LOSS = "#009E73", style.NEUTRAL
MODALITIES = dict(zip(("visible", "infrared"), style.MODALITY_COLOURS.values(), strict=False))
HEAD = (("pool", "neck", "classifier", "identity"), ("pool", "triplet"), ("neck", "test"))
"""The arrows of :func:`head`."""


def pairs(part: str, x: float, ys: Sequence[float], text: str = "{}\n{}") -> dict[str, Box]:
    """A part of each modality, one above the other, called "visible stem" and "infrared stem" if ``part`` is "stem".

    ``text``: what stands in the boxes, with places for the modality and the part.
    """
    return {
        f"{name} {part}": (text.format(name, part), x, y, colour)
        for (name, colour), y in zip(MODALITIES.items(), ys, strict=True)
    }


def head(x: float, y: float, step: float, above: float, below: float) -> dict[str, Box]:
    """From the pooled map at ``x`` and ``y`` to the losses ``below`` and the test feature ``above``."""
    return {
        "pool": ("GeM pooling", x, y, SHARED),
        "neck": ("BNNeck", x + step, y, SHARED),
        "classifier": ("classifier", x + 2 * step, y, SHARED),
        "triplet": ("triplet loss", x, below, LOSS),
        "test": ("test feature", x + step, above, LOSS),
        "identity": ("identity loss", x + 2 * step, below, LOSS),
    }


@drawing
def boxes_and_arrows(
    boxes: dict[str, Box], arrows: Sequence[Sequence[str]], size: tuple[float, float], width: float = 1.5
) -> Figure:
    """Draw named boxes (in units of inches) and arrows from each to the next: ``(from, to, …)`` by name."""
    figure, axis = plt.subplots(figsize=size)
    axis.set(xlim=(0, size[0]), ylim=(0, size[1]), aspect="equal")
    style.blank([axis])
    for text, x, y, colour in boxes.values():
        shape = FancyBboxPatch(
            (x - width / 2, y - HEIGHT / 2), width, HEIGHT, boxstyle="round,pad=0.02,rounding_size=0.1",
            facecolor=colour + "33", edgecolor=colour, linewidth=1.4,
        )  # fmt: skip
        axis.add_patch(shape)
        axis.text(x, y, text, ha="center", va="center", fontsize=9)
    for start, end in (arrow for path in arrows for arrow in pairwise(path)):
        (_, x0, y0, _), (_, x1, y1, _) = boxes[start], boxes[end]
        begin, finish = (x0 + width / 2 + 0.03, y0), (x1 - width / 2 - 0.03, y1)
        if isclose(x0, x1):
            side = 1 if y1 > y0 else -1
            begin, finish = (x0, y0 + side * (HEIGHT / 2 + 0.03)), (x1, y1 - side * (HEIGHT / 2 + 0.03))
        arrow(figure, begin, finish)
    return figure


def arrow(figure: Figure, start: tuple[float, float], end: tuple[float, float], **look: Any) -> None:
    """An arrow of its own, from point to point; ``look``: of ``arrowprops``."""
    look = {"arrowstyle": "-|>", "color": style.NEUTRAL, "linewidth": 1.3} | look
    figure.axes[0].annotate("", end, start, arrowprops=look)


def note(figure: Figure, text: str, x: float, y: float, **look: Any) -> None:
    """Grey words between the boxes."""
    look = {"ha": "center", "va": "center", "fontsize": 8.5, "color": style.NEUTRAL} | look
    figure.axes[0].text(x, y, text, **look)
