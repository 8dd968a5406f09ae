"""The compiled core of the renderer: rays in, G-buffer out; G-buffer in, colour out.

A body is a few dozen *round cones* (a segment with a radius at either end, optionally flattened like a chest) whose
signed distances are blended by a smooth minimum. One ray per sample is marched along -z (orthographic camera: x to the
right, y up, z towards the viewer, metres). The G-buffer keeps what each modality needs for its own shading.

All kernels live in this one file because numba's on-disk cache looks only at the file of the function it compiled.
They hold no Python objects and release the interpreter lock, so images are rendered in threads; each image is computed
by a single thread in a fixed order, which makes its bytes independent of the number of workers.
"""

import math

import numpy as np

from reidlib.compiled import compiled

# Columns of the primitive table, float32 (n, 20).
START = 0  # 0:3   first end of the axis
AXIS = 3  # 3:6    second end minus first
INVERSE_LENGTH2 = 6
RADIUS = 7
TAPER = 8  # radius at the second end minus radius at the first
FLATNESS = 9  # extent along `front` as a share of the extent across
FRONT = 10  # 10:13 unit vector from which the surface angle is measured
RIGHT = 13  # 13:16 unit vector completing the frame
BLEND = 16  # reach of the smooth minimum in metres
OFFSET = 17  # surface coordinate at the first end
LENGTH = 18
CAPPED = 19  # 1: cut flat at the second end (the hem of a skirt) instead of rounded

# Columns of the covering table, float32 (n, 7): which material lies where on a primitive.
MATERIAL = 0
CUT = 1  # surface coordinate beyond which …
BEYOND = 2  # … this material shows
OPENING = 3  # half-angle around the front within which …
INSIDE = 4  # … this material shows
HEM = 5  # surface coordinate before which …
ABOVE = 6  # … this material shows

# Columns of the material table, float32 (m, 11).
COLOUR = 0  # 0:3
SECOND = 3  # 3:6
TEXTURE = 6
PERIOD = 7
SHARE = 8
FOLDS = 9  # depth of the folds in the shading
FACE = 10  # 1: draw eyes and a mouth

TILE = 8
NO_PRIMITIVE = -1
_jit = compiled(nogil=True, fastmath=True, error_model="numpy")


@_jit
def _distance(x, y, z, prims, i):
    """Signed distance from a point to round cone i (a lower bound where it is flattened)."""
    qx = x - prims[i, 0]
    qy = y - prims[i, 1]
    qz = z - prims[i, 2]
    free = (qx * prims[i, 3] + qy * prims[i, 4] + qz * prims[i, 5]) * prims[i, 6]
    capped = prims[i, 19] > 0
    t = min(max(free, np.float32(0.0)), np.float32(1.2) if capped else np.float32(1.0))
    qx -= t * prims[i, 3]
    qy -= t * prims[i, 4]
    qz -= t * prims[i, 5]
    flat = prims[i, 9]
    squared = qx * qx + qy * qy + qz * qz
    if flat != np.float32(1.0):
        along = qx * prims[i, 10] + qy * prims[i, 11] + qz * prims[i, 12]
        squared += (np.float32(1.0) / (flat * flat) - np.float32(1.0)) * along * along
    distance = (math.sqrt(squared) - prims[i, 7] - t * prims[i, 8]) * min(flat, np.float32(1.0))
    return max(distance, (free - np.float32(1.0)) / math.sqrt(prims[i, 6])) if capped else distance


@_jit
def _blended(x, y, z, prims, active, count):
    """Polynomial smooth minimum over the active primitives, in table order."""
    result = _distance(x, y, z, prims, active[0])
    for j in range(1, count):
        i = active[j]
        d = _distance(x, y, z, prims, i)
        reach = prims[i, 16]
        h = max(reach - abs(result - d), np.float32(0.0)) / reach
        result = min(result, d) - h * h * reach * np.float32(0.25)
    return result


@_jit
def _collect(x0, x1, y0, y1, prims, active):
    """Primitives whose shadow on the image plane may touch the rectangle; returns count, nearest and farthest z."""
    cx, cy = (x0 + x1) * np.float32(0.5), (y0 + y1) * np.float32(0.5)
    half = math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2) * np.float32(0.5)
    count, near, far = 0, np.float32(-9.0), np.float32(9.0)
    for i in range(prims.shape[0]):
        dx, dy = prims[i, 3], prims[i, 4]
        squared = dx * dx + dy * dy
        t = np.float32(0.0)
        if squared > np.float32(1e-9):
            t = min(
                max(((cx - prims[i, 0]) * dx + (cy - prims[i, 1]) * dy) / squared, np.float32(0.0)), np.float32(1.0)
            )
        ex, ey = cx - prims[i, 0] - t * dx, cy - prims[i, 1] - t * dy
        reach = (prims[i, 7] + max(prims[i, 8], np.float32(0.0))) * max(prims[i, 9], np.float32(1.0)) + prims[i, 16]
        if math.sqrt(ex * ex + ey * ey) < reach + half:
            active[count] = i
            count += 1
            near = max(near, max(prims[i, 2], prims[i, 2] + prims[i, 5]) + reach)
            far = min(far, min(prims[i, 2], prims[i, 2] + prims[i, 5]) - reach)
    return count, near, far


