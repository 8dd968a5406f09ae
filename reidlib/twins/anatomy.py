"""The layers of a face on a grid of samples: where each part lies, how high the surface is, where its lines run.

Photograph and sketch are two drawings of these layers. Everything is reconstructed: plain curves in face units.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from reidlib.twins.faces import Face
from reidlib.twins.fields import Array, Grid, bump, cover, step
from reidlib.twins.hair import beard, glasses, hair, hides_ears

CENTRE = 0.1
"""y of the point that the outline of the head is drawn around."""
_ANGLES = np.linspace(0.0, np.pi, 181)


@dataclass(frozen=True)
class Anatomy:
    """Coverages in 0–1 unless stated otherwise, all of the shape of the grid.

    ``glint`` is the light in the eyes, ``strand`` the texture of the hair (−1 … 1), ``inside`` the distance from the
    outline of the head (negative inside), ``height`` the surface towards the viewer in face units. ``lines`` are drawn
    lines by name.
    """

    head: Array
    ears: Array
    neck: Array
    garment: Array
    hair_behind: Array
    hair: Array
    strand: Array
    eyes: Array
    iris: Array
    pupil: Array
    glint: Array
    brows: Array
    nose: Array
    nostrils: Array
    upper_lip: Array
    lower_lip: Array
    beard: Array
    glasses: Array
    inside: Array
    height: Array
    lines: dict[str, Array]


def build(face: Face, grid: Grid, smile: float, line: float) -> Anatomy:
    """All layers of ``face``; ``line`` is the width of drawn lines in face units."""
    angle = np.arctan2(grid.flat_aside, grid.flat_y - CENTRE)
    distance = np.hypot(grid.flat_aside, grid.flat_y - CENTRE)
    radius = np.interp(angle, _ANGLES, outline(face)).astype(np.float32)
    inside = distance - radius
    lines = {"outline": bump(inside, line)}
    layers = _eyes(face, grid, smile, line, lines) | _nose(face, grid, line, lines)
    layers["brows"] = _brows(face, grid)
    seam, top, bottom, half = _mouth(face, grid, smile)
    layers |= _lips(face, grid, (seam, top, bottom, half), line, lines)
    layers |= _bust(face, grid, inside, line, lines)
    behind, before, strand = hair(face, grid, radius, angle, distance)
    return Anatomy(
        head=cover(inside),
        hair_behind=behind,
        hair=before,
        strand=strand,
        beard=beard(face, grid, inside, top, bottom, half),
        glasses=glasses(face, grid, line),
        inside=inside,
        height=_height(face, grid, distance / radius, seam),
        lines=lines,
        **layers,
    )


def outline(face: Face) -> Array:
    """Distance of the outline of the head from (0, `CENTRE`), for angles 0 (chin) to π (crown) in whole degrees."""
    m = face.measures
    corners = np.array(
        [
            (0.0, m["chin_height"]),
            (0.72 * m["chin_width"], m["chin_height"] - 0.035),
            (1.25 * m["chin_width"] + 0.04, m["chin_height"] - 0.18),
            (m["jaw_width"], m["jaw_height"]),
            (m["cheek_width"], 0.5),
            (m["face_width"], 0.08),
            (m["temple_width"], -0.38),
            (0.98 * m["temple_width"], -0.75),
            (0.78 * m["temple_width"], 0.5 * m["crown"] - 0.40),
            (0.42 * m["temple_width"], m["crown"] + 0.085),
            (0.0, m["crown"]),
        ]
    )
    angles = np.arctan2(corners[:, 0], corners[:, 1] - CENTRE)
    radii = np.hypot(corners[:, 0], corners[:, 1] - CENTRE)
    angles = np.concatenate([-angles[2:0:-1], angles, 2 * np.pi - angles[-2:-4:-1]])  # so that both ends are smooth
    return PchipInterpolator(angles, np.concatenate([radii[2:0:-1], radii, radii[-2:-4:-1]]))(_ANGLES)


def _eyes(face: Face, grid: Grid, smile: float, line: float, lines: dict[str, Array]) -> dict[str, Array]:
    m, aside, y = face.measures, grid.aside, grid.y
    gap, width, opening = m["eye_gap"], m["eye_width"], m["eye_opening"] * (1 - 0.12 * smile)
    u, v = (aside - gap) / width, y + m["eye_tilt"] * (aside - gap)
    almond = np.sqrt(np.clip(1 - u * u, 0.0, 1.0))
    upper = -opening * almond**1.3 * (1 - 0.12 * u)
    lower = 0.62 * opening * almond**1.6 * (1 + 0.2 * u)
    near = step(1.25, 1.0, np.abs(u))
    lines["lashes"] = bump(v - upper, line * (0.8 + 0.35 * np.clip(u, -1, 1))) * near
    lines["lid fold"] = bump(v - 1.05 * upper + m["lid_fold"], 0.8 * line) * step(1.3, 0.8, np.abs(u - 0.1))
    lines["lower lid"] = bump(v - lower, 0.7 * line) * near
    lines["eye bags"] = bump(v - lower - 0.10, 1.5 * line) * step(1.1, 0.3, np.abs(u + 0.15))
    out = aside - gap - width
    spread = np.abs(grid.noise(9 * np.arctan2(v, np.maximum(out, 0.001)), np.full_like(u, 7.5)))
    lines["crow's feet"] = bump(spread, 0.18) * bump(out - 0.14, 0.09) * bump(v, 0.12)
    eyes = cover(np.maximum(upper - v, v - lower), 0.012) * (np.abs(u) < 1)
    middle = np.hypot(aside - gap, y + 0.012)
    return {
        "eyes": eyes,
        "iris": cover(middle - 0.098) * eyes,
        "pupil": cover(middle - 0.045) * eyes,
        "glint": bump(np.hypot(grid.x - np.copysign(np.float32(gap), grid.x) + 0.03, y + 0.045), 0.028) * eyes,
    }


def _brows(face: Face, grid: Grid) -> Array:
    m, aside, y = face.measures, grid.aside, grid.y
    t = (aside - m["brow_gap"]) / 0.56
    along = np.clip(t, 0, 1)
    middle = m["brow_height"] - m["brow_arch"] * np.sin(np.pi * along**1.4) - 0.5 * m["brow_tilt"] * (t - 0.4)
    thickness = m["brow_weight"] * (1.1 - 0.75 * along**1.5)
    hairs = 0.012 * grid.noise(40 * (aside + 0.7 * y), 6 * y)
    return cover(np.abs(y - middle) - thickness + hairs, 0.022) * step(-0.05, 0.1, t) * step(1.06, 0.9, t)


def _nose(face: Face, grid: Grid, line: float, lines: dict[str, Array]) -> dict[str, Array]:
    m, aside, y = face.measures, grid.aside, grid.y
    tip, wing, under = m["nose_length"], m["nose_width"], m["nose_length"] + 0.5 * m["nose_hook"]
    wing_x, wing_y = (aside - 0.70 * wing) / (0.30 * wing + 0.03), (y - tip + 0.065) / 0.105
    around = np.hypot(wing_x, wing_y) - 1
    along = np.clip((y + 0.15) / (tip + 0.15), 0.0, 1.0)
    side = m["nose_bridge"] + (m["nose_tip"] - m["nose_bridge"]) * along
    lines["nose wing"] = bump(0.1 * around, line) * step(-0.3, 0.6, wing_x) * step(-1.5, -0.5, wing_y)
    lines["nose base"] = bump(y - under - 0.035 + 0.03 * (aside / wing) ** 2, line) * step(0.75, 0.25, aside / wing)
    lines["nose side"] = bump(aside - 0.9 * side, line) * step(0.0, 0.3, along) * step(1.0, 0.8, along)
    out = aside - 0.5 * wing
    ridge = cover(aside - 1.3 * side, 0.04) * (along > 0) * cover(y - under - 0.02)
    return {
        "nose": np.maximum(ridge, cover(around, 0.2)),
        "nostrils": cover(np.hypot(out / 0.068, (y - under + 0.015 + 0.25 * out) / 0.028) - 1, 0.5),
    }


def _mouth(face: Face, grid: Grid, smile: float) -> tuple[Array, Array, Array, float]:
    """y of the seam between the lips, of their upper and their lower edge; half the width of the mouth."""
    m, half = face.measures, face.measures["mouth_width"] * (1 + 0.10 * smile)
    w2 = np.square(np.clip(grid.aside / half, 0.0, 1.0))
    seam = m["mouth_height"] - (m["mouth_curve"] + 0.055 * smile) * w2 + 0.012 * bump(grid.aside, 0.07)
    top = seam - m["upper_lip"] * (1 - w2) ** 0.8 * (1 - 0.45 * m["cupids_bow"] * bump(grid.aside, 0.065))
    return seam, top, seam + m["lower_lip"] * (1 - w2) ** 0.75, half


def _lips(face: Face, grid: Grid, mouth: tuple, line: float, lines: dict[str, Array]) -> dict[str, Array]:
    m, aside, y = face.measures, grid.aside, grid.y
    seam, top, bottom, half = mouth
    w = aside / half
    lines["mouth"] = bump(y - seam, 0.9 * line * (1.25 - 0.6 * np.clip(w, 0, 1))) * step(1.06, 0.97, w)
    lines["mouth corner"] = bump(np.hypot(aside - half, y - seam), 1.6 * line)
    lines["lip edge"] = (bump(y - top, line) + bump(y - bottom, line) * step(0.85, 0.3, w)) * (w < 1)
    lines["chin fold"] = bump(y - bottom - 0.10 + 0.2 * aside**2, 1.6 * line) * step(0.28, 0.1, aside)
    tip, wing = m["nose_length"], m["nose_width"]
    fall = np.clip((y - tip + 0.1) / (m["mouth_height"] + 0.1 - tip), 0.0, 1.0)
    arc = fall * (1 - fall)
    fold = wing + 0.05 + (half + 0.09 - wing) * fall + 0.2 * arc
    lines["cheek fold"] = bump(aside - fold, 1.3 * line) * (4 * arc) ** 0.7
    rows = (y + 0.5 + 0.05 * grid.x**2 + 0.03 * grid.noise(3 * grid.x, 2 * y)) / 0.145
    brow = step(-0.45, -0.52, y) * step(-1.0, -0.85, y) * step(0.62, 0.35, aside)
    lines["forehead"] = bump(rows - np.rint(rows), 0.16) * brow
    return {
        "upper_lip": cover(np.maximum(top - y, y - seam), 0.014) * (w < 1),
        "lower_lip": cover(np.maximum(seam - y, y - bottom), 0.018) * (w < 1),
    }


def _bust(face: Face, grid: Grid, inside: Array, line: float, lines: dict[str, Array]) -> dict[str, Array]:
    """Ears, neck, shoulders and the garment on them."""
    m, aside, y = face.measures, grid.flat_aside, grid.flat_y
    slope, shown = m["ear_angle"], not hides_ears(face)
    ear_x, ear_y = (aside - m["face_width"] - slope + 0.03) / (0.09 + 0.6 * slope), (y - 0.1) / m["ear_height"]
    ear = np.hypot(ear_x - 0.25 * np.clip(-ear_y, 0, None), ear_y)
    lines["ear"] = bump(ear - 1, 5 * line) * (inside > -0.02) * shown
    lines["inner ear"] = bump(ear - 0.6, 5 * line) * (inside > 0.02) * (ear_x > -0.2) * shown
    trunk = m["neck_width"] + 0.05 * step(1.5, 1.1, y) + 2.3 * step(1.8, 3.1, y) ** 1.2
    neck = cover(aside - trunk) * (y > 0.6)
    lines["shoulder"] = bump(aside - trunk, line) * (y > 1.2) * (inside > 0)
    neckline = {
        "crew neck": 2.0 + 0.22 * np.sqrt(np.clip(1 - np.square(aside / 0.85), 0, 1)),
        "v-neck": 2.0 + 0.62 * np.clip(1 - aside / 0.66, 0, 1),
        "collar": 1.92 + 0.36 * np.clip(1 - aside / 0.55, 0, 1),
    }[face.garment]
    garment = neck * cover(neckline - y, 0.015)
    lines["neckline"] = bump(y - neckline, 1.3 * line) * neck
    if face.garment == "collar":
        lines["neckline"] += bump(aside - 0.42 - 0.5 * (y - 2.2), 1.3 * line) * garment * step(2.75, 2.6, y)
    return {"ears": cover(ear - 1, 0.12) * shown, "neck": neck, "garment": garment}


def _height(face: Face, grid: Grid, q: Array, seam: Array) -> Array:
    """The surface of head and features; the head is a flattened dome over its outline, where ``q`` is 1."""
    m, aside, y = face.measures, grid.aside, grid.y
    tip, wing, mouth, gap = m["nose_length"], m["nose_width"], m["mouth_height"], m["eye_gap"]
    along = np.clip((y + 0.2) / (tip + 0.2), 0, 1.2)
    rise = along**1.4 * step(tip + 0.13 + m["nose_hook"], tip - 0.13, y)
    side = m["nose_bridge"] + (m["nose_tip"] - m["nose_bridge"]) * np.clip(along, 0, 1)
    features = (
        0.34 * rise * bump(aside, 1.15 * side)
        + 0.11 * bump(aside - 0.72 * wing, 0.33 * wing + 0.01) * bump(y - tip + 0.065, 0.085)
        + 0.05 * bump(y - m["brow_height"] - 0.03, 0.13) * bump(aside - 0.38, 0.4)
        - 0.115 * bump(aside - gap + 0.04, 0.26) * bump(y + 0.02, 0.15)
        + 0.055 * bump(aside - gap, 0.16) * bump(y, 0.095)
        + 0.06 * bump(aside - 0.6 * m["cheek_width"], 0.26) * bump(y - 0.36, 0.26)
        + 0.075 * bump(aside, 0.36) * bump(y - mouth, 0.27)
        + 0.035
        * bump(y - seam + 0.5 * m["upper_lip"], 0.55 * m["upper_lip"] + 0.01)
        * bump(aside, 0.8 * m["mouth_width"])
        + 0.055 * bump(y - seam - 0.55 * m["lower_lip"], 0.6 * m["lower_lip"]) * bump(aside, 0.7 * m["mouth_width"])
        - 0.05 * bump(y - mouth - m["lower_lip"] - 0.11, 0.07) * bump(aside, 0.24)
        + 0.065 * bump(aside, m["chin_width"]) * bump(y - m["chin_height"] + 0.25, 0.19)
        - 0.02 * bump(aside, 0.035) * bump(y - 0.5 * (tip + mouth), 0.1)
    )
    dome = np.sqrt(np.clip(1 - np.clip(q, 0, 1) ** 2.6, 0, 1))
    return 0.8 * dome + m["relief"] * features * step(1.0, 0.85, q)
