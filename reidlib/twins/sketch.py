"""Draw a person: identity + artist → sketch, from the geometry alone.

Nobody traces a photograph here. The artist remembers the person, a little wrongly (proportions, a forgotten bag, the
width of a stripe); the remembered body is ray-cast in a calm pose on an empty page; and what the G-buffer knows
becomes strokes: the silhouette, borders of garments and limbs, edges of patterns, folds, a face, and hatching where
cloth is dark. Hue never shows; how dark a cloth is shows as roughly as the artist shades.

Reconstructed: how the makers of the person-sketch sets drew is not described in such detail.
"""

import math

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter1d

from reidlib.twins import people
from reidlib.twins import raycast as rc
from reidlib.twins.artists import Sitting, remember
from reidlib.twins.body import BAG, FACE, HAIR, HAT, OUTER, PARTS, SHOES, SKIN, TOP, Body, build_body
from reidlib.twins.identity import Cloth, Identity, luminance
from reidlib.twins.people import CENTRE, FRAME, GBuffer, Rendering
from reidlib.twins.picture import eight_bit, pixels
from reidlib.twins.scene import Scene
from reidlib.twins.strokes import Sheet, contours, hatching, resample

MARGIN = 1.05
"""Height of the page as a share of the frame around an average figure."""

_HAT, _ARM, _HAND, _LEG, _FOOT = (PARTS.index(part) for part in ("hat", "arm", "hand", "leg", "foot"))
_LEVELS = (0.5, 0.68, 0.84)  # darkness from which cloth is shaded lightly, well, heavily


def render(identity: Identity, scene: Scene | Sitting, height: int, width: int) -> Rendering:
    """A photo or a sketch of the person, as the circumstances say: what the twins of the sketch sets render."""
    make = draw if isinstance(scene, Sitting) else people.render
    return make(identity, scene, height, width)


