"""Features as callers have them: tensors on any device, NumPy arrays, nested lists."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def matrix(values: Any, name: str) -> Tensor:
    """Real features (N, D) as a tensor; one that is floating comes back as it is, integers become float64.

    Raises:
        ValueError: another shape, an empty one, or no real numbers; the message begins with ``name``.
    """
    if isinstance(values, Tensor):
        found = values
    else:
        try:
            found = torch.from_numpy(np.array(values))
        except (TypeError, ValueError, RuntimeError) as error:  # text, objects, rows of different lengths
            raise ValueError(f"{name} must be real embeddings of shape (N, D): {error}") from error
    if found.ndim != 2 or 0 in found.shape or found.is_complex() or found.dtype == torch.bool:
        raise ValueError(f"{name} must be real embeddings of shape (N, D), got {found.dtype} {tuple(found.shape)}")
    return found if found.is_floating_point() else found.double()


def pair(query: Any, gallery: Any) -> tuple[Tensor, Tensor]:
    """Query (Q, D) and gallery (G, D) as `matrix` makes them, both where the query is."""
    query, gallery = matrix(query, "query").detach(), matrix(gallery, "gallery").detach()
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(f"query and gallery differ in dimension: {tuple(query.shape)}, {tuple(gallery.shape)}")
    return query, gallery.to(query.device)


def require_finite(values: Tensor, name: str, start: int = 0) -> None:
    """Raise ``ValueError`` that names the first row, counted from ``start``, that holds NaN or infinite values."""
    if len(bad := torch.nonzero(~torch.isfinite(values).all(dim=1))):
        first = start + int(bad[0])
        raise ValueError(f"{name} holds {len(bad)} embeddings with NaN or infinite values; the first is {first}")
