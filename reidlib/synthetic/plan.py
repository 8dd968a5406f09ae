"""What a twin is made of: the vocabulary shared by the twins of all data sets."""

from dataclasses import dataclass


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
    """The paths of all ``images`` of a twin, and its other ``files`` as bytes by path.

    Paths are relative to the root, in posix form; that of an image names identity and scene by itself.
    """

    images: list[str]
    files: dict[str, bytes]
