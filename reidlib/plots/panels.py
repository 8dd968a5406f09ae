"""What many figures draw: panels, rows with names, means with intervals, curves over options, numbers in cells."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from reidlib.experiments.uncertainty import half_width
from reidlib.plots import style
from reidlib.plots.style import Interval


def grid(
    rows: int, columns: int, size: tuple[float, float], used: int | None = None, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure of ``size`` (inches) and its panels, (rows, columns); those after the first ``used`` are not shown."""
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)
    for axis in axes.flat[axes.size if used is None else used :]:
        axis.set_axis_off()
    return figure, axes


def images(
    rows: int, columns: int, size: tuple[float, float], titles: Iterable[str] = (), **options: Any
) -> tuple[Figure, np.ndarray]:
    """As :func:`grid`, for panels that show images: without ticks and frames; ``titles``: above the first row."""
    figure, axes = grid(rows, columns, size, **options)
    style.blank(axes.flat)
    for axis, title in zip(axes[0], titles, strict=False):
        axis.set_title(title, fontsize=9)
    return figure, axes


def name_rows(axis: plt.Axes, names: Sequence[str], edge: float = 0.5, **others: Any) -> None:
    """Names along the vertical axis, the first on top, methods as their authors write them.

    Args:
        edge: what is left free above the first and below the last, in rows.
        others: of ``axis.set``.
    """
    axis.set_yticks(range(len(names)), [style.label(name) for name in names])
    axis.set(ylim=(len(names) - 1 + edge, -edge), **others)


def offsets(number: int, reach: float) -> np.ndarray:
    """Where series lie that share a row, from ``-reach`` to ``reach``; a single one lies in the middle."""
    return np.linspace(-reach, reach, number) if number > 1 else np.zeros(number)


def side_by_side(names: Iterable[str], reach: float) -> Iterator[tuple[str, float, dict[str, str]]]:
    """Name of each series, its place in a row (:func:`offsets`) and its look: ``color`` and ``marker``."""
    looks = style.looks(names)
    for (name, (colour, marker)), offset in zip(looks.items(), offsets(len(looks), reach), strict=True):
        yield name, offset, {"color": colour, "marker": marker}


def means(
    axis: plt.Axes,
    runs: pd.Series,
    place: Any,
    interval: Interval | None = half_width,
    upright: bool = False,
    **look: Any,
) -> None:
    """The mean of the runs in each place, with a bar around it; nothing around a single run.

    Args:
        runs: their values; missing ones do not count.
        place: where each run lies, or where all lie: down the rows or, if ``upright``, from left to right.
        interval: half the length of the bar from the values in a place, default: that of the mean's 95 % interval
            (Student's t); ``None``: no bars.
        look: of ``axis.errorbar``; means are joined by a line only if ``upright``.
    """
    groups = pd.Series(np.asarray(runs, float)).groupby(np.broadcast_to(place, len(runs)))
    mean = groups.mean()
    width = interval and np.nan_to_num(groups.agg(lambda values: interval(values.dropna())))
    if upright:
        axis.errorbar(mean.index, mean, width, **look)
    else:
        axis.errorbar(mean, mean.index, xerr=width, **{"linestyle": ""} | look)


def curve(
    axis: plt.Axes,
    runs: pd.Series,
    values: pd.Series,
    usual: float,
    interval: Interval | None,
    labels: Mapping[float, float] | None = None,
    zorder: float = 2,
    **look: Any,
) -> None:
    """Means over the values of an option, which are equally far apart as their steps are no even ones; black: runs.

    Args:
        runs: the score of each.
        values: that each had.
        usual: the recipe's, marked by a dashed line if there is a run of it.
        interval: as in :func:`means`.
        labels: what the axis calls the values, where not as they are.
        zorder: of the points.
    """
    steps = sorted(values.unique())
    place = values.map(steps.index)
    if usual in steps:
        dashed(axis, steps.index(usual))
    axis.scatter(place, runs, color="black", s=11, alpha=0.5, linewidth=0, zorder=zorder)
    means(axis, runs, place, interval, upright=True, **{"marker": "o", "capsize": 3} | look)
    axis.set_xticks(range(len(steps)), [f"{value if labels is None else labels[value]:g}" for value in steps])
    axis.set_xlim(-0.4, len(steps) - 0.6)


def dashed(axis: plt.Axes, x: float) -> None:
    """A dashed line at what all else is compared with: the recipe's value, the reference, chance."""
    axis.axvline(x, color=style.NEUTRAL, linestyle="--", linewidth=1.2, zorder=1)


def numbers(axis: plt.Axes, cells: np.ndarray, form: str, is_dark: Callable[[float], bool], **look: Any) -> AxesImage:
    """A matrix as an image with the number in each cell that has one; white letters where the cell is dark."""
    image = axis.imshow(cells, aspect="auto", **look)
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            colour = "white" if is_dark(value) else "black"
            axis.text(column, row, format(value, form), ha="center", va="center", fontsize=9, color=colour)
    axis.grid(False)
    return image
