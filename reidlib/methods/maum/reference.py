"""The losses of losses.py as loops: slow, one line per line of the equation. Test oracles and lesson material."""

import torch
from torch import Tensor

from reidlib.losses.reference import mean


def proxy_metric(
    features: Tensor,
    proxies: Tensor,
    pids: Tensor,
    *,
    memory: Tensor | None = None,
    form: str = "circle",
    margin: float = 0.25,
    scale: float = 64.0,
    memory_negatives: bool = True,
) -> Tensor:
    """See :func:`reidlib.methods.maum.losses.proxy_metric`."""
    losses = []
    for feature, pid in zip(features, pids, strict=True):
        pull, push = [], []
        for past, references in enumerate([proxies] if memory is None else [proxies, *memory.detach()]):
            for label, reference in enumerate(references):
                s = feature @ reference / (feature.norm() * reference.norm())
                weights = (1 + margin - s.detach()).clamp(min=0), (s.detach() + margin).clamp(min=0)
                if label == pid:
                    exponents = {"circle": -weights[0] * (s - (1 - margin)), "amsoftmax": margin - s, "ce": -s}
                    pull.append(torch.exp(scale * exponents[form]))
                elif memory_negatives or not past:
                    exponents = {"circle": weights[1] * (s - margin), "amsoftmax": s, "ce": s}
                    push.append(torch.exp(scale * exponents[form]))
        if push:
            losses.append(torch.log(1 + sum(push) * sum(pull)))
    return mean(losses, features)
