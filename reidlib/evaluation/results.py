"""Results that carry what they mean: the protocol, the data set, whether it was synthetic, and every query's scores."""

import html
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reidlib import paths, profiles
from reidlib.data import registry
from reidlib.evaluation import protocols
from reidlib.evaluation.ranking import RankResult

FORMAT = 1
OF_DATA = ("dataset", "split", "is_twin", "twin_version", "profile")
OF_TRAINING = ("seen", "identities")
OPTIONAL = (*OF_TRAINING, "own_split")  # which files of older versions do not have
_TEXT = (str, type(None))
_KINDS = {"dataset": (str,), "split": (int, type(None)), "is_twin": (bool,), "twin_version": _TEXT, "profile": _TEXT}
_KINDS |= {"seen": (int,), "identities": (int, type(None)), "own_split": _TEXT}


@dataclass(frozen=True, eq=False, repr=False)
class TrialResult:
    """One trial: its ranking, the identity of each query (Q,) int64, and the number of gallery images."""

    ranking: RankResult
    query_pids: np.ndarray
    gallery_size: int


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationResult:
    """Scores of one model on one data set under one protocol, averaged over the protocol's trials.

    Values are fractions 0–1 here and per cent in tables. ``print(result)`` shows the mean and the standard deviation
    over trials (of a sample: divided by the number of trials − 1), ``table()`` every trial, ``trials`` every query.
    CMC at rank k is ``rank-k`` here for every data set; tables call it as the protocol's field does.

    ``seen`` of the ``identities`` in queries and galleries are known to have been trained on; ``source``, ``table()``
    and ``print`` say so. Files of older versions know of neither. ``own_split`` is that of the data set.
    """

    protocol: protocols.Protocol
    dataset: str
    split: int | None
    is_twin: bool
    twin_version: str | None
    profile: str | None
    trials: tuple[TrialResult, ...]
    seen: int = 0
    identities: int | None = None
    own_split: str | None = None

    @property
    def mean(self) -> dict[str, float]:
        """{"rank-1", …, "mAP", "mINP": mean over trials}."""
        return self._metrics().mean().to_dict()

    @property
    def std(self) -> dict[str, float]:
        """Like ``mean``: the sample standard deviation over trials; NaN if there is one trial."""
        return self._metrics().std(ddof=1).to_dict()

    @property
    def cmc(self) -> dict[int, float]:
        """{k: mean over trials}."""
        mean = self.mean
        return {k: mean[f"rank-{k}"] for k in self.trials[0].ranking.ranks}

    @property
    def mean_average_precision(self) -> float:
        return self.mean["mAP"]

    @property
    def mean_inverse_negative_penalty(self) -> float:
        return self.mean["mINP"]

    @property
    def direction(self) -> str:
        """Modality of the queries, then of the gallery, such as ``"infrared-visible"``."""
        return self.protocol.direction

    @property
    def reranking(self) -> str:
        """What was done to the distances before ranking; ``"none"`` if nothing."""
        return self.protocol.reranking

    @property
    def source(self) -> str:
        """The data set in words; says so when it is synthetic, or when people were seen in training."""
        return _source([self], f" split {self.split}" if self.split is not None else "")

    @property
    def note(self) -> str:
        """``"11 of 24 test identities were trained on"``; empty if none were."""
        return _note([self])

    def table(self) -> pd.DataFrame:
        """Every trial, their mean and their standard deviation, in per cent."""
        metrics = self._metrics().rename(columns=_labels(self))
        summary = pd.DataFrame({"mean": metrics.mean(), "std": metrics.std(ddof=1)}).T
        table = 100 * pd.concat([metrics.rename(index="trial {}".format), summary])
        return table.rename_axis(columns=", ".join(filter(None, ["per cent", self.note])))

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the result, with the scores of every query, as JSON; the file appears whole or not at all.

        Raises:
            FileExistsError: the file exists and ``overwrite`` is not set.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists; choose another name, or pass overwrite=True to replace it")
        content = (json.dumps(self._to_dict(), allow_nan=False) + "\n").encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        paths.write(path, content)
        return path

    @classmethod
    def load(cls, path: str | Path) -> "EvaluationResult":
        """Read what ``save`` wrote.

        Raises:
            ValueError: the file is no such result, or was scored under rules this version does not know.
        """
        path = Path(path)
        try:
            record = paths.read_json(path, most=2**30)
            if record["format"] != FORMAT:
                raise ValueError(f"format {record['format']!r}, this version reads {FORMAT}")
            trials = tuple(_trial_from_dict(trial) for trial in record["trials"])
            if not trials:
                raise ValueError("it holds no trial")
            known = {key: record[key] for key in OF_DATA} | {key: record[key] for key in OPTIONAL if key in record}
            if wrong := [key for key, value in known.items() if type(value) not in _KINDS[key]]:
                raise ValueError(f"{wrong[0]} is {known[wrong[0]]!r:.50}")
            if not 0 <= known.get("seen", 0) <= (known.get("identities") or 0):
                raise ValueError("seen must be 0 to the number of identities")
            return cls(protocols.from_dict(record["protocol"]), **known, trials=trials)
        except KeyError as error:
            raise ValueError(f"{path} is not a saved evaluation result: it lacks {error}") from error
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
            text = str(error).removeprefix(f"{path} ")
            raise ValueError(f"{path} is not a saved evaluation result: {text}") from error

    def __repr__(self) -> str:
        table = self.table().loc[["mean", "std"]]
        return f"{self._heading()}\n{table.to_string(float_format='{:.2f}'.format, na_rep='–')}"

    def _repr_html_(self) -> str:
        table = self.table().loc[["mean", "std"]]
        return f"<p>{html.escape(self._heading())}</p>{table.to_html(float_format='{:.2f}'.format, na_rep='–')}"

    def _heading(self) -> str:
        valid = _span(trial.ranking.valid_queries for trial in self.trials)
        queries = _span(trial.query_pids.size for trial in self.trials)
        gallery = _span(trial.gallery_size for trial in self.trials)
        return (
            f"{self.source} · {self.protocol} · {self.direction} · re-ranking: {self.protocol.reranking_label}\n"
            f"{len(self.trials)} trial(s), {valid} of {queries} queries valid, {gallery} gallery images"
        )

    def _metrics(self) -> pd.DataFrame:
        return pd.DataFrame([trial.ranking.metrics for trial in self.trials])

    def _to_dict(self) -> dict[str, Any]:
        of = (*OF_DATA, *(name for name in OPTIONAL if name != "own_split" or self.own_split is not None))
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in of},
            "protocol": self.protocol.to_dict(),
            "summary": {"mean": self.mean, "std": {name: _or_null(value) for name, value in self.std.items()}},
            "trials": [_trial_to_dict(trial) for trial in self.trials],
        }


