"""Figures of notebook 01: what a data set holds, what is behind its images, where the modality gap comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from reidlib.data.registry import renderer
from reidlib.plots import panels, style, tables
from reidlib.plots.drawing import drawing
from reidlib.plots.photos import Photos, photo, truth

if TYPE_CHECKING:
    from reidlib.data.dataset import ReIDDataset

PART_COLOURS = ListedColormap(
    ["#FFFFFF", "#F0C9A4", "#4D3B2F", "#CC79A7", "#0072B2", "#56B4E9", "#E69F00", "#009E73", "#D55E00", "#F0E442"]
)


def contact_sheet(
    dataset: "ReIDDataset", pids: Sequence[int] | None = None, *, identities: int | None = None
) -> Figure:
    """Some identities of any data set in both modalities: `tables.sheet` chooses the images, `sheet` draws them."""
    return sheet(tables.sheet(dataset, pids, identities), dataset, dataset.title)


@drawing
def sheet(table: pd.DataFrame, dataset: "ReIDDataset | Photos", caption: str) -> Figure:
    """Identities by views, as `tables.sheet` lists them; an empty place: the identity was not seen there.

    Identities lie in columns if each has a few places only, else in rows.
    """
    style.require(table, [*tables.WHO, "view", "place"])
    table = table.assign(view=table["view"].astype("object").where(table["view"].notna(), ""))  # empty in the file
    names, pids = dataset.reader.modalities, table["pid"].drop_duplicates().tolist()
    across = table["place"].max() < tables.FEW_PLACES
    images = [photo(dataset, path) for path in table["path"]]
    aspect = np.median([image.shape[0] / image.shape[1] for image in images])
    shape = np.array([int(table["place"].max()) + 1, len(pids)])
    rows, columns = shape if across else shape[::-1]
    size = 0.95 * columns + (0.9 if across else 0.7), 0.97 * aspect * rows + 0.55
    figure, axes = panels.images(rows, columns, size)
    axes = axes if across else axes.T
    same_view = table.groupby("place")["view"].transform("nunique") == 1
    beside = {"rotation": 0, "ha": "right", "va": "center"}
    for record, image, named in zip(table.itertuples(), images, same_view, strict=True):
        axis, first = axes[record.place, pids.index(record.pid)], axes[record.place, 0]
        axis.imshow(image, aspect="auto")
        if not named:
            axis.set_xlabel(record.view, fontsize=8, labelpad=2)
        text = (f"{record.view}\n" if named and record.view else "") + names[record.modality]
        look = {"color": style.MODALITY_COLOURS[record.modality], "fontsize": 9}
        first.set_ylabel(text, **look, **beside) if across else first.set_title(text, **look)
    for axis, pid in zip(axes[0], pids, strict=True):
        axis.set_title(f"id {pid}", fontsize=9) if across else axis.set_ylabel(f"id {pid}", **beside)
    return style.caption(figure, caption)


@drawing
def truth_panel(table: pd.DataFrame, dataset: "ReIDDataset | Photos", caption: str) -> Figure:
    """Some rows of the frame of a twin: the image, the person mask, the parts, the surface direction, the distance."""
    style.require(table, tables.WHO)
    names = renderer().PARTS
    titles = ("image", "person", "parts", "surface direction", "nearness")
    size = 1.15 * len(titles) + 2.2, 2.1 * len(table) + 0.4
    figure, axes = panels.images(len(table), len(titles), size, titles)
    for axis_row, record in zip(axes, table.itertuples(), strict=True):
        known = truth(dataset, record.path)
        buffer = known.rendering.gbuffer
        hit = buffer.owner >= 0
        axis_row[0].imshow(photo(dataset, record.path), aspect="auto")
        axis_row[1].imshow(known.person_mask, cmap="gray", aspect="auto")
        options = {"vmin": -0.5, "vmax": len(names) - 0.5, "interpolation": "nearest", "aspect": "auto"}
        axis_row[2].imshow(known.part_mask, cmap=PART_COLOURS, **options)
        axis_row[3].imshow(np.where(hit[..., None], 0.5 + 0.5 * buffer.normal, 1.0), aspect="auto")
        axis_row[4].imshow(np.where(hit, buffer.depth, np.nan), cmap="cividis", aspect="auto")
        axis_row[0].set_ylabel(f"id {record.pid}\ncamera {record.camid}", rotation=0, ha="right", va="center")
    patches = [Patch(facecolor=PART_COLOURS(i), edgecolor="#999999", label=names[i]) for i in range(1, len(names))]
    figure.legend(handles=patches, loc="outside right center")
    return style.caption(figure, caption, "known because the people are rendered")


@drawing
def counterfactuals(
    changes: Mapping[str, Mapping[str, Any]], pid: int = 8, cameras: tuple[int, int] = (1, 6), key: int = 4
) -> Figure:
    """One rendered person changed in one factor at a time, seen by a visible and by an infrared camera of SYSU-MM01.

    Under each changed image stands how much of it differs from the first (mean absolute grey levels).

    Args:
        changes: title → fields of `reidlib.twins.Identity` and their new values; those of a cloth in a mapping of
            their own: ``{"top": {"nir": 0.9}}``. The first holds for all: what the others change comes on top of it.
        pid: which person.
        cameras, key: of the scene, as in `reidlib.twins.sample_scene`; pose and light stay the same.
    """
    twins = renderer()
    scenes = [replace(twins.sample_scene(twins.SYSU_CAMERAS[c], key), occluder="none", noise=0.005) for c in cameras]
    scenes[1] = replace(scenes[1], pose=scenes[0].pose)
    titles = list(changes)
    person = _changed(twins.sample_identity(pid), changes[titles[0]])
    people = [person, *(_changed(person, changes[title]) for title in titles[1:])]
    images = [[twins.render(who, scene, 256, 128).image for who in people] for scene in scenes]
    figure, axes = panels.images(2, len(titles), (1.25 * len(titles) + 0.8, 5.0), titles)
    for modality, (axis_row, seen) in enumerate(zip(axes, images, strict=True)):
        axis_row[0].set_ylabel(("visible", "infrared")[modality], color=style.MODALITY_COLOURS[modality])
        for axis, image in zip(axis_row, seen, strict=True):
            axis.imshow(image)
            if image is not seen[0]:
                change = np.abs(image.astype(int) - seen[0]).mean()
                axis.set_xlabel(f"{change:.1f} levels" if change else "no change", fontsize=8)
    return style.caption(figure, "synthetic person", "same pose, light and noise in every column")


def _changed(record: Any, changes: Mapping[str, Any]) -> Any:
    """A frozen record with other values in some fields; a mapping changes the record that a field holds."""
    values = {
        name: _changed(getattr(record, name), value) if is_dataclass(getattr(record, name)) else value
        for name, value in changes.items()
    }
    return replace(record, **{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


@drawing
def camera_coverage(table: pd.DataFrame, caption: str, modalities: Sequence[str] = ("visible", "infrared")) -> Figure:
    """How many identities each camera saw, by split: ``dataset.summary()``."""
    style.require(table, ["split", "modality", "camid", "identities"])
    order = table.sort_values(["modality", "camid"])["camid"].drop_duplicates()
    modality = table.groupby("camid")["modality"].first()
    figure, (axes,) = panels.grid(1, 2, (8, 2.8))
    for axis, split in zip(axes, ("train", "test"), strict=True):
        part = table[table["split"] == split].groupby("camid")["identities"].sum().reindex(order, fill_value=0)
        colours = [style.MODALITY_COLOURS[modality[camid]] for camid in order]
        bars = axis.bar([str(camid) for camid in order], part, color=colours)
        axis.bar_label(bars, fontsize=8)
        axis.set(title=f"{split} identities", xlabel="camera", ylabel="identities seen")
        axis.margins(y=0.12)
        axis.grid(axis="x", visible=False)
    handles = [Patch(color=style.MODALITY_COLOURS[m], label=name) for m, name in enumerate(modalities)]
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    return style.caption(figure, caption)


@drawing
def part_tones(table: pd.DataFrame, caption: str) -> Figure:
    """Grey levels of body parts in visible and infrared images, one point a person: `tables.part_tones`."""
    style.require(table, ["pid", "part", "visible", "infrared"])
    parts = table["part"].unique()
    figure, (axes,) = panels.grid(1, len(parts), (2.5 * len(parts), 2.9), sharex=True, sharey=True)
    look = {"s": 16, "alpha": 0.7, "color": style.MODALITY_COLOURS[1], "linewidth": 0}
    for axis, part in zip(axes, parts, strict=True):
        points = table[table["part"] == part]
        axis.scatter(points["visible"], points["infrared"], **look)
        correlation = np.corrcoef(points["visible"], points["infrared"])[0, 1]
        axis.set(title=f"{part} (r = {correlation:.2f})", xlabel="visible, grey level")
    axes[0].set_ylabel("infrared, grey level")
    return style.caption(figure, caption, "test identities", "mean over the part's pixels")


@drawing
def modality_gap(table: pd.DataFrame, caption: str) -> Figure:
    """Distances of four kinds of pairs, one panel a space (`tables.gap`): filled within a modality, dashed across.

    Ticks on the upper edge are medians; 1 is the median distance of two strangers of one modality.
    """
    style.require(table, ["space", "panel", "pair", "left", "right", "share", "median"])
    spaces = table["space"].unique()
    figure, (axes,) = panels.grid(1, len(spaces), (4.2 * len(spaces), 3.4))
    for axis, space in zip(axes, spaces, strict=True):
        for (panel, pair), part in table[table["space"] == space].groupby(["panel", "pair"], sort=False):
            across, colour = panel.startswith("across"), style.RIGHT if pair.startswith("same") else style.NEUTRAL
            edges, line = [*part["left"], part["right"].iloc[-1]], "--" if across else "-"
            if not across:
                axis.stairs(part["share"], edges, fill=True, alpha=0.25, color=colour)
            look = {"color": colour, "linestyle": line, "linewidth": 1.8}
            axis.stairs(part["share"], edges, label=f"{pair}, {panel}", **look)
            axis.axvline(part["median"].iloc[0], ymin=0.92, **look)
        axis.set(title=space, xlabel="distance (1: strangers of one modality)", yticks=[], xlim=(0, None))
        axis.set_ylim(0, 1.15 * table.loc[table["space"] == space, "share"].max())
    axes[0].set_ylabel("share of pairs")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return style.caption(figure, caption, "ticks above: medians")


@drawing
def training_batch(
    table: pd.DataFrame,
    dataset: "ReIDDataset | Photos",
    caption: str,
    size: tuple[int, int],
    augmentation: Mapping[str, Any],
    seed: int = 0,
    per_row: int = 8,
) -> Figure:
    """A batch as the network sees it: rows of the frame, resized to ``size`` (height, width) and augmented.

    ``augmentation`` holds the arguments of `reidlib.data.Augmentation`, ``seed`` that of its generator.
    """
    import torch

    from reidlib.data import Augmentation, decode
    from reidlib.data.augment import IMAGENET_MEAN, IMAGENET_STD

    style.require(table, tables.WHO)
    images = [decode.resized(Image.fromarray(photo(dataset, path)), *size) for path in table["path"]]
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    modality = torch.tensor(table["modality"].to_numpy())
    augmented = Augmentation(**augmentation)(batch, modality, torch.Generator().manual_seed(seed))
    shown = augmented.permute(0, 2, 3, 1) * torch.tensor(IMAGENET_STD) + torch.tensor(IMAGENET_MEAN)
    rows = -(-len(table) // per_row)
    figure, axes = panels.images(rows, per_row, (0.72 * per_row + 1.0, 1.4 * rows + 0.3))
    for axis, image in zip(axes.flat, shown.clip(0, 1).numpy(), strict=False):
        axis.imshow(image, aspect="auto")
    for modality, position in zip(*np.unique(table["modality"], return_index=True), strict=True):
        text = {"color": style.MODALITY_COLOURS[modality], "rotation": 0, "ha": "right", "va": "center", "fontsize": 9}
        axes[position // per_row, 0].set_ylabel(dataset.reader.modalities[modality], **text)
    return style.caption(figure, caption)


@drawing
def matcher_bars(table: pd.DataFrame, caption: str) -> Figure:
    """Rank-1 of simple matchers against chance: ``matcher``, ``rank-1`` and ``chance`` (fractions)."""
    style.require(table, ["matcher", "rank-1", "chance"])
    figure, axis = plt.subplots(figsize=(7, 0.42 * len(table) + 1.3), layout="constrained")
    bars = axis.barh(table["matcher"], 100 * table["rank-1"], color=style.MODALITY_COLOURS[1], height=0.62)
    axis.bar_label(bars, fmt="%.1f", padding=10, fontsize=9)
    chance = 100 * table["chance"].iloc[0]
    axis.axvline(chance, color=style.NEUTRAL, linestyle="--", linewidth=1.2)
    top = axis.get_xaxis_transform()  # x in data, y as a share of the axis
    axis.text(chance, 1.01, "chance", color=style.NEUTRAL, fontsize=9, ha="center", va="bottom", transform=top)
    axis.set(xlabel="rank-1 in per cent", xlim=(0, max(100 * table["rank-1"].max() * 1.25, 5)))
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    return style.caption(figure, caption)
