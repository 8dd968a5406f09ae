"""From an identity and a pose to the table of round cones that the ray caster draws."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reidlib.twins import raycast as rc
from reidlib.twins.identity import Identity
from reidlib.twins.picture import rotation

PARTS = ("background", "head", "hair", "hat", "torso", "arm", "hand", "leg", "foot", "bag")
"""Names of the part mask's values 0…9. A skirt or the tail of a coat counts as leg: that is what it covers."""

MATERIALS = ("skin", "hair", "top", "outer", "bottom", "shoes", "bag", "hat", "face")
SKIN, HAIR, TOP, OUTER, BOTTOM, SHOES, BAG, HAT, FACE = range(len(MATERIALS))
UP, FRONT, SIDEWAYS = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
NEVER = 9.0
SHOULDERS, WAIST, HIP, COAT_HEM = 1.36, 0.97, 0.9, 0.55  # metres above the ground, average body


@dataclass(frozen=True)
class Pose:
    """Radians: gait ``phase``, ``yaw`` (0 faces the camera), and ``tilt`` of a camera that looks down."""

    phase: float
    yaw: float
    tilt: float


@dataclass
class Body:
    """Primitive table (n, 20), covering table (n, 7), part per primitive (n,) uint8; columns: see `raycast`."""

    primitives: np.ndarray
    covering: np.ndarray
    parts: np.ndarray


class _Builder:
    """Collects primitives in body coordinates: x to the viewer's right, y up from the ground, z to the front."""

    def __init__(self):
        self.rows, self.covering, self.parts = [], [], []

    def add(
        self, part, material, a, b, radius, end_radius=None, *,
        flat=1.0, front=FRONT, blend=0.03, offset=0.0, cut=NEVER, beyond=0, opening=0.0, inside=0,
        hem=-NEVER, above=0, capped=False,
    ):  # fmt: skip
        a, b = np.asarray(a, float), np.asarray(b, float)
        axis = b - a
        length = math.sqrt(axis @ axis) + 1e-9
        front = front - axis * ((front @ axis) / length**2)  # perpendicular to the axis
        front = front / (math.sqrt(front @ front) + 1e-9)
        (fx, fy, fz), (ax, ay, az) = front, axis / length
        right = (fy * az - fz * ay, fz * ax - fx * az, fx * ay - fy * ax)  # front × axis; axes point down the body
        end_radius = radius if end_radius is None else end_radius
        self.rows.append(
            (*a, *axis, 1 / length**2, radius, end_radius - radius, flat, *front, *right, blend, offset, length, capped)
        )
        self.covering.append((material, cut, beyond, opening, inside, hem, above))
        self.parts.append(PARTS.index(part))

    def finish(self, pose: Pose, scale: float, shift: tuple[float, float]) -> Body:
        """Turn by yaw, tilt towards the camera, scale about the waist and shift in the image plane."""
        table = np.array(self.rows)
        turn = rotation(pose.yaw, pose.tilt)
        centre = np.array([0.0, WAIST, 0.0])
        table[:, 0:3] = (table[:, 0:3] - centre) @ turn.T * scale + (shift[0], shift[1], 0.0)
        table[:, 3:6] = table[:, 3:6] @ turn.T * scale
        table[:, 10:13] = table[:, 10:13] @ turn.T
        table[:, 13:16] = table[:, 13:16] @ turn.T
        table[:, rc.INVERSE_LENGTH2] /= scale**2
        table[:, [rc.RADIUS, rc.TAPER, rc.BLEND]] *= scale  # surface coordinates stay in body metres
        return Body(table.astype(np.float32), np.array(self.covering, np.float32), np.array(self.parts, np.uint8))


def _swing(vector, angle: float) -> np.ndarray:
    """Rotate about the x axis: positive angles swing a hanging limb forward."""
    x, y, z = vector
    c, s = math.cos(angle), math.sin(angle)
    return np.array([x, c * y + s * z, -s * y + c * z])


