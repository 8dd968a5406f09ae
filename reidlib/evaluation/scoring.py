"""From a model, or its embeddings, to a result under a protocol."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib import profiles
from reidlib.console import progress
from reidlib.console.spelling import argument
from reidlib.data.cache import to_device
from reidlib.evaluation.arrays import matrix, pair
from reidlib.evaluation.protocols import Protocol, Trial
from reidlib.evaluation.protocols.base import RERANKING
from reidlib.evaluation.ranking import rank
from reidlib.evaluation.reranking import k_reciprocal
from reidlib.evaluation.results import EvaluationResult, TrialResult
from reidlib.evaluation.seen import mark, require_unseen
from reidlib.networks.base import device_of, evaluating, room_for
from reidlib.networks.division import noted
from reidlib.networks.wrapped import as_model


def evaluate(
    model: Any,
    dataset: Any,
    protocol: Protocol,
    *,
    height: int | None = None,
    width: int | None = None,
    batch_size: int = 256,
    device: torch.device | str | None = None,
    allow_seen: bool = False,
) -> EvaluationResult:
    """Embed the images the protocol asks for, each once, and score them; see ``embed`` and ``score``.

    People that the model was trained on are refused, see ``reidlib.evaluation.TrainedOn``, unless ``allow_seen``; then
    the result says how many they are.

    Several protocols on one model are cheaper from one set of embeddings, here without and with re-ranking::

        embeddings = embed(model, dataset, dataset.rows("test"), flip=protocol.flip)
        results = [score(embeddings, dataset, p) for p in (protocol, protocol.replace(reranking="k-reciprocal"))]
    """
    trials = protocol.trials(dataset)
    rows = np.unique(np.concatenate([trial.rows for trial in trials]))
    options = {"height": height, "width": width, "flip": protocol.flip, "batch_size": batch_size, "device": device}
    options["allow_seen"] = allow_seen
    return _score(embed(model, dataset, rows, **options), rows, dataset, protocol, trials, allow_seen)


def score(embeddings: Any, dataset: Any, protocol: Protocol, *, allow_seen: bool = False) -> EvaluationResult:
    """Score given embeddings: cosine distance, the protocol's re-ranking if it has one, and its trials on the features.

    Each trial is re-ranked by itself, its excluded pairs included; what a query ignores is left out of the ranking only
    afterwards, as in the code that the field has released.

    Args:
        embeddings: (N, D) tensor or array, one row per row of ``dataset.frame``, or per row of
            ``dataset.rows("test")`` in that order; the length decides. Rows need not have unit length; those that no
            trial uses may hold anything.
        dataset: a ``reidlib.data.ReIDDataset``.
        protocol: see ``reidlib.evaluation.protocols.get``. If it averages flips, the embeddings must be those of
            ``embed(…, flip=True)``, which cannot be seen from them.
        allow_seen: score people that the model was trained on, and say so. Only the tensor that ``embed`` returned
            tells who they are; what was computed from it does not.

    Raises:
        ValueError: people that the model was trained on; a wrong shape; NaN or infinite values among the rows that the
            trials use; a data set that does not fit the protocol.
    """
    rows, test_rows, shape = np.arange(len(dataset.frame)), dataset.rows("test"), np.shape(embeddings)
    if len(shape) != 2 or shape[0] not in (len(rows), len(test_rows)):
        raise ValueError(
            f"embeddings must have shape (N, D) with N = {len(rows)} (all images) or {len(test_rows)} (test images), "
            f"got {tuple(shape)}"
        )
    embeddings = matrix(embeddings, "embeddings")
    rows = rows if len(embeddings) == len(rows) else test_rows
    return _score(embeddings, rows, dataset, protocol, protocol.trials(dataset), allow_seen)


@torch.no_grad()
def embed(
    model: Any,
    dataset: Any,
    rows: np.ndarray,
    *,
    height: int | None = None,
    width: int | None = None,
    flip: bool = False,
    batch_size: int = 256,
    device: torch.device | str | None = None,
    allow_seen: bool = False,
) -> Tensor:
    """Embed the images at ``rows`` (frame positions): (len(rows), D) float32 of unit length, in main memory.

    The model is put in evaluation mode and given back as it was; no random number is drawn.

    Args:
        model: any torch module that offers ``embed(images, modality)`` or ``forward(images)`` → (B, D), for normalised
            float images (B, 3, H, W) and modality (B,) int64; `reidlib.networks.wrap` adapts others. What is no module
            and has that ``embed`` is taken to be ready, on the CPU unless ``device`` says.
        height, width: size of the images in pixels; else ``model.image_size``, else that of the data set's profile and
            shape.
        flip: take the mean of an image's embedding and that of its mirror image, both of unit length, instead.
        device: where to compute; default: where the model is.
        allow_seen: embed test images of people that the model was trained on as well.

    Raises:
        ValueError: only one of height and width is given, no row or batch, people that the model was trained on, or
            the model offers no way to embed or returns another shape.
        TypeError: the model is no module and has no ``embed``.
        torch.OutOfMemoryError: the GPU has no room for a batch; the message names one to try.
    """
    model = as_model(model)
    height, width = size_of(model, height, width) or profiles.of_twin(dataset.profile).size(dataset.reader.shape)
    rows = np.asarray(rows)
    if len(rows) == 0 or batch_size < 1:
        raise ValueError(
            f"embed needs at least one row and a batch_size of 1 or more, got {len(rows)} and {batch_size}"
        )
    is_test = (dataset.frame["split"] == "test").to_numpy()
    require_unseen(model, dataset, rows[is_test[rows]], allow_seen=allow_seen)
    images, modality = dataset.images(height, width), torch.from_numpy(dataset.frame["modality"].to_numpy()[rows])
    batches = []
    fewer = argument("batch_size", max(1, batch_size // 2))
    with room_for(batch_size, fewer), model_on(model, device) as device:
        parts = progress.bar(modality.split(batch_size), "embedding")
        for which, pixels in zip(parts, images.batches(rows, batch_size, device), strict=True):
            views = [pixels, pixels.flip(3)] if flip else [pixels]
            units = [embed_batch(model, view, noted(to_device(which, device), which)) for view in views]
            batches.append(F.normalize(sum(units), dim=1) if flip else units[0])
    return mark(torch.cat(batches).cpu(), model)


def embed_batch(model: Any, images: Tensor, modality: Tensor) -> Tensor:
    """Features (B, D) float32 of unit length."""
    output = model.embed(images, modality)
    if output.ndim != 2 or len(output) != len(images):
        raise ValueError(f"model.embed returned {tuple(output.shape)} for {len(images)} images; expected (B, D)")
    return F.normalize(output.float(), dim=1)


@torch.no_grad()
def fuse_queries(embeddings: Tensor, rows: np.ndarray, trials: list[Trial]) -> Tensor:
    """``embeddings`` (of frame rows ``rows``, ascending) with those of queries that are made of several images.

    The fused embedding takes the place of that of the query's first image; see ``Trial.query_parts``.
    """
    parts = [np.searchsorted(rows, part) for trial in trials for part in trial.query_parts or ()]
    if not parts:
        return embeddings
    unit = F.normalize(embeddings.float(), dim=1)
    fused = unit.clone()
    for part in parts:
        fused[part[0]] = F.normalize(unit[part].mean(0), dim=0)
    return fused


@torch.no_grad()
def cosine_distances(query: Any, gallery: Any) -> Any:
    """1 − cosine: (Q, D) and (G, D) of any length → (Q, G) float32, smaller is more similar.

    Tensors, arrays or lists; a tensor on the device of the query if that is a tensor, else an array. Products are
    summed in float64 and rounded to float32 at the end. Equal embeddings are then at equal distance, which a float32
    product does not promise (its sums run in another order at the edges of a matrix), and the result does not depend on
    autocast or on the precision chosen for matrix products.

    Raises:
        ValueError: a wrong shape or type, named.
    """
    is_array = not isinstance(query, Tensor)
    query, gallery = pair(query, gallery)
    if query.device.type == "mps":  # has no float64
        query, gallery = query.cpu(), gallery.cpu()
    query, gallery = F.normalize(query.double(), dim=1), F.normalize(gallery.double(), dim=1)
    distances = torch.cat([1 - (block @ gallery.T).float() for block in query.split(1024)])
    return distances.numpy() if is_array else distances


def protocol_distances(query: Tensor, gallery: Tensor, protocol: Protocol) -> np.ndarray:
    """The distances (Q, G) float32 of one trial by which the protocol ranks: cosine, or re-ranked."""
    if protocol.reranking == "none":
        return cosine_distances(query, gallery).cpu().numpy()
    neighbours = RERANKING[protocol.reranking]
    return k_reciprocal(query, gallery, neighbours=neighbours, **protocol.parameters).cpu().numpy()


def _score(
    embeddings: Tensor, rows: np.ndarray, dataset: Any, protocol: Protocol, trials: list[Trial], allow_seen: bool
) -> EvaluationResult:
    """``embeddings[i]`` belongs to frame row ``rows[i]``; ``rows`` ascend and contain the rows of every trial."""
    needed = np.unique(np.concatenate([trial.rows for trial in trials]))
    seen = require_unseen(embeddings, dataset, needed, allow_seen=allow_seen)
    embeddings = fuse_queries(embeddings.detach(), rows, trials)
    query_rows = np.unique(np.concatenate([trial.query_rows for trial in trials]))
    gallery_rows = np.unique(np.concatenate([trial.gallery_rows for trial in trials]))
    query, gallery = (embeddings[np.searchsorted(rows, needed)] for needed in (query_rows, gallery_rows))
    _require_finite(query, query_rows, "query", dataset)
    _require_finite(gallery, gallery_rows, "gallery", dataset)
    # The cosine of a pair is the same in every trial; a re-ranked distance depends on the whole gallery.
    cosine = protocol_distances(query, gallery, protocol) if protocol.reranking == "none" else None

    results = []
    for trial in trials:
        query_frame, gallery_frame = dataset.frame.iloc[trial.query_rows], dataset.frame.iloc[trial.gallery_rows]
        queries = np.searchsorted(query_rows, trial.query_rows)
        items = np.searchsorted(gallery_rows, trial.gallery_rows)
        if cosine is None:
            distances = protocol_distances(query[queries], gallery[items], protocol)
        else:
            distances = cosine[np.ix_(queries, items)]
        ranking = rank(
            distances,
            query_frame["pid"].to_numpy(),
            gallery_frame["pid"].to_numpy(),
            exclude=protocol.exclude(query_frame, gallery_frame),
            distinct_ids=protocol.distinct_ids,
        )
        results.append(TrialResult(ranking, query_frame["pid"].to_numpy(), len(gallery_frame)))
    return EvaluationResult(
        protocol=protocol,
        dataset=dataset.name,
        split=dataset.split,
        is_twin=dataset.is_twin,
        twin_version=dataset.twin_version,
        profile=dataset.profile,
        own_split=getattr(dataset, "own_split", None),
        trials=tuple(results),
        **seen,
    )


def _require_finite(embeddings: Tensor, rows: np.ndarray, role: str, dataset: Any) -> None:
    bad = ~torch.isfinite(embeddings).all(dim=1).cpu().numpy()
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} of {len(rows)} {role} embeddings hold NaN or infinite values; the first is that of "
            f"{dataset.frame['path'].iloc[rows[bad][0]]} (row {rows[bad][0]})"
        )


def size_of(model: Any, height: int | None, width: int | None) -> tuple[int, int] | None:
    """The size asked for, else that of the model, if it has one; ``ValueError`` if only one side is given."""
    if (height is None) != (width is None):
        raise ValueError(f"give both height and width, or neither; got height={height}, width={width}")
    return getattr(model, "image_size", None) if height is None else (height, width)


@contextmanager
def model_on(model: Any, device: torch.device | str | None) -> Iterator[torch.device]:
    """The model in evaluation mode on ``device``; afterwards every module is in its own mode, on its own device."""
    if not isinstance(model, torch.nn.Module):
        yield torch.device(device or "cpu")
        return
    home = device_of(model)
    device = home if device is None else torch.device(device)
    with evaluating(model):
        try:
            model.to(device)
            yield device
        finally:
            model.to(home)
