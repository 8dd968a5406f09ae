"""Render a person: identity + scene → image, with the truth behind it.

The geometry is ray-cast once into a `GBuffer`; visible and near-infrared images are two shadings of it. This is what a
twin knows and a photograph does not: exactly which pixels are the person, which part, which material.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from reidlib.twins import raycast as rc
from reidlib.twins.body import FACE, PARTS, SKIN, Body, build_body
from reidlib.twins.identity import TEXTURES, Identity, luminance
from reidlib.twins.picture import Picture, eight_bit
from reidlib.twins.places import GROUND, crop, panorama
from reidlib.twins.randomness import generator
from reidlib.twins.scene import INFRARED, Scene

CENTRE = 0.075  # metres from the waist down to the middle of the frame
FRAME = 2.02  # metres from the lower to the upper edge of a box around an average person
_NOISE_SALT = 74


@dataclass(frozen=True)
class GBuffer:
    """Per-sample geometry, ``samples`` × ``samples`` to a pixel; all arrays start with (H·samples, W·samples).

    Attributes:
        owner: int16, primitive hit, -1 where the ray missed.
        normal: float32 (…, 3), unit, camera frame (x right, y up, z to the viewer).
        depth: float32, metres towards the viewer from the plane of the body.
        along, angle: float32 surface coordinates: metres along the primitive, radians around it from its front.
        body: the primitives themselves.
    """

    owner: np.ndarray
    normal: np.ndarray
    depth: np.ndarray
    along: np.ndarray
    angle: np.ndarray
    body: Body
    samples: int

    def shade(self, materials: np.ndarray, *lamps) -> tuple[np.ndarray, np.ndarray]:
        """Colour (H, W, 3) times coverage, and coverage (H, W), float32.

        The table of materials and the lamps (light, ambient, headlight) are those of `raycast.shade`, all float32.
        """
        height, width = (size // self.samples for size in self.owner.shape)
        colour, alpha = np.empty((height, width, 3), np.float32), np.empty((height, width), np.float32)
        seen = self.body.primitives, self.body.covering, materials, self.owner, self.normal, self.along, self.angle
        rc.shade(*seen, *lamps, self.samples, colour, alpha)
        return colour, alpha


@dataclass(frozen=True)
class Rendering(Picture):
    """A picture of a person and the geometry behind it.

    Masks hold what is visible: pixels behind an occluder are background.
    """

    gbuffer: GBuffer


def cast_rays(body: Body, height: int, width: int, *, samples: int = 2, metres: float = FRAME) -> GBuffer:
    """Ray-cast ``body`` into ``height`` × ``width`` pixels, ``metres`` from top to bottom, waist near the centre."""
    rows, columns = height * samples, width * samples
    pixel = np.float32(metres / rows)
    owner = np.empty((rows, columns), np.int16)
    normal = np.zeros((rows, columns, 3), np.float32)
    depth, along, angle = (np.zeros((rows, columns), np.float32) for _ in range(3))
    left, top = np.float32(-columns * pixel / 2), np.float32(metres * 0.5 - CENTRE)
    rc.raycast(body.primitives, rows, columns, left, top, pixel, owner, normal, depth, along, angle)
    return GBuffer(owner, normal, depth, along, angle, body, samples)


def render(identity: Identity, scene: Scene, height: int = 128, width: int = 64, *, samples: int = 2) -> Rendering:
    """Render one image. ``samples`` × ``samples`` rays a pixel smooth the edges.

    The same identity, scene and size give the same bytes on one machine, whatever runs beside.
    """
    gbuffer, metres = cast_person(identity, scene, height, width, samples=samples)
    colour, alpha = _shade(gbuffer, identity, scene)
    background = _background(scene, gbuffer.body, height, width, metres)
    image = colour + (1.0 - alpha[..., None]) * background
    hidden = occluded(scene, height, width)
    image[hidden] = _occluder_colour(scene, image[hidden])
    return Rendering(eight_bit(_develop(image, scene, height)), *masks(gbuffer, alpha, hidden), gbuffer)


def cast_person(
    identity: Identity, scene: Scene, height: int, width: int, *, samples: int = 2
) -> tuple[GBuffer, float]:
    """Put a person before the camera: the geometry, and the metres from the upper to the lower edge of the image."""
    # a detector's box follows the person's height, but not perfectly: a little of it stays visible
    metres = FRAME * (0.3 + 0.7 * identity.height) / scene.scale
    body = build_body(identity, scene.pose, shift=scene.shift)
    return cast_rays(body, height, width, samples=samples, metres=metres), metres


def masks(gbuffer: GBuffer, alpha: np.ndarray, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``person_mask`` and ``part_mask`` of a `Rendering`, from coverage (H, W) in 0–1 and what an occluder hides."""
    person, parts = (alpha >= 0.5) & ~hidden, np.zeros(alpha.shape, np.uint8)
    rc.majority(gbuffer.owner, gbuffer.body.parts, gbuffer.samples, parts)
    parts[~person] = 0
    return person, parts