def draw(identity: Identity, sitting: Sitting, height: int = 128, width: int = 64) -> Rendering:
    """Draw one sketch; ``image`` is grey on white, and the masks are those of the figure as drawn.

    The same person, sitting and size give the same bytes on one machine, whatever runs beside.
    """
    remembered, pose = remember(identity, sitting)
    body = build_body(remembered, pose)
    samples = max(2, 256 // height)
    metres = FRAME * MARGIN * remembered.height
    gbuffer = people.cast_rays(body, height, width, samples=samples, metres=metres)
    page = _Drawing(gbuffer, metres, remembered, sitting).finish()
    parts = np.zeros((height, width), np.uint8)
    rc.majority(gbuffer.owner, body.parts, samples, parts)
    return Rendering(eight_bit(pixels(page, samples)), parts > 0, parts, gbuffer)


def pattern(texture: str, along: np.ndarray, angle: np.ndarray, radius: np.ndarray, cloth: Cloth) -> np.ndarray:
    """Share of the second colour at surface coordinates: what `raycast.shade` paints, as an array."""
    period, share = cloth.period, cloth.share
    hoops = (along / period) % 1.0 < share
    count = np.maximum(np.round(2 * math.pi * radius / period), 3.0)
    stripes = (angle / (2 * math.pi) * count) % 1.0 < share
    disc = (along - 0.17) ** 2 + (angle * radius) ** 2 < (0.35 * period + 0.05) ** 2
    shares = {
        "plain": np.zeros_like(along),
        "hoops": hoops,
        "pinstripes": stripes,
        "checks": 0.5 * hoops + 0.5 * stripes,
        "block": along > 0.08 + 1.2 * period,
        "print": disc & (radius > 0.1),
        "side stripe": abs(abs(angle) - math.pi / 2) < 0.25 + 0.5 * share,
    }
    return shares[texture].astype(np.float32)


class _Drawing:
    """One sketch in the making: what lies where on the page, and the strokes so far."""

    def __init__(self, gbuffer: GBuffer, metres: float, person: Identity, sitting: Sitting):
        self.gbuffer, self.body, self.person, self.artist = gbuffer, gbuffer.body, person, sitting.artist
        rows, columns = gbuffer.owner.shape
        self.unit = rows / 1000
        self.pixel = metres / rows
        self.sheet = Sheet(rows, columns, ord(self.artist.name), *sitting.key)
        self.figure = gbuffer.owner >= 0
        owner = np.where(self.figure, gbuffer.owner, 0)
        self.material = np.where(self.figure, self._materials(owner), -1)
        self.limb = np.where(self.figure, _limbs(self.body)[owner], 0)
        self.mix = np.zeros((rows, columns), np.float32)
        radius = self.body.primitives[owner, rc.RADIUS]
        for index, cloth in enumerate(person.materials):
            if cloth.texture != "plain" and (here := self.material == index).any():
                self.mix[here] = pattern(cloth.texture, gbuffer.along[here], gbuffer.angle[here], radius[here], cloth)

    def finish(self) -> np.ndarray:
        self._outline()
        self._patterns()
        self._details()
        shading = self._shade()
        return self.sheet.inked(self.artist.wobble * self.unit, shading, self.artist.grain)

    def _materials(self, owner: np.ndarray) -> np.ndarray:
        """`raycast.material_at` for the whole page."""
        cover, along, angle = self.body.covering[owner], self.gbuffer.along, self.gbuffer.angle
        material = np.where(along > cover[..., rc.CUT], cover[..., rc.BEYOND], cover[..., rc.MATERIAL])
        material = np.where(abs(angle) < cover[..., rc.OPENING], cover[..., rc.INSIDE], material)
        return np.where(along < cover[..., rc.HEM], cover[..., rc.ABOVE], material).astype(np.int64)

    def _outline(self) -> None:
        """Silhouette, then borders of what lies in front, each line once."""
        self._trace(self.figure, 1.0, droppable=False)
        for mask, weight in (
            *((self.material == index, 0.85) for index in (BAG, HAT, FACE)),
            *((self.gbuffer.owner == brim, 0.85) for brim in np.flatnonzero(self.body.parts == _HAT)[1:]),
            (np.isin(self.material, (HAIR, FACE)), 0.85),
            *((self.limb == number, 0.85) for number in (1, 2)),
            *((self.material == index, 0.75) for index in (OUTER, SHOES, TOP, SKIN)),
        ):
            self._trace(mask, weight)
        # legs have a border with each other, none with the hips
        reach = max(round(8 * self.unit), 1)
        left, right = self.limb == 3, self.limb == 4
        self._trace(left, 0.75, within=maximum_filter1d(right, 2 * reach + 1, axis=1))

    def _trace(self, mask: np.ndarray, weight: float, pressure: float = 1.0, within=None, droppable: bool = True):
        """Draw the border of ``mask`` where no line runs yet, and only ``within`` a mask if one is given."""
        for loop in contours(mask, within):
            for line in self.sheet.free(loop):
                self.sheet.take(line)
                middle = line[len(line) // 2]
                if not (droppable and self.sheet.slip(*middle) < self.artist.drops):
                    self._line(line, weight, pressure)

    def _line(self, line: np.ndarray, weight: float, pressure: float) -> None:
        """A line as one or more movements of the hand, gone over as often as the artist does."""
        artist, unit = self.artist, self.unit
        points = resample(line, artist.step * unit)
        reach = max(round(260 / artist.step), 4)
        for number, start in enumerate(range(0, max(len(points) - 1, 1), reach)):
            piece = points[max(start - 1, 0) : start + reach + 1]
            for turn in range(artist.passes):
                plane = 2 * number + turn
                self.sheet.stroke(piece, artist.weight * weight * unit, artist.pressure * pressure, artist.gaps, plane)

    def _patterns(self) -> None:
        for index, cloth in enumerate(self.person.materials):
            if cloth.texture == "plain" or not (here := self.material == index).any():
                continue
            for level in (0.25, 0.75) if cloth.texture == "checks" else (0.25,):
                self._trace(here & (self.mix > level), 0.6, pressure=0.8)

    def _details(self) -> None:
        sheet, artist, primitives = self.sheet, self.artist, self.body.primitives
        face = int(np.flatnonzero(self.body.covering[:, rc.MATERIAL] == FACE)[0])
        if artist.face:
            for side in (-1, 1):
                self._arc(face, 0.105, side * np.linspace(0.3, 0.55, 3), 0.8)
                self._arc(face, 0.08, side * np.linspace(0.2, 0.62, 4), 0.5)
            self._arc(face, 0.185, np.linspace(-0.3, 0.3, 4), 0.6)
            self._arc(face, np.linspace(0.12, 0.155, 3), np.linspace(0.0, 0.1, 3), 0.5)
        if self.person.outerwear != "none" and not self.person.outer_open:
            for trunk in range(3):  # the zip
                start, end = primitives[trunk, rc.OFFSET], primitives[trunk, rc.OFFSET] + primitives[trunk, rc.LENGTH]
                self._arc(trunk, np.linspace(start, end, 6), np.zeros(6), 0.6)
        arms, legs = (np.flatnonzero(self.body.parts == part) for part in (_ARM, _LEG))
        for joint, limb in enumerate([*arms[:4], *legs[:4]]):
            start, length = primitives[limb, rc.OFFSET], primitives[limb, rc.LENGTH]
            for fold in range(artist.folds):
                place = start + length * (0.08 + 0.1 * fold if joint % 2 else 0.92 - 0.1 * fold)
                if sheet.slip(*self._place(limb, place, 0.0), plane=fold + 1) < 0.75:
                    spread = 0.9 if (joint + fold) % 2 else -0.9
                    angles = np.linspace(spread, spread * 0.1, 5)
                    self._arc(limb, place + np.linspace(0.0, 0.03, 5), angles, 0.5, cloth_only=True)

    def _arc(self, primitive: int, along, angle, weight: float, cloth_only: bool = False) -> None:
        """A line through surface coordinates of a primitive, where that primitive is seen."""
        along = np.broadcast_to(along, np.shape(angle))
        points = np.array([self._place(primitive, s, a) for s, a in zip(along, angle, strict=True)])
        column, row = np.rint(points).astype(int).T
        row, column = np.clip(row, 0, self.figure.shape[0] - 1), np.clip(column, 0, self.figure.shape[1] - 1)
        seen = self.gbuffer.owner[row, column] == primitive
        if cloth_only:
            seen &= self.material[row, column] != SKIN
        if seen.all():
            weight *= self.artist.weight * self.unit
            self.sheet.stroke(points, weight, 0.85 * self.artist.pressure, 0.0, primitive)

    def _place(self, primitive: int, along: float, angle: float) -> np.ndarray:
        """Where on the page a surface coordinate of a primitive lies."""
        row = self.body.primitives[primitive].astype(float)
        t = (along - row[rc.OFFSET]) / row[rc.LENGTH]
        radius = row[rc.RADIUS] + t * row[rc.TAPER]
        point = row[0:3] + t * row[3:6]
        point = point + radius * (math.cos(angle) * row[rc.FLATNESS] * row[10:13] + math.sin(angle) * row[13:16])
        rows, columns = self.figure.shape
        x, y = point[0] / self.pixel + columns / 2, rows / 2 - (point[1] + CENTRE) / self.pixel
        return np.array([x - 0.5, y - 0.5])

    def _shade(self) -> np.ndarray:
        """Hatch or smudge what is dark; returns the smudges as a shading of the page."""
        artist, unit = self.artist, self.unit
        shading = np.zeros(self.figure.shape, np.float32)
        if artist.tone == "none":
            return shading
        for index, cloth in enumerate(self.person.materials):
            if index in (SKIN, FACE) or not (here := self.material == index).any():
                continue
            base, second = 1 - luminance(cloth.colour), 1 - luminance(cloth.second)
            dark = np.where(here, base + self.mix * (second - base), 0.0)
            level = np.digitize(dark, _LEVELS)
            if artist.tone == "smudge":
                shading += np.array((0.0, 0.2, 0.38, 0.55), np.float32)[level]
                continue
            if artist.tone == "solid":
                shading += np.float32(0.92) * (level == 3)
            angle = 1.45 if index == HAIR else artist.angle + 0.35 * (index % 3 - 1)
            self._hatch(level == 1, angle, 1.6)
            self._hatch(level == 2, angle, 1.0)
            if artist.tone != "solid":
                self._hatch(level == 3, angle, 0.65)
            if artist.tone == "cross":
                self._hatch(level == 3, angle + 1.3, 1.0)
        if artist.tone == "smudge":
            turned = np.clip(0.9 - self.gbuffer.normal[..., 2], 0, 1) * (self.gbuffer.normal[..., 0] > 0)
            shading = gaussian_filter(shading + 0.35 * turned * self.figure, 3 * unit)
        return shading

    def _hatch(self, mask: np.ndarray, angle: float, spacing: float) -> None:
        """Parallel lines across ``mask``, never quite evenly spaced nor equally long."""
        artist, unit, slip = self.artist, self.unit, self.sheet.slip
        spacing *= artist.spacing * unit
        across = np.array([-math.sin(angle), math.cos(angle)])
        for number, line in enumerate(hatching(mask, angle, spacing)):
            shift = 0.5 * spacing * (slip(*line[0], number) - 0.5) * across
            line = resample(line[round(3 * slip(*line[-1], number)) :] + shift, 12 * unit)
            self.sheet.stroke(line, 0.6 * artist.weight * unit, 0.75 * artist.pressure, 0.5 * artist.gaps, number)


def _limbs(body: Body) -> np.ndarray:
    """Per primitive: 1, 2 for the arms with their hands, 3, 4 for the legs with their feet, 0 for the rest."""
    limb = np.zeros(len(body.parts), np.int64)
    for first, parts in ((1, (_ARM, _HAND)), (3, (_LEG, _FOOT))):
        for part in parts:
            here = np.flatnonzero((body.parts == part) & (body.primitives[:, rc.CAPPED] == 0))
            limb[here[: len(here) // 2]], limb[here[len(here) // 2 :]] = first, first + 1
    return limb
