"""Figures of IDKL: its parts, what its branches know, the weights of its losses, the hinges of its purifier."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reidlib.experiments.uncertainty import half_width
from reidlib.methods.idkl import METHOD
from reidlib.plots import style
from reidlib.plots.diagrams import boxes_and_arrows
from reidlib.plots.drawing import drawing

HINGES = {"entropy": ("#E69F00", "o"), "centroid": ("#0072B2", "s")}


@drawing
def idkl_diagram() -> Figure:
    """One front, two backs; what tells and what hides the modality; the purifier; what goes from stream to stream."""
    front, loss = "#4D4D4D", style.NEUTRAL
    shared, specific, purified = (style.BRANCH_COLOURS[name] for name in ("shared", "specific", "purified"))
    boxes = {
        "images": ("visible and\ninfrared images", 0.95, 2.1, front),
        "front": ("front:\nstem to stage 2", 2.95, 2.1, front),
        "specific": ("specific back:\nstages 3 and 4", 4.95, 3.2, specific),
        "shared": ("shared back:\nstages 3 and 4", 4.95, 1.0, shared),
        "purifier": ("purifier:\nIN and two gates", 6.95, 3.2, purified),
        "s": ("purified\nfeature", 8.95, 3.2, purified),
        "f": ("shared feature\n(test feature)", 8.95, 1.0, shared),
        "discriminator": ("discriminator:\nwhich modality?", 10.95, 3.2, loss),
        "confuser": ("confuser:\nneither modality", 10.95, 1.0, loss),
    }
    arrows = [("images", "front"), ("specific", "purifier"), ("purifier", "s"), ("shared", "f"),
              ("s", "discriminator"), ("f", "confuser")]  # fmt: skip
    figure = boxes_and_arrows(boxes, arrows, (11.9, 4.2), width=1.6)
    axis = figure.axes[0]
    plain = {"arrowstyle": "-|>", "color": style.NEUTRAL, "linewidth": 1.3}
    for end in (3.2, 1.0):
        axis.annotate("", (4.12, end), (3.78, 2.1), arrowprops=plain)
    pull = {"arrowstyle": "-|>", "color": specific, "linewidth": 1.6, "linestyle": (0, (3, 2))}
    axis.annotate("", (8.95, 1.37), (8.95, 2.83), arrowprops=pull)
    around = {**pull, "color": shared, "arrowstyle": "<|-|>", "connectionstyle": "arc3,rad=0.9"}
    axis.annotate("", (8.55, 0.64), (9.35, 0.64), arrowprops={**around, "connectionstyle": "arc3,rad=-0.9"})
    notes = {
        "distillation:\nTGSA (graphs), CSA (classes)": (8.75, 2.1, "right"),
        "identity and triplet losses on both features": (9.15, 2.1, "left"),
        "MDR: visible like infrared": (8.95, 0.14, "center"),
    }
    for text, (x, y, side) in notes.items():
        axis.text(x, y, text, ha=side, va="center", fontsize=8.5, color=style.NEUTRAL)
    return figure


@drawing
def branch_probes(table: pd.DataFrame, caption: str, series: str = "branch") -> Figure:
    """Probe scores by branch, or by variant: factors in rows, accuracies left and R² right, means over seeds.

    Args:
        table: ``factor``, ``seed``, ``score``, ``chance`` and the column of the series, as
            `reidlib.explain.knowledge_scores` gives them. Where chance is 0, the score is an R².
        series: the column that tells the markers of a row apart.
    """
    style.require(table, ["factor", "seed", "score", "chance", series])
    kinds = {"balanced accuracy": table[table["chance"] > 0], "R²": table[table["chance"] == 0]}
    kinds = {kind: part for kind, part in kinds.items() if len(part)}
    looks, longest = style.looks(table[series]), max(part["factor"].nunique() for part in kinds.values())
    size = 5.3 * len(kinds) + 0.2, (0.2 + 0.09 * len(looks)) * longest + 1.4
    figure, axes = plt.subplots(1, len(kinds), figsize=size, layout="constrained", squeeze=False)
    shifts = np.linspace(-0.28, 0.28, len(looks)) if len(looks) > 1 else [0.0]
    for axis, (kind, part) in zip(axes[0], kinds.items(), strict=True):
        factors = part["factor"].drop_duplicates().tolist()
        rows = np.arange(len(factors))
        chance = part.groupby("factor")["chance"].first().reindex(factors)
        axis.vlines(chance, rows - 0.42, rows + 0.42, color=style.NEUTRAL, linewidth=2.2)
        for (name, (colour, marker)), shift in zip(looks.items(), shifts, strict=True):
            scores = part[part[series] == name].groupby("factor")["score"]
            width = scores.agg(half_width).reindex(factors).fillna(0)
            axis.errorbar(
                scores.mean().reindex(factors), rows + shift, xerr=width, linestyle="", marker=marker, color=colour,
                markersize=5.5, capsize=2, linewidth=1.3, label=style.label(name),
            )  # fmt: skip
        axis.set_yticks(rows, factors)
        axis.set(title=kind, ylim=(longest - 0.5, -0.5))
        axis.grid(axis="y", visible=False)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=min(len(looks), 5))
    bars = "bars: 95 % interval over seeds (Student t)" if table["seed"].nunique() > 1 else ""
    style.caption(figure, caption, bars, "grey: chance")
    return figure


@drawing
def loss_weights(table: pd.DataFrame, caption: str, metrics: Sequence[str] = ("rank-1", "mAP")) -> Figure:
    """Scores over multiples of the recipe's weights: a column for each weight, a row for each metric.

    Three seeds or more of each value also give an interval.

    Args:
        table: a row a run: ``weight`` (its name), ``value``, ``factor`` (of the recipe's value), ``seed`` and the
            metrics, fractions. Values are equally far apart, as their steps are no even ones.
    """
    style.require(table, ["weight", "value", "factor", "seed", *metrics])
    weights, has_bars = table["weight"].drop_duplicates().tolist(), style.has_bars(table, ["weight", "value"])
    size = 2.35 * len(weights) + 0.8, 2.0 * len(metrics) + 0.9
    figure, axes = plt.subplots(
        len(metrics), len(weights), figsize=size, sharey="row", sharex="col", layout="constrained", squeeze=False
    )
    for axis_column, weight in zip(axes.T, weights, strict=True):
        part = table[table["weight"] == weight]
        factors = sorted(part["factor"].unique())
        place = part["factor"].map(factors.index)
        for axis, metric in zip(axis_column, metrics, strict=True):
            scores = (100 * part[metric]).groupby(place)
            mean, width = scores.mean(), scores.agg(half_width)
            if 1 in factors:
                axis.axvline(factors.index(1), color=style.NEUTRAL, linestyle="--", linewidth=1.2, zorder=1)
            axis.scatter(place, 100 * part[metric], color="black", s=11, alpha=0.5, linewidth=0, zorder=2)
            colour = METHOD.colour
            width = width if has_bars else None
            axis.errorbar(mean.index, mean, width, color=colour, marker="o", capsize=3, linewidth=1.5)
        values = part.groupby("factor")["value"].first()
        axis_column[-1].set_xticks(range(len(factors)), [f"{values[factor]:g}" for factor in factors])
        axis_column[-1].set_xlim(-0.4, len(factors) - 0.6)
        axis_column[0].set_title(weight)
        axis_column[-1].set_xlabel("weight")
    for axis, metric in zip(axes[:, 0], metrics, strict=True):
        axis.set_ylabel(f"{metric} in per cent")
    style.caption(figure, caption, style.explained(table, has_bars, "line"), "dashed: the recipe's value")
    return figure


@drawing
def hinge_shares(table: pd.DataFrame, caption: str) -> Figure:
    """How many of the purifier's hinges were above zero in training, variant by variant, and run by run.

    ``table``: ``variant``, ``seed``, ``name`` (``entropy`` or ``centroid``) and ``value`` (0–1), as
    `reidlib.experiments.studies.measures` gives the measure ``hinges``; variants without a purifier are left out.
    """
    style.require(table, ["variant", "seed", "name", "value"])
    table = table[table["value"].notna()]
    style.require(table, [])
    variants = table["variant"].drop_duplicates().tolist()
    figure, axis = plt.subplots(figsize=(7.4, 0.4 * len(variants) + 1.3), layout="constrained")
    for (name, (colour, marker)), shift in zip(HINGES.items(), (-0.12, 0.12), strict=True):
        part = table[table["name"] == name]
        place = part["variant"].map(variants.index) + shift
        axis.scatter(100 * part["value"], place, color=colour, marker=marker, s=45, alpha=0.7, linewidth=0, label=name)
    axis.set_yticks(range(len(variants)), [style.label(variant) for variant in variants])
    axis.set(xlim=(-3, 103), ylim=(len(variants) - 0.5, -0.5), xlabel="above zero in training, per cent of hinges")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    style.caption(figure, caption, "points: runs" if table["seed"].nunique() > 1 else "")
    return figure
