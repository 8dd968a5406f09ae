"""What a shoe shows above its sole: the upper and its trimmings, straps, laces, buckles, bows."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from reidlib.twins.objects.shoe_surfaces import STATIONS, Last, along, sole
from reidlib.twins.objects.shoes import ACCENT, BLACK, CLOSURE, LACE, LINING, UPPER, UPPER_PART, Shoe
from reidlib.twins.objects.surfaces import Paint, Patch, curve, tube


def build(shoe: Shoe) -> list[Patch]:
    """The surfaces of a shoe."""
    last = Last(shoe)
    upper = _sandal(last) if shoe.kind == "sandal" else _upper(last)
    return [*sole(last), *upper, *_closure(last)]


def _upper(last: Last) -> list[Patch]:
    v = np.linspace(0.0, 1.0, 15)
    outer = last.section(np.linspace(0.0, 1.0, STATIONS), v)
    inner = outer * (1, 1, -1)
    paint = _decoration(last)
    return [
        Patch(outer, UPPER_PART, paint, inside=LINING, line=0),
        Patch(inner[:, ::-1], UPPER_PART, lambda u, w: paint(u, 1 - w), inside=LINING, line=0),
    ]


def _decoration(last: Last) -> Paint:
    """Where on the upper which material lies; u runs along the stations, v up to the top line."""
    shoe, throat, low = last.shoe, last.throat, last.shoe.low

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        material = np.full(u.shape, UPPER, np.int16)
        x = along(u)
        if shoe.side == "stripes":
            place = (x - 0.44 - shoe.side_slant * 0.3 * (v - 0.4)) / 0.07
            stripes = (place > 0) & (place < shoe.side_count) & (place % 1 < 0.5) & (v > 0.04) & (v < 0.74)
            material[stripes] = ACCENT
        elif shoe.side == "sweep":
            rise = np.clip((x - 0.36) / 0.5, 0, 1)
            middle = 0.26 + 0.5 * rise**1.6 + 0.1 * shoe.side_slant
            material[(np.abs(v - middle) < 0.14 * (1 - rise) ** 0.7) & (x > 0.36) & (x < 0.86)] = ACCENT
        elif shoe.side == "panel":
            material[(np.abs(x - 0.52 + 0.2 * shoe.side_slant * v) < 0.09) & (v < 0.8)] = ACCENT
        elif shoe.side == "disc":
            material[((x - 0.74) / 0.06) ** 2 + ((v - 0.62) / (0.2 if low else 0.12)) ** 2 < 1] = ACCENT
        elif shoe.side == "seam":
            material[np.abs(v - 0.32 - 0.25 * x) < 0.018] = BLACK
        if shoe.trim in ("cap", "both"):
            material[(x < 0.17 + 0.03 * v)] = ACCENT
        elif shoe.trim == "wing":
            material[x < 0.16 + 0.22 * (1 - v) ** 1.5] = ACCENT
        if shoe.trim in ("counter", "both"):
            material[x > 0.84 + 0.1 * v**2] = ACCENT
        if shoe.closure == "laces":
            eyelets = (u > throat - 0.24) & (u < throat + (0.0 if low else 0.2))
            material[eyelets & (v > 0.76)] = ACCENT
            material[eyelets & (v > 0.92)] = LINING
        if shoe.closure == "zip":
            material[np.abs(x - 0.68) < 0.012] = BLACK
        if shoe.closure == "saddle":
            material[(np.abs(u - throat + 0.07) < 0.045)] = ACCENT
            material[(np.abs(u - throat + 0.07) < 0.014) & (v > 0.9)] = BLACK
        if shoe.kind == "loafer" and shoe.closure != "laces":
            material[(np.abs(v - 0.62 - 0.2 * np.clip(0.25 - x, 0, 1)) < 0.02) & (u < throat - 0.03)] = BLACK
        if shoe.kind != "pump" and shoe.trim != "none":
            material[(v > 0.9 if low else v > 0.95) & (u > throat + 0.06)] = ACCENT
        return material

    return paint


def _band(last: Last, low: float, high: float, material: int = UPPER, grow: float = 0.004, begin: float = 0.0) -> Patch:
    """A strap across the foot between two stations (shares), from height ``begin`` on one side to the other."""
    outer = last.section(np.linspace(low, high, 4), np.linspace(begin, 1.0, 13), grow)
    arch = np.concatenate([outer * (1, 1, -1), outer[:, -2::-1]], axis=1)
    return Patch(arch, CLOSURE if material == ACCENT else UPPER_PART, material, inside=LINING)


def _sandal(last: Last) -> list[Patch]:
    shoe = last.shoe
    places = {1: [(0.2, 0.42)], 2: [(0.17, 0.29), (0.38, 0.5)], 3: [(0.15, 0.22), (0.29, 0.36), (0.45, 0.53)],
              4: [(0.13, 0.17), (0.23, 0.27), (0.33, 0.37), (0.44, 0.48)]}[shoe.straps]  # fmt: skip
    patches = [_band(last, *place) for place in places]
    return patches + _ankle_strap(last) if shoe.closure == "buckle" else patches


def _ankle_strap(last: Last) -> list[Patch]:
    """A strap around the ankle, and what holds it at the heel."""
    height = float(last.height(0.85)) + last.shoe.collar + 0.06
    turn = np.linspace(0, 2 * math.pi, 33)
    x, z = 0.79 + 0.17 * np.cos(turn), 0.1 * np.sin(turn)
    level = np.linspace(-0.022, 0.022, 3)[:, None]
    ring = np.stack(np.broadcast_arrays(x, height - 0.12 * (x - 0.8) + level, z), 2)
    patches = [Patch(ring, CLOSURE, UPPER, inside=LINING), _buckle((0.78, height, 0.105), 0.025)]
    low = float(last.height(0.95))
    for side in (-1.0, 1.0):
        path = [(0.9, low, side * 0.09), (0.93, (height + low) / 2, side * 0.085), (0.93, height, side * 0.06)]
        patches.append(Patch(tube(curve(path, 6), 0.016, 8), UPPER_PART, UPPER))
    return patches


def _buckle(centre: Sequence[float], size: float) -> Patch:
    corners = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0), (-1, -1, 0)], float)
    path = np.concatenate([*(np.linspace(a, b, 4)[:-1] for a, b in pairwise(corners)), corners[-1:]])
    return Patch(tube(np.array(centre) + size * path, 0.22 * size, 6), CLOSURE, LACE)


def _closure(last: Last) -> list[Patch]:
    shoe, throat = last.shoe, last.throat
    patches = []
    if shoe.closure == "laces":
        patches += _laces(last)
    elif shoe.closure == "straps":
        patches += [_band(last, at, at + 0.06, ACCENT, 0.008, 0.3) for at in (throat - 0.2, throat - 0.09)]
    elif shoe.closure == "buckle" and shoe.kind == "pump":
        patches += _instep_strap(last)
    elif shoe.closure == "buckle" and shoe.kind != "sandal":
        strap = _band(last, throat - 0.06, throat, ACCENT, 0.008)
        patches += [strap, _buckle(last.point(throat - 0.03, 0.45, 0.02), 0.035)]
    elif shoe.closure == "bow":
        knot = last.point(throat - 0.02, 1.0, 0.01)
        for side in (-1.0, 1.0):
            loop = [(0, 0, 0), (0.03, 0.03, 0.05), (0, 0.02, 0.085), (-0.03, 0.01, 0.05), (0, 0, 0)]
            patches.append(Patch(tube(knot + curve(loop, 14) * (1, 1, side), 0.012, 7), CLOSURE, ACCENT))
    if shoe.pull_tab:
        top = np.array([last.top_x[-1], last.top_y[-1], 0.0])
        loop = top + curve([(0.0, -0.05, 0), (0.025, 0.02, 0), (0.0, 0.045, 0), (-0.02, 0.0, 0)], 10)
        patches.append(Patch(tube(loop, 0.012, 7), CLOSURE, ACCENT))
    return patches


def _instep_strap(last: Last) -> list[Patch]:
    """The strap of a Mary Jane."""
    y = float(last.height(0.58)) + 0.24
    arch = np.linspace(-1, 1, 15)
    path = np.stack([0.56 + 0.02 * arch**2, y - 0.13 * arch**2, 0.115 * np.sin(arch * math.pi / 2)], 1)
    wide = path + np.array([[[-0.02, -0.008, 0]], [[0.02, 0.008, 0]]])
    return [Patch(wide, CLOSURE, UPPER), _buckle((0.57, y - 0.07, 0.12), 0.025)]


def _laces(last: Last) -> list[Patch]:
    """Rungs across the instep, a bow, and the tongue that stands out of the collar."""
    shoe, throat = last.shoe, last.throat
    end = throat - 0.015 if shoe.low else throat + 0.17
    patches = []
    for at in np.linspace(throat - 0.22, end, shoe.laces):
        outer = np.stack([last.point(at + 0.018 * t, 0.82 + 0.18 * t, 0.006) for t in np.linspace(0, 1, 6)])
        path = np.concatenate([outer * (1, 1, -1), outer[-2::-1]])
        patches.append(Patch(tube(path, 0.0105, 6), CLOSURE, LACE))
    knot = last.point(end, 1.0, 0.014)
    loop = curve([(0, 0, 0), (-0.035, 0.045, 0.05), (-0.07, 0.0, 0.1), (-0.03, -0.01, 0.06), (0, 0, 0)], 14)
    tail = curve([(0, 0, 0), (-0.01, -0.03, 0.06), (-0.03, -0.09, 0.09)], 6)
    for side in (-1, 1):
        patches += [Patch(tube(knot + path * (1, 1, side), 0.0085, 6), CLOSURE, LACE) for path in (loop, tail)]
    if shoe.low and shoe.kind != "loafer":
        root = last.point(throat - 0.02, 1.0)
        across, up = np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-0.02, 0.09, 5), indexing="ij")
        tongue = np.stack([0.045 + 0.55 * up + 0.02 * across**2, up * (1 - 0.25 * across**4), 0.055 * across], 2)
        patches.append(Patch(root + tongue, CLOSURE, UPPER))
    return patches
