"""Registered comparisons: is one recipe better than another, by how much, at what cost, and how sure is that?

Runs are paired by seed (and split): paired runs see the same images and are scored on the same queries, so that what
they have in common drops out of the difference. :mod:`reidlib.experiments.uncertainty` says how sure the mean
difference is, over seeds and over the identities that happen to be in the test set.

Scores are fractions (0-1) in code and per cent, called points, in tables and words.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mode
from typing import Any

import pandas as pd

from reidlib.experiments import ledger
from reidlib.experiments.budget import BUDGET, DATA, unequal
from reidlib.experiments.evidence import CONFIDENCE, FEWEST, OVERLAP, Evidence, crossed, resampled
from reidlib.experiments.records import in_words
from reidlib.experiments.uncertainty import RequiredSeeds, required_seeds

METRICS = ("mAP", "rank-1")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """``a`` compared with ``b``; ``print(comparison)`` shows all of it, ``verdict`` says it in a sentence.

    Attributes:
        names: of ``a`` and ``b``.
        heading: data set, protocol, profile.
        pairs: a row for each pair of runs: ``split``, ``seed`` and, for ``mAP`` and ``rank-1``, ``<metric> a``,
            ``<metric> b`` and ``<metric> difference`` (a − b), as fractions.
        evidence: metric → how sure the mean difference is.
        parameters: of both models.
        step_seconds: of both, median over the runs.
        same_machine: whether both were trained on the same device, with the same number of threads, in the same
            precision; if not, their step times cannot be compared.
        allowed: what differs in their budgets, by name, because it was allowed to: values of ``a`` and ``b``.
        metric: the one that decides, ``"mAP"`` or ``"rank-1"`` (which is acc@1).
    """

    names: tuple[str, str]
    heading: str
    pairs: pd.DataFrame
    evidence: dict[str, Evidence]
    parameters: tuple[int, int]
    step_seconds: tuple[float, float]
    same_machine: bool
    allowed: dict[str, tuple[Any, Any]]
    metric: str = "mAP"
    identities = property(lambda self: self.evidence[self.metric].identities, doc="Number of query identities.")

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Metric → ends of the 95 % interval of the mean difference."""
        return {metric: (found.low, found.high) for metric, found in self.evidence.items()}

    @property
    def differences(self) -> dict[str, float]:
        """Metric → mean of a − b over the pairs."""
        return {metric: float(self.pairs[f"{metric} difference"].mean()) for metric in METRICS}

    @property
    def step_time_ratio(self) -> float:
        """Step time of a ÷ that of b; NaN if they were not taken on the same kind of machine."""
        return self.step_seconds[0] / self.step_seconds[1] if self.same_machine else math.nan

    @property
    def required_seeds(self) -> RequiredSeeds:
        """For ±1 point of the metric that decides."""
        return required_seeds(self.pairs[f"{self.metric} difference"])

    @property
    def word(self) -> str:
        """``"better"``, ``"worse"`` or ``"undecided"``, by the metric that decides."""
        return self.word_by(self.metric)

    def word_by(self, metric: str) -> str:
        """By the interval of a metric; two runs (or splits) are always undecided."""
        low, high = self.intervals[metric]
        few = self.evidence[metric].runs < FEWEST
        return "undecided" if few or low <= 0 <= high else "better" if low > 0 else "worse"

    @property
    def verdict(self) -> str:
        """In words, by the metric that decides; undecided where the interval holds 0 or the runs are two."""
        (low, high), mean = self.intervals[self.metric], self.differences[self.metric]
        basis = f"{len(self.pairs)} pairs of runs, {self.identities} identities"
        sure = f"{100 * CONFIDENCE:.0f} % interval {100 * low:.2f} to {100 * high:.2f}; {basis}"
        a, b = self.names
        if self.word != "undecided":
            return f"{a} is {self.word} than {b} by {100 * abs(mean):.2f} points of {self.metric} ({sure})"
        difference = f"{a} − {b} is {100 * mean:+.2f} points of {self.metric}"
        few = self.evidence[self.metric].runs < FEWEST
        more = "two runs decide nothing" if few else f"{self.required_seeds} for ±1 {self.metric}"
        return f"undecided: {difference} ({sure}); {more}"

    def table(self) -> pd.DataFrame:
        """Means of both, their difference and its interval, in per cent."""
        parts = {metric: [f"{metric} {part}" for part in ("a", "b", "difference")] for metric in METRICS}
        rows = [[*self.pairs[parts[metric]].mean(), *self.intervals[metric]] for metric in METRICS]
        table = pd.DataFrame(rows, index=METRICS, columns=[*self.names, "difference", "low", "high"])
        return 100 * table.rename_axis(columns="per cent")

    def __repr__(self) -> str:
        return "\n".join([self.heading, self.table().to_string(float_format="{:.2f}".format), *self._lines()])

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self._lines())
        return f"<p>{html.escape(self.heading)}</p>{self.table().to_html(float_format='{:.2f}'.format)}{lines}"

    def _lines(self) -> list[str]:
        (ours, theirs), (step, other) = self.parameters, self.step_seconds
        ratio = f"× {self.step_time_ratio:.2f}" if self.same_machine else "not on the same machine"
        costs = (
            f"parameters {ours:,} and {theirs:,} (× {ours / theirs:.2f}); step {step:.3f} s and {other:.3f} s ({ratio})"
        )
        unequal = [f"{name} {mine!r} and {yours!r}" for name, (mine, yours) in self.allowed.items()]
        return [costs, *([f"allowed to differ: {', '.join(unequal)}"] if unequal else []), self.verdict]


