"""What changes from image to image: camera, pose, light, framing, occlusion, blur, noise, compression."""

import math
from dataclasses import dataclass

from reidlib.twins.body import Pose
from reidlib.twins.identity import Colour
from reidlib.twins.picture import light_from
from reidlib.twins.plan import keyed
from reidlib.twins.randomness import Draw

VISIBLE, INFRARED = 0, 1
_SALT = 73


@dataclass(frozen=True)
class Camera:
    """A camera's habits: its place, how far it looks down, and how it renders light.

    Attributes:
        camid: number within the data set.
        modality: `VISIBLE` or `INFRARED`.
        place: a key of `reidlib.twins.places.PLACES`.
        tilt: radians below the horizon.
        cast: gain of red, green, blue.
        exposure, contrast: gain, and exponent of the tone curve (1 = linear).
        noise: standard deviation of sensor noise (0–1 scale).
        blur: standard deviation in pixels of a 128-row image.
        lamp: direction of the main light in radians, 0 from the camera's side, positive from the viewer's right.
    """

    camid: int
    modality: int
    place: str
    tilt: float
    cast: Colour
    exposure: float
    contrast: float
    noise: float
    blur: float
    lamp: float


SYSU_CAMERAS = keyed(
    "camid",
    Camera(1, VISIBLE, "office", 0.20, (1.06, 1.00, 0.90), 1.00, 1.00, 0.020, 0.50, 0.7),
    Camera(2, VISIBLE, "laboratory", 0.28, (0.95, 1.00, 1.06), 0.92, 1.10, 0.025, 0.60, -0.6),
    Camera(3, INFRARED, "laboratory", 0.28, (1.0, 1.0, 1.0), 1.00, 0.85, 0.035, 0.70, 0.0),
    Camera(4, VISIBLE, "gate", 0.12, (1.00, 1.02, 1.00), 1.12, 0.95, 0.015, 0.45, 1.1),
    Camera(5, VISIBLE, "garden", 0.10, (0.98, 1.05, 0.96), 1.05, 1.05, 0.018, 0.55, -1.0),
    Camera(6, INFRARED, "passage", 0.17, (1.0, 1.0, 1.0), 0.90, 0.90, 0.040, 0.80, 0.0),
)
"""SYSU-MM01's six cameras; 2 and 3 stand in the same room, as in the real set (documented: SYSU-MM01 paper)."""


@dataclass(frozen=True)
class Scene:
    """One image's circumstances.

    ``scale`` 1 fills the frame; ``shift`` is in metres; ``stretch`` in metres along the place.

    ``light`` is the direction to the lamp times its strength. ``occluder`` is one of ``none``, ``low`` (covers the
    lowest ``occluded`` share of the rows) and ``left``/``right`` (1.4 times that share of the columns). ``key`` seeds
    the sensor noise.
    """

    camera: Camera
    pose: Pose
    scale: float
    shift: tuple[float, float]
    light: tuple[float, float, float]
    ambient: float
    exposure: float
    cast: Colour
    contrast: float
    noise: float
    blur: float
    stretch: float
    occluder: str
    occluded: float
    occluder_tone: Colour
    jpeg_quality: int
    key: tuple[int, ...]


def sample_scene(camera: Camera, *key: int) -> Scene:
    """Draw the circumstances of the image named by ``key`` (say seed, pid, frame); the same on every machine."""
    draw = Draw(_SALT, camera.camid, *key)
    yaw = draw.choice((0.0, math.pi)) + draw.bell(0.0, 0.4) if draw.chance(0.85) else draw.uniform(-math.pi, math.pi)
    lamp, elevation = camera.lamp + draw.bell(0.0, 0.35), draw.uniform(0.5, 1.1)
    strength = draw.uniform(0.35, 0.75) if camera.modality == VISIBLE else draw.uniform(0.75, 1.15)
    gain = 1.0 + draw.bell(0.0, 0.08)
    return Scene(
        camera=camera,
        pose=Pose(phase=draw.uniform(0.0, 2 * math.pi), yaw=yaw, tilt=camera.tilt + draw.bell(0.0, 0.04)),
        scale=draw.uniform(0.92, 1.06),
        shift=(draw.bell(0.0, 0.035), draw.bell(0.0, 0.03)),
        light=light_from(lamp, elevation, strength),
        ambient=draw.uniform(0.5, 0.7) if camera.modality == VISIBLE else draw.uniform(0.08, 0.16),
        exposure=camera.exposure * gain,
        cast=tuple(channel * (1.0 + draw.bell(0.0, 0.03)) for channel in camera.cast),
        contrast=camera.contrast * (1.0 + draw.bell(0.0, 0.06)),
        noise=camera.noise * draw.uniform(0.6, 1.4),
        blur=camera.blur * draw.uniform(0.5, 1.7),
        stretch=draw.uniform(0.0, 8.0),
        occluder=draw.choice(("none", "low", "left", "right"), (0.86, 0.06, 0.04, 0.04)),
        occluded=draw.uniform(0.12, 0.32),
        occluder_tone=(tone := draw.uniform(0.1, 0.6), tone * draw.uniform(0.7, 1.2), tone * draw.uniform(0.6, 1.2)),
        jpeg_quality=78 + draw.integer(16),
        key=key,
    )
