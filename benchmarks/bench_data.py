"""How many times faster cached bytes and batched augmentation are than the usual one image at a time.

Run ``python benchmarks/bench_data.py``. 256 JPEG files of 288×144, used at two sizes; batches of 64. The two sides of a
ratio run in alternating pairs, so that other load on the machine falls on both; the median ratio counts.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from reidlib.data import Augmentation, cache
from reidlib.data.decode import read_image, resized

IMAGES, BATCH, PAIRS, SIZES = 256, 64, 9, ((128, 64), (288, 144))


def compare(name: str, reference: Callable[[], object], fast: Callable[[], object]) -> None:
    pairs = []
    for _ in range(PAIRS):
        seconds = []
        for function in (reference, fast):
            start = perf_counter()
            function()
            seconds.append(perf_counter() - start)
        pairs.append(seconds)
    slow_ms, fast_ms = (1000 * median(times) / BATCH for times in zip(*pairs, strict=True))
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


def bench(root: Path, paths: list[str], height: int, width: int) -> None:
    images = cache.open_cache("noise", root, paths, height, width, progress=False)
    rows = np.random.default_rng(0).choice(IMAGES, BATCH, replace=False)
    compare(
        f"{height}×{width}, reading: decode and resize → rows of the cache",
        lambda: torch.from_numpy(np.stack([resized(read_image(root / paths[row]), height, width) for row in rows])),
        lambda: images.tensor(rows),
    )
    batch, visible, single = images.tensor(rows), torch.zeros(BATCH, dtype=torch.long), one_by_one(height, width)
    augmentation, generator = Augmentation(pad=10, exchange=0.375, grey=0.125, erase=0.5), torch.Generator()
    compare(
        f"{height}×{width}, augmentation: torchvision v2 one by one → batch",
        lambda: torch.stack([single(image) for image in batch]),
        lambda: augmentation(batch, visible, generator),
    )


def main() -> None:
    print(f"batches of {BATCH}, {torch.get_num_threads()} threads; median of {PAIRS} alternating pairs")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["REIDLIB_CACHE"] = str(root / "cache")
        paths = [f"{number:04d}.jpg" for number in range(IMAGES)]
        for path in paths:
            blocks = np.random.default_rng(0).integers(0, 256, (36, 18, 3), dtype=np.uint8)
            Image.fromarray(blocks).resize((144, 288)).save(root / path)
        for height, width in SIZES:
            bench(root, paths, height, width)


if __name__ == "__main__":
    main()
