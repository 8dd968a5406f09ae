"""Metrics between the features of a batch and one learned reference, or several, per identity."""

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.losses._common import check_labels, check_range, check_rows, describe, full_precision, mean_over

FORMS = ("circle", "amsoftmax", "ce")


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
    """Pull features to the proxies of their identity, push them from those of the others; on cosine similarities s.

    ``mean_a log(1 + sum_n exp(push(s_n)) · sum_p exp(pull(s_p)))``. A proxy is a positive p of the features of its
    identity and a negative n of all others; so is each of its past states in ``memory``. The forms, with scale γ and
    margin m:

    * ``"circle"``: push = γ [s + m]+ (s − m), pull = −γ [1 + m − s]+ (s − 1 + m), the brackets without gradient.
      Documented: Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", CVPR 2020.
    * ``"amsoftmax"``: push = γ s, pull = −γ (s − m). Without memory, cross-entropy of γ s with m taken off the
      similarity of the right class. Documented: Wang et al., "Additive Margin Softmax for Face Verification", 2018;
      for several positives: the unified loss of Sun et al.
    * ``"ce"``: the same with m = 0: without memory, cross-entropy of γ s.

    For MAUM (Liu et al., CVPR 2022) it is documented that features are drawn to proxies of now and of before, and at
    second hand that its metrics are built on circle loss; this equation, γ and m are reconstructed (ours).

    Args:
        features: (N, D), normalised here.
        proxies: (C, D), normalised here: row c stands for identity c. They receive gradient if they require it; as
            static references, pass ``proxies.detach()``.
        pids: (N,) integers, 0 to C − 1.
        memory: (T, C, D), T past states of the proxies, normalised here; they never receive gradient.
        form: ``"circle"``, ``"amsoftmax"`` or ``"ce"``.
        margin: m, not used by ``"ce"``.
        scale: γ.
        memory_negatives: ``False`` takes only positives from the memory.

    Returns:
        Scalar >= 0: the mean over the features; 0 if there is only one identity.

    Raises:
        ValueError: a wrong shape, dtype or label, or an unknown form.
    """
    if form not in FORMS:
        raise ValueError(f"unknown form {form!r}; choose one of: {', '.join(FORMS)}")
    features, proxies = check_rows("features", features), check_rows("proxies", proxies)
    pids = check_labels("pids", pids, features).long()
    if proxies.shape[1] != features.shape[1]:
        raise ValueError(f"proxies have {proxies.shape[1]} dimensions, features {features.shape[1]}")
    check_range("pids", pids, len(proxies), "rows of proxies")
    references = proxies[None]
    if memory is not None:
        if not isinstance(memory, Tensor) or not memory.is_floating_point() or memory.shape[1:] != proxies.shape:
            shape = ", ".join(map(str, proxies.shape))
            raise ValueError(f"memory must be a floating tensor of shape (T, {shape}), not {describe(memory)}")
        references = torch.cat([references, memory.detach().to(proxies)])
    with full_precision(features):
        references = F.normalize(references, dim=2).to(features.dtype)
        similarities = torch.einsum("nd,rcd->nrc", F.normalize(features, dim=1), references)
        own = pids[:, None, None].expand(-1, len(references), 1)
        pull, push = _exponents(similarities.gather(2, own), similarities, form, margin)
        push = push.scatter(2, own, -torch.inf)[:, : None if memory_negatives else 1]
        hardness = (scale * push).flatten(1).logsumexp(dim=1) + (scale * pull).flatten(1).logsumexp(dim=1)
        return mean_over(F.softplus(hardness), torch.full_like(pids, len(proxies) > 1, dtype=torch.bool))


def _exponents(positive: Tensor, negative: Tensor, form: str, margin: float) -> tuple[Tensor, Tensor]:
    """``pull`` and ``push`` of a form, not scaled yet."""
    if form == "circle":
        push = F.relu(negative.detach() + margin) * (negative - margin)
        return F.relu(1 + margin - positive.detach()) * (1 - margin - positive), push
    return (margin if form == "amsoftmax" else 0) - positive, negative
