"""The numbers of `reidlib.networks.health`, one line per line of the definition. Test oracles, lesson material."""

import math

import torch
from torch import Tensor


def spread(features: Tensor, pids: Tensor) -> float:
    """See :func:`reidlib.networks.health.spread`."""
    rows = range(len(pids))
    apart = [math.dist(features[i], features[j]) for i in rows for j in rows if pids[i] != pids[j]]
    lengths = [math.hypot(*features[i]) for i in rows]
    return (sum(apart) / len(apart)) / (sum(lengths) / len(lengths))


def common_share(maps: Tensor) -> float:
    """See :func:`reidlib.networks.health.common_share`."""
    mean = sum(maps) / len(maps)
    energies = [float((each**2).sum()) for each in maps]
    return float((mean**2).sum()) / (sum(energies) / len(energies))


def effective_rank(features: Tensor) -> float:
    """See :func:`reidlib.networks.health.effective_rank`."""
    centred = features.double() - features.double().mean(dim=0)
    values = [math.sqrt(max(0.0, float(each))) for each in torch.linalg.eigvalsh(centred @ centred.T)]
    shares = [value / sum(values) for value in values]
    return math.exp(-sum(each * math.log(each) for each in shares if each > 0))
