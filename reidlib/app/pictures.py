"""Commands for pictures and features of one's own: ``embed``, ``find``, ``score``."""

import csv
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import reidlib  # its packages are imported where they are used: help comes at once
from reidlib import paths
from reidlib.app import options
from reidlib.app.chosen import Chosen

if TYPE_CHECKING:
    from torch import Tensor

_STRIP, _LIST = ".png", ".csv"


def embed(
    folder: options.Pictures,
    /,
    *,
    run: options.RunFolder,
    modality: options.Modality = None,
    out: options.FeaturesFile = Path("features.npz"),
    flip: options.Flip = False,
    skip_damaged: options.SkipDamaged = False,
    overwrite: options.Overwrite = False,
    batch_size: options.BatchSize = 64,
    device: options.Device = None,
    quiet: options.Quiet = False,
) -> int:
    """Turn the pictures of a folder into features, in a file. Exit status 1: pictures were skipped."""
    with options.bars(not quiet):
        options.require_positive(batch_size=batch_size)
        if out.suffix.lower() != ".npz":
            raise ValueError(f"--out {out}: features are written as .npz; choose a name that ends so")
        _require_free(overwrite, out)
        loaded = _loaded(run, device)
        number = reidlib.evaluation.pictures.modality_number(modality, loaded.model)
        features, files, skipped = _embedded(loaded.model, folder, number, skip_damaged, flip, batch_size)
        arrays = {"features": features.numpy(), "paths": _below(files, folder), "modality": [number] * len(files)}
        _write(overwrite, {out: _packed(arrays)})
        if not quiet:
            print(f"{loaded}\n{len(files)} pictures, {features.shape[1]} numbers each, in {out}")
        return int(skipped > 0)


def find(
    picture: options.Picture,
    folder: options.Pictures,
    /,
    *,
    run: options.RunFolder,
    modality: options.Modality = None,
    among: options.Among = None,
    k: options.Shown = 10,
    out: options.Out = None,
    flip: options.Flip = False,
    skip_damaged: options.SkipDamaged = False,
    overwrite: options.Overwrite = False,
    batch_size: options.BatchSize = 64,
    device: options.Device = None,
    quiet: options.Quiet = False,
) -> int:
    """Find a picture among those of a folder: a ranked strip (PNG) and a list (CSV). The picture itself is left out.

    Exit status 1: pictures of the folder were skipped.
    """
    with options.bars(not quiet):
        options.require_positive(batch_size=batch_size, k=k)
        if not picture.is_file():
            raise FileNotFoundError(f"there is no picture {picture}")
        out = Path(f"found-{picture.stem}") if out is None else out
        out = out.with_suffix("") if out.suffix.lower() in (_STRIP, _LIST) else out
        strip, table = (out.with_name(f"{out.name}{ending}") for ending in (_STRIP, _LIST))
        _require_free(overwrite, strip, table)
        loaded, pictures = _loaded(run, device), reidlib.evaluation.pictures
        asked = pictures.modality_number(modality, loaded.model)
        others = pictures.modality_number(among, loaded.model, "among")
        query, _, _ = _embedded(loaded.model, picture, asked, False, flip, batch_size)
        gallery, files, skipped = _embedded(loaded.model, folder, others, skip_damaged, flip, batch_size, but=picture)
        found = reidlib.evaluation.search(query, gallery, k)
        files = [files[place] for place in found.indices[0]]
        rows = list(zip(_below(files, folder), found.distances[0].tolist(), strict=True))
        names = pictures.modality_names(loaded.model) or ("modality 0", "modality 1")
        caption = (
            f"{loaded.recipe.method}, trained on {reidlib.data.registry.title(loaded.recipe.dataset)} · "
            f"{names[asked]} → {names[others]}, {len(gallery)} pictures · below: rank, cosine distance"
        )
        figure, drawn = reidlib.plots.found_strip([picture, *files], found.distances[0], caption), io.BytesIO()
        figure.savefig(drawn, format="png", bbox_inches="tight", metadata={"Software": None})
        _write(overwrite, {strip: drawn.getvalue(), table: _listed(rows)})
        print(*(f"{rank:3d}  {distance:.3f}  {name}" for rank, (name, distance) in enumerate(rows, 1)), sep="\n")
        if not quiet:
            print(f"{strip}, {table}")
        return int(skipped > 0)


