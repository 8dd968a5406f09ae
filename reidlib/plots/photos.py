"""The images of a figure, by path: from the tree of a data set, or rendered anew where the tree is not at hand."""

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from reidlib import paths
from reidlib.data import decode
from reidlib.data.dataset import Reader
from reidlib.data.qmul import CANVAS
from reidlib.data.registry import READERS, renderer

if TYPE_CHECKING:
    from reidlib.data.dataset import ReIDDataset
    from reidlib.data.registry import Truth


@dataclass(frozen=True)
class Photos:
    """As much of a data set as figures need: they know their images by path and need no frame.

    ``twin`` and ``version`` are the profile and version of a synthetic twin, ``None`` for a real tree.
    """

    name: str
    root: Path
    reader: Reader
    twin: str | None = None
    version: str | None = None
    split: int | None = None

    @classmethod
    def of(cls, dataset: "ReIDDataset | Photos") -> "Photos":
        if isinstance(dataset, Photos):
            return dataset
        return cls(dataset.name, dataset.root, dataset.reader, dataset.profile, dataset.twin_version, dataset.split)

    def describe(self) -> dict[str, Any]:
        """What `rendered` and `on_disk` need to find the same images again; names no folder."""
        return {"dataset": self.name, "twin": self.twin, "version": self.version, "split": self.split}


def photo(dataset: "ReIDDataset | Photos", path: str) -> np.ndarray:
    """The image at ``path`` (relative, below the root), uint8 (H, W, 3), at its own size."""
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError(f"{path!r} lies outside the tree of the data set")
    return np.asarray(decode.read_row(dataset.root, path, dataset.reader.decode))


def truth(dataset: "ReIDDataset | Photos", path: str) -> "Truth":
    """What was rendered at ``path`` of a twin."""
    return renderer().truth(dataset.root, path)


def on_disk(record: dict[str, Any]) -> Photos:
    """The licensed tree that a figure was drawn from; ``reidlib.data.open`` says what it raises."""
    from reidlib import data

    return Photos.of(data.open(record["dataset"], split=record["split"]))


def rendered(record: dict[str, Any], wanted: Iterable[str], folder: Path) -> Photos:
    """Write some images of a twin, and the files they are decoded with, into an empty ``folder``: seconds, not minutes.

    Raises:
        ValueError: this code renders another version of the twin, or none that has such a profile or path.
    """
    name, profile = record["dataset"], record["twin"]
    twin = renderer().TWINS.get(name)
    if twin is None or profile not in twin.SIZES:
        raise ValueError(f"there is no twin of {name!r} in profile {profile!r}")
    if record["version"] != twin.VERSION:
        raise ValueError(
            f"the figure shows version {record['version']} of the twin of {name!r}, this code renders version "
            f"{twin.VERSION}: run the notebook again that the figure is from"
        )
    reader, plan, (height, width) = READERS[name], twin.plan(profile), twin.image_size(profile)
    images, packed = set(plan.images), set(plan.packed)
    for path in dict.fromkeys(file for row in wanted for file in _sources(reader, row, packed)):
        original = plan.copies.get(path, path)
        if path in plan.files:
            content = plan.files[path]
            content = content() if callable(content) else content
        elif original in images:
            identity, scene = twin.describe(original)
            content = twin.encode(twin.render(identity, scene, height, width), scene, original)
        elif path in packed:  # drawn as its reader would, without all the others in the same file
            stream = io.BytesIO()
            Image.fromarray(twin.render(*twin.describe(path), CANVAS, CANVAS).image).save(stream, "PNG")
            content, path = stream.getvalue(), f"{path}.png"
        else:
            raise ValueError(f"{path!r} is no image of the twin of {name!r} in profile {profile!r}")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    manifest = {"twin_version": twin.VERSION, "dataset": name, "profile": profile}
    manifest |= {"image_size": [height, width], "images": len(plan.images) + len(plan.packed)}
    (folder / paths.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    reader = replace(reader, decode=partial(_decode, reader))
    return Photos(name, folder, reader, profile, twin.VERSION, record["split"])


def _sources(reader: Reader, row: str, packed: set[str]) -> Sequence[str]:
    return [row] if row in packed or reader.files is None else reader.files(row)


def _decode(reader: Reader, root: Path, path: str) -> Image.Image:
    drawn = root / f"{path}.png"
    return decode.read_image(drawn) if drawn.is_file() else decode.read_row(root, path, reader.decode)
