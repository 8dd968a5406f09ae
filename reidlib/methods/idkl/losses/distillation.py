"""Distillation and alignment, of graphs (TGSA) and of predictions (CSA)."""

import torch
from torch import Tensor

from reidlib.losses._common import check_labels, check_one_of, check_rows, distances, full_precision, mean_over
from reidlib.methods.idkl.losses import released
from reidlib.methods.idkl.losses.identities import check_equal, check_modality, exact, identities

PRESETS = ("paper", "released")


def tgsa(
    shared: Tensor,
    specific: Tensor,
    pids: Tensor,
    modality: Tensor,
    *,
    preset: str = "paper",
    half_block: bool | None = None,
) -> dict[str, Tensor]:
    """Triplet graph structure alignment (TGSA), on features before the BNNeck.

    ``"paper"``: for two kinds of features a and b, ``A_ab[p, q]`` is the mean Euclidean distance between the rows of a
    that show identity p and the rows of b that show identity q (the distance of a row to itself, 0, counts too), and
    ``T(a, b) = SKL(A_aa, A_bb) + SKL(A_aa, A_ab) + SKL(A_bb, A_ab)``, row p with row p. With f shared and s specific
    features, V visible and I infrared: ``intra = T(f_V, f_I)`` over the identities that show both, and
    ``distil = T(s_V, f_V) + T(s_I, f_I)``.

    ``"released"``: with ``D(x)`` the distances among n rows, at least 1e-3, without the diagonal, (n, n - 1), and f_H
    the first half of the visible rows followed by the first half of the infrared rows: ``distil = SKL(D(f_V), D(s_V))
    + SKL(D(f_I), D(s_I))`` and ``intra = SKL(D(f_V), D(f_I))``, in batches of 120 rows ``+ SKL(D(f_V), D(f_H)) +
    SKL(D(f_H), D(f_I))``.

    In both, far rows have the large shares: the softmax is that of +distance (documented: released code).

    Args:
        shared: (B, D), not normalised here.
        specific: (B, D), of the same images.
        pids: (B,) integers.
        modality: (B,), 0 visible, 1 infrared.
        preset: ``"paper"`` or ``"released"``, see :mod:`reidlib.methods.idkl.losses`.
        half_block: of ``"released"``: whether f_H takes part; ``None`` as in the released code, in batches of 120 rows.

    Returns:
        ``intra``, alignment of the modalities in the shared features, and ``distil``, from specific to shared: scalars
        >= 0; 0 where there are not two identities to compare.

    Raises:
        ValueError: a wrong shape, dtype or value, or rows that ``"released"`` cannot pair.
    """
    shared, specific, pids, modality = _checked(shared, specific, pids, modality, preset)
    with full_precision(shared):
        if preset == "released":
            return released.tgsa(shared, specific, modality, half_block)
        _, mean, shown = identities(pids, modality)
        pairs = (shared, shared), (specific, specific), (specific, shared)
        student, teacher, between = (exact(distances(*pair)) for pair in pairs)
        intra = [mean[m] @ student @ mean[n].T for m, n in ((0, 0), (1, 1), (0, 1))]
        distil = [[mean[m] @ graph @ mean[m].T for graph in (teacher, student, between)] for m in (0, 1)]
        terms = {
            "intra": _agreement(*intra, shown[0] & shown[1]),
            "distil": _agreement(*distil[0], shown[0]) + _agreement(*distil[1], shown[1]),
        }
        return {name: term.to(shared.dtype) for name, term in terms.items()}


