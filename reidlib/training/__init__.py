"""Training: one visible loop, ``fit(recipe, dataset)``; run folders, checkpoints, devices, provenance."""

from reidlib.training.loop import OPTIMIZERS, fit, make_optimizer, schedule, weighted_sum
from reidlib.training.runs import Run

__all__ = ["OPTIMIZERS", "Run", "fit", "make_optimizer", "schedule", "weighted_sum"]
