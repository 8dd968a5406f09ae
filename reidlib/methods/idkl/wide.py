"""The baseline with as many parameters as IDKL: is a gain of IDKL one of its method, or of its size?"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.methods.idkl.model import IDKL
from reidlib.networks import TwoStream
from reidlib.networks.backbone import Backbone
from reidlib.networks.heads import bn_neck, classifier

DOUBLED = (3, 4)  # the stages that IDKL has twice


class TwoBacksAbreast(Backbone):
    """A backbone with a second copy of its stages 3 and 4, whose maps stand beside those of the first.

    Both start as equal copies, from whatever weights there are, as the two streams of IDKL do; behind a classifier of
    random weights they then go different ways.

    Args:
        name, options: of :class:`reidlib.networks.backbone.Backbone`.

    Attributes:
        second: the copy; its parameters have torchvision's names after ``second.<stage>.``.
    """

    def __init__(self, name: str, **options: object):
        super().__init__(name, **options)
        stages = {str(number): nn.Sequential(*map(copy.deepcopy, self.modules_of(number))) for number in DOUBLED}
        self.second = nn.ModuleDict(stages)
        self.channels = (*self.channels[:-1], 2 * self.channels[-1])

    def forward(self, images: Tensor, modality: Tensor) -> Tensor:
        """(B, 3, H, W), (B,) -> (B, 2 C, H / 16, W / 16)."""
        maps = self.stem(images, modality)
        for number in self.stages:
            if number == DOUBLED[0]:
                other = maps
            maps = self.stage(number, maps)
            if number in DOUBLED:
                other = self.second[str(number)](other)
        return torch.cat([maps, other], dim=1)


class Adapter(nn.Module):
    """Two 1×1 convolutions around a bottleneck, added to what enters them; at first they add next to nothing.

    Args:
        channels: of the maps.
        width: of the bottleneck.
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, width, 1, bias=False)
        self.spread = nn.Conv2d(width, channels, 1, bias=False)
        nn.init.normal_(self.spread.weight, std=1e-3)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        return maps + self.spread(F.relu(self.squeeze(maps)))


class WideBaseline(TwoStream):
    """The baseline with its stages 3 and 4 twice, side by side: it has about as many parameters as IDKL.

    Reconstructed (ours): a control of comparisons with :class:`reidlib.methods.idkl.IDKL`, whose second stream,
    purifier and heads double the parameters. They go where IDKL has them, into a second copy of the last stages, and
    the two start from the same weights, pretrained ones among them. What IDKL has in gates and classifiers goes into
    :class:`Adapter`: the numbers of parameters agree to within 1 per cent (of an IDKL with its default options, the
    same backbone and the same identities). The test feature is twice as long as the baseline's; at test time IDKL
    discards a half, this network nothing.

    Args:
        num_ids, backbone, weights, triplet, margin, label_smoothing: as of :class:`reidlib.networks.TwoStream`.

    Raises:
        ValueError, FileNotFoundError: as :class:`reidlib.networks.TwoStream`.
    """

    def __init__(
        self,
        num_ids: int,
        backbone: str,
        *,
        weights: str | None = None,
        triplet: str = "batch-hard",
        margin: float = 0.3,
        label_smoothing: float = 0.1,
    ):
        super().__init__(
            num_ids, backbone, weights=weights, triplet=triplet, margin=margin, label_smoothing=label_smoothing
        )
        self.backbone = TwoBacksAbreast(backbone, weights=weights)
        channels = self.backbone.channels[-1]
        self.neck, self.classifier = bn_neck(channels), classifier(channels, num_ids)
        with torch.device("meta"):  # parameters without values: only their number is asked for
            missing = _parameters(IDKL(num_ids, backbone)) - _parameters(self)
        self.adapter = Adapter(channels, max(1, round(missing / (2 * channels))))

    def branch_map(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        maps = super().branch_map(images, modality, branch)
        return self.adapter(maps) if branch == "shared" else maps


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
