"""How the rows of a batch divide into modalities, in numbers of Python's.

Where each modality has layers of its own, a batch is cut by modality, and for that its numbers must be known in main
memory. Read off a tensor on a GPU, they would be waited for, and a compiled network would fall apart at the place.
So whoever makes a batch, and has its modalities in main memory, notes them: :func:`noted`.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Division(NamedTuple):
    """``counts[m]`` rows of modality m; ``in_order``: they stand in the order of their modality."""

    counts: tuple[int, ...]
    in_order: bool


def noted(modality: Tensor, values: np.ndarray | Tensor) -> Tensor:
    """The same tensor (B,), on whichever device, with its division noted; ``values`` are the same in main memory.

    The note is on this tensor, not on copies or parts of it. Without one, :func:`division` reads the values.
    """
    modality.division = _divide(torch.as_tensor(values))
    return modality


def uniform(number: int, images: Tensor) -> Tensor:
    """The modality ``number`` for each image of a batch (B, ...): (B,) int64 on their device, with its division."""
    count = images.shape[0]  # which may stand for any number, in an exported network
    modality = torch.full((count,), number, device=images.device)
    modality.division = Division((*(0,) * number, count), True)
    return modality


def division(modality: Tensor, modalities: int) -> Division:
    """How ``modality`` (B,) divides into ``modalities`` of them; where nothing is noted, a GPU is waited for.

    Raises:
        ValueError: a value outside 0 to ``modalities - 1``.
    """
    counts, in_order = getattr(modality, "division", None) or _divide(modality.cpu(), modalities)
    if len(counts) > modalities:
        raise ValueError(_refused(modalities, next(m for m, n in enumerate(counts) if n), len(counts) - 1))
    return Division(counts + (0,) * (modalities - len(counts)), in_order)


def rows(modality: Tensor, modalities: int, device: torch.device) -> tuple[Tensor, ...]:
    """The rows of each modality, ascending, on a device; raises as :func:`division`."""
    counts, in_order = division(modality, modalities)
    order = torch.arange(len(modality), device=device) if in_order else modality.argsort(stable=True).to(device)
    return order.split(counts)


def _divide(values: Tensor, modalities: int | None = None) -> Division:
    """Of values in main memory."""
    if len(values) and (low := int(values.min())) < 0:
        raise ValueError(_refused(modalities, low, int(values.max())))
    return Division(tuple(values.bincount().tolist()), not (values[1:] < values[:-1]).any())


def _refused(modalities: int | None, low: int, high: int) -> str:
    allowed = "0 or more" if modalities is None else f"0 to {modalities - 1}"
    return f"modality must be {allowed}, but has {low} to {high}"
