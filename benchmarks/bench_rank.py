"""How many times faster ``reidlib.evaluation.rank`` is than the per-query reference.

Run ``python benchmarks/bench_rank.py``. 2060 queries, 2060 gallery items, 10 matches each (the size of RegDB's test
set). The two run in alternating pairs, so that other load on the machine falls on both; the median ratio counts.
"""

from statistics import median
from time import perf_counter

import numpy as np
from rank_reference import rank_reference

from reidlib import evaluation

IDENTITIES, IMAGES, PAIRS = 206, 10, 7


def seconds(function, *arguments, **options) -> float:
    start = perf_counter()
    function(*arguments, **options)
    return perf_counter() - start


def main() -> None:
    rng = np.random.default_rng(0)
    query_pids = np.repeat(np.arange(IDENTITIES), IMAGES)
    gallery_pids = rng.permutation(query_pids)
    distances = rng.random((query_pids.size, gallery_pids.size), dtype=np.float32)
    excluded = rng.random(distances.shape) < 0.2

    print(f"rank, {query_pids.size} × {gallery_pids.size}, {IMAGES} matches each; median of {PAIRS} alternating pairs")
    for exclude in (None, excluded):
        for distinct_ids in (False, True):
            options = {"exclude": exclude, "distinct_ids": distinct_ids}
            arguments = (distances, query_pids, gallery_pids)
            evaluation.rank(*arguments, **options)  # compiles
            pairs = [
                (seconds(rank_reference, *arguments, **options), seconds(evaluation.rank, *arguments, **options))
                for _ in range(PAIRS)
            ]
            slow, fast = (median(times) for times in zip(*pairs, strict=True))
            ratio = median(slow / fast for slow, fast in pairs)
            cmc = "distinct identities" if distinct_ids else "images"
            mask = "no mask" if exclude is None else "mask"
            print(
                f"  CMC on {cmc:<20}{mask:<9}{slow * 1e3:7.1f} ms -> {fast * 1e3:6.1f} ms   {ratio:5.1f} times faster"
            )


if __name__ == "__main__":
    main()
