"""The shared losses as loops over anchors: slow, one line per line of the equation. Test oracles, lesson material."""

import torch
import torch.nn.functional as F
from torch import Tensor


def batch_hard_triplet(features: Tensor, pids: Tensor, *, margin: float = 0.3) -> Tensor:
    """See :func:`reidlib.losses.batch_hard_triplet`."""
    losses = []
    for anchor in range(len(pids)):
        positives = [_distance(features, anchor, other) for other in _others(pids, anchor, same=True)]
        negatives = [_distance(features, anchor, other) for other in _others(pids, anchor, same=False)]
        if positives and negatives:
            losses.append(F.relu(margin + max(positives) - min(negatives)))
    return mean(losses, features)


def weighted_regularised_triplet(features: Tensor, pids: Tensor, *, self_pairs: bool = False) -> Tensor:
    """See :func:`reidlib.losses.weighted_regularised_triplet`."""
    losses = []
    for anchor in range(len(pids)):
        positives = [_distance(features, anchor, other) for other in _others(pids, anchor, same=True)]
        negatives = [_distance(features, anchor, other) for other in _others(pids, anchor, same=False)]
        if self_pairs:
            positives.append(features.new_zeros(()))
        if positives and negatives:
            far, near = torch.stack(positives), torch.stack(negatives)
            far, near = (far.softmax(dim=0) * far).sum(), ((-near).softmax(dim=0) * near).sum()
            losses.append(torch.log(1 + torch.exp(far - near)))
    return mean(losses, features)


def circle(
    anchors: Tensor,
    anchor_pids: Tensor,
    targets: Tensor | None = None,
    target_pids: Tensor | None = None,
    *,
    margin: float = 0.25,
    gamma: float = 64.0,
) -> Tensor:
    """See :func:`reidlib.losses.circle`."""
    self_pairs = targets is not None
    targets, target_pids = (anchors, anchor_pids) if targets is None else (targets, target_pids)
    losses = []
    for i, anchor in enumerate(anchors):
        pull, push = [], []
        for j, target in enumerate(targets):
            similarity = anchor @ target / (anchor.norm() * target.norm())
            if anchor_pids[i] != target_pids[j]:
                weight = (similarity.detach() + margin).clamp(min=0)
                push.append(torch.exp(gamma * weight * (similarity - margin)))
            elif i != j or self_pairs:
                weight = (1 + margin - similarity.detach()).clamp(min=0)
                pull.append(torch.exp(-gamma * weight * (similarity - (1 - margin))))
        if pull and push:
            losses.append(torch.log(1 + sum(push) * sum(pull)))
    return mean(losses, anchors)


def symmetric_kl(logits_a: Tensor, logits_b: Tensor) -> Tensor:
    """See :func:`reidlib.losses.symmetric_kl`."""
    losses = []
    for a, b in zip(logits_a.softmax(dim=1), logits_b.softmax(dim=1), strict=True):
        losses.append((a * torch.log(a / b)).sum() + (b * torch.log(b / a)).sum())
    return mean(losses, logits_a)


def _others(pids: Tensor, anchor: int, *, same: bool) -> list[int]:
    return [other for other in range(len(pids)) if other != anchor and (pids[other] == pids[anchor]).item() is same]


def _distance(features: Tensor, anchor: int, other: int) -> Tensor:
    return distance(features[anchor], features[other])


def distance(one: Tensor, other: Tensor) -> Tensor:
    """Euclidean distance of two vectors."""
    return torch.linalg.vector_norm(one - other)


def mean(losses: list[Tensor], rows: Tensor) -> Tensor:
    """Mean of the losses; 0, attached to the graph of ``rows``, if there are none."""
    return torch.stack(losses).mean() if losses else 0 * rows.sum()
