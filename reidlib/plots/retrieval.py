"""Figures of what a model retrieves: ranked strips, CMC curves, distances, affinities, embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reidlib.data.decode import read_image
from reidlib.data.own import FORMATS
from reidlib.plots import panels, style, tables
from reidlib.plots.drawing import drawing
from reidlib.plots.photos import Photos, photo
from reidlib.plots.style import RIGHT, WRONG

if TYPE_CHECKING:
    from reidlib.data.dataset import ReIDDataset
    from reidlib.evaluation.retrieval import Retrieval


@drawing
def ranked_strip(table: pd.DataFrame, dataset: "ReIDDataset | Photos", caption: str) -> Figure:
    """One row a query: the query, then the gallery images it brings up, nearest first (`tables.ranked_list`).

    Frames tell right (green, solid) from wrong (vermilion, dashed), so that they differ without colour, too. A column
    ``model`` is written beside each query: the same query may come once for each of several models. A column ``place``
    tells of the last image, the first correct one, where in the ranking it stands.
    """
    style.require(table, ["query", "rank", *tables.WHO, "correct"])
    queries, depth = table["query"].nunique(), int(table["rank"].max())
    images = [photo(dataset, path) for path in table["path"]]
    aspect = np.median([image.shape[0] / image.shape[1] for image in images])
    size = 0.85 * depth + 2.2, (0.8 * aspect + 0.2) * queries + 0.5
    titles, ratios = ["query", "", *range(1, depth + 1)], [1, 0.12] + [1] * depth  # a column sets the query apart
    placed = table["place"].notna() if "place" in table else pd.Series(False, table.index)
    if placed.any():
        titles[-1] = "true match"
    figure, axes = panels.images(queries, depth + 2, size, titles, width_ratios=ratios)
    for record, image in zip(table.itertuples(), images, strict=True):
        axis = axes[record.query, record.rank + (record.rank > 0)]
        axis.imshow(image, aspect="auto")
        if record.rank == 0:
            name = dataset.reader.modalities[record.modality]
            text = f"id {record.pid}\n{name if name == 'sketch' else f'camera {record.camid}'}"
            text = f"{style.label(record.model)}\n{text}" if "model" in table else text
            axis.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=9)
            continue
        colour, line = (RIGHT, "-") if record.correct else (WRONG, (0, (1.6, 1.0)))
        for spine in axis.spines.values():
            spine.set(visible=True, color=colour, linewidth=3, capstyle="butt")
            spine.set_linestyle(line)
        place = f", rank {record.place}" if placed[record.Index] else ""
        axis.set_xlabel(f"id {record.pid}{place}", fontsize=8, color=colour, labelpad=3)
    return style.caption(figure, caption)


def with_true_match(
    table: pd.DataFrame, dataset: "ReIDDataset", retrieval: "Retrieval", queries: Sequence[int]
) -> pd.DataFrame:
    """A table of `tables.ranked_list` with the first correct image of each query as its last, for `ranked_strip`.

    Args:
        retrieval: deep enough to hold these images; where it does not, the image is left out.
        queries: those of the table.

    Returns:
        The table with a column ``place``: the position of that image in the whole ranking, missing elsewhere.
    """
    found, last = [table.assign(place=pd.NA)], int(table["rank"].max()) + 1
    for number, query in enumerate(queries):
        place = int(retrieval.first_match[query])
        if 0 < place <= retrieval.gallery_rows.shape[1]:
            record = dataset.frame[tables.WHO].iloc[[retrieval.gallery_rows[query, place - 1]]]
            distance = retrieval.distances[query, place - 1]
            found.append(record.assign(query=number, rank=last, correct=True, distance=distance, place=place))
    return pd.concat(found, ignore_index=True).astype({"correct": "boolean", "place": "Int64"})


def found_strip(files: Sequence[str | Path], distances: Sequence[float], caption: str) -> Figure:
    """A picture and what it found, nearest first: ``files`` and, for all but the first, ``distances``.

    Nobody knows what is right here, so that nothing is framed; pictures of one's own are not kept to be drawn again.
    """
    images = [np.asarray(read_image(Path(file), FORMATS)) for file in files]
    aspect = np.median([image.shape[0] / image.shape[1] for image in images])
    size, ratios = (0.85 * len(files) + 0.8, 0.8 * aspect + 1.0), [1, 0.12] + [1] * (len(files) - 1)
    titles = ["query", "", *range(1, len(files))]
    figure, (axes,) = panels.images(1, len(files) + 1, size, titles, width_ratios=ratios)
    for place, image in enumerate(images):
        axes[place + (place > 0)].imshow(image, aspect="auto")
    for axis, distance in zip(axes[2:], distances, strict=True):
        axis.set_xlabel(f"{distance:.3f}", fontsize=8, labelpad=3)
    return style.caption(figure, caption)


@drawing
def cmc_curves(table: pd.DataFrame, caption: str) -> Figure:
    """CMC of several models over the ranks, mean over trials with their range (`tables.cmc`)."""
    style.require(table, ["model", "rank", "trial", "cmc"])
    figure, axis = plt.subplots(figsize=(6.8, 3.6), layout="constrained")
    for name, (colour, marker) in style.looks(table["model"]).items():
        curve = 100 * table[table["model"] == name].groupby("rank")["cmc"].agg(["mean", "min", "max"])
        axis.fill_between(curve.index, curve["min"], curve["max"], color=colour, alpha=0.2, linewidth=0)
        axis.plot(curve.index, curve["mean"], color=colour, marker=marker, label=style.label(name))
    axis.set(xlabel="rank", ylabel="found, per cent of queries", ylim=(0, 100), xticks=sorted(table["rank"].unique()))
    figure.legend(loc="outside right upper")
    return style.caption(figure, caption, "band: range over the trials" if style.several(table, "trial") else "")


@drawing
def distance_histograms(table: pd.DataFrame, caption: str, xlabel: str = "cosine distance") -> Figure:
    """Distances in pairs of two kinds, such as the same and different persons, one row a panel (`tables.distances`).

    Ticks on the upper edge are medians. The overlap is the share of the two histograms' area that they have in common
    (0: perfectly apart, 1: the same).
    """
    style.require(table, ["panel", "pair", "left", "right", "share", "median"])
    shown, kinds = table["panel"].unique(), table["pair"].unique()
    if len(kinds) != 2:
        raise ValueError(f"histograms show pairs of two kinds, not of {list(kinds)}")
    figure, axes = panels.grid(len(shown), 1, (7.5, 1.7 * len(shown) + 0.8), sharex=True)
    for axis, panel in zip(axes[:, 0], shown, strict=True):
        shares = []
        for pair, colour in zip(kinds, (RIGHT, style.NEUTRAL), strict=True):
            part = table[(table["panel"] == panel) & (table["pair"] == pair)]
            edges = [*part["left"], part["right"].iloc[-1]]
            axis.stairs(part["share"], edges, fill=True, alpha=0.4, color=colour, label=pair)
            axis.stairs(part["share"], edges, color=colour, linewidth=1.4)
            axis.axvline(part["median"].iloc[0], ymin=0.9, color=colour, linewidth=2.5)
            shares.append(part["share"].to_numpy())
        overlap = np.minimum(*shares).sum()
        axis.set(title=f"{style.label(panel)}: overlap {overlap:.2f}", yticks=[], ylabel="share of pairs")
        axis.set_ylim(0, 1.15 * np.max(shares))
    axes[-1, 0].set_xlabel(xlabel)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return style.caption(figure, caption, "ticks above: medians")


@drawing
def affinity(table: pd.DataFrame, caption: str, modalities: Sequence[str] = ("visible", "infrared")) -> Figure:
    """Cosine similarities of images ordered by modality, then identity, three matrices a row (`tables.affinities`).

    Lines part the modalities; the coloured edge names them. A model that closes the gap shows the diagonal of the
    block within a modality again in the blocks across.
    """
    style.require(table, ["panel", "pid", "modality", "0"])
    shown = table["panel"].unique()
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    figure, axes = panels.grid(lines, columns, (3.4 * columns + 1.0, 3.7 * lines + 0.4), len(shown))
    for axis, panel in zip(axes.flat, shown, strict=False):
        part = table[table["panel"] == panel]
        number = len(part)
        similarities = part[[str(column) for column in range(number)]].to_numpy()
        image = axis.imshow(similarities, cmap="viridis", vmin=0, vmax=1)
        axis.set(title=style.label(panel), xticks=[], yticks=[], xlim=(-0.5, number - 0.5), ylim=(number - 0.5, -0.5))
        axis.grid(False)
        for m, name in enumerate(modalities):
            rows = np.flatnonzero(part["modality"] == m)
            if not len(rows):
                continue
            first, last, colour = rows[0] - 0.5, rows[-1] + 0.5, style.MODALITY_COLOURS[m]
            if m:
                axis.axhline(first, color="white", linewidth=1.5)
                axis.axvline(first, color="white", linewidth=1.5)
            # bars and names on the edges, in units of the axis: they stay clear of the matrix
            begin, end = (first + 0.5) / number, (last + 0.5) / number
            look = {"color": colour, "transform": axis.transAxes}
            bar = {"linewidth": 4, "solid_capstyle": "butt", "clip_on": False, **look}
            axis.plot([begin, end], [-0.02, -0.02], **bar)
            axis.plot([-0.02, -0.02], [1 - begin, 1 - end], **bar)
            text = {"fontsize": 9, "ha": "center", "va": "center", **look}
            axis.text((begin + end) / 2, -0.07, name, **text)
            axis.text(-0.07, 1 - (begin + end) / 2, name, rotation=90, **text)
    figure.colorbar(image, ax=axes, shrink=0.8 / lines, pad=0.02, extend="min", label="cosine similarity")
    return style.caption(figure, caption, "rows and columns ordered by identity")


@drawing
def embedding_map(
    table: pd.DataFrame,
    caption: str,
    panel: str = "branch",
    modalities: Sequence[str] = ("visible", "infrared"),
    palette: str = "husl",
) -> Figure:
    """Points in the plane, one panel a branch or model: colour tells the identity, the marker the modality.

    ``table`` has the columns ``pid``, ``modality``, ``x``, ``y`` and the one that ``panel`` names, as
    `reidlib.explain.embedding_table` gives it; a column ``split`` is named in the caption. ``modalities``: the names
    of modality 0, 1 and, if there is one, 2. ``palette``: of seaborn; up to ten identities are told apart more easily
    in ``"colorblind"``.
    """
    style.require(table, ["pid", "modality", "x", "y", panel])
    if table["modality"].max() >= len(modalities):
        raise ValueError(f"modality {table['modality'].max()} has no name in {tuple(modalities)}")
    names = table[panel].unique()
    columns = 2 if len(names) == 4 else min(len(names), 3)
    rows = -(-len(names) // columns)
    edge = {1: 5.2, 2: 4.4, 3: 3.5}[columns]
    figure, axes = panels.grid(rows, columns, (edge * columns + 0.4, edge * rows + 0.5), len(names))
    pids = np.unique(table["pid"])
    colours = dict(zip(pids, sns.color_palette(palette, len(pids)), strict=True))
    for axis, name in zip(axes.flat, names, strict=False):
        for m, marker in zip(range(len(modalities)), style.MODALITY_MARKERS.values(), strict=False):
            part = table[(table[panel] == name) & (table["modality"] == m)]
            edges = {"edgecolor": "black" if m else "white", "linewidth": 0.5, "s": 34 if m else 26, "alpha": 0.9}
            axis.scatter(part["x"], part["y"], c=part["pid"].map(colours).tolist(), marker=marker, **edges)
        axis.set(title=style.label(name), xticks=[], yticks=[])
        axis.grid(False)
    style.modality_legend(figure, modalities, color=style.NEUTRAL, markeredgecolor="black")
    splits = " and ".join(table["split"].unique()) + " identities" if "split" in table else ""
    return style.caption(figure, caption, splits, "one colour an identity", "PCA, then UMAP")
