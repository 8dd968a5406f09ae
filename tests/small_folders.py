"""A folder of one's own: people as stripes of two colours, which the second modality shows in other shades."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_folder(
    root: Path,
    identities: int | Sequence[str] = 10,
    *,
    modalities: Sequence[str] = ("visible", "infrared"),
    images: int = 3,
    suffix: str = ".png",
) -> Path:
    """``root/<modality>/<identity>/<number><suffix>``; names count from 0001 unless they are given."""
    names = [f"{n:04d}" for n in range(1, identities + 1)] if isinstance(identities, int) else identities
    random = np.random.default_rng(0)
    for name in names:
        colours = random.integers(0, 256, (2, 3))
        for number, modality in enumerate(modalities):
            shown = 255 - colours[:, :1] if number else colours
            for image in range(images):
                pixels = np.repeat(np.broadcast_to(shown, (2, 3)), 16, axis=0)[:, None]
                pixels = (pixels + random.integers(-20, 21, (32, 16, 1))).clip(0, 255).astype(np.uint8)
                file = Path(root) / modality / name / f"{image}{suffix}"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(file)
    return Path(root)
