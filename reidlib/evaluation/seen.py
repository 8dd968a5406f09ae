"""Who a model was trained on: people seen in training are no test, and are not scored without a word."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from reidlib.console.spelling import argument, either
from reidlib.data import own

_EMBEDDED_BY = WeakTensorKeyDictionary()  # embeddings → what their model was trained on; stays unpickled


@dataclass(frozen=True)
class TrainedOn:
    """The identities that a model's weights were fitted to; ``model.trained_on`` of every model that was trained here.

    Those held out for validation are not among them: no gradient came from them. Subsampled ones are all counted.

    Attributes:
        dataset, split, is_twin, twin_version, profile: of the data set, as it names them.
        pids: the identities, by its numbers.
        people: digests of their names, where numbers only count the names of a folder of one's own, which may get
            others.
        modalities: what a data set of one's own calls its modalities; ``None`` for those whose reader is known.
    """

    dataset: str
    split: int | None
    is_twin: bool
    twin_version: str | None
    profile: str | None
    pids: frozenset[int]
    people: frozenset[str] | None = None
    modalities: tuple[str, str] | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any], pids: Iterable[int]) -> "TrainedOn":
        """From what a run notes about its data set (``environment["dataset"]``) and its classes."""
        names, pids = ("split", "is_twin", "twin_version", "profile"), frozenset(map(int, pids))
        known = record.get("people")
        people = known and frozenset(known[str(pid)] for pid in pids if str(pid) in known)
        called = record.get("modalities") or ()
        called = tuple(called) if isinstance(called, list | tuple) and all(type(name) is str for name in called) else ()
        return cls(
            record["name"], *(record[name] for name in names), pids, people, called if len(called) == 2 else None
        )

    def among(self, dataset: Any, pids: np.ndarray) -> np.ndarray:
        """Which of the identities ``pids`` (N,) of a data set were trained on: (N,) bool.

        Equal numbers of another data set, of a twin of another version, or of a twin and the data set it stands for are
        other people. All profiles of a twin show the same people, except where pids number what a tree happens to hold.
        """
        same = (self.dataset, self.is_twin, self.twin_version) == (dataset.name, dataset.is_twin, dataset.twin_version)
        names = own.people(dataset.frame) if same else None
        if names is not None or self.people is not None:  # a folder of one's own
            return np.array([bool(names and self.people) and names[int(pid)] in self.people for pid in pids], bool)
        if not same or (dataset.reader.local_pids and self.profile != dataset.profile):
            return np.zeros(len(pids), bool)
        return np.isin(pids, list(self.pids))


def trained_on(source: Any) -> tuple[TrainedOn, ...]:
    """Of a model, or of embeddings as `reidlib.evaluation.embed` returned them; what follows from these has lost it.

    A module of several models was trained on what any of them was. A model from elsewhere carries nothing.
    """
    if isinstance(source, Tensor):
        return _EMBEDDED_BY.get(source, ())
    parts = source.modules() if isinstance(source, nn.Module) else [source]
    found = (getattr(part, "trained_on", None) for part in parts)
    return tuple(dict.fromkeys(each for each in found if isinstance(each, TrainedOn)))


def mark(embeddings: Tensor, model: Any) -> Tensor:
    """Note on embeddings what their model was trained on."""
    if known := trained_on(model):
        _EMBEDDED_BY[embeddings] = known
    return embeddings


def require_unseen(source: Any, dataset: Any, rows: np.ndarray, *, allow_seen: bool) -> dict[str, int]:
    """Of the ``identities`` of a data set at ``rows``, how many the source was trained on (``seen``); see `trained_on`.

    Raises:
        ValueError: some were, and ``allow_seen`` is not set.
    """
    pids = np.unique(dataset.frame["pid"].to_numpy()[rows])
    among = {each: each.among(dataset, pids) for each in trained_on(source)}
    seen = int(np.any([*among.values(), np.zeros(len(pids), bool)], axis=0).sum())
    if seen and not allow_seen:
        splits = sorted({each.split for each in among if among[each].any() and each.split is not None})
        where = f" (split {', '.join(map(str, splits))})" if splits else ""
        other = "people that it was not trained on"
        if len(splits) == 1 and splits[0] != dataset.split:
            other = f"the split that it was trained on ({argument('split', splits[0])})"
        raise ValueError(
            f"{seen} of {len(pids)} test identities of {dataset.title} were trained on{where}: evaluate the model on "
            f"{other}, or pass {either('allow_seen=True', '--allow-seen')} for scores that say so"
        )
    return {"seen": seen, "identities": len(pids)}
