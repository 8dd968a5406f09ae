"""The numbers behind figures: one tidy table for each drawing that does not draw a table one has anyway.

Images are named by their path, as in ``dataset.frame``, so that a table tells all that its figure shows. A matrix is
spread over columns called ``0``, ``1``, …
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

if TYPE_CHECKING:
    from reidlib.data.dataset import ReIDDataset
    from reidlib.evaluation.results import EvaluationResult
    from reidlib.evaluation.retrieval import Retrieval
    from reidlib.experiments.comparison import Comparison

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601 luma
WHO = ["path", "pid", "camid", "modality"]
MOST_VIEWS, MOST_IMAGES = 6, 60  # on a sheet: of one modality, in all
FEW_PLACES = 4  # up to here identities lie in columns


def sheet(dataset: "ReIDDataset", pids: Sequence[int] | None = None, identities: int | None = None) -> pd.DataFrame:
    """Images of some identities, in the same places for each: their views in both modalities.

    A view is an artist where the data set knows artists, else a camera. Where most identities are seen in most views of
    a modality, each view has its own place, up to six; elsewhere the first two images have one each, or the first
    if few have a second.

    Args:
        pids: default: the first test identities that fill most places.
        identities: how many, where ``pids`` does not say it; default: ten with up to four places, else six. Never so
            many that there are more than 60 images.

    Returns:
        The columns ``path``, ``pid``, ``camid``, ``modality``, ``view`` (its name; empty if the modality has one only)
        and ``place`` (0, 1, …; there is no row where an identity lacks the image).

    Raises:
        ValueError: the data set does not hold one of the ``pids``.
    """
    if pids is not None and (unknown := set(pids) - set(dataset.frame["pid"])):
        raise ValueError(f"{dataset.root} holds no identity {min(unknown)}")
    frame = (dataset.frame.loc[dataset.rows("test")] if pids is None else dataset.frame).copy()
    frame["view"] = frame["camid"].map("camera {}".format)
    if "artist" in frame:
        frame["view"] = frame["view"].mask(frame["artist"].fillna("") != "", "artist " + frame["artist"].astype("str"))
    frame["number"] = frame.groupby(["pid", "modality", "view"]).cumcount()
    frame = frame.sort_values("number", kind="stable")  # other views before second images of the same
    frame["column"] = ""
    for _, part in frame.groupby("modality"):
        pairs = part.drop_duplicates(["pid", "view"])
        views = pairs["view"].value_counts().sort_index().nlargest(MOST_VIEWS, keep="first")
        if len(views) == 1 or views.mean() < part["pid"].nunique() / 2:
            images = part.groupby("pid").cumcount()
            most = 2 if (images == 1).sum() > part["pid"].nunique() / 2 else 1
            frame.loc[part.index, "column"] = images.astype("str").where(images < most, "")
            if len(views) == 1:
                frame.loc[part.index, "view"] = ""
        else:
            kept = part["view"].isin(views.index) & (part["number"] == 0)
            frame.loc[part.index, "column"] = part["view"].where(kept, "")
    frame = frame[frame["column"] != ""]
    frame["place"] = frame.groupby(["modality", "column"]).ngroup()
    if pids is None:
        counts = frame.groupby("pid").size().sort_values(ascending=False, kind="stable")
        places = frame["place"].nunique()
        identities = (10 if places <= FEW_PLACES else 6) if identities is None else identities
        pids = sorted(counts.index[: min(identities, MOST_IMAGES // places)])
    frame["order"] = frame["pid"].map({pid: position for position, pid in enumerate(pids)})
    frame = frame.dropna(subset="order").sort_values(["order", "place"])
    return frame[[*WHO, "view", "place"]].reset_index(drop=True)


def ranked_list(dataset: "ReIDDataset", retrieval: "Retrieval", queries: Sequence[int], depth: int = 8) -> pd.DataFrame:
    """The gallery images that some queries bring up (``queries``: positions in ``retrieval.query_rows``).

    Returns:
        A row an image with the columns ``query`` (0, 1, …), ``rank`` (0: the query itself), ``path``, ``pid``,
        ``camid``, ``modality``, ``correct`` and ``distance`` (both missing for the query).
    """
    records = []
    for number, query in enumerate(queries):
        records.append((number, 0, retrieval.query_rows[query], pd.NA, np.nan))
        for rank, row in enumerate(retrieval.gallery_rows[query, :depth]):
            if row >= 0:
                correct, distance = retrieval.correct[query, rank], retrieval.distances[query, rank]
                records.append((number, rank + 1, row, bool(correct), distance))
    table = pd.DataFrame(records, columns=["query", "rank", "row", "correct", "distance"])
    table[WHO] = dataset.frame[WHO].iloc[table["row"]].to_numpy()
    return table.astype({"correct": "boolean"})[["query", "rank", *WHO, "correct", "distance"]]


def cmc(results: Mapping[str, "EvaluationResult"]) -> pd.DataFrame:
    """CMC of each trial of each result, at the ranks it holds: ``model``, ``rank``, ``trial``, ``cmc`` (0–1)."""
    records = [
        (_noted(name, result), rank, number, trial.ranking.cmc[rank])
        for name, result in results.items()
        for number, trial in enumerate(result.trials)
        for rank in trial.ranking.cmc
    ]
    return pd.DataFrame(records, columns=["model", "rank", "trial", "cmc"])


def _noted(name: str, result: "EvaluationResult") -> str:
    """The name of a model; says so if it was trained on the people it was tested on."""
    return f"{name} ({result.note})" if result.note else name


def distances(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]],
    bins: int = 60,
    kinds: tuple[str, str] = ("same person", "different person"),
) -> pd.DataFrame:
    """Histograms of distances in pairs of two kinds: ``{panel: (of the first, of the second)}``.

    Returns:
        ``panel``, ``pair`` (one of ``kinds``), ``left`` and ``right`` edge of the bin, ``share`` of the pairs in it,
        and the ``median`` of all.
    """
    everything = [np.asarray(values) for pair in pairs.values() for values in pair]
    edges = np.linspace(min(map(np.min, everything)), max(map(np.max, everything)), bins + 1)
    tables = []
    for panel, pair in pairs.items():
        for name, values in zip(kinds, pair, strict=True):
            share = np.histogram(values, edges)[0] / len(values)
            columns = {"left": edges[:-1], "right": edges[1:], "share": share, "median": np.median(values)}
            tables.append(pd.DataFrame({"panel": panel, "pair": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def differences(comparisons: Iterable["Comparison"], metric: str = "mAP") -> pd.DataFrame:
    """The pairs of runs of registered comparisons: ``comparison``, ``split``, ``seed``, ``difference`` (a fraction),
    and, the same for all pairs of a comparison, ``low`` and ``high`` end of its interval and the ``verdict``."""
    rows = []
    for comparison in comparisons:
        low, high = comparison.intervals[metric]
        pairs = comparison.pairs[["split", "seed"]].assign(difference=comparison.pairs[f"{metric} difference"])
        pairs.insert(0, "comparison", " − ".join(comparison.names))
        rows.append(pairs.assign(low=low, high=high, verdict=comparison.word_by(metric)))
    return pd.concat(rows, ignore_index=True)


def against_chance(
    results: Mapping[str, "EvaluationResult"], rows: pd.DataFrame, identities: pd.DataFrame
) -> pd.DataFrame:
    """Rank-1 of models on one data set, where every query has one match, with intervals and beside chance.

    Args:
        results: model → its result, at least one: of a run or of what was not trained.
        rows: of the ledger, of the same data and protocol, as `reidlib.experiments.studies.results` gives them; may be
            empty.
        identities: their scores by identity, as ``ledger.identities(rows)`` gives them.

    Returns:
        A line a model, results first, variants after: ``dataset`` (its title), ``model``, ``rank-1`` (0–1), ``low`` and
        ``high`` (ends of the 95 % interval, see `reidlib.experiments.uncertainty`, over query identities and, where
        there are several, over runs), ``runs`` and ``chance`` (one over the images of the gallery: the expected rank-1
        of a random order).

    Raises:
        ValueError: no result, results or rows of several protocols or data sets, or rows without scores by identity.
    """
    from reidlib.data import registry
    from reidlib.experiments import ledger

    protocols = {(result.dataset, result.protocol.name) for result in results.values()}
    protocols |= set(rows[["dataset", "protocol"]].itertuples(index=False, name=None))
    if not results or len(protocols) != 1:
        raise ValueError(f"give one result or more, and all of one data set and protocol, not of {sorted(protocols)}")
    scores = [ledger.by_identity(result).assign(model=_noted(name, result), run=-1) for name, result in results.items()]
    recorded = ledger.by_run(rows, identities)
    scores.append(recorded.assign(model=rows["variant"].to_numpy()[recorded["run"]]))
    lines = [(model, *_mean_and_interval(part)) for model, part in pd.concat(scores).groupby("model", sort=False)]
    table = pd.DataFrame(lines, columns=["model", "rank-1", "low", "high", "runs"])
    trials = next(iter(results.values())).trials
    table["chance"] = np.mean([1 / trial.gallery_size for trial in trials])
    table.insert(0, "dataset", registry.title(next(iter(results.values())).dataset))
    return table


def _mean_and_interval(scores: pd.DataFrame) -> tuple[float, float, float, int]:
    """Rank-1 of all queries of all runs, the ends of its interval, the number of runs."""
    from reidlib.experiments.evidence import crossed

    by_run = scores.pivot(index="run", columns="pid", values=["rank-1", "queries"]).fillna(0)
    values, queries = by_run["rank-1"].to_numpy(), by_run["queries"].to_numpy()
    found = crossed(values[None], queries / queries.sum(axis=1, keepdims=True))
    return found.difference, found.low, found.high, found.runs


def affinities(features: Mapping[str, np.ndarray | tuple[np.ndarray, np.ndarray]], frame: pd.DataFrame) -> pd.DataFrame:
    """Cosine similarities of images, ordered by modality and then by identity.

    Args:
        features: panel → (N, D), in the order of the rows of ``frame``; or two kinds of them, to compare one (the rows
            of the matrix) with the other (its columns).
        frame: rows of ``dataset.frame``, as many as an eye can tell apart (say 100).

    Returns:
        ``panel``, ``pid``, ``modality``, and the similarities to the first, second, … image in ``0``, ``1``, ….
    """
    order = np.lexsort((frame["pid"], frame["modality"]))
    tables = []
    for panel, kinds in features.items():
        kinds = kinds if isinstance(kinds, tuple) else (kinds, kinds)
        a, b = (np.asarray(values, np.float64)[order] for values in kinds)
        a, b = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (a, b))
        similarities = pd.DataFrame(np.round(a @ b.T, 3)).rename(columns=str)
        who = frame[["pid", "modality"]].iloc[order].reset_index(drop=True)
        tables.append(pd.concat([pd.DataFrame({"panel": panel}, index=who.index), who, similarities], axis=1))
    return pd.concat(tables, ignore_index=True)


def attention(
    frame: pd.DataFrame,
    maps: Mapping[str, np.ndarray],
    energy: Mapping[str, Sequence[float]] | None = None,
    most: tuple[int, int] = (24, 12),
) -> pd.DataFrame:
    """Maps of what a network looks at, one for each image and panel (a branch or a method).

    Args:
        frame: the images, rows of ``dataset.frame``.
        maps: panel → (N, h, w), not negative; larger ones than ``most`` (height, width) are averaged down to it.
        energy: panel → (N,), the share of each map inside the person mask.

    Returns:
        ``path``, ``pid``, ``camid``, ``modality``, ``panel``, ``energy``, ``height`` and ``width`` of the map and its
        values row by row, divided by the largest, in ``0``, ``1``, ….
    """
    tables = []
    for panel, values in maps.items():
        values = np.asarray(values, np.float32)
        if values.ndim != 3 or len(values) != len(frame):
            raise ValueError(f"{panel!r}: expected {len(frame)} maps, (N, h, w), not an array of {values.shape}")
        height, width = (min(size) for size in zip(values.shape[1:], most, strict=True))
        smaller = [np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BOX)) for one in values]
        smaller = np.stack(smaller).reshape(len(values), -1)
        smaller = smaller / np.maximum(smaller.max(1, keepdims=True), 1e-12)
        columns = {"panel": panel, "energy": np.nan if energy is None else np.asarray(energy[panel])}
        table = frame[WHO].reset_index(drop=True).assign(**columns, height=height, width=width)
        tables.append(pd.concat([table, pd.DataFrame(np.round(smaller, 3)).rename(columns=str)], axis=1))
    return pd.concat(tables, ignore_index=True)


def part_tones(dataset: "ReIDDataset", parts: Sequence[str] = ("head", "torso", "leg")) -> pd.DataFrame:
    """Grey level (0–255) of the same body part of the same test person (of a twin) in an image of each modality.

    Returns a row a person and part where both show it: ``pid``, ``part``, ``visible``, ``infrared``.
    """
    from reidlib.data.registry import renderer

    known = renderer().PARTS
    test = dataset.frame.loc[dataset.rows("test")]
    records = []
    for pid, images in test.groupby("pid"):
        seen = {}
        for modality in (0, 1):
            rows = images.index[images["modality"] == modality]
            truth = dataset.truth(int(rows[len(rows) // 2]))
            grey = truth.rendering.image @ GREY
            seen[modality] = {part: grey[truth.part_mask == known.index(part)] for part in parts}
        for part in parts:
            visible, infrared = seen[0][part], seen[1][part]
            if len(visible) and len(infrared):
                records.append((pid, part, visible.mean(), infrared.mean()))
    return pd.DataFrame(records, columns=["pid", "part", "visible", "infrared"])


def gap(
    features: Mapping[str, np.ndarray], frame: pd.DataFrame, pairs: int = 2000, bins: int = 50, seed: int = 0
) -> pd.DataFrame:
    """How far images of the same and of different persons are apart in some spaces, within a modality and across.

    Distances are Euclidean, divided by their median over different persons of one modality.

    Args:
        features: space → (N, D), such as pixels or embeddings, aligned with ``frame``, rows of ``dataset.frame``.
        pairs: how many are drawn of a kind; the two images of a pair always come from different cameras.

    Returns:
        What `distances` gives for ``panel``, "same modality" or "across modalities", in each ``space``.
    """
    pids, camids, modality = (frame[name].to_numpy() for name in ("pid", "camid", "modality"))
    a, b = np.random.default_rng(seed).integers(0, len(frame), (2, 400 * pairs))
    same, within, apart = pids[a] == pids[b], modality[a] == modality[b], camids[a] != camids[b]
    chosen = {(w, s): np.flatnonzero((within == w) & (same == s) & apart)[:pairs] for w in (1, 0) for s in (1, 0)}
    found = []
    for space, values in features.items():
        values = np.asarray(values, np.float32)
        far = {kind: np.linalg.norm(values[a[rows]] - values[b[rows]], axis=1) for kind, rows in chosen.items()}
        panels = {"same modality": (far[1, 1], far[1, 0]), "across modalities": (far[0, 1], far[0, 0])}
        unit = np.median(far[1, 0])
        found.append(distances({name: (s / unit, d / unit) for name, (s, d) in panels.items()}, bins))
        found[-1].insert(0, "space", space)
    return pd.concat(found, ignore_index=True)
