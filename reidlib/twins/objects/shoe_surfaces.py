"""From a shoe's factors to its surfaces. Unit: the shoe's length; x from toe to heel, y up, z to the outer side.

The upper is spanned by *stations*: pairs of a point on the edge of the sole and a point of the top line, which runs
from the toe over the instep and around the collar.
"""

import math

import numpy as np

from reidlib.twins.objects.photo import DARK
from reidlib.twins.objects.shoes import ACCENT, BLACK, HEEL_PART, LINING, LINING_PART, SOLE, SOLE_PART, Shoe
from reidlib.twins.objects.surfaces import Patch, curve

STATIONS = 56


def along(s: np.ndarray) -> np.ndarray:
    """x of the station at share s: they are dense at toe and heel, which are round."""
    return 0.35 * s + 0.65 * (0.5 - 0.5 * np.cos(math.pi * s))


class Last:
    """The form a shoe is built around. Arrays have one value a station.

    Attributes:
        x, edge: of the edge of the sole, its distance from the middle.
        bed: height of the foot bed.
        top_x, top_y, half: of the top line; ``half`` the width of the opening there.
        throat: the station (as a share of all) where the instep ends and laces end.
    """

    def __init__(self, shoe: Shoe):
        self.shoe = shoe
        s = np.linspace(0.0, 1.0, STATIONS)
        self.x = along(s)
        self.edge = shoe.width * _outline(self.x, shoe)
        self.bed = self.height(self.x)
        knots, throat, opening = _top_line(shoe)
        self.throat = throat / (len(knots) - 1)
        self.top_x, above = curve(knots, STATIONS).T
        self.top_y = above + self.height(self.top_x)
        t = np.clip((s - opening / (len(knots) - 1)) / (1 - opening / (len(knots) - 1)), 0.0, 1.0)
        widest = (0.86 if shoe.kind == "pump" else 0.72) * self.edge.max()
        wide = widest * np.sqrt(np.clip(np.sin(math.pi * t**0.75), 0.0, 1.0))
        self.half = np.minimum(wide, np.maximum(0.95 * self.edge, 0.03)) * (t > 0)

    def height(self, x: np.ndarray | float) -> np.ndarray:
        """Foot bed above the floor: flat under the toes, then rising to the heel."""
        rise = np.clip((x - 0.32) / 0.5, 0.0, 1.0)
        spring = 0.03 * np.clip(1.0 - x / 0.25, 0.0, 1.0) ** 2
        wedge = 0.35 * self.shoe.sole if self.shoe.heel == 0.0 else self.shoe.heel
        return self.shoe.sole + wedge * rise**2 * (3 - 2 * rise) + spring

    def section(self, s: np.ndarray, v: np.ndarray, grow: float = 0.0) -> np.ndarray:
        """Points (S, V, 3) of the outer half of the upper at stations s (shares) and heights v: 0 at the sole, 1 on the
        top line; ``grow`` lifts them off the surface.
        """
        values = (self.x, self.bed, self.edge, self.top_x, self.top_y, self.half)
        at = s * (STATIONS - 1)
        x, bed, edge, top_x, top_y, half = (np.interp(at, np.arange(STATIONS), value)[:, None] for value in values)
        angle = v * math.pi / 2
        rise, fall = np.sin(angle) ** 0.85, np.cos(angle) ** 0.8
        lean = rise * (1 - 0.25 * (1 - rise))
        return np.stack(
            [x + (top_x - x) * lean, bed + (top_y - bed) * rise + grow, half + (edge - half) * fall + grow], 2
        )

    def point(self, s: float, v: float, grow: float = 0.0) -> np.ndarray:
        """One point of it, (3,)."""
        return self.section(np.array([s]), np.array([v]), grow)[0, 0]


def _outline(x: np.ndarray, shoe: Shoe) -> np.ndarray:
    """Half the width of the sole along x, the ball of the foot being 1."""
    power = {"round": 2.1, "pointed": 1.35, "square": 3.4}[shoe.toe]
    ball = 0.34 * (1.15 if shoe.toe == "pointed" else 1.0) * shoe.toe_length
    toe = (1.0 - np.clip(1.0 - x / ball, 0.0, 1.0) ** power) ** (1 / max(power, 1.7))
    heel = (1.0 - np.clip((x - 0.86) / 0.14, 0.0, 1.0) ** 2.2) ** (1 / 2.2)
    waist = 1.0 - 0.3 * np.exp(-(((x - 0.66) / 0.16) ** 2)) - 0.16 * np.clip((x - 0.4) / 0.6, 0.0, 1.0)
    return toe * heel * waist


