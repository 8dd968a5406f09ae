"""How many times faster ``reidlib.evaluation.k_reciprocal`` is than the row loop, and how much memory it takes.

Run ``python benchmarks/bench_reranking.py``. Speed: 2060 queries and 2060 gallery items (RegDB's test set), 206
identities, 512 dimensions. The two run in alternating pairs, so that other load on the machine falls on both; the
median ratio counts. Memory: 6000 and 6000 items of 2048 dimensions in a process of their own.
"""

import resource
import subprocess
import sys
from statistics import median
from time import perf_counter

import numpy as np
from reranking_reference import k_reciprocal_reference

from reidlib.evaluation import k_reciprocal

PAIRS = 3


def clustered(items: int, identities: int, dimensions: int) -> list[np.ndarray]:
    """Embeddings of as many queries as gallery items, scattered around one centre an identity."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(identities, dimensions))
    pids = np.arange(items) % identities
    return [(centres[pids] + rng.normal(size=(items, dimensions))).astype(np.float32) for _ in range(2)]


def seconds(function, *arguments, **options) -> float:
    start = perf_counter()
    function(*arguments, **options)
    return perf_counter() - start


def speed() -> None:
    query, gallery = clustered(2060, 206, 512)
    print(f"k_reciprocal, {len(query)} + {len(gallery)} items; median of {PAIRS} alternating pairs")
    for neighbours in ("all", "queries"):
        fast = k_reciprocal(query, gallery, neighbours=neighbours)  # compiles
        pairs, slow = [], None
        for _ in range(PAIRS):
            start = perf_counter()
            slow = k_reciprocal_reference(query, gallery, neighbours=neighbours)
            pairs.append((perf_counter() - start, seconds(k_reciprocal, query, gallery, neighbours=neighbours)))
        times = [median(column) for column in zip(*pairs, strict=True)]
        ratio = median(slow / fast for slow, fast in pairs)
        print(
            f"  neighbours: {neighbours:<9}{times[0]:6.2f} s -> {times[1]:5.2f} s   {ratio:5.1f} times faster; "
            f"largest difference {np.abs(slow - fast).max():.1e}"
        )


def memory() -> None:
    """Called in a process of its own: prints the peak of its resident memory."""
    query, gallery = clustered(6000, 600, 2048)
    for neighbours in ("all", "queries"):
        took = seconds(k_reciprocal, query, gallery, neighbours=neighbours)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
        print(f"  neighbours: {neighbours:<9}{took:6.2f} s, {peak:.2f} GiB at most")


def main() -> None:
    speed()
    print("k_reciprocal, 6000 + 6000 items of 2048 dimensions: peak memory of the whole process", flush=True)
    subprocess.run([sys.executable, __file__, "memory"], check=True)


if __name__ == "__main__":
    memory() if sys.argv[1:] == ["memory"] else main()
