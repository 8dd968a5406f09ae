"""Figures that know what they were drawn from, so that each can be saved with it and drawn again.

A drawing is a function that returns a figure. It takes a ``table`` (the numbers), a ``dataset`` (the images, by path)
or neither, and arguments that JSON can hold. ``save`` writes three files:

* ``<name>.png``;
* ``<name>.csv``, the table, if there is one;
* ``<name>.json``: the ``function``, its ``arguments``, the name of the table (``data``), and which tree of a data set
  the images are from (``photos``).
"""

import functools
import inspect
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reidlib import methods, paths
from reidlib.plots.photos import Photos

_DRAWINGS: dict[str, Callable[..., Figure]] = {}
_MOST_BYTES = 1 << 28  # of a table
_MOST_DPI = 600
NAME = re.compile(r"[A-Za-z0-9][\w-]*")


@dataclass(frozen=True)
class Origin:
    """What a figure was drawn from; ``photos`` as `reidlib.plots.photos.Photos.describe` gives it.

    ``dpi``: dots per inch of its picture, if not those of the style.
    """

    function: str
    arguments: dict[str, Any]
    table: pd.DataFrame | None = None
    photos: dict[str, Any] | None = None
    dpi: int | None = None


def drawing(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Register a function that draws a figure; the figures it returns remember what they were drawn from."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def draw(*args: Any, **options: Any) -> Figure:
        arguments = dict(signature.bind(*args, **options).arguments)
        figure = function(*args, **options)
        table, dataset = arguments.pop("table", None), arguments.pop("dataset", None)
        photos = None if dataset is None else Photos.of(dataset).describe()
        figure.origin = Origin(function.__name__, arguments, None if table is None else table.copy(), photos)
        return figure

    _DRAWINGS[function.__name__] = draw
    return draw


def drawings() -> dict[str, Callable[..., Figure]]:
    """The functions that a figure can be drawn with, by name, those of methods as well; nothing else is ever called."""
    import_module("reidlib.plots")
    for method in methods.registered().values():
        if method.plots:
            import_module(method.plots)
    return dict(_DRAWINGS)


def save(figure: Figure, name: str, folder: Path | None = None, *, dpi: int | None = None) -> Path:
    """Write a figure and what it was drawn from; returns the path of the PNG.

    Writing the same figure again replaces it: everything there can be drawn again.

    Args:
        name: of the files, without an ending: letters, digits, ``_`` and ``-``.
        folder: default: ``figures/`` in the build folder.
        dpi: dots per inch; default: those it was drawn with before, else those of the style.

    Raises:
        ValueError: the name is none, or no function of `reidlib.plots` drew the figure, so that nothing could draw it
            again (``figure.savefig`` saves it alone).
        TypeError: an argument that the figure was drawn with cannot be written as JSON.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a figure; use letters, digits, '_' and '-'")
    origin: Origin | None = getattr(figure, "origin", None)
    if origin is None:
        raise ValueError(f"no function of reidlib.plots drew {name!r}; save it alone with figure.savefig(path)")
    folder = paths.build_folder() / "figures" if folder is None else Path(folder)
    data = None if origin.table is None else f"{name}.csv"
    record = {"function": origin.function, "data": data, "photos": origin.photos, "arguments": origin.arguments}
    dpi = origin.dpi if dpi is None else dpi
    record |= {} if dpi is None else {"dpi": dpi}
    text = json.dumps(record, indent=2, ensure_ascii=False, default=_plain) + "\n"
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    files = {folder / f"{name}.json": text.encode(), folder / f"{name}.png": picture.getvalue()}
    if data is not None:
        table = origin.table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        files = {folder / data: table.encode(), **files}
    with paths.naming_unwritable(folder, "REIDLIB_BUILD"):
        folder.mkdir(parents=True, exist_ok=True)
        paths.write_all(files)
    return folder / f"{name}.png"


def read_origin(name: str, folder: Path) -> Origin:
    """What ``save`` wrote of the figure called ``name``.

    Raises:
        FileNotFoundError: its JSON or its table is not there.
        ValueError: a file is damaged, or names a function that draws no figure.
    """
    file = folder / f"{name}.json"
    try:
        record = paths.read_json(file)
        function, data, photos, arguments = (record[key] for key in ("function", "data", "photos", "arguments"))
        if not isinstance(arguments, dict):
            raise TypeError("'arguments' must be an object")
        dpi = record.get("dpi")
        if dpi is not None and not (isinstance(dpi, int) and 0 < dpi <= _MOST_DPI):
            raise TypeError(f"'dpi' must be a whole number from 1 to {_MOST_DPI}")
        photos = photos and {key: photos[key] for key in ("dataset", "twin", "version", "split")}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} does not say what the figure was drawn from: {error!r}") from error
    if function not in (known := drawings()):
        raise ValueError(f"{file}: {function!r} draws no figure; choose from: {', '.join(sorted(known))}")
    if data not in (None, f"{name}.csv"):
        raise ValueError(f"{file}: 'data' must be null or '{name}.csv', not {data!r}")
    return Origin(function, arguments, _read_table(folder / data) if data else None, photos, dpi)


def _read_table(file: Path) -> pd.DataFrame:
    content = paths.read_bounded(file, most=_MOST_BYTES)
    try:  # an empty field is missing, the word "none" is not
        return pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""])
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{file} is not the table of a figure: {error}; draw and save the figure again") from error


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as JSON knows them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a figure must be drawn with arguments that JSON can hold, not {type(value).__name__}")