@_jit
def _approach(x0, x1, y0, y1, near, far, prims, active, count):
    """Depth down to which the whole rectangle is free: a ray through its middle, as thick as the rectangle is wide."""
    x, y = (x0 + x1) * np.float32(0.5), (y0 + y1) * np.float32(0.5)
    half = math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2) * np.float32(0.5)
    z = near
    while z >= far:
        d = _blended(x, y, z, prims, active, count) - half
        if d < np.float32(4e-3):
            break
        z -= d
    return z


@_jit
def raycast(prims, height, width, left, top, pixel, owner, normal, depth, along, angle):
    """Fill the G-buffer of ``height`` × ``width`` samples, ``pixel`` metres apart from (``left``, ``top``).

    Written in place: ``owner`` int16 (primitive, or -1), ``normal`` (H, W, 3), ``depth`` (z in metres), ``along`` and
    ``angle`` (surface coordinates: metres along the primitive's axis, radians around it from its front).
    """
    active = np.empty(prims.shape[0], np.int64)
    eps = np.float32(2e-3)
    for tile_row in range(0, height, TILE):
        for tile_column in range(0, width, TILE):
            end_row, end_column = min(tile_row + TILE, height), min(tile_column + TILE, width)
            x0, x1 = left + tile_column * pixel, left + end_column * pixel
            y0, y1 = top - end_row * pixel, top - tile_row * pixel
            count, near, far = _collect(x0, x1, y0, y1, prims, active)
            if count > 0:
                near = _approach(x0, x1, y0, y1, near, far, prims, active, count)
                count = count if near >= far else 0
            for row in range(tile_row, end_row):
                y = top - (np.float32(row) + np.float32(0.5)) * pixel
                for column in range(tile_column, end_column):
                    owner[row, column] = NO_PRIMITIVE
                    if count == 0:
                        continue
                    x = left + (np.float32(column) + np.float32(0.5)) * pixel
                    z = near
                    hit = False
                    for _ in range(64):
                        d = _blended(x, y, z, prims, active, count)
                        if d < np.float32(1e-3):
                            hit = True
                            break
                        z -= d
                        if z < far:
                            break
                    if not hit:
                        continue
                    a = _blended(x + eps, y - eps, z - eps, prims, active, count)
                    b = _blended(x - eps, y - eps, z + eps, prims, active, count)
                    c = _blended(x - eps, y + eps, z - eps, prims, active, count)
                    d = _blended(x + eps, y + eps, z + eps, prims, active, count)
                    nx, ny, nz = a - b - c + d, -a - b + c + d, -a + b - c + d
                    scale = np.float32(1.0) / math.sqrt(nx * nx + ny * ny + nz * nz + np.float32(1e-12))
                    best, nearest = active[0], np.float32(9.0)
                    for j in range(count):
                        d = _distance(x, y, z, prims, active[j])
                        if d < nearest:
                            nearest, best = d, active[j]
                    qx, qy, qz = x - prims[best, 0], y - prims[best, 1], z - prims[best, 2]
                    t = (qx * prims[best, 3] + qy * prims[best, 4] + qz * prims[best, 5]) * prims[best, 6]
                    front = qx * prims[best, 10] + qy * prims[best, 11] + qz * prims[best, 12]
                    right = qx * prims[best, 13] + qy * prims[best, 14] + qz * prims[best, 15]
                    owner[row, column] = best
                    normal[row, column, 0] = nx * scale
                    normal[row, column, 1] = ny * scale
                    normal[row, column, 2] = nz * scale
                    depth[row, column] = z
                    along[row, column] = prims[best, 17] + t * prims[best, 18]
                    angle[row, column] = math.atan2(right, front)


@_jit
def majority(owner, parts, samples, result):
    """The part that most samples of a pixel hit, uint8 (H, W) written in place; 0 where none hit anything."""
    counts = np.empty(256, np.int64)
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            counts[:] = 0
            best = 0
            for sample_row in range(row * samples, (row + 1) * samples):
                for sample_column in range(column * samples, (column + 1) * samples):
                    i = owner[sample_row, sample_column]
                    if i >= 0:
                        part = parts[i]
                        counts[part] += 1
                        if counts[part] > counts[best]:
                            best = part
            result[row, column] = best


