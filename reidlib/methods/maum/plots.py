"""Figures of MAUM: its parts, the relay effect in a toy and in trained models, its memory, thinned modalities."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reidlib.experiments.uncertainty import half_width
from reidlib.methods import Recipe
from reidlib.plots import style
from reidlib.plots.diagrams import boxes_and_arrows
from reidlib.plots.drawing import drawing

_DIFFERENT = ", different people"
_SHARED = "#009E73"  # proxies that both modalities share
_PULL = {"arrowstyle": "-|>", "linestyle": (0, (3, 2)), "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}


@drawing
def maum_diagram() -> Figure:
    """The trunk of the baseline, a set of proxies for each modality, the pull across, and the memory."""
    visible, infrared, shared = style.MODALITY_COLOURS[0], style.MODALITY_COLOURS[1], _SHARED
    boxes = {
        "stem V": ("visible\nstem", 0.9, 2.6, visible),
        "stem I": ("infrared\nstem", 0.9, 1.0, infrared),
        "trunk": ("shared trunk,\nGeM, BNNeck", 2.8, 1.8, shared),
        "x V": ("visible\nembeddings", 4.7, 2.6, visible),
        "x I": ("infrared\nembeddings", 4.7, 1.0, infrared),
        "W V": ("visible\nproxies", 7.6, 2.6, visible),
        "W I": ("infrared\nproxies", 7.6, 1.0, infrared),
        "M V": ("memory: visible\nproxies of before", 9.8, 2.6, visible),
        "M I": ("memory: infrared\nproxies of before", 9.8, 1.0, infrared),
    }
    arrows = [("stem V", "trunk"), ("stem I", "trunk"), ("trunk", "x V"), ("trunk", "x I"), ("x V", "W V"),
              ("x I", "W I"), ("W V", "M V"), ("W I", "M I")]  # fmt: skip
    figure = boxes_and_arrows(boxes, arrows, (10.8, 3.4), width=1.62)
    axis = figure.axes[0]
    for start, end, colour in (("x V", "W I", visible), ("x I", "W V", infrared)):
        (_, x0, y0, _), (_, x1, y1, _) = boxes[start], boxes[end]
        side = 0.34 if y1 < y0 else -0.34
        begin, finish = (x0 + 0.84, y0 - 0.5 * side), (x1 - 0.84, y1 + 0.5 * side)
        axis.annotate("", finish, begin, arrowprops={**_PULL, "color": colour})
    notes = {"both learn": (6.15, 2.72), "copied every\nk steps": (8.7, 1.8),
             "dashed: drawn to the other modality's proxies of now and before, which stay where they are": (7.2, 0.3),
             }  # fmt: skip
    for text, (x, y) in notes.items():
        axis.text(x, y, text, ha="center", va="center", fontsize=8.5, color=style.NEUTRAL)
    return figure


@drawing
def relay_toy(table: pd.DataFrame, caption: str) -> Figure:
    """Points, proxies and their memory on a sphere seen as a map, one row a stage, one column a step.

    ``table``: the points of `reidlib.methods.maum.toy.relay_toy`. Solid arrows lead from the centre of a modality to
    the proxies that learn from it, dashed ones to the static proxies that pull it besides; each panel says the cosine
    of the centres.
    """
    columns = ["stage", "step", "kind", "pid", "modality", "age", "longitude", "latitude", "cosine"]
    style.require(table, columns)
    stages, steps = table["stage"].drop_duplicates().tolist(), sorted(table["step"].unique())
    size = 2.15 * len(steps) + 0.7, 1.75 * len(stages) + 0.8
    figure, axes = plt.subplots(
        len(stages), len(steps), figsize=size, dpi=85, sharex=True, sharey=True, layout="constrained", squeeze=False
    )
    for axis_row, stage in zip(axes, stages, strict=True):
        for axis, step in zip(axis_row, steps, strict=True):
            part = table[(table["stage"] == stage) & (table["step"] == step)]
            _map(axis, part, across=stage.startswith("+"))
            cosine = f"{part['cosine'].iloc[0]:.2f}".replace("-", "−")
            axis.set_title(f"step {step} · cosine {cosine}", fontsize=9.5)
        axis_row[0].set_ylabel(f"{stage}\n\nmodality (latitude)" if len(stages) > 1 else "modality (latitude)")
    people = np.arange(table["pid"].nunique())
    ticks = [table.loc[(table["kind"] == "image") & (table["pid"] == pid), "longitude"].mean() for pid in people]
    for axis in axes[-1]:
        axis.set_xticks(ticks, [f"id {pid + 1}" for pid in people])
    axes[0, 0].set(ylim=(-82, 82), yticks=[-60, -30, 0, 30, 60], yticklabels=[f"{d}°" for d in (-60, -30, 0, 30, 60)])
    figure.legend(handles=_toy_legend(table), loc="outside upper center", ncols=6, handletextpad=0.2, columnspacing=1.2)
    style.caption(figure, caption, "toy: points that move freely", "cosine: of the centres of the two modalities")
    return figure


def _map(axis: plt.Axes, part: pd.DataFrame, *, across: bool) -> None:
    axis.axhline(0, color=style.NEUTRAL, linewidth=0.8)
    colours = {**style.MODALITY_COLOURS, -1: _SHARED}
    images, proxies = part[part["kind"] == "image"], part[part["kind"] == "proxy"]
    for row in part[part["kind"] == "memory"].itertuples():
        axis.plot(row.longitude, row.latitude, "D", markersize=11, markerfacecolor="none", zorder=6,
                  markeredgecolor=colours[row.modality], alpha=0.85 - 0.17 * min(row.age, 4))  # fmt: skip
    for m, some in images.groupby("modality"):
        axis.plot(some["longitude"], some["latitude"], style.MODALITY_MARKERS[m], color=colours[m], markersize=4.5,
                  alpha=0.8, markeredgecolor="white", markeredgewidth=0.3, zorder=5)  # fmt: skip
    for row in proxies.itertuples():
        axis.plot(row.longitude, row.latitude, "D", markersize=8, color=colours[row.modality],
                  markeredgecolor="black", markeredgewidth=0.9, zorder=4)  # fmt: skip
    centres = images.groupby(["pid", "modality"])[["longitude", "latitude"]].mean()
    for row in proxies.itertuples():
        for m in (0, 1):
            own = row.modality in (m, -1)
            start, end = centres.loc[(row.pid, m)].to_numpy(), np.array([row.longitude, row.latitude])
            if (own or across) and np.hypot(*(end - start)) > 8:  # degrees; a shorter arrow is a blot
                arrow = {"arrowstyle": "-|>", "color": colours[m], "linewidth": 1.3, "shrinkA": 0, "shrinkB": 3,
                         "mutation_scale": 8, "linestyle": "-" if own else (0, (3, 2))}  # fmt: skip
                axis.annotate("", end, start, arrowprops=arrow, zorder=3)


def _toy_legend(table: pd.DataFrame) -> list[Line2D]:
    handles = [
        Line2D([], [], linestyle="", marker=style.MODALITY_MARKERS[m], color=style.MODALITY_COLOURS[m], label=name)
        for m, name in enumerate(("visible image", "infrared image"))
    ]
    proxies = table.loc[table["kind"] == "proxy", "modality"].unique()
    names = {-1: ("shared proxy", _SHARED), 0: ("visible proxy", style.MODALITY_COLOURS[0]),
             1: ("infrared proxy", style.MODALITY_COLOURS[1])}  # fmt: skip
    for m in sorted(proxies):
        name, colour = names[m]
        handles.append(Line2D([], [], linestyle="", marker="D", color=colour, markeredgecolor="black", label=name))
    if (table["kind"] == "memory").any():
        ring = {"markerfacecolor": "none", "markeredgecolor": style.NEUTRAL}
        handles.append(Line2D([], [], linestyle="", marker="D", label="proxy in memory", **ring))
    return handles


@drawing
def relay_scores(table: pd.DataFrame, caption: str) -> Figure:
    """Cosines of modality centres and proxies in trained models, method beside method.

    Args:
        table: ``method``, ``seed``, ``name`` and ``value``, as `reidlib.experiments.measures.table` gives the measure
            ``relay``. Names that end in ``", different people"`` are drawn, hollow, in the row of the name before the
            comma.
    """
    style.require(table, ["method", "seed", "name", "value"])
    other = table["name"].str.endswith(_DIFFERENT)
    table = table.assign(row=table["name"].str.removesuffix(_DIFFERENT), different=other)
    table = table[table["row"].str.contains("–|by way|relay gap") & table["value"].notna()]
    style.require(table, [])
    names, looks = table["row"].drop_duplicates().tolist(), style.looks(table["method"])
    figure, axis = plt.subplots(figsize=(8.2, 0.46 * len(names) + 1.4), layout="constrained")
    axis.axvline(0, color=style.NEUTRAL, linewidth=1)
    for shift, (method, (colour, marker)) in zip(np.linspace(-0.17, 0.17, len(looks)), looks.items(), strict=True):
        for (name, is_different), part in table[table["method"] == method].groupby(["row", "different"]):
            row, width = names.index(name) + shift, np.nan_to_num(half_width(part["value"]))
            fill = {"markerfacecolor": "white"} if is_different else {"label": style.label(method)}
            axis.errorbar(
                [part["value"].mean()], [row], xerr=[width], marker=marker, markersize=7, color=colour,
                linewidth=2 if not is_different else 1.2, linestyle="", **fill,
            )  # fmt: skip
    axis.set_yticks(range(len(names)), names)
    axis.set(ylim=(len(names) - 0.5, -0.5), xlabel="cosine, mean over people")
    found = dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    figure.legend([found[style.label(method)] for method in looks], map(style.label, looks),
                  loc="outside upper right", ncols=4)  # fmt: skip
    bars = "bars: 95 % interval over seeds (Student t)" if table["seed"].nunique() > 1 else ""
    style.caption(figure, caption, "hollow: different people" if other.any() else "", bars)
    return figure


@drawing
def proxy_drift(table: pd.DataFrame, caption: str, modalities: Sequence[str] = ("visible", "infrared")) -> Figure:
    """Cosine between proxies and their copies in the memory over the age of the copies (`explain.proxy_drift`)."""
    style.require(table, ["modality", "age", "cosine"])
    figure, axis = plt.subplots(figsize=(6.8, 3.2), layout="constrained")
    for m, part in table.groupby("modality"):
        curve = part.groupby("age")["cosine"].quantile([0.1, 0.9]).unstack()
        colour = style.MODALITY_COLOURS[m]
        axis.fill_between(curve.index, curve[0.1], curve[0.9], color=colour, alpha=0.18, linewidth=0)
        mean = part.groupby("age")["cosine"].mean()
        axis.plot(mean.index, mean, color=colour, marker=style.MODALITY_MARKERS[m], label=f"{modalities[m]} proxies")
    axis.set(xlabel="age of the copy, steps", ylabel="cosine to the proxy of now")
    axis.set_xlim(left=0)
    figure.legend(loc="outside upper right", ncols=2)
    style.caption(figure, caption, "mean over identities", "band: 10 to 90 per cent of them")
    return figure


@drawing
def imbalance(table: pd.DataFrame, caption: str, metric: str = "mAP") -> Figure:
    """Scores over the share of a modality that is kept: above as they are, below what is lost of the full score.

    Args:
        table: one row a run: ``method``, ``seed``, ``thinned`` (what was thinned, a column of panels each), ``share``
            (kept, 0–1; every method and seed has one run with 1 in each ``thinned``) and the metric, a fraction.
        metric: which.
    """
    style.require(table, ["method", "seed", "thinned", "share", metric])
    full = table[table["share"] == 1].set_index(["method", "thinned", "seed"])[metric]
    keys = pd.MultiIndex.from_frame(table[["method", "thinned", "seed"]])
    if missing := sorted(set(keys) - set(full.index)):
        raise ValueError(f"there is no run with all images beside {', '.join(map(str, missing[0]))}")
    score = 100 * table[metric].to_numpy()
    table = table.assign(score=score, lost=100 - score / full.reindex(keys).to_numpy())
    kinds, looks = table["thinned"].unique(), style.looks(table["method"])
    size = 2.7 * len(kinds) + 0.5, 4.4
    figure, axes = plt.subplots(2, len(kinds), figsize=size, sharex=True, sharey="row", layout="constrained")
    for axis_column, kind in zip(np.reshape(axes, (2, -1)).T, kinds, strict=True):
        for axis, value in zip(axis_column, ("score", "lost"), strict=True):
            for method, (colour, marker) in looks.items():
                part = table[(table["thinned"] == kind) & (table["method"] == method)]
                mean = part.groupby("share")[value].mean()
                axis.scatter(part["share"], part[value], color=colour, s=13, alpha=0.5, linewidth=0, zorder=2)
                axis.plot(mean.index, mean, color=colour, marker=marker, linewidth=1.6, label=style.label(method))
            axis.set_xscale("log", base=2)
        axis_column[0].set_title(f"fewer {kind}")
        axis_column[1].set_xlabel("share kept")
        shares = sorted(table["share"].unique())
        axis_column[1].set_xticks(shares, [f"1/{round(1 / share)}" if share < 1 else "all" for share in shares])
        axis_column[1].minorticks_off()
    first = np.reshape(axes, (2, -1))[:, 0]
    first[0].set_ylabel(f"{metric} in per cent")
    first[1].set_ylabel(f"lost, per cent of {metric}\nwith all images")
    figure.legend(*first[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    style.caption(figure, caption, "points: runs · lines: their means" if table["seed"].nunique() > 1 else "")
    return figure


def imbalance_table(rows: pd.DataFrame, recipes: Mapping[str, Recipe], metric: str = "mAP") -> pd.DataFrame:
    """Runs with fewer images or identities of one modality, for `imbalance`.

    Args:
        rows: of the ledger, with the labels of the recipes in ``variant``.
        recipes: variant → recipe. A method's runs without subsample are taken as share 1 of whatever else is thinned.

    Returns:
        ``method``, ``seed``, ``thinned`` ("visible images", "infrared identities", …), ``share`` and the metric.
    """
    records = []
    for variant, recipe in recipes.items():
        if subsample := recipe.subsample:
            kind = "images" if subsample.identities == 1 else "identities"
            records.append((variant, f"{('visible', 'infrared')[subsample.modality]} {kind}", getattr(subsample, kind)))
    kinds = dict.fromkeys(kind for _, kind, _ in records)
    records += [(variant, kind, 1.0) for variant, recipe in recipes.items() if not recipe.subsample for kind in kinds]
    shares = pd.DataFrame(records, columns=["variant", "thinned", "share"])
    return shares.merge(rows, on="variant")[["method", "seed", "thinned", "share", metric]]
