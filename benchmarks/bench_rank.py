"""How many times faster ``reidlib.evaluation.rank`` is than the per-query reference.

    python benchmarks/bench_rank.py [--identities 206] [--pairs 7]

By default 2060 queries, 2060 gallery items, 10 matches each (the size of RegDB's test set). The two run in alternating
pairs, so that other load on the machine falls on both; the median ratio counts.
"""

import argparse
from statistics import median
from time import perf_counter

import numpy as np
from rank_reference import rank_reference

from reidlib import evaluation

IMAGES = 10


def seconds(function, *arguments, **options) -> float:
    start = perf_counter()
    function(*arguments, **options)
    return perf_counter() - start


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--identities", type=int, default=206, help="each has 10 queries and 10 gallery items")
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(0)
    query_pids = np.repeat(np.arange(options.identities), IMAGES)
    gallery_pids = rng.permutation(query_pids)
    distances = rng.random((query_pids.size, gallery_pids.size), dtype=np.float32)
    excluded = rng.random(distances.shape) < 0.2

    size = f"{query_pids.size} × {gallery_pids.size}, {IMAGES} matches each"
    print(f"rank, {size}; median of {options.pairs} alternating pairs")
    for exclude in (None, excluded):
        for distinct_ids in (False, True):
            rules = {"exclude": exclude, "distinct_ids": distinct_ids}
            inputs = (distances, query_pids, gallery_pids)
            evaluation.rank(*inputs, **rules)  # compiles
            pairs = [
                (seconds(rank_reference, *inputs, **rules), seconds(evaluation.rank, *inputs, **rules))
                for _ in range(options.pairs)
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
