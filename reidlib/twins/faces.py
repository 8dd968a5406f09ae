"""Who a rendered face is, how an artist exaggerates it, and the circumstances of its two pictures.

A face is a point in a space of *traits*: standard deviations from an average face, most of them measures of its shape.
A sketch is drawn of a face pushed away from that average by a factor, as caricaturists do (and as the artist of CUFSF
did, say its authors). Trait means and deviations are reconstructed from everyday proportions (eyes at half the height
of the head, five eye widths across it); no population is meant.

Lengths are in *face units*: half the width of an average face at the cheekbones. x points to the viewer's right, y
down, from the middle between the eyes.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property

from reidlib.twins.picture import light_from
from reidlib.twins.randomness import Draw, limited

PHOTO, SKETCH = 0, 1
HAIRSTYLES = ("bald", "receding", "buzz cut", "short", "parted", "curls", "tied back", "bob", "long", "cloud")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "round", "oblong")
GARMENTS = ("crew neck", "v-neck", "collar")
LIMIT = 2.3
"""Standard deviations that no trait exceeds, exaggerated or not: beyond them features collide."""

# name: mean, standard deviation, shift between a feminine (-1) and a masculine (+1) face
TRAITS = {
    "face_width": (1.00, 0.060, 0.02),
    "temple_width": (0.97, 0.045, 0.00),
    "cheek_width": (0.93, 0.045, 0.00),
    "jaw_width": (0.76, 0.060, 0.04),
    "jaw_height": (1.00, 0.060, 0.03),
    "chin_width": (0.33, 0.060, 0.05),
    "chin_height": (1.58, 0.080, 0.03),
    "crown": (-1.60, 0.050, 0.00),
    "eye_gap": (0.455, 0.030, 0.00),
    "eye_width": (0.215, 0.020, -0.006),
    "eye_opening": (0.082, 0.018, -0.010),
    "eye_tilt": (0.04, 0.10, -0.03),
    "lid_fold": (0.060, 0.022, -0.01),
    "brow_height": (-0.33, 0.045, 0.03),
    "brow_weight": (0.052, 0.018, 0.014),
    "brow_arch": (0.060, 0.035, -0.02),
    "brow_tilt": (0.02, 0.09, -0.04),
    "brow_gap": (0.19, 0.045, -0.01),
    "nose_length": (0.62, 0.065, 0.02),
    "nose_width": (0.245, 0.038, 0.02),
    "nose_bridge": (0.115, 0.022, 0.008),
    "nose_tip": (0.135, 0.024, 0.006),
    "nose_hook": (0.020, 0.035, 0.01),
    "mouth_height": (0.95, 0.045, 0.01),
    "mouth_width": (0.375, 0.042, 0.01),
    "upper_lip": (0.066, 0.018, -0.012),
    "lower_lip": (0.100, 0.026, -0.012),
    "mouth_curve": (0.015, 0.025, 0.00),
    "cupids_bow": (0.45, 0.30, 0.00),
    "ear_height": (0.32, 0.040, 0.01),
    "ear_angle": (0.10, 0.040, 0.01),
    "neck_width": (0.62, 0.050, 0.07),
    "hairline": (-1.06, 0.100, 0.00),
    "relief": (1.00, 0.140, 0.05),
}
"""Measures in face units (tilts in radians; ``cupids_bow`` and ``relief`` relative)."""


@dataclass(frozen=True)
class Face:
    """Everything that stays the same about a person from picture to picture.

    ``traits`` are standard deviations in the order of `TRAITS`. Tones are grey albedos in 0–1; ``age`` is 0 (20 years)
    to 1 (75 years); ``parting`` is where the hair parts; ``wave`` and ``volume`` of the hair in face units; ``mole``
    is a place on the face, or ``None``.
    """

    pid: int
    traits: tuple[float, ...]
    age: float
    skin: float
    hairstyle: str
    hair: float
    parting: float
    wave: float
    volume: float
    fringe: bool
    beard: str
    glasses: str
    frame_tone: float
    garment: str
    garment_tone: float
    mole: tuple[float, float] | None

    @cached_property
    def measures(self) -> dict[str, float]:
        """`TRAITS` in face units."""
        return {
            name: mean + deviation * trait
            for (name, (mean, deviation, _)), trait in zip(TRAITS.items(), self.traits, strict=True)
        }

    def exaggerated(self, factor: float) -> "Face":
        """The same face ``factor`` times as far from the average, up to `LIMIT`."""
        return replace(self, traits=tuple(limited(factor * trait, -LIMIT, LIMIT) for trait in self.traits))

    def factors(self) -> dict[str, float | str | bool]:
        """A flat record of the factors: the measures beside the plain fields."""
        record = {key: value for key, value in asdict(self).items() if key not in ("traits", "mole")}
        return record | self.measures | {"mole": self.mole is not None}


@dataclass(frozen=True)
class FaceScene:
    """The circumstances of one picture, photograph or sketch (``modality``).

    ``yaw`` and ``pitch`` (radians, small) turn the head, ``roll`` the picture; ``scale`` is the height of the picture
    in face units; ``shift`` in face units; ``smile`` −1 to 1. ``light`` is the direction to the lamp times its
    strength. ``exaggeration`` is 1 for photographs; ``pressure`` is that of the pencil. ``key`` seeds the noise.
    """

    modality: int
    yaw: float
    pitch: float
    roll: float
    scale: float
    shift: tuple[float, float]
    smile: float
    light: tuple[float, float, float]
    ambient: float
    exposure: float
    contrast: float
    noise: float
    blur: float
    backdrop: float
    exaggeration: float
    pressure: float
    jpeg_quality: int
    key: tuple[int, ...]


_FACE_SALT, _SCENE_SALT = 81, 82


def sample_face(pid: int, seed: int = 0) -> Face:
    """Return the face with number ``pid`` (≥ 0) of the population ``seed``; the same on every machine."""
    if pid < 0:
        raise ValueError(f"pid must be ≥ 0, got {pid}")
    draw = Draw(_FACE_SALT, seed, pid)
    masculine = draw.choice((-1.0, 1.0)) * draw.uniform(0.35, 1.0)
    traits = tuple(
        limited(draw.bell(0.0, 1.0) + masculine * shift / deviation, -LIMIT, LIMIT)
        for _, deviation, shift in TRAITS.values()
    )
    age = draw.uniform()
    hairstyle = _hairstyle(draw, masculine, age)
    grey = draw.chance(max(0.0, 1.4 * age - 0.55))
    dark = draw.choice((0.05, 0.12, 0.22, 0.38), (0.35, 0.3, 0.2, 0.15))
    skin = 0.40 + 0.40 * draw.uniform() ** 0.8
    return Face(
        pid=pid,
        traits=traits,
        age=age,
        skin=skin,
        hairstyle=hairstyle,
        hair=draw.uniform(0.45, 0.8) if grey else dark * draw.uniform(0.8, 1.2) * (0.45 + 0.65 * skin),
        parting=draw.choice((-1.0, 1.0)) * draw.uniform(0.0, 0.5),
        wave=draw.uniform(0.0, 0.05),
        volume=draw.uniform(0.14, 0.32),
        fringe=draw.chance(0.3) and hairstyle in ("short", "bob", "long"),
        beard=draw.choice(BEARDS, (0.52, 0.16, 0.12, 0.09, 0.11)) if masculine > 0 else "none",
        glasses=draw.choice(GLASSES, (0.76, 0.1, 0.14)),
        frame_tone=draw.uniform(0.05, 0.35),
        garment=draw.choice(GARMENTS),
        garment_tone=draw.uniform(0.06, 0.8),
        mole=(draw.uniform(-0.65, 0.65), draw.uniform(0.25, 1.25)) if draw.chance(0.3) else None,
    )


def _hairstyle(draw: Draw, masculine: float, age: float) -> str:
    if masculine > 0:
        weights = (0.04 + 0.12 * age, 0.02 + 0.25 * age, 0.13, 0.3, 0.24, 0.14, 0.03, 0.0, 0.03, 0.05)
    else:
        weights = (0.0, 0.0, 0.02, 0.12, 0.12, 0.12, 0.2, 0.2, 0.24 - 0.1 * age, 0.1)
    return draw.choice(HAIRSTYLES, weights)


def sample_face_scene(modality: int, *key: int) -> FaceScene:
    """Draw the circumstances of the picture named by ``modality`` and ``key`` (say seed, pid)."""
    draw = Draw(_SCENE_SALT, modality, *key)
    photo = modality == PHOTO
    lamp, elevation = draw.bell(0.0, 0.45) if photo else -0.6, draw.uniform(0.15, 0.7)
    right, up, forward = light_from(lamp, elevation, draw.uniform(0.55, 0.8))
    return FaceScene(
        modality=modality,
        yaw=draw.bell(0.0, 0.09 if photo else 0.06),
        pitch=draw.bell(0.0, 0.06 if photo else 0.04),
        roll=draw.bell(0.0, 0.06 if photo else 0.05),
        scale=draw.uniform(4.9, 6.0),
        shift=(draw.bell(0.0, 0.13), 0.25 + draw.bell(0.0, 0.12)),
        smile=draw.bell(0.35, 0.4),
        light=(right, -up, forward),
        ambient=draw.uniform(0.28, 0.42),
        exposure=draw.uniform(0.95, 1.3),
        contrast=draw.uniform(0.95, 1.4),
        noise=draw.uniform(0.004, 0.016),
        blur=draw.uniform(0.15, 0.5),
        backdrop=draw.uniform(0.25, 0.85),
        exaggeration=1.0 if photo else draw.uniform(1.3, 1.7),
        pressure=draw.uniform(0.8, 1.2),
        jpeg_quality=82 + draw.integer(14),
        key=key,
    )
