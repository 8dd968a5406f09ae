"""Figures of what a model looks at, and of what its branches know."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from reidlib.plots import panels, style, tables
from reidlib.plots.drawing import drawing
from reidlib.plots.photos import Photos, photo, truth

if TYPE_CHECKING:
    from reidlib.data.dataset import ReIDDataset


_SCORES = {
    "categorical": "balanced accuracy", "identity": "balanced accuracy", "continuous": "R²", "circular": "R²",
}  # fmt: skip
_MEASURES = {"energy": "energy on the person", "pointing": "maximum on the person", "parts": "parts covered"}
_THING = {"person": "person", "square": "thing", "face": "head"}  # by the shape of the images
_FIXED = ("centred Gaussian", "uniform")  # controls that see no image
_CONTROLS = (*_FIXED, "another image")
_OTHER = " of another image"


@drawing
def cam_panel(table: pd.DataFrame, dataset: "ReIDDataset | Photos", caption: str, outline: bool = False) -> Figure:
    """Images in columns, below each the maps of several branches or methods over it (`tables.attention`).

    Bright is what counts; under each map stands how much of it lies inside the person, if the table says it.
    ``outline`` draws the edge of the person mask, which only a twin has. Every map is scaled to its own maximum.
    """
    style.require(table, [*tables.WHO, "panel", "energy", "height", "width", "0"])
    shown, paths = (table[name].drop_duplicates().tolist() for name in ("panel", "path"))
    images = [photo(dataset, path) for path in paths]
    masks = [truth(dataset, path).person_mask for path in paths] if outline else []
    aspect = np.median([image.shape[0] / image.shape[1] for image in images])
    size = 1.05 * len(paths) + 1.8, (1.0 * aspect + 0.22) * (1 + len(shown)) + 0.6
    figure, axes = panels.images(1 + len(shown), len(paths), size)
    for axis, path, image in zip(axes[0], paths, images, strict=True):
        record = table[table["path"] == path].iloc[0]
        axis.imshow(image, aspect="auto")
        name, colour = dataset.reader.modalities[record["modality"]], style.MODALITY_COLOURS[record["modality"]]
        axis.set_title(f"id {record['pid']}\n{name}", fontsize=9, color=colour)
    for axis_row, (panel, (colour, _)) in zip(axes[1:], style.looks(shown).items(), strict=True):
        axis_row[0].set_ylabel(style.label(panel), rotation=0, ha="right", va="center", color=colour)
        for number, (axis, path) in enumerate(zip(axis_row, paths, strict=True)):
            record = table[(table["path"] == path) & (table["panel"] == panel)].iloc[0]
            shape = int(record["height"]), int(record["width"])
            values = record[[str(n) for n in range(shape[0] * shape[1])]].to_numpy(np.float32).reshape(shape)
            axis.imshow(_overlaid(images[number], values), aspect="auto")
            if outline:
                axis.contour(masks[number], levels=[0.5], colors="white", linewidths=0.9)
            if np.isfinite(record["energy"]):
                axis.set_xlabel(f"{100 * record['energy']:.0f} % inside", fontsize=8, labelpad=2)
    scale = plt.cm.ScalarMappable(cmap="inferno")
    bar = figure.colorbar(scale, ax=axes[1:, :], shrink=0.6, aspect=30, pad=0.02, ticks=[0, 1])
    bar.set_label("share of the largest value", fontsize=8)
    thing = _THING[dataset.reader.shape]
    inside = f"under each map: how much of it lies inside the {thing}" if table["energy"].notna().any() else ""
    return style.caption(figure, caption, inside, f"white: edge of the {thing}" if outline else "")


def _overlaid(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A map (h, w) in 0–1 over an image (H, W, 3), which stays visible in grey where little is."""
    height, width = image.shape[:2]
    values = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)).clip(0, 1)
    grey = np.repeat((image @ tables.GREY / 255)[..., None], 3, axis=2)
    opacity = 0.25 + 0.5 * values[..., None]
    return (1 - opacity) * grey + opacity * plt.get_cmap("inferno")(values)[..., :3]


