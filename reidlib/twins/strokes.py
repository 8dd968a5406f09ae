"""Pencil and paper: masks become lines, lines become strokes of an unsteady hand, strokes become grey.

Coordinates are (x, y) in samples of the sheet, y down. A hand errs alike wherever it passes: wobble, pressure and
slips are fields over the sheet, drawn once from the key, so that a contour moved by a rounding error is drawn the same.
"""

import math

import contourpy
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from reidlib.compiled import compiled
from reidlib.twins.randomness import generator

_SALT = 82
_PLANES = 5  # independent fields: two passes over one line do not coincide
_CELLS = 24  # of a field, along the height of the sheet
_REACH = 2  # samples around a drawn line in which no second one is drawn


def contours(mask: np.ndarray, within: np.ndarray | None = None) -> list[np.ndarray]:
    """Lines (N, 2) around a mask (H, W), smoothed by 0.9 samples; of them what lies ``within`` another mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return []
    top, left = rows[0] - 4, columns[0] - 4
    inner = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    smooth = gaussian_filter(np.pad(inner, 4), 0.9, truncate=3.0)
    lines = [line + (left, top) for line in contourpy.contour_generator(z=smooth, name="serial").lines(0.5)]
    if within is not None:
        lines = [line[run] for line in lines for run in runs(within[_samples(line, within.shape)])]
    return [line for line in lines if len(line) > 6]


def _samples(line: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the samples that a line passes, clipped to the sheet."""
    column, row = np.rint(line).astype(int).T
    return np.clip(row, 0, shape[0] - 1), np.clip(column, 0, shape[1] - 1)


def resample(line: np.ndarray, step: float) -> np.ndarray:
    """Points about ``step`` samples apart along a line; its ends stay."""
    length = np.hypot(*np.diff(line, axis=0).T).cumsum()[-1]  # added up as `divided` does
    return divided(line, max(round(length / step), 1))


def divided(line: np.ndarray, count: int) -> np.ndarray:
    """``count`` + 1 points evenly spread along a line."""
    at = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
    places = np.linspace(0.0, at[-1], count + 1)
    return np.stack([np.interp(places, at, line[:, 0]), np.interp(places, at, line[:, 1])], 1)


