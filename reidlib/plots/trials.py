"""The figures of the trials from which the regime was chosen, and of score against length."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reidlib.experiments.choice import TOLD_APART
from reidlib.plots import panels, style
from reidlib.plots.drawing import drawing


@drawing
def trials(table: pd.DataFrame, caption: str) -> Figure:
    """A panel a study: a row is a trial, a dot a seed; filled dots were chosen, the band lies around the first trial.

    ``table``: as of `reidlib.experiments.trials.shown`.
    """
    style.require(table, ["study", "trial", "mAP", "chosen"])
    studies = table["study"].unique()
    most = table.groupby("study")["trial"].nunique().max()
    columns = min(2, len(studies))
    rows = -(-len(studies) // columns)
    figure, axes = panels.grid(rows, columns, (5.6 * columns, (0.24 * most + 0.9) * rows), len(studies))
    for axis, study in zip(axes.flat, studies, strict=False):
        part = table[table["study"] == study]
        names = part["trial"].unique().tolist()
        first = 100 * part.loc[part["trial"] == names[0], "mAP"].mean()
        axis.axvspan(first - TOLD_APART, first + TOLD_APART, color="0.9", zorder=0)
        for place, name in enumerate(names):
            runs = part[part["trial"] == name]
            filled = "#0072B2" if runs["chosen"].any() else "none"
            axis.scatter(100 * runs["mAP"], [place] * len(runs), s=26, color=filled, edgecolor="#0072B2", zorder=2)
        panels.name_rows(axis, names, xlabel="mAP on the development twin, per cent")
        axis.set_title(f"{study.removesuffix('-trials')}: {len(names)} trial{'s' * (len(names) > 1)}", fontsize=9)
    return style.caption(
        figure, caption, f"dot: a run · filled: chosen · band: within {TOLD_APART} points of the first trial"
    )


@drawing
def lengths(table: pd.DataFrame, caption: str) -> Figure:
    """Score against length: a line for every variant, its mean over seeds with the 95 % interval.

    ``table``: rows of `reidlib.experiments.trials.rows` whose trials are called ``"MAUM-G, × 3"``.
    """
    style.require(table, ["trial", "seed", "mAP"])
    parts = table["trial"].str.extract(r"^(?P<variant>.*), × (?P<length>\d+)$")
    table = table.assign(variant=parts["variant"], length=parts["length"].astype(float)).dropna(subset=["length"])
    style.require(table)
    figure, ((axis,),) = panels.grid(1, 1, (5.6, 3.8))
    variants = table["variant"].unique()
    for name, offset, look in panels.side_by_side(variants, 0.12):
        runs = table[table["variant"] == name].sort_values("length")
        panels.means(axis, 100 * runs["mAP"], runs["length"] + offset, upright=True, label=style.label(name), **look)
    ticks = np.sort(table["length"].unique())
    axis.set_xticks(ticks, [f"× {tick:g}" for tick in ticks])
    axis.set(xlabel="length of training", ylabel="mAP on the development twin, per cent")
    figure.legend(loc="outside right upper")
    return style.caption(figure, caption, style.bars(table, "seeds", "seed"))
