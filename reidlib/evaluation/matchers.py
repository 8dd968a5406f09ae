"""Matchers that learn nothing: what raw pixels give away, and what a learned feature must beat.

Each takes images (N, 3, H, W) uint8 and returns features (N, D) float32 with zero mean, so that the cosine used by
`reidlib.evaluation.score` is a correlation. They are reconstructed controls, not methods of any paper.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

CORNER = 0.14
"""Share of the height and of the width that the background-only crop takes from each upper corner."""


def grey(images: Tensor) -> Tensor:
    """Rec. 601 luma (N, 1, H, W) in 0–1."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device)
    return (images.float() / 255 * weights[:, None, None]).sum(1, keepdim=True)


def grey_histogram(images: Tensor, bins: int = 32) -> Tensor:
    """Square roots of a grey-level histogram (the Bhattacharyya kernel), centred."""
    levels = (grey(images).flatten(1) * bins).long().clamp(max=bins - 1)
    counts = torch.zeros(len(images), bins, device=images.device).scatter_add_(
        1, levels, torch.ones_like(levels).float()
    )
    return _centred(counts.sqrt())


def row_profile(images: Tensor, rows: int = 8) -> Tensor:
    """Mean grey level of ``rows`` horizontal stripes: hair, shirt, trousers, shoes."""
    return _centred(adaptive_avg_pool2d(grey(images), (rows, 1)).flatten(1))


def thumbnail(images: Tensor, height: int = 32, width: int = 16) -> Tensor:
    """A grey thumbnail."""
    return _centred(adaptive_avg_pool2d(grey(images), (height, width)).flatten(1))


def background_only(images: Tensor) -> Tensor:
    """Grey thumbnails of the two upper corners, where nobody stands: must not tell who the person is."""
    height, width = round(CORNER * images.shape[2]), round(CORNER * images.shape[3])
    luma = grey(images)[:, :, : max(height, 2)]
    corners = torch.cat([luma[..., : max(width, 2)], luma[..., -max(width, 2) :]], dim=3)
    return _centred(adaptive_avg_pool2d(corners, (4, 4)).flatten(1))


def _centred(features: Tensor) -> Tensor:
    return features - features.mean(1, keepdim=True)


MATCHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "grey histogram": grey_histogram,
    "8-row profile": row_profile,
    "16×32 thumbnail": thumbnail,
    "background only": background_only,
}
