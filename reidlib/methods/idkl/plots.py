"""Figures of IDKL: its parts, what its branches know, the weights of its losses, the hinges of its purifier."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from reidlib.experiments.uncertainty import half_width
from reidlib.methods.idkl import METHOD
from reidlib.plots import panels, style
from reidlib.plots.diagrams import LOSS, SHARED, arrow, boxes_and_arrows, note
from reidlib.plots.drawing import drawing
from reidlib.plots.explain import probe_panels

HINGES = {"entropy": ("#E69F00", "o"), "centroid": ("#0072B2", "s")}


@drawing
def motivation() -> Figure:
    """What the two modalities can know of a person, as two sets: what earlier methods keep, and what IDKL takes along.

    The statement is that of the caption of the paper's figure 1 (documented); the drawing is ours.
    """
    visible, infrared = style.MODALITY_COLOURS[0], style.MODALITY_COLOURS[1]
    shared, purified = SHARED, style.BRANCH_COLOURS["purified"]
    figure, axes = panels.images(1, 2, (11.6, 4.3))
    for axis, title in zip(axes[0], ("matching what both show", "IDKL: and what one alone shows"), strict=True):
        kept = axis is axes[0, 1]
        left, right = (Circle((x, 0.1), 1.45, linewidth=0) for x in (-0.85, 0.85))
        for lobe, x, colour in ((left, -0.85, visible), (right, 0.85, infrared)):
            lobe.set_facecolor(f"{colour}40" if kept else f"{style.NEUTRAL}22")
            axis.add_patch(lobe)
            axis.add_patch(Circle((x, 0.1), 1.45, fill=False, edgecolor=colour, linewidth=1.6))
        overlap = Circle((-0.85, 0.1), 1.45, facecolor=shared + "77", linewidth=0)
        axis.add_patch(overlap)
        overlap.set_clip_path(Circle((0.85, 0.1), 1.45, transform=axis.transData))
        lobes = {"ha": "center", "va": "center", "fontsize": 9.5, "color": "#222222" if kept else style.NEUTRAL}
        axis.text(-1.55, 0.1, "hue of a shirt,\na printed sign", **lobes)
        axis.text(1.55, 0.1, "how bright the\ncloth is in the\nnear infrared", **lobes)
        axis.text(0, 0.1, "build,\npose, bags,\ncut of clothes", ha="center", va="center", fontsize=9.5)
        axis.text(-1.3, 1.68, "visible", ha="center", color=visible, fontsize=10)
        axis.text(1.3, 1.68, "infrared", ha="center", color=infrared, fontsize=10)
        below = "purified of the modality, then distilled" if kept else "ignored: a shared feature may not tell it"
        axis.text(0, -2.0, below, ha="center", color=purified if kept else style.NEUTRAL, fontsize=10)
        for side in (-1, 1) if kept else ():
            look = {
                "arrowstyle": "-|>",
                "color": purified,
                "linewidth": 2,
                "connectionstyle": f"arc3,rad={0.45 * side}",
            }
            axis.annotate("", (0.18 * side, -0.8), (1.5 * side, -0.5), arrowprops=look)
        axis.set(title=title, xlim=(-2.7, 2.7), ylim=(-2.2, 2.0), aspect="equal")
    style.blank(axes[0])
    return figure


@drawing
def graphs(table: pd.DataFrame, caption: str) -> Figure:
    """The affinity matrices that TGSA aligns: a column for each kind (a–a, b–b, a–b), a row for each state.

    ``table``: ``state``, ``graph``, ``one`` and ``other`` (identities) and ``distance``, the mean over the images of
    both. A matrix has its own colours, from its least distance to its largest: what counts is who is near whom.
    """
    style.require(table, ["state", "graph", "one", "other", "distance"])
    states, kinds = (table[name].drop_duplicates().tolist() for name in ("state", "graph"))
    size = 3.0 * len(kinds) + 0.4, 2.75 * len(states) + 0.6
    figure, axes = panels.grid(len(states), len(kinds), size)
    for axis_row, state in zip(axes, states, strict=True):
        for axis, kind in zip(axis_row, kinds, strict=True):
            part = table[(table["state"] == state) & (table["graph"] == kind)]
            cells = part.pivot(index="one", columns="other", values="distance")
            bright = (cells.to_numpy().min() + cells.to_numpy().max()) / 2
            panels.numbers(axis, cells.to_numpy(), ".1f", lambda value, middle=bright: value < middle, cmap="viridis")
            axis.set_xticks(range(len(cells.columns)), cells.columns)
            axis.set_yticks(range(len(cells.index)), cells.index)
            axis.set_title(f"{kind}, {state}", fontsize=10)
            axis.set_aspect("equal")
    axes[-1, 0].set(xlabel="identity", ylabel="identity")
    return style.caption(figure, caption, "mean distance of two identities; dark: near")


@drawing
def idkl_diagram() -> Figure:
    """One front, two backs; what tells and what hides the modality; the purifier; what goes from stream to stream."""
    front = "#4D4D4D"
    shared, specific, purified = (style.BRANCH_COLOURS[name] for name in ("shared", "specific", "purified"))
    boxes = {
        "images": ("visible and\ninfrared images", 0.95, 2.1, front),
        "front": ("front:\nstem to stage 2", 2.95, 2.1, front),
        "specific": ("specific back:\nstages 3 and 4", 4.95, 3.2, specific),
        "shared": ("shared back:\nstages 3 and 4", 4.95, 1.0, shared),
        "purifier": ("purifier:\nIN and two gates", 6.95, 3.2, purified),
        "s": ("purified\nfeature", 8.95, 3.2, purified),
        "f": ("shared feature\n(test feature)", 8.95, 1.0, shared),
        "discriminator": ("discriminator:\nwhich modality?", 10.95, 3.2, LOSS),
        "confuser": ("confuser:\nneither modality", 10.95, 1.0, LOSS),
    }
    arrows = [("images", "front", "specific", "purifier", "s", "discriminator"), ("front", "shared", "f", "confuser")]
    figure = boxes_and_arrows(boxes, arrows, (11.9, 4.2), width=1.6)
    dashed = {"linewidth": 1.6, "linestyle": (0, (3, 2))}
    arrow(figure, (8.95, 2.83), (8.95, 1.37), color=specific, **dashed)
    around = {"arrowstyle": "<|-|>", "connectionstyle": "arc3,rad=-0.9"}
    arrow(figure, (9.35, 0.64), (8.55, 0.64), color=shared, **dashed, **around)
    note(figure, "distillation:\nTGSA (graphs), CSA (classes)", 8.75, 2.1, ha="right")
    note(figure, "identity and triplet losses on both features", 9.15, 2.1, ha="left")
    note(figure, "MDR: visible like infrared", 8.95, 0.14)
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
    groups = table.groupby(["factor", series], sort=False)
    means = groups.agg(score=("score", "mean"), half=("score", half_width), chance=("chance", "first")).reset_index()
    kinds = {"balanced accuracy": means[means["chance"] > 0], "R²": means[means["chance"] == 0]}
    kinds = {kind: part for kind, part in kinds.items() if len(part)}
    longest = max(part["factor"].nunique() for part in kinds.values())
    size = 5.3 * len(kinds) + 0.2, (0.2 + 0.09 * table[series].nunique()) * longest + 1.4
    figure = probe_panels(kinds, series, size, markersize=5.5)
    return style.caption(figure, caption, style.bars(table, "seeds", "seed"), "grey: chance")


@drawing
def loss_weights(table: pd.DataFrame, caption: str, metrics: Sequence[str] = ("rank-1", "mAP")) -> Figure:
    """Scores over multiples of the recipe's weights: a column for each weight, a row for each metric.

    Three seeds or more of each value also give an interval.

    Args:
        table: a row a run: ``weight`` (its name), ``value``, ``factor`` (of the recipe's value), ``seed`` and the
            metrics, fractions. Values are equally far apart, as their steps are no even ones.
    """
    style.require(table, ["weight", "value", "factor", "seed", *metrics])
    weights, interval = list(table.groupby("weight", sort=False)), style.interval(table, ["weight", "value"])
    size = 2.35 * len(weights) + 0.8, 2.0 * len(metrics) + 0.9
    figure, axes = panels.grid(len(metrics), len(weights), size, sharey="row", sharex="col")
    for axis_column, (weight, part) in zip(axes.T, weights, strict=True):
        labels = part.groupby("factor")["value"].first()
        for axis, metric in zip(axis_column, metrics, strict=True):
            look = {"color": METHOD.colour, "linewidth": 1.5}
            panels.curve(axis, 100 * part[metric], part["factor"], 1, interval, labels, **look)
        axis_column[0].set_title(weight)
        axis_column[-1].set_xlabel("weight")
    for axis, metric in zip(axes[:, 0], metrics, strict=True):
        axis.set_ylabel(f"{metric} in per cent")
    return style.caption(figure, caption, style.explained(table, interval, "line"), "dashed: the recipe's value")


@drawing
def hinge_shares(table: pd.DataFrame, caption: str) -> Figure:
    """How many of the purifier's hinges were above zero in training, variant by variant, and run by run.

    ``table``: ``variant``, ``seed``, ``name`` (``entropy`` or ``centroid``) and ``value`` (0–1), as
    `reidlib.experiments.studies.measures` gives the measure ``hinges``; variants without a purifier are left out.
    """
    style.require(table, ["variant", "seed", "name", "value"])
    table = style.require(table[table["value"].notna()])
    variants = table["variant"].drop_duplicates().tolist()
    figure, axis = plt.subplots(figsize=(7.4, 0.4 * len(variants) + 1.3), layout="constrained")
    for (name, (colour, marker)), shift in zip(HINGES.items(), (-0.12, 0.12), strict=True):
        part = table[table["name"] == name]
        place = part["variant"].map(variants.index) + shift
        axis.scatter(100 * part["value"], place, color=colour, marker=marker, s=45, alpha=0.7, linewidth=0, label=name)
    panels.name_rows(axis, variants, xlim=(-3, 103), xlabel="above zero in training, per cent of hinges")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return style.caption(figure, caption, "points: runs" if table["seed"].nunique() > 1 else "")
