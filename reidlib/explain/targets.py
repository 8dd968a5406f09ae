"""Targets to explain an image by: the embedding of another image of the same person, never of the image itself."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.data import ReIDDataset
from reidlib.explain.embedding import branch_embeddings
from reidlib.networks import ReIDModel

TARGETS = ("other modality", "centroid")


class Targets(NamedTuple):
    """``embeddings`` (N, D) of unit length; ``rows`` (N,) int64, the frame rows they are of, -1 for centroids."""

    embeddings: Tensor
    rows: np.ndarray


def retrieval_targets(
    model: ReIDModel,
    dataset: ReIDDataset,
    rows: np.ndarray,
    *,
    kind: str = "other modality",
    branch: str | None = None,
    seed: int = 0,
    height: int | None = None,
    width: int | None = None,
    batch_size: int = 256,
) -> Targets:
    """Target embeddings for the images at ``rows``, never from the image itself.

    Args:
        kind: ``"other modality"``: one image of the same person in the other modality, drawn from (``seed``, row), so
            that it does not depend on the other rows asked for. ``"centroid"``: the mean embedding of all other images
            of the person, each counted once, whatever its modality.
        height, width: as in `reidlib.evaluation.embed`.

    Raises:
        ValueError: an unknown kind, or a person without another such image (named).
    """
    if kind not in TARGETS:
        raise ValueError(f"unknown kind of target {kind!r}; choose one of: {', '.join(TARGETS)}")
    rows = np.asarray(rows)
    branch = model.branches[0] if branch is None else branch
    embed = partial(
        branch_embeddings, model, dataset, branches=[branch], height=height, width=width, batch_size=batch_size
    )
    if kind == "other modality":
        chosen = _of_other_modality(dataset, rows, seed)
        unique, inverse = np.unique(chosen, return_inverse=True)
        return Targets(embed(unique)[branch][torch.from_numpy(inverse)], chosen)
    pids = dataset.frame["pid"].to_numpy()
    known, person = np.unique(pids[rows], return_inverse=True)
    pool = np.flatnonzero(np.isin(pids, known))
    counts = np.bincount(np.searchsorted(known, pids[pool]))
    if (counts < 2).any():
        raise ValueError(f"identity {known[counts.argmin()]} has a single image: no centroid without the image itself")
    embeddings = embed(pool)[branch]
    owner = torch.from_numpy(np.searchsorted(known, pids[pool])).to(embeddings.device)
    sums = embeddings.new_zeros(len(known), embeddings.shape[1]).index_add_(0, owner, embeddings)
    others = sums[torch.from_numpy(person)] - embeddings[torch.from_numpy(np.searchsorted(pool, rows))]
    return Targets(F.normalize(others, dim=1), np.full(len(rows), -1))


def _of_other_modality(dataset: ReIDDataset, rows: np.ndarray, seed: int) -> np.ndarray:
    groups = dataset.frame.groupby(["pid", "modality"]).indices
    chosen = np.empty(len(rows), np.int64)
    for place, (row, pid, modality) in enumerate(
        zip(rows.tolist(), *dataset.frame.iloc[rows][["pid", "modality"]].to_numpy().T.tolist(), strict=True)
    ):
        candidates = groups.get((pid, 1 - modality), ())
        if len(candidates) == 0:
            raise ValueError(
                f'row {row}: identity {pid} has no image of the other modality; leave it out or ask for kind="centroid"'
            )
        chosen[place] = candidates[np.random.default_rng([seed, row]).integers(len(candidates))]
    return chosen
