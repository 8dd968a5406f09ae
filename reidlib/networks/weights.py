"""Weights to start from, as a recipe names them; files that anybody may have made are read without trust.

``weights="twin"`` is a trunk that the package ships or that was made here (:mod:`reidlib.networks.pretrained`); a
recipe states its digest as well, ``twin#sha256=…``, since another trunk makes another run.

``weights="FILE"`` of a recipe names a file of torch (``.pth``, ``.pt``, ``.t``, ``.tar``, ``.bin``, ``.ckpt``) or of
safetensors. A recipe states the SHA-256 of its content behind it, ``FILE#sha256=…``, and a run is known by that alone:
the file may lie elsewhere on another machine, but another content is another run. ``sha256:…`` is a file whose place is
not known, as the records of a run say it; it tells recipes apart, and nothing can be trained from it.
"""

import hashlib
import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from reidlib import paths
from reidlib.console.spelling import argument
from reidlib.networks import pretrained

SUFFIXES = (".pth", ".pt", ".t", ".tar", ".bin", ".ckpt", ".safetensors")
MOST_BYTES = 1 << 32  # of a file of weights, packed or not
LEAST = 0.5
TWIN = "twin"
_TWIN = re.compile(r"twin(?:#sha256=([0-9a-f]{64}))?")
_BY_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_STATED = re.compile(r"(?P<path>.+?)(?P<stated>#(?:(?:sha256|least)=[^#&]*)(?:&(?:sha256|least)=[^#&]*)*)?", re.DOTALL)


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights, as a recipe names it.

    Attributes:
        path: as it was given; a relative one starts at the current folder. ``None``: known by its digest alone.
            ``"twin"``: the trunk pretrained on rendered people, whichever backbone it is for.
        sha256: of its content, 64 hexadecimal digits; ``None`` if it is not stated.
        least: share (0-1) of a trunk's tensors that must fit.
    """

    path: str | None
    sha256: str | None = None
    least: float = LEAST

    def __str__(self) -> str:
        if self.path is None:
            return f"sha256:{self.sha256}"
        stated = [f"sha256={self.sha256}"] if self.sha256 else []
        stated += [f"least={self.least:g}"] if self.least != LEAST else []
        return f"{self.path}{'#' * bool(stated)}{'&'.join(stated)}"

    def digest(self) -> str:
        """The SHA-256 of the content as it is now; raises as :meth:`read`."""
        path = self._place()
        try:
            found = path.stat()
            return _digest(path.absolute(), found.st_size, found.st_mtime_ns)
        except OSError as error:
            raise self._unreadable(error) from error

    def read(self) -> dict[str, Any]:
        """All that the file holds: tensors, and dictionaries of them. No code in it is run.

        Raises:
            FileNotFoundError: there is no such file, or only its digest is known.
            OSError: it cannot be read.
            ValueError: its content has another SHA-256 than stated, is too large, or is no file of weights.
        """
        path = self._place()
        try:
            content = paths.read_bounded(path, MOST_BYTES)
        except OSError as error:
            raise self._unreadable(error) from error
        found = hashlib.sha256(content).hexdigest()
        if self.sha256 not in (None, found):
            raise ValueError(
                f"weights file {path} is not the one that the recipe states, or was changed (SHA-256 {found[:16]}…, "
                f"not {self.sha256[:16]}…); bring the right file back, or make the recipe anew with this one"
            )
        try:
            tensors = _unpacked(content, path.suffix == ".safetensors")
        except Exception as error:  # whatever an unpickler makes of a file of another kind
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise ValueError(
                f"weights file {path} cannot be read as tensors, and nothing else is read from it ({reason})"
            ) from error
        if not isinstance(tensors, Mapping):
            raise ValueError(f"weights file {path} holds no tensors by name, but a {type(tensors).__name__}")
        return dict(tensors)

    def _place(self) -> Path:
        if self.path is None:
            raise FileNotFoundError(
                f"the weights are known by their digest alone ({self}); name the file that has it: "
                f"{argument('weights', 'FILE.pth', of='recipe')}"
            )
        return Path(self.path).expanduser()

    def _unreadable(self, error: OSError) -> OSError:
        place = "" if self._place().is_absolute() else f" (seen from {Path.cwd()})"
        return type(error)(f"weights file {self.path}{place} cannot be read: {error.strerror or error}")


def parse(weights: str | None) -> WeightsFile | str | None:
    """What ``weights`` of a recipe says: ``None``, ``"imagenet"``, or a file, as which ``"twin"`` counts.

    Raises:
        ValueError: none of these; or a digest, or a share, is not one.
    """
    if weights in (None, "imagenet"):
        return weights
    if isinstance(weights, Path):
        weights = str(weights)
    if isinstance(weights, str) and (known := _TWIN.fullmatch(weights)):
        return WeightsFile(TWIN, known[1])
    if isinstance(weights, str) and (known := _BY_DIGEST.fullmatch(weights)):
        return WeightsFile(None, known[1])
    match = _STATED.fullmatch(weights) if isinstance(weights, str) else None
    if not match or not match["path"].endswith(SUFFIXES):
        raise ValueError(
            f"weights must be None, 'twin', 'imagenet', or a file that ends with {', '.join(SUFFIXES)}, not {weights!r}"
        )
    stated = dict(each.split("=", 1) for each in (match["stated"] or "")[1:].split("&") if each)
    digest, least = stated.get("sha256"), stated.get("least", str(LEAST))
    if digest is not None and not re.fullmatch("[0-9a-fA-F]{64}", digest):
        raise ValueError(f"weights: sha256 must be 64 hexadecimal digits, not {digest!r}")
    if not re.fullmatch(r"[0-9]*\.?[0-9]+", least) or not 0 <= float(least) <= 1:
        raise ValueError(f"weights: least must be a share from 0 to 1, not {least!r}")
    return WeightsFile(match["path"], digest and digest.lower(), float(least))


def stated(weights: str | None, backbone: str = "") -> str | None:
    """The same with the digest of the file, read if it is not stated yet; ``backbone``: what it is for.

    Raises:
        ValueError, OSError: as :func:`parse` and :meth:`WeightsFile.read`.
    """
    source = parse(weights)
    if isinstance(source, WeightsFile) and source.sha256 is None:
        digest = pretrained.digest(backbone) if source.path == TWIN else source.digest()
        source = replace(source, sha256=digest)
    return source if source is None else str(source)


def identity(weights: str | None, backbone: str = "") -> str | None:
    """What tells these weights from others, wherever they lie: a file by its digest; raises as :func:`stated`."""
    source = parse(stated(weights, backbone))
    if not isinstance(source, WeightsFile):
        return source
    return str(source) if source.path == TWIN else f"sha256:{source.sha256}"


def read(source: WeightsFile, backbone: str) -> dict[str, Any]:
    """What such a file holds; that of ``"twin"`` for a backbone.

    Raises:
        FileNotFoundError, OSError, ValueError: as :meth:`WeightsFile.read`, or as :func:`pretrained.read`.
    """
    return pretrained.read(backbone, source.sha256) if source.path == TWIN else source.read()


def _unpacked(content: bytes, is_safetensors: bool) -> Any:
    if is_safetensors:
        return safetensors.torch.load(content)
    paths.require_unpacked(content, MOST_BYTES)
    with torch.serialization.safe_globals(_NUMPY), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch finds unusual, and reads or refuses
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


@lru_cache
def _digest(path: Path, size: int, changed: int) -> str:
    return hashlib.sha256(paths.read_bounded(path, MOST_BYTES)).hexdigest()


# AGW and its descendants save their scores beside the weights, as arrays and numbers of NumPy.
_ARRAYS = (np._core.multiarray._reconstruct, np._core.multiarray.scalar)
_NUMPY = [np.ndarray, np.dtype, type(np.dtype("f8")), type(np.dtype("f4")), type(np.dtype("i8"))]
_NUMPY += [(each, f"numpy.{core}.multiarray.{each.__name__}") for each in _ARRAYS for core in ("core", "_core")]
