"""What keeps the two streams apart: the losses of the information purifier, and the labels of the modality confuser."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from reidlib.losses._common import check_labels, check_rows, describe, full_precision, mean_over
from reidlib.methods.idkl.losses.identities import check_equal, check_modality, exact, identities

Classifier = Callable[[Tensor], Tensor]


def purifier(
    raw: Tensor,
    gated: Tensor,
    raw_normed: Tensor,
    gated_normed: Tensor,
    classifier: Classifier,
    pids: Tensor,
    modality: Tensor,
    *,
    margin: float = 0.0,
) -> dict[str, Tensor]:
    """What gating is to achieve: predictions that are surer, modalities that lie closer. Documented (released code).

    ``entropy = mean_b exp([H(gated_b) - H(raw_b) + margin]+) - 1``, H the entropy of the classifier's softmax, and
    ``centroid = mean_p [g_p(gated_normed) - g_p(raw_normed) + margin]+``, g_p the Euclidean distance between the
    centroids of identity p's visible and infrared rows, over the identities that show both.

    Gates between 0 and 1 shrink what they multiply, and distances with it: with margin 0, ``centroid`` may be satisfied
    from the start. :func:`purifier_hinges` counts.

    Args:
        raw: (B, D), the specific map before its gate, pooled.
        gated: (B, D), the same after it.
        raw_normed: (B, D), the instance-normalised map before its gate, pooled.
        gated_normed: (B, D), the same after it.
        classifier: (B, D) -> logits (B, C).
        pids: (B,) integers.
        modality: (B,), 0 visible, 1 infrared.
        margin: of both hinges: in nats, and in units of distance.

    Returns:
        ``entropy`` and ``centroid``: scalars >= 0; ``centroid`` is 0 if no identity shows both modalities.

    Raises:
        ValueError: a wrong shape, dtype or value.
    """
    entropy, centroid = _gaps(raw, gated, raw_normed, gated_normed, classifier, pids, modality)
    return {
        "entropy": mean_over((entropy.values + margin).relu().expm1(), entropy.usable),
        "centroid": mean_over((centroid.values + margin).relu(), centroid.usable),
    }


@torch.no_grad()
def purifier_hinges(*arguments: Tensor | Classifier, margin: float = 0.0) -> dict[str, Tensor]:
    """How many hinges of :func:`purifier`, whose arguments these are, are above zero, and how many there are.

    Returns:
        ``entropy`` (images) and ``centroid`` (identities): (2,) integers, those above zero and all.
    """
    entropy, centroid = _gaps(*arguments)
    return {
        name: torch.stack([((gaps.values + margin > 0) & gaps.usable).sum(), gaps.usable.sum()])
        for name, gaps in (("entropy", entropy), ("centroid", centroid))
    }


def confusion_labels(modality: Tensor) -> Tensor:
    """Pseudo-labels for the modality confuser: every second row of each modality, from its second on, is wrong.

    In any order, half of each modality is wrong (rounded down). No network can then do better than to call both
    modalities equally likely, for a cross-entropy of ln 2. Documented (released code), with the same labels where
    modalities alternate, as there, and B divides by four.

    Args:
        modality: (B,) integers, 0 or 1.

    Returns:
        (B,) int64, on the device of ``modality``.

    Raises:
        ValueError: a wrong shape, dtype or value.
    """
    if not isinstance(modality, Tensor) or modality.ndim != 1:
        raise ValueError(f"modality must be an integer tensor of shape (B,), not {describe(modality)}")
    is_infrared = check_modality(modality, modality) == 1
    number = torch.where(is_infrared, is_infrared.cumsum(0), (~is_infrared).cumsum(0))  # from 1, in its modality
    return (is_infrared ^ (number % 2 == 0)).long()


class _Gaps(NamedTuple):
    """By how much gating makes each row worse, (B,), and which of these values count, (B,)."""

    values: Tensor
    usable: Tensor


def _gaps(
    raw: Tensor,
    gated: Tensor,
    raw_normed: Tensor,
    gated_normed: Tensor,
    classifier: Classifier,
    pids: Tensor,
    modality: Tensor,
) -> tuple[_Gaps, _Gaps]:
    given = {"raw": raw, "gated": gated, "raw_normed": raw_normed, "gated_normed": gated_normed}
    given = {name: check_rows(name, rows) for name, rows in given.items()}
    raw, gated, raw_normed, gated_normed = given.values()
    for name, rows in given.items():
        check_equal(name, rows, "raw", raw)
    _, mean, shown = identities(check_labels("pids", pids, raw), check_modality(modality, raw))

    def entropy(rows: Tensor) -> Tensor:
        logs = classifier(rows).log_softmax(dim=1)
        return -(logs.exp() * logs).sum(dim=1)

    def separation(rows: Tensor) -> Tensor:
        visible, infrared = mean @ exact(rows)
        return torch.linalg.vector_norm(visible - infrared, dim=1)  # with gradient 0 at 0

    with full_precision(raw):
        surer = entropy(gated) - entropy(raw)
        closer = (separation(gated_normed) - separation(raw_normed)).to(raw.dtype)
    return _Gaps(surer, torch.ones_like(surer, dtype=torch.bool)), _Gaps(closer, shown[0] & shown[1])
