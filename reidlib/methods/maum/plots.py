"""Figures of MAUM: its parts, the relay effect in a toy and in trained models, its memory, thinned modalities."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reidlib.methods import Recipe
from reidlib.methods.maum.geometry import relay_geometry  # noqa: F401 (its place for readers)
from reidlib.plots import panels, style
from reidlib.plots.diagrams import MODALITIES, SHARED, arrow, boxes_and_arrows, note, pairs
from reidlib.plots.drawing import drawing

_DIFFERENT = ", different people"
_PULL = {"linestyle": (0, (3, 2)), "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}


@drawing
def maum_diagram() -> Figure:
    """The trunk of the baseline, a set of proxies for each modality, the pull across, and the memory."""
    rows = 2.6, 1.0
    boxes = {
        **pairs("stem", 0.9, rows),
        "trunk": ("shared trunk,\nGeM, BNNeck", 2.8, 1.8, SHARED),
        **pairs("embeddings", 4.7, rows),
        **pairs("proxies", 7.6, rows),
        **pairs("memory", 9.8, rows, "memory: {}\nproxies of before"),
    }
    parts = "{0} stem", "trunk", "{0} embeddings", "{0} proxies", "{0} memory"
    arrows = [[part.format(name) for part in parts] for name in MODALITIES]
    figure = boxes_and_arrows(boxes, arrows, (10.8, 3.4), width=1.62)
    for (y, other), colour in zip((rows, rows[::-1]), MODALITIES.values(), strict=True):
        side = 0.17 if other < y else -0.17
        arrow(figure, (4.7 + 0.84, y - side), (7.6 - 0.84, other + side), **_PULL, color=colour)
    note(figure, "both learn", 6.15, 2.72)
    note(figure, "copied every\nk steps", 8.7, 1.8)
    pulled = "dashed: drawn to the other modality's proxies of now and before, which stay where they are"
    note(figure, pulled, 7.2, 0.3)
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
    size = 2.4 * len(steps) + 0.8, 2.0 * len(stages) + 0.8
    figure, axes = panels.grid(len(stages), len(steps), size, sharex=True, sharey=True)
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
    style.legend(figure, _toy_looks(table), "outside upper center", ncols=6, handletextpad=0.2, columnspacing=1.2)
    words = "toy: points that move freely", "cosine: of the centres of the two modalities"
    return style.caption(figure, caption, *words)


def _map(axis: plt.Axes, part: pd.DataFrame, *, across: bool) -> None:
    axis.axhline(0, color=style.NEUTRAL, linewidth=0.8)
    colours = {**style.MODALITY_COLOURS, -1: SHARED}
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


def _toy_looks(table: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Of all that the maps of a toy show, by name."""
    markers, shades = style.MODALITY_MARKERS, MODALITIES.items()
    looks = {f"{name} image": {"marker": markers[m], "color": colour} for m, (name, colour) in enumerate(shades)}
    names = {-1: ("shared", SHARED), **dict(enumerate(shades))}
    for name, colour in (names[m] for m in sorted(table.loc[table["kind"] == "proxy", "modality"].unique())):
        looks[f"{name} proxy"] = {"marker": "D", "color": colour, "markeredgecolor": "black"}
    if (table["kind"] == "memory").any():
        looks["proxy in memory"] = {"marker": "D", "markerfacecolor": "none", "markeredgecolor": style.NEUTRAL}
    return looks


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
    table = style.require(table[table["row"].str.contains("–|by way|relay gap") & table["value"].notna()])
    names = table["row"].drop_duplicates().tolist()
    figure, axis = plt.subplots(figsize=(8.2, 0.46 * len(names) + 1.4), layout="constrained")
    axis.axvline(0, color=style.NEUTRAL, linewidth=1)
    hollow = {"linewidth": 1.2, "markerfacecolor": "white"}
    for method, offset, look in panels.side_by_side(table["method"], 0.17):
        for (name, is_different), part in table[table["method"] == method].groupby(["row", "different"]):
            fill = hollow if is_different else {"linewidth": 2, "label": style.label(method)}
            panels.means(axis, part["value"], names.index(name) + offset, markersize=7, **look, **fill)
    panels.name_rows(axis, names, xlabel="cosine, mean over people")
    found = dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(found.values(), found.keys(), loc="outside upper right", ncols=4)
    words = "hollow: different people" if other.any() else ""
    return style.caption(figure, caption, words, style.bars(table, "seeds", "seed"))


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
    return style.caption(figure, caption, "mean over identities", "band: 10 to 90 per cent of them")


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
    figure, axes = panels.grid(2, len(kinds), size, sharex=True, sharey="row")
    for axis_column, kind in zip(axes.T, kinds, strict=True):
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
    axes[0, 0].set_ylabel(f"{metric} in per cent")
    axes[1, 0].set_ylabel(f"lost, per cent of {metric}\nwith all images")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return style.caption(figure, caption, style.explained(table, None, "lines"))


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
