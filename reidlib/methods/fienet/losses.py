"""Losses on feature centres: the mean of an identity's rows, or of those of one modality.

None of them looks at the order of the rows, and identities may have unequal numbers of rows. Distances of 0 have the
gradient 0. An identity's centre is computed once for each of its rows, and its first row speaks for it: sums over
identities then need no list of them, for whose length a GPU would have to be waited for.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.losses._common import check_labels, check_range, check_rows, describe, distances, full_precision, mean_over
from reidlib.networks.division import division


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
    """Pull features to the centre of their identity, push the centres of identities apart; on the unit sphere.

    With x the features and n(·) scaled to unit length, ``c_i^m = mean_k n(x_ik^m)`` is the centre of identity i in
    modality m, and ``c_i = n((c_i^V + c_i^I) / 2)`` that of the identity, in which both modalities count alike:

    * ``intra = mean_ikm ||n(x_ik^m) - c_i|| + beta mean_i ||n(c_i^V) - n(c_i^I)||``
    * ``inter = mean_{i≠j} max(0, margin - ||c_i - c_j||)``

    With a ``temperature`` T, the mean over k is weighted by ``softmax_k(log p(i | x_ik^m) / T)``, without gradient.

    Documented (Qi et al., "Fine-grained Learning for Visible-Infrared Person Re-identification", FIENet, ICME 2023,
    abstract): a loss on feature centres that uses relations within an identity and between identities. Reconstructed
    (ours, the abstract has no equation): the terms, after MPANet's loss (:func:`center_cluster`, its nearest published
    relative); unit length, without which centres of unrelated features would lie within the margin; beta, margin and
    the weights.

    Args:
        features: (N, D), normalised here.
        pids: (N,) integers.
        modality: (N,) 0 or 1; see :mod:`reidlib.networks.division`.
        margin: least distance between the centres of two identities, of at most 2.
        beta: weight of the distance between the two centres of an identity.
        temperature: T > 0; ``None`` for plain means. T → 0 takes the surest row of each modality for its centre.
        logits: (N, C) from which T takes ``p``, softmax over the classes; ``pids`` are then 0 to C - 1. ``None``: the
            cosines with the identities' plain centres take their place.

    Returns:
        ``intra``, a mean over the rows, and ``inter``, over the pairs of identities; both >= 0. An identity that lacks
        a modality has the other's centre, and does not count in the term of beta. ``inter`` of a single identity is 0.

    Raises:
        ValueError: a wrong shape, dtype, label or temperature, or a batch without rows of one modality.
    """
    if temperature is not None and not temperature > 0:
        raise ValueError(f"temperature must be None or more than 0, not {temperature!r}")
    features, same, rows = _grouped(features, pids, modality)
    with full_precision(features):
        features, first, certainty = F.normalize(features, dim=1), _first(same), None
        if temperature is not None:
            certainty = _log_probability(features, pids, rows, first, logits) / temperature
        means = [_means(features, chosen, certainty) for chosen in rows]
        centres = F.normalize(sum(means), dim=1)
        intra = torch.linalg.vector_norm(features - centres, dim=1).mean()
        if beta:
            gaps = torch.linalg.vector_norm(F.normalize(means[0], dim=1) - F.normalize(means[1], dim=1), dim=1)
            intra = intra + beta * mean_over(gaps, first & _paired(rows))
        return {"intra": intra, "inter": _push(centres, same, first, margin)}


def center_cluster(features: Tensor, pids: Tensor, *, margin: float = 0.7) -> Tensor:
    """Pull features to the centre of their identity, push the centres of identities apart; on the features as given.

    ``mean_k ||x_k - c_y(k)|| + mean_{i≠j} max(0, margin - ||c_i - c_j||)``, ``c_i`` the mean of all rows of identity i.
    Documented: Wu et al., "Discover Cross-Modality Nuances for Visible-Infrared Person Re-Identification" (MPANet),
    CVPR 2021, in its released code.

    Args:
        features: (N, D), not normalised here.
        pids: (N,) integers.
        margin: least distance between two centres.

    Returns:
        Scalar >= 0: a mean over the rows and one over the pairs of identities, 0 if there is one identity alone.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    features = check_rows("features", features)
    pids = check_labels("pids", pids, features)
    with full_precision(features):
        same = pids[:, None] == pids
        centres = _means(features, same)
        pull = torch.linalg.vector_norm(features - centres, dim=1).mean()
        return pull + _push(centres, same, _first(same), margin)


def hetero_center(features: Tensor, pids: Tensor, modality: Tensor, *, margin: float = 0.1) -> Tensor:
    """Pull the two modalities' centres of each identity together; on the features as given.

    ``sum_i max(0, ||c_i^V - c_i^I||² - margin)``, a sum over the identities. Documented: Zhu et al., "Hetero-Center
    Loss for Cross-Modality Person Re-Identification", Neurocomputing 2020; the margin is that of the released code.

    Args:
        features: (N, D), not normalised here.
        pids: (N,) integers.
        modality: (N,) 0 or 1; see :func:`identity_guided_center`.
        margin: a squared distance that is near enough.

    Returns:
        Scalar >= 0. Identities that lack a modality are left out.

    Raises:
        ValueError: a wrong shape or dtype, or a batch without rows of one modality.
    """
    features, same, rows = _grouped(features, pids, modality)
    with full_precision(features):
        gaps = (_means(features, rows[0]) - _means(features, rows[1])).square().sum(dim=1)
        return torch.where(_first(same) & _paired(rows), F.relu(gaps - margin), 0).sum()


