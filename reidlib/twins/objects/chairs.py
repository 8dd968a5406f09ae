"""Chairs that nobody built: an identity is a record of factors.

Measures in metres; x to the sitter's left, y up from the floor, z to the front. Reconstructed: the factors are what
distinguishes chairs in a furniture catalogue.
"""

from dataclasses import dataclass, replace

from reidlib.twins.objects.photo import Finish, Product, pick_colour
from reidlib.twins.randomness import Draw

PARTS = ("background", "seat", "back", "leg", "arm", "cushion")
BASES = ("four", "sled", "swivel", "pedestal")
BACKS = ("none", "solid", "slats", "ladder", "spindles", "curved", "padded")
ARMS = ("none", "post", "loop", "padded")
_SALT = 91


@dataclass(frozen=True)
class Chair(Product):
    """Everything that tells a chair from another. Angles in radians; ``corner`` 2 is a round seat, 8 a square one.

    ``splay`` is how far the feet stand out; ``wrap`` how far the back curves around the sitter (0 flat, 1 half round);
    ``taper`` the width of the seat's back edge as a share of its front.
    """

    pid: int
    base: str
    back: str
    arms: str
    seat_height: float
    seat_width: float
    seat_depth: float
    seat_thickness: float
    corner: float
    taper: float
    dish: float
    cushion: float
    back_height: float
    back_width: float
    back_low: float
    back_corner: float
    recline: float
    wrap: float
    slats: int
    leg_radius: float
    square_legs: bool
    leg_taper: float
    splay: float
    stretchers: str
    feet: int
    tufts: str
    frame: Finish
    seat: Finish
    soft: Finish
    metal: Finish


def sample_chair(pid: int, seed: int) -> Chair:
    """Draw the chair with number ``pid`` of the population ``seed``; the same on every machine."""
    if pid < 0:
        raise ValueError(f"pid must be 0 or more, not {pid}")
    draw = Draw(_SALT, seed, pid)
    base = draw.choice(BASES, (0.62, 0.13, 0.15, 0.1))
    back = draw.choice(BACKS, (0.07, 0.2, 0.15, 0.1, 0.12, 0.2, 0.16))
    tall = draw.chance(0.64 if back == "none" else 0.1)  # bar stools
    upholstered = back == "padded" or (back in ("curved", "solid") and draw.chance(0.3))
    wide = draw.uniform(0.5, 0.66) if upholstered and draw.chance(0.6) else draw.uniform(0.38, 0.5)
    height = draw.uniform(0.58, 0.74) if tall else draw.uniform(0.33, 0.4) if wide > 0.55 else draw.uniform(0.41, 0.5)
    wood, metal = _wood(draw), _metal(draw)
    soft = Finish(
        *pick_colour(draw), draw.choice(("weave", "plain", "checks", "stripes", "leather"), (4, 3, 1, 1, 2)), 0.15,
        draw.uniform(0.05, 0.11),
    )  # fmt: skip
    painted = Finish(*pick_colour(draw), "plain", draw.uniform(0.2, 0.6))
    frame = metal if draw.chance(0.4 if base != "sled" else 0.9) else wood if draw.chance(0.75) else painted
    shell_finish = soft if upholstered else draw.choice((wood, painted, frame), (4, 4, 2))
    low = draw.uniform(0.0, 0.12) if back in ("curved", "padded") else draw.uniform(0.06, 0.2)
    return Chair(
        pid=pid,
        base=base,
        back=back,
        arms="none" if back == "none" or tall else draw.choice(ARMS, (0.6, 0.16, 0.14, 0.1)),
        seat_height=height,
        seat_width=wide,
        seat_depth=wide * draw.uniform(0.85, 1.08),
        seat_thickness=draw.uniform(0.05, 0.12) if upholstered else draw.uniform(0.018, 0.05),
        corner=draw.choice((2.0, 3.0, 5.0, 9.0), (0.25, 0.2, 0.3, 0.25)),
        taper=draw.uniform(0.8, 1.0),
        dish=draw.uniform(0.0, 0.025),
        cushion=draw.uniform(0.03, 0.08) if draw.chance(0.35) else 0.0,
        back_height=draw.uniform(0.16, 0.3) if tall else draw.uniform(0.3, 0.62),
        back_width=draw.uniform(0.84, 1.08),
        back_low=low,
        back_corner=draw.choice((2.0, 3.0, 5.0, 9.0)),
        recline=draw.uniform(0.05, 0.33),
        wrap=draw.uniform(0.35, 1.0) if back == "curved" else draw.uniform(0.0, 0.3),
        slats=3 + draw.integer(5),
        leg_radius=draw.uniform(0.011, 0.03) if base != "sled" else draw.uniform(0.009, 0.015),
        square_legs=draw.chance(0.4),
        leg_taper=draw.uniform(0.45, 1.0),
        splay=draw.uniform(0.0, 0.09),
        stretchers=draw.choice(("none", "box", "H", "front"), (0.5, 0.2, 0.15, 0.15)) if not tall else "box",
        feet=4 + draw.integer(2),
        tufts=draw.choice(("none", "channels", "grid"), (0.5, 0.3, 0.2)) if upholstered else "none",
        frame=frame,
        seat=shell_finish,
        soft=soft,
        metal=metal,
    )


def _wood(draw: Draw) -> Finish:
    tones = (
        (0.76, 0.6, 0.4), (0.6, 0.42, 0.25), (0.38, 0.24, 0.15), (0.22, 0.14, 0.1), (0.86, 0.76, 0.6), (0.62, 0.3, 0.18)
    )  # fmt: skip
    tone, shade = draw.choice(tones), draw.uniform(0.85, 1.1)
    colour = tuple(min(shade * channel, 0.95) for channel in tone)
    return Finish(colour, tuple(0.72 * channel for channel in colour), "wood", 0.25, draw.uniform(0.01, 0.03))


def _metal(draw: Draw) -> Finish:
    colour = draw.choice(((0.72, 0.73, 0.75), (0.1, 0.1, 0.11), (0.85, 0.84, 0.82), (0.74, 0.58, 0.34)), (4, 4, 2, 1))
    return Finish(colour, colour, "plain", 0.9 if colour[0] > 0.5 else 0.45)


def misremembered(chair: Chair, draw: Draw, error: float) -> Chair:
    """The chair as somebody recalls it: measures off by about ``error``, now and then something forgotten."""

    def off(value: float, limit: float = 9.0) -> float:
        return min(value * (1.0 + draw.bell(0.0, error)), limit)

    return replace(
        chair,
        **{name: off(getattr(chair, name)) for name in ("seat_height", "seat_width", "seat_depth", "back_height")},
        back_width=off(chair.back_width, 1.15),
        recline=chair.recline + draw.bell(0.0, 0.6 * error),
        wrap=off(chair.wrap, 1.0),
        leg_radius=off(off(chair.leg_radius)),
        splay=max(chair.splay + draw.bell(0.0, 0.25 * error), 0.0),
        slats=max(chair.slats + draw.choice((-1, 0, 1), (0.15, 0.7, 0.15)), 2),
        cushion=0.0 if draw.chance(1.5 * error) else off(chair.cushion),
        stretchers="none" if draw.chance(2.0 * error) else chair.stretchers,
        tufts="none" if draw.chance(3.0 * error) else chair.tufts,
    )
