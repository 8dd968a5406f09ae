"""The readable counterpart of ``reidlib.evaluation.k_reciprocal``: one item at a time, dense NumPy rows.

Slow on purpose and free of tricks. The tests hold the fast function to it, and ``bench_reranking.py`` measures against
it. Definitions: Zhong et al., CVPR 2017; the variant that seeks neighbours among the queries only is that of the
evaluation code released with MPANet and IDKL. Released code sorts ties in any order; here the earlier item is nearer.
"""

import numpy as np


def k_reciprocal_reference(query, gallery, k1=20, k2=6, lam=0.3, neighbours="all"):
    """Return distances (Q, G) float32 for NumPy embeddings (Q, D) and (G, D)."""
    items = np.concatenate([query, gallery]).astype(np.float64)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    squared = np.round((2 - 2 * items @ items.T) * 2**32) / 2**32  # equal items are at equal distance
    original = (squared / squared.max(axis=0)).T.astype(np.float32)

    # Neighbours, nearest first: of every item, but only among the queries or among all.
    pool = len(items)
    if neighbours == "queries":
        pool, k1 = len(query), min(k1, len(query) - 1)
    order = np.argsort(squared[:, :pool], axis=1, kind="stable")
    half = int(np.around(k1 / 2))

    encoding = np.zeros((len(items), pool), dtype=np.float32)
    for i in range(pool):
        mutual = reciprocal(order, i, k1)
        members = set(mutual)
        for j in mutual:
            candidates = reciprocal(order, j, half)
            if len(np.intersect1d(candidates, mutual)) > 2 / 3 * len(candidates):
                members.update(candidates)
        members = sorted(members)
        weights = np.exp(-original[i, members])
        encoding[i, members] = weights / weights.sum()

    if k2 > 1 or neighbours == "queries":
        own = encoding.copy()
        for i in range(len(items)):
            if k2 > 1 or i >= pool:
                encoding[i] = own[order[i, :k2]].mean(axis=0)

    users = [np.flatnonzero(encoding[:, k]) for k in range(pool)]  # of each pool member: who has it in its encoding
    jaccard = np.empty((len(query), len(items)), dtype=np.float32)
    for i in range(len(query)):
        shared = np.zeros(len(items), dtype=np.float32)
        for k in np.flatnonzero(encoding[i]):
            shared[users[k]] += np.minimum(encoding[i, k], encoding[users[k], k])
        jaccard[i] = 1 - shared / (2 - shared)
    return ((1 - lam) * jaccard + lam * original[: len(query)])[:, len(query) :]


def reciprocal(order, i, k):
    """The items among the k + 1 nearest of item i that have i among their own k + 1 nearest."""
    forward = order[i, : k + 1]
    backward = order[forward, : k + 1]
    return forward[(backward == i).any(axis=1)]
