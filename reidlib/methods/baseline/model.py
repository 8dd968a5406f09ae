"""The baseline that every method is compared with: the two-stream network, and nothing else."""

from torch import Tensor, nn

from reidlib.networks import TwoStream
from reidlib.networks.trunks import trunk


class Baseline(TwoStream):
    """The two-stream network by itself, with a switch for the null control of comparisons.

    Args:
        num_ids, backbone, options: of :class:`reidlib.networks.TwoStream`.
        inert: ``True`` adds :class:`Inert` behind the trunk.

    Raises:
        ValueError, FileNotFoundError: as :class:`reidlib.networks.TwoStream`.
    """

    def __init__(self, num_ids: int, backbone: str, *, inert: bool = False, **options: object):
        module = Inert(trunk(backbone).channels[-1]) if inert else nn.Identity()  # before the others: see its text
        super().__init__(num_ids, backbone, **options)
        self.inert = module

    def branch_map(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        maps = super().branch_map(images, modality, branch)
        return self.inert(maps) if branch == "shared" else maps


class Inert(nn.Module):
    """Two 1×1 convolutions whose result is multiplied by zero: it costs time and parameters and changes no value.

    Reconstructed (ours): the null control of comparisons. Build it before the other parts of a model: it then takes its
    share of the random numbers, the others begin at other weights, and what it "gains" is the noise of a comparison.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 1), nn.ReLU(), nn.Conv2d(channels // 4, channels, 1)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> the same values."""
        return maps + 0 * self.layers(maps)
