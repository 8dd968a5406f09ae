"""What the pictures of all twins have in common: pixels and files, and how a lamp and a camera are turned."""

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Picture:
    """``image`` uint8 (H, W, 3); ``person_mask`` bool (H, W): the person, object or head; ``part_mask`` uint8 (H, W),
    values index the ``PARTS`` of its twin, 0 is background.
    """

    image: np.ndarray
    person_mask: np.ndarray
    part_mask: np.ndarray

    def jpeg(self, quality: int) -> bytes:
        return saved(self.image, "JPEG", quality=quality)


def saved(image: np.ndarray, form: str, **options) -> bytes:
    """The file of an image, uint8 (H, W, 3 or 4), in one of Pillow's formats."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, form, **options)
    return stream.getvalue()


def eight_bit(picture: np.ndarray) -> np.ndarray:
    """Floats in 0–1, (H, W), (H, W, 1) or (H, W, 3), beyond which they are cut off → uint8 (H, W, 3)."""
    levels = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.broadcast_to(levels.reshape(*levels.shape[:2], -1), (*levels.shape[:2], 3)).copy()


def pixels(values: np.ndarray, samples: int) -> np.ndarray:
    """Means over the samples of each pixel: (H·samples, W·samples, …) → (H, W, …), float32, or float64 of such."""
    height, width = (size // samples for size in values.shape[:2])
    cells = values.reshape(height, samples, width, samples, *values.shape[2:])
    return cells.mean((1, 3), dtype=np.result_type(values, np.float32))


def light_from(turn: float, elevation: float, strength: float) -> tuple[float, float, float]:
    """The direction to a lamp times its strength: x to the right, y up, z to the viewer; angles in radians."""
    flat = strength * math.cos(elevation)
    return flat * math.sin(turn), strength * math.sin(elevation), flat * math.cos(turn)


def rotation(yaw: float, pitch: float) -> np.ndarray:
    """The (3, 3) matrix that turns about the vertical by ``yaw``, then towards the viewer by ``pitch`` (radians)."""
    (c, s), (d, t) = ((math.cos(angle), math.sin(angle)) for angle in (yaw, pitch))
    return np.array([[1, 0, 0], [0, d, -t], [0, t, d]]) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
