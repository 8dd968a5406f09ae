"""Targets to explain an image by: the embedding of another image of the same person, never of the image itself."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reidlib.data import ReIDDataset
from reidlib.explain.embedding import branch_embeddings
from reidlib.networks import ReIDModel
from reidlib.networks.wrapped import as_model


class Targets(NamedTuple):
    """``embeddings`` (N, D) of unit length; ``rows`` (N,) int64, the frame rows they are of."""

    embeddings: Tensor
    rows: np.ndarray


def retrieval_targets(
    model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray, *, branch: str | None = None
) -> Targets:
    """For the image at each of ``rows``, the embedding of an image of the same person in the other modality.

    Which one is drawn by the row alone, so that it does not depend on the other rows asked for.

    Raises:
        ValueError: a person without an image of the other modality (named).
    """
    model = as_model(model)
    rows, branch = np.asarray(rows), model.check_branch(branch)
    groups = dataset.frame.groupby(["pid", "modality"]).indices
    chosen = np.empty(len(rows), np.int64)
    for place, (row, pid, modality) in enumerate(
        zip(rows.tolist(), *dataset.frame.iloc[rows][["pid", "modality"]].to_numpy().T.tolist(), strict=True)
    ):
        candidates = groups.get((pid, 1 - modality), ())
        if len(candidates) == 0:
            raise ValueError(f"row {row}: identity {pid} has no image of the other modality; leave it out")
        chosen[place] = candidates[np.random.default_rng([0, row]).integers(len(candidates))]
    unique, inverse = np.unique(chosen, return_inverse=True)
    return Targets(branch_embeddings(model, dataset, unique, [branch])[branch][torch.from_numpy(inverse)], chosen)
