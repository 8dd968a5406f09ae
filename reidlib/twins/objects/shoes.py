"""Shoes that nobody made: an identity is a record of factors. Measures are in lengths of the shoe.

Reconstructed: the factors are those of a shoe shop.
"""

from dataclasses import dataclass, replace

from reidlib.twins.objects.photo import DARK, Finish, Product, pick_colour
from reidlib.twins.randomness import Draw

PARTS = ("background", "upper", "sole", "heel", "closure", "lining")
UPPER_PART, SOLE_PART, HEEL_PART, CLOSURE, LINING_PART = range(1, len(PARTS))
UPPER, ACCENT, SOLE, LACE, LINING, BLACK = range(6)
"""Positions in ``Shoe.finishes``."""

KINDS = ("trainer", "high-top", "boot", "tall boot", "loafer", "pump", "sandal")
TOES = ("round", "pointed", "square")
TRIMS = ("none", "cap", "wing", "counter", "both")
SIDES = ("none", "stripes", "sweep", "panel", "disc", "seam")
CLOSURES = ("none", "laces", "straps", "zip", "buckle", "saddle", "bow")
_SALT = 92


@dataclass(frozen=True)
class Shoe(Product):
    """Everything that tells a shoe from another. ``throat`` is where the opening begins, ``collar`` its height above
    the sole, ``dip`` how far it sinks between throat and heel; ``straps`` are bands of a sandal.
    """

    pid: int
    kind: str
    toe: str
    toe_length: float
    toe_height: float
    instep: float
    width: float
    throat: float
    collar: float
    dip: float
    back: float
    sole: float
    sole_line: bool
    sole_grooves: int
    heel: float
    heel_width: float
    trim: str
    side: str
    side_count: int
    side_slant: float
    closure: str
    laces: int
    straps: int
    pull_tab: bool
    upper: Finish
    accent: Finish
    sole_finish: Finish
    lace: Finish
    lining: Finish

    @property
    def low(self) -> bool:
        """Whether it ends below the ankle."""
        return self.collar < 0.36


