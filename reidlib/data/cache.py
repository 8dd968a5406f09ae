"""Images decoded and resized once, kept as bytes in one memory-mapped file.

A cache is found by name, root, paths and image size, and is valid for the sizes and modification times of the files it
was built from. When files change, a new cache replaces the old one of the same root, paths and image size. Caches are
disposable: delete ``data/cache`` whenever you need the space. A file that is altered without a change of its size or
its modification time is not noticed.
"""

import contextlib
import errno
import hashlib
import io
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from reidlib import paths
from reidlib.console.progress import bar
from reidlib.data.augment import normalise
from reidlib.data.decode import in_threads, read_row, resized

CACHE_VERSION = 2  # raise it when the same files would give other bytes


PLACES = ("device", "host")  # where images can be kept


@dataclass(frozen=True, eq=False)
class ImageCache:
    """All images of a data set at one size.

    ``array`` is uint8 ``(N, height, width, 3)``, RGB, memory-mapped and read-only; row ``i`` is frame row ``i``.
    ``resident`` holds the images of the frame rows ``kept`` (ascending) on ``device``; see :meth:`on`.
    """

    array: np.ndarray = field(repr=False)
    path: Path
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    resident: torch.Tensor | None = field(default=None, repr=False)
    kept: np.ndarray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.array)

    def tensor(self, rows: np.ndarray, device: torch.device | str | None = None) -> torch.Tensor:
        """Bytes of the given rows as uint8 ``(B, 3, height, width)`` on ``device`` (default: that of the cache).

        Raises:
            TypeError: rows are not whole numbers (turn a mask into positions with ``np.flatnonzero``).
            IndexError: a row lies outside 0 … N-1, or is not among those that ``on`` was given.
        """
        rows = np.atleast_1d(np.asarray(rows))
        if rows.size == 0:
            rows = rows.astype(np.int64)
        if not np.issubdtype(rows.dtype, np.integer) or rows.ndim != 1:
            raise TypeError(f"rows must be a list of whole numbers, not {rows.dtype} of shape {rows.shape}")
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows must lie in 0 … {len(self) - 1}; found {rows.min()} … {rows.max()}")
        device = self.device if device is None else torch.device(device)
        if self.resident is None:
            return to_device(torch.from_numpy(self.array[rows]), device).permute(0, 3, 1, 2).contiguous()
        places = np.searchsorted(self.kept, rows)
        if rows.size and (places.max() >= len(self.kept) or (self.kept[places] != rows).any()):
            raise IndexError("some of these rows are not on the device; name them all in on(device, rows)")
        index = to_device(torch.from_numpy(places), self.resident.device)
        return self.resident.index_select(0, index).to(device)

    def batches(self, rows: np.ndarray, size: int, device: torch.device | str | None = None) -> Iterator[torch.Tensor]:
        """The given rows, ``size`` of them at a time, normalised: float32 ``(B, 3, height, width)``; see ``tensor``."""
        for start in range(0, len(rows), size):
            yield normalise(self.tensor(rows[start : start + size], device))

    def on(
        self,
        device: torch.device | str,
        rows: np.ndarray | None = None,
        *,
        keep: str | None = None,
        share: float = 0.5,
    ) -> "ImageCache":
        """The same images for use on ``device``.

        Args:
            rows: frame rows (ascending) that will be asked for; default: all.
            keep: ``"device"`` copies these rows there once, ``"host"`` leaves them in main memory and copies batch by
                batch; default: ``"device"`` on a GPU of which they take no more than ``share`` of what is free.

        Raises:
            ValueError: ``keep`` is something else.
            torch.OutOfMemoryError: ``keep="device"``, and there is no room.
        """
        if keep not in (None, *PLACES):
            raise ValueError(f"images can be kept on: {', '.join(PLACES)}; not {keep!r}")
        device = torch.device(device)
        rows = np.arange(len(self)) if rows is None else np.asarray(rows)
        needed = len(rows) * self.array[0].nbytes
        if keep == "host" or (keep is None and needed > share * _free_bytes(device)):
            return replace(self, device=device, resident=None, kept=None)
        _, height, width, channels = self.array.shape
        resident = torch.empty((len(rows), channels, height, width), dtype=torch.uint8, device=device)
        for start in range(0, len(rows), 1024):
            block = torch.from_numpy(self.array[rows[start : start + 1024]]).to(device)
            resident[start : start + 1024] = block.permute(0, 3, 1, 2)
        return replace(self, device=device, resident=resident, kept=rows)


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a tensor of main memory to a device; on a GPU from pinned memory, so that nobody waits for the copy."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def open_cache(
    name: str,
    root: Path,
    relative_paths: list[str],
    height: int,
    width: int,
    *,
    decode: Callable[[Path, str], Image.Image] | None = None,
    files: Callable[[str], Sequence[str]] | None = None,
    progress: bool = True,
) -> ImageCache:
    """Return the cache of these files at this size; decode them first if there is no valid one.

    ``decode`` and ``files`` are those of the data set's ``Reader``.

    Safe to call from several processes at once: one builds, the others wait. A build that dies leaves only a
    ``.partial`` file, which is never read and which the next build removes.

    Raises:
        OSError: a file is missing or cannot be decoded (named), the disk is too full (says how much is needed), or
            there is no cache yet and its folder cannot be written in (named, with the variable for another one).
        ValueError: height or width is not positive.
    """
    if height < 1 or width < 1:
        raise ValueError(f"image size must be positive, not {height}×{width}")
    place, content = _fingerprint(name, root, relative_paths, height, width, files or just)
    folder, prefix = paths.cache_folder() / name, f"{height}x{width}-{place}"
    target, shape = folder / f"{prefix}-{content}.npy", (len(relative_paths), height, width, 3)
    array = _load(target, shape)
    if array is None:
        with paths.locked(folder / f"{prefix}.lock", "REIDLIB_CACHE"):
            array = _load(target, shape)  # another process may have built it while this one waited
            if array is None:
                for outdated in folder.glob(f"{prefix}-*"):
                    with contextlib.suppress(OSError):  # Windows keeps a file that somebody still reads
                        outdated.unlink()
                _build(target, root, relative_paths, shape, name, decode, progress)
                array = _load(target, shape)
    return ImageCache(array, target)


