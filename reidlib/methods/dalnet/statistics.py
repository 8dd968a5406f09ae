"""Batch normalisation with a second set of running statistics."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from reidlib.networks.backbone import Backbone


def add_auxiliary_statistics(backbone: Backbone) -> None:
    """Give the normalisations of the shared stages buffers ``auxiliary_mean`` and ``auxiliary_var`` beside their own.

    Reconstructed for DALNet: drawings made in training are no test images, so the statistics by which test images are
    normalised must not be theirs, nor a mean of both.
    """
    for norm in _shared_norms(backbone):
        norm.register_buffer("auxiliary_mean", norm.running_mean.clone())
        norm.register_buffer("auxiliary_var", norm.running_var.clone())


@contextmanager
def auxiliary_statistics(backbone: Backbone) -> Iterator[None]:
    """Inside, the auxiliary statistics are used and updated in the place of the normalisations' own."""
    _exchange(backbone)
    try:
        yield
    finally:
        _exchange(backbone)


def _exchange(backbone: Backbone) -> None:
    for norm in _shared_norms(backbone):
        norm.running_mean, norm.auxiliary_mean = norm.auxiliary_mean, norm.running_mean
        norm.running_var, norm.auxiliary_var = norm.auxiliary_var, norm.running_var


def _shared_norms(backbone: Backbone) -> list[nn.BatchNorm2d]:
    """The normalisations of the stages that are not one modality's own."""
    named = backbone.named_modules()
    return [part for name, part in named if isinstance(part, nn.BatchNorm2d) and not name.startswith("stems.")]
