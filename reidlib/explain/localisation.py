"""Does a map lie on the person? Scores of maps against the true masks of a twin, beside those of maps that saw nothing.

People stand in the middle of a crop, so any map that favours the middle scores well. Every table therefore shows, for
the same images, a Gaussian in the centre, a uniform map, and the map of another image.
"""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.data import ReIDDataset
from reidlib.explain.common import as_array
from reidlib.explain.truth import masks


def energy_inside(maps: np.ndarray | Tensor, person: np.ndarray) -> np.ndarray:
    """Share of each map's sum that lies on the person: maps and masks (N, H, W) → (N,) in 0–1, NaN for an empty map.

    Documented: the energy-based pointing game of Wang et al., "Score-CAM", CVPR Workshops 2020.
    """
    maps = _checked(maps, person)
    total = maps.sum(axis=(1, 2))
    return np.divide((maps * person).sum(axis=(1, 2)), total, out=np.full(len(maps), np.nan), where=total > 0)


def pointing(maps: np.ndarray | Tensor, person: np.ndarray) -> np.ndarray:
    """Whether each map is largest on the person: (N, H, W) → (N,), 1 or 0, NaN for an empty map.

    Where several pixels share the maximum, the share of them that is on the person. Documented: the pointing game of
    Zhang et al., "Top-Down Neural Attention by Excitation Backprop", IJCV 2018; without their tolerance of 15 pixels,
    and ties are ours.
    """
    maps = _checked(maps, person)
    highest = maps.max(axis=(1, 2), keepdims=True)
    at_top = (maps == highest) & (highest > 0)
    number = at_top.sum(axis=(1, 2))
    return np.divide((at_top & person).sum(axis=(1, 2)), number, out=np.full(len(maps), np.nan), where=number > 0)


def parts_covered(maps: np.ndarray | Tensor, parts: np.ndarray, *, smallest: float = 0.005) -> np.ndarray:
    """Share of the visible parts on which a map is stronger than on average over its image: (N,) in 0–1.

    A part counts as visible with at least ``smallest`` of the image's pixels. NaN for an empty map and where no part is
    visible. A flat map covers nothing. Reconstructed: the papers say "discriminative parts" and measure nothing.

    Args:
        maps: (N, H, W). ``parts``: (N, H, W) integers, 0 is background.
    """
    parts = np.asarray(parts)
    maps = _checked(maps, parts)
    count, pixels, kinds = len(maps), parts[0].size, int(parts.max(initial=0)) + 1
    cells = (np.arange(count)[:, None] * kinds + parts.reshape(count, pixels)).ravel()  # one cell per image and part
    sizes = np.bincount(cells, minlength=count * kinds).reshape(count, kinds)
    sums = np.bincount(cells, weights=maps.ravel(), minlength=count * kinds).reshape(count, kinds)
    visible = sizes >= max(1, smallest * pixels)
    visible[:, 0] = False
    means = maps.mean(axis=(1, 2))[:, None]
    covered = visible & (sums > (1 + 1e-6) * means * sizes)  # more than rounding above the mean
    shown = visible.sum(axis=1)
    usable = (shown > 0) & (means[:, 0] > 0)
    return np.divide(covered.sum(axis=1), shown, out=np.full(count, np.nan), where=usable)


def centred_gaussian(height: int, width: int, *, spread: float = 0.25) -> np.ndarray:
    """A map that saw nothing, (H, W) with 1 at the centre; its standard deviation is ``spread`` of either side."""
    y, x = (((np.arange(side) + 0.5) / side - 0.5) / spread for side in (height, width))
    gaussian = np.exp(-0.5 * (y[:, None] ** 2 + x**2))
    return (gaussian / gaussian.max()).astype(np.float32)


def localisation_table(
    maps: np.ndarray | Tensor,
    dataset: ReIDDataset,
    rows: np.ndarray,
    *,
    name: str = "map",
    truth: tuple[np.ndarray, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Score maps of images of a twin, and the three controls on the same images.

    Args:
        maps: (N, h, w), not negative, aligned with ``rows``; brought to the size of the masks (bilinear).
        name: of these maps in the table.
        truth: what `masks` returned for these rows, to spare the rendering when several maps are scored.

    Returns:
        One line per image and map: ``row``, ``pid``, ``camid``, ``modality``, ``split``, ``map``, ``energy``,
        ``pointing``, ``parts``, ``person`` (share of pixels on the person) and ``empty``. ``map`` is ``name``,
        ``"centred Gaussian"``, ``"uniform"`` or, with two images and more, ``"another image"``: the same maps, each
        laid on the image half the list away. The scores of an empty map, which has nothing to show, are NaN: compare
        means over the same images, and say how many were empty.

    Raises:
        ValueError: not a twin, or maps that are negative, not finite or of the wrong number.
    """
    rows = np.asarray(rows)
    if len(maps) != len(rows) or len(rows) == 0:
        raise ValueError(f"there must be one map a row, and one at least: got {len(maps)} maps for {len(rows)} rows")
    person, parts = masks(dataset, rows) if truth is None else truth
    maps = torch.as_tensor(maps).detach().float().cpu()
    maps = F.interpolate(maps[:, None], person.shape[1:], mode="bilinear", align_corners=False)[:, 0].numpy()
    about = dataset.frame.iloc[rows][["pid", "camid", "modality", "split"]].reset_index(drop=True)
    about.insert(0, "row", rows)
    candidates = {
        name: maps,
        "centred Gaussian": np.broadcast_to(centred_gaussian(*person.shape[1:]), maps.shape),
        "uniform": np.ones_like(maps),
    }
    if len(maps) > 1:
        candidates["another image"] = np.roll(maps, len(maps) // 2, axis=0)
    tables = []
    for title, candidate in candidates.items():
        scores = about.assign(
            map=title,
            energy=energy_inside(candidate, person),
            pointing=pointing(candidate, person),
            parts=parts_covered(candidate, parts),
            person=person.mean(axis=(1, 2)),
            empty=candidate.max(axis=(1, 2)) == 0,
        )
        tables.append(scores)
    return pd.concat(tables, ignore_index=True)


def _checked(maps: np.ndarray | Tensor, masks: np.ndarray) -> np.ndarray:
    maps = as_array(maps)
    if maps.ndim != 3 or maps.shape != np.shape(masks) or not (np.isfinite(maps).all() and (maps >= 0).all()):
        raise ValueError(
            f"maps must be (N, H, W), finite and not negative, with a mask each; got {maps.shape} and {np.shape(masks)}"
        )
    return maps
