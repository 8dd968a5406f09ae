"""Photograph an object: surfaces and finishes → a product photo on a light ground, and the truth behind it."""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from reidlib.twins.identity import Colour, channels, luminance
from reidlib.twins.objects.surfaces import Camera, Patch, View, look
from reidlib.twins.picture import Picture, eight_bit, light_from, pixels, saved
from reidlib.twins.randomness import Draw, generator

SAMPLES = 3
_STUDIO_SALT, _NOISE_SALT = 93, 94


@dataclass(frozen=True)
class Finish:
    """What a surface is made of: two colours (red, green, blue in 0–1) mixed by a texture of ``period`` (a share of the
    surface's length), and ``gloss`` 0–1.
    """

    colour: Colour
    second: Colour
    texture: str = "plain"
    gloss: float = 0.2
    period: float = 0.08


DARK = Finish((0.07, 0.065, 0.065), (0.07, 0.065, 0.065), gloss=0.1)
"""Rubber, seams, the inside of things."""


def pick_colour(draw: Draw) -> tuple[Colour, Colour]:
    """A colour things are sold in, and a second one for its pattern."""
    kind, hue = draw.uniform(), draw.uniform()
    if kind < 0.2:
        colour = colorsys.hsv_to_rgb(hue, draw.uniform(0.0, 0.3), draw.uniform(0.1, 0.24))
    elif kind < 0.42:
        colour = colorsys.hsv_to_rgb(draw.uniform(0.04, 0.14), draw.uniform(0.0, 0.2), draw.uniform(0.55, 0.95))
    elif kind < 0.6:
        colour = colorsys.hsv_to_rgb(draw.uniform(0.03, 0.11), draw.uniform(0.4, 0.75), draw.uniform(0.25, 0.7))
    else:
        colour = colorsys.hsv_to_rgb(hue, draw.uniform(0.3, 0.72), draw.uniform(0.3, 0.8))
    shade = 0.62 if luminance(colour) > 0.3 else 1.9
    return colour, tuple(min(shade * channel + 0.03, 0.95) for channel in colour)


class Product:
    """What a photo is of: a dataclass of factors, some of which are finishes."""

    @property
    def finishes(self) -> tuple[Finish, ...]:
        """Its own in the order of its fields, then `DARK`; patches name them by their positions."""
        return (*(value for value in vars(self).values() if isinstance(value, Finish)), DARK)

    def factors(self) -> dict[str, float | str | bool]:
        """A flat record of the factors, then ``frame_red``, …, ``frame_texture``, ``frame_gloss`` of each finish."""
        finishes = {name: value for name, value in vars(self).items() if isinstance(value, Finish)}
        record = {name: value for name, value in vars(self).items() if name not in finishes}
        for name, finish in finishes.items():
            record |= channels(name, finish.colour) | {f"{name}_texture": finish.texture, f"{name}_gloss": finish.gloss}
        return record


@dataclass(frozen=True)
class Studio:
    """The circumstances of a photo; ``light`` points to the lamp, times its strength; ``key`` seeds the noise."""

    camera: Camera
    light: tuple[float, float, float]
    ambient: float
    ground: Colour
    shadow: float
    exposure: float
    noise: float
    blur: float
    key: tuple[int, ...]


def sample_studio(camera: Camera, *key: int) -> Studio:
    """Draw the studio of the photo named by ``key``."""
    draw = Draw(_STUDIO_SALT, *key)
    turn, elevation = draw.bell(-0.4, 0.5), draw.uniform(0.75, 1.2)
    light = light_from(turn, elevation, draw.uniform(0.45, 0.75))
    tone = 1.0 if draw.chance(0.7) else draw.uniform(0.86, 0.98)
    return Studio(
        camera=camera,
        light=light,
        ambient=draw.uniform(0.48, 0.64),
        ground=(tone, tone * draw.uniform(0.985, 1.0), tone * draw.uniform(0.97, 1.0)),
        shadow=draw.uniform(0.1, 0.5),
        exposure=1.0 + draw.bell(0.0, 0.05),
        noise=draw.uniform(0.002, 0.012),
        blur=draw.uniform(0.25, 0.6),
        key=key,
    )


@dataclass(frozen=True)
class ObjectRendering(Picture):
    """A picture of an object; ``gbuffer``: the samples behind it; ``ink`` uint8 (H, W), how dark the strokes are:
    sketches only.
    """

    gbuffer: View
    ink: np.ndarray | None = None

    def png(self) -> bytes:
        """As a file: photos in RGB; sketches as the publishers save them, black with the strokes in alpha."""
        return saved(self.image if self.ink is None else np.dstack([0 * self.image, self.ink]), "PNG")


def photograph(
    patches: Sequence[Patch], finishes: Sequence[Finish], studio: Studio, height: int, width: int
) -> ObjectRendering:
    """Shade what the camera sees, `SAMPLES` × `SAMPLES` to a pixel, on the ground with its shadow."""
    view = look(patches, studio.camera, height * SAMPLES, width * SAMPLES, light=studio.light)
    hit = view.owner >= 0
    colour = np.zeros((*hit.shape, 3), np.float32)
    colour[hit] = _shaded(view, hit, finishes, studio)
    image = pixels(colour, SAMPLES) + (1 - pixels(hit, SAMPLES))[..., None] * _ground(view, studio)
    sigma = studio.blur * height / 128
    image = gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=2.5) * np.float32(studio.exposure)
    noise = generator(_NOISE_SALT, *studio.key).standard_normal(image.shape, dtype=np.float32)
    return ObjectRendering(eight_bit(image + noise * np.float32(studio.noise)), *_masks(view), view)


