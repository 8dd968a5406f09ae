"""Figures of notebook 09: what accuracy costs, and where the claims of the papers stand."""

import itertools
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reidlib.plots import panels, style
from reidlib.plots.drawing import drawing

MARKERS = "os^Dv"
WORDS = {  # colour and marker: told apart without colours as well
    "supported": (style.RIGHT, "o"),
    "not supported": (style.WRONG, "X"),
    "undecided": (style.NEUTRAL, "D"),
    "instrument cannot tell": ("#CC79A7", "v"),
    "deviated": ("#56B4E9", "s"),
    "no runs yet": ("#B0B0B0", ""),
}
LIMIT = 5  # of an effect, in smallest effects that matter: what lies beyond is drawn as an arrow


@drawing
def accuracy_cost(table: pd.DataFrame, caption: str, metric: str = "mAP") -> Figure:
    """A score of every model against its parameters, and against the time of its training.

    Args:
        table: rows of `reidlib.experiments.benchmark.table` for one data set, profile and protocol: ``model``,
            ``method``, the metric and its deviation over runs (fractions), ``parameters`` and ``time_ratio``. A model
            that was trained on another machine than the baseline (NaN) is missing on the right.
    """
    style.require(table, ["model", "method", metric, f"{metric} std", "parameters", "time_ratio"])
    figure, (axes,) = panels.grid(1, 2, (8.4, 3.7), sharey=True)
    for method, of_method in table.groupby("method", sort=False):
        for record, marker in zip(of_method.to_dict("records"), itertools.cycle(MARKERS), strict=False):
            for axis, x in zip(axes, (record["parameters"] / 1e6, record["time_ratio"]), strict=True):
                axis.errorbar(
                    x, 100 * record[metric], 100 * np.nan_to_num(record[f"{metric} std"]), marker=marker, markersize=7,
                    color=style.colour(method), capsize=3, linestyle="", label=record["model"],
                )  # fmt: skip
    axes[0].set(xlabel="parameters, millions", ylabel=f"{metric} in per cent")
    axes[1].set(xlabel="time of the training ÷ that of the baseline")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    several = table[f"{metric} std"].notna().any()
    return style.caption(figure, caption, "bars: standard deviation over runs" if several else "one run each")


@drawing
def calibration(table: pd.DataFrame, caption: str) -> Figure:
    """How often three kinds of interval hold the truth, one line for each mix of what a difference varies with.

    Args:
        table: `reidlib.experiments.calibration.coverage`: ``run``, ``identity``, ``rest`` (shares of variance), and a
            column for each kind of interval, shares of tables (0–1).
    """
    shares = ["run", "identity", "rest"]
    style.require(table, shares)
    kinds = [name for name in table if name not in shares]
    table = table.sort_values(["rest", "run"]).reset_index(drop=True)
    figure, axis = plt.subplots(figsize=(8.4, 0.3 * len(table) + 1.8), layout="constrained")
    axis.axvspan(93, 98, color=style.NEUTRAL, alpha=0.2, linewidth=0)
    axis.axvline(95, color=style.NEUTRAL, linestyle="--", linewidth=1.2)
    looks = zip(kinds, ("#56B4E9", "#E69F00", "black"), "s^o", strict=False)
    for kind, colour, marker in looks:
        axis.plot(100 * table[kind], table.index, marker, color=colour, markersize=7, label=kind)
    names = [f"{run:.2f} · {person:.2f} · {rest:.2f}" for run, person, rest in table[shares].to_numpy()]
    panels.name_rows(axis, names, 0.6)
    axis.set(xlabel="intervals that hold the truth, per cent", ylabel="share of the variance:\nrun · identity · rest")
    figure.legend(loc="outside upper center", ncols=len(kinds), frameon=False)
    return style.caption(figure, caption, "grey: from 93 to 98 per cent")


@drawing
def claims(table: pd.DataFrame, caption: str) -> Figure:
    """Where the claims stand: a line a part, its effect with the interval, its statement and its verdict in words.

    Effects are in units of the smallest that matters, turned so that the claim's wish lies on the right.

    Args:
        table: `reidlib.experiments.claims.findings`: ``part``, ``statement``, ``verdict``, ``direction``, ``smallest``,
            ``difference``, ``low``, ``high``; parts without runs have no number.
    """
    numbers = ["difference", "low", "high"]
    style.require(table, ["part", "statement", "verdict", "direction", "smallest", *numbers])
    figure, axis = plt.subplots(figsize=(9.6, 0.25 * len(table) + 1.5), layout="constrained")
    axis.axvspan(0, 1, color=style.NEUTRAL, alpha=0.15, linewidth=0)
    axis.axvline(0, color="black", linewidth=1)
    for row, record in enumerate(table.to_dict("records")):
        colour, marker = WORDS[record["verdict"]]
        edge = axis.get_yaxis_transform()  # x as a share of the axis, y in data
        axis.text(1.02, row, record["verdict"], transform=edge, va="center", fontsize=9, color=colour)
        if np.isnan(record["difference"]):
            continue
        turned = (-1 if record["direction"] == "less" else 1) / record["smallest"]
        mean, *ends = (turned * record[name] for name in numbers)
        if np.isfinite(ends).all():
            axis.plot(np.clip(ends, -LIMIT, LIMIT), [row, row], color=colour, linewidth=1.6)
        marker = marker if abs(mean) <= LIMIT else ">" if mean > 0 else "<"
        axis.plot(np.clip(mean, -LIMIT, LIMIT), row, marker, color=colour, markersize=6)
    said = [textwrap.shorten(text, 76, placeholder=" …") for text in table["statement"]]
    names = [f"{part}  {text}" for part, text in zip(table["part"], said, strict=True)]
    panels.name_rows(axis, names, 0.6, xlim=(-1.06 * LIMIT, 1.06 * LIMIT))
    axis.tick_params(axis="y", labelsize=8)
    axis.set_xlabel("against the claim ←  effect ÷ the smallest that matters  → for the claim")
    return style.caption(figure, caption, "bars: 95 % intervals", "grey: too small to matter", "arrows: farther out")