def csa(
    shared_logits: Tensor, specific_logits: Tensor, pids: Tensor, modality: Tensor, *, preset: str = "paper"
) -> dict[str, Tensor]:
    """Class semantic alignment (CSA) of what the classifiers say, image by image and class by class.

    With z the logits of the shared and y those of the specific stream, V visible and I infrared, in both presets
    ``sample_distil = SKL(z_V, y_V) + SKL(z_I, y_I)``.

    ``"paper"``: ``sample_intra`` is the mean SKL over all pairs of a visible and an infrared image of one identity. The
    class terms compare the mean logits of each identity in each modality, a row for an identity: ``class_distil =
    SKL(mean z_V, mean y_V) + SKL(mean z_I, mean y_I)`` and ``class_intra = SKL(mean z_V, mean z_I)``.

    ``"released"``: ``sample_intra = SKL(z_V, z_I)``, paired by position. For the class terms, the n rows of a modality
    are cut into chunks of k rows, 2 k being the number of rows that show the first row's identity; the chunks lie side
    by side, (k, n / k · C), under one softmax: ``class_distil`` and ``class_intra`` are as the sample terms.

    Args:
        shared_logits: (B, C).
        specific_logits: (B, C), of the same images.
        pids: (B,) integers.
        modality: (B,), 0 visible, 1 infrared.
        preset: ``"paper"`` or ``"released"``, see :mod:`reidlib.methods.idkl.losses`.

    Returns:
        ``sample_intra``, ``sample_distil``, ``class_intra``, ``class_distil``: scalars >= 0, in nats.

    Raises:
        ValueError: a wrong shape, dtype or value, or rows that ``"released"`` cannot pair or cut.
    """
    z, y, pids, modality = _checked(shared_logits, specific_logits, pids, modality, preset)
    with full_precision(z):
        if preset == "released":
            return released.csa(z, y, pids, modality)
        same, mean, shown = identities(pids, modality)
        z_exact, y_exact = exact(z), exact(y)
        (z_visible, y_visible), (z_infrared, y_infrared) = ((mean[m] @ z_exact, mean[m] @ y_exact) for m in (0, 1))
        across = same & (modality == 0)[:, None] & (modality == 1)
        by_row = _divergence(z_exact, y_exact)
        by_class = _divergence(z_visible, y_visible), _divergence(z_infrared, y_infrared)
        terms = {
            "sample_intra": mean_over(_divergence_of_pairs(z_exact), across),
            "sample_distil": mean_over(by_row, modality == 0) + mean_over(by_row, modality == 1),
            "class_intra": mean_over(_divergence(z_visible, z_infrared), shown[0] & shown[1]),
            "class_distil": mean_over(by_class[0], shown[0]) + mean_over(by_class[1], shown[1]),
        }
        return {name: term.to(z.dtype) for name, term in terms.items()}


def _checked(
    shared: Tensor, specific: Tensor, pids: Tensor, modality: Tensor, preset: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    check_one_of("preset", preset, PRESETS)
    shared, specific = check_rows("shared", shared), check_rows("specific", specific)
    check_equal("specific", specific, "shared", shared)
    return shared, specific, check_labels("pids", pids, shared), check_modality(modality, shared)


def _agreement(aa: Tensor, bb: Tensor, ab: Tensor, chosen: Tensor) -> Tensor:
    """T(a, b) of :func:`tgsa`, over the rows and columns ``chosen`` (B,) of three matrices (B, B)."""
    least = torch.finfo(aa.dtype).min  # not -inf, which minus itself is NaN
    aa, bb, ab = (graph.masked_fill(~chosen, least) for graph in (aa, bb, ab))
    return mean_over(_divergence(aa, bb) + _divergence(aa, ab) + _divergence(bb, ab), chosen)


def _divergence(a: Tensor, b: Tensor) -> Tensor:
    """SKL row by row: (B, C), (B, C) -> (B,)."""
    log_a, log_b = a.log_softmax(dim=1), b.log_softmax(dim=1)
    return ((log_a.exp() - log_b.exp()) * (log_a - log_b)).sum(dim=1)


def _divergence_of_pairs(logits: Tensor) -> Tensor:
    """SKL of every row with every row: (B, C) -> (B, B). A small difference of larger numbers, hence :func:`exact`."""
    logs = logits.log_softmax(dim=1)
    expected = logs.exp() @ logs.T
    own = expected.diagonal()
    return own[:, None] + own - expected - expected.T
