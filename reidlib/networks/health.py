"""Is a network alive? Numbers that tell features that differ from features that have collapsed onto one another.

A metric loss with a margin can come to rest by drawing all features together: it then stays at its margin, and nothing
is learned from it. Each number has one definition, used wherever it is stated; :mod:`reidlib.networks.reference` has
them as plain loops.
"""

import torch
from torch import Tensor

from reidlib.losses._common import check_labels, check_rows, distances, full_precision, pairs


def spread(features: Tensor, pids: Tensor) -> Tensor:
    """Mean distance between features of different people, in units of their mean length: how far apart they are.

    Args:
        features: (N, D), before the BNNeck; pids: (N,) integers.

    Returns:
        Scalar from 0 (all the same) on; 1.41 for directions that have nothing in common; NaN if all are one person's.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    features = check_rows("features", features)
    _, different = pairs(check_labels("pids", pids, features))
    with full_precision(features):
        lengths = torch.linalg.vector_norm(features, dim=1).mean()
        return (distances(features) * different).sum() / different.sum() / lengths.clamp(min=1e-30)


def common_share(maps: Tensor) -> Tensor:
    """The share of energy that all maps have in common: squared length of the mean map over the mean squared length.

    Args:
        maps: (N, …): feature maps, or features.

    Returns:
        Scalar from 0 (nothing in common; of N maps about 1/N) to 1 (all the same).
    """
    maps = maps.flatten(1).float()
    return share(maps.mean(dim=0).square().sum(), maps.square().sum(dim=1).mean())


def share(squared_mean: Tensor, mean_squared: Tensor) -> Tensor:
    """`common_share` from its two parts, for maps that are summed up batch by batch."""
    return squared_mean / mean_squared.clamp(min=1e-30)


def effective_rank(features: Tensor) -> Tensor:
    """In how many directions features differ: exp of the entropy of the singular values of the centred features.

    Documented: Roy & Vetterli, "The effective rank", EUSIPCO 2007 (there of any matrix).

    Args:
        features: (N, D). On a GPU the result is waited for.

    Returns:
        Scalar from 1 (all on a line) to min(N - 1, D); 0 if all are the same.
    """
    features = check_rows("features", features).double()
    values = torch.linalg.svdvals(features - features.mean(dim=0))
    total = values.sum()
    weights = values / total.clamp(min=1e-30)
    return torch.where(total > 1e-12 * len(features), torch.special.entr(weights).sum().exp(), 0.0).float()
