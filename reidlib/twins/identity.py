"""Who a rendered person is: an `Identity` is a frozen record of factors, sampled from the identity's number.

The factors fall into three groups, and this is what makes a twin a cross-modality problem:

* seen by every camera: body shape, gait, hair, cut of the clothes, bag, hat, the *pattern* of a cloth;
* seen by visible cameras only: hue;
* seen by near-infrared cameras only: the part of the near-infrared albedo that luminance does not predict. Dyes are
  often transparent at 850 nm, so dark cotton may turn bright; `NIR_CORRELATION` is the share that luminance predicts.
"""

import colorsys
from dataclasses import dataclass, fields

from reidlib.twins.randomness import Draw, limited

NIR_CORRELATION = 0.7
"""Share of a cloth's near-infrared albedo that follows its luminance; the rest is drawn independently of colour."""

TEXTURES = ("plain", "hoops", "pinstripes", "checks", "block", "print", "side stripe")
"""Cloth patterns; the position in this tuple is the code the shader uses."""

HAIR = ("bald", "short", "bob", "long", "ponytail")
BAGS = ("none", "backpack", "shoulder bag", "handbag")
OUTERWEAR = ("none", "jacket", "coat")

_SALT = 71

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Cloth:
    """A material: two colours mixed by a pattern, and what near-infrared light makes of the two.

    Attributes:
        colour, second: red, green, blue in 0–1.
        nir, nir_second: near-infrared albedo of the two in 0–1.
        texture: one of `TEXTURES`.
        period: metres between two stripes; for a block, where along the garment it changes; for a print, its size.
        share: share of a period that shows the second colour.
    """

    colour: Colour
    second: Colour
    nir: float
    nir_second: float
    texture: str = "plain"
    period: float = 0.1
    share: float = 0.5


@dataclass(frozen=True)
class Identity:
    """Everything that stays the same about a person from image to image.

    Body measures are relative to an average body of 1.75 m (1.0); ``sleeve``, ``leg`` and ``skirt`` are covered
    shares of the limb in 0–1 (``skirt`` 0: none).
    """

    pid: int
    height: float
    build: float
    shoulders: float
    legs: float
    head: float
    stride: float
    arm_swing: float
    stoop: float
    hair: str
    hat: bool
    bag: str
    outerwear: str
    outer_open: bool
    sleeve: float
    hem: float
    leg: float
    skirt: float
    boots: bool
    skin: Cloth
    hair_colour: Cloth
    top: Cloth
    outer: Cloth
    bottom: Cloth
    shoes: Cloth
    bag_colour: Cloth
    hat_colour: Cloth

    @property
    def materials(self) -> tuple[Cloth, ...]:
        """Cloths in the order of `reidlib.twins.body.MATERIALS`."""
        clothes = (self.top, self.outer, self.bottom, self.shoes, self.bag_colour, self.hat_colour)
        return (self.skin, self.hair_colour, *clothes, self.skin)

    def factors(self) -> dict[str, float | str | bool]:
        """A flat record of the factors: ``top_red``, ``top_nir``, ``top_texture``, … beside the plain fields."""
        record: dict[str, float | str | bool] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Cloth):
                record[field.name] = value
                continue
            name = field.name.removesuffix("_colour")
            record |= channels(name, value.colour) | {f"{name}_nir": value.nir, f"{name}_texture": value.texture}
        return record