def _material_table(identity: Identity, infrared: bool) -> np.ndarray:
    rows = []
    for index, cloth in enumerate(identity.materials):
        colours = (*[cloth.nir] * 3, *[cloth.nir_second] * 3) if infrared else (*cloth.colour, *cloth.second)
        folds = 0.0 if index in (SKIN, FACE) else 0.07
        rows.append((*colours, TEXTURES.index(cloth.texture), cloth.period, cloth.share, folds, index == FACE))
    return np.array(rows, np.float32)


def _shade(gbuffer: GBuffer, identity: Identity, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    infrared = scene.camera.modality == INFRARED
    light = np.array(scene.light, np.float32)
    headlight = np.float32(np.sqrt(light @ light) if infrared else 0.0)
    colour, alpha = gbuffer.shade(_material_table(identity, infrared), light, np.float32(scene.ambient), headlight)
    return (colour[..., :1], alpha) if infrared else (colour, alpha)


def _background(scene: Scene, body: Body, height: int, width: int, metres: float) -> np.ndarray:
    """The stretch of the camera's place behind the person, with the shadow under the feet; (H, W, 3) or (H, W, 1)."""
    layers = panorama(scene.camera.place)
    floor = GROUND - 0.25 - 0.6 * scene.camera.tilt  # a camera that looks down sees more floor behind the feet
    if scene.camera.modality == INFRARED:
        # active illumination falls off with the square of the distance, so what lies behind the person is dim
        background = crop(layers.infrared, scene.stretch, floor, metres, height, width)[..., None]
        return background * np.float32(0.5 * np.sqrt(np.square(scene.light).sum()))
    background = crop(layers.visible, scene.stretch, floor, metres, height, width)
    background = background * np.float32(scene.ambient + 0.45 * np.sqrt(np.square(scene.light).sum()))
    feet = body.primitives[body.parts == PARTS.index("foot")]
    ground = 0.5 - (feet[:, 1].min() - 0.04 + CENTRE) / metres  # image row of the lowest sole, as a share of the height
    middle = 0.5 * width / height + feet[:, 0].mean() / metres
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    shadow = np.exp(-(((x - middle) / 0.12) ** 2) - ((y - ground) / 0.025) ** 2)
    return background * (1.0 - 0.5 * shadow[..., None])


def occluded(scene: Scene, height: int, width: int) -> np.ndarray:
    """Pixels covered by something in front of the person, bool (H, W)."""
    hidden = np.zeros((height, width), bool)
    rows, columns = round(scene.occluded * height), round(1.4 * scene.occluded * width)
    if scene.occluder == "low":
        hidden[height - rows :] = True
    elif scene.occluder == "left":
        hidden[:, :columns] = True
    elif scene.occluder == "right":
        hidden[:, width - columns :] = True
    return hidden


def _occluder_colour(scene: Scene, covered: np.ndarray) -> np.ndarray:
    tone = np.array(scene.occluder_tone, np.float32)
    if scene.camera.modality == INFRARED:
        tone = np.full(1, luminance(scene.occluder_tone), np.float32)
    # seen out of focus in front of the person: mostly its own tone, a trace of what it covers
    return 0.85 * tone * (scene.ambient + 0.3) + 0.15 * covered


def _develop(image: np.ndarray, scene: Scene, height: int) -> np.ndarray:
    """What the camera makes of the light: blur, exposure, cast, tone curve, vignette (infrared), sensor noise."""
    sigma = scene.blur * height / 128
    image = gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=2.5)
    image = image * np.float32(scene.exposure)
    if scene.camera.modality == INFRARED:
        rows, columns = image.shape[:2]
        y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
        radius2 = ((y / rows - 0.42) * 1.1) ** 2 + ((x / columns - 0.5) * 0.75) ** 2
        image = image * (1.0 - 0.75 * radius2)[..., None]
        image = 0.06 + 0.9 * image  # lower contrast: stray light lifts the blacks
    else:
        image = image * np.array(scene.cast, np.float32)
    image = np.clip(image, 0.0, 1.0) ** np.float32(scene.contrast)
    noise = generator(_NOISE_SALT, scene.camera.camid, *scene.key).standard_normal(image.shape, dtype=np.float32)
    return image + noise * np.float32(scene.noise)