def build_body(identity: Identity, pose: Pose, shift: tuple[float, float] = (0.0, 0.0)) -> Body:
    """Return the primitives of ``identity`` in ``pose``, waist at ``shift`` in metres from the image centre.

    The walk is a plain sine gait: thighs swing in opposition, the trailing knee bends, arms counter-swing.
    """
    who, add = identity, (builder := _Builder()).add
    wide, build = who.shoulders, who.build
    upper, under = (OUTER if who.outerwear != "none" else TOP), TOP
    opening = 0.5 if who.outerwear != "none" and who.outer_open else 0.0
    lean = who.stoop * 0.5

    def torso(y: float) -> np.ndarray:  # a point of the spine, leaning forward above the hips
        return np.array([0.0, y, max(y - 1.0, 0.0) * math.tan(lean)])

    chest = 0.172 * wide * (0.7 + 0.3 * build)
    waist = 0.142 * build
    # surface coordinates run down the trunk from 0 at the shoulders: stripes and hems continue across primitives
    garment = {"cut": SHOULDERS - who.hem, "beyond": BOTTOM, "opening": opening, "inside": under}
    add("torso", upper, torso(SHOULDERS), torso(1.17), chest, waist * 1.05, flat=0.6, blend=0.05, **garment)
    add("torso", upper, torso(1.17), torso(0.97), waist, 0.155 * build, flat=0.66, blend=0.05, offset=0.19, **garment)
    hips = {"flat": 0.7, "blend": 0.05, "offset": 0.39} | garment
    add("torso", upper, (0, 0.97, 0), (0, HIP, 0), 0.155 * build, 0.15 * build, **hips)
    _add_head(add, who, torso)
    _add_arms(add, who, pose, torso, chest, upper)
    _add_legs(add, who, pose, opening)
    _add_bag(add, who, torso, chest)
    return builder.finish(pose, who.height, shift)


# The body, primitive by primitive. Columns stay aligned by hand: this is a table of measures more than a program.
# fmt: off
def _add_head(add, who: Identity, torso) -> None:
    size = who.head
    base, head = torso(SHOULDERS), torso(1.62) + (0, 0, 0.025)
    add("torso", SKIN, base + (0, 0.03, 0), head - (0, 0.08, 0.015), 0.06, 0.052)
    # the face's surface coordinate runs from 0 (crown) to 0.26 (chin); the shader draws eyes and mouth by it
    add("head", FACE, head + (0, 0.055 * size, 0), head - (0, 0.05 * size, -0.01), 0.093 * size, 0.076 * size,
        flat=0.95, blend=0.02, offset=0.06)
    back = head + (0, 0.0, -0.075 * size)
    if who.hair != "bald":
        add("hair", HAIR, head + (0, 0.07 * size, -0.022), head + (0, 0.02 * size, -0.045), 0.1 * size, 0.085 * size,
            blend=0.012)
    if who.hair == "bob":
        add("hair", HAIR, back, back - (0, 0.1, 0), 0.075, 0.07, blend=0.02)
    elif who.hair == "long":
        add("hair", HAIR, back, back - (0, 0.3, 0.075), 0.08, 0.055, flat=0.75, blend=0.02)
    elif who.hair == "ponytail":
        add("hair", HAIR, back + (0, 0.03, -0.02), back - (0, 0.22, 0.085), 0.034, 0.024, blend=0.012)
    if who.hair in ("bob", "long"):
        fall = (0.075, -0.1, -0.02) if who.hair == "bob" else (0.095, -0.24, 0.0)
        for side in (-1, 1):
            add("hair", HAIR, head + (side * 0.06, 0.05, -0.038), head + fall * np.array([side, 1, 1]), 0.05, 0.04,
                blend=0.02)
    if who.hat:
        add("hat", HAT, head + (0, 0.1 * size, -0.01), head + (0, 0.125 * size, -0.012), 0.112 * size, 0.085 * size,
            blend=0.004)
        add("hat", HAT, head + (0, 0.085 * size, 0.05), head + (0, 0.075 * size, 0.15), 0.055, 0.05,
            flat=0.3, front=UP, blend=0.006)


def _add_arms(add, who: Identity, pose: Pose, torso, chest: float, upper: int) -> None:
    thick = 0.75 + 0.25 * who.build + (0.14 if who.outerwear != "none" else 0.0)
    sleeve = {"cut": 0.52 * (1.0 if who.outerwear != "none" else who.sleeve), "beyond": SKIN}
    for side in (-1, 1):
        shoulder = torso(1.385) + (side * (chest + 0.015), 0, 0)
        angle = -side * who.arm_swing * math.sin(pose.phase)
        elbow = shoulder + _swing((side * 0.045, -0.27, 0), angle)
        wrist = elbow + _swing((side * 0.005, -0.24, 0), angle + 0.25 + 0.3 * max(angle, 0.0))
        tip = wrist + _swing((0, -0.09, 0), angle + 0.3)
        add("arm", upper, shoulder, elbow, 0.058 * thick, 0.046 * thick, blend=0.05, **sleeve)
        add("arm", upper, elbow, wrist, 0.045 * thick, 0.034 * thick, blend=0.02, offset=0.27, **sleeve)
        add("hand", SKIN, wrist, tip, 0.033, 0.027, flat=0.7, front=SIDEWAYS)


