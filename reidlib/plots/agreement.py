"""The figure of whether validation, development and test agree about runs."""

import math

import pandas as pd
from matplotlib.figure import Figure

from reidlib.experiments.agreement import correlations
from reidlib.plots import panels, style
from reidlib.plots.drawing import drawing


@drawing
def agreement(table: pd.DataFrame, caption: str, metric: str = "mAP") -> Figure:
    """A point a run, by its scores in two places, a panel for every two of validation, development and test.

    ``table``: as of `reidlib.experiments.agreement.table`. Above each panel stands Spearman's rank correlation.
    """
    style.require(table, ["method", "validation", "development"])
    pairs = correlations(table)
    style.require(pairs)
    figure, axes = panels.grid(1, len(pairs), (3.4 * len(pairs) + 0.4, 3.5))
    for axis, pair in zip(axes.flat, pairs.itertuples(), strict=True):
        for method, part in table.groupby("method", sort=False):
            scores = 100 * part[[pair.first, pair.second]]
            label = style.label(method) if axis is axes.flat[0] else None
            axis.scatter(*scores.to_numpy().T, color=style.colour(method), label=label, s=22)
        interval = "" if math.isnan(pair.low) else f" ({pair.low:.2f} to {pair.high:.2f})"
        axis.set_title(f"rank correlation {pair.correlation:.2f}{interval}", fontsize=9)
        axis.set(xlabel=f"{pair.first} {metric}, per cent", ylabel=f"{pair.second} {metric}, per cent")
    figure.legend(loc="outside upper center", ncols=4)
    runs = f"{len(table)} runs · interval: 95 % (Bonett & Wright)"
    return style.caption(figure, caption, runs)
