"""Architectures as boxes and arrows."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from reidlib.plots import style
from reidlib.plots.drawing import drawing

Box = tuple[str, float, float, str]  # text, x and y of the middle, colour


@drawing
def boxes_and_arrows(
    boxes: dict[str, Box], arrows: Sequence[tuple[str, str]], size: tuple[float, float], width: float = 1.5
) -> Figure:
    """Draw named boxes (in units of inches) and arrows between them: ``(from, to)`` by name."""
    figure, axis = plt.subplots(figsize=size)
    axis.set(xlim=(0, size[0]), ylim=(0, size[1]), aspect="equal")
    style.blank([axis])
    height = 0.62
    for text, x, y, colour in boxes.values():
        shape = FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0.02,rounding_size=0.1",
            facecolor=colour + "33", edgecolor=colour, linewidth=1.4,
        )  # fmt: skip
        axis.add_patch(shape)
        axis.text(x, y, text, ha="center", va="center", fontsize=9)
    for start, end in arrows:
        (_, x0, y0, _), (_, x1, y1, _) = boxes[start], boxes[end]
        begin, finish = (x0 + width / 2 + 0.03, y0), (x1 - width / 2 - 0.03, y1)
        if x0 == x1:
            side = 1 if y1 > y0 else -1
            begin, finish = (x0, y0 + side * (height / 2 + 0.03)), (x1, y1 - side * (height / 2 + 0.03))
        axis.annotate("", finish, begin, arrowprops={"arrowstyle": "-|>", "color": style.NEUTRAL, "linewidth": 1.3})
    return figure
