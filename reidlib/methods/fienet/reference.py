"""The losses of losses.py as loops: slow, one line per line of the equation. Test oracles and lesson material."""

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.losses.reference import distance, mean


def identity_guided_center(
    features: Tensor,
    pids: Tensor,
    modality: Tensor,
    *,
    margin: float = 0.7,
    beta: float = 0.0,
    temperature: float | None = None,
    logits: Tensor | None = None,
) -> dict[str, Tensor]:
    """See :func:`reidlib.methods.fienet.losses.identity_guided_center`."""
    features = torch.stack([feature / feature.norm() for feature in features])
    identities = sorted(set(pids.tolist()))
    plain = [_unit(sum(_modality_centres(features, pids, modality, pid))) for pid in identities]
    weights = torch.ones_like(features[:, 0])
    if temperature is not None:
        for row, pid in enumerate(pids.tolist()):
            cosines = torch.stack([features[row] @ centre for centre in plain])
            scores, own = (cosines, identities.index(pid)) if logits is None else (logits[row], pid)
            weights[row] = (scores.softmax(dim=0)[own] ** (1 / temperature)).detach()
    centres = [_modality_centres(features, pids, modality, pid, weights) for pid in identities]
    intra = [
        distance(x, _unit(sum(centres[identities.index(pid)]))) for x, pid in zip(features, pids.tolist(), strict=True)
    ]
    gaps = [distance(_unit(pair[0]), _unit(pair[1])) for pair in centres if len(pair) == 2]
    return {
        "intra": mean(intra, features) + beta * mean(gaps, features),
        "inter": mean(_hinges([_unit(sum(pair)) for pair in centres], margin), features),
    }


def center_cluster(features: Tensor, pids: Tensor, *, margin: float = 0.7) -> Tensor:
    """See :func:`reidlib.methods.fienet.losses.center_cluster`."""
    centres = {pid: features[pids == pid].mean(dim=0) for pid in sorted(set(pids.tolist()))}
    pull = [distance(feature, centres[pid]) for feature, pid in zip(features, pids.tolist(), strict=True)]
    return mean(pull, features) + mean(_hinges(list(centres.values()), margin), features)


def hetero_center(features: Tensor, pids: Tensor, modality: Tensor, *, margin: float = 0.1) -> Tensor:
    """See :func:`reidlib.methods.fienet.losses.hetero_center`."""
    loss = 0 * features.sum()
    for pid in set(pids.tolist()):
        centres = _modality_centres(features, pids, modality, pid)
        if len(centres) == 2:
            loss = loss + F.relu((centres[0] - centres[1]).square().sum() - margin)
    return loss


def hetero_center_triplet(features: Tensor, pids: Tensor, modality: Tensor, *, margin: float = 0.3) -> Tensor:
    """See :func:`reidlib.methods.fienet.losses.hetero_center_triplet`."""
    centres = {pid: _modality_centres(features, pids, modality, pid) for pid in sorted(set(pids.tolist()))}
    losses = []
    for pid, pair in centres.items():
        negatives = [centre for other in centres if other != pid for centre in centres[other]]
        if len(pair) == 2 and negatives:
            for anchor, positive in (pair, pair[::-1]):
                nearest = min(distance(anchor, negative) for negative in negatives)
                losses.append(F.relu(margin + distance(anchor, positive) - nearest))
    return mean(losses, features)


def _modality_centres(
    features: Tensor, pids: Tensor, modality: Tensor, pid: int, weights: Tensor | None = None
) -> list[Tensor]:
    """The weighted mean of the identity's features in each modality that it has."""
    weights = torch.ones_like(features[:, 0]) if weights is None else weights
    centres = []
    for number in (0, 1):
        rows = [row for row in range(len(pids)) if pids[row] == pid and modality[row] == number]
        if rows:
            centres.append(sum(weights[row] * features[row] for row in rows) / sum(weights[row] for row in rows))
    return centres


def _hinges(centres: list[Tensor], margin: float) -> list[Tensor]:
    count = len(centres)
    pairs = [(centres[i], centres[j]) for i in range(count) for j in range(count) if i != j]
    return [F.relu(margin - distance(one, other)) for one, other in pairs]


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()
