"""Pictures of one's own: files become features, and a feature finds its nearest ones.

>>> gallery = evaluation.embed_images(run.model, evaluation.images_in("photos"), "visible")
>>> query = evaluation.embed_images(run.model, ["night.jpg"], "infrared")
>>> found = evaluation.search(query, gallery, k=5)
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib import profiles
from reidlib.console import progress
from reidlib.console.spelling import argument
from reidlib.data import decode, normalise, registry
from reidlib.data.cache import to_device
from reidlib.data.own import FORMATS, SUFFIX
from reidlib.evaluation.arrays import matrix, require_finite
from reidlib.evaluation.scoring import cosine_distances, embed_batch, model_on, size_of
from reidlib.evaluation.seen import trained_on
from reidlib.networks.base import room_for
from reidlib.networks.division import noted
from reidlib.networks.wrapped import as_model

_ANY = (("visible", "photo"), ("infrared", "near-infrared", "thermal", "sketch"))
PAIRS = 1 << 22
"""Distances that `search` holds at a time."""
_INDICES = (1 << 32) - 1


def images_in(folder: str | Path) -> list[Path]:
    """The image files below a folder, in the order of their paths; of a file, this file.

    They are told by their suffix. Hidden files and folders, such as those that macOS leaves beside others, are not
    looked at.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it; the message says what there is.
    """
    folder = Path(folder).expanduser()
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        is_link = folder.is_symlink()
        raise FileNotFoundError(
            f"{folder} is a link to {os.readlink(folder)}, which is not there"
            if is_link
            else f"there is no file or folder {folder}"
        )
    found, others = [], []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                (found if SUFFIX.search(name) else others).append(Path(place, name))
    if not found:
        seen = f"{len(others)} other files, such as {others[0].relative_to(folder)}" if others else "no file at all"
        raise FileNotFoundError(f"{folder} holds no image (.jpg, .png, .bmp, .tif, .ppm, .webp), but {seen}")
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def modality_names(model: Any) -> tuple[str, str] | None:
    """What the data set that a model was trained on calls its modalities 0 and 1; ``None`` if that is not known."""
    for each in trained_on(model):
        if each.modalities or each.dataset in registry.names():
            return each.modalities or registry.find(each.dataset).modalities
    return None


def modality_number(modality: Any, model: Any, option: str = "modality") -> int:
    """0 or 1, from a number or a name; ``option``: how messages call it.

    Raises:
        ValueError: it is neither; the message names the two that the model's data set knows.
    """
    names = modality_names(model)
    if isinstance(modality, int | np.integer) and not isinstance(modality, bool) and modality in (0, 1):
        return int(modality)
    known = _ANY if names is None else tuple((name,) for name in names)
    for number, several in enumerate(known):
        if isinstance(modality, str) and modality.lower() in [name.lower() for name in several]:
            return number
    first, second = (" or ".join(map(repr, several)) for several in known)
    given = argument(option) if modality is None else argument(option, modality)
    raise ValueError(f"{given}: say what the pictures are, {first} (0), or {second} (1)")


def embed_images(
    model: Any,
    paths: Iterable[str | Path],
    modality: int | str | Sequence[int | str],
    *,
    height: int | None = None,
    width: int | None = None,
    flip: bool = False,
    batch_size: int = 64,
    device: torch.device | str | None = None,
) -> Tensor:
    """Embed image files: (B, D) float32 of unit length, in main memory, in the order of the paths.

    Files are decoded as those of data sets are (`reidlib.data.decode`), a batch at a time. The model is put in
    evaluation mode and given back as it was; no random number is drawn.

    Args:
        model: as in `reidlib.evaluation.embed`.
        paths: image files, see `images_in` for those of a folder.
        modality: of all of them, or of each: 0 or 1, or by the names that the model's data set has, such as
            ``"visible"``, ``"infrared"``, ``"photo"``, ``"sketch"``.
        height, width: size at which the network sees them; else ``model.image_size``, else that of people in the
            profile of this machine.
        flip, batch_size, device: as in `reidlib.evaluation.embed`.

    Raises:
        ValueError: no path, no or an unknown modality (both names are given), not one for each, a wrong size; or the
            model returns NaN or infinite values for a picture, which is named.
        OSError: files cannot be read as images; all of them are counted, the first ones named with the reasons.
    """
    features, _, bad = embed_files(
        model, paths, modality, height=height, width=width, flip=flip, batch_size=batch_size, device=device
    )
    require_none(bad, len(bad) + len(features))
    return features


def require_none(bad: Mapping[int, OSError], count: int) -> None:
    """Raise ``OSError`` that counts the pictures that could not be read, and names the first."""
    if bad:
        shown = "".join(f"\n  {error}" for error in list(bad.values())[:5])
        more = f"\n  … and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise OSError(f"{len(bad)} of {count} pictures cannot be read:{shown}{more}")


@torch.no_grad()
def embed_files(
    model: Any,
    paths: Iterable[str | Path],
    modality: int | str | Sequence[int | str],
    *,
    height: int | None = None,
    width: int | None = None,
    flip: bool = False,
    batch_size: int = 64,
    device: torch.device | str | None = None,
) -> tuple[Tensor, np.ndarray, dict[int, OSError]]:
    """As `embed_images`, of those pictures that can be read: features, positions of these, position → error of others.

    Raises:
        ValueError, OSError: as `embed_images`; ``OSError`` only if none can be read.
    """
    if isinstance(paths, str | Path):
        raise ValueError(
            f"paths must be a list of files, not {str(paths)!r}; of a folder: evaluation.images_in(folder)"
        )
    model, paths = as_model(model), [Path(path) for path in paths]
    if not paths or batch_size < 1:
        raise ValueError(f"give at least one picture and a batch_size of 1 or more, not {len(paths)} and {batch_size}")
    is_one = isinstance(modality, str | int | np.integer) or modality is None
    each = [modality] * len(paths) if is_one else list(modality)
    if len(each) != len(paths):
        raise ValueError(f"modality must be one, or one for each of {len(paths)} pictures, not {len(each)}")
    numbers = torch.tensor([modality_number(value, model) for value in each])
    height, width = size_of(model, height, width) or profiles.get().size("person")
    bad, kept, parts = {}, [], []
    with room_for(batch_size, argument("batch_size", max(1, batch_size // 2))), model_on(model, device) as device:
        starts = progress.bar(range(0, len(paths), batch_size), "embedding")
        for start in starts:
            places = list(range(start, min(start + batch_size, len(paths))))
            read = list(decode.in_threads(lambda place: _read(paths[place], height, width), places))
            bad |= {place: each for place, each in zip(places, read, strict=True) if isinstance(each, OSError)}
            places = [place for place in places if place not in bad]
            if not places:
                continue
            arrays = np.stack([each for each in read if not isinstance(each, OSError)])
            pixels = normalise(to_device(torch.from_numpy(arrays), device).permute(0, 3, 1, 2).contiguous())
            which = noted(to_device(numbers[places], device), numbers[places])
            units = [embed_batch(model, view, which) for view in ([pixels, pixels.flip(3)] if flip else [pixels])]
            parts.append((F.normalize(sum(units), dim=1) if flip else units[0]).cpu())
            kept += places
    if not parts:
        first = next(iter(bad.values()))
        raise OSError(f"none of {len(paths)} pictures can be read; the first: {first}")
    features = torch.cat(parts)
    if len(wrong := torch.nonzero(~torch.isfinite(features).all(dim=1))):
        raise ValueError(
            f"the model returns NaN or infinite values for {len(wrong)} pictures; the first is "
            f"{paths[kept[int(wrong[0])]]}"
        )
    return features, np.array(kept), bad


def _read(path: Path, height: int, width: int) -> np.ndarray | OSError:
    try:
        return decode.resized(decode.read_image(path, FORMATS), height, width)
    except OSError as error:
        return error


class Found(NamedTuple):
    """What `search` found: ``indices`` (Q, K) int64, positions in the gallery, the nearest first, and their cosine
    ``distances`` (Q, K) float32, from 0 to 2."""

    indices: np.ndarray
    distances: np.ndarray


@torch.no_grad()
def search(query: Any, gallery: Any, k: int = 10) -> Found:
    """The ``k`` gallery features that are nearest to each query, by cosine distance.

    Exact, and the same on every run: at equal distance the earlier gallery item comes first. Distances are those of
    `reidlib.evaluation.cosine_distances`. Memory is bounded: the gallery is passed in blocks, so that it may be a
    memory map larger than the memory there is.

    Args:
        query: (Q, D), or (D,) for one; tensor, array or list, of any length above 0.
        gallery: (G, D).
        k: at least 1. Of a gallery with fewer items, all are returned: K is the smaller of ``k`` and G.

    Raises:
        ValueError: a wrong shape or type, NaN or infinite values (the row is named), or ``k`` below 1.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k must be a whole number from 1, not {k!r}")
    query, gallery = (each if isinstance(each, Tensor | np.ndarray) else np.array(each) for each in (query, gallery))
    query = query[None] if query.ndim == 1 else query
    if gallery.ndim != 2:
        matrix(gallery, "gallery")  # says so
    found = []
    for part, _ in _blocks(query, "query", 1024):
        best = torch.empty(len(part), 0, dtype=torch.int64, device=part.device)
        for block, start in _blocks(gallery, "gallery", max(1, PAIRS // len(part))):
            keys = torch.cat([best, _keys(cosine_distances(part, block), start).to(best.device)], dim=1)
            best = keys.topk(min(k, keys.shape[1]), dim=1, largest=False).values
        found.append(best.cpu())
    keys = torch.cat(found)
    return Found((keys & _INDICES).numpy(), _ordered((keys >> 32).int()).view(torch.float32).numpy())


def _blocks(values: Any, name: str, size: int) -> Iterator[tuple[Tensor, int]]:
    """Parts of features, checked, and where each begins; of an empty array the error that `matrix` raises."""
    for start in range(0, max(len(values), 1), size):
        block = matrix(values[start : start + size], name)
        require_finite(block, name, start)
        yield block, start


def _keys(distances: Tensor, start: int) -> Tensor:
    """Whole numbers that sort by distance, then by place: bits of the distance above, those of the place below."""
    places = torch.arange(start, start + distances.shape[1], device=distances.device)
    return _ordered((distances + 0.0).view(torch.int32)).long() << 32 | places


def _ordered(bits: Tensor) -> Tensor:
    """Bits of single-precision numbers as integers in the same order, and back."""
    return torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
