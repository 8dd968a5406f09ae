"""The same losses as loops over anchors: slow, one line per line of the equation. Test oracles and lesson material."""

from collections.abc import Sequence

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
    return _mean(losses, features)


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
    return _mean(losses, features)


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
    return _mean(losses, anchors)


def symmetric_kl(logits_a: Tensor, logits_b: Tensor) -> Tensor:
    """See :func:`reidlib.losses.symmetric_kl`."""
    losses = []
    for a, b in zip(logits_a.softmax(dim=1), logits_b.softmax(dim=1), strict=True):
        losses.append((a * torch.log(a / b)).sum() + (b * torch.log(b / a)).sum())
    return _mean(losses, logits_a)


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
    """See :func:`reidlib.losses.proxy_metric`."""
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
    return _mean(losses, features)


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
    """See :func:`reidlib.losses.identity_guided_center`."""
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
        _distance_of(x, _unit(sum(centres[identities.index(pid)])))
        for x, pid in zip(features, pids.tolist(), strict=True)
    ]
    gaps = [_distance_of(_unit(pair[0]), _unit(pair[1])) for pair in centres if len(pair) == 2]
    return {
        "intra": _mean(intra, features) + beta * _mean(gaps, features),
        "inter": _mean(_hinges([_unit(sum(pair)) for pair in centres], margin), features),
    }


def center_cluster(features: Tensor, pids: Tensor, *, margin: float = 0.7) -> Tensor:
    """See :func:`reidlib.losses.center_cluster`."""
    centres = {pid: features[pids == pid].mean(dim=0) for pid in sorted(set(pids.tolist()))}
    pull = [_distance_of(feature, centres[pid]) for feature, pid in zip(features, pids.tolist(), strict=True)]
    return _mean(pull, features) + _mean(_hinges(list(centres.values()), margin), features)


def hetero_center(features: Tensor, pids: Tensor, modality: Tensor, *, margin: float = 0.1) -> Tensor:
    """See :func:`reidlib.losses.hetero_center`."""
    loss = 0 * features.sum()
    for pid in set(pids.tolist()):
        centres = _modality_centres(features, pids, modality, pid)
        if len(centres) == 2:
            loss = loss + F.relu((centres[0] - centres[1]).square().sum() - margin)
    return loss


def hetero_center_triplet(features: Tensor, pids: Tensor, modality: Tensor, *, margin: float = 0.3) -> Tensor:
    """See :func:`reidlib.losses.hetero_center_triplet`."""
    centres = {pid: _modality_centres(features, pids, modality, pid) for pid in sorted(set(pids.tolist()))}
    losses = []
    for pid, pair in centres.items():
        negatives = [centre for other in centres if other != pid for centre in centres[other]]
        if len(pair) == 2 and negatives:
            for anchor, positive in (pair, pair[::-1]):
                nearest = min(_distance_of(anchor, negative) for negative in negatives)
                losses.append(F.relu(margin + _distance_of(anchor, positive) - nearest))
    return _mean(losses, features)


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
    return [F.relu(margin - _distance_of(one, other)) for one, other in pairs]


def style_distance(maps: Sequence[Tensor], donor_maps: Sequence[Tensor], usable: Tensor | None = None) -> Tensor:
    """See :func:`reidlib.losses.style_distance`."""
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
    return _mean(losses, maps[0])


def structure_drift(drawings: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
    """See :func:`reidlib.losses.structure_drift`."""
    losses = []
    for drawing, edge, foreground in zip(drawings, edges, mask, strict=True):
        losses.append((foreground * abs(drawing - edge)).sum() / foreground.sum())
    return _mean(losses, drawings)


def mask_cross_entropy(logits: Tensor, pseudo_masks: Tensor) -> Tensor:
    """See :func:`reidlib.losses.mask_cross_entropy`."""
    losses = []
    for logit, target in zip(logits.flatten(), pseudo_masks.flatten(), strict=True):
        probability = 1 / (1 + torch.exp(-logit))
        losses.append(-target * torch.log(probability) - (1 - target) * torch.log(1 - probability))
    return _mean(losses, logits)


def _others(pids: Tensor, anchor: int, *, same: bool) -> list[int]:
    return [other for other in range(len(pids)) if other != anchor and (pids[other] == pids[anchor]).item() is same]


def _distance(features: Tensor, anchor: int, other: int) -> Tensor:
    return _distance_of(features[anchor], features[other])


def _distance_of(one: Tensor, other: Tensor) -> Tensor:
    return torch.linalg.vector_norm(one - other)


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def _mean(losses: list[Tensor], rows: Tensor) -> Tensor:
    return torch.stack(losses).mean() if losses else 0 * rows.sum()
