"""The identities of a batch, found without a wait for the GPU to count them."""

from typing import NamedTuple

import torch
from torch import Tensor

from reidlib.losses._common import check_labels, describe


class Identities(NamedTuple):
    """Each identity stands in the place of its first row.

    Attributes:
        same: (B, B), pairs of rows of one identity, self pairs included.
        mean: (2, B, B): ``mean[m] @ values`` has in row b the mean over the rows of modality m that show b's identity.
            In float64 (float32 on devices without it): sums and softmax then depend on the order of the rows by less
            than float32 can tell.
        shown: (2, B), the first row of each identity that modality m shows at all.
    """

    same: Tensor
    mean: Tensor
    shown: Tensor


def identities(pids: Tensor, modality: Tensor) -> Identities:
    """(B,), (B,) → :class:`Identities`."""
    same = pids[:, None] == pids
    members = torch.stack([same & (modality == m) for m in (0, 1)])
    counts = members.sum(dim=2)
    is_first = ~same.tril(-1).any(dim=1)
    return Identities(same, members / exact(counts.clamp(min=1)[..., None]), (counts > 0) & is_first)


def exact(values: Tensor) -> Tensor:
    """``values`` in float64, in float32 on a device that has no float64."""
    return values.float() if values.device.type == "mps" else values.double()


def check_modality(modality: Tensor, rows: Tensor) -> Tensor:
    """Return ``modality`` (B,) on the device of ``rows`` (B, D).

    Raises:
        ValueError: not one integer for each row, or others than 0 and 1.
    """
    if isinstance(modality, Tensor) and modality.device.type == "cpu" and ((modality < 0) | (modality > 1)).any():
        raise ValueError(f"modality must be 0 or 1, but has {modality.min()} to {modality.max()}")
    return check_labels("modality", modality, rows)  # values on a GPU would have to be waited for


def check_equal(name: str, rows: Tensor, other_name: str, other: Tensor) -> None:
    """Raise ``ValueError`` unless both have one shape."""
    if rows.shape != other.shape:
        raise ValueError(f"{name} is {describe(rows)}, {other_name} is {describe(other)}; give equal shapes")
