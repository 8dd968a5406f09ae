"""Curved surfaces as grids of points, and what a camera sees of them.

An object is a list of patches. A patch is a grid of points in space; neighbouring points span its surface. ``look``
turns, projects and rasterises all patches into a `View`, from which photos are shaded and sketches are traced.

Axes: x to the right, y up, z towards the viewer. Nothing but plain double precision is used, so that a view is the same
on every machine.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reidlib.compiled import compiled
from reidlib.twins.picture import rotation
from reidlib.twins.randomness import Draw

Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From surface coordinates u, v in 0–1 (first and second axis of the grid) to material numbers, same shape."""


@dataclass(frozen=True)
class Patch:
    """One surface.

    Attributes:
        points: (U, V, 3) float64.
        part: index into the object's part names.
        material: index into the object's materials, or a function of the place.
        inside: material of the side on which the grid runs clockwise; ``None``: the same.
        line: patches of equal ``line`` (0 and up) are drawn without a line between them; ``None``: on its own.
    """

    points: np.ndarray
    part: int
    material: int | Paint
    inside: int | None = None
    line: int | None = None


@dataclass(frozen=True)
class Camera:
    """Radians of ``yaw`` (positive: the object turns its right side to the viewer) and ``pitch`` (looking down);
    ``distance`` in object sizes, ``fill`` the share of the picture that the object takes, ``shift`` its offset from
    the centre in shares of the picture, ``stretch`` of width against height.
    """

    yaw: float
    pitch: float
    distance: float = 5.0
    fill: float = 0.84
    shift: tuple[float, float] = (0.0, 0.0)
    stretch: float = 1.0


@dataclass(frozen=True)
class View:
    """What each sample sees; all arrays start with (H, W).

    Attributes:
        owner: int16, index of the patch, -1 where there is none.
        front: bool, whether its outer side is seen.
        normal: float32 (…, 3), unit, towards the viewer, in camera axes.
        depth: float32 towards the viewer, in object sizes (the largest extent in the picture is 1).
        along: float32 (…, 2), surface coordinates u, v in 0–1.
        part, material: int16; 0 and -1 where there is no object.
        label: int32, equal where a draughtsman sees one surface; -1 where there is none.
        shadow: float32 in 0–1, darkness of the shadow on the floor before it is softened.
    """

    owner: np.ndarray
    front: np.ndarray
    normal: np.ndarray
    depth: np.ndarray
    along: np.ndarray
    part: np.ndarray
    material: np.ndarray
    label: np.ndarray
    shadow: np.ndarray


