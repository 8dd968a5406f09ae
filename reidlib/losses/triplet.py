"""Triplet losses over all pairs of a batch."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.losses._common import check_labels, check_one_of, check_rows, distances, full_precision, mean_over, pairs


def batch_hard_triplet(features: Tensor, pids: Tensor, *, margin: float = 0.3) -> Tensor:
    """Triplet loss with the hardest positive and the hardest negative of each anchor.

    ``mean_a max(0, margin + max_p d(a, p) - min_n d(a, n))``, d Euclidean on the features as given.
    Documented: Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", 2017.

    Args:
        features: (N, D), not normalised here.
        pids: (N,) integers.
        margin: in units of distance.

    Returns:
        Scalar >= 0: the mean over the anchors that have a positive and a negative, satisfied ones included.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    features = check_rows("features", features)
    pids = check_labels("pids", pids, features)
    positive, negative = pairs(pids)
    with full_precision(features):
        with torch.no_grad():
            apart = distances(features)
            hardest_positive = apart.masked_fill(~positive, -torch.inf).argmax(dim=1)
            hardest_negative = apart.masked_fill(~negative, torch.inf).argmin(dim=1)
        # Only the mined pairs need a gradient: N differences instead of N * N. The gradient of the norm at 0 is 0.
        to_positive = torch.linalg.vector_norm(features - features[hardest_positive], dim=1)
        to_negative = torch.linalg.vector_norm(features - features[hardest_negative], dim=1)
        return mean_over(F.relu(margin + to_positive - to_negative), positive.any(dim=1) & negative.any(dim=1))


def weighted_regularised_triplet(features: Tensor, pids: Tensor, *, self_pairs: bool = False) -> Tensor:
    """Triplet loss without a margin, every pair weighted by its hardness.

    ``mean_a softplus(sum_p w_ap d(a, p) - sum_n w_an d(a, n))`` with ``w_ap = softmax_p d(a, p)`` and
    ``w_an = softmax_n -d(a, n)``, d Euclidean on the features as given; the weights carry gradient.
    Documented: Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook" (AGW), TPAMI 2021.

    Args:
        features: (N, D), not normalised here.
        pids: (N,) integers.
        self_pairs: ``True`` counts each anchor as a positive of itself, at distance 0, as AGW's released code does;
            that matters only where distances are not large against 1.

    Returns:
        Scalar > 0: the mean over the anchors that have a positive and a negative.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    features = check_rows("features", features)
    pids = check_labels("pids", pids, features)
    positive, negative = pairs(pids)
    if self_pairs:
        positive = ~negative
    with full_precision(features):
        apart = distances(features)
        far_positive = (_softmax(apart, positive) * apart).sum(dim=1)
        near_negative = (_softmax(-apart, negative) * apart).sum(dim=1)
        return mean_over(F.softplus(far_positive - near_negative), positive.any(dim=1) & negative.any(dim=1))


TRIPLETS = {"batch-hard": batch_hard_triplet, "weighted": weighted_regularised_triplet}
"""The triplet losses by the names that models and recipes know them by."""


def triplet_of_a_point(name: str, margin: float = 0.3) -> float:
    """The value of a triplet loss if all features are the same: its margin, or log 2 for the weighted one.

    A loss that does not fall below it does no better than a network that tells nobody apart.

    Raises:
        ValueError: an unknown name.
    """
    check_one_of("triplet", name, TRIPLETS)
    return float(margin) if name == "batch-hard" else math.log(2)


def _softmax(values: Tensor, mask: Tensor) -> Tensor:
    """Softmax of each row over its masked entries, 0 elsewhere; all 0, with gradient 0, for a row without any."""
    return values.masked_fill(~mask, torch.finfo(values.dtype).min).softmax(dim=1) * mask
