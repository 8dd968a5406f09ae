"""Embeddings of any branch of a model, and high-dimensional features as points on a page."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import Tensor, nn

from reidlib import evaluation
from reidlib.data import ReIDDataset
from reidlib.evaluation.arrays import matrix, require_finite
from reidlib.networks import ReIDModel
from reidlib.networks.wrapped import as_model

FEWEST = 4
"""Points that UMAP can place; fewer are left where PCA puts them."""


def branch_embeddings(
    model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray, branches: Sequence[str] | None = None, **options: object
) -> dict[str, Tensor]:
    """Branch → embeddings (len(rows), D) float32 of unit length, in main memory; D differs from branch to branch.

    Instance normalisation works as in training, see `instance_statistics`.

    Args:
        model: or a module of one's own, see `reidlib.networks.wrap`.
        rows: frame positions.
        branches: default all of ``model.branches``.
        options: ``height``, ``width``, ``batch_size``, ``device``, as in `reidlib.evaluation.embed`.

    Raises:
        ValueError: no such branch, or as `reidlib.evaluation.embed`.
    """
    model = as_model(model)
    branches = model.branches if branches is None else tuple(branches)
    for branch in branches:
        model.check_branch(branch)

    def embed(branch: str, images: Tensor, modality: Tensor) -> Tensor:
        with instance_statistics(model):
            return model.branch_embedding(images, modality, branch)

    adapted = {branch: Adapted(model, partial(embed, branch)) for branch in branches}
    return {branch: evaluation.embed(asked, dataset, rows, **options) for branch, asked in adapted.items()}


def branch_features(*arguments: object, **options: object) -> dict[str, np.ndarray]:
    """`branch_embeddings` as arrays in main memory, as probes take them."""
    return {name: values.numpy() for name, values in branch_embeddings(*arguments, **options).items()}


class Adapted(nn.Module):
    """A model whose test feature is what ``embed(images, modality)`` makes of them, for `reidlib.evaluation.embed`."""

    def __init__(self, model: ReIDModel, embed: Callable[[Tensor, Tensor], Tensor]):
        super().__init__()
        self.model, self.embed, self.image_size = model, embed, model.image_size


def sums_by_person(features: Tensor, pids: np.ndarray, modality: np.ndarray) -> tuple[np.ndarray, Tensor, Tensor]:
    """Of features (N, …): the people, ascending; the sums of each in either modality (2, n, …); of how many (2, n)."""
    people, owner = np.unique(pids, return_inverse=True)
    place = torch.from_numpy(owner + len(people) * modality)
    sums = features.new_zeros(2 * len(people), *features.shape[1:]).index_add_(0, place, features)
    counts = torch.bincount(place, minlength=2 * len(people))
    return people, sums.unflatten(0, (2, -1)), counts.unflatten(0, (2, -1))


@contextmanager
def instance_statistics(model: nn.Module) -> Iterator[None]:
    """Instance normalisation with the statistics of each image, as in training, also in evaluation mode.

    Torch's evaluates with running means over the images of both modalities, if it keeps any. That leaves every image
    its style, which is what IDKL's purifier is there to take off; the released code never evaluates that branch.
    Reconstructed (ours, for that reason). The model's state stays as it is, and so do layers of other kinds.
    """

    def normalise(layer: nn.Module, inputs: tuple[Tensor], _: Tensor) -> Tensor:
        return F.instance_norm(*inputs, weight=layer.weight, bias=layer.bias, eps=layer.eps)

    layers = [layer for layer in model.modules() if isinstance(layer, nn.InstanceNorm2d) and layer.track_running_stats]
    hooks = [layer.register_forward_hook(normalise) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def sample_rows(
    dataset: ReIDDataset,
    *,
    split: str = "test",
    identities: int | None = None,
    per_modality: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Rows (int64, ascending) of some identities that both modalities show, at random.

    Args:
        split: ``"test"`` or ``"train"``.
        identities: how many; default all.
        per_modality: how many images each has in a modality, at most; default all.
        seed: of the draw; the identities drawn do not depend on ``per_modality``.

    Raises:
        ValueError: an unknown split, or fewer such identities than asked for.
    """
    frame = dataset.frame.iloc[dataset.rows(split)]
    both = np.sort(frame.groupby("pid")["modality"].nunique().loc[lambda count: count == 2].index.to_numpy())
    if not 1 <= (identities := len(both) if identities is None else identities) <= len(both):
        raise ValueError(
            f"identities must be 1 to {len(both)}, as many as have both modalities in {split}, not {identities}"
        )
    random = np.random.default_rng(seed)
    frame = frame[frame["pid"].isin(random.permutation(both)[:identities])]
    if per_modality is not None:
        order = random.permutation(len(frame))
        frame = frame.iloc[order].groupby(["pid", "modality"]).head(per_modality)
    return np.sort(frame.index.to_numpy())