def _top_line(shoe: Shoe) -> tuple[list[tuple[float, float]], int, int]:
    """Knots (x, height above the foot bed) of the top line, and those where the instep ends and the opening begins."""
    toe, high, throat, collar = shoe.toe_height, shoe.instep, shoe.throat, shoe.collar
    vamp = [(0.015, 0.45 * toe), (0.06, 0.95 * toe), (0.2, 1.1 * toe)]
    if shoe.kind == "pump":
        vamp = [(0.02, 0.4 * toe), (0.06, 0.95 * toe), (0.16, 1.05 * toe), (throat, 1.2 * toe)]
        return vamp + [(0.5, 0.85 * collar), (0.72, 0.9 * collar), (0.9, 1.25 * collar), (0.985, 1.7 * collar)], 3, 3
    if shoe.kind == "sandal":
        instep = [(0.42, 0.2 * high), (0.58, 0.27 * high), (0.7, 0.33 * high), (0.85, 0.32), (0.985, 0.25)]
        return [(0.02, 0.3 * toe), (0.1, 0.85 * toe), (0.25, 1.1 * toe), *instep], 5, 5
    if shoe.low:
        rim = [(0.7, collar * (1 - 0.6 * shoe.dip)), (0.86, collar * (1 - 0.4 * shoe.dip)), (0.985, collar * shoe.back)]
        return vamp + [(0.36, 0.19 * high), (throat, 0.3 * high), *rim], 4, 4
    front = throat + (0.1 if collar < 0.8 else 0.04)
    shaft = [(front, 0.62 * collar + 0.1), (front + 0.01, collar)]
    rim = [(0.8, collar * (1 - 0.5 * shoe.dip)), (1.015 if collar > 0.8 else 0.985, collar)]
    return vamp + [(0.38, 0.2 * high), (throat, 0.34 * high), *shaft, *rim], 4, 6


def sole(last: Last) -> list[Patch]:
    """The wall around it, the foot bed, and a heel if there is one."""
    shoe, x = last.shoe, last.x
    welt = 0.003 if shoe.kind == "pump" else 0.012
    spring = 0.025 * np.clip(1.0 - x / 0.22, 0.0, 1.0) ** 2  # a flat sole lifts off the floor at the toe
    under = last.bed - shoe.sole if shoe.heel > 0 else spring
    edge = last.edge + welt * np.minimum(last.edge / 0.05, 1.0)
    x = x + np.clip((np.abs(x - 0.5) - 0.4) / 0.1, 0, 1) * welt * np.sign(x - 0.5)
    level = np.linspace(0.0, 1.0, 5)[:, None]
    bulge = 1 + 0.006 / shoe.width * np.sin(math.pi * level)
    outer = np.stack(np.broadcast_arrays(x, under + (last.bed - under) * level, edge * bulge), 2)
    wall = np.concatenate([outer, outer[:, -2::-1] * (1, 1, -1)], axis=1)
    across = np.linspace(-1, 1, 7)[:, None]
    bed = np.stack(np.broadcast_arrays(x, last.bed, across * edge), 2)

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        material = np.full(u.shape, SOLE, np.int16)
        if shoe.sole_line:
            material[np.abs(u - 0.55) < 0.1] = ACCENT
        if shoe.sole_grooves:
            material[(u < 0.3) & (2 * np.minimum(v, 1 - v) * shoe.sole_grooves % 1 < 0.3)] = BLACK
        return material

    patches = [Patch(wall, SOLE_PART, paint), Patch(bed, LINING_PART, ACCENT if shoe.kind == "sandal" else LINING)]
    return [*patches, _heel(last)] if shoe.heel > 0 else patches


def _heel(last: Last) -> Patch:
    """A block, or a stiletto where it is narrow, under the back of the sole."""
    shoe = last.shoe
    x = np.linspace(0.99 - max(shoe.heel_width, 0.2), 1.0, 16)
    edge = 0.97 * shoe.width * _outline(x, shoe)
    ring = np.concatenate([np.stack([x, edge], 1), np.stack([x, -edge], 1)[-2::-1]])
    ring = np.concatenate([ring, ring[:1]])
    foot = np.array([0.99 - shoe.heel_width / 2, 0.0])
    level = np.linspace(0.0, 1.0, 7)[:, None]  # 0 on the floor
    shrink = min(shoe.heel_width / 0.22, 1.0)
    size = shrink + (1 - shrink) * level**2.2
    plan_x = foot[0] + (ring[:, 0] - foot[0]) * size
    plan_z = ring[:, 1] * np.maximum(size, 0.25)
    top = last.height(plan_x) - shoe.sole
    return Patch(np.stack([plan_x, top * level, plan_z], 2), HEEL_PART, BLACK if shoe.sole_finish == DARK else SOLE)
