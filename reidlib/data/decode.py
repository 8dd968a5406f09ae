"""Decoding images in threads, strictly: a damaged file is an error that names it, never a grey patch."""

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from reidlib import paths

Result = TypeVar("Result")

FORMATS = ("JPEG", "PNG", "BMP")
"""What the files of most data sets are, whatever their suffix says. Others are not opened: some start programs."""

MOST_PIXELS = 25_000_000
"""Of one image: 0.3 GB while a thread decodes it. Images of the data sets have fewer than a million."""
_MOST_BYTES = 1 << 27
_MOST_SCANNED = 40 * MOST_PIXELS  # by a JPEG: each scan passes over all pixels, and a file may name thousands
_BITS, _SAMPLE_FORMAT = 258, 339  # tags of a TIFF
_STEP = {"L;2": 85, "L;4": 17}  # between neighbouring greys of a PNG of 2 or 4 bits


class UnfitImage(ValueError):
    """An image that is whole and has no right bytes here; ``remedy`` says what to do about it."""

    def __init__(self, message: str, remedy: str):
        super().__init__(f"{message}; {remedy}")
        self.message, self.remedy = message, remedy


def read_image(path: Path, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """Decode a whole image to 8-bit RGB.

    Grey, palette, CMYK, YCbCr and Lab are converted as Pillow does, without colour profiles. What is transparent lies
    on white, like a page. An orientation in the EXIF data is applied: the data sets are not known to have any, so
    that published code, which does not look at it, sees the same bytes.

    Args:
        formats: names that Pillow gives to formats; no other is tried.

    Raises:
        OSError: the file is missing or truncated, or no image of these formats; has more than 8 bits a channel, several
            frames, or more than `MOST_PIXELS`; the message names the file and the way out.
    """
    try:
        content = paths.read_bounded(path, _MOST_BYTES)
        with _opened(content, formats) as image:
            _refuse_unfit(image, content)
            if image.format == "PNG" and isinstance(grey := image.info.get("transparency"), int):
                image.info["transparency"] = grey * _STEP.get(image.tile[0][3], 1)  # Pillow leaves it in 2 or 4 bits
            image.load()
            if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                return _in_rgb(ImageOps.exif_transpose(image), image.format)
            return _in_rgb(image, image.format)
    except FileNotFoundError:
        raise
    except Exception as error:  # damaged bytes make Pillow raise almost anything
        raise OSError(f"cannot decode {path}: {error or type(error).__name__}") from error


def _opened(content: bytes, formats: tuple[str, ...]) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=formats)
    except UnidentifiedImageError:
        Image.init()
        known = [name for name, (_, accept) in Image.OPEN.items() if accept and accept(content[:16].ljust(16)) is True]
    found = " or ".join(known) if known else "something that is no image"
    if set(known) & set(formats):
        raise ValueError(f"the file is a damaged {found}, or of a kind that Pillow does not know")
    raise UnfitImage(f"the file holds {found}, not one of {', '.join(formats)}", "save it as one of these")


def _refuse_unfit(image: Image.Image, content: bytes) -> None:
    """Raise ``UnfitImage`` unless each pixel of the opened image has one meaning in 8 bits."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        message = f"{width}×{height} pixels are more than the {MOST_PIXELS:,} of one image"
        raise UnfitImage(message, "scale it down before")
    scans = content.count(b"\xff\xda") if image.format in ("JPEG", "MPO") else 1
    if scans * width * height > _MOST_SCANNED:
        raise UnfitImage(f"a JPEG of {width}×{height} pixels and {scans:,} scans", "save it again")
    if getattr(image, "is_animated", False) and image.format != "MPO":  # the first picture of an MPO is the photograph
        raise UnfitImage(f"the file holds {image.n_frames} frames or pages", "save the one that is meant by itself")
    if _is_deep(image):
        message = f"its pixels are not 8-bit numbers ({image.mode}, {image.format}), and their range is not known"
        remedy = "convert it to 8 bits a channel, all images of the data set from one and the same range of values"
        raise UnfitImage(message, remedy)


def _is_deep(image: Image.Image) -> bool:
    """Whether a channel has more than 8 bits, or numbers with a sign or a point; Pillow cuts some without a word."""
    if image.mode == "F" or image.mode.startswith("I"):
        return True
    if image.format == "TIFF":
        bits, kinds = image.tag_v2.get(_BITS, ()), image.tag_v2.get(_SAMPLE_FORMAT, ())
        return any(number > 8 for number in bits) or any(kind not in (1, 4) for kind in kinds)
    codes = [part for tile in image.tile for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    if image.format == "PPM":
        return any(isinstance(code, int) and code > 255 for code in codes)
    return image.format == "PNG" and any("16" in code for code in codes if isinstance(code, str))


def _in_rgb(image: Image.Image, format: str | None) -> Image.Image:
    """A loaded image in RGB, on white where it is transparent. The fourth byte of a bitmap means nothing to most."""
    if not image.has_transparency_data or format == "BMP":
        return image.convert("RGB")
    if image.mode == "La":  # its grey is multiplied by alpha already
        image = image.convert("LA")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


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
