"""What the losses share: checks of arguments, full precision, and the mean over usable anchors."""

from collections.abc import Iterable

import torch
from torch import Tensor


def check_one_of(what: str, value: object, known: Iterable[object]) -> None:
    """Raise ``ValueError``, with what there is, for a name that is not ``known``."""
    if value not in (names := tuple(known)):
        raise ValueError(f"unknown {what} {value!r}; choose one of: {', '.join(map(str, names))}")


def check_rows(name: str, rows: Tensor) -> Tensor:
    """Return ``rows`` (N, D) in float32 or better, with at least one row.

    Raises:
        ValueError: not a floating tensor of two dimensions with at least one row.
    """
    if not isinstance(rows, Tensor) or not rows.is_floating_point() or rows.ndim != 2 or len(rows) == 0:
        raise ValueError(f"{name} must be a floating tensor of shape (N, D) with N >= 1, not {describe(rows)}")
    return rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows


def check_labels(name: str, labels: Tensor, rows: Tensor) -> Tensor:
    """Return ``labels`` (N,) on the device of ``rows`` (N, D).

    Raises:
        ValueError: not one integer for each row.
    """
    integer = isinstance(labels, Tensor) and not (labels.is_floating_point() or labels.is_complex())
    if not integer or labels.dtype == torch.bool or labels.shape != rows.shape[:1]:
        raise ValueError(f"{name} must be an integer tensor of shape ({len(rows)},), not {describe(labels)}")
    return labels.to(rows.device)


def describe(value: object) -> str:
    """Type, dtype and shape of a value, for error messages."""
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def full_precision(rows: Tensor) -> torch.autocast:
    """A context in which autocast does not lower the precision of operations on ``rows``."""
    return torch.autocast(rows.device.type, enabled=False)


def pairs(pids: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (N, N) of positive pairs (same identity, without self pairs) and of negative pairs."""
    same = pids[:, None] == pids
    return same & ~torch.eye(len(pids), dtype=torch.bool, device=pids.device), ~same


def distances(rows: Tensor, others: Tensor | None = None) -> Tensor:
    """Euclidean distances (N, M), by default among ``rows`` (N, D) themselves; gradient 0, not NaN, at distance 0.

    Of float32 rows: from products of centred rows in float64, many times faster than from differences. Errors are below
    1e-8 of the length of the centred rows, or 1e-6 of a distance from 2e-5 of that length on; what is nearer than
    1.2e-7 of it counts as equal. Of float64 rows, and where there is no float64 (MPS): from differences.
    """
    others = rows if others is None else others
    if rows.dtype == torch.float64 or rows.device.type == "mps":
        return torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist")
    centre = rows.detach().mean(dim=0, dtype=torch.float64)  # so that near duplicates far from 0 are told apart
    a, b = rows.double() - centre, others.double() - centre
    lengths = torch.linalg.vecdot(a, a)[:, None] + torch.linalg.vecdot(b, b)
    squared = torch.addmm(lengths, a, b.T, alpha=-2)
    equal = squared <= 2**-46 * lengths
    return squared.masked_fill(equal, 1.0).sqrt().masked_fill(equal, 0.0).to(rows.dtype)


def check_range(name: str, labels: Tensor, count: int, what: str) -> None:
    """Raise ``ValueError`` for labels outside 0 to ``count - 1``; ``what`` they number, for the message."""
    # On a GPU the values would have to be waited for, and torch stops at a wrong one by itself.
    if labels.device.type == "cpu" and (labels.min() < 0 or labels.max() >= count):
        raise ValueError(f"{name} must be 0 to {count - 1}, {what}, not {labels.min()} to {labels.max()}")


def mean_over(values: Tensor, usable: Tensor) -> Tensor:
    """Mean of ``values`` (N,) over the rows of the mask ``usable`` (N,), 0 if there is none; no wait for a GPU."""
    return torch.where(usable, values, 0).sum() / usable.sum().clamp(min=1)
