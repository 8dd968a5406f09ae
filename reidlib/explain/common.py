"""How much of a feature map depends on the image at all, and how much does a class-activation map?

Such maps weight *activations*. What is the same in all images cannot tell anybody apart, and a BNNeck subtracts it; a
class-activation map does not. Reconstructed (ours): the common part in numbers, and the correlation of a map with the
same map after the image's activations were swapped for common ones (``cams(..., swapped=True)``). Near 1, the map says
which channels count, and nothing of where in this image something is.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data import ReIDDataset
from reidlib.data.cache import ImageCache, to_device
from reidlib.explain.embedding import instance_statistics
from reidlib.networks import ReIDModel, health
from reidlib.networks.base import device_of, evaluating, room_for
from reidlib.networks.division import noted
from reidlib.networks.wrapped import as_model

BATCH = 64
"""Images that go through a network at a time."""


def room() -> AbstractContextManager[None]:
    """Says what to lower when a GPU has no room for a batch."""
    return room_for(BATCH, f"reidlib.explain.common.BATCH = {BATCH // 2}")


def sized_images(model: ReIDModel, dataset: ReIDDataset) -> ImageCache:
    """The images of a data set at the size that a model was trained at; ``ValueError`` if it does not know it."""
    if model.image_size is None:
        raise ValueError(
            "the model does not know the size it was trained at: set model.image_size = (height, width), or give it to "
            "reidlib.networks.wrap"
        )
    return dataset.images(*model.image_size)


def batches(
    images: ImageCache, dataset: ReIDDataset, rows: np.ndarray, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """The images at ``rows``, normalised, and their modality, both on ``device``: `BATCH` at a time."""
    modality = torch.from_numpy(dataset.frame["modality"].to_numpy()[rows])
    for pixels, which in zip(images.batches(np.asarray(rows), BATCH, device), modality.split(BATCH), strict=True):
        yield pixels, noted(to_device(which, device), which)


@torch.no_grad()
def mean_maps(
    model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray, branch: str | None = None
) -> dict[int, tuple[Tensor, float]]:
    """Modality → the mean of the branch maps (C, h, w) of its images among ``rows``, and of their squared lengths.

    In float64, in main memory. The model stays as it is.
    """
    model = as_model(model)
    branch, images, means = model.check_branch(branch), sized_images(model, dataset), {}
    rows, modality = np.asarray(rows), dataset.frame["modality"].to_numpy()[rows]
    with evaluating(model), instance_statistics(model), room():
        for number in np.unique(modality).tolist():
            chosen, total, squares = rows[modality == number], 0.0, 0.0
            for pixels, which in batches(images, dataset, chosen, device_of(model)):
                maps = model.branch_map(pixels, which, branch).cpu().double()
                total, squares = total + maps.sum(dim=0), squares + float(maps.square().sum())
            means[number] = total / len(chosen), squares / len(chosen)
    return means


def common_table(
    model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray, *, branches: Sequence[str] | None = None
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
    model, lines = as_model(model), []
    for branch in model.branches if branches is None else branches:
        for number, (mean, squares) in mean_maps(model, dataset, rows, branch).items():
            common = float(health.share(mean.square().sum(), torch.tensor(squares)))
            lines.append((branch, number, f"{mean.shape[1]}×{mean.shape[2]}", common))
    return pd.DataFrame(lines, columns=["branch", "modality", "cells", "common"])


def as_array(values: np.ndarray | Tensor) -> np.ndarray:
    """The values in main memory, float64."""
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, np.float64)


def correlations(maps: np.ndarray | Tensor, others: np.ndarray | Tensor) -> np.ndarray:
    """Pearson correlation, over the places, of each map with its counterpart: twice (N, h, w) → (N,), −1 to 1.

    NaN where one of the two is flat, and says nothing.
    """
    if np.shape(maps) != np.shape(others):
        raise ValueError(
            f"maps must have a counterpart each, of the same size, not {np.shape(maps)}, {np.shape(others)}"
        )
    flattened = [as_array(each).reshape(len(each), -1) for each in (maps, others)]
    centred = [each - each.mean(axis=1, keepdims=True) for each in flattened]
    lengths = [np.linalg.norm(each, axis=1) for each in centred]
    flat = [length <= 1e-9 * np.linalg.norm(each, axis=1) for length, each in zip(lengths, flattened, strict=True)]
    known = ~(flat[0] | flat[1])
    products, scale = (centred[0] * centred[1]).sum(axis=1), lengths[0] * lengths[1]
    return np.divide(products, scale, out=np.full(len(products), np.nan), where=known)
