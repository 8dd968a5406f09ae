"""Health, watched: at the end of every epoch, whether what is trained still tells people apart.

A row of the history has, where an epoch ends,

* ``health.spread``, ``health.common``, ``health.rank``: of the features, the maps of the last stage and the features of
  its last batch, as evaluation sees them, without augmentation: see :mod:`reidlib.networks.health`;
* for every metric loss term of the model with a margin: ``margin.<term>``, its value if all features are the same, and
  ``health.<term>``, how far its mean over the epoch lies from that: below 0, or it does no better than a point;
* ``health.collapsed``: 1 if one of these does no better than a point, else 0.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data import normalise
from reidlib.networks import ReIDModel, health
from reidlib.networks.base import evaluating

NEAR = 0.02
"""Of its margin: a loss that ends no further below it has collapsed; the mean of an epoch is not exact."""


@torch.no_grad()
def measure(model: ReIDModel, images: Tensor, pids: Tensor, modality: Tensor) -> dict[str, float]:
    """``health.spread``, ``health.common`` and ``health.rank`` of the first branch; the model stays as it is.

    Args:
        images: uint8 (B, 3, H, W), on the device of the model, as ``pids`` and ``modality`` (B,).
    """
    with evaluating(model):
        inputs = normalise(images).contiguous(memory_format=torch.channels_last)
        features = next(iter(model(inputs, modality).features.values()))
        common = health.common_share(model.branch_map(inputs, modality, model.branches[0]))
        values = [health.spread(features, pids), common, health.effective_rank(features)]
    numbers = torch.stack([value.double() for value in values]).tolist()
    named = zip(("health.spread", "health.common", "health.rank"), numbers, strict=True)
    return {name: number for name, number in named if np.isfinite(number)}


def watched(
    model: ReIDModel,
    images: Tensor,
    pids: Tensor,
    modality: Tensor,
    rows: list[dict[str, float]],
    weights: Mapping[str, float],
) -> dict[str, float]:
    """All columns of the epoch that the last of the ``rows`` ends.

    Args:
        model, images, pids, modality: as of :func:`measure`.
        rows: of the history so far.
        weights: of the recipe: a loss term of weight 0 trains nothing, so that it cannot collapse.
    """
    found = measure(model, images, pids, modality)
    epoch = [row for row in rows if row["epoch"] == rows[-1]["epoch"]]
    margins = {term: margin for term, margin in model.margins.items() if weights.get(term)}
    for term, margin in margins.items():
        mean = float(np.mean([row[f"loss.{term}"] for row in epoch]))
        found |= {f"margin.{term}": margin, f"health.{term}": mean - margin}
    if margins:
        found["health.collapsed"] = float(any(_has_collapsed(found, term) for term in margins))
    return found


def table(history: pd.DataFrame) -> pd.DataFrame:
    """What a history says of health, by epoch, columns without ``health.``; empty for one of an older version."""
    columns = [name for name in history if name.startswith("health.")]
    found = history.set_index("epoch")[columns].dropna(how="all") if columns else pd.DataFrame()
    return found.rename(columns=lambda name: name.removeprefix("health."))


def sentence(history: pd.DataFrame) -> str:
    """For captions: which metric loss has collapsed at the end of a run; ``""`` if none has, or nobody looked."""
    if "health.collapsed" not in history or history["health.collapsed"].dropna().empty:
        return ""
    last = history.dropna(subset=["health.collapsed"]).iloc[-1]
    terms = [name.removeprefix("margin.") for name in history if name.startswith("margin.")]
    parts = [_told(last, term) for term in terms if _has_collapsed(last, term)]
    if not parts:
        return ""
    spread = last.get("health.spread", np.nan)
    apart = f"; features of different people are {spread:.2f} of their length apart" if np.isfinite(spread) else ""
    return f"metric loss collapsed: {', '.join(parts)}{apart}"


def _has_collapsed(row: Mapping[str, Any], term: str) -> bool:
    return row.get(f"health.{term}", -np.inf) > -NEAR * row.get(f"margin.{term}", 0.0)


def _told(row: Mapping[str, Any], term: str) -> str:
    margin = row[f"margin.{term}"]
    return f"{term.replace('_', ' ')} {margin + row[f'health.{term}']:.3f}, {margin:.3f} if all features were the same"
