"""The baseline with as many parameters as IDKL: is a gain of IDKL one of its method, or of its size?"""

from bisect import bisect_left
from dataclasses import replace

import torch
from torch import nn

from reidlib.console.spelling import argument
from reidlib.losses._common import check_one_of
from reidlib.methods.idkl.model import IDKL
from reidlib.networks import TwoStream
from reidlib.networks.backbone import Backbone
from reidlib.networks.heads import bn_neck, classifier
from reidlib.networks.resnets import DESIGNS, Design, he_initialise, layer

WIDER = {3: 2, 4: 1}  # the stages that IDKL has twice, and their strides
MOST = 4  # times the width that a stage had


class WideBackbone(Backbone):
    """A backbone whose stages 3 and 4 have more channels, from random weights.

    Args:
        name: a key of :data:`reidlib.networks.resnets.DESIGNS`.
        width: of stage 4, at least that of the design; stage 3 keeps its proportion to it.
    """

    def __init__(self, name: str, width: int):
        super().__init__(name)
        shape = widened(DESIGNS[name], width)
        for number, stride in WIDER.items():
            wider = layer(shape, number, stride)
            he_initialise(wider)
            self.add_module(f"layer{number}", wider)
        self.channels = shape.channels


class WideBaseline(TwoStream):
    """The baseline with wider stages 3 and 4, so that it has as many parameters as IDKL, to within 2 per cent.

    Reconstructed (ours): a control of comparisons with :class:`reidlib.methods.idkl.IDKL`, whose second stream,
    purifier and heads double the parameters. The parameters meant are all that are trained, of an IDKL with its default
    options, the same backbone and the same identities. They go where IDKL has them, into the last stages; the test
    feature grows with stage 4, in the proportion of its width. At test time IDKL discards a half, this network nothing.

    Args:
        num_ids, triplet, margin, label_smoothing: as of :class:`reidlib.networks.TwoStream`.
        backbone: a ResNet, a key of :data:`reidlib.networks.resnets.DESIGNS`.
        weights: ``None``. There are no ImageNet weights for stages of another width, and a network of which a part has
            them would be no control.

    Attributes:
        width: of stage 4; see :func:`equal_width`.

    Raises:
        ValueError: an unknown name, a number out of range, or weights.
    """

    @classmethod
    def check_backbone(cls, backbone: str, weights: str | None = None, *, last_stride: int = 1) -> None:
        """ResNets only. The network itself refuses weights: the recipe of the profile ``paper`` asks for them."""
        check_one_of("backbone of the wider baseline", backbone, DESIGNS)
        super().check_backbone(backbone, weights, last_stride=last_stride)

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
        if weights is not None:
            none = argument("weights", None, of="recipe")
            raise ValueError(f"the wider baseline has no {weights!r} weights; use {none}, for both in a comparison")
        self.check_backbone(backbone)
        super().__init__(num_ids, backbone, triplet=triplet, margin=margin, label_smoothing=label_smoothing)
        self.width = equal_width(num_ids, backbone)
        self.backbone = WideBackbone(backbone, self.width)
        channels = self.backbone.channels[-1]
        self.neck, self.classifier = bn_neck(channels), classifier(channels, num_ids)


def widened(shape: Design, width: int) -> Design:
    """A design with this width of stage 4, and stage 3 wider by the same factor, to the nearest whole number."""
    first, second, third, last = shape.widths
    return replace(shape, widths=(first, second, round(third * width / last), width))


def equal_width(num_ids: int, backbone: str) -> int:
    """The width of stage 4 with which the baseline's parameters come nearest to IDKL's.

    Raises:
        ValueError: an unknown backbone.
    """
    check_one_of("backbone of the wider baseline", backbone, DESIGNS)
    shape = DESIGNS[backbone]
    with torch.device("meta"):  # parameters without values: only their number is asked for
        more = _parameters(IDKL(num_ids, backbone)) - _parameters(TwoStream(num_ids, backbone))

        def gain(width: int) -> int:
            wide = widened(shape, width)
            head = (num_ids + 1) * (wide.channels[-1] - shape.channels[-1])  # classifier and BNNeck
            return head + sum(_last_stages(wide)) - sum(_last_stages(shape))

        widths = range(shape.widths[-1], MOST * shape.widths[-1])
        above = bisect_left(widths, more, key=gain)
        return min(widths[max(above - 1, 0) : above + 1], key=lambda width: abs(gain(width) - more))


def _last_stages(shape: Design) -> list[int]:
    return [_parameters(layer(shape, number, stride)) for number, stride in WIDER.items()]


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