def _add_legs(add, who: Identity, pose: Pose, opening: float) -> None:
    thick, length = 0.6 + 0.4 * who.build, who.legs
    top = SHOULDERS - HIP  # surface coordinates continue those of the trunk
    drop = 0.22 + 0.42 * who.skirt  # from the waist to the hem of a skirt
    stride = who.stride * (1.0 - 0.4 * who.skirt)  # a long skirt shortens the step
    bare_from = drop - 0.06 if who.skirt > 0 else 0.85 * who.leg * length
    loose = 1.12 if who.skirt == 0 else 1.0
    upper, hem = (TOP, who.hem) if who.outerwear == "none" else (OUTER, who.hem)
    if who.outerwear == "coat":
        hem = COAT_HEM + 0.03  # what swings through the coat's tail is still coat
    cover = {"cut": top + bare_from, "beyond": SKIN, "hem": SHOULDERS - hem, "above": upper}
    for side in (-1, 1):
        hip = np.array([side * 0.085 * (0.5 + 0.5 * who.build), HIP, 0.0])
        thigh = side * stride * math.sin(pose.phase)
        # the knee bends while the leg swings forward, which is a quarter period before it is foremost
        bend = 0.1 + 1.3 * stride * max(side * math.cos(pose.phase), 0.0)
        knee = hip + _swing((0, -0.42 * length, 0), thigh)
        ankle = knee + _swing((0, -0.41 * length, 0), thigh - bend)
        heel, toe = ankle + _swing((0, -0.035, -0.03), thigh - bend), ankle + _swing((0, -0.05, 0.15), thigh - bend)
        add("leg", BOTTOM, hip, knee, 0.092 * thick * loose, 0.064 * thick * loose, blend=0.04, offset=top, **cover)
        add("leg", BOTTOM, knee, ankle, 0.062 * thick * loose, 0.042 * loose, blend=0.02, offset=top + 0.42 * length,
            **cover)
        add("foot", SHOES, heel, toe, 0.046, 0.036, blend=0.01)
        if who.boots:
            add("foot", SHOES, ankle + (knee - ankle) * 0.5, ankle, 0.06 * thick, 0.052, blend=0.01)
    sway = abs(math.sin(pose.phase)) * stride  # cloth follows the legs: the hem widens front to back with the step
    if who.skirt > 0:
        flare = 0.15 * who.build + 0.03 + 0.07 * who.skirt
        add("leg", BOTTOM, (0, 1.0, 0), (0, 0.95 - drop, 0), 0.14 * who.build, flare, flat=0.8 + 1.1 * sway,
            blend=0.02, offset=0.36, capped=True, hem=SHOULDERS - who.hem, above=upper)
    if who.outerwear == "coat":
        add("leg", OUTER, (0, 1.0, -0.01), (0, COAT_HEM, -0.02), 0.15 * who.build, 0.19 * who.build + 0.01,
            flat=0.8 + 0.8 * sway, blend=0.02, offset=0.36, capped=True, opening=0.8 * opening, inside=BOTTOM)


def _add_bag(add, who: Identity, torso, chest: float) -> None:
    crisp = {"blend": 0.006}
    side = 1 if who.pid % 2 else -1
    surface = 0.6 * chest + 0.012  # how far chest and back stand out from the spine

    def strap(*points) -> None:
        for a, b in pairwise(points):
            add("bag", BAG, a, b, 0.019, **crisp)

    if who.bag == "backpack":
        behind = (0, 0, -0.19)
        add("bag", BAG, torso(1.34) + behind, torso(1.08) + behind, 0.115, 0.13, flat=0.65, **crisp)
        for s in (-1, 1):
            strap(torso(1.45) + (s * 0.085, 0, 0), torso(1.36) + (s * 0.095, 0, surface),
                  torso(1.15) + (s * 0.12, 0, 0.09))
    elif who.bag == "shoulder bag":
        hip = np.array([side * (0.17 * who.build + 0.05), 0.86, 0.02])
        add("bag", BAG, hip + (0, 0.07, 0), hip - (0, 0.06, 0), 0.1, 0.11, flat=0.5, front=SIDEWAYS, **crisp)
        shoulder = torso(1.45) + (-side * chest * 0.6, 0, 0)
        for face in (surface, -surface):
            strap(shoulder, torso(1.34) + (-side * chest * 0.4, 0, face),
                  torso(1.1) + (side * chest * 0.45, 0, 0.95 * face), hip + (0, 0.1, 0.4 * face))
    elif who.bag == "handbag":
        hand = np.array([side * (chest + 0.1), 0.72, 0.02])
        add("bag", BAG, hand, hand - (0, 0.14, 0), 0.085, 0.11, flat=0.4, front=SIDEWAYS, **crisp)
        strap(hand + (0, 0.16, 0.0), hand)
# fmt: on
