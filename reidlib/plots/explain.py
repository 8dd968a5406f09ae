"""Figures of what a model looks at, and of what its branches know."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from reidlib.experiments.uncertainty import half_width
from reidlib.plots import style, tables
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
    panels, paths = table["panel"].drop_duplicates().tolist(), table["path"].drop_duplicates().tolist()
    images = [photo(dataset, path) for path in paths]
    masks = [truth(dataset, path).person_mask for path in paths] if outline else []
    aspect = np.median([image.shape[0] / image.shape[1] for image in images])
    size = 1.05 * len(paths) + 1.8, (1.0 * aspect + 0.22) * (1 + len(panels)) + 0.6
    figure, axes = plt.subplots(1 + len(panels), len(paths), figsize=size, layout="constrained", squeeze=False)
    style.blank(axes.flat)
    for axis, path, image in zip(axes[0], paths, images, strict=True):
        record = table[table["path"] == path].iloc[0]
        axis.imshow(image, aspect="auto")
        name, colour = dataset.reader.modalities[record["modality"]], style.MODALITY_COLOURS[record["modality"]]
        axis.set_title(f"id {record['pid']}\n{name}", fontsize=9, color=colour)
    looks = style.looks(panels)
    for axis_row, panel in zip(axes[1:], panels, strict=True):
        text = {"rotation": 0, "ha": "right", "va": "center", "color": looks[panel][0]}
        axis_row[0].set_ylabel(style.label(panel), **text)
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
    style.caption(figure, caption, inside, f"white: edge of the {thing}" if outline else "")
    return figure


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
    table = table[table["score"].notna()]  # there were too few identities
    table = table.assign(panel=table["kind"].map(_SCORES).fillna(table["kind"]))
    style.require(table, [])
    factors = {name: part["factor"].drop_duplicates().tolist() for name, part in table.groupby("panel", sort=False)}
    looks, longest = style.looks(table["branch"]), max(map(len, factors.values()))
    size = 4.4 * len(factors) + 0.4, (0.16 + 0.12 * len(looks)) * longest + 1.5
    figure, axes = plt.subplots(1, len(factors), figsize=size, layout="constrained", squeeze=False)
    shifts = np.linspace(-0.28, 0.28, len(looks)) if len(looks) > 1 else [0.0]
    for axis, (panel, names) in zip(axes[0], factors.items(), strict=True):
        part, rows = table[table["panel"] == panel], np.arange(len(names))
        chance = part.groupby("factor")["chance"].mean().reindex(names)
        axis.vlines(chance, rows - 0.42, rows + 0.42, color=style.NEUTRAL, linewidth=2.2)
        for row in rows[1:]:
            axis.axhline(row - 0.5, color="#DDDDDD", linewidth=0.7)
        for (branch, (colour, marker)), shift in zip(looks.items(), shifts, strict=True):
            of = part[part["branch"] == branch].set_index("factor").reindex(names)
            axis.errorbar(
                of["score"], rows + shift, xerr=of["std"].fillna(0), linestyle="", marker=marker, color=colour,
                markersize=6, capsize=2, linewidth=1.3, label=style.label(branch),
            )  # fmt: skip
            if "shuffled" in of:
                axis.plot(of["shuffled"], rows + shift, "|", color=colour, markersize=7, alpha=0.7)
        axis.set_yticks(rows, [name.replace("_", " ") for name in names])
        axis.set(title=panel, ylim=(longest - 0.5, -0.5))
        axis.grid(axis="y", visible=False)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=min(len(looks), 5))
    control = "ticks: shuffled labels" if "shuffled" in table else ""
    style.caption(figure, caption, "bars: standard deviation over the folds", "grey: chance", control)
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
    looks, rows = style.looks(name for name in names if name not in _CONTROLS), range(len(names))
    size = 2.6 * len(_MEASURES) + 1.6, 0.36 * len(names) + 1.5
    figure, axes = plt.subplots(1, len(_MEASURES), figsize=size, sharey=True, layout="constrained")
    for axis, (measure, title) in zip(axes, _MEASURES.items(), strict=True):
        shared = table.groupby(["pid", "row", "map"])[measure].mean().unstack().dropna()
        persons = 100 * shared.groupby("pid").mean()
        for row, name in zip(rows, names, strict=True):
            values = persons[name]
            colour, marker = looks.get(name, (style.NEUTRAL, "o"))
            axis.errorbar(
                [values.mean()], [row], xerr=[np.nan_to_num(half_width(values))], marker=marker, markersize=7,
                color=colour, linewidth=2.2,
            )  # fmt: skip
        axis.set(title=title, xlabel="per cent", xlim=(0, 100), ylim=(len(names) - 0.5, -0.5))
    axes[0].set_yticks(rows, [style.label(name) for name in names])
    left_out = f"{empty} of {images} images left out, for which a map is empty" if empty else ""
    style.caption(figure, caption, "bars: 95 % interval over persons (Student t)", "grey: controls", left_out)
    return figure


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
    table = table[table["score"].isin(_MEASURES) & table["modality"].notna()]
    style.require(table, [])
    table = table.assign(other=table["map"].str.endswith(_OTHER), map=table["map"].str.removesuffix(_OTHER))
    methods, maps = table["method"].drop_duplicates().tolist(), [m for m in table["map"].unique() if m not in _FIXED]
    rows = [*methods, *_FIXED]
    size = 2.9 * len(_MEASURES) + 1.5, len(maps) * (0.34 * len(rows) + 0.75) + 0.8
    figure, axes = plt.subplots(
        len(maps), len(_MEASURES), figsize=size, dpi=85, sharex=True, sharey=True, layout="constrained", squeeze=False
    )
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
                width, fill = np.nan_to_num(half_width(values)), {}
                if is_other:
                    width, fill = 0, {"markerfacecolor": "white"}
                look = {"marker": style.MODALITY_MARKERS[m], "markersize": 6, "color": style.MODALITY_COLOURS[m]}
                place = rows.index(label) + (0.13 if m else -0.13)
                faint = 0.55 if label in _FIXED else 1
                axis.errorbar([values.mean()], [place], xerr=[width], linewidth=1.8, alpha=faint, **look, **fill)
            axis.axhline(len(methods) - 0.5, color=style.NEUTRAL, linewidth=0.8)
        axis_row[0].set_ylabel(name)
    axes[0, 0].set_yticks(range(len(rows)), [style.label(row) for row in rows])
    axes[0, 0].set(xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5))
    for axis in axes[-1]:
        axis.set_xlabel("per cent")
    style.modality_legend(figure, ("visible", "infrared"))
    bars = "bars: 95 % interval over seeds (Student t)" if table["seed"].nunique() > 1 else ""
    style.caption(figure, caption, "hollow: the map of another image", "last rows: maps that see no image", bars)
    return figure
