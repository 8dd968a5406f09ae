"""Circle loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.losses._common import check_labels, check_rows, full_precision, mean_over, pairs


def circle(
    anchors: Tensor,
    anchor_pids: Tensor,
    targets: Tensor | None = None,
    target_pids: Tensor | None = None,
    *,
    margin: float = 0.25,
    gamma: float = 64.0,
) -> Tensor:
    """Circle loss with pair labels, on cosine similarities s.

    ``mean_a softplus(logsumexp_n gamma [s_n + m]+ (s_n - m) + logsumexp_p -gamma [1 + m - s_p]+ (s_p - 1 + m))``, the
    bracketed weights without gradient. Documented: Sun et al., "Circle Loss: A Unified Perspective of Pair
    Similarity Optimization", CVPR 2020.

    Args:
        anchors: (N, D), normalised here.
        anchor_pids: (N,) integers.
        targets: (M, D), normalised here. ``None`` compares the anchors with one another, self pairs left out; given
            targets are all compared, also where one equals an anchor.
        target_pids: (M,) integers, with ``targets``.
        margin: m of the paper.
        gamma: scale of the similarities.

    Returns:
        Scalar >= 0: the mean over the anchors that have a positive and a negative, satisfied ones included.

    Raises:
        ValueError: a wrong shape or dtype, or only one of ``targets`` and ``target_pids`` given.
    """
    if (targets is None) != (target_pids is None):
        raise ValueError("give both targets and target_pids, or neither")
    anchors = check_rows("anchors", anchors)
    anchor_pids = check_labels("anchor_pids", anchor_pids, anchors)
    if targets is None:
        targets = anchors
        positive, negative = pairs(anchor_pids)
    else:
        targets = check_rows("targets", targets)
        if targets.shape[1] != anchors.shape[1]:
            raise ValueError(f"targets have {targets.shape[1]} dimensions, anchors {anchors.shape[1]}")
        positive = anchor_pids[:, None] == check_labels("target_pids", target_pids, targets)
        negative = ~positive
    with full_precision(anchors):
        similarities = F.normalize(anchors, dim=1) @ F.normalize(targets, dim=1).T
        constant = similarities.detach()
        pull = -gamma * F.relu(1 + margin - constant) * (similarities - 1 + margin)
        push = gamma * F.relu(constant + margin) * (similarities - margin)
        push = push.masked_fill(~negative, -torch.inf).logsumexp(dim=1)
        pull = pull.masked_fill(~positive, -torch.inf).logsumexp(dim=1)
        return mean_over(F.softplus(push + pull), positive.any(dim=1) & negative.any(dim=1))
