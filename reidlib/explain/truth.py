"""What is known about the images of a twin and of no photograph: factors of the person, and masks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from reidlib.console.spelling import argument
from reidlib.data import ReIDDataset, cufsf
from reidlib.data.registry import renderer

CHROMA = 0.15
"""Least chroma (largest less smallest of red, green and blue, 0–1) at which a colour has a hue worth the name."""


def factors(dataset: ReIDDataset, rows: np.ndarray) -> pd.DataFrame:
    """The identity factors behind the images at ``rows``, without rendering them.

    One line per row: ``row``, then the record of the identity (``pid``, ``hair``, ``hat``, ``top_red``, ``top_nir``, …)
    and, for each of its materials, ``<material>_chroma`` and ``_luminance`` (0–1) and ``_hue`` (0–1 of a turn).

    What no camera could see is missing (NaN): the hue of what is nearly grey (below `CHROMA`), and everything about a
    material that the person does not show, such as the colour of a hat not worn or of a top under a closed jacket.

    Raises:
        ValueError: not a twin, or a twin of another version than this code renders.
    """
    if not dataset.is_twin:
        remedy = f"open one with {argument('twin', 'cpu')}"
        raise ValueError(f"{dataset.root} is not a synthetic twin: nobody knows its factors; {remedy}")
    twin = renderer().TWINS[dataset.name]
    if dataset.twin_version != twin.VERSION:
        raise ValueError(
            f"{dataset.root} is a twin of version {dataset.twin_version}, this code renders version {twin.VERSION}: "
            "build it again"
        )
    paths = dataset.frame["path"].iloc[rows]
    table = pd.DataFrame([twin.describe(path)[0].factors() for path in paths])
    for material in [name.removesuffix("_red") for name in table.columns if name.endswith("_red")]:
        red, green, blue = channels = [table[f"{material}_{channel}"] for channel in ("red", "green", "blue")]
        table[f"{material}_chroma"] = chroma = np.max(channels, axis=0) - np.min(channels, axis=0)
        table[f"{material}_luminance"] = renderer().luminance((red, green, blue))
        hue = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * np.pi) % 1
        table[f"{material}_hue"] = hue.where(chroma >= CHROMA)
    for material, hidden in _hidden(table).items():
        about = [name for name in table.columns if name.startswith(f"{material}_")]
        table[about] = table[about].where(~hidden)
    table.insert(0, "row", np.asarray(rows))
    return table


def masks(dataset: ReIDDataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True masks of images of a twin: person (N, H, W) bool, parts (N, H, W) uint8 (0 is background).

    They lie as the image does that the reader gives: those of a face are cut out and turned with it, by its points.
    Each image is rendered again to get them, which takes milliseconds an image: keep the result.

    Raises:
        ValueError: not a twin.
    """

    def of(row: int) -> tuple[np.ndarray, np.ndarray]:
        truth = dataset.truth(row)
        found = truth.person_mask, truth.part_mask
        if dataset.name != "cufsf":
            return found
        points = cufsf.read_points(dataset.root / cufsf.files(dataset.frame["path"].iloc[row])[1])
        person, parts = (cufsf.align(mask.astype(np.uint8), points, order=0) for mask in found)
        return person.astype(bool), parts

    with ThreadPoolExecutor() as pool:
        person, parts = zip(*pool.map(of, np.asarray(rows).tolist()), strict=True)
    return np.stack(person), np.stack(parts)


def _hidden(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Material → where nobody sees it. Only people have these; other twins show all they have."""
    if "outerwear" not in table:
        return {}
    bare = table["outerwear"] == "none"
    return {
        "hair": table["hair"] == "bald",
        "hat": ~table["hat"].astype(bool),
        "bag": table["bag"] == "none",
        "outer": bare,
        "top": ~bare & ~table["outer_open"].astype(bool),
    }
