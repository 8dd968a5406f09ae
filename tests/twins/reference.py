"""A slow ray caster to check the fast one against: every ray scans its depth in fine steps, in plain numpy."""

import numpy as np

from reidlib.twins import raycast as rc


def distance(points: np.ndarray, prim: np.ndarray) -> np.ndarray:
    """Signed distance (lower bound where flattened) from points (..., 3) to one round cone."""
    a, axis, front, flat = prim[0:3], prim[3:6], prim[10:13], prim[rc.FLATNESS]
    free = ((points - a) @ axis) / (axis @ axis)
    t = np.clip(free, 0, 1.2 if prim[rc.CAPPED] else 1)
    q = points - a - t[..., None] * axis
    squared = (q**2).sum(-1) + (1 / flat**2 - 1) * (q @ front) ** 2
    result = (np.sqrt(np.maximum(squared, 0)) - prim[rc.RADIUS] - t * prim[rc.TAPER]) * min(flat, 1)
    return np.maximum(result, (free - 1) * np.linalg.norm(axis)) if prim[rc.CAPPED] else result


def field(points: np.ndarray, prims: np.ndarray) -> np.ndarray:
    """The blended distance of all primitives, in table order."""
    result = distance(points, prims[0])
    for prim in prims[1:]:
        d, reach = distance(points, prim), prim[rc.BLEND]
        h = np.maximum(reach - np.abs(result - d), 0) / reach
        result = np.minimum(result, d) - h**2 * reach / 4
    return result


def depths(prims: np.ndarray, height: int, width: int, left: float, top: float, pixel: float, step: float = 2e-3):
    """Depth of the first surface along each ray, NaN where there is none; (H, W)."""
    y, x = np.mgrid[0:height, 0:width]
    x, y = left + (x + 0.5) * pixel, top - (y + 0.5) * pixel
    depth = np.full((height, width), np.nan)
    for z in np.arange(0.8, -0.8, -step):
        open_rays = np.isnan(depth)
        points = np.stack([x[open_rays], y[open_rays], np.full(open_rays.sum(), z)], -1)
        inside = field(points, prims) < 1e-3  # the fast caster stops within a millimetre, too
        depth[tuple(index[inside] for index in np.nonzero(open_rays))] = z
    return depth