def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    metric: str = "mAP",
    allow: Sequence[str] = (),
    identities: pd.DataFrame | None = None,
) -> Comparison:
    """Compare two recipes by their rows in the ledger: a − b, paired by seed and split.

    ``compare(ledger.table(variant="baseline + inert module", latest=True), ledger.table(variant="baseline", …))``

    Args:
        a, b: rows of :func:`reidlib.experiments.ledger.table`, each of one recipe with several seeds, on one data set.
        metric: by which the verdict is given, ``"mAP"`` or ``"rank-1"``; choose it before the runs, not after.
        allow: names in ``BUDGET`` that may differ, for example ``("epochs",)`` beside
            :func:`equal_wall_clock`; the comparison then says so.
        identities: scores of the query identities; default: those that :func:`reidlib.experiments.ledger.identities`
            knows.

    Raises:
        ValueError: rows of failed runs, of several recipes or versions of the code, seeds without a partner, unequal
            budgets, or runs whose identities are not known. The message says which, and what to do.
    """
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}; choose one of: {', '.join(METRICS)}")
    if unknown := [name for name in allow if name not in BUDGET]:
        raise ValueError(f"{unknown[0]!r} is no part of the budget; choose from: {', '.join(BUDGET)}")
    a, b = _one_recipe("a", a, allow), _one_recipe("b", b, allow)
    if alone := sorted(set(a.index) ^ set(b.index)):
        (split, seed), where = alone[0], "a" if alone[0] in a.index else "b"
        place = f"split {split}, " if split else ""
        raise ValueError(f"{place}seed {seed} is in {where} only; keep what both have, or run the rest")
    if len(a) < 2:
        raise ValueError("a comparison needs at least two seeds: one says nothing about the next")
    b = b.loc[a.index]
    allowed = _unequal(a, b, allow)
    known = ledger.identities() if identities is None else identities
    ours, theirs = (_by_identity(name, rows, known) for name, rows in (("a", a), ("b", b)))
    if not ours["queries"].equals(theirs["queries"]):
        raise ValueError("a and b were not scored on the same queries; evaluate both with the same data and protocol")
    pairs = a[["split", "seed"]]
    for each in METRICS:
        pairs = pairs.assign(**{f"{each} a": a[each], f"{each} b": b[each], f"{each} difference": a[each] - b[each]})
    return Comparison(
        names=_names(a, b),
        heading=_heading(a.iloc[0]),
        pairs=pairs.reset_index(drop=True),
        evidence={each: _evidence(pairs, each, ours, theirs, str(a["dataset"].iloc[0])) for each in METRICS},
        parameters=(int(a["parameters"].iloc[0]), int(b["parameters"].iloc[0])),
        step_seconds=(float(a["step_seconds"].median()), float(b["step_seconds"].median())),
        same_machine=len(pd.concat([a, b]).drop_duplicates(["device", "threads", "precision"])) == 1,
        allowed=allowed,
        metric=metric,
    )


def _evidence(
    pairs: pd.DataFrame, metric: str, ours: dict[str, pd.DataFrame], theirs: dict[str, pd.DataFrame], dataset: str
) -> Evidence:
    """By runs × identities; by the means of the splits, where there are several."""
    if pairs["split"].nunique() > 1:
        means = pairs.groupby("split")[f"{metric} difference"].mean()
        return resampled(means, OVERLAP.get(dataset, 1.0), ours["queries"].shape[1])
    weights = ours["queries"].div(ours["queries"].sum(axis=1), axis=0).to_numpy()
    return crossed((ours[metric] - theirs[metric]).to_numpy()[None], weights)