@drawing
def probe_scores(table: pd.DataFrame, caption: str) -> Figure:
    """How well a linear probe reads a factor from each branch: factors in rows, a panel for each kind of score.

    ``table`` as `reidlib.explain.probe_table` gives it: ``branch``, ``factor``, ``kind``, ``score``, ``std``,
    ``chance`` and, if wanted, ``shuffled``. Grey is chance, a small tick the same probe on shuffled labels.
    """
    style.require(table, ["branch", "factor", "kind", "score", "std", "chance"])
    table = style.require(table[table["score"].notna()])  # there were too few identities
    scores = table["kind"].map(_SCORES).fillna(table["kind"])
    parts = dict(list(table.assign(half=table["std"]).groupby(scores, sort=False)))
    series, longest = table["branch"].nunique(), max(part["factor"].nunique() for part in parts.values())
    size = 4.4 * len(parts) + 0.4, (0.16 + 0.12 * series) * longest + 1.5
    figure = probe_panels(parts, "branch", size, markersize=6)
    for axis, part in zip(figure.axes, parts.values(), strict=True):
        for row in range(1, part["factor"].nunique()):
            axis.axhline(row - 0.5, color="#DDDDDD", linewidth=0.7)
    control = "ticks: shuffled labels" if "shuffled" in table else ""
    return style.caption(figure, caption, "bars: standard deviation over the folds", "grey: chance", control)


def probe_panels(
    parts: Mapping[str, pd.DataFrame], series: str, size: tuple[float, float], markersize: float
) -> Figure:
    """Scores of probes, a panel for each kind of score: factors in rows, markers for the series, grey for chance.

    Args:
        parts: title → a line a factor and series: ``factor``, ``score``, ``half`` (the length of its bar), ``chance``,
            the column ``series`` and, if wanted, ``shuffled``, drawn as a small tick.
        size: in inches.
    """
    names = {title: part["factor"].drop_duplicates().tolist() for title, part in parts.items()}
    looks = list(panels.side_by_side(pd.concat(parts.values())[series], 0.28))
    figure, (axes,) = panels.grid(1, len(parts), size)
    for axis, (title, part) in zip(axes, parts.items(), strict=True):
        rows = np.arange(len(names[title]))
        chance = part.groupby("factor")["chance"].mean().reindex(names[title])
        axis.vlines(chance, rows - 0.42, rows + 0.42, color=style.NEUTRAL, linewidth=2.2)
        for name, offset, look in looks:
            of = part[part[series] == name].set_index("factor").reindex(names[title])
            axis.errorbar(
                of["score"], rows + offset, xerr=of["half"].fillna(0), linestyle="", markersize=markersize, capsize=2,
                linewidth=1.3, label=style.label(name), **look,
            )  # fmt: skip
            if "shuffled" in of:
                axis.plot(of["shuffled"], rows + offset, "|", color=look["color"], markersize=7, alpha=0.7)
        panels.name_rows(axis, [name.replace("_", " ") for name in names[title]], title=title)
        axis.set_ylim(max(map(len, names.values())) - 0.5, -0.5)
        axis.grid(axis="y", visible=False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=min(len(looks), 5))
    return figure