def hetero_center_triplet(features: Tensor, pids: Tensor, modality: Tensor, *, margin: float = 0.3) -> Tensor:
    """Triplet loss on centres: an identity's centre in the other modality is nearer than any centre of another one.

    ``mean max(0, margin + ||c_i^m - c_i^m'|| - min_{j≠i, any modality} ||c_i^m - c_j||)`` over identities i and
    modalities m. Documented: Liu et al., "Parameter Sharing Exploration and Hetero-Center Triplet Loss for
    Visible-Thermal Person Re-Identification", IEEE Transactions on Multimedia 2021; the mean is that of the released
    code.

    Args:
        features: (N, D), not normalised here.
        pids: (N,) integers.
        modality: (N,) 0 or 1; see :func:`identity_guided_center`.
        margin: in units of distance.

    Returns:
        Scalar >= 0: the mean over the centres that have a positive and a negative. The centre of an identity that lacks
        a modality is a negative alone.

    Raises:
        ValueError: a wrong shape or dtype, or a batch without rows of one modality.
    """
    features, same, rows = _grouped(features, pids, modality)
    with full_precision(features):
        visible, infrared = (_means(features, chosen) for chosen in rows)
        to_positive = torch.linalg.vector_norm(visible - infrared, dim=1).repeat(2)
        exists = torch.cat([_first(same) & chosen.any(dim=1) for chosen in rows])
        negative = ~same.repeat(2, 2) & exists
        apart = distances(torch.cat([visible, infrared]))
        to_negative = apart.masked_fill(~negative, torch.inf).amin(dim=1)
        usable = exists & _paired(rows).repeat(2) & negative.any(dim=1)
        return mean_over(F.relu(margin + to_positive - to_negative), usable)


def _grouped(features: Tensor, pids: Tensor, modality: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Checked features; pairs of one identity (N, N), and those whose second row is visible, and infrared."""
    features = check_rows("features", features)
    pids = check_labels("pids", pids, features)
    visible = check_labels("modality", modality, features) == 0
    counts = division(modality, 2).counts
    for number, name in enumerate(("visible", "infrared")):
        if not counts[number]:
            raise ValueError(
                f"the batch has no row of modality {number} ({name}), but these centres need both: draw batches with "
                "reidlib.data.PKSampler, or leave the loss out"
            )
    same = pids[:, None] == pids
    return features, same, (same & visible, same & ~visible)


def _first(same: Tensor) -> Tensor:
    """Mask (N,) of each identity's first row; ``same`` (N, N) are pairs of one identity."""
    return ~same.tril(-1).any(dim=1)


def _paired(rows: tuple[Tensor, Tensor]) -> Tensor:
    """Mask (N,) of the rows whose identity has both modalities."""
    return rows[0].any(dim=1) & rows[1].any(dim=1)


def _means(features: Tensor, rows: Tensor, certainty: Tensor | None = None) -> Tensor:
    """Mean (N, D) of the features in each row of the mask ``rows`` (N, N), 0 where it is empty.

    Weighted by the softmax of ``certainty`` (N,), if given.
    """
    if certainty is None:
        return (rows / rows.sum(dim=1, keepdim=True).clamp(min=1)).to(features.dtype) @ features
    weights = certainty.expand_as(rows).masked_fill(~rows, torch.finfo(certainty.dtype).min).softmax(dim=1)
    return (weights * rows).to(features.dtype) @ features


@torch.no_grad()
def _log_probability(
    features: Tensor, pids: Tensor, rows: tuple[Tensor, Tensor], first: Tensor, logits: Tensor | None
) -> Tensor:
    """How probable (N,) its identity is for each row, by the logits or by the cosines with plain centres."""
    if logits is None:
        cosines = features @ F.normalize(_means(features, rows[0]) + _means(features, rows[1]), dim=1).T
        return cosines.diagonal() - cosines.masked_fill(~first, -torch.inf).logsumexp(dim=1)
    logits = check_rows("logits", logits)
    if len(logits) != len(features):
        raise ValueError(f"logits are {describe(logits)}, but there are {len(features)} features")
    check_range("pids", pids, logits.shape[1], "columns of logits")
    return F.log_softmax(logits, dim=1).gather(1, pids.to(logits.device)[:, None].long())[:, 0]


def _push(centres: Tensor, same: Tensor, first: Tensor, margin: float) -> Tensor:
    """Mean of ``max(0, margin - distance)`` over the pairs of identities, 0 if there is none."""
    return mean_over(F.relu(margin - distances(centres)), ~same & first & first[:, None])