def just(path: str) -> tuple[str]:
    """The files of an image that is a file by itself."""
    return (path,)


def _fingerprint(
    name: str, root: Path, relative_paths: list[str], height: int, width: int, files: Callable[[str], Sequence[str]]
) -> tuple[str, str]:
    """Two digests: of what the cache is about (root, paths, size), and of the state of its files."""
    place = hashlib.sha256(f"{name}\0{root.resolve()}\0{height}x{width}".encode())
    content = hashlib.sha256(f"version {CACHE_VERSION}".encode())
    states: dict[str, str] = {}  # of a file that many rows come from, once
    for path in relative_paths:
        place.update(f"\0{path}".encode())
        for file in files(path):
            if file not in states:
                state = os.stat(root / file)
                states[file] = f"\0{state.st_size} {state.st_mtime_ns}"
            content.update(states[file].encode())
    return place.hexdigest()[:12], content.hexdigest()[:16]


def _load(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The memory map at ``path``, or ``None`` if it is absent or damaged."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _build(
    target: Path,
    root: Path,
    relative_paths: list[str],
    shape: tuple[int, ...],
    name: str,
    decode: Callable[[Path, str], Image.Image] | None,
    progress: bool,
) -> None:
    _, height, width, _ = shape
    _require_space(
        target.parent, int(np.prod(shape)), f"{len(relative_paths):,} images of {name!r} at {height}×{width}"
    )
    images = in_threads(lambda path: resized(read_row(root, path, decode), height, width), relative_paths)
    shown = bar(images, f"decoding {name}", len(relative_paths), shown=progress)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    # Plain writes rather than a writable map: a full disk is then an exception, not a killed process.
    pieces = itertools.chain([header.getvalue()], (image.tobytes() for image in shown))
    paths.write(target, pieces, int(np.prod(shape)))


def _require_space(folder: Path, needed: int, purpose: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"caching {purpose} needs {needed / 1e9:.2f} GB and {free / 1e9:.2f} GB are free; make room, choose a "
            "smaller image size, or set REIDLIB_CACHE to a folder on another disk",
            str(folder),
        )


def _free_bytes(device: torch.device) -> int:
    """Free memory of a CUDA device; 0 for the others, where a copy would gain nothing or the figure is not known."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