@_jit
def _pattern(kind, s, a, radius, period, share):
    """Share of the second colour at surface coordinate (s, a); codes are positions in identity.TEXTURES."""
    if kind == 1:  # hoops
        return np.float32(1.0) if (s / period) % 1.0 < share else np.float32(0.0)
    if kind == 2:  # pinstripes
        stripes = max(np.round(2 * math.pi * radius / period), 3.0)
        return np.float32(1.0) if (a / (2 * math.pi) * stripes) % 1.0 < share else np.float32(0.0)
    if kind == 3:  # checks
        stripes = max(np.round(2 * math.pi * radius / period), 3.0)
        hoop = (s / period) % 1.0 < share
        stripe = (a / (2 * math.pi) * stripes) % 1.0 < share
        return np.float32(0.5) * (np.float32(hoop) + np.float32(stripe))
    if kind == 4:  # block: another colour beyond a line
        return np.float32(1.0) if s > 0.08 + 1.2 * period else np.float32(0.0)
    if kind == 5:  # print: a disc on the chest
        dy, dx = s - 0.17, a * radius
        return np.float32(1.0) if radius > 0.1 and dx * dx + dy * dy < (0.35 * period + 0.05) ** 2 else np.float32(0.0)
    if kind == 6:  # side stripe
        return np.float32(1.0) if abs(abs(a) - math.pi / 2) < 0.25 + 0.5 * share else np.float32(0.0)
    return np.float32(0.0)


@_jit
def material_at(covering, i, s, a):
    """Material of primitive i at surface coordinate (s, a): hem, then opening, then cut, then the garment itself."""
    if s < covering[i, HEM]:
        return int(covering[i, ABOVE])
    if abs(a) < covering[i, OPENING]:
        return int(covering[i, INSIDE])
    if s > covering[i, CUT]:
        return int(covering[i, BEYOND])
    return int(covering[i, MATERIAL])


@_jit
def shade(prims, covering, materials, owner, normal, along, angle, light, ambient, headlight, samples, colour, alpha):
    """Average the shaded samples of each pixel: ``colour`` (H, W, 3) premultiplied by coverage, ``alpha`` (H, W).

    ``light`` (3,) is the direction towards a distant lamp times its strength, ``ambient`` the sky's strength;
    ``headlight`` > 0 puts the lamp at the camera instead (active near-infrared illumination), with that strength.
    """
    strength = math.sqrt(light[0] ** 2 + light[1] ** 2 + light[2] ** 2)
    for row in range(colour.shape[0]):
        for column in range(colour.shape[1]):
            red, green, blue, covered = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
            for sample_row in range(row * samples, (row + 1) * samples):
                for sample_column in range(column * samples, (column + 1) * samples):
                    i = owner[sample_row, sample_column]
                    if i < 0:
                        continue
                    s, a = along[sample_row, sample_column], angle[sample_row, sample_column]
                    m = material_at(covering, i, s, a)
                    mix = _pattern(
                        int(materials[m, TEXTURE]), s, a, prims[i, RADIUS], materials[m, PERIOD], materials[m, SHARE]
                    )
                    if materials[m, FACE] > 0:
                        eye = abs(abs(a) - 0.42) < 0.17 and abs(s - 0.105) < 0.014
                        mouth = abs(a) < 0.3 and abs(s - 0.185) < 0.008
                        mix = np.float32(0.8) if eye or mouth else np.float32(0.0)
                    nx = normal[sample_row, sample_column, 0]
                    ny = normal[sample_row, sample_column, 1]
                    nz = normal[sample_row, sample_column, 2]
                    if headlight > 0:
                        facing = max(nz, np.float32(0.0))
                        lit = ambient + headlight * (np.float32(0.25) + np.float32(0.75) * facing)
                    else:
                        lamp = max((nx * light[0] + ny * light[1] + nz * light[2]), np.float32(0.0))
                        # wrapped diffuse term: cloth scatters light around the terminator
                        lamp = np.float32(0.75) * lamp + np.float32(0.25) * strength * max(nz, np.float32(0.0))
                        lit = ambient * (np.float32(0.72) + np.float32(0.28) * ny) + lamp
                    folds = materials[m, FOLDS] * math.sin(23.0 * s + 3.0 * a + 2.0 * math.sin(9.0 * s + 1.7 * i))
                    lit *= np.float32(1.0) + folds
                    red += lit * (materials[m, 0] + mix * (materials[m, 3] - materials[m, 0]))
                    green += lit * (materials[m, 1] + mix * (materials[m, 4] - materials[m, 1]))
                    blue += lit * (materials[m, 2] + mix * (materials[m, 5] - materials[m, 2]))
                    covered += np.float32(1.0)
            share = np.float32(1.0) / (samples * samples)
            colour[row, column, 0] = red * share
            colour[row, column, 1] = green * share
            colour[row, column, 2] = blue * share
            alpha[row, column] = covered * share
