"""The auxiliary modality of DALNet: images made from photos that look like sketches.

Documented (Liu et al., "DALNet: Differentiable Auxiliary Learning for Sketch Re-Identification", AAAI 2024; role only):
a trainable generator whose images show the person, without the background, with stronger edges and in the style of a
sketch. Reconstructed (ours; no layer of it is known, no code was released): everything below. All images here lie in
0-1, sketches dark on white.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.data.edges import LUMINANCE, constant, luminance, xdog
from reidlib.losses._common import check_one_of
from reidlib.methods.dalnet.foreground import MaskNetwork
from reidlib.methods.dalnet.losses import EPSILON, channel_statistics

KINDS = ("dag", "conv", "xdog", "sobel", "grey")
BLACKEST = 1e-4  # of an edge that is redrawn: a density that is finite
RANGE = 8.0  # most by which the density of a stroke is multiplied or divided: without a limit, drawings faded to white
STEEPNESS = 4.0  # of the mask that cleans: what is more likely foreground than not stays, and has an outline


class Drawing(NamedTuple):
    """Auxiliary images of B photos, and the steps to them as far as their generator takes them."""

    auxiliary: Tensor  # (B, 1 or 3, H, W) in 0-1
    edges: Tensor | None = None  # (B, 1, H, W) in 0-1
    cleaned: Tensor | None = None  # (B, 3, H, W) in 0-1
    mask: Tensor | None = None  # (B, 1, H, W) in 0-1, 1 foreground


def sobel(images: Tensor) -> Tensor:
    """One minus the length of the Sobel gradient of the luminance, clipped: (B, 3, H, W) -> (B, 1, H, W).

    An edge from black to white has a gradient of 1 and is black.
    """
    across = constant((-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0), images.device).view(3, 3) / 4
    kernels = torch.stack([across, across.T])[:, None]
    gradient = F.conv2d(F.pad(luminance(images), (1, 1, 1, 1), mode="replicate"), kernels)
    return 1 - (gradient.square().sum(dim=1, keepdim=True) + 1e-12).sqrt().clamp(max=1)


class XDoG(nn.Module):
    """Edges by :func:`reidlib.data.edges.xdog`, with its three numbers learned or fixed.

    Reconstructed for DALNet: that it has them, and where the numbers begin: tau 0.98, epsilon 0.01, phi 50.

    Attributes:
        change: (3,) logarithms of how far 1 - tau, epsilon and phi have moved from their start, at first 0: none can
            change its sign, and weight decay draws them back to where they began.
    """

    START = (0.02, 0.01, 50.0)

    def __init__(self, *, learned: bool):
        super().__init__()
        if learned:
            self.change = nn.Parameter(torch.zeros(3))
        else:
            self.register_buffer("change", torch.zeros(3), persistent=False)

    @property
    def numbers(self) -> tuple[Tensor, Tensor, Tensor]:
        """tau, epsilon and phi, scalars."""
        rest, epsilon, phi = (self.change.exp() * constant(self.START, self.change.device)).unbind()
        return 1 - rest, epsilon, phi

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1, H, W) in 0-1."""
        return xdog(images, *self.numbers)


