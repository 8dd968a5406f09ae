"""What is measured on runs for IDKL."""

import math

from reidlib.data import ReIDDataset
from reidlib.training import Run


def hinges(run: Run, dataset: ReIDDataset) -> dict[str, float]:
    """Shares (0-1) of the hinges of IDKL's purifier that were above zero in training; NaN for a model without it."""
    if getattr(run.model, "hinges", None) is None:
        return {"entropy": math.nan, "centroid": math.nan}
    return run.model.active_hinges


MEASURES = {"hinges": hinges}
