"""Figures of what a model looks at, and of what its branches know."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

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
_CONTROLS = ("centred Gaussian", "uniform", "another image")


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
                [values.mean()], [row], xerr=[np.nan_to_num(style.interval(values))], marker=marker, markersize=7,
                color=colour, linewidth=2.2,
            )  # fmt: skip
        axis.set(title=title, xlabel="per cent", xlim=(0, 100), ylim=(len(names) - 0.5, -0.5))
    axes[0].set_yticks(rows, [style.label(name) for name in names])
    left_out = f"{empty} of {images} images left out, for which a map is empty" if empty else ""
    style.caption(figure, caption, "bars: 95 % interval over persons (Student t)", "grey: controls", left_out)
    return figure
