"""Edge drawings of photos that nobody has to learn: dark strokes on white, by an extended difference of Gaussians."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)
SIGMAS = (0.7, 1.12)  # of the two Gaussians, in pixels
TAU, EPSILON, PHI = 0.98, 0.01, 50.0


def luminance(images: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 1, H, W)."""
    return (images * constant(LUMINANCE, images.device).view(3, 1, 1)).sum(dim=1, keepdim=True)


def xdog(
    images: Tensor, tau: float | Tensor = TAU, epsilon: float | Tensor = EPSILON, phi: float | Tensor = PHI
) -> Tensor:
    """Edges by an extended difference of Gaussians, differentiable: (B, 3, H, W) in 0-1 -> (B, 1, H, W) in 0-1.

    ``D = G_0.7 * L - tau G_1.12 * L`` of the luminance L; ``E = 1`` where ``D >= epsilon``, else ``1 + tanh(phi (D -
    epsilon))``. Documented: Winnemöller et al., "XDoG", Computers & Graphics 2012. Reconstructed: the numbers.
    """
    grey = luminance(images)
    down, across = (_blurs(size, SIGMAS, images) for size in grey.shape[2:])
    narrow, wide = (down @ grey @ across.mT).split(1, dim=1)
    excess = narrow - tau * wide - epsilon
    return 1 + torch.tanh(phi * excess.clamp(max=0))


def _blurs(size: int, sigmas: tuple[float, ...], like: Tensor) -> Tensor:
    """Gaussian filters as matrices (S, size, size), cut off at three sigma, borders repeated outwards.

    Products of matrices stay in float32 on a GPU, where convolutions are rounded to fewer digits than edges need.
    """
    radius = math.ceil(3 * max(sigmas))
    offsets = torch.arange(-radius, radius + 1, device=like.device)
    widths = constant(sigmas, like.device)[:, None]
    kernels = torch.exp(-((offsets / widths) ** 2) / 2) * (offsets.abs() <= 3 * widths)
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).to(like.dtype)
    places = torch.arange(size, device=like.device)
    sources = (places[:, None] + offsets).clamp(0, size - 1).expand(len(sigmas), -1, -1)
    return like.new_zeros(len(sigmas), size, size).scatter_add_(2, sources, kernels[:, None].expand(-1, size, -1))


def constant(values: Sequence[float], device: torch.device) -> Tensor:
    """``torch.tensor(values, device=device)`` without the copy from main memory, which a GPU would be waited for."""
    return torch.stack([torch.full((), value, device=device) for value in values])
