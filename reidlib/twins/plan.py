"""What a twin is made of: the vocabulary shared by the twins of all data sets."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TwinSize:
    """Identities, and images per identity and camera, of a twin in one profile."""

    train_ids: int
    test_ids: int
    train_images: int
    gallery_images: int
    query_images: int


@dataclass(frozen=True)
class TwinPlan:
    """The paths of all ``images`` of a twin, its other ``files`` by path, ``copies``, ``folders``, ``packed`` images.

    ``files`` holds bytes, or a function that makes them, for what takes long and is needed only when a twin is built.

    ``copies`` maps a further path to the image whose bytes it repeats: some data sets ship an image twice. ``folders``
    exist even if nothing is in them. ``packed`` are further images, which lie inside one of the files.

    Paths are relative to the root, in posix form; that of an image names identity and scene by itself.
    """

    images: list[str]
    files: dict[str, bytes | Callable[[], bytes]]
    copies: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    packed: tuple[str, ...] = ()
