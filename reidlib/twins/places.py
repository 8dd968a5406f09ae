"""Where the cameras of a twin look: cluttered places, drawn once and then only cropped.

Each place is a panorama of `WIDTH` × `HEIGHT` metres with two layers, what a visible camera sees (RGB) and what
near-infrared light makes of the same surfaces (one channel; leaves are bright, glass and sky are dark). A person is put
in front of a random stretch of it, so a background tells the camera and nothing about the identity.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from reidlib.twins.identity import Colour
from reidlib.twins.randomness import Draw, limited

WIDTH, HEIGHT = 8.0, 3.0  # metres
RESOLUTION = 80  # pixels a metre
GROUND = 0.55  # metres from the lower edge to the foot of the wall behind the person
_SALT = 72


@dataclass(frozen=True)
class Panorama:
    """``visible`` float32 (H, W, 3) and ``infrared`` float32 (H, W), reflectances in 0–1."""

    visible: np.ndarray
    infrared: np.ndarray


class _Canvas:
    """Draws the same shape into both layers; coordinates in metres, y up."""

    def __init__(self, seed: int):
        size = (round(WIDTH * RESOLUTION), round(HEIGHT * RESOLUTION))
        self.images = (Image.new("RGB", size), Image.new("L", size))
        self.pens = tuple(ImageDraw.Draw(image) for image in self.images)
        self.uniform = Draw(_SALT, seed).uniform

    def _paint(self, method: str, box, colour: Colour, nir: float) -> None:
        (x0, y0), (x1, y1) = box
        corners = [(x0 * RESOLUTION, (HEIGHT - y1) * RESOLUTION), (x1 * RESOLUTION, (HEIGHT - y0) * RESOLUTION)]
        *rgb, grey = (round(255 * limited(level, 0, 1)) for level in (*colour, nir))
        for pen, fill in zip(self.pens, (tuple(rgb), grey), strict=True):
            getattr(pen, method)(corners, fill=fill)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, nir: float) -> None:
        self._paint("rectangle", ((x, y), (x + width, y + height)), colour, nir)

    def blob(self, x: float, y: float, radius: float, colour: Colour, nir: float) -> None:
        self._paint("ellipse", ((x - radius, y - radius), (x + radius, y + radius)), colour, nir)

    def wall_and_floor(self, wall: Colour, floor: Colour, wall_nir: float, floor_nir: float) -> None:
        steps = 24
        for i in range(steps):  # walls get darker towards the floor, floors lighter towards the viewer
            y = GROUND + (HEIGHT - GROUND) * i / steps
            gain = 0.82 + 0.22 * i / steps
            self.box(0, y, WIDTH, HEIGHT, tuple(gain * c for c in wall), gain * wall_nir)
        for i in range(steps):
            gain = 0.72 + 0.33 * i / steps
            self.box(0, 0, WIDTH, GROUND * (1 - i / steps), tuple(gain * c for c in floor), gain * floor_nir)

    def scatter(self, count: int) -> list[float]:
        """``count`` positions along the panorama, one in each of ``count`` equal stretches."""
        return [WIDTH * (i + self.uniform(0.05, 0.7)) / count for i in range(count)]

    def tone(self, colour: Colour, spread: float = 0.12) -> Colour:
        return tuple(channel + self.uniform(-spread, spread) for channel in colour)

    def finish(self) -> Panorama:
        layers = [image.filter(ImageFilter.GaussianBlur(1.6)) for image in self.images]
        visible, infrared = (np.asarray(layer, np.float32) / 255 for layer in layers)
        return Panorama(visible, infrared)


def _office(site: _Canvas) -> None:
    site.wall_and_floor((0.80, 0.74, 0.64), (0.52, 0.38, 0.26), 0.7, 0.5)
    site.box(0, GROUND, WIDTH, 0.09, (0.42, 0.32, 0.24), 0.45)
    for x in site.scatter(4):
        colour = site.tone((0.5, 0.36, 0.24))
        site.box(x, GROUND, 0.85, 2.05, colour, site.uniform(0.3, 0.6))
        site.box(x + 0.7, GROUND + 1.0, 0.07, 0.07, (0.8, 0.75, 0.5), 0.7)
    for x in site.scatter(7):
        site.box(x, 1.55 + site.uniform(0, 0.4), 0.5, 0.6, site.tone((0.5, 0.5, 0.5), 0.4), site.uniform(0.2, 0.9))
    for x in site.scatter(5):
        for shelf in range(4):
            for book in range(6):
                height, tone = site.uniform(0.18, 0.29), site.tone((0.45, 0.4, 0.4), 0.35)
                corner = x + 0.08 * book, GROUND + 0.05 + 0.33 * shelf
                site.box(*corner, 0.07, height, tone, site.uniform(0.2, 0.9))


def _laboratory(site: _Canvas) -> None:
    site.wall_and_floor((0.62, 0.68, 0.74), (0.55, 0.57, 0.58), 0.62, 0.5)
    for i in range(28):  # floor tiles
        site.box(i * 0.3, 0, 0.02, GROUND, (0.42, 0.44, 0.46), 0.35)
    for x in site.scatter(6):
        for k in range(3):
            site.box(x + 0.36 * k, GROUND, 0.34, 1.75, site.tone((0.35, 0.45, 0.55), 0.06), site.uniform(0.3, 0.45))
            site.box(x + 0.36 * k + 0.26, GROUND + 0.9, 0.03, 0.14, (0.85, 0.85, 0.85), 0.8)
    for x in site.scatter(3):
        site.box(x, 1.4, 1.2, 0.85, (0.93, 0.94, 0.95), 0.85)
        for _ in range(5):
            site.box(x + site.uniform(0.1, 0.7), 1.5 + site.uniform(0, 0.6), 0.35, 0.03, (0.2, 0.25, 0.6), 0.6)
    for x in site.scatter(4):
        site.box(x, GROUND - 0.1, 0.9, 0.75, site.tone((0.75, 0.7, 0.6)), site.uniform(0.5, 0.7))


def _gate(site: _Canvas) -> None:
    site.wall_and_floor((0.62, 0.42, 0.34), (0.62, 0.60, 0.56), 0.55, 0.5)
    for row in range(18):  # courses of brick
        site.box(0, GROUND + row * 0.12, WIDTH, 0.015, (0.72, 0.64, 0.58), 0.6)
    site.box(0, 2.35, WIDTH, 1.0, (0.66, 0.78, 0.92), 0.25)
    for x in site.scatter(3):
        site.box(x, GROUND, 1.4, 1.9, (0.55, 0.66, 0.62), 0.5)
        for bar in range(9):
            site.box(x + 0.17 * bar, GROUND - 0.05, 0.045, 2.0, (0.12, 0.14, 0.14), 0.15)
    for x in site.scatter(4):
        site.box(x, GROUND - 0.1, 0.28, 2.3, site.tone((0.7, 0.66, 0.6), 0.08), 0.6)
    for x in site.scatter(5):
        site.box(x, 1.3 + site.uniform(0, 0.5), 0.45, 0.35, site.tone((0.4, 0.4, 0.5), 0.4), site.uniform(0.2, 0.9))


def _garden(site: _Canvas) -> None:
    site.wall_and_floor((0.70, 0.80, 0.90), (0.58, 0.55, 0.48), 0.3, 0.5)
    site.box(0, 0.38, WIDTH, 0.3, (0.36, 0.52, 0.24), 0.75)
    for x in site.scatter(6):
        site.box(x, 0.5, 0.16, 1.5, site.tone((0.32, 0.24, 0.18), 0.05), 0.4)
        for _ in range(16):
            tone = site.tone((0.22, 0.42, 0.16), 0.1)
            site.blob(x + site.uniform(-0.6, 0.8), 2.1 + site.uniform(-0.5, 0.7), 0.28, tone, site.uniform(0.6, 0.95))
    for x in site.scatter(60):
        site.blob(x, 0.75 + site.uniform(-0.1, 0.35), 0.2, site.tone((0.2, 0.38, 0.14), 0.1), site.uniform(0.6, 0.95))
    for x in site.scatter(40):
        site.blob(x, site.uniform(0.45, 0.95), 0.035, site.tone((0.8, 0.5, 0.5), 0.3), 0.9)


def _passage(site: _Canvas) -> None:
    site.wall_and_floor((0.50, 0.49, 0.47), (0.40, 0.40, 0.40), 0.5, 0.42)
    for x in site.scatter(5):
        site.box(x, GROUND - 0.12, 0.38, 2.6, site.tone((0.6, 0.58, 0.55), 0.06), site.uniform(0.5, 0.7))
    for x in site.scatter(6):
        site.box(x, 1.5, 0.7, 0.9, site.tone((0.2, 0.22, 0.25), 0.08), site.uniform(0.05, 0.2))
    for x in site.scatter(5):
        site.box(x, GROUND - 0.05, 0.8, 0.5, site.tone((0.45, 0.4, 0.35), 0.15), site.uniform(0.3, 0.7))
    site.box(0, 1.12, WIDTH, 0.05, (0.7, 0.7, 0.7), 0.7)


PLACES = {"office": _office, "laboratory": _laboratory, "gate": _gate, "garden": _garden, "passage": _passage}


@lru_cache(maxsize=len(PLACES))
def panorama(place: str) -> Panorama:
    """Return the panorama of one of `PLACES`."""
    site = _Canvas(seed=list(PLACES).index(place))
    PLACES[place](site)
    return site.finish()


def crop(layer: np.ndarray, left: float, bottom: float, metres: float, height: int, width: int) -> np.ndarray:
    """Resample a layer to ``height`` × ``width`` pixels, ``metres`` high, with the lower left corner at (left, bottom).

    ``left`` wraps around the panorama; rows above or below it repeat the border. Returns float32 (height, width[, 3]).
    """
    pixel = metres / height
    x = ((left + (np.arange(width) + 0.5) * pixel) % WIDTH) * RESOLUTION
    y = (HEIGHT - (bottom + metres - (np.arange(height) + 0.5) * pixel)) * RESOLUTION
    columns = np.clip(x.astype(np.int64), 0, layer.shape[1] - 1)
    rows = np.clip(y.astype(np.int64), 0, layer.shape[0] - 1)
    return layer[np.ix_(rows, columns)]
