"""Which objects a set of photos and sketches holds, in its published numbers or thinned, and what one image shows."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reidlib import profiles
from reidlib.twins.objects.draughtsman import Drawing, sample_drawing, sketch
from reidlib.twins.objects.photo import ObjectRendering, Product, Studio, photograph, sample_studio
from reidlib.twins.objects.surfaces import Camera, Patch
from reidlib.twins.plan import TwinSize, no_image, thinned
from reidlib.twins.randomness import Draw

_SALT = 96


@dataclass(frozen=True)
class Catalogue:
    """Objects 0, 1, …: every ``test_every``-th is in the test; sketches are spread evenly over the photos of a split.

    Attributes:
        photos, sketches: their numbers by split, of the whole set.
        population: the seed of the objects.
        sample, misremembered, build: object number and seed → object; the object as recalled; its surfaces.
        view: draws the camera of a photo.
        name: number of an object → its name.
        path: of an image; its groups are the ``split``, the name of the object on a ``photo``, or the ``name`` and
            the number ``k`` of a sketch.
        title, expected: of the twin, for messages.
        weight: width of the lines of sketches; ``None``: as each hand draws.
    """

    photos: dict[str, int]
    sketches: dict[str, int]
    population: int
    sample: Callable[[int, int], Product]
    misremembered: Callable[[Any, Draw, float], Product]
    build: Callable[[Any], list[Patch]]
    view: Callable[[Draw], Camera]
    name: Callable[[int], str]
    path: re.Pattern
    title: str
    expected: str
    weight: float | None = None

    @property
    def test_every(self) -> int:
        return sum(self.photos.values()) // self.photos["test"]

    def split(self, number: int) -> str:
        return "test" if number % self.test_every == self.test_every - 1 else "train"

    def count(self, number: int) -> int:
        """How many sketches an object has."""
        split, rank = self.split(number), number // self.test_every
        rank = rank if split == "test" else number - rank
        photos, sketches = self.photos[split], self.sketches[split]
        return (rank + 1) * sketches // photos - rank * sketches // photos

    def numbers(self, size: TwinSize) -> list[int]:
        """The objects of a twin, thinned evenly, in ascending order."""
        chosen = []
        for split, count in (("train", size.train_ids), ("test", size.test_ids)):
            chosen += thinned([n for n in range(sum(self.photos.values())) if self.split(n) == split], count)
        return sorted(chosen)

    def describe(self, path: str) -> tuple[Any, Studio | Drawing]:
        """Which object is on the image at ``path``, and how."""
        match = self.path.fullmatch(path)
        number = self._by_name.get(match["photo"] or match["name"]) if match else None
        drawing = int(match["k"] or 0) if match else 0
        if number is None or match["split"] not in (None, self.split(number)) or drawing > self.count(number):
            raise no_image(path, f"a {self.title}", self.expected)
        return self.shown(number, drawing)

    @cached_property
    def _by_name(self) -> dict[str, int]:
        return {self.name(number): number for number in range(sum(self.photos.values()))}

    def shown(self, number: int, drawing: int = 0) -> tuple[Any, Studio | Drawing]:
        """The object, and the circumstances of its photo (0) or of sketch 1, 2, …"""
        camera = self.view(Draw(_SALT, self.population, number))
        key = (self.population, number)
        scene = sample_drawing(camera, *key, drawing) if drawing else sample_studio(camera, *key)
        return self.sample(number, self.population), scene

    def render(self, thing: Any, scene: Studio | Drawing, height: int, width: int) -> ObjectRendering:
        """The photo or the sketch."""
        if isinstance(scene, Studio):
            return photograph(self.build(thing), thing.finishes, scene, height, width)
        return sketch(self.recalled(thing, scene), scene, height, width, self.weight)

    def recalled(self, thing: Any, scene: Drawing) -> list[Patch]:
        """The surfaces of an object as whoever draws the sketch recalls it."""
        return self.build(self.misremembered(thing, Draw(_SALT, 1, *scene.key), scene.hand.error))


def image_size(profile: str) -> tuple[int, int]:
    """(height, width) of images of objects."""
    return profiles.get(profile).size("square")


def encode(rendering: ObjectRendering, scene: Studio | Drawing, path: str) -> bytes:
    """The image as the file at ``path`` holds it: a sketch has its strokes in alpha."""
    return rendering.png()
