"""Rendering speed: images a second at 128×64 with 2×2 rays a pixel, JPEG included, and what threads and rays cost.

python benchmarks/bench_render.py
"""

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from reidlib.twins import SYSU_CAMERAS, render, sample_identity, sample_scene

IMAGES, REPEATS = 120, 5


def draw(index: int, samples: int) -> None:
    scene = sample_scene(SYSU_CAMERAS[1 + index % 6], 0, index)
    render(sample_identity(index), scene, 128, 64, samples=samples).jpeg(scene.jpeg_quality)


def seconds(workers: int, samples: int) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda index: draw(index, samples), range(IMAGES)))
    return time.perf_counter() - start


def main() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    seconds(cores, 2)  # compile, draw the places
    variants = {"all cores": (cores, 2), "one thread": (1, 2), "all cores, 1 ray a pixel": (cores, 1)}
    times = {name: [] for name in variants}
    for _ in range(REPEATS):  # in turns, so that a slow moment of the machine hits all alike
        for name, (workers, samples) in variants.items():
            times[name].append(seconds(workers, samples))
    base = statistics.median(times["all cores"])
    for name in variants:
        median = statistics.median(times[name])
        print(f"{name:26s} {IMAGES / median:7.1f} images/s  {median / base:5.2f} × the time of all {cores} cores")


if __name__ == "__main__":
    main()
