"""What grows on a face or is worn on it: hair, beard, glasses, as coverages in 0–1 on a grid (reconstructed)."""

from dataclasses import dataclass

import numpy as np

from reidlib.twins.faces import Face
from reidlib.twins.fields import Array, Grid, bump, cover, step


@dataclass(frozen=True)
class Style:
    """How hair grows, in face units.

    Its thickness at the crown and at the sides (``None``: as the person's), how much further up it begins, and where
    the sideburns end. ``falls_to`` is where loose hair ends (``None``: it does not hang), ``flare`` how far it stands
    off.
    """

    crown: float | None = None
    sides: float | None = None
    recedes: float = 0.0
    sideburn: float = 0.12
    falls_to: float | None = None
    flare: float = 0.0
    curly: bool = False


STYLES = {
    "bald": Style(crown=0.015, sides=0.03, sideburn=0.1),
    "receding": Style(crown=0.05, sides=0.06, recedes=0.28, sideburn=0.05),
    "buzz cut": Style(crown=0.03, sides=0.025, recedes=0.02, sideburn=0.0),
    "short": Style(sideburn=0.1),
    "parted": Style(),
    "curls": Style(sideburn=0.1, curly=True),
    "tied back": Style(crown=0.06, sides=0.03, recedes=0.04, sideburn=-0.15),
    "bob": Style(falls_to=1.35, flare=0.10),
    "long": Style(falls_to=2.7, flare=0.06),
    "cloud": Style(crown=0.34, sides=0.42, falls_to=0.95, curly=True),
}


def hides_ears(face: Face) -> bool:
    return STYLES[face.hairstyle].falls_to is not None


def hair(face: Face, grid: Grid, radius: Array, angle: Array, distance: Array) -> tuple[Array, Array, Array]:
    """Coverage of the hair behind and before the face, and its strands in −1 … 1.

    ``radius`` is that of the head in the direction ``angle`` (0: chin, π: crown) of each sample, ``distance`` where the
    sample lies.
    """
    measures, style, y = face.measures, STYLES[face.hairstyle], grid.y
    strand, rough = _strands(face, grid, style)
    crown = face.volume if style.crown is None else style.crown
    sides = 0.35 * face.volume + 0.03 if style.sides is None else style.sides
    rim = distance - radius - sides - (crown - sides) * step(1.75, 2.7, angle)
    rim += 0.012 * strand if not style.curly else (0.10 if face.hairstyle == "cloud" else 0.05) * rough

    aside = grid.aside / measures["face_width"]
    lower = _hairline(face, grid, style, strand, aside)
    before = cover(rim) * cover(y - lower + 0.05 * strand, 0.05)
    if face.hairstyle == "bald":
        before *= 0.85 * step(0.72, 0.98, aside) * step(-0.90, -0.35, y)
    elif face.hairstyle == "buzz cut":
        before *= 0.85
    behind = np.zeros_like(rim)
    if style.falls_to is not None:
        flat_y = grid.flat_y
        width = (measures["face_width"] + sides + style.flare) * (0.72 + 0.28 * step(-0.75, 0.35, flat_y))
        width += 0.10 * step(0.0, 1.0, flat_y) + (0.02 + face.wave) * np.sin(5 * flat_y + 9 * face.parting)
        end = flat_y - style.falls_to + 0.10 * strand
        hanging = cover(np.maximum(grid.flat_aside - width + 0.03 * strand, end), 0.03) * (flat_y > -0.75)
        behind = np.maximum(cover(rim), hanging)
        curtain = step(0.80, 0.90, aside + 0.03 * strand - 0.07 * step(0.2, 0.9, y))
        before = np.maximum(before, hanging * curtain * step(-0.6, -0.2, y))
    elif face.hairstyle == "tied back" and face.wave > 0.02:
        behind = cover(np.hypot(grid.flat_x, grid.flat_y - measures["crown"] + 0.16) - 0.36 + 0.02 * strand)
    return behind, before, np.clip(strand, -1, 1)


