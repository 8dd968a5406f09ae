"""How much of a feature map depends on the image at all, and how much does a class-activation map?

Such maps weight *activations*. What is the same in all images cannot tell anybody apart, and a BNNeck subtracts it; a
class-activation map does not. Reconstructed (ours): the common part in numbers, and the correlation of a map with the
same map after the image's activations were swapped for common ones (``cams(..., swapped=True)``). Near 1, the map says
which channels count, and nothing of where in this image something is.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data import ReIDDataset, normalise
from reidlib.explain.embedding import instance_statistics
from reidlib.networks import ReIDModel


def common_table(
    model: ReIDModel,
    dataset: ReIDDataset,
    rows: np.ndarray,
    *,
    branches: Sequence[str] | None = None,
    batch_size: int = 256,
) -> pd.DataFrame:
    """The part of each branch's map that all images have in common, in each modality.

    Args:
        rows: of images, the same number or so in each modality.
        branches: default all of ``model.branches``.

    Returns:
        A line for each branch and modality that occurs: ``branch``, ``modality``, ``cells`` (such as "8×4"), and
        ``common``: the squared length of the mean map over the mean squared length of the maps, from 0 (nothing in
        common) to 1 (all maps the same). Of N maps that have nothing in common it is about 1/N.
    """
    branches = model.branches if branches is None else tuple(branches)
    images, device = dataset.images(*model.image_size), next(model.parameters()).device
    modality = dataset.frame["modality"].to_numpy()[rows]
    mode, lines = model.training, []
    model.eval()
    for branch in branches:
        model.check_branch(branch)
        for number in np.unique(modality):
            chosen = np.array(rows)[modality == number]
            total, squares = 0.0, 0.0
            for start in range(0, len(chosen), batch_size):
                batch = chosen[start : start + batch_size]
                with torch.inference_mode(), instance_statistics(model):
                    which = torch.full((len(batch),), int(number))
                    maps = model.branch_map(normalise(images.tensor(batch, device)), which, branch).double()
                total, squares = total + maps.sum(dim=0), squares + float(maps.square().sum())
            common = float((total / len(chosen)).square().sum()) / max(squares / len(chosen), 1e-30)
            lines.append((branch, int(number), f"{total.shape[1]}×{total.shape[2]}", common))
    model.train(mode)
    return pd.DataFrame(lines, columns=["branch", "modality", "cells", "common"])


def correlations(maps: np.ndarray | Tensor, others: np.ndarray | Tensor) -> np.ndarray:
    """Pearson correlation, over the places, of each map with its counterpart: twice (N, h, w) → (N,), −1 to 1.

    NaN where one of the two is flat, and says nothing.
    """
    if np.shape(maps) != np.shape(others):
        raise ValueError(
            f"maps must have a counterpart each, of the same size, not {np.shape(maps)}, {np.shape(others)}"
        )
    arrays = [each.detach().cpu() if isinstance(each, Tensor) else each for each in (maps, others)]
    flattened = [np.asarray(each, np.float64).reshape(len(each), -1) for each in arrays]
    centred = [each - each.mean(axis=1, keepdims=True) for each in flattened]
    lengths = [np.linalg.norm(each, axis=1) for each in centred]
    flat = [length <= 1e-9 * np.linalg.norm(each, axis=1) for length, each in zip(lengths, flattened, strict=True)]
    known = ~(flat[0] | flat[1])
    products, scale = (centred[0] * centred[1]).sum(axis=1), lengths[0] * lengths[1]
    return np.divide(products, scale, out=np.full(len(products), np.nan), where=known)
