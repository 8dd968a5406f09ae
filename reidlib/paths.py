"""Where things lie on disk, and how files there are written whole and read without trust; no global state."""

import errno
import io
import json
import os
import secrets
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

MANIFEST = "twin.json"
"""The file that tells the folder of a twin from a real tree."""

MOST_BYTES = 1 << 24
"""Of a small file (lists, manifests, records); a larger one is none of ours, and reading it may never end."""
_MOST_LEVELS = 50


def home() -> Path:
    """The folder under which twins, caches, runs and figures are written.

    ``$REIDLIB_HOME`` if set; else the clone this package is imported from; else the current folder (a plain install,
    for example on Colab).
    """
    if folder := os.environ.get("REIDLIB_HOME"):
        return Path(folder).expanduser().resolve()
    clone = Path(__file__).resolve().parent.parent
    return clone if (clone / "pyproject.toml").is_file() and (clone / "notebooks").is_dir() else Path.cwd()


def data_root(name: str) -> Path | None:
    """``$REIDLIB_DATA/<name>``, where licensed data sets are kept; ``None`` if the variable is not set."""
    folder = os.environ.get("REIDLIB_DATA")
    return Path(folder).expanduser() / name if folder else None


def twin_folder(name: str, profile: str) -> Path:
    """Where the twin of a data set is built: ``data/twins/<profile>/<name>``."""
    return home() / "data" / "twins" / profile / name


def cache_folder() -> Path:
    """Where decoded images are cached: ``$REIDLIB_CACHE`` if set, else ``data/cache``."""
    folder = os.environ.get("REIDLIB_CACHE")
    return Path(folder).expanduser() if folder else home() / "data" / "cache"


def build_folder() -> Path:
    """Where notebooks leave figures and tables: ``$REIDLIB_BUILD`` if set, else ``build`` (never committed)."""
    folder = os.environ.get("REIDLIB_BUILD")
    return Path(folder).expanduser() if folder else home() / "build"


def read_bounded(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file of at most ``most`` bytes.

    Raises:
        OSError: there is no such file, it is a folder, or it cannot be read.
        ValueError: it is a pipe or a device, or larger; the message names it.
    """
    with open(path, "rb", opener=_open_at_once) as stream:
        state = os.fstat(stream.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise ValueError(f"{path} is not a regular file; take it away, or put the right file in its place")
        if state.st_size > most:
            message = f"{path} holds more than {most:,} bytes; such a file is never that large: take the right one"
            raise ValueError(message)
        return stream.read(state.st_size)  # room is made for as many bytes as are asked for


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would be waited for


def require_unpacked(content: bytes, most: int) -> None:
    """Raise ``ValueError`` if the content is a zip archive whose files hold more than ``most`` bytes together."""
    stream = io.BytesIO(content)
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            if sum(each.file_size for each in archive.infolist()) > most:
                raise ValueError(f"unpacked it would hold more than {most:,} bytes")


def read_json(path: Path, most: int = MOST_BYTES) -> object:
    """What a JSON file holds, whoever wrote it; a byte-order mark is accepted.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is too large (``most`` bytes), no UTF-8, no JSON, or nested too deep; the message names it.
    """
    content = read_bounded(path, most)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8: {error}") from error
    return parse_json(text, str(path))


def parse_json(text: str, where: str) -> object:
    """What a text in JSON holds, whoever wrote it; ``ValueError`` that begins with ``where`` if it cannot be used.

    More than 50 levels of lists and objects are refused, so that whoever walks through the result is safe as well.
    """
    try:
        content = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(f"{where}: lists and objects are nested too deep in this JSON") from None
    except ValueError as error:
        raise ValueError(f"{where} is not valid JSON: {error}") from error
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(_MOST_LEVELS):
        insides = [value.values() if isinstance(value, dict) else value for value in level if value]
        if not (level := [item for inside in insides for item in inside if isinstance(item, dict | list)]):
            return content
    raise ValueError(f"{where}: lists and objects are nested more than {_MOST_LEVELS} deep in this JSON")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number there")


def read_manifest(root: Path) -> dict | None:
    """Return the manifest of the twin at ``root``, or ``None`` if the folder holds none.

    Raises:
        ValueError: the file is there but is no valid manifest.
        OSError: it cannot be read.
    """
    path = Path(root) / MANIFEST
    try:
        manifest = read_json(path)
        valid = all(isinstance(manifest[key], str) for key in ("twin_version", "dataset", "profile"))
        height, width = manifest["image_size"]
        valid = valid and all(type(number) is int for number in (manifest["images"], height, width))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        valid = False
    if not valid:
        raise ValueError(f"{path} is not a valid twin manifest; delete the folder and build the twin again")
    return manifest


def write(file: Path, content: bytes | Iterable[bytes], size: int | None = None) -> None:
    """Write a file as a whole: readers, and whoever comes after a crash, see the old content or the new.

    What a kill leaves is called ``<name>.<random>.partial``; :func:`remove_partials` clears it.

    Args:
        size: of content that comes in pieces, in bytes.

    Raises:
        OSError: as the system says; on a full disk the message names the file, its size and what to do.
    """
    if isinstance(content, bytes):
        content, size = [content], len(content)
    _write_all({file: (content, size)})


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together, each as :func:`write` does; none changes until all are on the disk."""
    _write_all({file: ([content], len(content)) for file, content in contents.items()})


def _write_all(contents: Mapping[Path, tuple[Iterable[bytes], int]]) -> None:
    partials = {file: file.with_name(f"{file.name}.{secrets.token_hex(4)}.partial") for file in contents}
    try:
        for file, (pieces, size) in contents.items():
            with naming_full_disk(file, size), partials[file].open("xb") as stream:
                stream.writelines(pieces)
                stream.flush()
                os.fsync(stream.fileno())
        for file, partial in partials.items():
            with naming_full_disk(file, contents[file][1]):
                os.replace(partial, file)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)