@drawing
def localisation(table: pd.DataFrame, caption: str) -> Figure:
    """Do maps lie on the person? Mean scores of each map and, in grey, of the controls that know nothing of it.

    ``table`` as `reidlib.explain.localisation_table` gives it, of several maps one below the other: ``map``, ``row``,
    ``pid``, ``energy``, ``pointing``, ``parts``. An image counts where every map has a score for it, so that all means
    are over the same images. Those of one person are averaged first; the interval is over persons. Several maps bring
    several maps of another image, which are averaged, too.
    """
    style.require(table, ["map", "row", "pid", *_MEASURES])
    images = table["row"].nunique()
    empty = table.loc[table["energy"].isna(), "row"].nunique()
    if empty == images:
        raise ValueError("there is nothing to draw: for every image, at least one map is empty")
    names = sorted(table["map"].unique(), key=lambda name: name in _CONTROLS)
    looks = style.looks(name for name in names if name not in _CONTROLS)
    size = 2.6 * len(_MEASURES) + 1.6, 0.36 * len(names) + 1.5
    figure, (axes,) = panels.grid(1, len(_MEASURES), size, sharey=True)
    for axis, (measure, title) in zip(axes, _MEASURES.items(), strict=True):
        shared = table.groupby(["pid", "row", "map"])[measure].mean().unstack().dropna()
        persons = 100 * shared.groupby("pid").mean()
        for row, name in enumerate(names):
            colour, marker = looks.get(name, (style.NEUTRAL, "o"))
            panels.means(axis, persons[name], row, marker=marker, markersize=7, color=colour, linewidth=2.2)
        axis.set(title=title, xlabel="per cent", xlim=(0, 100))
    panels.name_rows(axes[0], names)
    left_out = f"{empty} of {images} images left out, for which a map is empty" if empty else ""
    return style.caption(figure, caption, "bars: 95 % interval over persons (Student t)", "grey: controls", left_out)


@drawing
def focus_scores(table: pd.DataFrame, caption: str) -> Figure:
    """How much of Grad-CAM, and of occlusion, lies on the person: methods or variants, modalities, controls.

    Args:
        table: ``method``, ``seed``, ``name`` and ``value``, as `reidlib.experiments.measures.table` gives the measure
            ``focus``. The map of another image is drawn hollow beside the own one; the controls that see no image are
            the last rows.
    """
    style.require(table, ["method", "seed", "name", "value"])
    parts = table["name"].str.split(", ", expand=True).reindex(columns=range(3))
    table = table.assign(score=parts[0], map=parts[1], modality=parts[2])
    table = style.require(table[table["score"].isin(_MEASURES) & table["modality"].notna()])
    table = table.assign(other=table["map"].str.endswith(_OTHER), map=table["map"].str.removesuffix(_OTHER))
    methods, maps = table["method"].drop_duplicates().tolist(), [m for m in table["map"].unique() if m not in _FIXED]
    rows = [*methods, *_FIXED]
    size = 2.9 * len(_MEASURES) + 1.5, len(maps) * (0.34 * len(rows) + 0.75) + 0.8
    figure, axes = panels.grid(len(maps), len(_MEASURES), size, dpi=85, sharex=True, sharey=True)
    for axis, title in zip(axes[0], _MEASURES.values(), strict=True):
        axis.set_title(title)
    for axis_row, name in zip(axes, maps, strict=True):
        for axis, score in zip(axis_row, _MEASURES, strict=True):
            shown = table[(table["score"] == score) & table["map"].isin([name, *_FIXED])]
            shown = shown.assign(row=np.where(shown["map"].isin(_FIXED), shown["map"], shown["method"]))
            for (label, modality, is_other), part in shown.groupby(["row", "modality", "other"]):
                # A control that sees no image is the same for every method and seed.
                values = 100 * (part["value"] if label in methods else part.groupby("seed")["value"].mean())
                m = int(modality == "infrared")
                look = {"marker": style.MODALITY_MARKERS[m], "markersize": 6, "color": style.MODALITY_COLOURS[m]}
                look |= {"linewidth": 1.8, "alpha": 0.55 if label in _FIXED else 1}
                if is_other:
                    look |= {"interval": lambda values: 0, "markerfacecolor": "white"}
                panels.means(axis, values, rows.index(label) + (0.13 if m else -0.13), **look)
            axis.axhline(len(methods) - 0.5, color=style.NEUTRAL, linewidth=0.8)
        axis_row[0].set_ylabel(name)
    panels.name_rows(axes[0, 0], rows, xlim=(0, 100))
    for axis in axes[-1]:
        axis.set_xlabel("per cent")
    style.modality_legend(figure, ("visible", "infrared"))
    bars = style.bars(table, "seeds", "seed")
    return style.caption(figure, caption, "hollow: the map of another image", "last rows: maps that see no image", bars)
