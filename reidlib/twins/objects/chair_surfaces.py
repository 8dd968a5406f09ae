"""From a chair's factors to its surfaces. Metres; x to the sitter's left, y up from the floor, z to the front."""

import math

import numpy as np

from reidlib.twins.objects.chairs import PARTS, Chair
from reidlib.twins.objects.surfaces import Paint, Patch, curve, shell, spread, tube

SEAT, BACK, LEG, ARM, CUSHION = range(1, len(PARTS))
FRAME, SHELL, SOFT, METAL, BLACK = range(5)
"""Positions in ``Chair.finishes``."""


def build(chair: Chair) -> list[Patch]:
    """The surfaces of a chair."""
    return [*_seat(chair), *_BASES[chair.base](chair), *_back(chair), *_arms(chair)]


def _outline(chair: Chair, a: np.ndarray, b: np.ndarray, grow: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """x, z of seat coordinates a, b in -1…1; b = 1 is the front edge."""
    narrow = chair.taper + (1 - chair.taper) * (b + 1) / 2
    return grow * a * narrow * chair.seat_width / 2, grow * b * chair.seat_depth / 2


def _plate(points: np.ndarray, offset, part: int, material) -> list[Patch]:
    return [Patch(side, part, material) for side in shell(points, offset)]


def _tufted(chair: Chair, material: int) -> int | Paint:
    """Upholstery with its seams."""
    if chair.tufts == "none":
        return material
    count = 5 if chair.tufts == "channels" else 4

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        seam = np.abs(u * count % 1.0 - 0.5) > 0.46
        if chair.tufts == "grid":
            seam |= np.abs(v * count % 1.0 - 0.5) > 0.46
        inner = (np.abs(u - 0.5) < 0.47) & (np.abs(v - 0.5) < 0.47)
        return np.where(seam & inner, BLACK, material).astype(np.int16)

    return paint


def _seat(chair: Chair) -> list[Patch]:
    a, b = spread(13, chair.corner)
    x, z = _outline(chair, a, b)
    hollow = chair.dish * (1 - a**2) * (1 - b**2) * (1 if chair.seat_thickness < 0.05 else -1.2)
    top = np.stack([x, chair.seat_height - hollow, z], 2)
    patches = _plate(top[:, ::-1], (0, -chair.seat_thickness, 0), SEAT, _tufted(chair, SHELL))
    if chair.cushion:
        x, z = _outline(chair, a, b, 0.93)
        bulge = 0.4 * chair.cushion * (1 - np.maximum(a**2, b**2) ** 2)
        pad = np.stack([x, chair.seat_height + chair.cushion + bulge, z], 2)
        patches += _plate(pad[:, ::-1], (0, -0.98 * chair.cushion, 0), CUSHION, SOFT)
    return patches


def _bar(a, b, radius: float, chair: Chair, part: int = LEG, end: float = 1.0) -> Patch:
    path = np.linspace(a, b, 3)
    radii = radius * np.linspace(1.0, end, 3)
    square = chair.square_legs and part == LEG
    return Patch(tube(path, radii * (1.2 if square else 1.0), 4 if square else 8, square), part, FRAME)


def _corners(chair: Chair, inset: float = 0.82) -> list[tuple[np.ndarray, np.ndarray]]:
    """(top, foot) of the four legs: front left, front right, back left, back right."""
    under = chair.seat_height - 0.7 * chair.seat_thickness
    legs = []
    reach = inset if chair.corner > 2.5 else 0.66
    for b in (1, -1):
        for a in (-1, 1):
            x, z = _outline(chair, np.array(a * reach), np.array(b * reach))
            top = np.array([x, under, z])
            legs.append((top, np.array([x + a * chair.splay, 0.0, z + b * chair.splay])))
    return legs


def _four(chair: Chair) -> list[Patch]:
    legs = _corners(chair)
    patches = [_bar(top, foot, chair.leg_radius, chair, end=chair.leg_taper) for top, foot in legs]
    at = [foot + (top - foot) * share for (top, foot), share in zip(legs, (0.32, 0.32, 0.38, 0.38), strict=True)]
    thin = 0.62 * chair.leg_radius
    pairs = {"none": (), "box": ((0, 1), (2, 3), (0, 2), (1, 3)), "front": ((0, 1), (2, 3)), "H": ((0, 2), (1, 3))}
    patches += [_bar(at[i], at[j], thin, chair) for i, j in pairs[chair.stretchers]]
    if chair.stretchers == "H":
        patches.append(_bar((at[0] + at[2]) / 2, (at[1] + at[3]) / 2, thin, chair))
    return patches


def _sled(chair: Chair) -> list[Patch]:
    patches = []
    (left, _), (right, _), (left_back, _), (right_back, _) = _corners(chair, 0.9)
    floor, r = 0.012, 0.05
    for top, behind, side in ((left, left_back, -1), (right, right_back, 1)):
        out = np.array([side * chair.splay * 0.4, 0.0, 0.0])
        front, rear = top + out, behind + out
        path = [
            top, (front + (0, -0.6 * top[1], 0)), front * (1, 0, 1) + (0, floor + r, 0),
            front * (1, 0, 1) + (0, floor, -r), rear * (1, 0, 1) + (0, floor, r), rear * (1, 0, 1) + (0, floor + r, 0),
            rear + (0, -0.6 * top[1], 0), behind,
        ]  # fmt: skip
        patches.append(Patch(tube(curve(path, 36), chair.leg_radius), LEG, METAL if chair.frame.gloss < 0.4 else FRAME))
    return patches


def _swivel(chair: Chair) -> list[Patch]:
    under = chair.seat_height - chair.seat_thickness
    column = [(0, under, 0), (0, 0.55 * under, 0), (0, 0.54 * under, 0), (0, 0.14, 0)]
    patches = [Patch(tube(np.array(column, float), np.array([0.022, 0.022, 0.034, 0.034]), 12), LEG, METAL)]
    reach = 0.62 * max(chair.seat_width, chair.seat_depth)
    for k in range(5):
        angle = 2 * math.pi * (k + 0.25) / 5
        x, z = reach * math.sin(angle), reach * math.cos(angle)
        foot = np.array([x, 0.085, z])
        arm = curve([(0, 0.15, 0), (0.5 * x, 0.125, 0.5 * z), foot], 6)
        patches.append(Patch(tube(arm, np.linspace(0.026, 0.016, 6), 8), LEG, METAL))
        wheel = np.linspace((x - 0.012, 0.032, z), (x + 0.012, 0.032, z), 2)
        patches.append(Patch(tube(wheel, 0.032, 12), LEG, BLACK))
    return patches


def _pedestal(chair: Chair) -> list[Patch]:
    under = chair.seat_height - 0.9 * chair.seat_thickness
    reach = 0.5 * max(chair.seat_width, chair.seat_depth)
    if chair.feet == 4:  # a tulip
        heights = np.array([1.0, 0.8, 0.45, 0.15, 0.05, 0.015, 0.0]) * under
        radii = np.array([0.5, 0.12, 0.08, 0.13, 0.4, 0.95, 0.97]) * reach
    else:  # a column on a plate
        heights = np.array([under, 0.03, 0.029, 0.018, 0.0])
        radii = np.array([0.028, 0.028, 0.1, reach, reach])
    ring = np.linspace(0, 2 * math.pi, 29)
    x, z = np.outer(radii, np.sin(ring)), np.outer(radii, np.cos(ring))
    lathe = np.stack(np.broadcast_arrays(x, heights[:, None], z), 2)
    return [Patch(lathe, LEG, METAL if chair.frame.texture == "wood" else FRAME)]


def _behind(chair: Chair, across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Points of the back's surface: ``across`` -1…1 from right to left, ``up`` in metres above the seat."""
    fit = 0.74 if chair.corner < 2.5 else 0.9 if chair.corner < 4 else 1.0  # a round seat is narrow at its back
    half = fit * chair.back_width * chair.taper * chair.seat_width / 2
    depth = chair.seat_depth / 2
    angle = across * chair.wrap * 1.5
    bend = max(chair.wrap * 1.5, 1e-3)
    x = half * np.sin(angle) / (math.sin(min(bend, math.pi / 2)))
    forward = chair.seat_depth * 0.75 * chair.wrap * (1 - np.cos(angle)) / (1 - math.cos(bend) + 1e-9) * min(bend, 1.0)
    edge = 0.94 if chair.corner > 2.5 else 0.86
    z = -edge * depth + forward - np.tan(chair.recline) * up
    return np.stack([x, chair.seat_height + up, z], -1)


def _outward(chair: Chair, across: np.ndarray) -> np.ndarray:
    """Unit vectors from the sitter's side of the back to the other."""
    angle = across * chair.wrap * 1.5
    tilt = math.sin(chair.recline)
    return np.stack([np.sin(angle), np.full_like(angle, -tilt), -np.cos(angle)], -1)


def _posts(chair: Chair, top: float) -> list[Patch]:
    """Two uprights that carry slats."""
    up = np.linspace(-0.6 * chair.seat_thickness, top, 5)
    paths = [_behind(chair, np.full(5, side * 0.93), up) for side in (-1.0, 1.0)]
    return [Patch(tube(path, chair.leg_radius), BACK, FRAME) for path in paths]


def _rail(chair: Chair, low: float, high: float, reach: float, crown: float = 0.0) -> list[Patch]:
    u, v = np.meshgrid(np.linspace(-reach, reach, 11), np.linspace(low, high, 4), indexing="ij")
    v = v + crown * (1 - (u / reach) ** 2) * (v - low) / (high - low)
    return _plate(_behind(chair, u, v), 0.018 * _outward(chair, u), BACK, FRAME)


def _back(chair: Chair) -> list[Patch]:
    low, top = chair.back_low, chair.back_height
    if chair.back == "none":
        return []
    if chair.back in ("solid", "curved", "padded"):
        a, b = spread(15, chair.back_corner)
        up = low + (b + 1) / 2 * (top - low)
        thick = 0.07 if chair.back == "padded" else 0.022 if chair.seat_thickness < 0.05 else 0.045
        sheet = _behind(chair, a, up)
        if chair.back == "padded":
            sheet[..., 2] += 0.03 * (1 - a**4) * (1 - b**4)
        plates = _plate(sheet, thick * _outward(chair, a), BACK, _tufted(chair, SHELL))
        if low > 0.04:
            for side in (-0.5, 0.5):
                across, up = np.full(3, side), np.linspace(-0.02, low + 0.05, 3)
                path = _behind(chair, across, up) + (0.016 + 0.5 * thick) * _outward(chair, across)
                plates.append(Patch(tube(path, 0.014), BACK, FRAME))
        return plates
    if chair.back == "ladder":
        patches = _posts(chair, top)
        count = max(chair.slats - 2, 2)
        for k in range(count):
            middle = low + (top - low) * (k + 0.5) / count
            patches += _rail(chair, middle - 0.028, middle + 0.028, 0.93, crown=0.02)
        return patches
    if chair.back == "slats":
        patches = _posts(chair, top) + _rail(chair, top - 0.07, top, 0.99, crown=0.03)
        patches += _rail(chair, low * 0.6, low * 0.6 + 0.035, 0.93)
        for k in range(chair.slats):
            middle, half = -0.8 + 1.6 * (k + 0.5) / chair.slats, 0.4 / chair.slats
            across, up = np.linspace(middle - half, middle + half, 3), np.linspace(low * 0.6, top - 0.03, 5)
            u, v = np.meshgrid(across, up, indexing="ij")
            patches += _plate(_behind(chair, u, v), 0.012 * _outward(chair, u), BACK, FRAME)
        return patches
    return _spindles(chair, top)


def _spindles(chair: Chair, top: float) -> list[Patch]:
    """A hoop on the seat with thin rods inside: a Windsor chair."""
    arc = np.linspace(-math.pi / 2, math.pi / 2, 25)
    power = 0.45 if chair.back_corner > 4 else 0.8
    across, up = np.sign(np.sin(arc)) * np.abs(np.sin(arc)) ** power, top * np.abs(np.cos(arc)) ** power
    patches = [Patch(tube(_behind(chair, across, up), 0.013), BACK, FRAME)]
    for k in range(chair.slats + 1):
        place = -0.72 + 1.44 * k / chair.slats
        height = top * (1 - np.abs(place) ** (1 / power * 2)) ** (power / 2)
        path = _behind(chair, np.full(4, place), np.linspace(-0.01, height, 4))
        patches.append(Patch(tube(path, 0.0075, 6), BACK, FRAME))
    return patches


def _arms(chair: Chair) -> list[Patch]:
    if chair.arms == "none":
        return []
    patches = []
    height = min(0.2, 0.7 * chair.back_height)
    for side in (-1.0, 1.0):
        x, z = _outline(chair, np.array(side * 1.02), np.array(0.55))
        rear = _behind(chair, np.array(side * 0.96), np.array(height))
        front = np.array([x + side * 0.02, chair.seat_height + height - 0.01, z])
        foot = np.array([x, chair.seat_height - 0.3 * chair.seat_thickness, z - 0.02])
        if chair.arms == "loop":
            above, before = (rear + front) / 2 + (side * 0.02, 0.012, 0), (front + foot) / 2 + (0, 0, 0.02)
            path = curve([rear, above, front, before, foot], 24)
            patches.append(Patch(tube(path, 0.9 * max(chair.leg_radius, 0.011)), ARM, FRAME))
            continue
        wide, thick = (0.06, 0.05) if chair.arms == "padded" else (0.045, 0.02)
        line = curve([rear, (rear + front) / 2 + (side * 0.015, 0.008, 0), front + (0, 0, 0.03)], 8)
        sheet = line[:, None] + np.array([side, 0, 0]) * np.linspace(wide / 2, -wide / 2, 3)[:, None] * -side
        patches += _plate(sheet, (0, -thick, 0), ARM, SOFT if chair.arms == "padded" else FRAME)
        patches.append(_bar(front - (0, thick, 0), foot, 0.8 * max(chair.leg_radius, 0.012), chair, ARM))
    return patches


_BASES = {"four": _four, "sled": _sled, "swivel": _swivel, "pedestal": _pedestal}