def _masks(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Object mask (H, W) bool and part mask (H, W) uint8 of a view: the part that most samples of a pixel show."""
    height, width = (size // SAMPLES for size in view.part.shape)
    cells = view.part.reshape(height, SAMPLES, width, SAMPLES).transpose(0, 2, 1, 3).reshape(height, width, -1)
    counts = (cells[..., None] == np.arange(cells.max() + 1)).sum(2)
    parts = (counts[..., 1:].argmax(2) + 1) * (counts[..., 0] <= SAMPLES**2 / 2)
    return parts > 0, parts.astype(np.uint8)


def _ground(view: View, studio: Studio) -> np.ndarray:
    """White paper that darkens a little downwards, a soft shadow, and a narrow dark one where the object stands."""
    shadow = pixels(view.shadow, SAMPLES)
    height = len(shadow)
    soft, near = (gaussian_filter(shadow, share * height, mode="nearest", truncate=2.5) for share in (0.035, 0.012))
    dark = studio.shadow * (0.75 * soft + 0.25 * near)
    paper = 1.0 - 0.03 * np.linspace(0, 1, height, dtype=np.float32)[:, None]
    return np.array(studio.ground, np.float32) * (paper * (1.0 - dark))[..., None]


def _shaded(view: View, hit: np.ndarray, finishes: Sequence[Finish], studio: Studio) -> np.ndarray:
    normal, material = view.normal[hit], view.material[hit]
    light = np.array(studio.light, np.float32)
    strength = np.float32(math.sqrt(float(light @ light)))
    facing = normal @ (light / strength)
    half = light / strength + (0, 0, 1)
    shine = np.clip(normal @ (half / np.sqrt(half @ half)).astype(np.float32), 0, 1)
    lamp = strength * (0.8 * np.clip(facing, 0, 1) + 0.2 * (0.5 + 0.5 * facing))
    sky = studio.ambient * (0.8 + 0.2 * normal[:, 1])
    lit = (lamp + sky) * (1.0 - _hollows(view, hit))
    gloss = np.array([finish.gloss for finish in finishes], np.float32)[material]
    highlight = gloss * strength * (0.55 * shine ** (12 + 60 * gloss))
    rim = 0.25 * gloss * (1 - normal[:, 2]) ** 3
    return _albedo(view, hit, finishes) * (lit * (1 + rim))[:, None] + highlight[:, None]


def _hollows(view: View, hit: np.ndarray) -> np.ndarray:
    """Darkening where a sample lies behind its surroundings: little light reaches corners and hollows."""
    covered, depth = pixels(hit, SAMPLES), pixels(view.depth, SAMPLES)  # depth is 0 where nothing is
    weight, around = (gaussian_filter(a, 0.02 * len(depth), truncate=2.0) for a in (covered, depth))
    behind = around / np.maximum(weight, 1e-3) - depth / np.maximum(covered, 1e-3)
    return np.clip(2.2 * behind, 0.0, 0.45).repeat(SAMPLES, 0).repeat(SAMPLES, 1)[hit]


def _albedo(view: View, hit: np.ndarray, finishes: Sequence[Finish]) -> np.ndarray:
    material, owner = view.material[hit], view.owner[hit].astype(np.float32)
    u, v = view.along[hit].T
    first = np.array([finish.colour for finish in finishes], np.float32)[material]
    second = np.array([finish.second for finish in finishes], np.float32)[material]
    mix = np.zeros(len(material), np.float32)
    for index, finish in enumerate(finishes):
        where = material == index
        if finish.texture != "plain" and where.any():
            mix[where] = TEXTURES[finish.texture](u[where], v[where], finish.period, owner[where])
    return first + mix[:, None] * (second - first)


def _hash(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    value = np.sin(u * 127.1 + v * 311.7) * 43758.547
    return value - np.floor(value)


def _wood(u, v, period, owner):
    grain = 14.0 * v + 0.9 * np.sin(5.0 * u + 3.0 * owner) + 0.35 * np.sin(17.0 * u + 9.0 * v)
    return 0.45 + 0.3 * np.sin(2 * math.pi * grain * (0.02 / period)) + 0.2 * np.sin(37.0 * v + 4.0 * np.sin(6.0 * u))


TEXTURES = {
    "wood": _wood,
    "weave": lambda u, v, period, owner: 0.25 + 0.2 * (_hash(np.floor(u * 60), np.floor(v * 60)) > 0.5),
    "leather": lambda u, v, period, owner: (
        0.18 + 0.14 * np.sin(43 * u + 5 * np.sin(31 * v)) * np.sin(39 * v + 4 * np.sin(27 * u))
    ),
    "knit": lambda u, v, period, owner: 0.5 * (np.sin(2 * math.pi * u * 42) * np.sin(2 * math.pi * v * 24) > 0.25),
    "checks": lambda u, v, period, owner: 0.5 * ((u / period % 1 < 0.5).astype(np.float32) + (v / period % 1 < 0.5)),
    "stripes": lambda u, v, period, owner: (v / period % 1 < 0.4).astype(np.float32),
}
"""Patterns of a `Finish` beside ``plain``: the share of its second colour, of surface coordinates, period and patch."""
