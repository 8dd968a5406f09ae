"""One look for every figure: theme, colours, captions, and how a figure is saved beside the numbers it shows."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reidlib import paths

if TYPE_CHECKING:
    from reidlib.data.dataset import ReIDDataset

MODALITY_COLOURS = {0: "#D55E00", 1: "#0072B2"}
"""Okabe and Ito's vermilion and blue: told apart by readers with any colour vision, and in grey print."""
MODALITY_NAMES = {0: "visible", 1: "infrared"}
NEUTRAL = "#7F7F7F"
DPI = 100


def use_style() -> None:
    """Set seaborn's theme and the house's defaults for all figures that follow."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update(
        {
            "figure.dpi": DPI,
            "savefig.dpi": DPI,
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "grid.linewidth": 0.6,
        }
    )


def caption(figure: Figure, *parts: str) -> None:
    """Write under the figure what it was drawn from: data set (`synthetic twin` where it is one), split, protocol."""
    figure.supxlabel(" · ".join(part for part in parts if part), fontsize=8, color=NEUTRAL)


def source(dataset: "ReIDDataset") -> str:
    """The data set as a caption names it; says `synthetic twin` when the images are rendered."""
    return dataset.title


def blank(axes: Iterable[plt.Axes]) -> None:
    """Take ticks and frames away from axes that show images."""
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        for spine in axis.spines.values():
            spine.set_visible(False)


def save(figure: Figure, name: str, data: pd.DataFrame | dict | None = None) -> Path:
    """Write ``<name>.png`` to the build folder's ``figures/``, and beside it the ``data`` it shows (CSV or JSON).

    Returns the path of the PNG. Writing the same figure again replaces it: everything there can be drawn again.
    """
    folder = paths.build_folder() / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(data, pd.DataFrame):
        data.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    elif data is not None:
        (folder / f"{name}.json").write_text(json.dumps(data, indent=2) + "\n")
    figure.savefig(folder / f"{name}.png", bbox_inches="tight", metadata={"Software": None})
    return folder / f"{name}.png"


use_style()
