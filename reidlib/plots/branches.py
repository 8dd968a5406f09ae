"""Figures of branches: where they are read off, what they know; what makes a match, and what makes one fail."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reidlib.plots import panels, style
from reidlib.plots.diagrams import boxes_and_arrows
from reidlib.plots.drawing import drawing

RANDOM = "random weights"
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
    branches = "shared", "specific", "purified", "auxiliary"
    shared, specific, purified, auxiliary = map(style.BRANCH_COLOURS.get, branches)
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
        ("stems", "specific stem"), ("stems", "trunk", "shared"), ("front", "specific back", "purifier"),
        ("front", "shared back"), ("generator", "trunk of all", "auxiliary"),
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
    image = panels.numbers(axis, values, ".0f", lambda value: value > 60, cmap="Blues", vmin=0, vmax=100)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_xticks(range(len(columns)), [branch for _, branch in columns], rotation=40, ha="right")
    for method in methods:
        places = [number for number, (name, _) in enumerate(columns) if name == method]
        look = {"ha": "center", "va": "bottom", "fontsize": 10, "color": style.colour(method), "weight": "bold"}
        axis.text(np.mean(places), -0.62, style.label(method), **look)
        if places[-1] + 1 < len(columns):
            axis.axvline(places[-1] + 0.5, color="white", linewidth=5)
    bar = figure.colorbar(image, ax=axis, shrink=0.8, pad=0.02)
    bar.set_label("per cent of the way from chance to perfect", fontsize=8)
    over = ", mean over seeds" if style.several(table, "seed") else ""
    return style.caption(figure, caption, f"linear probes{over}")


@drawing
def stage_curves(table: pd.DataFrame, caption: str) -> Figure:
    """What features hold at each depth: a panel a question, a line a network; dashed: chance.

    Args:
        table: ``network``, ``depth`` (in the order of the axis), ``question``, ``score`` and ``chance`` (fractions);
            several scores of one place are drawn as their mean with its 95 % interval. Lines of a network stop where
            it has no score. ``"random weights"`` is drawn in grey.
    """
    style.require(table, ["network", "depth", "question", "score", "chance"])
    table = style.require(table[table["score"].notna()])
    questions, depths = (table[name].drop_duplicates().tolist() for name in ("question", "depth"))
    columns = min(2, len(questions))
    lines = -(-len(questions) // columns)
    figure, axes = panels.grid(lines, columns, (4.6 * columns + 0.4, 2.7 * lines + 0.8), len(questions))
    looks = {name: look for name, _, look in panels.side_by_side(table["network"], 0.0)}
    looks |= {name: {"color": style.NEUTRAL, "marker": "o"} for name in looks if name == RANDOM}
    for axis, question in zip(axes.flat, questions, strict=False):
        of_question = table[table["question"] == question]
        axis.axhline(100 * of_question["chance"].mean(), color=style.NEUTRAL, linestyle="--", linewidth=1.2, zorder=1)
        for name, look in looks.items():
            part = of_question[of_question["network"] == name]
            if len(part):
                line = {"linestyle": ":" if name == RANDOM else "-", "linewidth": 1.6, "markersize": 5, "capsize": 2}
                places = part["depth"].map(depths.index)
                panels.means(axis, 100 * part["score"], places, upright=True, **line, **look)
        axis.set_xticks(range(len(depths)), [depth.replace("stage ", "") for depth in depths])
        axis.set(title=question, ylabel="per cent")
    style.legend(figure, {style.label(name): look for name, look in looks.items()}, "outside upper center", ncols=6)
    return style.caption(figure, caption, "from left to right: stem, stages 1 to 4, test feature", "dashed: chance")


@drawing
def region_drops(table: pd.DataFrame, caption: str) -> Figure:
    """By how much the cosine of a pair falls when a region is hidden: right matches beside nearest strangers.

    ``table``: ``kind`` (of the pair), ``pid``, ``region``, ``query area`` and the drops, as
    `reidlib.explain.region_drops` gives them. Means over people; a region's mean area stands behind its name.
    """
    style.require(table, ["kind", "pid", "region", "query area", *_SIDES])
    regions, kinds = table["region"].drop_duplicates().tolist(), table["kind"].drop_duplicates().tolist()
    size = 2.75 * len(_SIDES) + 1.6, 0.42 * len(regions) + 1.5
    figure, (axes,) = panels.grid(1, len(_SIDES), size, sharex=True, sharey=True)
    for axis, (column, title) in zip(axes, _SIDES.items(), strict=True):
        axis.axvline(0, color=style.NEUTRAL, linewidth=1)
        for kind, offset in zip(kinds, panels.offsets(len(kinds), 0.15), strict=True):
            drops = table[table["kind"] == kind].groupby(["region", "pid"])[column].mean()
            rows = drops.index.get_level_values(0).map(regions.index) + offset
            colour, marker = _PAIRS.get(kind, ("#0072B2", "s"))
            panels.means(axis, drops, rows, marker=marker, color=colour, markersize=6.5, capsize=2, label=kind)
        axis.set(title=title, xlabel="cosine lost")
    areas = 100 * table.groupby("region")["query area"].mean().reindex(regions)
    panels.name_rows(axes[0], [f"{name} ({area:.0f} %)" for name, area in areas.items()])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(kinds))
    bars = style.bars(table, "people", "pid")
    return style.caption(figure, caption, "in brackets: share of the query's pixels", bars)


@drawing
def failure_conditions(table: pd.DataFrame, caption: str) -> Figure:
    """How much more often queries of a kind are missed than all others: conditions in groups, models side by side.

    ``table``: as `reidlib.explain.failure_table` gives it. Levels of too few people are not drawn.
    """
    style.require(table, ["model", "condition", "level", "people", "difference", "low", "high"])
    table = style.require(table[table["difference"].notna()])
    kinds = list(table[["condition", "level"]].drop_duplicates().itertuples(index=False, name=None))
    figure, axis = plt.subplots(figsize=(7.6, 0.24 * len(kinds) + 1.5), layout="constrained")
    axis.axvline(0, color=style.NEUTRAL, linewidth=1)
    for model, offset, look in panels.side_by_side(table["model"], 0.16):
        part = table[table["model"] == model].set_index(["condition", "level"]).reindex(kinds)
        middle, low, high = (100 * part[name].to_numpy() for name in ("difference", "low", "high"))
        axis.errorbar(
            middle, np.arange(len(kinds)) + offset, xerr=np.maximum([middle - low, high - middle], 0), linestyle="",
            markersize=5.5, linewidth=1.3, label=style.label(model), **look,
        )  # fmt: skip
    names = [f"{condition}: {level}" for condition, level in kinds]
    panels.name_rows(axis, names, xlabel="missed more often than all other queries, percentage points")
    for number, (one, other) in enumerate(pairwise(kinds)):
        if one[0] != other[0]:
            axis.axhline(number + 0.5, color="#CCCCCC", linewidth=0.8)
    axis.grid(axis="y", visible=False)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=table["model"].nunique())
    return style.caption(figure, caption, "bars: 95 % interval, bootstrap over people")
