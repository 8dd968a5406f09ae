"""Losses that bring two predictions into agreement."""

import torch.nn.functional as F
from torch import Tensor

from reidlib.losses._common import check_rows, describe, full_precision


def symmetric_kl(logits_a: Tensor, logits_b: Tensor) -> Tensor:
    """Kullback-Leibler divergence of two predictions, both directions added, temperature 1.

    ``mean_i KL(a_i || b_i) + KL(b_i || a_i)`` with a and b the softmax of the rows; both sides receive gradient.
    Documented: IDKL's released code (Ren and Zhang, CVPR 2024), which detaches neither side.

    Args:
        logits_a: (N, C).
        logits_b: (N, C), row i compared with row i of ``logits_a``.

    Returns:
        Scalar >= 0, in nats: the mean over the N rows.

    Raises:
        ValueError: a wrong or unequal shape, or a wrong dtype.
    """
    logits_a, logits_b = check_rows("logits_a", logits_a), check_rows("logits_b", logits_b)
    if logits_a.shape != logits_b.shape:
        raise ValueError(f"logits_a is {describe(logits_a)}, logits_b is {describe(logits_b)}; give equal shapes")
    with full_precision(logits_a):
        log_a, log_b = F.log_softmax(logits_a, dim=1), F.log_softmax(logits_b, dim=1)
        return ((log_a.exp() - log_b.exp()) * (log_a - log_b)).sum(dim=1).mean()
