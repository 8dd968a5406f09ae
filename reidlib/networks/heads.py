"""From a feature map to an embedding: pooling, BNNeck, classifier."""

import math

import torch
from torch import Tensor, nn

POOLINGS = ("gem", "average")


class GeM(nn.Module):
    """Generalised-mean pooling with a learned exponent: ``mean(x^p)^(1/p)`` over positions, ``x`` clamped to ``eps``.

    p = 1 is average pooling of the clamped map, p → ∞ max pooling. Documented: Radenović et al., TPAMI 2019.
    Computed in float32 or better, in logarithms: with ``x^p`` as such, the gradient of a dead channel is NaN once
    ``eps^p`` underflows.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(float(p)))
        self.eps = eps

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C)."""
        with torch.autocast(maps.device.type, enabled=False):
            maps = maps.float() if maps.dtype in (torch.float16, torch.bfloat16) else maps
            logarithms = maps.flatten(2).clamp(min=self.eps).log()
            log_mean = (self.p * logarithms).logsumexp(dim=2) - math.log(logarithms.shape[2])
            return (log_mean / self.p).exp()


class AveragePooling(nn.Module):
    """Mean over positions, in float32 or better: (B, C, h, w) -> (B, C)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3), dtype=torch.promote_types(maps.dtype, torch.float32))


def pooling(name: str) -> nn.Module:
    """``"gem"`` or ``"average"``: (B, C, h, w) -> (B, C).

    Raises:
        ValueError: another name.
    """
    if name not in POOLINGS:
        raise ValueError(f"unknown pooling {name!r}; choose one of: {', '.join(POOLINGS)}")
    return GeM() if name == "gem" else AveragePooling()


def bn_neck(channels: int) -> nn.BatchNorm1d:
    """Batch normalisation without a shift, between the feature of the triplet loss and that of the classifier.

    Documented: Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-identification", 2019. They freeze
    the shift at 0; here it does not exist, so that every parameter has a gradient.
    """
    neck = nn.BatchNorm1d(channels)
    neck.register_parameter("bias", None)
    return neck


def classifier(channels: int, num_ids: int) -> nn.Linear:
    """Linear classifier without bias, its weights drawn from N(0, 0.001²) (documented: Luo et al., 2019, code)."""
    linear = nn.Linear(channels, num_ids, bias=False)
    nn.init.normal_(linear.weight, std=0.001)
    return linear
