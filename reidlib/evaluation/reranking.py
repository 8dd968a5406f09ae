"""k-reciprocal re-ranking: a distance that asks who is a neighbour of whom (Zhong et al., CVPR 2017).

Documented (paper, and the code its authors released). For every item i of a pool:

* R(i): those of its k1 + 1 nearest items, itself among them, that have i among their own k1 + 1 nearest.
* R*(i): R(i), and for every j in it R½(j), which is the same set with half of k1, if more than two thirds of R½(j) lie
  in R(i).
* i is encoded as a row over the pool: exp(-d(i, j)) for j in R*(i), 0 elsewhere, scaled to sum 1; d(i, j) is the
  squared Euclidean distance of unit vectors, divided by the largest one between i and any item.
* Local query expansion: the encoding becomes the mean of those of the k2 nearest items.
* Jaccard distance of two encodings a, b: 1 - s / (2 - s), with s the sum of min(a, b).
* The result is (1 - λ) times the Jaccard distance plus λ times d.

``neighbours="all"``: the pool is queries and gallery together, as in the paper. ``neighbours="queries"``: documented
(released evaluation of MPANet and IDKL on SYSU-MM01): neighbours are sought among the queries only, also those of a
gallery image, which has no set of its own and is encoded as the mean of its k2 nearest queries. Every query then
profits from the other images of the same person among the queries. That is transductive, and not comparable to ranking
one query at a time. Those codes compute in half precision; here it is single precision, in both variants.

The readable counterpart, one item at a time, is ``benchmarks/reranking_reference.py``.
"""

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from reidlib.compiled import compiled
from reidlib.evaluation.arrays import pair, require_finite

POOLS = {"all": "queries and gallery", "queries": "queries only"}
"""Values of ``neighbours``, in words."""

STEPS = 2**32
"""Steps per unit of squared distance. Equal embeddings are then at equal distance, whatever the order of the sums,
and neighbours are told apart far more finely than by products in single precision."""


def k_reciprocal(
    query: Any, gallery: Any, *, k1: int = 20, k2: int = 6, lam: float = 0.3, neighbours: str = "all"
) -> Any:
    """Re-ranked distances (Q, G) float32, 0–1 but for rounding, smaller is more similar; defined in the module's text.

    At equal distance the earlier item counts as nearer, queries before the gallery. Small sets: with ``"all"``, a pool
    of fewer than k1 + 1 items is taken whole and half of k1 stays what it is, as slices do in released code; with
    ``"queries"``, where that code would run into the gallery, k1 is at most the number of queries less one.

    Distances are computed in single precision, from centred embeddings and on a CUDA device if the queries are on one;
    which items are the nearest is decided in double precision. Memory: about 4 bytes for each pair of an item of the
    pool and any item, and 4 for each pair of a query and a gallery image.

    Args:
        query: (Q, D) embeddings of any length above 0, which are scaled to unit length here; a tensor or an array.
        gallery: (G, D), likewise.
        k1: number of neighbours that must be mutual.
        k2: number of neighbours whose encodings are averaged; 1: none but its own (for a gallery image, if neighbours
            are sought among the queries: that of its nearest query).
        lam: share λ of the original distance, 0 to 1; 1 ranks as the cosine does.
        neighbours: ``"all"`` or ``"queries"``, where neighbours are sought.

    Returns:
        A tensor on the device of ``query`` if that is a tensor, else an array.

    Raises:
        ValueError: a wrong shape, value or parameter; NaN or infinite embeddings.
    """
    check_parameters(k1, k2, lam)
    if neighbours not in POOLS:
        raise ValueError(f"neighbours={neighbours!r} is unknown; known: {', '.join(map(repr, POOLS))}")
    features, queries = _unit(*pair(query, gallery)), len(query)
    device = query.device if isinstance(query, Tensor) else torch.device("cpu")
    pool = len(features)
    if neighbours == "queries":
        pool, k1 = queries, min(k1, queries - 1)

    distances, nearest = _neighbours(features, pool, max(k1 + 1, k2), device)
    mutual = _reciprocal(nearest[:pool], k1 + 1)
    encodings = _encode(distances, _expand(mutual, _reciprocal(nearest[:pool], round(k1 / 2) + 1)))
    if k2 == 1:
        nearest[:pool, 0] = np.arange(pool)  # with duplicates an item need not be the first of its neighbours
    encodings = _rows(nearest[:, :k2], pool, np.float32(1 / min(k2, pool))) @ encodings

    result = np.zeros((queries, len(features) - queries), dtype=np.float32)
    rows, columns = encodings[:queries], encodings[queries:].tocsc()
    by_rows, by_columns = ((each.indptr, each.indices, each.data) for each in (rows, columns))
    _combine(by_rows, by_columns, distances[:queries, queries:], float(lam), result)
    return torch.from_numpy(result).to(device) if isinstance(query, Tensor) else result