Results = EvaluationResult | Iterable[EvaluationResult]


def report(results: Mapping[str, Results] | Iterable[EvaluationResult]) -> pd.DataFrame:
    """A row for every model, data set and protocol, as papers print them: ``mean ± standard deviation``, in per cent.

    Results of several splits of a data set (RegDB, PKU-Sketch: ten splits, ten models) make one row: mean and standard
    deviation over splits of the means over trials; the row says how many of the splits are there. Nothing else is ever
    averaged: directions, re-rankings, profiles, twin and real, and people seen in training stand in rows of their own.

    Args:
        results: a dictionary whose keys name the rows, for example after models, and whose values are a result or
            several; or a list. In a list, all splits of one data set under one protocol count as of one model.

    Raises:
        ValueError: there is no result, or two results would stand for the same row and split.
    """
    named = results.items() if isinstance(results, Mapping) else enumerate(results)
    groups: dict[tuple, list[EvaluationResult]] = {}
    for name, value in named:
        for result in [value] if isinstance(value, EvaluationResult) else value:
            row = name if isinstance(results, Mapping) or result.split is None else "splits"
            of_data = (getattr(result, name) for name in (*OF_DATA, "own_split") if name != "split")
            rules = (result.split is None, *of_data, result.seen > 0, result.protocol)
            groups.setdefault((row, *rules), []).append(result)
    if not groups:
        raise ValueError("report() needs at least one result")
    table = pd.DataFrame([_report_row(group) for group in groups.values()])
    if isinstance(results, Mapping):
        table.index = [row for row, *_ in groups]
    columns = [name for name in table if name not in ("mAP", "mINP")]  # data sets differ in how they name CMC
    return table[[*columns, "mAP", "mINP"]].fillna("–").rename_axis(columns="per cent")


