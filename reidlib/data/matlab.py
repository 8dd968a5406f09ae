"""Numbers and cells out of a MATLAB file that somebody else wrote.

scipy reads such files, and a damaged one can end the process that reads it. So a child process does it: this file, run
as a script, which takes the content on its standard input and prints what it found as JSON. It has a limit of seconds
and, on Linux, of memory; what it prints is checked. It costs as long as Python and scipy take to start, once a content.
"""

import faulthandler
import io
import json
import math
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

MOST_NUMBERS = 1 << 21
"""In a variable, cells included: the permutations of SYSU-MM01 have 458,630."""
_SECONDS = 5  # for reading; starting Python and scipy takes as long as it takes on a busy machine
_SECONDS_IN_ALL = 120
_BYTES = 4 << 30
_LEVELS = 8
_UNREADABLE = 3
_MOST_OF_MATRICES = 1 << 30
_FULL = ("double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
_TAKE_AGAIN = "take the file again from where it was published"
_NUMBERS = re.compile(r"[<>=|]?[iuf][1248]")


def read(path: Path, variable: str):
    """One variable of a MATLAB file up to version 7.2: an array of numbers, or of objects that are such arrays.

    Safe in threads and in processes of any kind. A content that was read before is remembered.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or too large, lacks the variable, or it holds something else; the message names
            the file.
    """
    from reidlib import paths

    found, message = _in_child(paths.read_bounded(path), variable)
    if message:
        raise ValueError(f"{path} is not a readable MATLAB file: {message}; {_TAKE_AGAIN}")
    return _array(paths.parse_json(found, str(path)), f"{path}: variable {variable!r}")


def matrices(path: Path) -> bytes:
    """All full matrices of numbers of a MATLAB file, as the content of an ``.npz``; other variables are left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or too large, or holds none; the message names the file.
    """
    from reidlib import paths

    found, message = _run(paths.read_bounded(path, _MOST_OF_MATRICES), "")
    if message:
        raise ValueError(f"{path} is not a readable MATLAB file: {message}; {_TAKE_AGAIN}")
    return found


@lru_cache(maxsize=4)
def _in_child(content: bytes, variable: str) -> tuple[str, str]:
    found, message = _run(content, variable)
    return found.decode(), message


def _run(content: bytes, variable: str) -> tuple[bytes, str]:
    """What the child printed, or else what went wrong. Without a variable: all matrices."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(place for place in sys.path if place),  # finds what this process finds
        "OPENBLAS_NUM_THREADS": "1",
    }
    try:
        child = subprocess.run(
            [sys.executable, "-P", __file__, variable],
            input=content,
            capture_output=True,
            env=environment,
            timeout=_SECONDS_IN_ALL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        return b"", f"the process that reads it did not end within {_SECONDS_IN_ALL} seconds"
    said = child.stderr.decode(errors="replace").strip()
    if child.returncode == 0:
        return child.stdout, ""
    if child.returncode == _UNREADABLE:
        return b"", said.splitlines()[-1][:300] if said else "no reason was given"
    if "Timeout (" in said:
        return b"", f"reading it takes more than {_limit(content)} seconds"
    return b"", f"it is damaged, and the process that reads it died of it (exit status {child.returncode})"


def _array(found, where: str, depth: int = 0):
    """The array that a child described; it may have been taken over by what it read, so nothing is believed."""
    import numpy as np

    try:
        shape, kind, content = tuple(found["shape"]), found["kind"], found["content"]
        if not all(type(length) is int and length >= 0 for length in shape) or len(content) != math.prod(shape):
            raise ValueError("of another shape")
        if kind == "cell" and depth < _LEVELS:
            cells = np.empty(len(content), dtype=object)
            cells[:] = [_array(item, where, depth + 1) for item in content] or None
            return cells.reshape(shape, order="C")
        if not _NUMBERS.fullmatch(kind) or not all(type(number) in (int, float) for number in content):
            raise ValueError("of another kind")
        return np.array(content, dtype=kind).reshape(shape)
    except (KeyError, TypeError, OverflowError, ValueError) as error:
        raise ValueError(f"{where} is not an array of numbers: {error}; {_TAKE_AGAIN}") from error


def _describe(value, left: list[int], depth: int = 0) -> dict:
    """In the child: an array of numbers or cells as JSON; ``left`` holds how many numbers may still come."""
    import numpy as np

    if type(value) is not np.ndarray or depth > _LEVELS or value.dtype.names:
        raise ValueError(f"a {type(value).__name__} is no plain array of numbers or cells (sparse? save it as full)")
    left[0] -= value.size
    if left[0] < 0:
        raise ValueError(f"it holds more than {MOST_NUMBERS:,} numbers")
    if value.dtype == object:
        cells = [_describe(item, left, depth + 1) for item in value.ravel()]
        return {"kind": "cell", "shape": value.shape, "content": cells}
    if value.dtype.kind not in "iuf":
        raise ValueError(f"it holds {value.dtype}, not numbers")
    return {"kind": value.dtype.str, "shape": value.shape, "content": value.ravel().tolist()}


def _limit(content: bytes) -> int:
    """Seconds for reading."""
    return _SECONDS + (len(content) >> 24)


def _child(variable: str) -> None:
    from scipy.io import loadmat, whosmat

    content = sys.stdin.buffer.read()
    # in a thread of its own: scipy may hold the interpreter
    faulthandler.dump_traceback_later(_limit(content), exit=True)
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    listed = {name: (shape, kind) for name, shape, kind in whosmat(io.BytesIO(content))}
    if not variable:
        full = {name for name, (shape, kind) in listed.items() if kind in _FULL and len(shape) == 2}
        names = sorted(full - {"file"})  # which savez calls something else
        if not names:
            raise ValueError(f"it holds no matrix of numbers, only {sorted(listed)[:5]}")
        import numpy as np

        found = loadmat(io.BytesIO(content), variable_names=names)
        np.savez(
            sys.stdout.buffer,
            **{
                name: found[name]
                for name in names
                if type(found[name]) is np.ndarray and found[name].dtype.kind in "iuf"
            },
        )
        return
    if variable not in listed:
        raise ValueError(f"it has no variable {variable!r}, only {sorted(listed)[:5]}")
    shape, kind = listed[variable]
    if math.prod(shape) > MOST_NUMBERS:
        raise ValueError(f"{variable!r} has the shape {shape}, more than {MOST_NUMBERS:,} numbers")
    if kind in ("sparse", "struct", "object", "function", "opaque", "char"):
        raise ValueError(f"{variable!r} is of class {kind}, not a full array of numbers or cells")
    found = loadmat(io.BytesIO(content), variable_names=[variable])[variable]
    sys.stdout.write(json.dumps(_describe(found, [MOST_NUMBERS])))


if __name__ == "__main__":
    try:
        _child(sys.argv[1])
    except Exception as error:  # damaged bytes make scipy raise almost anything
        print(f"{type(error).__name__}: {error}".replace("\n", " "), file=sys.stderr)
        sys.exit(_UNREADABLE)
