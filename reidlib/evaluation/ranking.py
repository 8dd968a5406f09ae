"""From a distance matrix to CMC, mAP and mINP: the functional core of the evaluation.

Definitions. For one query, take its gallery in ascending order of distance, without the excluded entries. Let
``r_1 < … < r_m`` be the 1-based positions of the items that show the query's identity (its matches).

* AP = mean of ``i / r_i`` over the m matches, without interpolation; INP = ``m / r_m`` (Ye et al., AGW, TPAMI 2021).
* CMC at rank k: 1 if ``r_1 ≤ k``. With ``distinct_ids`` the list is first reduced to the first occurrence of each
  identity (SYSU-MM01's official rule). AP and INP always count images.
* A query without a match is invalid and left out of every average.
* Ties are pessimistic: at equal distance the wrong item ranks first.

No gallery is ever sorted: with W(d) wrong items at distance ≤ d, the i-th match lies at ``r_i = i + W(d_i)``. Counting
is one vectorised pass over the row per match, compiled on first use (a few seconds, once on a machine). The slow,
readable counterpart is ``benchmarks/rank_reference.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from reidlib.compiled import compiled

RANKS = (1, 5, 10, 20)


@dataclass(frozen=True, eq=False, repr=False)
class RankResult:
    """Scores of one ranking, as fractions 0–1, and the values of each query behind them.

    Attributes:
        ranks: the ranks k at which CMC is reported.
        first_match_rank: (Q,) int64, the position r_1 of the first match, counted in distinct identities where
            ``distinct_ids`` was set; 0 for an invalid query.
        average_precision: (Q,) float64, NaN for an invalid query.
        inverse_negative_penalty: (Q,) float64, NaN for an invalid query.
    """

    ranks: tuple[int, ...]
    first_match_rank: np.ndarray
    average_precision: np.ndarray
    inverse_negative_penalty: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """(Q,) bool: the queries with at least one match."""
        return self.first_match_rank > 0

    @property
    def valid_queries(self) -> int:
        """Number of queries with at least one match; every average is taken over these."""
        return int(self.valid.sum())

    @property
    def cmc(self) -> dict[int, float]:
        """{k: share of valid queries whose first match ranks k or better}; 1.0 for k beyond the gallery."""
        first = self.first_match_rank[self.valid]
        return {k: float((first <= k).mean()) for k in self.ranks}

    @property
    def mean_average_precision(self) -> float:
        return float(self.average_precision[self.valid].mean())

    @property
    def mean_inverse_negative_penalty(self) -> float:
        return float(self.inverse_negative_penalty[self.valid].mean())

    @property
    def metrics(self) -> dict[str, float]:
        """The averages by the names they have in tables: ``rank-k``, ``mAP``, ``mINP``; fractions 0–1."""
        return {
            **{f"rank-{k}": value for k, value in self.cmc.items()},
            "mAP": self.mean_average_precision,
            "mINP": self.mean_inverse_negative_penalty,
        }

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"RankResult({values}; {self.valid_queries} of {self.valid.size} queries valid)"


def rank(
    distances: Any,
    query_pids: Any,
    gallery_pids: Any,
    *,
    exclude: Any = None,
    distinct_ids: bool = False,
    ranks: Sequence[int] = RANKS,
) -> RankResult:
    """Rank the gallery of every query and score the ranking; see the module's text for the definitions.

    Arguments are torch tensors (any device), NumPy arrays or nested lists.

    Args:
        distances: (Q, G), smaller is more similar. float32 and float64 are taken as they are, half precisions as
            float32, integers as float64. Excluded entries may hold anything, NaN included.
        query_pids: (Q,) integers.
        gallery_pids: (G,) integers.
        exclude: (Q, G) bool, True where the query must ignore the gallery item; ``None`` ignores nothing.
        distinct_ids: count identities instead of images in CMC.
        ranks: the ranks k ≥ 1 of CMC. A k beyond the length of the gallery is allowed: every valid query is a hit.

    Raises:
        ValueError: a wrong shape or type, an empty side, a NaN or infinite distance that is not excluded, a rank
            below 1, or no query with a match.
    """
    distances = _distances(distances)
    query_pids = _pids(query_pids, "query_pids", distances, axis=0)
    gallery_pids = _pids(gallery_pids, "gallery_pids", distances, axis=1)
    exclude = _exclude(exclude, distances)
    ranks = _ranks(ranks)
    _check_finite(distances, exclude)

    # Identities become 0..C-1; the columns of identity c are columns[starts[c] : starts[c + 1]].
    identities, gallery_codes, counts = np.unique(gallery_pids, return_inverse=True, return_counts=True)
    query_codes = np.minimum(np.searchsorted(identities, query_pids), identities.size - 1)
    query_codes[identities[query_codes] != query_pids] = -1
    columns = np.argsort(gallery_codes, kind="stable")
    starts = np.concatenate(([0], np.cumsum(counts)))

    first_match_rank = np.zeros(query_pids.size, dtype=np.int64)
    average_precision = np.full(query_pids.size, np.nan)
    inverse_negative_penalty = np.full(query_pids.size, np.nan)
    _rank_rows(
        *(distances, exclude, query_codes, gallery_codes, columns, starts, distinct_ids),
        *(first_match_rank, average_precision, inverse_negative_penalty),
    )
    if not first_match_rank.any():
        raise ValueError(
            f"none of the {query_pids.size} queries has a match among the {gallery_pids.size} gallery items: "
            "query_pids and gallery_pids share no identity, or exclude removes every match"
        )
    return RankResult(ranks, first_match_rank, average_precision, inverse_negative_penalty)


@compiled()
def _rank_rows(
    distances, exclude, query_codes, gallery_codes, columns, starts, distinct_ids, first_match_rank, precision, penalty
):
    """Fill the last three arrays, one query at a time. ``exclude`` without rows excludes nothing."""
    last_seen_by = np.full(starts.size - 1, -1)
    for query in range(distances.shape[0]):
        code = query_codes[query]
        if code < 0:
            continue
        row = distances[query]
        if exclude.shape[0]:
            row = np.where(exclude[query], distances.dtype.type(np.inf), row)

        # Items, right or wrong, at or below the distance of each match.
        within = np.zeros(starts[code + 1] - starts[code], np.int64)
        matches = 0
        nearest = np.inf
        for column in columns[starts[code] : starts[code + 1]]:
            distance = row[column]
            if distance == np.inf:
                continue
            count = np.int32(0)
            for item in range(row.size):
                count += row[item] <= distance
            within[matches] = count
            matches += 1
            nearest = min(nearest, distance)
        if matches == 0:
            continue
        within = np.sort(within[:matches])

        # A group of matches at one distance shares `within`; the wrong items at or below it all rank ahead of it.
        start = 0
        wrong = 0
        total = 0.0
        while start < matches:
            stop = start + 1
            while stop < matches and within[stop] == within[start]:
                stop += 1
            wrong = within[start] - stop
            if start == 0:
                first_match_rank[query] = wrong + 1
            for i in range(start, stop):
                total += (i + 1) / (i + 1 + wrong)
            start = stop
        precision[query] = total / matches
        penalty[query] = matches / (matches + wrong)

        if distinct_ids:
            # The identities seen no later than the nearest match, the query's own among them.
            identities = 0
            for item in range(row.size):
                if row[item] <= nearest and last_seen_by[gallery_codes[item]] != query:
                    last_seen_by[gallery_codes[item]] = query
                    identities += 1
            first_match_rank[query] = identities


def _array(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach()
        return (values.float() if values.dtype in (torch.float16, torch.bfloat16) else values).cpu().numpy()
    return np.asarray(values)


def _distances(values: Any) -> np.ndarray:
    distances = _array(values)
    if distances.ndim != 2:
        raise ValueError(f"distances must have two dimensions (queries, gallery), got shape {distances.shape}")
    if 0 in distances.shape:
        raise ValueError(f"distances is empty: shape {distances.shape}; at least one query and one gallery item needed")
    if distances.dtype.kind not in "fiu":
        raise ValueError(f"distances must be real numbers, got {distances.dtype} of shape {distances.shape}")
    kept = np.float32 if distances.dtype in (np.float16, np.float32) else np.float64
    return np.ascontiguousarray(distances, dtype=kept)


def _pids(values: Any, name: str, distances: np.ndarray, axis: int) -> np.ndarray:
    pids = _array(values)
    if pids.shape != (distances.shape[axis],):
        raise ValueError(
            f"{name} must have shape ({distances.shape[axis]},), one entry per {('row', 'column')[axis]} of distances "
            f"{distances.shape}, got {pids.shape}"
        )
    if pids.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, got {pids.dtype} of shape {pids.shape}")
    return pids.astype(np.int64)


def _exclude(values: Any, distances: np.ndarray) -> np.ndarray:
    if values is None:
        return np.zeros((0, 0), dtype=bool)
    exclude = _array(values)
    if exclude.shape != distances.shape:
        raise ValueError(f"exclude must have the shape of distances {distances.shape}, got {exclude.shape}")
    if exclude.dtype != bool:
        raise ValueError(f"exclude must be boolean (True = ignored), got {exclude.dtype} of shape {exclude.shape}")
    return np.ascontiguousarray(exclude)


def _ranks(values: Sequence[int]) -> tuple[int, ...]:
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu" or array.min() < 1:
        raise ValueError(f"ranks must be one or more integers, each at least 1, got {values!r}")
    return tuple(array.tolist())


def _check_finite(distances: np.ndarray, exclude: np.ndarray) -> None:
    # Minimum and maximum carry NaN and infinity along and cost a fraction of a mask; the mask is for the message.
    if np.isfinite(distances.min()) and np.isfinite(distances.max()):
        return
    bad = ~np.isfinite(distances)
    if exclude.size:
        bad &= ~exclude
    if bad.any():
        query, item = np.argwhere(bad)[0].tolist()
        raise ValueError(
            f"distances of shape {distances.shape} has {int(bad.sum())} NaN or infinite entries that are not excluded; "
            f"the first is {distances[query, item]} at query {query}, gallery item {item}"
        )
