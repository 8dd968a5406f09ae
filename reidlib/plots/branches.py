"""Figures of branches: where they are read off, what they know; what makes a match, and what makes one fail."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reidlib.experiments.uncertainty import half_width
from reidlib.plots import style
from reidlib.plots.diagrams import boxes_and_arrows
from reidlib.plots.drawing import drawing

_PAIRS = {"match": (style.RIGHT, "o"), "nearest stranger": (style.NEUTRAL, "X")}
_SIDES = {"query hidden": "hidden in the query", "gallery hidden": "in the gallery image", "both hidden": "in both"}


@drawing
def branches_diagram(labels: Sequence[str]) -> Figure:
    """Where the branches of each method are read off.

    Args:
        labels: the methods with two stems and one trunk, those with a back for each kind of feature, and those with an
            auxiliary modality.
    """
    trunk = style.NEUTRAL
    shared, specific, purified, auxiliary = (
        style.BRANCH_COLOURS[name] for name in ("shared", "specific", "purified", "auxiliary")
    )
    top, middle, low, lowest = 3.5, 2.35, 1.5, 0.45
    boxes = {
        "stems": ("visible stem,\ninfrared stem", 2.4, top, trunk),
        "specific stem": ("specific:\nmean of the stem", 5.0, top + 0.4, specific),
        "trunk": ("shared trunk,\nBNNeck", 5.0, top - 0.4, trunk),
        "shared": ("shared", 7.4, top - 0.4, shared),
        "front": ("one front", 2.4, (middle + low) / 2, trunk),
        "specific back": ("specific back", 5.0, middle - 0.05, specific),
        "purifier": ("purified", 7.4, middle - 0.05, purified),
        "shared back": ("shared back,\nBNNeck", 5.0, low - 0.15, shared),
        "generator": ("images; drawings\nof the photos", 2.4, lowest, trunk),
        "trunk of all": ("trunk of all\nmodalities", 5.0, lowest, trunk),
        "auxiliary": ("shared (images),\nauxiliary (drawn)", 7.4, lowest, auxiliary),
    }
    arrows = [
        ("stems", "specific stem"), ("stems", "trunk"), ("trunk", "shared"), ("front", "specific back"),
        ("specific back", "purifier"), ("front", "shared back"), ("generator", "trunk of all"),
        ("trunk of all", "auxiliary"),
    ]  # fmt: skip
    figure = boxes_and_arrows(boxes, arrows, (8.5, 4.4), width=1.75)
    axis = figure.axes[0]
    for text, y in zip(labels, (top, (middle + low) / 2, lowest), strict=True):
        axis.text(0.05, y, text, va="center", fontsize=10, weight="bold")
    for y in ((top - 0.4 + middle) / 2 - 0.02, (low - 0.15 + lowest) / 2):
        axis.plot([0, 8.4], [y, y], color=style.NEUTRAL, linewidth=0.7, linestyle=":")
    return figure


@drawing
def cues(table: pd.DataFrame, caption: str) -> Figure:
    """How much of each cue a linear probe finds in each branch: cues in rows, branches of methods in columns.

    ``table``: ``method``, ``seed``, ``branch``, ``cue`` and ``strength`` (1: everything), as
    `reidlib.explain.cue_table` gives them. Means over seeds; dark is much, white is nothing (or not asked, if empty).
    """
    style.require(table, ["method", "seed", "branch", "cue", "strength"])
    rows = table["cue"].drop_duplicates().tolist()
    columns = list(table[["method", "branch"]].drop_duplicates().itertuples(index=False, name=None))
    methods = list(dict.fromkeys(method for method, _ in columns))
    columns = [(method, branch) for each in methods for method, branch in columns if method == each]
    means = table.groupby(["cue", "method", "branch"])["strength"].mean().unstack(["method", "branch"])
    values = 100 * means.reindex(index=rows, columns=pd.MultiIndex.from_tuples(columns)).to_numpy()
    size = 0.62 * len(columns) + 2.6, 0.36 * len(rows) + 1.9
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    image = axis.imshow(values, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        colour = "white" if value > 60 else "black"
        axis.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=9, color=colour)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_xticks(range(len(columns)), [branch for _, branch in columns], rotation=40, ha="right")
    axis.grid(False)
    for method in methods:
        places = [number for number, (name, _) in enumerate(columns) if name == method]
        middle, last = np.mean(places), places[-1]
        text = {
            "ha": "center",
            "va": "bottom",
            "fontsize": 10,
            "color": style.colour(method),
        }
        axis.text(middle, -0.62, style.label(method), weight="bold", **text)
        if last + 1 < len(columns):
            axis.axvline(last + 0.5, color="white", linewidth=5)
    bar = figure.colorbar(image, ax=axis, shrink=0.8, pad=0.02)
    bar.set_label("per cent of the way from chance to perfect", fontsize=8)
    style.caption(
        figure, caption, "linear probes" if table["seed"].nunique() == 1 else "linear probes, mean over seeds"
    )
    return figure


@drawing
def region_drops(table: pd.DataFrame, caption: str) -> Figure:
    """By how much the cosine of a pair falls when a region is hidden: right matches beside nearest strangers.

    ``table``: ``kind`` (of the pair), ``pid``, ``region``, ``query area`` and the drops, as
    `reidlib.explain.region_drops` gives them. Means over people; a region's mean area stands behind its name.
    """
    style.require(table, ["kind", "pid", "region", "query area", *_SIDES])
    regions, kinds = table["region"].drop_duplicates().tolist(), table["kind"].drop_duplicates().tolist()
    size = 2.75 * len(_SIDES) + 1.6, 0.42 * len(regions) + 1.5
    figure, axes = plt.subplots(1, len(_SIDES), figsize=size, sharex=True, sharey=True, layout="constrained")
    shifts = np.linspace(-0.15, 0.15, len(kinds)) if len(kinds) > 1 else [0.0]
    for axis, (column, title) in zip(axes, _SIDES.items(), strict=True):
        axis.axvline(0, color=style.NEUTRAL, linewidth=1)
        for kind, shift in zip(kinds, shifts, strict=True):
            part = table[(table["kind"] == kind) & table[column].notna()]
            people = part.groupby(["region", "pid"])[column].mean().groupby(level=0)
            mean, width = people.mean().reindex(regions), people.agg(half_width).reindex(regions).fillna(0)
            colour, marker = _PAIRS.get(kind, ("#0072B2", "s"))
            axis.errorbar(
                mean, np.arange(len(regions)) + shift, xerr=width, linestyle="", marker=marker, color=colour,
                markersize=6.5, capsize=2, label=kind,
            )  # fmt: skip
        axis.set(title=title, xlabel="cosine lost")
    areas = 100 * table.groupby("region")["query area"].mean().reindex(regions)
    axes[0].set_yticks(range(len(regions)), [f"{name} ({area:.0f} %)" for name, area in areas.items()])
    axes[0].set_ylim(len(regions) - 0.5, -0.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(kinds))
    bars = "bars: 95 % interval over people (Student t)" if table["pid"].nunique() > 1 else ""
    style.caption(figure, caption, "in brackets: share of the query's pixels", bars)
    return figure


@drawing
def failure_conditions(table: pd.DataFrame, caption: str) -> Figure:
    """How much more often queries of a kind are missed than all others: conditions in groups, models side by side.

    ``table``: as `reidlib.explain.failure_table` gives it. Levels of too few people are not drawn.
    """
    style.require(table, ["model", "condition", "level", "people", "difference", "low", "high"])
    table = table[table["difference"].notna()]
    style.require(table, [])
    kinds = list(table[["condition", "level"]].drop_duplicates().itertuples(index=False, name=None))
    looks = style.looks(table["model"])
    figure, axis = plt.subplots(figsize=(7.6, 0.24 * len(kinds) + 1.5), layout="constrained")
    shifts = np.linspace(-0.16, 0.16, len(looks)) if len(looks) > 1 else [0.0]
    axis.axvline(0, color=style.NEUTRAL, linewidth=1)
    for (model, (colour, marker)), shift in zip(looks.items(), shifts, strict=True):
        part = table[table["model"] == model].set_index(["condition", "level"]).reindex(kinds)
        middle, low, high = (100 * part[name].to_numpy() for name in ("difference", "low", "high"))
        axis.errorbar(
            middle, np.arange(len(kinds)) + shift, xerr=np.maximum([middle - low, high - middle], 0), linestyle="",
            marker=marker, color=colour, markersize=5.5, linewidth=1.3, label=style.label(model),
        )  # fmt: skip
    axis.set_yticks(range(len(kinds)), [f"{condition}: {level}" for condition, level in kinds])
    for number, (one, other) in enumerate(pairwise(kinds)):
        if one[0] != other[0]:
            axis.axhline(number + 0.5, color="#CCCCCC", linewidth=0.8)
    axis.set(ylim=(len(kinds) - 0.5, -0.5), xlabel="missed more often than all other queries, percentage points")
    axis.grid(axis="y", visible=False)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=len(looks))
    style.caption(figure, caption, "bars: 95 % interval, bootstrap over people")
    return figure
