"""Where the person, the object or the face is: a guess without training, a trained network, and the truth of a twin."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from reidlib.data import ReIDDataset, normalise
from reidlib.explain.truth import masks
from reidlib.models.dalnet import DALNet
from reidlib.models.foreground import pseudo_mask

TRUTH = "truth"


@torch.no_grad()
def foreground_maps(
    dataset: ReIDDataset, rows: np.ndarray, height: int, width: int, model: DALNet | None = None
) -> dict[str, np.ndarray]:
    """Maps of the foreground of photos of a twin, at the size that a network sees.

    Args:
        rows: photos (modality 0), positions in ``dataset.frame``.
        model: a DALNet with a mask network, whose masks come last.

    Returns:
        name → (N, height, width) float32 in 0–1: ``"truth"`` (0 or 1), ``"ellipse"`` and ``"guess"`` (the start and the
        end of `reidlib.models.foreground.pseudo_mask`), ``"learned"``.

    Raises:
        ValueError: not a twin, a row that is no photo, or a model without a mask network.
    """
    rows = np.asarray(rows)
    if (dataset.frame["modality"].iloc[rows] != 0).any():
        raise ValueError("a foreground is looked for in photos: every row must be one (modality 0)")
    person = torch.from_numpy(masks(dataset, rows)[0]).float()[:, None]
    images = dataset.images(height, width, progress=False).tensor(rows)
    photos = images.float() / 255
    found = {
        TRUTH: (F.adaptive_avg_pool2d(person, (height, width)) > 0.5).float(),
        "ellipse": pseudo_mask(photos, rounds=0),
        "guess": pseudo_mask(photos),
    }
    if model is not None:
        steps = model.panel(normalise(images).to(model.image_mean.device))
        if "mask" not in steps:
            raise ValueError("the model has no mask network: it was built with clean=False or without a DAG")
        found["learned"] = steps["mask"].float().cpu()
    return {name: maps[:, 0].numpy() for name, maps in found.items()}


def overlaps(maps: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """How well each of the maps of :func:`foreground_maps` agrees with the first, ``"truth"``.

    Returns:
        One line per image and map: ``image`` (0, 1, …), ``map``, ``overlap`` (intersection over union of what is above
        one half; 1 if both are empty), ``found`` (share of the foreground that the map covers) and ``inside`` (share of
        the map that lies on the foreground); the last two weigh pixels by the map, and are NaN where there is nothing
        to share out.
    """
    true = maps[TRUTH] > 0.5
    tables = []
    for name, values in maps.items():
        chosen = values > 0.5
        union, mass = (chosen | true).sum((1, 2)), values.sum((1, 2), dtype=np.float64)
        on = np.where(true, values, 0).sum((1, 2), dtype=np.float64)
        columns = {
            "overlap": _share((chosen & true).sum((1, 2)), union, empty=1.0),
            "found": _share(on, true.sum((1, 2))),
            "inside": _share(on, mass),
        }
        tables.append(pd.DataFrame({"image": np.arange(len(values)), "map": name, **columns}))
    return pd.concat(tables[1:], ignore_index=True)


def _share(part: np.ndarray, whole: np.ndarray, empty: float = np.nan) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), empty), where=whole > 0)
