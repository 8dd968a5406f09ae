"""Thermal (long-wave infrared) images: temperature instead of reflected light.

A thermal camera sees what surfaces emit, 8 to 14 µm. Nearly all of them (skin, hair, cloth, leather) have an emissivity
close to 1 there, so colour and dye are invisible and what remains is how warm the outside is. Cloth lies as a heat
resistance R between the skin and the air, the still air at its surface as another, R_air; in a steady state the
outside is warmer than the air by the share R_air / (R_air + R) of what the skin is. That share, the *warmth* of a
surface (1: bare skin; 0: as cold as the air), is what is shaded here.

Documented (ISO 9920, general physics): 1 clo = 0.155 m²K/W, R_air about 0.7 clo, garments a fraction of a clo, layers
add up. Reconstructed: the spread of the resistances; that the second cloth of a pattern is thicker or thinner than the
first, so that a pattern is seen by its thickness; the cooling towards the feet; the camera. In part a person's
resistances are drawn by the number of the identity: like near-infrared albedo, they are seen by one modality only.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from reidlib.twins import people
from reidlib.twins.body import MATERIALS
from reidlib.twins.identity import TEXTURES, Identity
from reidlib.twins.people import GBuffer, Rendering
from reidlib.twins.picture import eight_bit
from reidlib.twins.places import crop, panorama
from reidlib.twins.randomness import Draw, generator
from reidlib.twins.scene import Scene

AIR = 0.7  # clo, resistance of the air at a surface
GRAZING = 0.55  # what a surface seen edge-on shows of its warmth: emissivity falls off, and edges cool from two sides
_SALT, _CAMERA_SALT, _NOISE_SALT = 91, 92, 93
_FOLDS = [0.0 if name in ("skin", "face") else 0.06 for name in MATERIALS]  # cloth touches the skin here and there


def warmth(identity: Identity) -> list[tuple[float, float]]:
    """Warmth 0–1 of the outside of each of `reidlib.twins.body.MATERIALS`, where its pattern is and where not.

    Two numbers a material: (of its first cloth, of its second). Who covers more skin also wears thicker cloth.
    """
    draw = Draw(_SALT, identity.pid)
    shirt = 0.12 + 0.3 * identity.sleeve + draw.uniform(0.0, 0.15)
    over = draw.uniform(0.5, 0.8) if identity.outerwear == "jacket" else draw.uniform(1.0, 1.5)
    resistance = {
        "skin": 0.08,
        "hair": draw.uniform(0.4, 0.8),
        "top": shirt,
        "outer": shirt + over,
        "bottom": 0.2 + 0.35 * (identity.skirt or identity.leg) + draw.uniform(0.0, 0.15),
        "shoes": draw.uniform(1.2, 2.0) if identity.boots else draw.uniform(0.8, 1.4),
        "bag": draw.uniform(4.0, 8.0),  # it hangs on the outside: the body hardly warms it
        "hat": draw.uniform(0.7, 1.4),
        "face": 0.0,
    }
    pairs = []
    for name in MATERIALS:
        value = resistance[name]
        second = value + draw.uniform(0.2, 0.4) * (1 if value < 0.5 or draw.chance(0.5) else -1)
        pairs.append((AIR / (AIR + value), AIR / (AIR + second)))
    return pairs


def render(identity: Identity, scene: Scene, height: int = 128, width: int = 64) -> Rendering:
    """Render one thermal image; arguments and masks as in `reidlib.twins.people.render`.

    Of the scene's camera, ``exposure`` is the grey levels (0–1) from the air to bare skin; ``light`` does not matter.
    """
    gbuffer, metres = people.cast_person(identity, scene, height, width)
    person, alpha = _shade(gbuffer, identity)
    # metres of each row above the waist
    up = people.CENTRE + metres * (0.5 - (np.arange(height, dtype=np.float32) + 0.5) / height)
    person *= 1.0 + 0.25 * np.clip(up, -1.0, 0.0)[:, None]  # legs are colder than the trunk
    draw = Draw(_CAMERA_SALT, scene.camera.camid, *scene.key)
    surroundings = _surroundings(scene, height, width, metres, draw)
    image = person + (1.0 - alpha) * surroundings
    hidden = people.occluded(scene, height, width)
    image[hidden] = surroundings[hidden] + draw.uniform(-0.12, 0.08)
    return Rendering(eight_bit(_develop(image, scene, draw)), *people.masks(gbuffer, alpha, hidden), gbuffer)


def _shade(gbuffer: GBuffer, identity: Identity) -> tuple[np.ndarray, np.ndarray]:
    """Warmth times coverage, and coverage, (H, W): the shader's lamp at the camera stands in for emission."""
    table = [
        (*[first] * 3, *[second] * 3, TEXTURES.index(cloth.texture), cloth.period, cloth.share, folds, 0)
        for (first, second), cloth, folds in zip(warmth(identity), identity.materials, _FOLDS, strict=True)
    ]
    towards_camera = np.float32((1.0 - GRAZING) / 0.75)  # the kernel's headlight: 0.25 edge-on, 1 facing the camera
    lamps = np.zeros(3, np.float32), 1 - towards_camera, towards_camera
    colour, alpha = gbuffer.shade(np.array(table, np.float32), *lamps)
    return colour[..., 0], alpha


def _surroundings(scene: Scene, height: int, width: int, metres: float, draw: Draw) -> np.ndarray:
    """Warmth behind the person, (H, W): nearly that of the air, a slope, and the place as a trace of itself."""
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height - 0.5
    place = crop(panorama(scene.camera.place).infrared, scene.stretch, 0.0, metres, height, width)
    place = gaussian_filter(place, height / 16, mode="nearest")
    return draw.uniform(-0.1, 0.16) * rows[:, None] + 0.14 * (place - place.mean())


def _develop(image: np.ndarray, scene: Scene, draw: Draw) -> np.ndarray:
    """What the camera makes of warmth: low-pass, automatic gain and level, column pattern and noise of its sensor."""
    height, width = image.shape
    image = gaussian_filter(image, scene.blur * height / 128, mode="nearest", truncate=2.5)
    image = draw.uniform(0.16, 0.36) + np.float32(scene.exposure) * image
    normal = generator(_NOISE_SALT, scene.camera.camid, *scene.key).standard_normal
    columns = normal(width, dtype=np.float32)  # columns of a microbolometer share an amplifier
    return image + np.float32(scene.noise) * (0.4 * columns + normal(image.shape, dtype=np.float32))
