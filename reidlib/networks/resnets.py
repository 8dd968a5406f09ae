"""ResNets of torchvision's blocks, under its parameter names, also in sizes of our own that it does not have."""

from dataclasses import dataclass

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck


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
    "resnet34": Design(BasicBlock, (64, 128, 256, 512), (3, 4, 6, 3)),
    "resnet50": Design(Bottleneck, (64, 128, 256, 512), (3, 4, 6, 3)),
    "resnet101": Design(Bottleneck, (64, 128, 256, 512), (3, 4, 23, 3)),
}


def parts(shape: Design, stages: range, last_stride: int) -> list[list[tuple[str, nn.Module]]]:
    """The modules of each of these stages by torchvision's names, He-initialised as torchvision does it."""
    found: list[list[tuple[str, nn.Module]]] = []
    for number in stages:
        if number == 0:
            conv = nn.Conv2d(3, shape.channels[0], 7, stride=2, padding=3, bias=False)
            norm, pool = nn.BatchNorm2d(shape.channels[0]), nn.MaxPool2d(3, stride=2, padding=1)
            found.append([("conv1", conv), ("bn1", norm), ("relu", nn.ReLU(inplace=True)), ("maxpool", pool)])
        else:
            found.append([(f"layer{number}", layer(shape, number, (1, 2, 2, last_stride)[number - 1]))])
    for module in (module for several in found for _, module in several):
        he_initialise(module)
    return found


def layer(shape: Design, number: int, stride: int) -> nn.Sequential:
    """``layer<number>`` as torchvision builds it, its weights not He-initialised yet."""
    entering, width, leaving = shape.channels[number - 1], shape.widths[number - 1], shape.channels[number]
    shortcut = None
    if stride != 1 or entering != leaving:
        shortcut = nn.Sequential(nn.Conv2d(entering, leaving, 1, stride, bias=False), nn.BatchNorm2d(leaving))
    first = shape.block(entering, width, stride, shortcut)
    return nn.Sequential(first, *(shape.block(leaving, width) for _ in range(shape.depths[number - 1] - 1)))


def he_initialise(module: nn.Module) -> None:
    """Draw the weights of all convolutions as torchvision's ResNets do."""
    for each in module.modules():
        if isinstance(each, nn.Conv2d):
            nn.init.kaiming_normal_(each.weight, mode="fan_out", nonlinearity="relu")
