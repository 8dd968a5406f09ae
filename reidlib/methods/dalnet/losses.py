"""Losses of a network that draws: its mask, how far it strays from the edges, how much its style is that of a model."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.losses._common import describe, full_precision, mean_over

EPSILON = 1e-5  # added to variances, as in instance normalisation


def channel_statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the positions, in float32 or better.

    Args:
        maps: (B, C, h, w) floating.

    Returns:
        Two tensors (B, C); the deviation is ``sqrt(variance + 1e-5)``, so that a constant channel has a gradient.
    """
    maps = _check_maps("maps", maps)
    variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0)
    return mean, (variance + EPSILON).sqrt()


def style_distance(maps: Sequence[Tensor], donor_maps: Sequence[Tensor], usable: Tensor | None = None) -> Tensor:
    """How far the style of drawings is from that of their donors, style being mean and deviation of each channel.

    ``mean_i sum_l mean_c (mu(x_ilc) - mu(v_ilc))^2 + (sigma(x_ilc) - sigma(v_ilc))^2`` over layers l and channels c.
    Documented: Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV
    2017. Reconstructed for DALNet (Liu et al., AAAI 2024), whose generator losses are unknown: that it has this one.

    Args:
        maps: for each layer, maps (B, C, h, w) of the drawings.
        donor_maps: for each layer, maps (B, C, h', w') of their donors; they receive gradient if they require it.
        usable: (B,) bool, drawings that have a donor; default: all.

    Returns:
        Scalar >= 0: the mean over the usable drawings, 0 if there is none.

    Raises:
        ValueError: no layer, another number of layers, or maps of unequal B or C.
    """
    if len(maps) == 0 or len(maps) != len(donor_maps):
        raise ValueError(f"give maps of the same layers, one or more, not {len(maps)} and {len(donor_maps)}")
    distance = torch.zeros((), device=maps[0].device)
    for layer, donor_layer in zip(maps, donor_maps, strict=True):
        if layer.shape[:2] != donor_layer.shape[:2]:
            raise ValueError(f"maps are {describe(layer)}, those of the donors {describe(donor_layer)}")
        statistics = zip(channel_statistics(layer), channel_statistics(donor_layer), strict=True)
        distance = distance + sum((own - donor).square().mean(dim=1) for own, donor in statistics)
    return mean_over(distance, torch.ones_like(distance, dtype=torch.bool) if usable is None else usable)


def structure_drift(drawings: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of drawings and the edges they were made of, on the foreground.

    ``mean_i sum(M_i |x_i - E_i|) / sum(M_i)``. Reconstructed for DALNet: a drawing may change its strokes, but not the
    person it shows.

    Args:
        drawings, edges: (B, 1, H, W) in 0-1.
        mask: (B, 1, H, W) in 0-1, 1 foreground; detach it where it is learned, or it will shrink to avoid this loss.

    Returns:
        Scalar in 0-1.

    Raises:
        ValueError: shapes that differ.
    """
    drawings, edges, mask = (
        _check_maps(name, maps) for name, maps in (("drawings", drawings), ("edges", edges), ("mask", mask))
    )
    if not drawings.shape == edges.shape == mask.shape:
        raise ValueError(f"drawings, edges and mask have shapes {drawings.shape}, {edges.shape} and {mask.shape}")
    difference = (mask * (drawings - edges).abs()).flatten(1).sum(dim=1)
    return (difference / mask.flatten(1).sum(dim=1).clamp(min=1e-6)).mean()


def mask_cross_entropy(logits: Tensor, pseudo_masks: Tensor) -> Tensor:
    """Binary cross-entropy of a predicted mask with one that is known or guessed, the mean over all pixels.

    Reconstructed for DALNet (documented: only that background recedes in its auxiliary images).

    Args:
        logits: (B, 1, H, W), before the sigmoid.
        pseudo_masks: (B, 1, H, W) in 0-1, 1 foreground; may be soft.

    Returns:
        Scalar >= 0, in nats.

    Raises:
        ValueError: shapes that differ.
    """
    logits, pseudo_masks = _check_maps("logits", logits), _check_maps("pseudo_masks", pseudo_masks)
    if logits.shape != pseudo_masks.shape:
        raise ValueError(f"logits are {describe(logits)}, pseudo_masks {describe(pseudo_masks)}; give equal shapes")
    with full_precision(logits):
        return F.binary_cross_entropy_with_logits(logits, pseudo_masks)


def _check_maps(name: str, maps: Tensor) -> Tensor:
    """Maps (B, C, h, w) in float32 or better."""
    if not isinstance(maps, Tensor) or not maps.is_floating_point() or maps.ndim != 4:
        raise ValueError(f"{name} must be a floating tensor of shape (B, C, H, W), not {describe(maps)}")
    return maps.float() if maps.dtype in (torch.float16, torch.bfloat16) else maps