def same_seeds(rows: pd.DataFrame, a: str, b: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of two variants in the splits and seeds that both have, for :func:`compare`.

    Of each variant, only runs of one version of the code count: that of most rows, or the last one of several such.

    Args:
        rows: as :func:`reidlib.experiments.studies.results` gives them; one study often has more seeds of its
            reference.
        a, b: labels in the column ``variant``.

    Raises:
        ValueError: a variant has no rows; the message lists those that have.
    """
    known = rows["variant"].unique().tolist()
    if unknown := [variant for variant in (a, b) if variant not in known]:
        raise ValueError(f"there is no row of {unknown[0]!r}; there are rows of: {', '.join(known)}")
    of_a, of_b = (most_common_code(rows[rows["variant"] == variant]) for variant in (a, b))
    return of_a[_pairs(of_a).isin(_pairs(of_b))], of_b[_pairs(of_b).isin(_pairs(of_a))]


def most_common_code(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the rows of one recipe, those of the code that most were made with; of several such, the last by index."""
    return rows[rows["code"] == mode(rows["code"].sort_index(ascending=False, kind="stable"))]


def _one_recipe(name: str, rows: pd.DataFrame, allow: Sequence[str]) -> pd.DataFrame:
    """The rows, by split and seed, once they are known to be runs of one recipe."""
    if not len(rows):
        raise ValueError(f"{name} holds no row")
    if (failed := rows["error"].notna()).any():
        row = rows[failed].iloc[0]
        raise ValueError(f"{name}: seed {row['seed']} failed ({row['error']}); mend it and run the sweep again")
    for column in ("method", "dataset", "profile", "protocol", "reranking"):
        if rows[column].nunique() > 1:
            raise ValueError(f"{name} mixes {column} {' and '.join(map(repr, rows[column].unique()))}; choose one")
    if rows["code"].nunique() > 1 and "code" not in allow:
        way_out = "run the sweep again, or allow=('code',) if none matters"
        raise ValueError(f"{name} mixes runs of different code; {way_out}")
    recipes = [ledger.recipe(row).replace(seed=0).digest for row in rows.to_dict("records")]
    if len(set(recipes)) > 1:
        raise ValueError(f"{name} mixes several recipes, called {', '.join(map(repr, rows['variant'].unique()))}")
    rows = rows.set_index(_pairs(rows)).sort_index()
    if rows.index.has_duplicates:
        raise ValueError(f"{name} holds two runs with seed {rows['seed'][rows.index.duplicated()].iloc[0]}")
    return rows


def _pairs(rows: pd.DataFrame) -> pd.MultiIndex:
    """By what runs are paired: split (0 where there is a single one) and seed."""
    return pd.MultiIndex.from_arrays([rows["split"].fillna(0), rows["seed"]], names=[None, None])


def _unequal(a: pd.DataFrame, b: pd.DataFrame, allow: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """What differs in the budgets of paired runs and is allowed to; the code only counts between runs of one method."""
    found: dict[str, tuple[Any, Any]] = {}
    for mine, yours in zip(a.to_dict("records"), b.to_dict("records"), strict=True):
        columns = (*DATA, *(("code",) if mine["method"] == yours["method"] else ()))
        differing = {name: (mine.get(name), yours.get(name)) for name in columns if mine.get(name) != yours.get(name)}
        found = differing | unequal(ledger.recipe(mine), ledger.recipe(yours)) | found
    found = {name: found[name] for name in BUDGET if name in found}
    if refused := [name for name in found if name not in allow]:
        what = "; ".join(f"{name} is {found[name][0]!r} in a, {found[name][1]!r} in b" for name in refused)
        raise ValueError(f"a and b do not have the same budget: {what}. If that is meant: allow={tuple(refused)!r}")
    return found


def _by_identity(name: str, rows: pd.DataFrame, known: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Column → table with a row for each run, in their order, and a column for each identity; 0 where it is not met."""
    found = ledger.by_run(rows, known, name)
    columns = ("queries", *METRICS)
    return {column: found.pivot(index="run", columns="pid", values=column).fillna(0) for column in columns}


def _heading(row: pd.Series) -> str:
    source = in_words(row["source"])
    source = f"{source}, {row['profile']}" if source.startswith("synthetic") else source.removesuffix(" data")
    return f"{row['dataset']} ({source}) · {row['protocol']} · re-ranking: {row['reranking']}"


def _names(a: pd.DataFrame, b: pd.DataFrame) -> tuple[str, str]:
    labels = [(rows["variant"].iloc[0], rows["method"].iloc[0]) for rows in (a, b)]
    short = [variant or method for variant, method in labels]
    long = [f"{method}, {variant}" if variant else method for variant, method in labels]
    for first, second in (short, long):
        if first != second:
            return first, second
    return f"{short[0]} (a)", f"{short[1]} (b)"
