"""Ranked lists to look at: which images a query brings up, and which of them are right."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from reidlib.evaluation.arrays import matrix
from reidlib.evaluation.protocols import Protocol, Trial
from reidlib.evaluation.scoring import fuse_queries, protocol_distances
from reidlib.evaluation.seen import require_unseen


@dataclass(frozen=True, eq=False)
class Retrieval:
    """The first ``K`` gallery images of each query of one trial; rows are positions in ``dataset.frame``.

    Attributes:
        query_rows: (Q,) int64; of a query made of several images, the first.
        gallery_rows: (Q, K) int64, nearest first; -1 where the gallery, less what the query ignores, is shorter.
        distances: (Q, K) float32, cosine distance, or the protocol's re-ranked one; NaN there.
        correct: (Q, K) bool.
        first_match: (Q,) int64, position of the first correct image in the *whole* ranking, from 1; 0 if there is none.
    """

    query_rows: np.ndarray
    gallery_rows: np.ndarray
    distances: np.ndarray
    correct: np.ndarray
    first_match: np.ndarray


def retrieve(
    embeddings: Any, dataset: Any, protocol: Protocol, *, trial: int = 0, depth: int = 10, allow_seen: bool = False
) -> Retrieval:
    """Rank the gallery of one trial for every query.

    Ties are broken as `reidlib.evaluation.rank` does: a wrong image goes before a correct one.

    Args:
        embeddings: (N, D) aligned with ``dataset.rows("test")``, of any length.
        trial: number of the trial, from 0.
        depth: K.
        allow_seen: rank people that the model was trained on, too; see ``reidlib.evaluation.score``.
    """
    drawn, distances, correct, ignored = _compare(embeddings, dataset, protocol, trial, allow_seen)
    distances[ignored] = np.inf
    correct &= ~ignored
    order = np.lexsort((correct, distances), axis=1)
    distances, correct = (np.take_along_axis(values, order, axis=1) for values in (distances, correct))
    found = correct.any(1)
    first = np.where(found, correct.argmax(1) + 1, 0)
    shown = np.isfinite(distances[:, :depth])
    return Retrieval(
        query_rows=drawn.query_rows,
        gallery_rows=np.where(shown, drawn.gallery_rows[order[:, :depth]], -1),
        distances=np.where(shown, distances[:, :depth], np.nan),
        correct=correct[:, :depth],
        first_match=first,
    )


def pair_distances(
    embeddings: Any, dataset: Any, protocol: Protocol, *, trial: int = 0, allow_seen: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of all query-gallery pairs of one trial: (those of the same person, those of different persons)."""
    _, distances, same, ignored = _compare(embeddings, dataset, protocol, trial, allow_seen)
    return distances[same & ~ignored], distances[~same & ~ignored]


def _compare(
    embeddings: Any, dataset: Any, protocol: Protocol, trial: int, allow_seen: bool
) -> tuple[Trial, np.ndarray, np.ndarray, np.ndarray]:
    """The trial; distances, same identity or not, ignored or not, each (Q, G)."""
    rows = dataset.rows("test")
    embeddings = matrix(embeddings, "embeddings")
    if len(embeddings) != len(rows):
        raise ValueError(f"embeddings must have one row per test image, {len(rows)}, got {len(embeddings)}")
    drawn = protocol.trials(dataset)[trial]
    require_unseen(embeddings, dataset, drawn.rows, allow_seen=allow_seen)
    embeddings = fuse_queries(embeddings, rows, [drawn])
    query, gallery = (np.searchsorted(rows, part) for part in (drawn.query_rows, drawn.gallery_rows))
    distances = protocol_distances(embeddings[query], embeddings[gallery], protocol)
    frames = dataset.frame.iloc[drawn.query_rows], dataset.frame.iloc[drawn.gallery_rows]
    same = frames[0]["pid"].to_numpy()[:, None] == frames[1]["pid"].to_numpy()
    ignored = protocol.exclude(*frames)
    return drawn, distances, same, np.zeros_like(same) if ignored is None else ignored
