"""The losses of losses.py as loops: slow, one line per line of the equation. Test oracles and lesson material."""

from collections.abc import Sequence

import torch
from torch import Tensor

from reidlib.losses.reference import mean


def style_distance(maps: Sequence[Tensor], donor_maps: Sequence[Tensor], usable: Tensor | None = None) -> Tensor:
    """See :func:`reidlib.methods.dalnet.losses.style_distance`."""
    losses = []
    for i in range(len(maps[0])):
        if usable is not None and not usable[i]:
            continue
        loss = 0.0
        for layer, donor_layer in zip(maps, donor_maps, strict=True):
            for own, donor in zip(layer[i], donor_layer[i], strict=True):
                deviations = ((channel.var(correction=0) + 1e-5).sqrt() for channel in (own, donor))
                one, other = deviations
                loss = loss + ((own.mean() - donor.mean()) ** 2 + (one - other) ** 2) / layer.shape[1]
        losses.append(loss)
    return mean(losses, maps[0])


def structure_drift(drawings: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
    """See :func:`reidlib.methods.dalnet.losses.structure_drift`."""
    losses = []
    for drawing, edge, foreground in zip(drawings, edges, mask, strict=True):
        losses.append((foreground * abs(drawing - edge)).sum() / foreground.sum())
    return mean(losses, drawings)


def mask_cross_entropy(logits: Tensor, pseudo_masks: Tensor) -> Tensor:
    """See :func:`reidlib.methods.dalnet.losses.mask_cross_entropy`."""
    losses = []
    for logit, target in zip(logits.flatten(), pseudo_masks.flatten(), strict=True):
        probability = 1 / (1 + torch.exp(-logit))
        losses.append(-target * torch.log(probability) - (1 - target) * torch.log(1 - probability))
    return mean(losses, logits)