def runs(keep: np.ndarray, least: int = 2) -> list[slice]:
    """Stretches of consecutive true values, at least ``least`` long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], keep.astype(np.int8), [0]])))
    return [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]


def hatching(mask: np.ndarray, angle: float, spacing: float) -> list[np.ndarray]:
    """Parallel straight lines (N, 2) inside a mask, ``spacing`` samples apart, at ``angle`` to the x axis."""
    rows, columns = np.nonzero(mask)
    if rows.size < 12:
        return []
    along, across = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    middle = np.array([mask.shape[1], mask.shape[0]]) / 2  # of the sheet, so that the lines do not move with the mask
    offsets = (np.stack([columns, rows], 1) - middle) @ np.stack([along, across], 1)
    low, high = offsets.min(0), offsets.max(0)
    lines = np.arange(math.ceil(low[1] / spacing), math.floor(high[1] / spacing) + 1) * spacing
    places = np.arange(low[0], high[0] + 1.0, 1.5)
    points = middle + lines[:, None, None] * across + places[:, None] * along
    x, y = np.rint(points[..., 0]).astype(int), np.rint(points[..., 1]).astype(int)
    on_sheet = (x >= 0) & (x < mask.shape[1]) & (y >= 0) & (y < mask.shape[0])
    inside = on_sheet & mask[np.where(on_sheet, y, 0), np.where(on_sheet, x, 0)]
    return [line[run] for line, keep in zip(points, inside, strict=True) for run in runs(keep, least=6)]


class Sheet:
    """An empty page of ``height`` × ``width`` samples on which strokes are collected and then inked."""

    def __init__(self, height: int, width: int, *key: int):
        self.shape = (height, width)
        random = generator(_SALT, *key).random
        self.cell = height / _CELLS
        size = (_PLANES, _CELLS + 2, math.ceil(width / self.cell) + 2)
        self.fields = random((3, *size), dtype=np.float32)  # stray to the right, downwards; pressure
        self.slips = random(size, dtype=np.float32)
        self.paper = random((height, width), dtype=np.float32)
        self.taken = np.zeros((height + 2 * _REACH, width + 2 * _REACH), bool)
        self.strokes: list[tuple[np.ndarray, int, float, float, float]] = []

    def slip(self, x: float, y: float, plane: int = 0) -> float:
        """A number in 0–1 that belongs to a place."""
        _, rows, columns = self.slips.shape
        row, column = int(np.clip(y / self.cell, 0, rows - 1)), int(np.clip(x / self.cell, 0, columns - 1))
        return float(self.slips[plane % _PLANES, row, column])

    def free(self, line: np.ndarray) -> list[np.ndarray]:
        """The stretches of a line that do not run along one drawn with ``take`` before."""
        row, column = _samples(line, self.shape)
        return [line[run] for run in runs(~self.taken[row + _REACH, column + _REACH], least=4)]

    def take(self, line: np.ndarray) -> None:
        """Remember where a line runs."""
        row, column = _samples(line, self.shape)
        around = np.arange(2 * _REACH + 1)
        self.taken[row[:, None, None] + around[:, None], column[:, None, None] + around] = True

    def stroke(self, points: np.ndarray, weight: float, pressure: float, gaps: float = 0.0, plane: int = 0) -> None:
        """One movement of the pen through ``points`` (N, 2); ``weight`` is its width in samples."""
        self.strokes.append((points, plane % _PLANES, weight, pressure, gaps))

    def inked(self, wobble: float, shading: np.ndarray, grain: float) -> np.ndarray:
        """Ink all strokes over a ``shading`` (H, W); returns what the paper reflects, float32 (H, W) in 0–1."""
        ink = shading.astype(np.float32)
        if self.strokes:
            lengths = np.array([len(points) for points, *_ in self.strokes])
            points = np.concatenate([points for points, *_ in self.strokes])
            plane, weight, pressure, gaps = (
                np.repeat(np.array(values, np.float32), lengths)
                for values in zip(*[stroke[1:] for stroke in self.strokes], strict=True)
            )
            place = np.stack([plane, points[:, 1] / self.cell, points[:, 0] / self.cell])
            right, down, press = (map_coordinates(f, place, order=1, mode="nearest") for f in self.fields)
            begins = np.zeros(len(points), bool)
            begins[np.cumsum(lengths)[:-1]] = begins[0] = True
            rank = np.arange(len(points)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            end = np.minimum(rank, np.repeat(lengths, lengths) - 1 - rank)
            taper = np.where(end == 0, np.float32(0.7), np.float32(1.0))
            x, y = points[:, 0] + wobble * (2 * right - 1), points[:, 1] + wobble * (2 * down - 1)
            radius = 0.5 * weight * (0.6 + 0.8 * press) * taper
            dark = pressure * (0.65 + 0.5 * press) * np.clip((press - gaps) * 8, 0, 1)
            _ink(ink, *(np.ascontiguousarray(v, dtype=np.float32) for v in (x, y, radius, dark)), begins)
        return 1.0 - np.clip(ink * (1.0 - grain * self.paper), 0.0, 1.0)


@compiled(nogil=True, fastmath=True, error_model="numpy")
def _ink(sheet, x, y, radius, dark, begins):
    """Darken ``sheet`` along the segments between consecutive points; strokes start where ``begins``."""
    for i in range(1, x.size):
        if begins[i]:
            continue
        ax, ay, bx, by = x[i - 1], y[i - 1], x[i] - x[i - 1], y[i] - y[i - 1]
        scale = np.float32(1.0) / (bx * bx + by * by + np.float32(1e-6))
        reach = max(radius[i - 1], radius[i]) + np.float32(1.0)
        for row in range(max(int(min(ay, y[i]) - reach), 0), min(int(max(ay, y[i]) + reach) + 2, sheet.shape[0])):
            for column in range(
                max(int(min(ax, x[i]) - reach), 0), min(int(max(ax, x[i]) + reach) + 2, sheet.shape[1])
            ):
                t = min(max(((column - ax) * bx + (row - ay) * by) * scale, np.float32(0.0)), np.float32(1.0))
                distance = math.sqrt((column - ax - t * bx) ** 2 + (row - ay - t * by) ** 2)
                width = radius[i - 1] + t * (radius[i] - radius[i - 1])
                cover = min(max(width + np.float32(0.5) - distance, np.float32(0.0)), np.float32(1.0))
                value = cover * (dark[i - 1] + t * (dark[i] - dark[i - 1]))
                if value > sheet[row, column]:
                    sheet[row, column] = value
