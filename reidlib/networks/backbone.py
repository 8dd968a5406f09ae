"""The trunk of every method: five stages one by one, the first of them once for each modality."""

import copy

import torch
from torch import Tensor, nn

from reidlib.networks import trunks
from reidlib.networks.division import division
from reidlib.networks.fitting import Fitted, fit
from reidlib.networks.imagenet import imagenet_state
from reidlib.networks.trunks import STAGES, trunk
from reidlib.networks.weights import WeightsFile, parse, read, stated


class Stages(nn.Module):
    """Consecutive stages ``first`` to ``last`` of a trunk, under the parameter names of the network it comes from.

    ``Stages("resnet50")`` has the parameters and buffers of ``torchvision.models.resnet50`` without ``fc``; a method
    that needs a second back half builds ``Stages("resnet50", 3)``.

    Args:
        name: one of :func:`reidlib.networks.trunks.names`.
        first: first stage, 0 (in a ResNet conv1, bn1, relu, maxpool) to 4 (layer4).
        last: last stage, included; less than ``first`` for none.
        last_stride: stride of stage 4; 1 (usual in re-identification) keeps twice the rows and columns of 2.

    Attributes:
        stages: the range of stage numbers in this part.
        channels: channels of the map that each of the five stages of the whole network returns.

    Raises:
        ValueError: an unknown ``name`` or ``last_stride``, or the trunk cannot have this one.
        ModuleNotFoundError: a trunk of timm, which is not installed.
    """

    def __init__(self, name: str, first: int = 0, last: int = STAGES - 1, *, last_stride: int = 1):
        super().__init__()
        if last_stride not in (1, 2):
            raise ValueError(f"last_stride must be 1 or 2, not {last_stride!r}")
        trunks.check(name, last_stride=last_stride)
        self.stages = range(first, last + 1)
        self.channels = trunk(name).channels
        found = dict(zip(self.stages, trunk(name).parts(self.stages, last_stride), strict=True))
        self.paths = {number: tuple(path for path, _ in several) for number, several in found.items()}
        for path, module in (each for several in found.values() for each in several):
            _place(self, path, module)

    def stage(self, number: int, maps: Tensor) -> Tensor:
        """Run one of these stages: images (B, 3, H, W), or the maps of the stage before, -> maps (B, C, h, w)."""
        for path in self.paths[number]:
            maps = self.get_submodule(path)(maps)
        return maps

    def modules_of(self, number: int) -> list[nn.Module]:
        """The modules of a stage, which run one after another."""
        return [self.get_submodule(path) for path in self.paths[number]]

    def forward(self, maps: Tensor) -> Tensor:
        """Run every stage in turn."""
        for number in self.stages:
            maps = self.stage(number, maps)
        return maps


class Backbone(Stages):
    """A trunk whose first stages exist once per modality: the shared :class:`Stages`, with a stem for each modality.

    ``shared_from=0`` shares everything (one stream, parameters named exactly as in torchvision or timm); 1 gives each
    modality its own stage 0 (the usual two-stream network, documented: AGW, Ye et al., TPAMI 2021), named
    ``stems.<modality>.<their name>``; 2 to 5 add stages 1 to 4. The stems start as equal copies, unless a file of
    weights has one for each.

    Args:
        name: one of :func:`reidlib.networks.trunks.names`.
        shared_from: first shared stage, 0 to 5.
        modalities: number of stems: values of ``modality`` run from 0 to ``modalities - 1``.
        last_stride: see :class:`Stages`.
        weights: ``None`` (random, as torchvision or timm draws them), ``"twin"`` (pretrained on rendered people),
            ``"imagenet"``, or a file; see :mod:`reidlib.networks.weights`.

    Attributes:
        fitted: what of the weights fitted, :class:`reidlib.networks.fitting.Fitted`; ``None`` for random ones.

    Raises:
        ValueError: as :class:`Stages`, ``shared_from`` is out of range, or the weights are none for this trunk.
        FileNotFoundError: ImageNet weights are neither on this machine nor can be downloaded, or there is no such file
            of weights; says where to put them.
    """

    def __init__(
        self, name: str, *, shared_from: int = 1, modalities: int = 2, last_stride: int = 1, weights: str | None = None
    ):
        if shared_from not in range(STAGES + 1):
            raise ValueError(f"shared_from must be 0 to {STAGES}, not {shared_from!r}")
        trunks.check(name, weights)
        super().__init__(name, shared_from, last_stride=last_stride)
        self.stems = nn.ModuleList()
        if shared_from:
            stem = Stages(name, 0, shared_from - 1, last_stride=last_stride)
            self.stems.extend(copy.deepcopy(stem) for _ in range(modalities))
        self.fitted: Fitted | None = None
        source = parse(stated(weights, name))
        if isinstance(source, WeightsFile):
            self.fitted = fit(self, read(source, name), source)
        elif source:
            self.fitted = fit(self, imagenet_state(name), source)

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


def _place(root: nn.Module, path: str, module: nn.Module) -> None:
    """Register a module at a dotted path, so that its parameters have the names they have where it comes from."""
    *folders, name = path.split(".")
    for folder in folders:
        if not hasattr(root, folder):
            root.add_module(folder, nn.Module())
        root = getattr(root, folder)
    root.add_module(name, module)


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