def score(
    features: options.FeaturesOfOthers,
    /,
    *,
    dataset: options.AnyDataset = None,
    data: options.Data = (),
    root: options.Root = None,
    twin: options.Twin = None,
    split: options.Split = None,
    protocol: options.Protocol = (),
    quiet: options.Quiet = False,
) -> int:
    """Score features that were made elsewhere: under a data set's protocol, or by what their file says of them.

    With --dataset or --data the file holds a row for each image, or test image, of the data set. Else it holds
    identities, and --protocol takes cameras=other|all and cmc=images|identities. Nothing enters the ledger.
    """
    from reidlib.app.changes import named

    evaluation, given = reidlib.evaluation, named(protocol)
    if dataset is None and not data:
        if refused := [name for name, value in (("root", root), ("twin", twin), ("split", split)) if value is not None]:
            raise ValueError(f"--{refused[0]} belongs to a data set: name it with --dataset")
        if unknown := [name for name in given if name not in ("cameras", "cmc")]:
            raise ValueError(
                f"--protocol {unknown[0]}: without a data set there are cameras=other|all, cmc=images|identities"
            )
        found = evaluation.read_features(features)
        result = found.score(**given)
        heading = (
            f"{found}\n{found.rules(**given)}\n{result.valid_queries} of {result.valid.size} queries valid, per cent"
        )
        print(
            *([] if quiet else [heading]),
            *(f"{name:8}{100 * value:6.2f}" for name, value in result.metrics.items()),
            sep="\n",
        )
        return 0
    chosen = Chosen(data, dataset, root, twin)
    rules = chosen.rules(given)
    arrays = reidlib.data.numbers.read(features)
    images = chosen.images(reidlib.profiles.get().name, split)
    embeddings = evaluation.features.of_dataset(arrays, images, str(features))
    result = evaluation.score(embeddings, images, rules)
    print(result if quiet else f"data: {images.title}, {images.root}\nfeatures: {features}\n{result}")
    return 0


def _loaded(folder: Path, device: str | None) -> Any:
    return reidlib.training.runs.load(folder, device=options.join(device).device)


def _embedded(
    model: Any, folder: Path, modality: int, skip: bool, flip: bool, batch_size: int, but: Path | None = None
) -> "tuple[Tensor, list[Path], int]":
    """Features of the pictures of a folder, these pictures, and how many were skipped."""
    pictures = reidlib.evaluation.pictures
    files = [file for file in pictures.images_in(folder) if but is None or not _is_same(file, but)]
    if not files:
        raise ValueError(f"{folder} holds no other picture than {but}")
    features, kept, bad = pictures.embed_files(model, files, modality, flip=flip, batch_size=batch_size)
    if not skip:
        pictures.require_none(bad, len(files))
    for error in bad.values():
        print(f"reidlib: left out: {error}", file=sys.stderr)
    return features, [files[place] for place in kept], len(bad)


def _is_same(file: Path, other: Path) -> bool:
    return file.exists() and file.samefile(other)


def _below(files: list[Path], folder: Path) -> list[str]:
    """Paths below the folder, as a list or a file of features keeps them: they name no place on this machine."""
    folder = folder.expanduser()
    return [os.path.relpath(file, folder.parent if folder.is_file() else folder).replace(os.sep, "/") for file in files]


def _packed(arrays: dict[str, Any]) -> bytes:
    import numpy as np

    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _listed(rows: list[tuple[str, float]]) -> bytes:
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["rank", "path", "distance"])
    table.writerows((rank, path, f"{distance:.6f}") for rank, (path, distance) in enumerate(rows, 1))
    return stream.getvalue().encode()


def _require_free(overwrite: bool, *files: Path) -> None:
    """Raise ``FileExistsError`` if a file is there that may not be replaced."""
    for file in files:
        if file.is_dir():
            raise IsADirectoryError(f"{file} is a folder; choose another name with --out")
        if not overwrite and os.path.lexists(file):
            raise FileExistsError(f"{file} exists; choose another name with --out, or replace it with --overwrite")


def _write(overwrite: bool, contents: dict[Path, bytes]) -> None:
    _require_free(overwrite, *contents)  # again: minutes may have passed
    for file in contents:
        file.parent.mkdir(parents=True, exist_ok=True)
    paths.write_all(contents)