class Refiner(nn.Module):
    """Redraws edges in the style of a sketch: an encoder, two residual blocks, a decoder that weighs the ink.

    Style is mean and deviation of each channel of the encoded donor, put in the place of those of the edges (AdaIN;
    documented: Huang and Belongie, ICCV 2017). Reconstructed: what the decoder finds decides a factor, an eighth to
    eight, on the optical density ``-ln E`` of the edges: ``auxiliary = E ** (8 ** tanh(found))``. Paper stays white,
    strokes become lighter or darker and never vanish, no value leaves 0-1, and no clamp takes the gradient away. The
    decoder goes up by interpolation alone: a pixel shuffle, whose pixels of a block have weights of their own, learned
    stripes of the width of a pixel. The last convolution begins at zero: at first the drawing is the edges.

    Args:
        width: channels after the first of three convolutions; they double with each of the next.

    Attributes:
        mean, deviation: (4 · width,) average style of the sketches seen in training, for photos without a donor.
    """

    def __init__(self, width: int):
        super().__init__()
        half, channels = 2 * width, 4 * width
        self.encoder = nn.Sequential(
            *(nn.Conv2d(1, width, 7, 2, padding=3), nn.ReLU()),
            *(nn.Conv2d(width, half, 3, 2, padding=1), nn.ReLU()),
            *(nn.Conv2d(half, channels, 3, padding=1), nn.ReLU()),
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2)) for _ in range(2)
        )
        self.decoder = nn.ModuleList(
            nn.Conv2d(*pair, 3, padding=1) for pair in ((channels, half), (half, width), (width, 1))
        )
        nn.init.zeros_(self.decoder[-1].weight)
        nn.init.zeros_(self.decoder[-1].bias)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def styles(self, sketches: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> mean and deviation, each (N, 4 · width). In training they enter the average."""
        styles = channel_statistics(self.encoder(luminance(sketches)))
        if self.training and torch.is_grad_enabled():
            with torch.no_grad():
                for average, style in zip((self.mean, self.deviation), styles, strict=True):
                    average.lerp_(style.mean(dim=0), 0.1)
        return styles

    def forward(self, edges: Tensor, style: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """(B, 1, H, W) and mean and deviation (B, 4 · width) each, default the average -> (B, 1, H, W) in 0-1."""
        style = style or tuple(average.expand(len(edges), -1) for average in (self.mean, self.deviation))
        maps = _restyle(self.encoder(edges), style)
        for first, second in self.blocks:
            maps = maps + _restyle(second(F.relu(_restyle(first(maps), style))), style)
        height, width = edges.shape[2:]
        first, second, last = self.decoder
        # Leaky: of the few channels here, all could fall silent for good.
        maps = F.interpolate(F.leaky_relu(first(maps), 0.1), ((height + 1) // 2, (width + 1) // 2))
        factor = RANGE ** torch.tanh(last(F.leaky_relu(second(maps), 0.1)).float())
        return edges.clamp(min=BLACKEST) ** F.interpolate(factor, (height, width), mode="bilinear")


def _restyle(maps: Tensor, style: tuple[Tensor, Tensor]) -> Tensor:
    """AdaIN: (B, C, h, w) with mean and deviation (B, C) of the style instead of its own."""
    mean, deviation = (statistic[:, :, None, None] for statistic in style)
    return torch.addcmul(mean, F.instance_norm(maps.float(), eps=EPSILON), deviation)


class DAG(nn.Module):
    """Background out, edges strong, style of a sketch: the dynamic auxiliary generator, trained with the network.

    Recognition teaches edges and style through the auxiliary image. Its gradient does not reach the mask
    (reconstructed): led by it, the mask came to cover more than the person. Its overlap with the true one was 0.70, and
    is 0.76 without (development twin of PKU-Sketch, cpu, one seed).

    Args:
        width: see :class:`Refiner`; the mask network has half of it, and at least 4.
        clean: ``False`` leaves the mask network out: edges of the whole photo.
        refine: ``False`` leaves the refiner out: the auxiliary image is the edge map.

    Attributes:
        terms: names of the losses that it needs; every generator has this.
    """

    def __init__(self, width: int, *, clean: bool = True, refine: bool = True):
        super().__init__()
        self.terms = (("style", "structure") if refine else ()) + (("mask",) if clean else ())
        self.mask = MaskNetwork(max(4, width // 2)) if clean else None
        self.xdog = XDoG(learned=True)
        self.refiner = Refiner(width) if refine else None

    def forward(self, photos: Tensor, sketches: Tensor | None = None, donors: Tensor | None = None) -> Drawing:
        """Draw photos, each in the style of one of the sketches; without sketches, all in their average style.

        Args:
            photos: (B, 3, H, W).
            sketches: (N, 3, h, w).
            donors: with sketches, (B,) row of them for each photo, or -1 for none: its auxiliary image is the edge map.
        """
        with torch.no_grad():
            mask = torch.sigmoid(STEEPNESS * self.mask(photos)) if self.mask else None
        with torch.autocast(photos.device.type, enabled=False):  # edges are small differences of large numbers
            cleaned = photos if mask is None else 1 - mask * (1 - photos)
            edges = self.xdog(cleaned)
        if self.refiner is None:
            auxiliary = edges
        else:
            style = None
            if sketches is not None and len(sketches):
                styles = self.refiner.styles(sketches)
                style = tuple(statistic.index_select(0, donors.clamp(min=0)) for statistic in styles)
            auxiliary = self.refiner(edges, style)
            if donors is not None:
                auxiliary = torch.where((donors >= 0)[:, None, None, None], auxiliary, edges)
        return Drawing(auxiliary, edges, None if mask is None else cleaned, mask)


class ConvGenerator(nn.Module):
    """Three 1×1 convolutions, 3 → 1 → 1 → 3 channels, that begin as the grey image: a learned change of colours.

    Documented: the idea, from MMN (Zhang et al., "Towards a Unified Middle Modality Learning for Visible-Infrared
    Person Re-Identification", ACM MM 2021). Reconstructed: the start, the range, and no batch normalisation.
    """

    terms = ()

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 1, 1), nn.ReLU(), nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Conv2d(1, 3, 1))
        for layer in self.layers[::2]:
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.layers[0].weight.copy_(torch.tensor(LUMINANCE).view(1, 3, 1, 1))

    def forward(self, photos: Tensor, sketches: Tensor | None = None, donors: Tensor | None = None) -> Drawing:
        """(B, 3, H, W) -> a drawing of three channels; sketches and donors are not looked at."""
        return Drawing(self.layers(photos).float().clamp(0, 1))


class FixedGenerator(nn.Module):
    """An auxiliary modality that nobody has to learn: ``"grey"``, ``"sobel"`` or ``"xdog"``."""

    terms = ()

    def __init__(self, kind: str):
        super().__init__()
        self.draw = {"grey": luminance, "sobel": sobel, "xdog": XDoG(learned=False)}[kind]

    def forward(self, photos: Tensor, sketches: Tensor | None = None, donors: Tensor | None = None) -> Drawing:
        """(B, 3, H, W) -> a drawing of one channel; sketches and donors are not looked at."""
        with torch.autocast(photos.device.type, enabled=False):
            drawn = self.draw(photos).clamp(0, 1)
        return Drawing(drawn, None if self.draw is luminance else drawn)


def generator(kind: str, width: int, *, clean: bool = True, refine: bool = True) -> nn.Module:
    """``"dag"``, ``"conv"``, ``"xdog"`` (fixed), ``"sobel"`` or ``"grey"``; the other arguments are of :class:`DAG`.

    Raises:
        ValueError: another kind.
    """
    check_one_of("auxiliary", kind, KINDS)
    if kind == "dag":
        return DAG(width, clean=clean, refine=refine)
    return ConvGenerator() if kind == "conv" else FixedGenerator(kind)


def choose_donors(photo_pids: Tensor, sketch_pids: Tensor) -> Tensor:
    """A sketch of another identity for each photo, at random, so that no style tells who is shown.

    Args:
        photo_pids: (B,).
        sketch_pids: (N,), N may be 0.

    Returns:
        (B,) rows of the sketches; -1 for a photo in whose batch nobody else was drawn.
    """
    others = photo_pids[:, None] != sketch_pids
    if others.shape[1] == 0:
        return torch.full_like(photo_pids, -1)
    best = torch.rand(others.shape, device=others.device).masked_fill(~others, -1).max(dim=1)
    return torch.where(best.values >= 0, best.indices, -1)