def _strands(face: Face, grid: Grid, style: Style) -> tuple[Array, Array]:
    """Locks that spread from the parting over the head and hang down, or curls; and the unevenness of their outline."""
    x, y = grid.x, grid.y
    rough = grid.noise(4 * x + 20, 4 * y)
    if style.curly:
        curl = np.abs(grid.noise(8 * x + 0.8 * np.sin(5 * y), 8 * y))
        return np.clip(4.2 * curl - 1 + 0.35 * grid.noise(17 * x, 17 * y), -1, 1), rough
    across, down = x - 0.7 * face.parting, y - face.measures["crown"] - 0.12
    reach = np.hypot(across, down)
    sway = np.arctan2(across, down) * (1 + 0.25 * reach) + face.wave * np.sin(7 * reach + 4 * face.parting)
    return 0.6 * grid.noise(11 * sway, 1.1 * reach) + 0.5 * grid.noise(27 * sway + 9, 1.8 * reach), rough


def _hairline(face: Face, grid: Grid, style: Style, strand: Array, aside: Array) -> Array:
    """y of the lower edge of the hair: over the forehead, then down to the sideburns."""
    edge = face.measures["hairline"] - style.recedes + 0.05 * (0.5 - face.age) * bump(grid.x, 0.15)
    edge -= (0.26 if face.hairstyle == "receding" else 0.05) * bump(aside - 0.48, 0.22)
    if face.hairstyle == "parted":
        sweep = np.clip((grid.x - face.parting) * -np.sign(face.parting), 0, 1)
        edge += 0.42 * sweep**1.3 * step(1.0, 0.6, aside) - 0.05
    if face.fringe:
        edge = np.maximum(edge, -0.52 + 0.06 * strand - 0.1 * aside**2)
    return edge + (style.sideburn - edge) * step(0.70, 0.96, aside)


def beard(face: Face, grid: Grid, inside: Array, top: Array, bottom: Array, half: float) -> Array:
    """Coverage of the beard; ``top``, ``bottom``, ``half`` bound the mouth, ``inside`` is negative inside the head."""
    measures, aside, y = face.measures, grid.aside, grid.y
    if face.beard == "none":
        return np.zeros_like(y)
    middle = 0.5 * (measures["nose_length"] + 0.10 + measures["mouth_height"]) + 0.22 * aside**2
    moustache = cover(np.maximum(np.abs(y - middle) - 0.085, aside - half - 0.03), 0.035)
    jaw = cover(0.42 + 0.5 * step(0.85, 0.2, aside) - y, 0.09) * step(0.10, -0.05, inside)
    chin = cover(np.hypot(aside / 0.34, (y - measures["chin_height"] + 0.18) / 0.33) - 1, 0.2)
    shape = {
        "stubble": 0.38 * np.maximum(jaw, moustache),
        "moustache": 0.95 * moustache,
        "goatee": 0.9 * np.maximum(moustache, chin),
        "full": np.maximum(jaw, moustache),
    }[face.beard]
    mouth = cover(np.maximum(top - 0.005 - y, y - bottom - 0.005), 0.015) * (aside < half)
    return np.clip(shape * (0.92 + 0.25 * grid.noise(34 * grid.x + 6 * y, 9 * y)), 0, 1) * (1 - mouth)


def glasses(face: Face, grid: Grid, line: float) -> Array:
    """Coverage of the frame: two rims, bridge and arms."""
    aside, y, gap = grid.aside, grid.y, face.measures["eye_gap"]
    if face.glasses == "none":
        return np.zeros_like(y)
    width, height, power = (0.31, 0.28, 2.0) if face.glasses == "round" else (0.36, 0.24, 4.0)
    u, v = np.abs(aside - gap) / width, np.abs(y - 0.03) / height
    rim = np.abs((u**power + v**power) ** (1 / power) - 1) * height
    bridge = np.maximum(np.abs(y + 0.05 - 0.03 * bump(aside, 0.1)), aside - gap + width)
    arm = np.maximum(np.abs(y + 0.05), np.maximum(gap + width - aside, aside - face.measures["face_width"]))
    return cover(np.minimum(np.minimum(rim, bridge), arm) - 0.7 * line - 0.006, 0.012)
