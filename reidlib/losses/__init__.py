"""Losses that several methods share; those of one method lie in its folder.

Pure functions from tensors to unweighted scalars, one or several by name; weights live in the recipe.

Shapes throughout: ``features`` (N, D) floating, ``pids`` (N,) integer, ``logits`` (N, C) floating. Sums run in float32
or better, also inside autocast. Anchors without a positive or without a negative are left out of the mean; if no
anchor is left (a batch of one identity) the loss is 0, still attached to the graph, so that training goes on.
:mod:`reidlib.losses.reference` holds the same definitions as plain loops. Cross-entropy is
:func:`torch.nn.functional.cross_entropy`, which has label smoothing.
"""

# ruff: noqa: F401 (what is imported here is what the package offers)

from reidlib.losses.alignment import symmetric_kl
from reidlib.losses.circle import circle
from reidlib.losses.triplet import TRIPLETS, batch_hard_triplet, triplet_of_a_point, weighted_regularised_triplet
