"""Figures of notebook 09: what accuracy costs, and where the claims of the papers stand."""

import itertools

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
    "no runs yet": ("#B0B0B0", ""),
}
LIMIT = 6  # of the strength of a finding: what lies beyond is drawn as an arrow


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
def claims(table: pd.DataFrame, caption: str) -> Figure:
    """Where the claims stand: a line a claim, a point each difference that its verdict rests on, the verdict in words.

    A difference is drawn as its *strength*: divided by the distance from it to the end of its 95 % interval that lies
    towards 0, and turned so that the claim's wish lies on the right. Beyond ±1 the interval does not hold 0.

    Args:
        table: `reidlib.experiments.claims.findings`: ``claim``, ``paper``, ``verdict``, ``decides``, ``word``,
            ``wanted``, ``difference``, ``low``, ``high``; claims without runs have no number.
    """
    style.require(table, ["claim", "paper", "verdict", "decides", "word", "wanted", "difference", "low", "high"])
    names = table["claim"].drop_duplicates().tolist()
    figure, axis = plt.subplots(figsize=(8.0, 0.36 * len(names) + 1.4), layout="constrained")
    axis.axvspan(-1, 1, color=style.NEUTRAL, alpha=0.15, linewidth=0)
    axis.axvline(0, color="black", linewidth=1)
    for row, name in enumerate(names):
        part = table[(table["claim"] == name) & table["decides"].astype(bool)]
        found = part[part["difference"].notna()]
        gap = min(0.18, 0.7 / max(len(found), 1))
        places = panels.offsets(len(found), gap * (len(found) - 1) / 2)
        for place, record in zip(places, found.to_dict("records"), strict=True):
            strength, (colour, marker) = _strength(record), WORDS[record["word"]]
            marker = marker if abs(strength) <= LIMIT else ">" if strength > 0 else "<"
            axis.plot(np.clip(strength, -LIMIT, LIMIT), row + place, marker, color=colour, markersize=7)
        word = table.loc[table["claim"] == name, "verdict"].iloc[0]
        edge = axis.get_yaxis_transform()  # x as a share of the axis, y in data
        axis.text(1.02, row, word, transform=edge, va="center", fontsize=10, color=WORDS[word][0])
    papers = table.groupby("claim")["paper"].first()
    panels.name_rows(axis, [f"{papers[name]}  {name}" for name in names], 0.6, xlim=(-1.08 * LIMIT, 1.08 * LIMIT))
    axis.set_xlabel("against the claim ←  difference ÷ half of its 95 % interval  → for the claim")
    return style.caption(figure, caption, "grey: the interval holds 0", "arrows: farther out", "one run: drawn at 0")


def _strength(record: dict) -> float:
    """Beyond ±1 the interval does not hold 0; 0 where a single run leaves it open."""
    mean, low, high = (record["wanted"] * record[name] for name in ("difference", "low", "high"))
    if np.isnan(low + high):
        return 0.0
    low, high = min(low, high), max(low, high)
    towards_zero = mean - low if mean > 0 else high - mean
    return float(np.inf * np.sign(mean)) if towards_zero == 0 and mean else mean / (towards_zero or 1.0)
