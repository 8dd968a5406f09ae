"""Functions of the place, evaluated for a whole grid of samples at once: soft edges, bumps, random textures."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reidlib.compiled import compiled
from reidlib.twins.randomness import generator

Array = np.ndarray
_LATTICE = 64
_TWO, _THREE = np.float32(2), np.float32(3)  # whole numbers would make the arithmetic double


@dataclass(frozen=True)
class Grid:
    """Where the samples of a picture lie on a face, in face units; float32 arrays of one shape.

    ``x``, ``y`` follow the turn of the head, ``flat_x``, ``flat_y`` do not. ``sample`` is the distance between two
    samples, ``lattice`` the source of all textures (`noise_lattice`).
    """

    x: Array
    y: Array
    flat_x: Array
    flat_y: Array
    sample: float
    lattice: Array

    @cached_property
    def aside(self) -> Array:
        """Distance from the middle of the face."""
        return np.abs(self.x)

    @cached_property
    def flat_aside(self) -> Array:
        return np.abs(self.flat_x)

    def noise(self, u: Array, v: Array) -> Array:
        return noise(self.lattice, u, v)


def noise_lattice(*key: int) -> Array:
    """Random numbers in −1 … 1 for `noise`, float32 (64, 64), named by ``key``."""
    return (generator(*key).random((_LATTICE, _LATTICE)) * 2 - 1).astype(np.float32)


def noise(lattice: Array, u: Array, v: Array) -> Array:
    """A smooth random texture in −1 … 1 with features of about one unit of ``u`` and ``v`` (float32, one shape)."""
    values = np.empty(u.shape, np.float32)
    _interpolate(lattice, u.ravel(), v.ravel(), values.reshape(-1))
    return values


@compiled(nogil=True, error_model="numpy")
def _interpolate(lattice, u, v, values):
    for index in range(len(values)):
        i, j = math.floor(u[index]), math.floor(v[index])
        s, t = np.float32(u[index] - i), np.float32(v[index] - j)
        s, t = s * s * (_THREE - _TWO * s), t * t * (_THREE - _TWO * t)
        i, j = i & (_LATTICE - 1), j & (_LATTICE - 1)
        below, beside = (i + 1) & (_LATTICE - 1), (j + 1) & (_LATTICE - 1)
        top = lattice[i, j] + t * (lattice[i, beside] - lattice[i, j])
        bottom = lattice[below, j] + t * (lattice[below, beside] - lattice[below, j])
        values[index] = top + s * (bottom - top)


def step(low: float, high: float, value: Array) -> Array:
    """0 before ``low``, 1 beyond ``high``, smooth between; falls if ``low`` > ``high``."""
    t = (value - low) * (1 / (high - low))
    np.clip(t, 0.0, 1.0, out=t)
    return t * t * (3 - 2 * t)


def bump(value: Array, width: float | Array) -> Array:
    """1 where ``value`` is 0, fading over ``width``: the bell curve."""
    t = value / width
    t *= t
    np.negative(t, out=t)
    return np.exp(t, out=t)


def cover(distance: Array, soft: float = 0.02) -> Array:
    """Share of a sample that lies inside an outline: 1 where ``distance`` is negative, 0 where it is positive."""
    t = distance * (-0.5 / soft)
    t += 0.5
    return np.clip(t, 0.0, 1.0, out=t)


def over(picture: Array | float, layer: Array, tone: Array | float) -> Array:
    """``picture`` with ``tone`` painted over it where ``layer`` (0–1) says so."""
    return picture + layer * (tone - picture)
