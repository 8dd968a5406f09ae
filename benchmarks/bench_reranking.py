"""How many times faster ``reidlib.evaluation.k_reciprocal`` is than the row loop, and how much memory it takes.

    python benchmarks/bench_reranking.py [--identities 206] [--dimensions 512 2048] [--pairs 3] [--memory-items 6000]

Speed: by default 2060 queries and 2060 gallery items (RegDB's test set) of 206 identities; 512 dimensions, and the
2048 of a ResNet-50. The two run in alternating pairs, so that other load on the machine falls on both; the median ratio
counts. Memory: 6000 and 6000 items in a process of their own; 0 leaves that out.
"""

import argparse
import resource
import subprocess
import sys
from statistics import median
from time import perf_counter

import numpy as np
from reranking_reference import k_reciprocal_reference

from reidlib.evaluation import k_reciprocal


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


def speed(options: argparse.Namespace) -> None:
    number = 10 * options.identities
    for neighbours in ("all", "queries"):
        k_reciprocal(*clustered(50, 5, 16), neighbours=neighbours)  # compiles
    print(f"k_reciprocal, {number} + {number} items; median of {options.pairs} alternating pairs")
    for dimensions in options.dimensions:
        items = clustered(number, options.identities, dimensions)
        for neighbours in ("all", "queries"):
            pairs, difference = [], 0.0
            for _ in range(options.pairs):
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


def memory(items: int) -> None:
    """Called in a process of its own: prints the peak of its resident memory."""
    query, gallery = clustered(items, items // 10, 2048)
    for neighbours in ("all", "queries"):
        took, _ = timed(k_reciprocal, query, gallery, neighbours=neighbours)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
        print(f"  neighbours: {neighbours:<9}{took:6.2f} s, {peak:.2f} GiB at most")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--identities", type=int, default=206, help="each has 10 queries and 10 gallery items")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--memory-items", type=int, default=6000)
    options = parser.parse_args(arguments)
    speed(options)
    if options.memory_items:
        print(
            f"k_reciprocal, twice {options.memory_items} items of 2048 dimensions: peak memory of the process",
            flush=True,
        )
        subprocess.run([sys.executable, __file__, "memory", str(options.memory_items)], check=True)


if __name__ == "__main__":
    memory(int(sys.argv[2])) if sys.argv[1:2] == ["memory"] else main()
