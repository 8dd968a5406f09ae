"""Data of one's own are opened here: from folders, or from a table."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reidlib.data import folders, own, places, table
from reidlib.data.dataset import ReIDDataset
from reidlib.data.divisions import Division, Names
from reidlib.data.registry import READERS

_REMEDY = "Give the folder that holds your images."


def from_folders(
    root: str | Path,
    modalities: Sequence[str] = ("visible", "infrared"),
    *,
    name: str | None = None,
    title: str | None = None,
    shape: str = "person",
    cameras: str | None = None,
    train: Names | Sequence[Names] = (),
    test: Names | Sequence[Names] = (),
    test_share: float = 0.5,
    seed: int = 0,
) -> ReIDDataset:
    """A data set of one's own: ``root/<modality>/<identity>/<anything>.jpg``, or one folder deeper, by camera.

    It trains, is evaluated, swept and recorded like a published one, under its own name. Names of identities that are
    all digits are their own numbers; else ``pid`` counts the names in order, and the column ``identity`` keeps them.
    Cameras likewise; without any, each modality has one. Hidden files, ``Thumbs.db`` and the like are ignored; what
    else is left out, ``dataset.check()`` says.

    Args:
        modalities: names of the two folders: that of modality 0 (visible, photo) first.
        name: in recipes, run folders and the ledger; default: made of the title.
        title: in tables and captions; default: the name, else that of the folder.
        shape: of the images: ``"person"`` (twice as high as wide), ``"square"`` or ``"face"``; it chooses the recipe.
        cameras: a regular expression with one group, the camera, that is looked for in each file name:
            ``r"_c(\\d+)_"``.
        train, test: lists of identities or of images, see :func:`reidlib.data.own_split`; default: ``root/train.txt``
            and ``root/test.txt`` if they are there, or the folders ``root/train`` and ``root/test``, if they hold those
            of the modalities.
        test_share: else, the share of identities that is tested, drawn by ``seed``; 1 for evaluation alone. Identities
            of one modality are tested too: nothing matches them, but they are in the way of those who look for others.

    Raises:
        FileNotFoundError: the root, the folder of a modality or a list is missing; the message says what is there.
        ValueError: no image, no identity, no camera where the pattern asks for one, an identity in training and test,
            too few identities to divide, a link that leads out of the root, a name that a published data set has.
    """
    place, modalities = places.require_folder(root, _REMEDY), own.require_modalities(modalities)
    chosen = own.named(name, title, place.resolve().name, READERS), own.require_shape(shape)
    read = folders.Folders(modalities, folders.require_pattern(cameras), Division(train, test, test_share, seed))
    return folders.open_folder(place, read, *chosen[0], chosen[1])


def from_table(
    source: str | Path | pd.DataFrame,
    root: str | Path | None = None,
    modalities: Sequence[str] = ("visible", "infrared"),
    *,
    name: str | None = None,
    title: str | None = None,
    shape: str = "person",
    train: Names | Sequence[Names] = (),
    test: Names | Sequence[Names] = (),
    test_share: float = 0.5,
    seed: int = 0,
) -> ReIDDataset:
    """A data set of one's own from a table with a line an image; see :func:`from_folders` for what is the same.

    Args:
        source: a CSV file (commas, semicolons or tabs; UTF-8, or Excel's Unicode text) or a ``DataFrame``, with the
            columns ``path`` (below the root), ``pid`` (a number or a name), ``modality`` (0, 1, or a name), and, if
            there is such a thing, ``camid`` and ``split`` (``train`` or ``test``). The frame keeps its order.
        root: folder of the images; default: that of the file.
        modalities: the names that the column ``modality`` has, that of modality 0 first.

    Raises:
        FileNotFoundError: the table, the root, or an image is missing.
        ValueError: what is wrong with the table, with file and line.
    """
    is_file = isinstance(source, str | os.PathLike)
    if not is_file and not isinstance(source, pd.DataFrame):
        raise TypeError(f"from_table takes a CSV file or a DataFrame, not {type(source).__name__}")
    if root is None and not is_file:
        raise ValueError("a DataFrame needs the folder that its paths are relative to: from_table(frame, root=…)")
    file = Path(source).expanduser().absolute() if is_file else None
    place = places.require_folder(file.parent if root is None else root, _REMEDY)
    modalities = own.require_modalities(modalities)
    chosen = own.named(name, title, file.stem if is_file else place.name, READERS), own.require_shape(shape)
    read = table.Table(file or table.lines_of(source), modalities, Division(train, test, test_share, seed))
    return table.open_table(place, read, *chosen[0], chosen[1])
