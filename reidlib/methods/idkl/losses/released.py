"""The released code's arithmetic: rows are paired by their position, numbers depend on the size of the batch."""

from typing import NamedTuple

import torch
from torch import Tensor

from reidlib.losses._common import distances
from reidlib.losses.alignment import symmetric_kl
from reidlib.networks.division import rows as rows_of

BATCH = 120  # rows; batches of this size have their own weights and one more graph


class Weights(NamedTuple):
    """Factors in front of the terms: of ``tgsa``, ``csa`` and ``purifier``, of both terms of a kind alike.

    Those of the remaining terms (identity, triplet, discriminator, confuser) are 1.
    """

    tgsa_intra: float
    tgsa_distil: float
    csa_intra: float
    csa_distil: float
    purifier: float


def released_weights(rows: int) -> Weights:
    """The released code's weights for batches of so many rows. Documented (released code).

    It switches TGSA off for RegDB: there, take 0 for its two weights.
    """
    return Weights(1.0, 0.6, 1.0, 0.8, 0.1) if rows == BATCH else Weights(0.1, 0.1, 1.0, 0.3, 0.1)


def tgsa(shared: Tensor, specific: Tensor, modality: Tensor, half_block: bool | None) -> dict[str, Tensor]:
    """``preset="released"`` of :func:`reidlib.methods.idkl.losses.tgsa`."""
    (f_visible, f_infrared), (s_visible, s_infrared) = _halves(modality, shared), _halves(modality, specific)
    visible, infrared = _graph(f_visible), _graph(f_infrared)
    terms = {
        "intra": symmetric_kl(visible, infrared),
        "distil": symmetric_kl(visible, _graph(s_visible)) + symmetric_kl(infrared, _graph(s_infrared)),
    }
    if half_block or (half_block is None and len(shared) == BATCH):
        n = len(f_visible)
        if n % 2:
            raise ValueError(f"half_block joins two halves, and {n} rows of a modality have none; give an even number")
        block = _graph(torch.cat([f_visible[: n // 2], f_infrared[: n // 2]]))
        terms["intra"] = terms["intra"] + symmetric_kl(visible, block) + symmetric_kl(block, infrared)
    return terms


def csa(z: Tensor, y: Tensor, pids: Tensor, modality: Tensor) -> dict[str, Tensor]:
    """``preset="released"`` of :func:`reidlib.methods.idkl.losses.csa`."""
    halves = (*_halves(modality, z), *_halves(modality, y))
    n, size = len(halves[0]), int((pids == pids[0]).sum()) // 2
    if size == 0 or n % size:
        raise ValueError(
            f"preset 'released' cuts the {n} rows of a modality into chunks of {size}, half the rows of the first "
            "identity: give every identity equally many rows in each modality, or take preset 'paper'"
        )
    chunks = (torch.cat(rows.split(size), dim=1) for rows in halves)
    terms = {}
    for name, (z_visible, z_infrared, y_visible, y_infrared) in (("sample", halves), ("class", chunks)):
        terms[f"{name}_intra"] = symmetric_kl(z_visible, z_infrared)
        terms[f"{name}_distil"] = symmetric_kl(z_visible, y_visible) + symmetric_kl(z_infrared, y_infrared)
    return terms


def _halves(modality: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The visible and the infrared rows, each in the order given."""
    visible, infrared = (rows[chosen] for chosen in rows_of(modality, 2, rows.device))
    if len(visible) != len(infrared):
        raise ValueError(
            f"preset 'released' pairs visible and infrared rows by position, but there are {len(visible)} and "
            f"{len(infrared)}; give equally many of each, or take preset 'paper'"
        )
    return visible, infrared


def _graph(rows: Tensor) -> Tensor:
    """Distances (n, n - 1) of each row to the others, in their order."""
    n = len(rows)
    return distances(rows).clamp(min=1e-3).flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1)
