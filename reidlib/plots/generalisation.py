"""Figures of notebook 10: models on data sets that show no people, beside chance."""

import pandas as pd
from matplotlib.figure import Figure

from reidlib.plots import panels, style
from reidlib.plots.drawing import drawing


@drawing
def against_chance(table: pd.DataFrame, caption: str, metric: str = "rank-1", untrained: int = 0) -> Figure:
    """A score of several models, a panel each data set, with intervals; dashed: chance.

    Args:
        table: as `tables.against_chance` gives it, data sets one below the other: ``dataset``, ``model``, the metric,
            ``low``, ``high`` and ``chance``, fractions. A data set may lack a model.
        metric: what it is called on the axis.
        untrained: how many of the first models were not trained on the data set; a line parts them from the others.
    """
    style.require(table, ["dataset", "model", metric, "low", "high", "chance"])
    datasets, models = (table[name].drop_duplicates().tolist() for name in ("dataset", "model"))
    looks, parted = style.looks(models), 0 < untrained < len(models)
    size = 2.1 + 2.5 * len(datasets), 0.36 * len(models) + 1.5
    figure, (axes,) = panels.grid(1, len(datasets), size, sharey=True)
    for axis, dataset in zip(axes, datasets, strict=True):
        part = table[table["dataset"] == dataset]
        chance = 100 * part["chance"].iloc[0]
        panels.dashed(axis, chance)
        for record in part.to_dict("records"):
            value, ends = 100 * record[metric], (100 * record["low"], 100 * record["high"])
            row, (colour, marker) = models.index(record["model"]), looks[record["model"]]
            axis.plot(ends, (row, row), color=colour, linewidth=2)
            axis.plot(value, row, marker=marker, color=colour, markersize=7, linestyle="")
        if parted:
            axis.axhline(untrained - 0.5, color=style.NEUTRAL, linewidth=0.8)
        axis.set(title=f"{dataset}\nchance {chance:.2g} %", xlabel=f"{metric} in per cent")
        axis.set_xlim(left=0)
        axis.grid(axis="y", visible=False)
    panels.name_rows(axes[0], models)
    below = "below the line: trained on the data set" if parted else ""
    bars = "bars: 95 % interval (bootstrap over query identities and runs)"
    return style.caption(figure, caption, "dashed: chance", bars, below)


@drawing
def pair_plane(table: pd.DataFrame, caption: str) -> Figure:
    """Queries in the plane of two cosines: with the right image, and with the nearest wrong one.

    A query above the diagonal finds the right image first, so that the share of points above it is rank-1. The star is
    where losses pull to.

    Args:
        table: a line a query: ``panel``, ``positive`` (cosine with the nearest right image) and ``negative`` (with the
            nearest wrong one). At most three panels stand in a row.
    """
    style.require(table, ["panel", "positive", "negative"])
    names = table["panel"].drop_duplicates().tolist()
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure, axes = panels.grid(lines, columns, (3.5 * columns + 0.3, 3.6 * lines + 0.5), len(names), sharey=True)
    low = min(0.0, float(table[["positive", "negative"]].to_numpy().min()) - 0.05)
    for axis, name in zip(axes.flat, names, strict=False):
        part = table[table["panel"] == name]
        right = part["positive"] > part["negative"]
        for chosen, colour, marker in ((right, style.RIGHT, "o"), (~right, style.WRONG, "X")):
            look = {"color": colour, "marker": marker, "s": 16, "alpha": 0.6, "linewidth": 0}
            axis.scatter(part.loc[chosen, "negative"], part.loc[chosen, "positive"], **look)
        axis.plot([low, 1], [low, 1], color=style.NEUTRAL, linewidth=1)
        axis.plot(0, 1, marker="*", markersize=13, color=style.RIGHT, clip_on=False)
        axis.set_title(f"{name}\nabove the line: {100 * right.mean():.1f} %", pad=12)
        axis.set(xlabel="nearest wrong image, cosine", xlim=(low, 1), ylim=(low, 1), aspect="equal")
    for axis in axes[:, 0]:
        axis.set_ylabel("right image, cosine")
    return style.caption(figure, caption, "a point: a query · green: found first · star: the goal")
