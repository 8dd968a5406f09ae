"""How many times faster ``reidlib.evaluation.k_reciprocal`` is than the row loop, and how much memory it takes.

Run ``python benchmarks/bench_reranking.py``. Speed: 2060 queries and 2060 gallery items (RegDB's test set) of 206
identities; 512 dimensions, and the 2048 of a ResNet-50. The two run in alternating pairs, so that other load on the
machine falls on both; the median ratio counts. Memory: 6000 and 6000 items in a process of their own.
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


def timed(function, *arguments, **options) -> tuple[float, np.ndarray]:
    start = perf_counter()
    result = function(*arguments, **options)
    return perf_counter() - start, result


def speed() -> None:
    k_reciprocal(*clustered(50, 5, 16))  # compiles
    print(f"k_reciprocal, 2060 + 2060 items; median of {PAIRS} alternating pairs")
    for dimensions in (512, 2048):
        items = clustered(2060, 206, dimensions)
        for neighbours in ("all", "queries"):
            pairs, difference = [], 0.0
            for _ in range(PAIRS):
                slow, expected = timed(k_reciprocal_reference, *items, neighbours=neighbours)
                fast, found = timed(k_reciprocal, *items, neighbours=neighbours)
                pairs.append((slow, fast))
                difference = max(difference, np.abs(found - expected).max())
            slow, fast = (median(times) for times in zip(*pairs, strict=True))
            ratio = median(slow / fast for slow, fast in pairs)
            print(
                f"  {dimensions:4} dimensions, neighbours: {neighbours:<9}{slow:6.2f} s -> {fast:5.2f} s   "
                f"{ratio:5.1f} times faster, largest difference {difference:.0e}"
            )


def memory() -> None:
    """Called in a process of its own: prints the peak of its resident memory."""
    query, gallery = clustered(6000, 600, 2048)
    for neighbours in ("all", "queries"):
        took, _ = timed(k_reciprocal, query, gallery, neighbours=neighbours)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
        print(f"  neighbours: {neighbours:<9}{took:6.2f} s, {peak:.2f} GiB at most")


def main() -> None:
    speed()
    print("k_reciprocal, 6000 + 6000 items of 2048 dimensions: peak memory of the whole process", flush=True)
    subprocess.run([sys.executable, __file__, "memory"], check=True)


if __name__ == "__main__":
    memory() if sys.argv[1:] == ["memory"] else main()
