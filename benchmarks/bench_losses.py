"""Losses against their loops: forward and backward on one training batch.

python benchmarks/bench_losses.py [--rows 120] [--dimensions 2048] [--repeats 5]
"""

import argparse
import statistics
import time

import torch

from reidlib import losses
from reidlib.losses import reference


def seconds(loss, features: torch.Tensor, pids: torch.Tensor) -> float:
    start = time.perf_counter()
    loss(features, pids).backward()
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=120)
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    features = torch.randn(options.rows, options.dimensions, requires_grad=True)
    pids = torch.arange(options.rows) // 4 % 8
    for name in ("batch_hard_triplet", "weighted_regularised_triplet", "circle"):
        fast, slow = getattr(losses, name), getattr(reference, name)
        seconds(fast, features, pids)
        pairs = [(seconds(fast, features, pids), seconds(slow, features, pids)) for _ in range(options.repeats)]
        fast_ms, slow_ms = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
        print(f"{name}: {fast_ms:.2f} ms, loops {slow_ms:.0f} ms, {slow_ms / fast_ms:.0f} times faster")


if __name__ == "__main__":
    main()
