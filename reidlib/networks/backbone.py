"""One ResNet trunk for every method: torchvision's blocks and names, a stem per modality, stages one by one."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from reidlib.losses._common import check_one_of
from reidlib.networks.division import division
from reidlib.networks.imagenet import imagenet_state

STAGES = 5  # stage 0 is conv1, bn1, relu and maxpool; stages 1 to 4 are layer1 to layer4


@dataclass(frozen=True)
class Design:
    """What tells one ResNet from another: the block, the width of each of the four layers, and their depths."""

    block: type[nn.Module]
    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the map that each of the five stages returns."""
        return (self.widths[0], *(width * self.block.expansion for width in self.widths))


DESIGNS = {
    "tiny": Design(BasicBlock, (16, 32, 64, 128), (1, 1, 1, 1)),
    "small": Design(BasicBlock, (32, 64, 128, 256), (1, 1, 1, 1)),
    "resnet18": Design(BasicBlock, (64, 128, 256, 512), (2, 2, 2, 2)),
    "resnet50": Design(Bottleneck, (64, 128, 256, 512), (3, 4, 6, 3)),
}


def design(name: str) -> Design:
    """The design of that name.

    Raises:
        ValueError: an unknown name; the message lists the known.
    """
    check_one_of("backbone", name, DESIGNS)
    return DESIGNS[name]


