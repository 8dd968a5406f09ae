"""Figures of notebook 01: what a data set holds, what is behind its images, where the modality gap comes from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from reidlib.plots import style

if TYPE_CHECKING:
    from reidlib.data.dataset import ReIDDataset

PART_COLOURS = ListedColormap(
    ["#FFFFFF", "#F0C9A4", "#4D3B2F", "#CC79A7", "#0072B2", "#56B4E9", "#E69F00", "#009E73", "#D55E00", "#F0E442"]
)


GREY = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601 luma


def photo(dataset: "ReIDDataset", row: int) -> np.ndarray:
    with Image.open(dataset.root / dataset.frame["path"].iloc[row]) as image:
        return np.asarray(image.convert("RGB"))


def identity_sheet(dataset: "ReIDDataset", pids: Sequence[int] | None = None, per_camera: int = 1) -> Figure:
    """Persons in rows, cameras in columns (visible ones first); an empty cell: the camera never saw the person.

    ``pids`` default to the first six test identities that all cameras saw.
    """
    frame = dataset.frame
    cameras = frame.drop_duplicates("camid").sort_values(["modality", "camid"])[["camid", "modality"]].to_numpy()
    if pids is None:
        seen = frame[frame["split"] == "test"].groupby("pid")["camid"].nunique()
        pids = seen.index[seen == len(cameras)][:6]
    figure, axes = plt.subplots(
        len(pids),
        len(cameras) * per_camera,
        figsize=(1.0 * len(cameras) * per_camera + 0.6, 2.0 * len(pids) + 0.5),
        layout="constrained",
        squeeze=False,
    )
    style.blank(axes.flat)
    for axis_row, pid in zip(axes, pids, strict=True):
        axis_row[0].set_ylabel(f"id {pid}", rotation=0, ha="right", va="center")
        for index, (camid, _) in enumerate(cameras):
            rows = np.flatnonzero((frame["pid"] == pid) & (frame["camid"] == camid))[:per_camera]
            for axis, row in zip(axis_row[index * per_camera :], rows, strict=False):
                axis.imshow(photo(dataset, row), aspect="auto")
    for index, (camid, modality) in enumerate(cameras):
        title = f"camera {camid}\n{style.MODALITY_NAMES[modality]}"
        axes[0, index * per_camera].set_title(title, color=style.MODALITY_COLOURS[modality], fontsize=9)
    style.caption(figure, style.source(dataset))
    return figure


def truth_panel(dataset: "ReIDDataset", rows: Sequence[int]) -> Figure:
    """For each row of a twin: the image, the person mask, the parts, the surface direction, the distance."""
    from reidlib.synthetic import PARTS

    titles = ("image", "person", "parts", "surface direction", "nearness")
    figure, axes = plt.subplots(
        len(rows), len(titles), figsize=(1.15 * len(titles) + 2.2, 2.1 * len(rows) + 0.4), layout="constrained"
    )
    axes = np.atleast_2d(axes)
    style.blank(axes.flat)
    for axis_row, row in zip(axes, rows, strict=True):
        truth = dataset.truth(row)
        buffer = truth.rendering.gbuffer
        hit = buffer.owner >= 0
        normals = np.where(hit[..., None], 0.5 + 0.5 * buffer.normal, 1.0)
        nearness = np.where(hit, buffer.depth, np.nan)
        axis_row[0].imshow(photo(dataset, row), aspect="auto")
        axis_row[1].imshow(truth.person_mask, cmap="gray", aspect="auto")
        axis_row[2].imshow(
            truth.part_mask, cmap=PART_COLOURS, vmin=-0.5, vmax=len(PARTS) - 0.5, interpolation="nearest", aspect="auto"
        )
        axis_row[3].imshow(normals, aspect="auto")
        axis_row[4].imshow(nearness, cmap="cividis", aspect="auto")
        record = dataset.frame.iloc[row]
        axis_row[0].set_ylabel(f"id {record.pid}\ncamera {record.camid}", rotation=0, ha="right", va="center")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    patches = [Patch(facecolor=PART_COLOURS(i), edgecolor="#999999", label=PARTS[i]) for i in range(1, len(PARTS))]
    figure.legend(handles=patches, loc="outside right center")
    style.caption(figure, style.source(dataset), "known because the people are rendered")
    return figure


def counterfactuals(variants: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """One person changed in one factor at a time: ``{name: (visible image, infrared image)}``, the first unchanged.

    Under each changed image stands how much of it differs from the unchanged one (mean absolute grey levels).
    """
    names = list(variants)
    figure, axes = plt.subplots(2, len(names), figsize=(1.25 * len(names) + 0.8, 5.0), layout="constrained")
    style.blank(axes.flat)
    for column, name in enumerate(names):
        axes[0, column].set_title(name, fontsize=9)
        for modality in (0, 1):
            image, original = variants[name][modality], variants[names[0]][modality]
            axes[modality, column].imshow(image)
            if column:
                change = np.abs(image.astype(int) - original).mean()
                axes[modality, column].set_xlabel(f"{change:.1f} levels" if change else "no change", fontsize=8)
    for modality in (0, 1):
        name, colour = style.MODALITY_NAMES[modality], style.MODALITY_COLOURS[modality]
        axes[modality, 0].set_ylabel(name, color=colour)
    style.caption(figure, "synthetic person", "same pose, light and noise in every column")
    return figure


def camera_coverage(dataset: "ReIDDataset") -> tuple[Figure, pd.DataFrame]:
    """How many identities each camera saw, by split. Returns the figure and its table."""
    table = dataset.frame.groupby(["split", "camid", "modality"], as_index=False)["pid"].nunique()
    table = table.rename(columns={"pid": "identities"})
    order = table.sort_values(["modality", "camid"])["camid"].unique()
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
    for axis, split in zip(axes, ("train", "test"), strict=True):
        part = table[table["split"] == split].set_index("camid").reindex(order)
        colours = [style.MODALITY_COLOURS[m] for m in part["modality"].fillna(0).astype(int)]
        bars = axis.bar([str(c) for c in order], part["identities"], color=colours)
        axis.bar_label(bars, fontsize=8)
        axis.set(title=f"{split} identities", xlabel="camera", ylabel="identities seen")
        axis.margins(y=0.12)
        axis.grid(axis="x", visible=False)
    handles = [Patch(color=style.MODALITY_COLOURS[m], label=style.MODALITY_NAMES[m]) for m in (0, 1)]
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    style.caption(figure, style.source(dataset))
    return figure, table


def part_tones(dataset: "ReIDDataset", parts: Sequence[str] = ("head", "torso", "leg")) -> tuple[Figure, pd.DataFrame]:
    """Grey level of the same body part of the same test person (of a twin) in a visible and in an infrared image.

    One point a person; returns the figure and its table (``pid``, ``part``, ``visible``, ``infrared`` in 0–255).
    """
    from reidlib.synthetic import PARTS

    test = dataset.frame.loc[dataset.rows("test")]
    records = []
    for pid, images in test.groupby("pid"):
        seen = {}
        for modality in (0, 1):
            rows = images.index[images["modality"] == modality]
            truth = dataset.truth(int(rows[len(rows) // 2]))
            grey = truth.rendering.image @ GREY
            seen[modality] = {part: grey[truth.part_mask == PARTS.index(part)] for part in parts}
        for part in parts:
            visible, infrared = seen[0][part], seen[1][part]
            if len(visible) and len(infrared):
                records.append((pid, part, visible.mean(), infrared.mean()))
    table = pd.DataFrame(records, columns=["pid", "part", "visible", "infrared"])

    figure, axes = plt.subplots(
        1, len(parts), figsize=(2.5 * len(parts), 2.9), sharex=True, sharey=True, layout="constrained", squeeze=False
    )
    for axis, part in zip(axes[0], parts, strict=True):
        points = table[table["part"] == part]
        axis.scatter(
            points["visible"], points["infrared"], s=16, alpha=0.7, color=style.MODALITY_COLOURS[1], linewidth=0
        )
        correlation = np.corrcoef(points["visible"], points["infrared"])[0, 1]
        axis.set(title=f"{part} (r = {correlation:.2f})", xlabel="visible, grey level")
    axes[0, 0].set_ylabel("infrared, grey level")
    style.caption(figure, style.source(dataset), "test identities", "mean over the part's pixels")
    return figure, table


def modality_gap(
    dataset: "ReIDDataset", images: np.ndarray, pairs: int = 2000, seed: int = 0
) -> tuple[Figure, pd.DataFrame]:
    """How far two test images are apart in grey pixels: same or different person, same or different modality.

    Args:
        images: uint8 (N, H, W, 3), aligned with ``dataset.frame``.
        pairs: random pairs per kind; the two images always come from different cameras.

    Returns the figure and the quartiles per kind of pair.
    """
    test = dataset.rows("test")
    frame = dataset.frame.iloc[test]
    pids, camids, modality = (frame[name].to_numpy() for name in ("pid", "camid", "modality"))
    grey = (images[test] @ GREY).reshape(len(test), -1)
    generator = np.random.default_rng(seed)
    a, b = generator.integers(0, len(test), (2, 400 * pairs))
    same_pid, same_modality = pids[a] == pids[b], modality[a] == modality[b]
    other_camera = camids[a] != camids[b]
    records = []
    for who, same in (("same person", True), ("different person", False)):
        for where, within in (("same modality", True), ("across modalities", False)):
            chosen = np.flatnonzero((same_pid == same) & (same_modality == within) & other_camera)[:pairs]
            differences = grey[a[chosen]] - grey[b[chosen]]
            distances = np.sqrt(np.square(differences).mean(1))
            records += [(who, where, distance) for distance in distances]
    long = pd.DataFrame(records, columns=["person", "pair", "distance"])

    figure, axes = plt.subplots(2, 1, figsize=(7, 3.8), sharex=True, layout="constrained")
    colours = {"same person": "#009E73", "different person": style.NEUTRAL}
    for axis, where in zip(axes, ("same modality", "across modalities"), strict=True):
        part = long[long["pair"] == where]
        sns.kdeplot(
            part, x="distance", hue="person", palette=colours, common_norm=False, fill=True, alpha=0.3, ax=axis, cut=0
        )
        axis.set(title=where, ylabel="density", yticks=[], xlabel="distance in grey levels (root mean square)")
        sns.move_legend(axis, "upper right", title=None)
    style.caption(figure, style.source(dataset), "test identities, two different cameras")
    table = long.groupby(["pair", "person"], sort=False)["distance"].describe()[["25%", "50%", "75%"]].reset_index()
    return figure, table


def training_batch(images: np.ndarray, labels: Sequence[str], per_row: int, caption: str) -> Figure:
    """A batch as the network sees it: images (B, H, W, 3) in 0–1, ``per_row`` to a row; a label before each row."""
    rows = len(images) // per_row
    figure, axes = plt.subplots(
        rows, per_row, figsize=(0.72 * per_row + 1.0, 1.4 * rows + 0.3), layout="constrained", squeeze=False
    )
    style.blank(axes.flat)
    for axis, image in zip(axes.flat, images, strict=True):
        axis.imshow(np.clip(image, 0, 1), aspect="auto")
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    style.caption(figure, caption)
    return figure


def matcher_bars(table: pd.DataFrame, chance: float, caption: str) -> Figure:
    """Rank-1 of simple matchers (columns ``matcher``, ``rank-1`` as fractions) against the chance level."""
    figure, axis = plt.subplots(figsize=(7, 0.42 * len(table) + 1.3), layout="constrained")
    bars = axis.barh(table["matcher"], 100 * table["rank-1"], color=style.MODALITY_COLOURS[1], height=0.62)
    axis.bar_label(bars, fmt="%.1f", padding=10, fontsize=9)
    axis.axvline(100 * chance, color=style.NEUTRAL, linestyle="--", linewidth=1.2)
    top = axis.get_xaxis_transform()  # x in data, y as a share of the axis
    axis.text(100 * chance, 1.01, "chance", color=style.NEUTRAL, fontsize=9, ha="center", va="bottom", transform=top)
    axis.set(xlabel="rank-1 in per cent", xlim=(0, max(100 * table["rank-1"].max() * 1.25, 5)))
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    style.caption(figure, caption)
    return figure
