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