def check_parameters(k1: int, k2: int, lam: float) -> None:
    """Raise ``ValueError`` for what :func:`k_reciprocal` cannot compute with."""
    for name, value in (("k1", k1), ("k2", k2)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be an integer of 1 or more, got {value!r}")
    if isinstance(lam, bool) or not isinstance(lam, int | float | np.number) or not 0 <= lam <= 1:
        raise ValueError(f"lam must be a number from 0 to 1, got {lam!r}")


def _unit(query: Tensor, gallery: Tensor) -> np.ndarray:
    """Queries and gallery (N, D) float64, of unit length."""
    features = np.empty((len(query) + len(gallery), query.shape[1]))
    joined = torch.from_numpy(features)
    joined[: len(query)], joined[len(query) :] = query.cpu(), gallery.cpu()
    norms = np.sqrt(np.einsum("ij,ij->i", features, features))
    if not np.isfinite(norms).all():
        require_finite(query, "query")
        require_finite(gallery, "gallery")
    features /= norms.clip(min=1e-12)[:, None]
    return features


def _neighbours(features: np.ndarray, pool: int, depth: int, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """Scaled distances (pool, N) float32, and of each of the N items the nearest ones of the pool (N, depth) int64."""
    centred = features - features.mean(axis=0)  # single precision is lost on what all have in common
    lengths = np.einsum("ij,ij->i", centred, centred)
    products = _products(centred, pool, device)
    copies, originals = _copies(features)
    products[:, copies] = products[:, originals]
    products[copies[copies < pool]] = products[originals[copies < pool]]
    nearest = np.empty((len(features), min(depth, pool)), dtype=np.int64)
    _find_nearest(products[:, :pool], 0, lengths, features, nearest)
    _find_nearest(np.ascontiguousarray(products[:, pool:].T), pool, lengths, features, nearest)
    _scale(products, lengths)
    return products, nearest


def _products(centred: np.ndarray, pool: int, device: torch.device) -> np.ndarray:
    """Inner products (pool, N) float32."""
    if device.type == "cuda":
        items = torch.from_numpy(centred).to(device)
        return (items[:pool] @ items.T).float().cpu().numpy()
    items = centred.astype(np.float32)
    square = items[:pool] @ items[:pool].T  # NumPy computes half of such a product; torch would compute all of it
    return square if pool == len(items) else np.concatenate([square, items[:pool] @ items[pool:].T], axis=1)


def _copies(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Items that equal an earlier one, and the first one that each of them equals."""
    direction = np.random.default_rng(0).normal(size=features.shape[1])
    keys = np.array([row @ direction for row in features])  # row by row: equal ones get equal sums
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    copies = np.flatnonzero(first[group] < np.arange(len(features)))
    copies = copies[(features[copies] == features[first[group[copies]]]).all(axis=1)]
    return copies, first[group[copies]]


@compiled()
def _find_nearest(products, start, lengths, features, nearest):
    """Fill nearest[start:], a row for each of ``products`` (R, pool).

    Squared distances from products in single precision are off by ``error`` at most, whatever the order of the sums.
    All items that may be among the nearest by them are compared in double precision.
    """
    rows, pool = products.shape
    depth = nearest.shape[1]
    norms = np.sqrt(lengths)
    unit = 2 * (features.shape[1] + 16) * 2.0**-24
    bounds, steps = np.empty(depth), np.empty(depth)
    for row in range(rows):
        i = start + row
        error = unit * norms[i]
        found = 0
        for j in range(pool):
            bound = lengths[i] + lengths[j] - 2 * products[row, j] + error * norms[j]
            if found < depth or bound < bounds[depth - 1]:
                found = min(found + 1, depth)
                place = found - 1
                while place > 0 and bound < bounds[place - 1]:
                    bounds[place] = bounds[place - 1]
                    place -= 1
                bounds[place] = bound
        limit, found = bounds[depth - 1], 0
        for j in range(pool):
            squared = lengths[i] + lengths[j] - 2 * products[row, j]
            if squared - error * norms[j] > limit:
                continue
            if (squared + error * norms[j]) * STEPS < 0.25:
                step = 0.0
            else:
                step = np.rint((2 - 2 * np.dot(features[i], features[j])) * STEPS)
            if found < depth or step < steps[depth - 1]:
                found = min(found + 1, depth)
                place = found - 1
                while place > 0 and step < steps[place - 1]:
                    steps[place], nearest[i, place] = steps[place - 1], nearest[i, place - 1]
                    place -= 1
                steps[place], nearest[i, place] = step, j


@compiled()
def _scale(products, lengths):
    """Turn products (pool, N), in place, into squared distances divided by the largest of the row."""
    for i in range(products.shape[0]):
        largest = 1.0  # not 0, where all items are equal
        for j in range(products.shape[1]):
            step = np.rint(max(lengths[i] + lengths[j] - 2 * products[i, j], 0.0) * STEPS)
            largest = max(largest, step)
            products[i, j] = step
        for j in range(products.shape[1]):
            products[i, j] /= largest


def _rows(columns: np.ndarray, width: int, value: Any) -> sparse.csr_array:
    """(N, width) with ``value`` at the given columns (N, K) of each row."""
    ends = np.arange(len(columns) + 1) * columns.shape[1]
    return sparse.csr_array((np.full(columns.size, value), columns.ravel(), ends), shape=(len(columns), width))


def _reciprocal(nearest: np.ndarray, k: int) -> sparse.csr_array:
    """(pool, pool), 1 where two items are among the k nearest of each other."""
    among = _rows(nearest[:, :k], len(nearest), 1)
    return among.multiply(among.T).tocsr()


def _expand(mutual: sparse.csr_array, half: sparse.csr_array) -> sparse.csr_array:
    """R*: where it is not 0."""
    shared = mutual.multiply(mutual @ half).tocsr()  # half is symmetric: |R(i) ∩ R½(j)| for every j in R(i)
    shared.data = (3 * shared.data > 2 * half.sum(axis=1)[shared.indices]).astype(int)
    return mutual + shared @ half


def _encode(distances: np.ndarray, members: sparse.csr_array) -> sparse.csr_array:
    """Weights of the members, (pool, pool) float32; rows sum to 1, or 0 if there is no member."""
    row, column = members.nonzero()
    weights = np.exp(-distances[row, column])
    weights /= np.bincount(row, weights, minlength=len(distances)).astype(np.float32)[row]
    return sparse.csr_array((weights, (row, column)), shape=members.shape)


@compiled()
def _combine(rows, columns, distances, lam, result):
    """Fill ``result``, which is 0: (1 - λ) · Jaccard distance + λ · distance; encodings by rows and by columns, CSR."""
    row_ends, row_columns, row_values = rows
    column_ends, column_rows, column_values = columns
    for i in range(result.shape[0]):
        for a in range(row_ends[i], row_ends[i + 1]):
            k = row_columns[a]
            for b in range(column_ends[k], column_ends[k + 1]):
                result[i, column_rows[b]] += min(row_values[a], column_values[b])
        for j in range(result.shape[1]):
            jaccard = 1 - result[i, j] / (2 - result[i, j])
            result[i, j] = (1 - lam) * jaccard + lam * distances[i, j]
