"""What the eye separates in a view, as lines: contours, borders between surfaces, edges of patterns."""

import math

import numpy as np
from scipy.ndimage import gaussian_filter1d

from reidlib.compiled import compiled
from reidlib.twins.objects.surfaces import View

OUTLINE, BORDER, DETAIL = range(3)
"""Kinds of lines: around the object, between two of its surfaces, between two colours of one surface."""

_STEP = 0.035  # a jump in depth, in object sizes, that the eye takes for a border


def lines(view: View) -> list[tuple[np.ndarray, int]]:
    """What separates the surfaces of a view: lines (N, 2), x and y in samples, each with its kind, long ones first.

    Borders run along the edges of samples; they are split where three meet, rejoined where two go straight on, and
    smoothed.
    """
    nodes, starts, kinds = _trace(*_borders(view))
    width = view.label.shape[1] + 1
    pieces = [
        (np.stack([piece % width, piece // width], 1).astype(float), int(kind))
        for piece, kind in zip(np.split(nodes, starts[1:]), kinds, strict=True)
    ]
    joined = [(smoothed(line, 1.9), kind) for line, kind in _joined(pieces) if len(line) > 5]
    return sorted(joined, key=lambda item: (-len(item[0]), item[0][0, 0], item[0][0, 1]))


def smoothed(points: np.ndarray, sigma: float) -> np.ndarray:
    """Rounded corners; an open line keeps its ends, a closed one stays closed."""
    closed = bool((points[0] == points[-1]).all()) and len(points) > 8
    body = points[:-1] if closed else points
    result = gaussian_filter1d(body, sigma, axis=0, mode="wrap" if closed else "nearest", truncate=3.0)
    if closed:
        return np.concatenate([result, result[:1]])
    weight = np.clip(np.minimum(np.arange(len(points)), np.arange(len(points))[::-1]) / (2 * sigma), 0, 1)[:, None]
    return points + weight * (result - points)


def _borders(view: View) -> list[np.ndarray]:
    """Kind of border (or -1) between vertical and between horizontal neighbours: int8 (H + 1, W) and (H, W + 1)."""
    label = np.pad(view.label, 1, constant_values=-1)
    depth = np.pad(view.depth, 1)
    found = []
    for a, b in (((slice(0, -1), slice(1, -1)), (slice(1, None), slice(1, -1))),
                 ((slice(1, -1), slice(0, -1)), (slice(1, -1), slice(1, None)))):  # fmt: skip
        one, other = label[a], label[b]
        kind = np.full(one.shape, -1, np.int8)
        jump = np.abs(depth[a] - depth[b]) > _STEP
        kind[(one == other) & jump & (one >= 0)] = BORDER
        kind[one != other] = BORDER
        kind[(one != other) & (one // 64 == other // 64) & ~jump] = DETAIL
        kind[(one < 0) != (other < 0)] = OUTLINE
        found.append(kind)
    return found


def _joined(pieces: list[tuple[np.ndarray, int]]) -> list[tuple[np.ndarray, int]]:
    """Pieces that go straight on through a junction become one line."""
    ends: dict[tuple[float, float], list[tuple[int, int]]] = {}
    for index, (line, _) in enumerate(pieces):
        if (line[0] != line[-1]).any():
            for end in (0, -1):
                ends.setdefault(tuple(line[end]), []).append((index, end))
    partner: dict[tuple[int, int], tuple[int, int]] = {}
    for meeting in ends.values():
        way = []
        for index, end in meeting:
            line = pieces[index][0] if end == 0 else pieces[index][0][::-1]
            far = line[min(6, len(line) - 1)] - line[0]
            way.append(far / (math.hypot(*far) + 1e-9))
        bends = sorted((float(way[i] @ way[j]), i, j) for i in range(len(way)) for j in range(i))
        for bend, i, j in bends:  # -1: straight on
            one, other = meeting[i], meeting[j]
            if bend < -0.8 and one not in partner and other not in partner and one[0] != other[0]:
                partner[one], partner[other] = other, one
    seen: set[int] = set()
    free = [(index, end) for index in range(len(pieces)) for end in (0, -1) if (index, end) not in partner]
    heads = free + [(index, 0) for index in range(len(pieces))]  # what is left when all free ends are seen is closed
    return [_chain(head, pieces, partner, seen) for head in heads if head[0] not in seen]


def _chain(at: tuple[int, int] | None, pieces: list, partner: dict, seen: set[int]) -> tuple[np.ndarray, int]:
    """The line that starts at the end ``at`` of a piece and goes on from partner to partner; its most frequent kind."""
    parts, kinds = [], []
    while at is not None and at[0] not in seen:
        index, end = at
        seen.add(index)
        line, kind = pieces[index]
        parts.append((line if end == 0 else line[::-1])[len(parts) > 0 :])
        kinds += [kind] * len(parts[-1])
        at = partner.get((index, -1 - end))
    return np.concatenate(parts), int(np.bincount(kinds).argmax())


@compiled(nogil=True)
def _trace(across, down):
    """Walk along the borders from junction to junction, then around closed loops.

    Returns the nodes of all pieces one after another (int64; node = row · (W + 1) + column of a sample's corner), where
    each piece starts, and its most frequent kind.
    """
    height, width = down.shape[0], across.shape[1]
    columns = width + 1
    links = np.full(((height + 1) * columns, 4), -1, np.int8)  # right, down, left, up
    for row in range(height + 1):
        for column in range(width):
            if across[row, column] >= 0:
                links[row * columns + column, 0] = across[row, column]
                links[row * columns + column + 1, 2] = across[row, column]
    for row in range(height):
        for column in range(columns):
            if down[row, column] >= 0:
                links[row * columns + column, 1] = down[row, column]
                links[(row + 1) * columns + column, 3] = down[row, column]
    offset = np.array([1, columns, -1, -columns])
    degree = (links >= 0).sum(axis=1)
    nodes, starts, kinds = np.empty((3, degree.sum() + 8), np.int64)
    count, pieces = 0, 0
    tally = np.zeros(3, np.int64)
    for loops in range(2):
        for begin in range(links.shape[0]):
            if degree[begin] == 0 or (loops == 0 and degree[begin] == 2):
                continue
            for first in range(4):
                if links[begin, first] < 0:
                    continue
                starts[pieces] = count
                tally[:] = 0
                node, way = begin, first
                nodes[count] = node
                count += 1
                while True:
                    tally[links[node, way]] += 1
                    links[node, way] = -1
                    node += offset[way]
                    links[node, (way + 2) % 4] = -1
                    nodes[count] = node
                    count += 1
                    if degree[node] != 2 or node == begin:
                        break
                    for turn in range(4):
                        if links[node, turn] >= 0:
                            way = turn
                            break
                kinds[pieces] = np.argmax(tally)
                pieces += 1
    return nodes[:count], starts[:pieces], kinds[:pieces]
