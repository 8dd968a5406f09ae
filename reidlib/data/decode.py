"""Decoding images in threads, strictly: a damaged file is an error that names it, never a grey patch."""

import os
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageFile

Result = TypeVar("Result")


def read_image(path: Path, mode: str = "RGB") -> Image.Image:
    """Decode a whole image and convert it to ``mode``, one of Pillow's.

    Raises:
        OSError: the file is missing, truncated or not an image; the message names it.
    """
    try:
        with Image.open(path) as image:
            return image.convert(mode)
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise OSError(f"cannot decode {path}: {error}") from error


def read_row(root: Path, path: str, decode: Callable[[Path, str], Image.Image] | None = None) -> Image.Image:
    """The image of one row of a data set: the file at ``root / path``, or what the reader's ``decode`` makes of it."""
    return read_image(root / path) if decode is None else decode(root, path)


def resized(image: Image.Image, height: int, width: int) -> np.ndarray:
    """Resize (Lanczos) to uint8 ``(height, width, 3)``."""
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def in_threads(function: Callable[[str], Result], paths: list[str]) -> Iterator[Result]:
    """Yield ``function(path)`` in order; Pillow frees the interpreter lock, so threads use all cores."""
    with _strict(), ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, paths)


@contextmanager
def _strict() -> Iterator[None]:
    """Other libraries switch Pillow to accept truncated files, for the whole process; switch it back meanwhile."""
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
