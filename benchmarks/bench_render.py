"""Rendering speed: images a second at 128×64 with 2×2 rays a pixel, JPEG included, and what threads and rays cost.

python benchmarks/bench_render.py [--images 120] [--repeats 5]
"""

import argparse
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from reidlib.twins import SYSU_CAMERAS, render, sample_identity, sample_scene


def draw(index: int, samples: int) -> None:
    scene = sample_scene(SYSU_CAMERAS[1 + index % 6], 0, index)
    render(sample_identity(index), scene, 128, 64, samples=samples).jpeg(scene.jpeg_quality)


def seconds(images: int, workers: int, samples: int) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda index: draw(index, samples), range(images)))
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    seconds(options.images, cores, 2)  # compile, draw the places
    variants = {"all cores": (cores, 2), "one thread": (1, 2), "all cores, 1 ray a pixel": (cores, 1)}
    times = {name: [] for name in variants}
    for _ in range(options.repeats):  # in turns, so that a slow moment of the machine hits all alike
        for name, (workers, samples) in variants.items():
            times[name].append(seconds(options.images, workers, samples))
    base = statistics.median(times["all cores"])
    for name in variants:
        median = statistics.median(times[name])
        speed = f"{options.images / median:7.1f} images/s"
        print(f"{name:26s} {speed}  {median / base:5.2f} × the time of all {cores} cores")


if __name__ == "__main__":
    main()