def remove_partials(folder: Path, *names: str) -> None:
    """Remove what killed calls of :func:`write` left of files of these names (patterns of ``glob``).

    Only who holds a lock on the files may do this: others could be writing them.
    """
    for name in names:
        for file in folder.glob(f"{name}.*partial"):
            if file.is_symlink() or file.is_file():
                file.unlink(missing_ok=True)


@contextmanager
def naming_full_disk(file: Path, size: int) -> Iterator[None]:
    """Turn a system's "no space left" into a message that names the file, its size in bytes, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise
        raise OSError(
            error.errno,
            f"no space left for {file}: it takes {size / 1e6:.3g} MB. Make room there, or choose a folder on another "
            "disk (REIDLIB_RUNS for runs and their tables, REIDLIB_CACHE for images, REIDLIB_HOME for everything)",
        ) from error


@contextmanager
def naming_unwritable(folder: Path, variable: str) -> Iterator[None]:
    """Turn a system's refusal to write in a folder into a message that names it, and the variable for another one."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise
        if not isinstance(error.filename, str):  # it has its message already
            raise
        refused, place = Path(error.filename).absolute(), folder.absolute()
        if not (refused.is_relative_to(place) or place.is_relative_to(refused)):
            raise
        raise type(error)(
            error.errno,
            f"cannot write in {folder} ({error.strerror}: {refused}). Make it writable for this user, or set "
            f"{variable} to a folder that is",
        ) from error


@contextmanager
def locked(lock: Path, variable: str) -> Iterator[None]:
    """Hold a lock file, made with its folder, for this process alone. Every user who may write there can hold it.

    Raises:
        OSError: the folder cannot be written in; the message names it, and ``variable``, which names another one.
    """
    with naming_unwritable(lock.parent, variable):
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, mode=0o666):
            yield


def without_links(path: str, flags: int) -> int:
    """For ``open(…, opener=without_links)``: a file that is a link is an error, where the system knows how."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), 0o666)


def require_no_link(file: Path) -> None:
    """Raise ``ValueError`` if something other than a file lies there: a link, a device, a pipe, a folder."""
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise ValueError(f"{file} is a link or no plain file, and is not followed; put the file itself there")
