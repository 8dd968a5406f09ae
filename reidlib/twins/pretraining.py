"""People to pretrain a trunk on: visible images only, of identities, cameras and scenes that are in no twin.

They stand for what ImageNet is to the papers: many labelled images of another kind of task. Only the renderer and its
five places are those of the twins. Nothing is written to disk.
"""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from reidlib.twins.identity import sample_identity
from reidlib.twins.people import render
from reidlib.twins.plan import keyed
from reidlib.twins.scene import VISIBLE, Camera, Scene, sample_scene

VERSION = "1"
POPULATION = 201  # the seed of these people: every twin shows other ones
CAMERAS = keyed(
    "camid",
    Camera(1, VISIBLE, "office", 0.24, (1.08, 1.00, 0.88), 0.90, 1.05, 0.024, 0.60, 0.5),
    Camera(2, VISIBLE, "laboratory", 0.18, (0.94, 1.00, 1.08), 1.02, 0.95, 0.016, 0.50, -0.9),
    Camera(3, VISIBLE, "gate", 0.20, (1.01, 1.00, 1.01), 1.14, 0.92, 0.018, 0.45, 1.2),
    Camera(4, VISIBLE, "garden", 0.14, (0.97, 1.06, 0.95), 0.96, 1.12, 0.014, 0.65, -0.4),
    Camera(5, VISIBLE, "passage", 0.26, (0.96, 0.99, 1.06), 0.80, 1.15, 0.030, 0.75, 0.2),
    Camera(6, VISIBLE, "office", 0.12, (1.00, 1.01, 0.98), 1.05, 0.90, 0.012, 0.55, -1.1),
    Camera(7, VISIBLE, "passage", 0.16, (1.05, 1.00, 0.94), 0.68, 1.08, 0.034, 0.60, 0.8),
    Camera(8, VISIBLE, "gate", 0.30, (0.98, 1.02, 1.02), 0.94, 1.10, 0.022, 0.80, -0.7),
)
"""Two look at each of three places, one at each of the two others; their habits span those of all twins' cameras."""


def scenes(pid: int, per_camera: int) -> list[Scene]:
    """The circumstances of one person's images, camera by camera."""
    frames = range(1, per_camera + 1)
    return [sample_scene(camera, POPULATION, pid, frame) for camera in CAMERAS.values() for frame in frames]


def images(
    people: Sequence[int],
    per_camera: int,
    height: int,
    width: int,
    *,
    workers: int | None = None,
    shown: Callable[[Iterator], Iterator] = iter,
) -> np.ndarray:
    """Render people as a twin's files show them, JPEG losses included.

    Args:
        people: their numbers, from 1.
        per_camera: images of each person by each of `CAMERAS`.
        workers: rendering threads; default one a core. The pixels do not depend on it.
        shown: takes the images, one by one, and returns them: for a progress bar.

    Returns:
        uint8 (people · cameras · per_camera, H, W, 3): all images of a person, then those of the next.
    """

    def draw(place: tuple[int, Scene]) -> np.ndarray:
        pid, scene = place
        rendering = render(sample_identity(pid, POPULATION), scene, height, width)
        return np.asarray(Image.open(io.BytesIO(rendering.jpeg(scene.jpeg_quality))))

    places = [(pid, scene) for pid in people for scene in scenes(pid, per_camera)]
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        return np.stack(list(shown(pool.map(draw, places))))
