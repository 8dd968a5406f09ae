"""Validation: training identities held out of training, to watch a run and to choose by; test identities never are."""

from typing import NamedTuple

import numpy as np

from reidlib import evaluation
from reidlib.console.spelling import argument
from reidlib.data import ReIDDataset
from reidlib.networks import ReIDModel


class Split(NamedTuple):
    """The training identities of a data set, divided; rows are positions in its frame, in ascending order.

    ``rows`` (N,) to train on, ``labels`` (N,) their classes 0 … C-1, ``pids`` (C,) the identities these stand for;
    ``query_rows`` and ``gallery_rows`` to validate on, empty if no identity is held out.
    """

    rows: np.ndarray
    labels: np.ndarray
    pids: np.ndarray
    query_rows: np.ndarray
    gallery_rows: np.ndarray


def split(dataset: ReIDDataset, validation_share: float) -> Split:
    """Hold out a share of the training identities, and one gallery image for each of their cameras.

    The draw depends on the data set and the share alone: every method and seed is validated on the same images.
    Queries are all their images of modality 1; the gallery holds modality 0, one image per identity and camera, as in
    the single-shot protocols.

    Raises:
        ValueError: the share leaves fewer than two identities on either side, or more than have both modalities.
    """
    rows, (labels, pids) = dataset.rows("train"), dataset.train_labels()
    paired = dataset.frame.iloc[rows].groupby("pid")["modality"].nunique().loc[pids].to_numpy() == 2
    count = round(validation_share * len(pids))
    if validation_share and not 2 <= count <= min(len(pids) - 2, paired.sum()):
        raise ValueError(
            f"{argument('validation_share', validation_share, of='recipe')} holds out {count} of {len(pids)} "
            f"identities, {paired.sum()} of which have both modalities; at least 2 must be held out and 2 be left"
        )
    random = np.random.default_rng(0)
    is_held_out = np.isin(np.arange(len(pids)), random.permutation(np.flatnonzero(paired))[:count])
    held_out, kept = rows[is_held_out[labels]], rows[~is_held_out[labels]]
    new_labels = np.cumsum(~is_held_out) - 1
    frame = dataset.frame.iloc[held_out]
    drawn = frame[frame["modality"] == 0].groupby(["pid", "camid"]).sample(1, random_state=random).index.to_numpy()
    query_rows = held_out[frame["modality"].to_numpy() == 1]
    return Split(kept, new_labels[labels[~is_held_out[labels]]], pids[~is_held_out], query_rows, np.sort(drawn))


def validate(model: ReIDModel, dataset: ReIDDataset, part: Split, batch_size: int = 256) -> dict[str, float]:
    """Scores (0-1) on the identities held out, under the camera and CMC rules of the data set's protocol."""
    name = dataset.name if dataset.name in evaluation.protocols.PROTOCOLS else "cross-modality"
    protocol = evaluation.protocols.get(name)
    query, gallery = dataset.frame.iloc[part.query_rows], dataset.frame.iloc[part.gallery_rows]
    rows = np.concatenate([part.query_rows, part.gallery_rows])
    embeddings = evaluation.embed(model, dataset, rows, batch_size=batch_size)
    distances = evaluation.cosine_distances(*embeddings.split([len(query), len(gallery)]))
    rules = {"exclude": protocol.exclude(query, gallery), "distinct_ids": protocol.distinct_ids}
    return evaluation.rank(distances, query["pid"].to_numpy(), gallery["pid"].to_numpy(), **rules).metrics
