"""Figures of many runs: what a weight, a component or another method changes, against the spread over seeds.

Tables have one row a run, as `reidlib.experiments.ledger.table` gives them: ``seed``, metrics as fractions, and columns
that tell the runs apart. Where there are several seeds, figures show the mean, its 95 % interval (Student's t) and
every run.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from reidlib.experiments.uncertainty import half_width
from reidlib.plots import panels, style
from reidlib.plots.drawing import drawing

METRICS = ("rank-1", "mAP")
_STEPS = (-8, -6, -4, -2, 2, 4, 6, 8)  # of colour, in noises: what lies between −2 and 2 is white
_DIFFERENCES = sns.color_palette("PuOr_r", as_cmap=True)


@drawing
def sensitivity(
    table: pd.DataFrame,
    caption: str,
    x: str = "weight",
    series: str | None = None,
    metrics: Sequence[str] = METRICS,
    default: float | None = None,
    scale: str = "linear",
) -> Figure:
    """Scores over the values of a weight or option: mean over seeds, points for runs.

    Three seeds or more of each value also give an interval.

    Args:
        x: the column of the value.
        series: a column that tells several curves apart (the name of the weight, the method).
        default: the value in the recipe, marked by a dashed line.
        scale: of the horizontal axis: ``"linear"`` or ``"log"``.
    """
    style.require(table, [x, "seed", *metrics, *([series] if series else [])])
    table = table.assign(curve=table[series].astype("str") if series else "")
    looks, interval = style.looks(table["curve"]), style.interval(table, ["curve", x])
    figure, axes = panels.grid(1, len(metrics), (3.9 * len(metrics) + 0.4, 3.5))
    for axis, metric in zip(axes[0], metrics, strict=True):
        for name, (colour, marker) in looks.items():
            part = table[table["curve"] == name]
            place, runs = part[x], 100 * part[metric]
            axis.scatter(place, runs, color=colour, s=11, alpha=0.45, linewidth=0, zorder=2)
            panels.means(
                axis, runs, place, interval, upright=True, color=colour, marker=marker,
                markersize=5.5, capsize=3, elinewidth=1.2, linewidth=1.6, label=style.label(name),
            )  # fmt: skip
        if default is not None:
            panels.dashed(axis, default)
        axis.set(xlabel=x.replace("_", " "), ylabel=f"{metric} in per cent", xscale=scale)
        values = sorted(table[x].unique())
        if scale == "log" or len(values) <= 8:
            axis.set_xticks(values, [f"{value:g}" for value in values])
            axis.minorticks_off()
    if series:
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=min(len(looks), 5))
    dashed = "" if default is None else "dashed: the recipe's value"
    return style.caption(figure, caption, style.explained(table, interval, "lines"), dashed)


@drawing
def weight_map(
    table: pd.DataFrame,
    caption: str,
    x: str,
    y: str,
    metric: str = "mAP",
    default: Sequence[float] | None = None,
    noise: float | None = None,
) -> Figure:
    """Mean score over the seeds for each pair of values of two weights, as a map with its numbers in per cent.

    Args:
        default: the values of x and y in the recipe, whose cell gets a frame.
        noise: the standard deviation of the difference of two cells that are alike, in points. Cells are then coloured
            by (cell − recipe) ÷ noise, and stay white up to twice the noise; without it, from the lowest score to the
            highest, however near these are.

    Raises:
        ValueError: a noise that is not above 0, or one without a cell of the recipe to compare with.
    """
    style.require(table, [x, y, metric])
    grid = 100 * table.pivot_table(index=y, columns=x, values=metric, aggfunc="mean").sort_index(ascending=False)
    framed = default is not None and default[0] in grid.columns and default[1] in grid.index
    if noise is not None and not (noise > 0 and framed):
        raise ValueError(f"noise {noise} must be above 0, and default {default} a cell of the map to compare with")
    size = 0.78 * grid.shape[1] + 1.9, 0.5 * grid.shape[0] + 1.3
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    if noise is None:
        shown, look, label = grid, {"cmap": "cividis"}, f"{metric} in per cent"
    else:
        shown, label = (grid - grid.loc[default[1], default[0]]) / noise, f"{metric}: (cell − recipe) ÷ noise"
        look = {"cmap": _DIFFERENCES, "norm": BoundaryNorm(_STEPS, _DIFFERENCES.N, extend="both")}
    ticks = [[f"{value:g}" for value in values] for values in (grid.columns, grid.index)]
    sns.heatmap(
        shown, ax=axis, annot=grid, fmt=".1f", annot_kws={"fontsize": 9}, xticklabels=ticks[0], yticklabels=ticks[1],
        cbar_kws={"label": label, **({} if noise is None else {"ticks": _STEPS})}, **look,
    )  # fmt: skip
    axis.tick_params(axis="y", rotation=0)
    axis.set(xlabel=x, ylabel=y)
    if framed:
        corner = grid.columns.get_loc(default[0]), grid.index.get_loc(default[1])
        axis.add_patch(plt.Rectangle(corner, 1, 1, fill=False, edgecolor=style.WRONG, linewidth=2.5, clip_on=False))
    runs = table.groupby([x, y]).size().max()
    cells = "means over seeds" if runs > 1 else "one value a cell"
    known = "" if noise is None else f"noise: {noise:.1f} points · white: up to twice the noise"
    empty = "empty: not run" if grid.isna().any(axis=None) else ""
    return style.caption(figure, caption, cells, "framed: the recipe" if framed else "", known, empty)


@drawing
def ladder(
    table: pd.DataFrame,
    caption: str,
    reference: str | None = None,
    components: Sequence[str] = (),
    metrics: Sequence[str] = METRICS,
) -> Figure:
    """Variants of a method from top to bottom: which components are on, and the scores.

    Three seeds or more of each variant also give an interval.

    Args:
        table: with ``variant`` and ``seed``; variants are drawn in the order they appear in.
        reference: the variant whose mean is drawn as a dashed line; default: the first.
        components: columns that are true where a component is on; none: the names of the variants say it all.
    """
    style.require(table, ["variant", "seed", *metrics, *components])
    variants = table["variant"].drop_duplicates().tolist()
    reference = variants[0] if reference is None else reference
    if reference not in variants:
        raise ValueError(f"no variant is called {reference!r}; the table has {variants}")
    dots, interval = len(components), style.interval(table, ["variant"])
    ratios = [max(0.34 * dots, 0.01), *[3.6] * len(metrics)]
    size = 2.3 + sum(ratios), 0.4 * len(variants) + (1.2 if not dots else 1.9)
    figure, ((switches, *axes),) = panels.grid(1, 1 + len(metrics), size, sharey=True, width_ratios=ratios)
    _switches(switches, table.drop_duplicates("variant"), components)
    panels.name_rows(switches, variants)
    rows = table["variant"].map(variants.index)
    look = {"marker": "o", "markersize": 7, "linewidth": 2.2, "color": style.MODALITY_COLOURS[1]}
    for axis, metric in zip(axes, metrics, strict=True):
        runs = 100 * table[metric]
        panels.dashed(axis, runs[table["variant"] == reference].mean())
        panels.means(axis, runs, rows, interval, **look)
        axis.scatter(runs, rows + 0.28, s=13, color="black", alpha=0.6, linewidth=0)
        axis.set_xlabel(f"{metric} in per cent")
        axis.tick_params(axis="y", length=0, labelleft=False)
    dashed = f"dashed: {style.label(reference)}"
    return style.caption(figure, caption, style.explained(table, interval, "circles"), dashed)


def _switches(axis: plt.Axes, variants: pd.DataFrame, components: Sequence[str]) -> None:
    """A dot where a component is on, a small ring where it is off."""
    style.blank([axis])
    axis.set_xlim(-0.6, max(len(components), 1) - 0.4)
    for column, name in enumerate(components):
        on = variants[name].to_numpy(bool)
        rows = np.arange(len(on))
        axis.scatter(np.full(on.sum(), column), rows[on], s=55, color="#333333")
        axis.scatter(np.full((~on).sum(), column), rows[~on], s=22, facecolor="none", edgecolor="#BBBBBB")
    axis.xaxis.tick_top()
    axis.set_xticks(range(len(components)), components, rotation=90, ha="center", fontsize=9)
    axis.tick_params(length=0)


@drawing
def comparison(table: pd.DataFrame, caption: str, margin: float | None = None, metric: str = "mAP") -> Figure:
    """Paired differences between two methods, seed by seed, with their mean and its interval, and a line at zero.

    Args:
        table: as `tables.differences` gives it: ``comparison``, ``seed``, ``difference`` (a fraction) and, the same
            in all rows of a comparison, ``low`` and ``high``, the ends of its bootstrap interval over identities and
            seeds, and ``verdict``, a word for the right edge. Without these three: Student's t and no word.
        margin: half the width of the grey band of differences that mean nothing, from the null control (a fraction).
        metric: what differs.
    """
    style.require(table, ["comparison", "seed", "difference"])
    names = table["comparison"].drop_duplicates().tolist()
    given = {"low", "high"} <= set(table.columns)
    figure, axis = plt.subplots(figsize=(7.6, 0.5 * len(names) + 1.3), layout="constrained")
    axis.axvline(0, color="black", linewidth=1)
    if margin is not None:
        axis.axvspan(-100 * margin, 100 * margin, color=style.NEUTRAL, alpha=0.18, linewidth=0)
    for row, name in enumerate(names):
        part = table[table["comparison"] == name]
        mean, width = part["difference"].mean(), half_width(part["difference"])
        ends = part[["low", "high"]].iloc[0].to_list() if given else [mean - width, mean + width]
        axis.plot(100 * np.array(ends), [row, row], color=style.MODALITY_COLOURS[1], linewidth=2.2)
        axis.plot(100 * mean, row, "o", markersize=8, color=style.MODALITY_COLOURS[1])
        below = np.full(len(part), row + 0.24)
        axis.scatter(100 * part["difference"], below, s=16, color="black", alpha=0.6, linewidth=0)
        if "verdict" in part:
            edge = axis.get_yaxis_transform()  # x as a share of the axis, y in data
            axis.text(1.02, row, part["verdict"].iloc[0], transform=edge, va="center", fontsize=9)
    panels.name_rows(axis, names, 0.55, xlabel=f"difference in {metric}, points")
    axis.grid(axis="y", visible=False)
    around = "95 % interval" + (" (bootstrap)" if given else " of the mean (Student t)")
    band = "" if margin is None else f"grey: ±{100 * margin:g}, the noise of the null control"
    return style.caption(figure, caption, "points: pairs of runs with the same seed", f"bars: {around}", band)