def embedding_table(
    model: ReIDModel,
    dataset: ReIDDataset,
    *,
    split: str = "test",
    identities: int | None = 20,
    per_modality: int | None = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Branch embeddings of some identities as points, each branch projected by itself: what a figure is drawn from.

    Save it with the figure. Coordinates of two branches, or of two calls, have nothing in common.

    Args:
        split, per_modality, seed: as in `sample_rows`; the seed is that of `project`, too.
        identities: at most; ``None``: all.

    Returns:
        One row per image and branch: ``row``, ``pid``, ``camid``, ``modality``, ``branch``, ``split``, ``x``, ``y``.
    """
    rows = sample_rows(dataset, split=split, per_modality=per_modality, seed=seed)
    if identities is not None and identities < dataset.frame["pid"].iloc[rows].nunique():
        rows = sample_rows(dataset, split=split, identities=identities, per_modality=per_modality, seed=seed)
    about = dataset.frame.iloc[rows][["pid", "camid", "modality"]].reset_index(drop=True)
    about.insert(0, "row", rows)
    tables = []
    for branch, embeddings in branch_embeddings(model, dataset, rows).items():
        x, y = project(embeddings.numpy(), seed=seed).T
        tables.append(about.assign(branch=branch, split=split, x=x, y=y))
    return pd.concat(tables, ignore_index=True)


def project(features: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """PCA, then UMAP with 15 neighbours: features (N, D) → coordinates (N, 2) float32.

    PCA to 50 dimensions first: it removes noise and most of the time UMAP would take. The same seed gives
    the same picture on one machine, not across operating systems; save the coordinates with the figure. Distances
    between clusters mean little in the result; neighbourhoods do (McInnes, Healy and Melville, 2018).

    Equal rows are one point: UMAP sees it once, since copies leave its result to chance. Fewer than four different
    points have no neighbourhoods; they lie as PCA puts them.

    Raises:
        ImportError: umap-learn is not installed; the message says how to install it.
        ValueError: not (N, D) numbers, or NaN or infinite values; the message names the row.
    """
    features = matrix(features, "features").detach().cpu().float()
    require_finite(features, "features")
    _, first, place = np.unique(features.numpy(), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # the order of the rows, so that the picture of rows without copies stays what it was
    place = np.argsort(order)[place.reshape(-1)]
    return _project(features.numpy()[first[order]], seed)[place]


def _project(features: np.ndarray, seed: int) -> np.ndarray:
    """Of features that differ."""
    if len(features) == 1:
        return np.zeros((1, 2), np.float32)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # umap warns about an optional package on import
            from umap import UMAP
    except ImportError as error:
        raise ImportError("umap-learn is needed for this figure: pip install 'reidlib[notebooks]'") from error
    threads = torch.get_num_threads()
    try:
        reduced = PCA(min(50, *features.shape), random_state=seed).fit_transform(features)
        if len(features) < FEWEST:
            return np.pad(reduced, ((0, 0), (0, 2)))[:, :2].astype(np.float32)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*n_jobs value.*")  # a seed forces one thread, which is meant
            warnings.filterwarnings("ignore", message="Graph is not fully connected")  # groups far apart: no fault
            return UMAP(n_neighbors=min(15, len(features) - 1), random_state=seed).fit_transform(reduced)
    finally:
        torch.set_num_threads(threads)  # numba, which UMAP compiles with, sets OpenMP's number, and so torch's
