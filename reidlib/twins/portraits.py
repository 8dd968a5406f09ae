"""Draw a face: the photograph and the pencil sketch of one anatomy.

Reconstructed: the photograph is shaded skin under one lamp and what surrounds it; the sketch is what an artist at a
desk makes of a person, from a pose, a light and an exaggerated shape of its own, in hatching, smudged tone and lines.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from reidlib.twins.anatomy import Anatomy, build
from reidlib.twins.faces import PHOTO, Face, FaceScene
from reidlib.twins.fields import Array, Grid, bump, noise, noise_lattice, over, step
from reidlib.twins.picture import Picture, eight_bit, pixels
from reidlib.twins.randomness import generator

PARTS = ("background", "skin", "hair", "eyes", "brows", "nose", "mouth", "ears", "beard", "glasses", "neck", "garment")
"""Parts of a face; the position in this tuple is the value in part masks."""

# Darkness in a photograph, in pencil, what age and a smile add to both; drawn firmly or smudged into the shading.
LINES = {
    "lashes": (0.75, 0.95, 0.0, 0.0, True),
    "lid fold": (0.35, 0.50, 0.0, 0.0, True),
    "lower lid": (0.30, 0.45, 0.0, 0.0, True),
    "nose wing": (0.30, 0.60, 0.0, 0.0, True),
    "nose base": (0.25, 0.55, 0.0, 0.0, True),
    "mouth": (0.60, 0.85, 0.0, 0.0, True),
    "mouth corner": (0.40, 0.70, 0.0, 0.0, True),
    "lip edge": (0.06, 0.30, 0.0, 0.0, True),
    "nose side": (0.00, 0.16, 0.0, 0.0, False),
    "chin fold": (0.12, 0.22, 0.0, 0.0, False),
    "cheek fold": (0.06, 0.14, 0.4, 0.16, False),
    "eye bags": (0.08, 0.15, 0.4, 0.0, False),
    "crow's feet": (0.00, 0.00, 0.5, 0.0, False),
    "forehead": (0.00, 0.00, 0.6, 0.0, False),
}
_LINE_WIDTH = (0.022, 0.027)  # face units, in a photograph and in pencil
_TREMOR = 0.016  # face units
_SALT = 83


@dataclass(frozen=True)
class Rendering(Picture):
    """A grey picture of a face.

    ``points`` float64 (3, 2) are the left eye, the right eye and the mouth in pixels (x, y), *left* in the image.
    """

    points: Array


@dataclass(frozen=True)
class _View:
    """A face as it is to be drawn: exaggerated, under its circumstances."""

    face: Face
    scene: FaceScene
    anatomy: Anatomy
    grid: Grid

    @property
    def lines(self) -> list[tuple[Array, float, bool]]:
        """Each line with its weight in this modality, and whether it is drawn firmly."""
        age, smile = max(self.face.age - 0.3, 0.0), max(self.scene.smile, 0.0)
        return [
            (self.anatomy.lines[name], weights[self.scene.modality] + by_age * age + by_smile * smile, firm)
            for name, (*weights, by_age, by_smile, firm) in LINES.items()
        ]

    def spot(self, place: tuple[float, float], width: float, height: float) -> Array:
        """A soft spot at a place and at its mirror image."""
        return bump(np.hypot((self.grid.aside - place[0]) / width, (self.grid.y - place[1]) / height), 1.0)

    def mole(self) -> Array | float:
        if self.face.mole is None:
            return 0.0
        return bump(np.hypot(self.grid.x - self.face.mole[0], self.grid.y - self.face.mole[1]), 0.035)

    def light(self, ambient: float, relief: float) -> Array:
        """Light on the surface: ambient plus a lamp that also grazes what turns a little away from it."""
        down, right = np.gradient(relief * self.anatomy.height, self.grid.sample)
        x, y, z = self.scene.light
        facing = (z - x * right - y * down) / np.sqrt(1 + right * right + down * down)
        return ambient + np.clip((facing + 0.2 * np.sqrt(x * x + y * y + z * z)) / 1.2, 0, None)


def points(face: Face, scene: FaceScene, height: int, width: int) -> Array:
    """The three points of `Rendering`, without drawing."""
    measures = face.exaggerated(scene.exaggeration).measures
    gap = measures["eye_gap"]
    anchors = np.array([[-gap, 0.0], [gap, 0.0], [0.0, measures["mouth_height"]]])
    places = anchors
    for _ in range(8):  # where a sample with these coordinates lies: the turn depends on the place itself
        places = anchors + np.outer(_depth(*places.T), (scene.yaw, scene.pitch))
    turn, offset = _frame(scene, height, width)
    return places @ turn.T + offset - 0.5


def render(face: Face, scene: FaceScene, height: int = 120, width: int = 96, *, samples: int = 2) -> Rendering:
    """Draw one picture from ``samples`` × ``samples`` samples a pixel.

    The same face, scene and size give the same bytes on one machine, whatever runs beside.
    """
    key = (_SALT, scene.modality, *scene.key)
    drawn, grid = face.exaggerated(scene.exaggeration), _grid(scene, height, width, samples, key)
    anatomy = build(drawn, grid, scene.smile, _LINE_WIDTH[scene.modality])
    view = _View(drawn, scene, anatomy, grid)
    picture = pixels(_photograph(view) if scene.modality == PHOTO else _pencil(view), samples)
    if scene.modality == PHOTO:
        picture = gaussian_filter(picture, scene.blur * height / 120, mode="nearest", truncate=2.5)
        picture += np.float32(scene.noise) * generator(*key).standard_normal(picture.shape, dtype=np.float32)
    parts = _parts(anatomy)[samples // 2 :: samples, samples // 2 :: samples]
    return Rendering(eight_bit(picture), parts > 0, parts, points(face, scene, height, width))


def _frame(scene: FaceScene, height: int, width: int) -> tuple[Array, Array]:
    """The (2, 2) turn and (2,) offset that bring face units to pixels."""
    cosine, sine = np.cos(scene.roll), np.sin(scene.roll)
    turn = height / scene.scale * np.array([[cosine, -sine], [sine, cosine]])
    return turn, np.array([width / 2, height / 2]) - turn @ np.array(scene.shift)


def _depth(x: Array, y: Array) -> Array:
    """How far an average head comes towards the viewer: what a turn moves most."""
    return np.sqrt(np.clip(1 - np.square(x / 1.15) - np.square((y - 0.05) / 1.75), 0, 1))


def _grid(scene: FaceScene, height: int, width: int, samples: int, key: tuple[int, ...]) -> Grid:
    turn, offset = _frame(scene, height, width)
    back = np.linalg.inv(turn).astype(np.float32)
    rows, columns = np.mgrid[0 : height * samples, 0 : width * samples].astype(np.float32)
    across, down = (columns + 0.5) / samples - np.float32(offset[0]), (rows + 0.5) / samples - np.float32(offset[1])
    x, y = back[0, 0] * across + back[0, 1] * down, back[1, 0] * across + back[1, 1] * down
    lattice = noise_lattice(*key)
    if scene.modality != PHOTO:  # a hand is unsteady
        waver = _TREMOR * noise(lattice, 2.2 * x, 2.2 * y)
        y = y + _TREMOR * noise(lattice, 2.2 * x + 31, 2.2 * y)
        x = x + waver
    depth = _depth(x, y)
    sample = scene.scale / (height * samples)
    return Grid(x - np.float32(scene.yaw) * depth, y - np.float32(scene.pitch) * depth, x, y, sample, lattice)


def _parts(a: Anatomy) -> Array:
    parts = np.zeros(a.head.shape, np.uint8)
    for name, layer in (
        ("hair", a.hair_behind), ("neck", a.neck), ("garment", a.garment), ("ears", a.ears), ("skin", a.head),
        ("nose", a.nose * a.head), ("beard", a.beard), ("mouth", a.upper_lip + a.lower_lip), ("eyes", a.eyes),
        ("brows", a.brows), ("hair", a.hair), ("glasses", a.glasses),
    ):  # fmt: skip
        parts[layer >= 0.5] = PARTS.index(name)
    return parts


def _photograph(view: _View) -> Array:
    face, scene, a, grid = view.face, view.scene, view.anatomy, view.grid
    x, y, turn = grid.flat_x, grid.flat_y, np.float32(scene.light[0])
    front = np.float32(scene.ambient + 0.75 * scene.light[2])  # light on what faces the camera
    light = view.light(scene.ambient, 0.9)
    skin = face.skin * (1 + 0.02 * grid.noise(25 * grid.x, 25 * grid.y))

    lock = 0.5 + 0.5 * a.strand
    sheen = bump(y + 1.05 + 0.25 * x * x, 0.28)
    hair = (front + 0.10) * (face.hair * (0.75 + 0.5 * lock) + 0.16 * sheen * lock + 0.02)
    round_ = front - 0.75 * scene.light[2] * (1 - np.sqrt(np.clip(1 - 0.8 * np.square(x), 0.05, 1)))
    beside = turn * np.clip(x, -1, 1)
    cloth = face.garment_tone * (front + 0.2 * beside) * (1 + 0.08 * grid.noise(1.5 * x, 1.2 * y))

    picture = scene.backdrop * (1 + 0.12 * grid.noise(0.5 * x, 0.5 * y) - 0.015 * y)
    picture = over(picture, a.hair_behind, 0.8 * hair)
    picture = over(picture, a.neck, skin * (round_ + 0.25 * beside) * (1 - 0.5 * step(0.75, 0.0, a.inside)))
    picture = over(picture, a.garment, cloth) * (1 - 0.45 * a.lines["neckline"])
    picture = over(picture, a.ears, skin * (front - 0.2 * scene.light[2]) * (1 - 0.4 * a.lines["inner ear"]))
    picture = over(picture, a.head, _flesh(view, skin, light, front))
    dome = 0.65 + 0.35 * np.sqrt(np.clip(1 - np.square(x / 1.5), 0, 1)) + 0.2 * turn * x
    picture = over(picture, a.hair, hair * dome)
    picture = over(picture, 0.95 * a.glasses, face.frame_tone * front)
    picture = 1 - np.exp(-1.7 * scene.exposure * np.clip(picture, 0, None))  # film: bright tones run together
    return picture ** np.float32(0.95 * scene.contrast)


def _flesh(view: _View, skin: Array, light: Array, front: float) -> Array:
    """The head without hair and glasses."""
    face, scene, a, grid = view.face, view.scene, view.anatomy, view.grid
    gloss = 0.35 * np.clip(light - scene.ambient - 0.62, 0, None)
    flesh = skin * light + gloss * (0.5 + 0.5 * face.skin)
    flesh = flesh * (1 - 0.12 * view.spot((face.measures["eye_gap"], -0.03), 0.32, 0.2))
    beard = min(1.1 * face.hair + 0.03, 0.65) * light * (1 + 0.25 * grid.noise(30 * grid.x, 9 * grid.y))
    flesh = over(flesh, a.beard, beard)
    lips = skin * light * (0.70 + 0.10 * (face.skin < 0.5))
    flesh = over(over(flesh, 0.9 * a.upper_lip, 0.88 * lips), 0.8 * a.lower_lip, 1.06 * lips)
    for line, weight, _ in view.lines:
        flesh = flesh * (1 - weight * line)
    eye = 0.9 * front * (1 - 0.35 * step(0.0, -0.09, grid.y))
    eye = over(over(eye, a.iris, 0.16 + 0.10 * (face.skin > 0.6)), a.pupil, 0.03) + 1.2 * a.glint
    flesh = over(flesh, a.eyes, eye) * (1 - 0.75 * a.nostrils) * (1 - 0.6 * view.mole())
    flesh = over(flesh, 0.85 * a.brows, min(0.9 * face.hair + 0.04, 0.5) * light)
    shadow = gaussian_filter(a.hair, 0.08 / grid.sample, truncate=2.5) * (1 - a.hair)
    return flesh * (1 - 0.35 * shadow)


def _pencil(view: _View) -> Array:
    """Paper minus graphite; every layer below is an amount of graphite, 0 (paper) to 1 (as dark as it gets)."""
    face, scene, a, grid = view.face, view.scene, view.anatomy, view.grid
    x, y = grid.flat_x, grid.flat_y
    hatch = 0.5 + 0.5 * grid.noise(2.0 * (0.8 * x + 0.6 * y), 26 * (0.6 * x - 0.8 * y))
    grain = grid.noise(60 * x, 60 * y)
    press = 0.8 + 0.35 * grid.noise(1.7 * x + 9, 1.7 * y)

    mass = 0.08 + 0.85 * (1 - face.hair) ** 1.7
    strands = mass * (0.80 - 0.28 * a.strand) + 0.18 * step(-0.2, -0.5, a.strand) + 0.04
    strands = strands * (1 - 0.20 * bump(y + 1.05 + 0.25 * x * x, 0.26) * (1 + a.strand))

    drawn = over(0.0, a.hair_behind, np.minimum(1.12 * strands, 1))
    drawn = over(drawn, a.neck, (0.22 + 0.45 * step(0.7, 0.0, a.inside)) * (0.6 + 0.6 * hatch))
    drawn = over(drawn, a.garment, 0.05 + 0.3 * (1 - face.garment_tone) * hatch)
    drawn = np.maximum(drawn, 0.75 * np.maximum(a.lines["neckline"], a.lines["shoulder"]))
    drawn = drawn * step(3.0, 2.2, y)  # left unfinished
    drawn = over(drawn, a.ears, 0.25 * (0.6 + 0.6 * hatch))
    drawn = np.maximum(drawn, np.maximum(0.7 * a.lines["ear"] * (1 - a.hair_behind), 0.5 * a.lines["inner ear"]))
    drawn = over(drawn, a.head, _features(view, hatch, grain, press))
    drawn = np.maximum(drawn, 0.85 * a.lines["outline"] * press * (1 - a.hair))
    drawn = over(drawn, a.hair, np.minimum(strands, 1))
    drawn = np.maximum(drawn, 0.9 * a.glasses)
    graphite = np.clip(drawn * (1 + 0.22 * grain), 0, 1) * np.float32(scene.pressure)
    return 0.95 - 0.84 * np.clip(graphite, 0, 1.05) + 0.01 * grain


def _features(view: _View, hatch: Array, grain: Array, press: Array) -> Array:
    """Graphite on the head: hatched shading, then what is drawn firmly on it."""
    face, a, grid = view.face, view.anatomy, view.grid
    skin = 0.86 + 0.35 * (face.skin - 0.6)  # artists hint at the tone of a skin, no more
    shade = np.clip(0.98 - 1.02 * skin * view.light(0.36, 1.05), 0, 1) ** 1.15
    shade += 0.10 * view.spot((face.measures["eye_gap"], -0.02), 0.3, 0.17)
    shade += 0.30 * gaussian_filter(a.hair, 0.10 / grid.sample, truncate=2.5)
    shade += 0.13 * a.upper_lip + 0.06 * a.lower_lip
    shade += sum(weight * line for line, weight, firm in view.lines if not firm)
    shade *= 0.72 + 0.42 * hatch
    drawn = np.maximum(shade, (0.12 + 0.82 * (1 - face.hair)) * a.beard * (0.85 + 0.15 * grain))
    eye = 0.10 + 0.25 * step(0.0, -0.08, grid.y) + 0.55 * a.iris + 0.5 * a.pupil
    drawn = over(drawn, a.eyes, np.minimum(eye, 1) * (1 - a.glint))
    drawn = np.maximum(drawn, (0.35 + 0.55 * (1 - face.hair)) * a.brows)
    for line, weight, firm in view.lines:
        if firm:
            drawn = np.maximum(drawn, weight * line * press)
    return np.maximum(drawn, 0.85 * a.nostrils) + 0.45 * view.mole()
