"""Augmentation of whole batches on the device, with separate random parameters for every image.

Drawing and applying are apart: ``draw`` turns random numbers into parameters, ``apply`` is a pure function of images
and parameters. Documented: crop and flip (AGW, Ye et al. 2021), random erasing (Zhong et al. 2017), channel exchange
(CAJ, Ye et al., ICCV 2021).
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch

from reidlib.data.edges import constant, xdog
from reidlib.networks.base import IMAGENET_MEAN, IMAGENET_STD

GREY_WEIGHTS = (0.2989, 0.5870, 0.1140)
KEEP, GREY, EDGES = -1, 3, 4  # values of Parameters.channel beside 0, 1, 2: which of R, G, B is shown
_ERASE_ATTEMPTS = 10


class Parameters(NamedTuple):
    """What happens to each image of a batch; every entry has shape ``(B,)``."""

    top: torch.Tensor  # first row of the crop in the padded image, 0 … 2 · pad
    left: torch.Tensor  # first column
    flip: torch.Tensor  # bool
    channel: torch.Tensor  # KEEP, GREY, EDGES, or the channel 0, 1, 2 that replaces all three
    erase_top: torch.Tensor
    erase_left: torch.Tensor
    erase_height: torch.Tensor  # 0: nothing is erased
    erase_width: torch.Tensor


@dataclass(frozen=True)
class Augmentation:
    """Pad and crop, flip, channel exchange, edges, normalisation, random erasing: in this order, each image on its own.

    Args:
        flip: probability of a horizontal flip.
        pad: pixels added on every side before a crop of the original size; 0 = no crop.
        pad_value: ``"zero"`` (black) or ``"mean"`` (the ImageNet mean colour).
        exchange: probability that R, G or B (equally likely) replaces all three channels; visible images only.
        grey: probability that the grey value replaces all three channels; visible images only.
        edges: probability that its edges, dark on white (:func:`reidlib.data.edges.xdog`), replace a photo; for data
            with sketches. An image is changed in one of these three ways at most: their sum is up to 1.
        erase: probability of erasing one rectangle, filled with the ImageNet mean (0 after normalisation).
        erase_scale: area of the rectangle as a share of the image, from – to.
        erase_ratio: height / width of the rectangle, from – to, uniform in its logarithm.

    CAJ uses ``exchange=1`` for its second visible copy and ``exchange=0.75, grey=0.125`` for the first.

    Raises:
        ValueError: a probability outside 0 … 1, or a range that is not one.
    """

    flip: float = 0.5
    pad: int = 10
    pad_value: str = "zero"
    exchange: float = 0.0
    grey: float = 0.0
    edges: float = 0.0
    erase: float = 0.0
    erase_scale: tuple[float, float] = (0.02, 0.33)
    erase_ratio: tuple[float, float] = (0.3, 3.3)

    def __post_init__(self) -> None:
        for name in ("flip", "exchange", "grey", "edges", "erase"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability, 0 to 1, not {getattr(self, name)}")
        if self.exchange + self.grey + self.edges > 1:
            shares = f"{self.exchange} + {self.grey} + {self.edges}"
            raise ValueError(f"exchange + grey + edges must not exceed 1, but {shares} does")
        if self.pad < 0 or self.pad_value not in ("zero", "mean"):
            raise ValueError(f"pad must be ≥ 0 and pad_value 'zero' or 'mean', not {self.pad}, {self.pad_value!r}")
        if not 0 < self.erase_scale[0] <= self.erase_scale[1] <= 1:
            raise ValueError(f"erase_scale must rise within 0 … 1, not {self.erase_scale}")
        if not 0 < self.erase_ratio[0] <= self.erase_ratio[1]:
            raise ValueError(f"erase_ratio must rise and be positive, not {self.erase_ratio}")

    def to_dict(self) -> dict[str, Any]:
        """All fields, in types that JSON knows; ``edges`` only above 0, as recipes had digests before it was there."""
        record = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {name: value for name, value in record.items() if name != "edges" or value}

    def __call__(self, images: torch.Tensor, modality: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """uint8 ``(B, 3, H, W)`` and modality ``(B,)`` (0 visible) → normalised float ``(B, 3, H, W)``, same device.

        Parameters are drawn on the generator's device: with a CPU generator they are the same whatever the images' is.
        """
        _require_bytes(images)
        if modality.shape != images.shape[:1]:
            raise ValueError(f"one modality per image: {len(images)} images, modality of shape {tuple(modality.shape)}")
        return self.apply(images, self.draw(modality, *images.shape[-2:], generator))

    def draw(self, modality: torch.Tensor, height: int, width: int, generator: torch.Generator) -> Parameters:
        """Draw the parameters for one batch, on the generator's device.

        Every image takes the same number of random numbers whatever is switched on, so that switching one part off
        leaves the others as they were.
        """
        device, count = generator.device, len(modality)
        uniform = torch.rand(count, 8 + 2 * _ERASE_ATTEMPTS, generator=generator, device=device)
        for_crop, for_flip, for_channel, for_erase = uniform[:, :2], uniform[:, 2], uniform[:, 3:5], uniform[:, 5:]
        way, is_visible = for_channel[:, 0], modality.to(device) == 0
        channel = torch.where(way < self.exchange + self.grey, GREY, EDGES)
        channel = torch.where(way < self.exchange, _index(for_channel[:, 1], 3), channel)
        is_changed = (way < self.exchange + self.grey + self.edges) & is_visible
        erase_height, erase_width = self._draw_rectangle(for_erase[:, 3:], height, width)
        is_erased = for_erase[:, 0] < self.erase
        return Parameters(
            top=_index(for_crop[:, 0], 2 * self.pad + 1),
            left=_index(for_crop[:, 1], 2 * self.pad + 1),
            flip=for_flip < self.flip,
            channel=torch.where(is_changed, channel, KEEP),
            erase_top=_index(for_erase[:, 1], height - erase_height + 1),
            erase_left=_index(for_erase[:, 2], width - erase_width + 1),
            erase_height=torch.where(is_erased, erase_height, 0),
            erase_width=torch.where(is_erased, erase_width, 0),
        )

    def _draw_rectangle(self, uniform: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The first of ten random shapes that is smaller than the image, as in Zhong et al.; 0 × 0 if none is."""
        low, high = self.erase_scale
        area = height * width * (low + (high - low) * uniform[:, :_ERASE_ATTEMPTS])
        narrow, tall = map(math.log, self.erase_ratio)
        ratio = (narrow + (tall - narrow) * uniform[:, _ERASE_ATTEMPTS:]).exp()
        heights, widths = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
        fits = (heights < height) & (widths < width)
        first = fits.long().argmax(1, keepdim=True)  # the first True; 0 if there is none
        chosen = fits.gather(1, first)[:, 0]
        return heights.gather(1, first)[:, 0] * chosen, widths.gather(1, first)[:, 0] * chosen

    def apply(self, images: torch.Tensor, parameters: Parameters) -> torch.Tensor:
        """Apply given parameters: uint8 ``(B, 3, H, W)`` → normalised float, on the images' device.

        ``channel`` counts only where ``exchange``, ``grey`` or ``edges`` is above 0.
        """
        _require_bytes(images)
        p = Parameters(*(value.to(images.device) for value in parameters))
        images = flip(crop(images, p.top, p.left, self.pad, self.pad_value), p.flip)
        if self.exchange or self.grey:
            images = exchange_channels(images, torch.where(p.channel == EDGES, KEEP, p.channel))
        if self.edges:
            images = draw_edges(images, p.channel == EDGES)
        return erase_(normalise(images), p.erase_top, p.erase_left, p.erase_height, p.erase_width)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """uint8 ``(B, 3, H, W)`` → float32: scaled to 0 … 1, minus the ImageNet mean, divided by the ImageNet deviation."""
    _require_bytes(images)
    mean, deviation = (constant(values, images.device).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return images.float().mul_(1 / (255 * deviation)).sub_(mean / deviation)


def crop(
    images: torch.Tensor, top: torch.Tensor, left: torch.Tensor, pad: int, pad_value: str = "zero"
) -> torch.Tensor:
    """Pad every side by ``pad`` pixels and cut ``H`` × ``W`` out of each image at its own ``top``, ``left``."""
    if pad == 0:
        return images
    count, channels, height, width = images.shape
    padded = images.new_zeros((count, channels, height + 2 * pad, width + 2 * pad))
    if pad_value == "mean":
        colour = constant([round(255 * value) for value in IMAGENET_MEAN], images.device)
        padded += colour.view(3, 1, 1).to(images.dtype)
    padded[:, :, pad:-pad, pad:-pad] = images
    # Every row of the result is one run of W bytes: find where each begins and copy runs, not pixels.
    planes = torch.arange(count * channels, device=images.device).view(count, channels, 1) * padded[0, 0].numel()
    rows = (top[:, None] + torch.arange(height, device=images.device)) * padded.shape[-1] + left[:, None]
    runs = padded.flatten().unfold(0, width, 1)
    return runs.index_select(0, (planes + rows[:, None]).flatten()).view(images.shape)


def flip(images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mirror the images where ``mask`` (bool ``(B,)``) is set."""
    both = torch.cat([images, images.flip(-1)])
    return both.index_select(0, torch.arange(len(images), device=images.device) + len(images) * mask)


def exchange_channels(images: torch.Tensor, channel: torch.Tensor) -> torch.Tensor:
    """Show one channel, or the grey value, in all three; ``channel`` ``(B,)``: ``KEEP``, 0, 1, 2 or ``GREY``."""
    red, green, blue = images.unbind(1)
    grey = red.mul(GREY_WEIGHTS[0]).add_(green, alpha=GREY_WEIGHTS[1]).add_(blue, alpha=GREY_WEIGHTS[2])
    planes = torch.cat([images.flatten(0, 1), grey.to(images.dtype)])
    row, own = torch.arange(len(images), device=images.device)[:, None], torch.arange(3, device=images.device)
    source = 3 * row + torch.where((channel == KEEP)[:, None], own, channel[:, None])
    source = torch.where((channel == GREY)[:, None], 3 * len(images) + row, source)
    return planes.index_select(0, source.flatten()).view(images.shape)


@torch.no_grad()
def draw_edges(images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Draw the edges of the images where ``mask`` (bool ``(B,)``) is set, dark on white, in all three channels."""
    drawn = xdog(images.float() / 255).mul_(255).round_().to(images.dtype)
    return torch.where(mask[:, None, None, None], drawn, images)


def erase_(
    images: torch.Tensor, top: torch.Tensor, left: torch.Tensor, height: torch.Tensor, width: torch.Tensor
) -> torch.Tensor:
    """Set one rectangle per image to 0, in place; all arguments but ``images`` have shape ``(B,)``."""
    rows = torch.arange(images.shape[2], device=images.device)
    columns = torch.arange(images.shape[3], device=images.device)
    in_rows = (rows >= top[:, None]) & (rows < (top + height)[:, None])
    in_columns = (columns >= left[:, None]) & (columns < (left + width)[:, None])
    erased = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return images.mul_((~erased).to(images.dtype))


def _index(uniform: torch.Tensor, count: int | torch.Tensor) -> torch.Tensor:
    """Uniform numbers in [0, 1) → whole numbers 0 … count - 1."""
    return (uniform * count).long()


def _require_bytes(images: torch.Tensor) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"images must be uint8 of shape (B, 3, H, W), not {images.dtype} of shape {tuple(images.shape)}"
        )