def sample_shoe(pid: int, seed: int) -> Shoe:
    """Draw the shoe with number ``pid`` of the population ``seed``; the same on every machine."""
    if pid < 0:
        raise ValueError(f"pid must be 0 or more, not {pid}")
    draw = Draw(_SALT, seed, pid)
    kind = draw.choice(KINDS, (0.26, 0.1, 0.16, 0.08, 0.13, 0.17, 0.1))
    sporty, dressy = kind in ("trainer", "high-top"), kind in ("pump", "loafer")
    toe = draw.choice(TOES, (0.85, 0.05, 0.1) if sporty else (0.45, 0.4, 0.15) if dressy else (0.6, 0.2, 0.2))
    heeled = kind == "pump" or (kind in ("boot", "tall boot", "sandal") and draw.chance(0.45))
    heel = draw.uniform(0.12, 0.42) if heeled else draw.uniform(0.03, 0.1) if not sporty else 0.0
    upper, accent = _material(draw, sporty), _material(draw, sporty)
    white = Finish((0.93, 0.92, 0.9), (0.9, 0.9, 0.88), gloss=0.1)
    tan = Finish((0.62, 0.43, 0.26), (0.5, 0.33, 0.2), gloss=0.2)
    sole = draw.choice((white, DARK, tan, accent), (4, 3, 2, 2) if sporty else (0.6, 5, 3, 0.5))
    collar = {
        "trainer": draw.uniform(0.2, 0.27), "high-top": draw.uniform(0.38, 0.52), "boot": draw.uniform(0.42, 0.7),
        "tall boot": draw.uniform(0.9, 1.3), "loafer": draw.uniform(0.17, 0.22), "pump": draw.uniform(0.1, 0.16),
        "sandal": 0.2,
    }[kind]  # fmt: skip
    closure = draw.choice(
        CLOSURES,
        {
            "trainer": (0.08, 0.8, 0.12, 0, 0, 0, 0), "high-top": (0, 0.88, 0.12, 0, 0, 0, 0),
            "boot": (0.2, 0.45, 0, 0.2, 0.15, 0, 0), "tall boot": (0.35, 0.2, 0, 0.3, 0.15, 0, 0),
            "loafer": (0.2, 0.25, 0, 0, 0.1, 0.4, 0.05), "pump": (0.6, 0, 0, 0, 0.2, 0, 0.2),
            "sandal": (0.4, 0, 0, 0, 0.6, 0, 0),
        }[kind],
    )  # fmt: skip
    return Shoe(
        pid=pid,
        kind=kind,
        toe=toe,
        toe_length=draw.uniform(0.9, 1.1),
        toe_height=draw.uniform(0.1, 0.145) if not (dressy or toe == "pointed") else draw.uniform(0.065, 0.1),
        instep=draw.uniform(0.9, 1.12),
        width=draw.uniform(0.155, 0.185) if not dressy else draw.uniform(0.14, 0.165),
        throat=draw.uniform(0.24, 0.36) if kind == "pump" else draw.uniform(0.5, 0.58),
        collar=collar,
        dip=draw.uniform(0.1, 0.35) if kind in ("trainer", "loafer") else draw.uniform(0.0, 0.12),
        back=draw.uniform(1.0, 1.25) if collar < 0.4 else 1.0,
        sole=draw.uniform(0.055, 0.12) if sporty else draw.uniform(0.02, 0.05) if not draw.chance(0.15) else 0.1,
        sole_line=draw.chance(0.5),
        sole_grooves=draw.choice((0, 9, 16), (0.5, 0.25, 0.25)) if not dressy else 0,
        heel=heel,
        heel_width=draw.uniform(0.03, 0.1) if kind == "pump" and draw.chance(0.7) else draw.uniform(0.16, 0.3),
        trim=draw.choice(TRIMS, (0.35, 0.2, 0.1, 0.15, 0.2) if kind != "sandal" else (1, 0, 0, 0, 0)),
        side=draw.choice(SIDES, (0.15, 0.25, 0.2, 0.15, 0.1, 0.15) if sporty else (0.7, 0, 0, 0.1, 0, 0.2)),
        side_count=2 + draw.integer(3),
        side_slant=draw.uniform(-0.5, 0.5),
        closure=closure,
        laces=4 + draw.integer(4),
        straps=1 + draw.integer(4),
        pull_tab=draw.chance(0.35) and kind not in ("pump", "sandal"),
        upper=upper,
        accent=accent,
        sole_finish=sole,
        lace=white if draw.chance(0.5) else draw.choice((DARK, accent)),
        lining=Finish(*[tuple(0.55 * channel for channel in colour) for colour in pick_colour(draw)], gloss=0.05),
    )


def _material(draw: Draw, sporty: bool) -> Finish:
    texture = draw.choice(("plain", "leather", "knit"), (2, 1, 3) if sporty else (2, 3, 0.2))
    return Finish(*pick_colour(draw), texture, draw.uniform(0.05, 0.25) if sporty else draw.uniform(0.1, 0.7))


def misremembered(shoe: Shoe, draw: Draw, error: float) -> Shoe:
    """The shoe as somebody recalls it: measures off by about ``error``, now and then something forgotten."""

    def off(value: float) -> float:
        return value * (1.0 + draw.bell(0.0, error))

    return replace(
        shoe,
        **{name: off(getattr(shoe, name)) for name in ("toe_length", "toe_height", "instep", "width")},
        throat=shoe.throat * (1.0 + draw.bell(0.0, 0.5 * error)),
        collar=off(shoe.collar),
        dip=off(shoe.dip),
        sole=off(off(shoe.sole)),
        heel=off(shoe.heel),
        heel_width=off(off(shoe.heel_width)),
        side_slant=shoe.side_slant + draw.bell(0.0, 2.0 * error),
        side="none" if draw.chance(1.5 * error) else shoe.side,
        trim="none" if draw.chance(1.5 * error) else shoe.trim,
        laces=max(shoe.laces + draw.choice((-1, 0, 1), (0.2, 0.6, 0.2)), 3),
        sole_line=shoe.sole_line and not draw.chance(2.0 * error),
        sole_grooves=0 if draw.chance(4.0 * error) else shoe.sole_grooves,
    )
