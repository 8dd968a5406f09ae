"""Who draws a sketch, and what they remember: style and memory differ from artist to artist, not from line to line.

Reconstructed: that artists differ in style and in what they perceive and recall is documented for both person-sketch
sets (Pang et al., ACM MM 2018; Lin et al., ACM MM 2023); the factors and their sizes are ours.
"""

import math
from dataclasses import dataclass, replace

from reidlib.twins.body import Pose
from reidlib.twins.identity import Cloth, Identity, luminance
from reidlib.twins.randomness import Draw

TONES = ("none", "hatch", "cross", "smudge", "solid")
"""How dark cloth is shown: not at all, by lines, by crossing lines, by a smudge, or filled with ink."""

_SALT = 81


@dataclass(frozen=True)
class Artist:
    """A hand. Lengths are in thousandths of the height of the page; darkness and shares in 0–1.

    Attributes:
        name: one letter, as the data set calls the artist.
        weight, pressure: width and darkness of a contour.
        wobble: how far a line strays; ``step``: distance of the points it is drawn through (large: angular).
        passes: how often a contour is gone over.
        gaps: share of a line at which the pen is lifted; ``drops``: share of the lines within the figure left out.
        grain: roughness of the paper under the pen.
        tone: how dark cloth is shown, one of `TONES`; ``spacing`` and ``angle`` (radians) of the hatching.
        folds: number of folds a limb gets at most.
        face: whether eyes, nose and mouth are drawn.
        forgets: probability of leaving out the hat, the bag, a pattern, each.
        frequency: factor on the width of stripes and checks.
        proportions: factors on head, shoulders, build and legs.
        yaw: how far the figure turns to the side, radians.
        stance: length of the step it is drawn in, as a share of the person's own.
    """

    name: str
    weight: float = 7.0
    pressure: float = 0.85
    wobble: float = 3.0
    step: float = 10.0
    passes: int = 1
    gaps: float = 0.0
    drops: float = 0.1
    grain: float = 0.2
    tone: str = "hatch"
    spacing: float = 18.0
    angle: float = 2.2
    folds: int = 1
    face: bool = True
    forgets: float = 0.1
    frequency: float = 1.0
    proportions: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    yaw: float = 0.15
    stance: float = 0.4


@dataclass(frozen=True)
class Sitting:
    """The circumstances of one sketch: who draws, and the ``key`` (say seed, pid) of what the hand does by chance."""

    artist: Artist
    key: tuple[int, ...]
    jpeg_quality: int = 92


def remember(identity: Identity, sitting: Sitting) -> tuple[Identity, Pose]:
    """The person as the artist recalls them, in grey, and the pose they are drawn in; the same at every call."""
    artist, chance = sitting.artist, Draw(_SALT, ord(sitting.artist.name), *sitting.key)
    head, shoulders, build, legs = (factor * (1.0 + chance.bell(0.0, 0.03)) for factor in artist.proportions)
    sleeve, leg, skirt = (1.0 + chance.bell(0.0, 0.04) for _ in range(3))
    period = artist.frequency * chance.uniform(0.8, 1.25)

    def cloth(material: Cloth) -> Cloth:
        texture = "plain" if chance.chance(artist.forgets) else material.texture
        error = chance.bell(0.0, 0.07)
        first, second = ((luminance(tone) + error,) * 3 for tone in (material.colour, material.second))
        return replace(material, colour=first, second=second, texture=texture, period=material.period * period)

    dyed = ("top", "outer", "bottom", "shoes", "bag_colour", "hat_colour")
    remembered = replace(
        identity,
        head=identity.head * head,
        shoulders=identity.shoulders * shoulders,
        build=identity.build * build,
        legs=identity.legs * legs,
        sleeve=min(identity.sleeve * sleeve, 1.0),
        leg=min(identity.leg * leg, 1.0),
        skirt=min(identity.skirt * skirt, 1.0),
        hat=identity.hat and not chance.chance(artist.forgets),
        bag="none" if chance.chance(artist.forgets) else identity.bag,
        stride=identity.stride * artist.stance,
        arm_swing=identity.arm_swing * artist.stance,
        stoop=0.3 * identity.stoop,
        **{name: cloth(getattr(identity, name)) for name in dyed},
    )
    yaw = chance.choice((-1.0, 1.0)) * artist.yaw + chance.bell(0.0, 0.06)
    return remembered, Pose(phase=chance.uniform(0.0, 2 * math.pi), yaw=yaw, tilt=0.03)
