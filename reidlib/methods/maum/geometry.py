"""The relay as geometry: two modalities on a circle, and what each of them is near enough to."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Arc

from reidlib.plots import panels, style
from reidlib.plots.diagrams import SHARED
from reidlib.plots.drawing import drawing

_NAMES = "visible", "infrared"
_CLOUD = 7  # images of one person in one modality
_SPREAD = 4.0  # degrees
INSIDE, OUTSIDE = 0.84, 1.2  # radius at which images and the angle between modalities are drawn: only angles count


@drawing
def relay_geometry(cosine: float = 0.75) -> Figure:
    """One person's images on the unit circle: a shared proxy, a proxy each, the pull across, and the memory.

    Ours; the paper's figures are not known. An image is *near enough* to a reference at an angle of ``arccos cosine``.
    In the first panel both modalities are near enough to one proxy, on opposite sides of it; in the third both are near
    enough to the proxy of the other.

    Args:
        cosine: at which the pull of a reference ends, between 0 and 1.

    Raises:
        ValueError: another cosine.
    """
    if not 0 < cosine < 1:
        raise ValueError(f"cosine must lie between 0 and 1, not {cosine!r}")
    near = float(np.degrees(np.arccos(cosine)))
    figure, (axes,) = panels.grid(1, 4, (12.6, 3.7))
    style.blank(axes)
    for axis in axes:
        axis.set(xlim=(-1.08, 1.08), ylim=(-0.45, 1.42), aspect="equal")
        axis.add_patch(Arc((0, 0), 2, 2, theta1=22, theta2=158, color=style.NEUTRAL, linewidth=1.0, alpha=0.6))
        axis.plot(0, 0, "o", color=style.NEUTRAL, markersize=3)
    half = near / 2
    _relay(axes[0], near)
    _apart(axes[1], 1.2 * near)
    _across(axes[2], half)
    _remembered(axes[3], half, (half + 15, half + 30))
    titles = "one proxy: a relay", "a proxy each", "pulled across", "and remembered"
    words = (
        f"each is near enough to the proxy ({near:.3g}°),\nthe modalities are twice as far apart",
        "each set of proxies meets its own modality:\nnothing draws the two together",
        f"near enough to the other's proxy\nis near the other modality ({near:.3g}°)",
        "proxies of before (hollow) pull as well,\nthe farthest hardest; visible images shown",
    )
    for axis, title, text in zip(axes, titles, words, strict=True):
        axis.set_title(title)
        axis.text(0, -0.3, text, ha="center", va="center", fontsize=9, color="black")
    _legend(figure)
    return style.caption(figure, "drawing, not data: one person on the unit circle", f"near enough: cosine {cosine:g}")


def _relay(axis: plt.Axes, near: float) -> None:
    _clouds(axis, near)
    _diamond(axis, 0, SHARED)
    for m, side in enumerate((-1, 1)):
        _pull(axis, side * (near - 6), side * 4, m, bow=-0.2 * side, across=False)
        _angle(axis, (0, side * near), 0.42, f"{near:.3g}°", SHARED)
    _angle(axis, (-near, near), OUTSIDE, f"{2 * near:.3g}°", "black")


def _apart(axis: plt.Axes, place: float) -> None:
    _clouds(axis, place)
    for m, side in enumerate((-1, 1)):
        _diamond(axis, side * (place - 3), style.MODALITY_COLOURS[m])
    _angle(axis, (-place, place), OUTSIDE, "any angle", "black")


def _across(axis: plt.Axes, half: float) -> None:
    _clouds(axis, half)
    for m, side in enumerate((-1, 1)):
        _diamond(axis, side * half, style.MODALITY_COLOURS[m])
        _pull(axis, side * half, -side * half, m, bow=0.25)
    _angle(axis, (-half, half), OUTSIDE, f"{2 * half:.3g}°", "black")


def _remembered(axis: plt.Axes, half: float, before: Sequence[float]) -> None:
    """The pull on the visible images alone: arrows of both modalities would cover each other."""
    _clouds(axis, half)
    for m, side in enumerate((-1, 1)):
        _diamond(axis, side * half, style.MODALITY_COLOURS[m])
        for place in before:
            _diamond(axis, side * place, style.MODALITY_COLOURS[m], hollow=True)
    for age, place in enumerate((half, *before)):
        _pull(axis, -half, place, 0, bow=0.15 + 0.1 * age, width=1.2 + 0.7 * age)


def _point(degrees: float, radius: float = 1.0) -> tuple[float, float]:
    """At an angle from the vertical, clockwise."""
    angle = np.radians(degrees)
    return radius * float(np.sin(angle)), radius * float(np.cos(angle))


def _clouds(axis: plt.Axes, place: float) -> None:
    """Visible images around ``-place`` degrees, infrared ones around ``place``, inside the circle to be seen."""
    steps = np.linspace(-1.5, 1.5, _CLOUD) * _SPREAD
    lifts = 0.05 * np.cos(np.arange(_CLOUD) * 2.4)
    for m, side in enumerate((-1, 1)):
        places = [_point(side * place + step, INSIDE + lift) for step, lift in zip(steps, lifts, strict=True)]
        axis.plot(*np.transpose(places), style.MODALITY_MARKERS[m], color=style.MODALITY_COLOURS[m], markersize=6,
                  alpha=0.85, markeredgecolor="white", markeredgewidth=0.4)  # fmt: skip


def _diamond(axis: plt.Axes, degrees: float, colour: str, *, hollow: bool = False) -> None:
    look = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 1.8}
    look = look if hollow else {"color": colour, "markeredgecolor": "black", "markeredgewidth": 1.2}
    axis.plot(*_point(degrees), "D", markersize=9, zorder=4, **look)


def _pull(
    axis: plt.Axes, start: float, end: float, m: int, *, bow: float, width: float = 1.6, across: bool = True
) -> None:
    """An arrow from the images of modality ``m`` to a proxy; dashed to a static one, across."""
    arrow = {"arrowstyle": "-|>", "color": style.MODALITY_COLOURS[m], "linewidth": width, "mutation_scale": 13,
             "linestyle": (0, (4, 1.5)) if across else "-", "connectionstyle": f"arc3,rad={bow}",
             "shrinkA": 4, "shrinkB": 8}  # fmt: skip
    axis.annotate("", _point(end), _point(start, INSIDE), arrowprops=arrow, zorder=5)


def _angle(axis: plt.Axes, between: tuple[float, float], radius: float, text: str, colour: str) -> None:
    """The angle between two directions, as an arc with its size."""
    low, high = sorted(between)
    if radius < 1:
        for degrees in between:
            axis.plot(*np.transpose([(0, 0), _point(degrees, 0.93)]), color=colour, linewidth=0.8, alpha=0.5)
    arc = Arc((0, 0), 2 * radius, 2 * radius, theta1=90 - high, theta2=90 - low, color=colour, linewidth=1.4)
    axis.add_patch(arc)
    axis.text(*_point((low + high) / 2, radius + 0.12), text, ha="center", va="center", fontsize=10, color=colour)


def _legend(figure: Figure) -> None:
    looks = {
        f"{name} image": {"marker": style.MODALITY_MARKERS[m], "color": style.MODALITY_COLOURS[m]}
        for m, name in enumerate(_NAMES)
    }
    looks["shared proxy"] = {"marker": "D", "color": SHARED, "markeredgecolor": "black"}
    for m, name in enumerate(_NAMES):
        looks[f"{name} proxy"] = {"marker": "D", "color": style.MODALITY_COLOURS[m], "markeredgecolor": "black"}
    looks["proxy of before"] = {"marker": "D", "markerfacecolor": "none", "markeredgecolor": style.NEUTRAL}
    style.legend(figure, looks, "outside upper center", ncols=6, handletextpad=0.2, columnspacing=1.4)
