"""Arrays of numbers out of files that somebody else wrote: ``.npy``, ``.npz``, ``.mat``. Nothing is unpickled."""

import io
import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from reidlib.data import matlab

MOST_BYTES = 4 << 30
"""In a file, when it is unpacked: a million features of 1024 single-precision numbers."""
_MOST_ARRAYS = 100
_WAY_OUT = "save the numbers alone, with numpy.savez(file, features=…, pids=…)"


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Name → array, of a file of arrays; of a ``.npy`` the only one, called ``features`` and mapped, not read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is of another kind, damaged, too large, or holds Python objects; the message names the file.
    """
    path = Path(path).expanduser()
    kind = path.suffix.lower()
    if kind not in _READERS:
        known, given = ", ".join(_READERS), kind or "a file without ending"
        raise ValueError(f"{path}: arrays are read from {known}, not from {given}; {_WAY_OUT}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return _READERS[kind](path)


def _npy(path: Path) -> dict[str, np.ndarray]:
    try:
        return {"features": np.load(path, mmap_mode="r", allow_pickle=False)}
    except (OSError, ValueError, EOFError, OverflowError) as error:
        raise ValueError(f"{path} is not a readable .npy file: {error}; {_WAY_OUT}") from error


def _npz(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as stream:
        return unpacked(stream, str(path))


def unpacked(stream: IO[bytes], where: str) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz``; each is read only if it is as long as it says."""
    found, left = {}, MOST_BYTES
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > _MOST_ARRAYS:
                raise ValueError(f"it holds {len(members)} arrays, more than {_MOST_ARRAYS}")
            for member in members:
                name, left = member.filename.removesuffix(".npy"), left - member.file_size
                if left < 0:
                    raise ValueError(f"it holds more than {MOST_BYTES:,} bytes")
                with archive.open(member) as part:
                    found[name] = _array(part, member.file_size, name)
    except (
        OSError,
        ValueError,
        EOFError,
        OverflowError,
        RuntimeError,
        NotImplementedError,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(f"{where} is not a readable .npz file: {error}; {_WAY_OUT}") from error
    except Exception as error:  # damaged streams make zlib and numpy raise more
        raise ValueError(
            f"{where} is not a readable .npz file ({type(error).__name__}: {error}); {_WAY_OUT}"
        ) from error
    return found


def _array(part: IO[bytes], size: int, name: str) -> np.ndarray:
    version = np.lib.format.read_magic(part)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array {name!r} is of version {version}")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = header(part)
    if kind.hasobject or kind.names:
        raise ValueError(f"array {name!r} holds Python objects or records, not numbers")
    if math.prod(shape) * kind.itemsize > size - part.tell():
        raise ValueError(f"array {name!r} is cut off: it should be {shape}")
    values = np.frombuffer(part.read(math.prod(shape) * kind.itemsize), kind)
    return values.reshape(shape[::-1]).T if by_columns else values.reshape(shape)


def _mat(path: Path) -> dict[str, np.ndarray]:
    content = matlab.matrices(path)
    return unpacked(io.BytesIO(content), str(path))


_READERS = {".npy": _npy, ".npz": _npz, ".mat": _mat}
