"""The trunks there are. A trunk is five stages, the stem and four more, each of which returns a map.

The map of stage 0 has a half or a quarter of the image's height and width, those of stages 1 to 4 a quarter, an eighth,
a 16th and a 32nd; with last stride 1, the usual one in re-identification, stage 4 keeps the 16th. Every method takes
every trunk, for none asks for more than that.

* ``tiny``, ``small``: ResNets of our own, for tests and CPUs. ``resnet18`` … ``resnet101``: as torchvision's.
* ``mobilenet_v2``: torchvision's (Sandler et al., CVPR 2018). Documented: layers. Reconstructed (ours): the cut into
  stages, before the layers that halve the map.
* ``timm:<name>``: a convolutional network of the package timm that offers such maps; see
  :mod:`reidlib.networks.timm_trunks`.

Vision transformers have no such stages. They are evaluated, searched with and explained as networks of one's own, and
are not trained here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torchvision
from torch import nn

from reidlib.networks import pretrained, resnets, timm_trunks
from reidlib.networks.imagenet import TIMM, has_imagenet
from reidlib.networks.weights import TWIN, parse

STAGES = 5  # stage 0 is the stem; in a ResNet conv1, bn1, relu and maxpool, and stages 1 to 4 are layer1 to layer4
_MOBILENET_V2 = (0, 2, 4, 7, 14, 19)  # the layers of ``features`` with which its stages begin
_TRANSFORMER = re.compile(r"(^|[:_.])(vit|deit\d?|beit|eva\d*|swin\w*|clip|dino\w*|dinov\d|cait|pvt|xcit)([_.]|$)")

Parts = list[list[tuple[str, nn.Module]]]


@dataclass(frozen=True)
class Trunk:
    """A trunk by name.

    Attributes:
        channels: of the map that each of the five stages returns.
        parts: (stages, last_stride) → for each of these stages the modules that run one after another, each with its
            path in the state dict of the whole network where it comes from.
    """

    name: str
    channels: tuple[int, ...]
    parts: Callable[[range, int], Parts]


@cache
def trunk(name: str) -> Trunk:
    """The trunk of that name.

    Raises:
        ValueError: there is none, or it has no five stages; the message lists the known.
        ModuleNotFoundError: it is one of timm's, which is not installed.
    """
    if name in resnets.DESIGNS:
        shape = resnets.DESIGNS[name]
        return Trunk(name, shape.channels, partial(resnets.parts, shape))
    if name == "mobilenet_v2":
        return Trunk(name, (16, 24, 32, 96, 1280), _mobilenet_v2)
    if isinstance(name, str) and name.startswith(TIMM):
        return Trunk(name, *timm_trunks.stages(name.removeprefix(TIMM)))
    advice = ""
    if _TRANSFORMER.search(str(name)):
        advice = ". A vision transformer has no five stage maps and is not trained here: evaluate, search with and "
        advice += "explain one as a network of your own"
    raise ValueError(f"unknown backbone {name!r}; choose one of: {', '.join(names())}{advice}")


def names() -> tuple[str, ...]:
    """Names of trunks; the last stands for those of timm."""
    return (*resnets.DESIGNS, "mobilenet_v2", f"{TIMM}<name>")


def check(name: str, weights: str | None = None, *, last_stride: int = 2) -> None:
    """Whether there is such a trunk, with such weights; files are not opened, and nothing is downloaded.

    Raises:
        ValueError: as :func:`trunk`; the trunk cannot have this last stride; or ``weights`` are no file, not
            ``"twin"``, ``"imagenet"`` or ``None``, or weights of that name are not to be had for this trunk.
        ModuleNotFoundError: as :func:`trunk`.
    """
    trunk(name)
    if name.startswith(TIMM):
        timm_trunks.check_last_stride(name.removeprefix(TIMM), last_stride)
    source = parse(weights)
    if source == "imagenet":
        has_imagenet(name)
    elif source and source.path == TWIN:
        pretrained.find(name)


def _mobilenet_v2(stages: range, last_stride: int) -> Parts:
    features = torchvision.models.mobilenet_v2(weights=None).features
    features[_MOBILENET_V2[-2]].conv[1][0].stride = (last_stride, last_stride)
    cuts = [range(_MOBILENET_V2[number], _MOBILENET_V2[number + 1]) for number in stages]
    return [[(f"features.{index}", features[index]) for index in cut] for cut in cuts]
