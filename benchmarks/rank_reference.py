"""The readable counterpart of ``reidlib.evaluation.rank``: one query at a time, as in AGW's evaluation code.

Slow on purpose and free of tricks. The tests hold the fast function to it, and ``bench_rank.py`` measures against it.
"""

import numpy as np


def rank_reference(distances, query_pids, gallery_pids, exclude=None, distinct_ids=False):
    """Return per-query arrays ``(first_match_rank, average_precision, inverse_negative_penalty)``.

    ``distances`` (Q, G) and ``exclude`` (Q, G) bool are NumPy arrays, pids are (Q,) and (G,). An invalid query has
    rank 0 and NaN elsewhere. At equal distance a wrong item ranks before a right one.
    """
    first_match_rank = np.zeros(len(query_pids), dtype=np.int64)
    average_precision = np.full(len(query_pids), np.nan)
    inverse_negative_penalty = np.full(len(query_pids), np.nan)

    for query, pid in enumerate(query_pids):
        kept = slice(None) if exclude is None else ~exclude[query]
        distance, pids = distances[query, kept], gallery_pids[kept]

        # The last key sorts first: by distance, then wrong (False) before right (True).
        order = np.lexsort((pids == pid, distance))
        pids = pids[order]
        positions = np.flatnonzero(pids == pid) + 1
        if positions.size == 0:
            continue

        average_precision[query] = np.mean(np.arange(1, positions.size + 1) / positions)
        inverse_negative_penalty[query] = positions.size / positions[-1]
        if distinct_ids:
            _, first_occurrences = np.unique(pids, return_index=True)
            pids = pids[np.sort(first_occurrences)]
        first_match_rank[query] = np.flatnonzero(pids == pid)[0] + 1

    return first_match_rank, average_precision, inverse_negative_penalty
