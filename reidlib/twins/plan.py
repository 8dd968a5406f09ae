"""What a twin is made of: the vocabulary shared by the twins of all data sets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from reidlib import profiles
from reidlib.twins.picture import Picture

T = TypeVar("T")


@dataclass(frozen=True)
class TwinSize:
    """Identities (or objects), and images per identity and camera, of a twin in one profile."""

    train_ids: int
    test_ids: int
    train_images: int = 1
    gallery_images: int = 1
    query_images: int = 1


@dataclass(frozen=True)
class TwinPlan:
    """The paths of all ``images`` of a twin, its other ``files`` by path, ``copies``, ``folders``, ``packed`` images.

    ``files`` holds bytes, or a function that makes them, for what takes long and is needed only when a twin is built.

    ``shown`` is how many images a split lists; ``None``: all.

    ``copies`` maps a further path to the image whose bytes it repeats: some data sets ship an image twice. ``folders``
    exist even if nothing is in them. ``packed`` are further images, which lie inside one of the files.

    Paths are relative to the root, in posix form; that of an image names identity and scene by itself.
    """

    images: list[str]
    files: dict[str, bytes | Callable[[], bytes]]
    copies: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    packed: tuple[str, ...] = ()
    shown: int | None = None


def thinned(options: Sequence[T], count: int) -> list[T]:
    """``count`` of the options, evenly spread, in their order."""
    return [options[i * len(options) // count] for i in range(count)]


def image_size(profile: str) -> tuple[int, int]:
    """(height, width) of images of whole people."""
    return profiles.of_twin(profile).size()


def with_development(sizes: dict[str, T], **changes: int) -> dict[str, T]:
    """``sizes`` by profile, and those of the development twins: the same in training, ``changes`` in the test.

    Args:
        changes: fields; of the smallest profile, which is for tests, the numbers of identities stay.
    """
    developed = {}
    for profile, size in sizes.items():
        fitting = {name: value for name, value in changes.items() if profile != "ci" or name != "test_ids"}
        developed[f"{profile}{profiles.DEVELOPMENT}"] = replace(size, **fitting)
    return sizes | developed


def encode(rendering: Picture, scene, path: str) -> bytes:
    """The image as the file at ``path`` holds it: JPEG in the quality of its scene."""
    return rendering.jpeg(scene.jpeg_quality)


def keyed(by: str, *things: T) -> dict[int | str, T]:
    """Things by one of their fields."""
    return {getattr(thing, by): thing for thing in things}


def no_image(path: str, twin: str, expected: str) -> ValueError:
    """The error of ``describe`` for a path that no image of the twin has; ``twin`` is its title with the article."""
    return ValueError(f"{path!r} is not an image of {twin} twin; expected {expected} relative to its root")