def tube(path: np.ndarray, radius: float | np.ndarray, sides: int = 10, square: bool = False) -> np.ndarray:
    """A closed pipe along ``path`` (N, 3) as a grid (N + 2, sides + 1, 3); the radius may vary along it."""
    path = np.asarray(path, float)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-12
    side = np.cross(tangent, np.array([0.0, 0.0, 1.0]))
    flat = np.linalg.norm(side, axis=1) < 0.2  # where the path runs towards the viewer another axis must do
    side[flat] = np.cross(tangent[flat], np.array([0.0, 1.0, 0.0]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, tangent)
    angle = np.linspace(0.0, 2 * math.pi, sides + 1) + (math.pi / 4 if square else 0.0)
    ring = side[:, None] * np.cos(angle)[:, None] + up[:, None] * np.sin(angle)[:, None]
    reach = np.broadcast_to(np.asarray(radius, float), len(path))[:, None, None]
    body = path[:, None] + ring * reach
    ends = [np.repeat(path[i][None, None], sides + 1, axis=1) for i in (0, -1)]
    return np.concatenate([ends[0], body, ends[1]])


def shell(front: np.ndarray, offset: np.ndarray | Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Front, back and rim of a plate: ``front`` (U, V, 3) and the same moved by ``offset``, (3,) or (U, V, 3)."""
    back = front + np.asarray(offset, float)
    loops = [np.concatenate([g[0, :-1], g[:-1, -1], g[-1, :0:-1], g[::-1, 0]]) for g in (front, back)]
    return front, back[:, ::-1], np.stack(loops, axis=1)


def spread(size: int, power: float) -> tuple[np.ndarray, np.ndarray]:
    """(size, size) coordinates a, b in -1…1 of a rounded square: power 2 gives a disc, 8 nearly a square."""
    a, b = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    largest = np.maximum(np.abs(a), np.abs(b))
    norm = (np.abs(a) ** power + np.abs(b) ** power) ** (1 / power)
    factor = np.divide(largest, norm, out=np.ones_like(norm), where=norm > 0)
    return a * factor, b * factor


def curve(points: Sequence[Sequence[float]], count: int) -> np.ndarray:
    """(count, D) points of a smooth curve through ``points``, evenly spread over its control points."""
    points = np.asarray(points, float)
    at = np.linspace(0, len(points) - 1, count)
    i = np.minimum(at.astype(int), len(points) - 2)
    t = (at - i)[:, None]
    tangent = np.gradient(points, axis=0)  # Catmull–Rom
    a, b, p, q = points[i], points[i + 1], tangent[i], tangent[i + 1]
    return a * (2 * t**3 - 3 * t**2 + 1) + p * (t**3 - 2 * t**2 + t) + b * (3 * t**2 - 2 * t**3) + q * (t**3 - t**2)


def framed(draw: Draw, fill: float) -> tuple[float, float]:
    """Where in the picture an object stands that takes the share ``fill`` of it: anywhere inside."""
    room = 0.4 * (1.0 - fill)
    return draw.uniform(-room, room), draw.uniform(-room, room)


def look(
    patches: Sequence[Patch], camera: Camera, height: int, width: int, light: Sequence[float] | None = None
) -> View:
    """Rasterise ``patches`` into ``height`` × ``width`` samples; ``light`` (towards the lamp) throws a shadow."""
    points = np.concatenate([patch.points.reshape(-1, 3) for patch in patches])
    rows, columns = np.array([patch.points.shape[:2] for patch in patches]).T
    layout = np.cumsum(rows * columns) - rows * columns, rows, columns
    centre, turn = (points.min(0) + points.max(0)) / 2, rotation(camera.yaw, camera.pitch)
    turned = (points - centre) @ turn.T
    project = _projection(turned, camera, height, width)
    owner, front, depth, normal, along = _buffers(project(turned), turned, layout, height, width)
    shadow = np.zeros((height, width), np.float32)
    if light is not None:
        lamp = np.asarray(light, float) @ turn  # back from camera to object axes
        above = points[:, 1:2] - points[:, 1].min()
        fallen = (points - lamp * (above / max(lamp[1], 0.2)) - centre) @ turn.T
        shadow = (_buffers(project(fallen), fallen, layout, height, width)[0] >= 0).astype(np.float32)
    part, material, label = _painted(patches, owner, front, along)
    depth = np.where(owner >= 0, depth, 0.0).astype(np.float32)
    return View(owner, front, normal, depth, along, part, material, label, shadow)


def _buffers(screen: np.ndarray, space: np.ndarray, layout: tuple, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Owner, front, depth, normal and surface coordinates of the nearest surface at every sample.

    ``layout``: where each patch starts among the points, and its numbers of rows and columns.
    """
    owner = np.full((height, width), -1, np.int16)
    front, depth = np.zeros((height, width), bool), np.full((height, width), -np.inf)
    normal, along = np.zeros((height, width, 3), np.float32), np.zeros((height, width, 2), np.float32)
    _rasterise(screen, space, *layout, owner, front, depth, normal, along)
    return owner, front, depth, normal, along


def _projection(turned: np.ndarray, camera: Camera, height: int, width: int) -> Callable[[np.ndarray], np.ndarray]:
    """From turned points (N, 3) to column, row (in samples) and depth (in object sizes)."""
    size = np.ptp(turned, axis=0)[:2].max()
    eye = camera.distance * size

    def flat(points: np.ndarray) -> np.ndarray:
        factor = eye / (eye - points[:, 2])
        return points[:, :2] * factor[:, None]

    seen = flat(turned)
    low, high = seen.min(0), seen.max(0)
    scale = camera.fill * min(width / (high[0] - low[0]), height / (high[1] - low[1]))
    middle = (low + high) / 2

    def project(points: np.ndarray) -> np.ndarray:
        x, y = ((flat(points) - middle) * scale).T
        column = width * (0.5 + camera.shift[0]) + x * camera.stretch
        row = height * (0.5 + camera.shift[1]) - y / camera.stretch
        return np.stack([column, row, points[:, 2] / size], 1)

    return project


def _painted(
    patches: Sequence[Patch], owner: np.ndarray, front: np.ndarray, along: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    part, material = np.zeros(owner.shape, np.int16), np.full(owner.shape, -1, np.int16)
    label = np.full(owner.shape, -1, np.int32)
    flat = owner.ravel()
    order = np.argsort(flat, kind="stable")
    ends = np.searchsorted(flat[order], np.arange(len(patches) + 1))
    for index, patch in enumerate(patches):
        where = order[ends[index] : ends[index + 1]]
        if where.size == 0:
            continue
        outer = patch.material
        painted = outer(*along.reshape(-1, 2)[where].T) if callable(outer) else np.full(where.size, outer, np.int16)
        seen_inside = ~front.ravel()[where] if patch.inside is not None else np.zeros(where.size, bool)
        painted = np.where(seen_inside, patch.inside or 0, painted)
        material.ravel()[where], part.ravel()[where] = painted, patch.part
        group = 2 * patch.line if patch.line is not None else 2 * (1000 + index)
        label.ravel()[where] = (group + seen_inside) * 64 + painted
    return part, material, label


@compiled(nogil=True, error_model="numpy")
def _unit(x, y, z):
    scale = 1.0 / (math.sqrt(x * x + y * y + z * z) + 1e-15)
    return x * scale, y * scale, z * scale


@compiled(nogil=True, error_model="numpy")
def _rasterise(screen, space, starts, rows, columns, owner, front, depth, normal, along):
    """Fill the buffers; ``space`` are the turned points, from which normals are taken."""
    for p in range(starts.size):
        n_rows, n_columns, start = rows[p], columns[p], starts[p]
        normals = np.zeros((n_rows * n_columns, 3))
        for i in range(n_rows):
            for j in range(n_columns):
                a, b = start + min(i + 1, n_rows - 1) * n_columns + j, start + max(i - 1, 0) * n_columns + j
                c, d = start + i * n_columns + min(j + 1, n_columns - 1), start + i * n_columns + max(j - 1, 0)
                ux, uy, uz = space[a, 0] - space[b, 0], space[a, 1] - space[b, 1], space[a, 2] - space[b, 2]
                vx, vy, vz = space[c, 0] - space[d, 0], space[c, 1] - space[d, 1], space[c, 2] - space[d, 2]
                normals[i * n_columns + j] = _unit(uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx)
        for i in range(n_rows - 1):
            for j in range(n_columns - 1):
                for half in range(2):
                    # two triangles: (i, j) (i + 1, j) (i + 1, j + 1) and (i, j) (i + 1, j + 1) (i, j + 1)
                    i1, j1 = i + 1, j + half
                    i2, j2 = i + 1 - half, j + 1
                    k0, k1, k2 = i * n_columns + j, i1 * n_columns + j1, i2 * n_columns + j2
                    x0, y0, z0 = screen[start + k0]
                    x1, y1, z1 = screen[start + k1]
                    x2, y2, z2 = screen[start + k2]
                    area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
                    if abs(area) < 1e-12:
                        continue
                    top, bottom, left, right = min(y0, y1, y2), max(y0, y1, y2), min(x0, x1, x2), max(x0, x1, x2)
                    for row in range(max(math.ceil(top - 0.5), 0), min(int(bottom - 0.5) + 1, owner.shape[0])):
                        y = row + 0.5
                        for column in range(max(math.ceil(left - 0.5), 0), min(int(right - 0.5) + 1, owner.shape[1])):
                            x = column + 0.5
                            w0 = ((x1 - x) * (y2 - y) - (y1 - y) * (x2 - x)) / area
                            w1 = ((x2 - x) * (y0 - y) - (y2 - y) * (x0 - x)) / area
                            w2 = 1.0 - w0 - w1
                            if w0 < -1e-9 or w1 < -1e-9 or w2 < -1e-9:
                                continue
                            z = w0 * z0 + w1 * z1 + w2 * z2
                            if z <= depth[row, column]:
                                continue
                            depth[row, column] = z
                            owner[row, column] = p
                            front[row, column] = area < 0  # rows count downwards
                            nx = w0 * normals[k0, 0] + w1 * normals[k1, 0] + w2 * normals[k2, 0]
                            ny = w0 * normals[k0, 1] + w1 * normals[k1, 1] + w2 * normals[k2, 1]
                            nz = w0 * normals[k0, 2] + w1 * normals[k1, 2] + w2 * normals[k2, 2]
                            sign = -1.0 if nz < 0 else 1.0
                            normal[row, column] = _unit(sign * nx, sign * ny, sign * nz)
                            along[row, column, 0] = (i + w1 * (i1 - i) + w2 * (i2 - i)) / (n_rows - 1)
                            along[row, column, 1] = (j + w1 * (j1 - j) + w2 * (j2 - j)) / (n_columns - 1)
