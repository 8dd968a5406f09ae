"""How many times faster cached bytes and batched augmentation are than the usual one image at a time.

    python benchmarks/bench_data.py [--images 256] [--batch 64] [--pairs 9]

JPEG files of 288×144, used at two sizes. The two sides of a
ratio run in alternating pairs, so that other load on the machine falls on both; the median ratio counts.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from reidlib.data import Augmentation, cache
from reidlib.data.decode import read_image, resized

SIZES = ((128, 64), (288, 144))


def compare(
    options: argparse.Namespace, name: str, reference: Callable[[], object], fast: Callable[[], object]
) -> None:
    pairs = []
    for _ in range(options.pairs):
        seconds = []
        for function in (reference, fast):
            start = perf_counter()
            function()
            seconds.append(perf_counter() - start)
        pairs.append(seconds)
    slow_ms, fast_ms = (1000 * median(times) / options.batch for times in zip(*pairs, strict=True))
    ratio = median(slow / quick for slow, quick in pairs)
    print(f"{name:62} {slow_ms:7.3f} → {fast_ms:6.3f} ms an image   {ratio:6.1f} ×")


class ChannelExchange(v2.Transform):
    """One of R, G, B, or the grey value, in all three channels, for one image (CAJ, Ye et al., ICCV 2021)."""

    def transform(self, inpt: torch.Tensor, params: dict) -> torch.Tensor:
        choice = int(torch.randint(4, ()))
        grey = v2.functional.rgb_to_grayscale(inpt, num_output_channels=3)
        return grey if choice == 3 else inpt[choice].expand(3, -1, -1)


def one_by_one(height: int, width: int) -> v2.Transform:
    """The same augmentation for a single image."""
    return v2.Compose(
        [
            v2.Pad(10),
            v2.RandomCrop((height, width)),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([ChannelExchange()], p=0.5),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            v2.RandomErasing(p=0.5),
        ]
    )


def bench(options: argparse.Namespace, root: Path, paths: list[str], height: int, width: int) -> None:
    images = cache.open_cache("noise", root, paths, height, width, progress=False)
    rows = np.random.default_rng(0).choice(options.images, options.batch, replace=False)
    compare(
        options,
        f"{height}×{width}, reading: decode and resize → rows of the cache",
        lambda: torch.from_numpy(np.stack([resized(read_image(root / paths[row]), height, width) for row in rows])),
        lambda: images.tensor(rows),
    )
    batch, visible, single = (
        images.tensor(rows),
        torch.zeros(options.batch, dtype=torch.long),
        one_by_one(height, width),
    )
    augmentation, generator = Augmentation(pad=10, exchange=0.375, grey=0.125, erase=0.5), torch.Generator()
    compare(
        options,
        f"{height}×{width}, augmentation: torchvision v2 one by one → batch",
        lambda: torch.stack([single(image) for image in batch]),
        lambda: augmentation(batch, visible, generator),
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=9)
    options = parser.parse_args(arguments)
    print(f"batches of {options.batch}, {torch.get_num_threads()} threads; median of {options.pairs} alternating pairs")
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, REIDLIB_CACHE=f"{folder}/cache"):
        root = Path(folder)
        paths = [f"{number:04d}.jpg" for number in range(options.images)]
        for path in paths:
            blocks = np.random.default_rng(0).integers(0, 256, (36, 18, 3), dtype=np.uint8)
            Image.fromarray(blocks).resize((144, 288)).save(root / path)
        for height, width in SIZES:
            bench(options, root, paths, height, width)


if __name__ == "__main__":
    main()