class Stages(nn.Module):
    """Consecutive stages ``first`` to ``last`` of a ResNet, under torchvision's parameter names.

    ``Stages("resnet50")`` has the parameters and buffers of ``torchvision.models.resnet50`` without ``fc``; a method
    that needs a second back half builds ``Stages("resnet50", 3)``.

    Args:
        name: a key of ``DESIGNS``.
        first: first stage, 0 (conv1, bn1, relu, maxpool) to 4 (layer4).
        last: last stage, included; less than ``first`` for none.
        last_stride: stride of layer4; 1 (usual in re-identification) keeps twice the rows and columns of 2.
        weights: ``None`` (He initialisation, as torchvision) or ``"imagenet"``.

    Attributes:
        stages: the range of stage numbers in this part.
        channels: channels of the map that each of the five stages of the whole network returns.

    Raises:
        ValueError: an unknown ``name``, ``last_stride`` or ``weights``, or ``name`` has no ImageNet weights.
        FileNotFoundError: ImageNet weights are neither on this machine nor can be downloaded; says where to put them.
    """

    def __init__(
        self, name: str, first: int = 0, last: int = STAGES - 1, *, last_stride: int = 1, weights: str | None = None
    ):
        super().__init__()
        shape = design(name)
        if last_stride not in (1, 2):
            raise ValueError(f"last_stride must be 1 or 2, not {last_stride!r}")
        if weights not in (None, "imagenet"):
            raise ValueError(f"weights must be None or 'imagenet', not {weights!r}")
        self.stages = range(first, last + 1)
        self.channels = shape.channels
        if 0 in self.stages:
            self.conv1 = nn.Conv2d(3, shape.channels[0], 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(shape.channels[0])
            self.relu = nn.ReLU(inplace=True)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for number in range(max(first, 1), last + 1):
            stride = {1: 1, 2: 2, 3: 2, 4: last_stride}[number]
            self.add_module(f"layer{number}", _layer(shape, number, stride))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if weights:
            state = imagenet_state(name)
            self.load_state_dict({key: state[key] for key in self.state_dict()})

    def stage(self, number: int, maps: Tensor) -> Tensor:
        """Run one of these stages: images (B, 3, H, W), or the maps of the stage before, -> maps (B, C, h, w)."""
        if number == 0:
            return self.maxpool(self.relu(self.bn1(self.conv1(maps))))
        return getattr(self, f"layer{number}")(maps)

    def forward(self, maps: Tensor) -> Tensor:
        """Run every stage in turn."""
        for number in self.stages:
            maps = self.stage(number, maps)
        return maps


class Backbone(Stages):
    """A ResNet whose first stages exist once per modality: the shared :class:`Stages`, with a stem for each modality.

    ``shared_from=0`` shares everything (one stream, parameters named exactly as in torchvision); 1 gives each modality
    its own conv1 and bn1 (the usual two-stream network, documented: AGW, Ye et al., TPAMI 2021), named
    ``stems.<modality>.<torchvision name>``; 2 to 5 add layer1 to layer4. The stems start as equal copies, with and
    without ImageNet weights.

    Args:
        name: a key of ``DESIGNS``.
        shared_from: first shared stage, 0 to 5.
        modalities: number of stems: values of ``modality`` run from 0 to ``modalities - 1``.
        last_stride: see :class:`Stages`.
        weights: see :class:`Stages`.

    Raises:
        ValueError, FileNotFoundError: as :class:`Stages`, or ``shared_from`` is out of range.
    """

    def __init__(
        self, name: str, *, shared_from: int = 1, modalities: int = 2, last_stride: int = 1, weights: str | None = None
    ):
        if shared_from not in range(STAGES + 1):
            raise ValueError(f"shared_from must be 0 to {STAGES}, not {shared_from!r}")
        super().__init__(name, shared_from, last_stride=last_stride, weights=weights)
        self.stems = nn.ModuleList()
        if shared_from:
            stem = Stages(name, 0, shared_from - 1, last_stride=last_stride, weights=weights)
            self.stems.extend(copy.deepcopy(stem) for _ in range(modalities))

    def stem(self, images: Tensor, modality: Tensor) -> Tensor:
        """The stages that each modality has to itself, in the order of the rows given.

        Args:
            images: (B, 3, H, W) floating, normalised.
            modality: (B,) integers; see :mod:`reidlib.networks.division`.

        Returns:
            (B, C, h, w); the images themselves if every stage is shared.

        Raises:
            ValueError: a wrong shape or dtype, or a modality without a stem.
        """
        _check(images, modality)
        return _route(self.stems, images, modality) if self.stems else images

    def forward(self, images: Tensor, modality: Tensor) -> Tensor:
        """Run every stage: (B, 3, H, W), (B,) -> (B, C, H / 16, W / 16), with ``last_stride=2`` (H / 32, W / 32)."""
        return super().forward(self.stem(images, modality))


def _layer(design: Design, number: int, stride: int) -> nn.Sequential:
    """``layer<number>`` as torchvision builds it."""
    entering, width, leaving = design.channels[number - 1], design.widths[number - 1], design.channels[number]
    shortcut = None
    if stride != 1 or entering != leaving:
        shortcut = nn.Sequential(nn.Conv2d(entering, leaving, 1, stride, bias=False), nn.BatchNorm2d(leaving))
    first = design.block(entering, width, stride, shortcut)
    return nn.Sequential(first, *(design.block(leaving, width) for _ in range(design.depths[number - 1] - 1)))


def _route(stems: nn.ModuleList, images: Tensor, modality: Tensor) -> Tensor:
    """Send each row through the stem of its modality."""
    counts, in_order = division(modality, len(stems))
    if not in_order:
        order = modality.argsort(stable=True).to(images.device)
        images = images.index_select(0, order)
    # Rows in the order of their modality, as the sampler draws them, are cut without a copy.
    parts = zip(stems, images.split(counts), counts, strict=True)
    routed = torch.cat([stem(part) for stem, part, count in parts if count])
    if routed.requires_grad and 0 in counts:
        # A modality absent from the batch: gradient 0 instead of none, which distributed training would wait for.
        absent = [stem for stem, count in zip(stems, counts, strict=True) if count == 0]
        routed = routed + 0 * sum(parameter.sum() for stem in absent for parameter in stem.parameters())
    if in_order:
        return routed
    return torch.empty_like(routed).index_copy_(0, order, routed)  # empty_like keeps channels_last


def _check(images: Tensor, modality: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[0] == 0:
        raise ValueError(f"images must have the shape (B, 3, H, W) with B >= 1, not {tuple(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(f"images must be floating and normalised, not {images.dtype}")
    if modality.shape != images.shape[:1] or modality.is_floating_point() or modality.dtype == torch.bool:
        raise ValueError(
            f"modality must be integers of shape ({len(images)},), one per image, "
            f"not {modality.dtype} of shape {tuple(modality.shape)}"
        )
