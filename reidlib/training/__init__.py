"""Training: one visible loop, ``fit(recipe, dataset)``; run folders, checkpoints, devices, provenance."""

from reidlib.training.loop import OPTIMISERS, fit, make_optimiser, schedule, weighted_sum
from reidlib.training.runs import Run

__all__ = ["OPTIMISERS", "Run", "fit", "make_optimiser", "schedule", "weighted_sum"]
