"""Losses: pure functions from tensors to unweighted scalars, one or several by name; weights live in the recipe.

Shapes throughout: ``features`` (N, D) floating, ``pids`` (N,) integer, ``logits`` (N, C) floating. Sums run in float32
or better, also inside autocast. Anchors without a positive or without a negative are left out of the mean; if no
anchor is left (a batch of one identity) the loss is 0, still attached to the graph, so that training goes on.
:mod:`reidlib.losses.reference` holds the same definitions as plain loops. Cross-entropy is
:func:`torch.nn.functional.cross_entropy`, which has label smoothing.
"""

from reidlib.losses import idkl
from reidlib.losses.alignment import symmetric_kl
from reidlib.losses.center import center_cluster, hetero_center, hetero_center_triplet, identity_guided_center
from reidlib.losses.circle import circle
from reidlib.losses.generator import mask_cross_entropy, structure_drift, style_distance
from reidlib.losses.proxy import proxy_metric
from reidlib.losses.triplet import batch_hard_triplet, weighted_regularised_triplet

__all__ = [
    "batch_hard_triplet",
    "center_cluster",
    "circle",
    "hetero_center",
    "hetero_center_triplet",
    "identity_guided_center",
    "idkl",
    "mask_cross_entropy",
    "proxy_metric",
    "structure_drift",
    "style_distance",
    "symmetric_kl",
    "weighted_regularised_triplet",
]
