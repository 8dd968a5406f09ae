"""Training: one visible loop, ``fit(recipe, dataset)``; run folders, checkpoints, devices, provenance."""

from reidlib.training.loop import fit, weighted_sum
from reidlib.training.runs import Run
from reidlib.training.schedule import OPTIMIZERS, make_optimizer, schedule

__all__ = ["OPTIMIZERS", "Run", "fit", "make_optimizer", "schedule", "weighted_sum"]