def _report_row(group: list[EvaluationResult]) -> dict[str, Any]:
    """Of the results of one model on several splits, or of one result."""
    first, splits = group[0], sorted(result.split for result in group if result.split is not None)
    if len(set(splits)) < len(group) > 1:
        raise ValueError(
            f"report() got {len(group)} results of {first.source}, protocol {first.protocol}, for one row, and cannot "
            "tell which model each is of; name them: report({'baseline': …, 'other': …})"
        )
    if len(group) == 1:
        mean, std, source = first.mean, first.std, first.source
    else:
        means = pd.DataFrame([result.mean for result in group])
        mean, std, source = means.mean().to_dict(), means.std(ddof=1).to_dict(), _source(group)
    if splits:
        over = f"{len(splits)} of {len(registry.splits(first.dataset) or splits)} splits"
    else:
        over = "1 trial" if len(first.trials) == 1 else f"{len(first.trials)} trials"
    spread = {name: "" if math.isnan(value) else f" ± {100 * value:.2f}" for name, value in std.items()}
    return {
        "data set": source,
        "protocol": first.protocol.name,
        "direction": first.direction,
        "re-ranking": first.protocol.reranking_label,
        "averaged over": over,
        **{_labels(first).get(name, name): f"{100 * value:.2f}{spread[name]}" for name, value in mean.items()},
    }


def _source(results: list[EvaluationResult], split: str = "") -> str:
    """Of results of one data set."""
    result = results[0]
    details = ", ".join(filter(None, [result.twin_version, result.profile]))
    twin = f" ({profiles.twin_title(result.profile)}{f' {details}' if details else ''})" if result.is_twin else ""
    own = registry.own_in_words(result.dataset, result.own_split)
    return ", ".join(filter(None, [f"{result.dataset}{split}{twin}{own}", _note(results)]))


def _note(results: list[EvaluationResult]) -> str:
    if not any(result.seen for result in results):
        return ""
    seen, identities = (_span(getattr(result, name) for result in results) for name in OF_TRAINING)
    return f"{seen} of {identities} test identities were trained on"


def _labels(result: EvaluationResult) -> dict[str, str]:
    """Name of CMC here → in tables."""
    return {f"rank-{k}": result.protocol.cmc_label.format(k) for k in result.trials[0].ranking.ranks}


def _trial_to_dict(trial: TrialResult) -> dict[str, Any]:
    ranking = trial.ranking
    return {
        "gallery_size": trial.gallery_size,
        "ranks": list(ranking.ranks),
        "query_pids": trial.query_pids.tolist(),
        "first_match_rank": ranking.first_match_rank.tolist(),
        "average_precision": [_or_null(value) for value in ranking.average_precision.tolist()],
        "inverse_negative_penalty": [_or_null(value) for value in ranking.inverse_negative_penalty.tolist()],
    }


def _trial_from_dict(record: dict[str, Any]) -> TrialResult:
    first = np.array(record["first_match_rank"], dtype=np.int64)
    pids = np.array(record["query_pids"], dtype=np.int64)
    precision = np.array(record["average_precision"], dtype=np.float64)  # null becomes NaN
    penalty = np.array(record["inverse_negative_penalty"], dtype=np.float64)
    if first.ndim != 1 or any(values.shape != first.shape for values in (pids, precision, penalty)):
        raise ValueError("the lists of a trial differ in length")
    for name, values in (("average_precision", precision), ("inverse_negative_penalty", penalty)):
        if not np.array_equal((values > 0) & (values <= 1), first > 0):
            raise ValueError(f"{name} must lie in 0–1 for a query with a match, and be null for one without")
    if first.min(initial=0) < 0 or not first.any():
        raise ValueError("first_match_rank must be at least 1 for one query or more, 0 for a query without a match")
    ranks = tuple(int(k) for k in record["ranks"])
    return TrialResult(RankResult(ranks, first, precision, penalty), pids, int(record["gallery_size"]))


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _span(values: Iterable[int]) -> str:
    values = list(values)
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)}–{max(values)}"
