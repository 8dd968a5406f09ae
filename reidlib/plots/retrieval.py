"""Figures of what a model retrieves: ranked strips, CMC curves, distances, embeddings."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reidlib.plots import style
from reidlib.plots.dataset import photo

if TYPE_CHECKING:
    from reidlib.data.dataset import ReIDDataset
    from reidlib.evaluation.results import EvaluationResult
    from reidlib.evaluation.retrieval import Retrieval

RIGHT, WRONG = "#009E73", "#D55E00"


def ranked_strip(
    dataset: "ReIDDataset", retrieval: "Retrieval", queries: Sequence[int], caption: str, depth: int = 8
) -> Figure:
    """One row a query: the query, then the gallery images it brings up, nearest first.

    Frames tell right (green, solid) from wrong (vermilion, dashed), so that they differ without colour, too.
    ``queries`` are positions in ``retrieval.query_rows``.
    """
    figure, axes = plt.subplots(
        len(queries),
        depth + 1,
        figsize=(0.85 * (depth + 1) + 0.9, 1.75 * len(queries) + 0.5),
        layout="constrained",
        squeeze=False,
        gridspec_kw={"width_ratios": [1.25] + [1] * depth},
    )
    style.blank(axes.flat)
    pids, camids = dataset.frame["pid"].to_numpy(), dataset.frame["camid"].to_numpy()
    for axis_row, query in zip(axes, queries, strict=True):
        row = retrieval.query_rows[query]
        axis_row[0].imshow(photo(dataset, row), aspect="auto")
        axis_row[0].set_ylabel(f"id {pids[row]}\ncamera {camids[row]}", rotation=0, ha="right", va="center", fontsize=9)
        for rank in range(depth):
            axis, found = axis_row[rank + 1], retrieval.gallery_rows[query, rank]
            if found < 0:
                continue
            axis.imshow(photo(dataset, found), aspect="auto")
            right = retrieval.correct[query, rank]
            for spine in axis.spines.values():
                spine.set(visible=True, color=RIGHT if right else WRONG, linewidth=3, capstyle="butt")
                spine.set_linestyle("-" if right else (0, (1.6, 1.0)))
            axis.set_xlabel(f"id {pids[found]}", fontsize=8, color=RIGHT if right else WRONG, labelpad=3)
    axes[0, 0].set_title("query", fontsize=9)
    for rank in range(depth):
        axes[0, rank + 1].set_title(str(rank + 1), fontsize=9)
    style.caption(figure, caption)
    return figure


def cmc_curves(results: Mapping[str, "EvaluationResult"], caption: str) -> tuple[Figure, pd.DataFrame]:
    """CMC over the ranks each result holds, mean over trials with their range. Returns the figure and its table."""
    records = [
        (name, rank, number, trial.ranking.cmc[rank])
        for name, result in results.items()
        for number, trial in enumerate(result.trials)
        for rank in trial.ranking.cmc
    ]
    table = pd.DataFrame(records, columns=["model", "rank", "trial", "cmc"])
    figure, axis = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
    sns.lineplot(
        table.assign(cmc=100 * table["cmc"]),
        x="rank", y="cmc", hue="model", style="model", markers=True, dashes=False, errorbar=("pi", 100), ax=axis,
    )  # fmt: skip
    axis.set(ylabel="found, per cent of queries", ylim=(0, 100), xticks=sorted(table["rank"].unique()))
    axis.legend(title=None)
    style.caption(figure, caption, "band: range over the trials")
    return figure, table


def distance_histograms(
    distances: Mapping[str, tuple[np.ndarray, np.ndarray]], caption: str
) -> tuple[Figure, pd.DataFrame]:
    """Distances across modalities between images of the same and of different persons: ``{model: (same, different)}``.

    The overlap is the share of the two densities' area that they have in common (0: perfectly apart, 1: the same).
    Returns the figure and a table of medians and overlaps.
    """
    figure, axes = plt.subplots(
        len(distances), 1, figsize=(7, 1.9 * len(distances) + 0.5), sharex=True, layout="constrained", squeeze=False
    )
    edges = np.linspace(0, max(values.max() for pair in distances.values() for values in pair), 61)
    records = []
    for axis, (name, (same, different)) in zip(axes[:, 0], distances.items(), strict=True):
        densities = [np.histogram(values, edges)[0] / len(values) for values in (same, different)]
        overlap = float(np.minimum(*densities).sum())
        for density, colour, label in zip(
            densities, (RIGHT, style.NEUTRAL), ("same person", "different person"), strict=True
        ):
            axis.stairs(density, edges, fill=True, alpha=0.4, color=colour, label=label)
            axis.stairs(density, edges, color=colour, linewidth=1.4)
        axis.set(title=f"{name}: overlap {overlap:.2f}", yticks=[], ylabel="share of pairs")
        records.append((name, np.median(same), np.median(different), overlap))
    axes[0, 0].legend()
    axes[-1, 0].set_xlabel("cosine distance, infrared query to visible gallery")
    style.caption(figure, caption)
    return figure, pd.DataFrame(records, columns=["model", "median same", "median different", "overlap"])


def embedding_map(
    panels: Mapping[str, np.ndarray], pids: np.ndarray, modality: np.ndarray, caption: str
) -> tuple[Figure, pd.DataFrame]:
    """Points in the plane, one panel a model: colour tells the identity, the marker the modality.

    ``panels``: title → coordinates (N, 2); ``pids`` and ``modality`` are (N,). Returns the figure and the points.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.6 * len(panels) + 0.4, 4.5), layout="constrained", squeeze=False
    )
    order = {pid: number for number, pid in enumerate(np.unique(pids))}
    colours = sns.color_palette("husl", len(order))
    markers = {0: "o", 1: "^"}
    records = []
    for axis, (title, points) in zip(axes[0], panels.items(), strict=True):
        for m, marker in markers.items():
            chosen = modality == m
            axis.scatter(
                *points[chosen].T,
                c=[colours[order[pid]] for pid in pids[chosen]],
                marker=marker,
                s=26 if m == 0 else 34,
                edgecolor="white" if m == 0 else "black",
                linewidth=0.5,
                alpha=0.9,
            )
        axis.set(title=title, xticks=[], yticks=[])
        axis.grid(False)
        records.append(
            pd.DataFrame({"model": title, "pid": pids, "modality": modality, "x": points[:, 0], "y": points[:, 1]})
        )
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=style.NEUTRAL, markeredgecolor="black" if m else "white",
               markersize=8, label=style.MODALITY_NAMES[m])
        for m, marker in markers.items()
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    style.caption(figure, caption, "one colour an identity", "PCA, then UMAP")
    return figure, pd.concat(records, ignore_index=True)