def sample_identity(pid: int, seed: int = 0) -> Identity:
    """Return the person with number ``pid`` (≥ 0) of the population ``seed``; the same on every machine."""
    if pid < 0:
        raise ValueError(f"pid must be ≥ 0, got {pid}")
    draw = Draw(_SALT, seed, pid)
    skirt = draw.uniform(0.4, 1.0) if draw.chance(0.2) else 0.0
    outerwear = draw.choice(OUTERWEAR, (0.55, 0.27, 0.18))
    return Identity(
        pid=pid,
        height=limited(draw.bell(1.0, 0.055), 0.86, 1.12),
        build=limited(draw.bell(1.0, 0.12), 0.78, 1.35),
        shoulders=limited(draw.bell(1.0, 0.08), 0.82, 1.2),
        legs=limited(draw.bell(1.0, 0.035), 0.92, 1.08),
        head=limited(draw.bell(1.0, 0.06), 0.86, 1.14),
        stride=draw.uniform(0.25, 0.6),
        arm_swing=draw.uniform(0.2, 0.7),
        stoop=draw.uniform(0.0, 0.18),
        hair=draw.choice(HAIR, (0.08, 0.37, 0.2, 0.2, 0.15)),
        hat=draw.chance(0.2),
        bag=draw.choice(BAGS, (0.45, 0.27, 0.15, 0.13)),
        outerwear=outerwear,
        outer_open=draw.chance(0.5),
        sleeve=draw.choice((0.15, 0.3, 0.55, 1.0), (0.1, 0.3, 0.1, 0.5)),
        hem=draw.uniform(0.9, 1.06) if outerwear == "none" else draw.uniform(0.8, 0.94),
        leg=draw.choice((0.35, 0.5, 0.75, 1.0), (0.12, 0.13, 0.1, 0.65)) if skirt == 0.0 else 0.0,
        skirt=skirt,
        boots=draw.chance(0.2),
        skin=_skin(draw),
        hair_colour=_hair_colour(draw),
        top=_cloth(draw, patterned=0.6, textures=(1, 1, 0.7, 1, 1, 0)),
        outer=_cloth(draw, patterned=0.25, textures=(0.5, 0.3, 1, 1, 0, 0)),
        bottom=_cloth(draw, patterned=0.25, textures=(0.2, 0.6, 0.7, 0.3, 0, 1)),
        shoes=_cloth(draw),
        bag_colour=_cloth(draw, patterned=0.2, textures=(1, 0, 1, 1, 0, 0)),
        hat_colour=_cloth(draw),
    )


def channels(name: str, colour: Colour) -> dict[str, float]:
    """``name_red``, ``name_green`` and ``name_blue`` of a flat record."""
    return {f"{name}_{channel}": value for channel, value in zip(("red", "green", "blue"), colour, strict=True)}


def luminance(colour: Colour) -> float:
    """Rec. 601 luma of red, green, blue in 0–1, the grey that cameras and Pillow compute."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _near_infrared(draw: Draw, colour: Colour) -> float:
    mixed = NIR_CORRELATION * luminance(colour) + (1.0 - NIR_CORRELATION) * draw.uniform(0.05, 1.0)
    return limited(mixed, 0.06, 0.95)


def _dye(draw: Draw) -> Colour:
    """A colour people wear: dark and light neutrals are common, the rest spreads over all hues."""
    kind = draw.uniform()
    hue = draw.uniform()
    if kind < 0.22:
        return colorsys.hsv_to_rgb(hue, draw.uniform(0.0, 0.35), draw.uniform(0.05, 0.28))
    if kind < 0.42:
        return colorsys.hsv_to_rgb(hue, draw.uniform(0.0, 0.12), draw.uniform(0.35, 0.95))
    return colorsys.hsv_to_rgb(hue, draw.uniform(0.4, 0.9), draw.uniform(0.3, 0.9))


def _cloth(draw: Draw, patterned: float = 0.0, textures: tuple[float, ...] = ()) -> Cloth:
    colour = _dye(draw)
    second = _dye(draw)
    if abs(luminance(second) - luminance(colour)) < 0.25:  # a pattern in the same grey would exist in hue only
        shift = 0.4 if luminance(colour) < 0.5 else -0.4
        second = tuple(limited(channel + shift, 0.03, 0.97) for channel in second)
    texture = draw.choice(TEXTURES[1:], textures) if draw.chance(patterned) else "plain"
    nir, nir_second = _near_infrared(draw, colour), _near_infrared(draw, second)
    return Cloth(colour, second, nir, nir_second, texture, draw.uniform(0.07, 0.2), draw.uniform(0.3, 0.6))


def _skin(draw: Draw) -> Cloth:
    depth = draw.uniform(0.35, 1.0)
    colour = tuple(depth * channel + (1 - depth) * dark for channel, dark in ((0.93, 0.30), (0.74, 0.19), (0.62, 0.13)))
    nir = 0.62 + 0.12 * depth  # melanin absorbs little at 850 nm: skins look alike there
    return Cloth(colour, (0.12, 0.08, 0.07), nir, 0.25)


def _hair_colour(draw: Draw) -> Cloth:
    tones = (
        (0.07, 0.06, 0.06), (0.20, 0.13, 0.08), (0.36, 0.22, 0.12),
        (0.72, 0.56, 0.30), (0.62, 0.61, 0.60), (0.45, 0.16, 0.08),
    )  # fmt: skip
    colour = draw.choice(tones, (0.38, 0.24, 0.16, 0.1, 0.08, 0.04))
    return Cloth(colour, colour, _near_infrared(draw, colour), 0.3)
