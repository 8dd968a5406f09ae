"""The one judge of all parts: from the records of runs to a word, an effect with its interval, and a reason.

``judge(part)`` → :class:`Judgement`. Nothing is trained and nothing decided by hand: the part says what is compared and
what matters (:mod:`reidlib.experiments.part`), :mod:`reidlib.experiments.evidence` how sure it is, and
:mod:`reidlib.experiments.register` whether rule and recipes are those that were registered.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.experiments import evidence, ledger, measures, register
from reidlib.experiments.comparison import most_common_code
from reidlib.experiments.evidence import CONFIDENCE, FEWEST, OVERLAP, Evidence
from reidlib.experiments.part import METRICS, Control, Part, Runs, Term

WORDS = ("supported", "not supported", "undecided", "instrument cannot tell", "deviated", "no runs yet")
SUPPORTED, NOT_SUPPORTED, UNDECIDED, CANNOT_TELL, DEVIATED, NO_RUNS = WORDS
_ERROR = 1 - CONFIDENCE


@dataclass(frozen=True)
class Judgement:
    """What the records say of a part.

    Attributes:
        word: of ``WORDS``.
        why: in a sentence.
        evidence: effect, interval, unit, n; ``None`` without runs.
        plain: the word of the rule alone, whatever the controls, the register and the family say.
        registered: of the register; ``None`` where the part is not registered.
        adjusted: ``plain`` after Holm's correction over the family, filled in by `reidlib.experiments.claims`.
    """

    part: Part
    word: str
    why: str
    evidence: Evidence | None = None
    plain: str = ""
    registered: register.Entry | None = None
    adjusted: str = ""

    @property
    def rule(self) -> str:
        """Which rule was applied: the beginning of its hash, and since when it is registered."""
        since = f"registered {self.registered.date}" if self.registered else "not registered"
        return f"rule {register.digest(self.part)[:12]}, {since}"

    @property
    def effect(self) -> str:
        """Effect, interval, unit and n in words; empty without runs."""
        if (found := self.evidence) is None:
            return ""
        ends = f"95 % interval {found.low:+.3g} to {found.high:+.3g}"
        number = f"{found.runs} run{'s' * (found.runs > 1)} × {found.identities} identities"
        return f"{found.difference:+.3g} {self.part.unit} ({ends}; {number})"

    @property
    def p(self) -> float:
        """Two-sided, of what the interval could exclude: no effect, or one that matters; 1 without runs."""
        if self.evidence is None or self.evidence.runs < FEWEST:
            return 1.0
        return min(_p_values(self.part, self.evidence))

    def __str__(self) -> str:
        words = self.word if self.adjusted in ("", self.plain) else f"{self.word} (after Holm: {self.adjusted})"
        effect = f" {self.effect};" if self.effect else ""
        seen = f"{self.part.contrast}:{effect} {self.why} [{self.rule}]"
        return f"{self.part.name}, {self.part.statement}: {words}\n    {seen}"


class Rows:
    """Rows of a ledger and of what lies beside it, each read once; ``None``: the published and the local ones.

    ``development`` reads those of development twins, on which nothing is judged: they tell the noise of planned runs.
    """

    def __init__(self, path: str | Path | None = None, *, development: bool = False):
        self.path = None if path is None else Path(path)
        self.development = development
        self._kept: dict[tuple[Runs, str], pd.DataFrame] = {}

    def of(self, runs: Runs, measure: str) -> pd.DataFrame:
        """Of some runs, rows of the ledger, or of a measure."""
        key = runs, "" if measure in METRICS else measure
        if key not in self._kept:
            of = {"development": self.development}
            read = runs.measures(measure, self.path, **of) if key[1] else runs.results(self.path, paired=False, **of)
            self._kept[key] = read
        return self._kept[key]

    @cached_property
    def identities(self) -> pd.DataFrame:
        return ledger.identities(None, self.path)

    @cached_property
    def register(self) -> dict[str, register.Entry]:
        return register.entries(self.path)


def judge(part: Part, rows: Rows | None = None) -> Judgement:
    """The judgement on a part, by the rows of a ledger; default: of the published and the local one together.

    Raises:
        ValueError: rows that cannot be compared; the message begins with the name of the part.
    """
    rows = Rows() if rows is None else rows
    entry = rows.register.get(part.name)
    known = {"part": part, "registered": entry}
    try:
        values = by_run(part, part.terms, rows)
        if values.empty:
            return Judgement(word=NO_RUNS, why=f"to be made by: {part.runs.command}", **known)
        if (found := evidence_of(part, values, rows)) is None:
            why = f"{part.measure} was recorded without identities, so no interval reaches beyond these people"
            return Judgement(word=NO_RUNS, why=why, **known)
        reasons = [reason for control in part.controls if (reason := _broken(part, control, rows))]
    except ValueError as error:
        raise ValueError(f"{part.name}: {error}") from error
    plain, why = word_of(part, found)
    known |= {"evidence": found, "plain": plain}
    deviations = register.deviations(part, entry) if entry else []
    if len(values) != part.runs.number:
        deviations.append(f"{len(values)} of {part.runs.number} planned runs")
    if entry and (early := _earliest(part, rows)) < entry.date:
        deviations.append(f"a run of {early}, before the rule was registered")
    if entry:
        deviations += _other_code(part, entry, rows)
    if deviations:
        return Judgement(word=DEVIATED, why=f"{'; '.join(deviations)}; by the rule alone {plain}: {why}", **known)
    if reasons:
        return Judgement(word=CANNOT_TELL, why="; ".join(reasons), **known)
    return Judgement(word=plain, why=why, **known)


def word_of(part: Part, found: Evidence) -> tuple[str, str]:
    """The word of the rule, and why."""
    if found.runs < FEWEST:
        return UNDECIDED, f"{'two runs decide' if found.runs == 2 else 'one run decides'} nothing"
    low, high = sorted((found.low, found.high)) if part.direction != "less" else sorted((-found.low, -found.high))
    effect, unit = f"{part.smallest:g}", part.unit
    if part.direction == "kept":
        if low > -part.smallest:
            return SUPPORTED, f"a loss of {effect} {unit} is excluded"
        if high < -part.smallest:
            return NOT_SUPPORTED, f"a loss of {effect} {unit} or more is seen"
        return UNDECIDED, f"the interval holds a loss of {effect} {unit}"
    if high < part.smallest:
        seen = "the opposite is seen" if high < 0 else "a smaller one is seen" if low > 0 else "a smaller one is open"
        return NOT_SUPPORTED, f"an effect of {effect} {unit}, the smallest that matters, is excluded; {seen}"
    if low > 0:
        return SUPPORTED, f"the interval excludes 0 and reaches {effect} {unit}, the smallest effect that matters"
    return UNDECIDED, f"the interval holds 0 and {effect} {unit}, the smallest effect that matters"


def in_family(found: list[Judgement]) -> list[Judgement]:
    """The same judgements with ``adjusted``: what is left of their words after Holm's correction.

    The family are those that were judged as planned.
    """
    ran = [each for each in found if each.word == each.plain]
    holds = dict(zip((each.part.name for each in ran), evidence.holm([each.p for each in ran]) <= _ERROR, strict=True))
    return [
        replace(each, adjusted=each.plain if holds[each.part.name] else UNDECIDED) if each in ran else each
        for each in found
    ]


# ---- from records to numbers


def by_run(part: Part, terms: tuple[Term, ...], rows: Rows) -> pd.Series:
    """The contrast of every run that all variants of some terms have, by split (0 where there is one) and seed."""
    tables = _tables(part, terms, rows)
    shared = _shared(tables)
    if not len(shared):
        return pd.Series(dtype="float64")
    column = part.measure if part.measure in METRICS else "value"
    scale = 100 if part.measure in METRICS else 1
    number = {key: scale * table.loc[shared, column] for key, table in tables.items()}
    parts = [
        term.factor * number[term.variant, term.name] / (number[term.share_of, term.name] if term.share_of else 1)
        for term in terms
    ]
    return sum(parts[1:], parts[0]).dropna()


def by_identity(part: Part, rows: Rows) -> tuple[np.ndarray, np.ndarray, list[float], list[int | None]] | None:
    """What `evidence.crossed` takes: of all runs and identities that all terms have; ``None`` without identities."""
    tables = _tables(part, part.terms, rows)
    shared, keys = _shared(tables), list(tables)
    if part.measure in METRICS:
        scores, weights = _ranked(part, [tables[key].loc[shared] for key in keys], rows)
    else:
        found = [[measures.by_identity(text) for text in tables[key].loc[shared, "identities"]] for key in keys]
        if any(each is None for several in found for each in several):
            return None
        people = sorted(set.intersection(*(set(each.index) for several in found for each in several)))
        scores = np.array([[each.loc[people].to_numpy() for each in several] for several in found])
        weights = np.full(scores.shape[1:], 1 / max(len(people), 1))
    place = {key: number for number, key in enumerate(keys)}
    factors, shares = np.zeros(len(keys)), [None] * len(keys)
    for term in part.terms:
        factors[place[term.variant, term.name]] += term.factor
        if term.share_of:
            shares[place[term.variant, term.name]] = place[term.share_of, term.name]
    return scores, weights, factors.tolist(), shares


def evidence_of(part: Part, values: pd.Series, rows: Rows) -> Evidence | None:
    """The evidence of the contrast of every run; ``None`` where the runs share people of whom nothing is recorded."""
    if part.runs.splits:
        tested = rows.of(part.runs, METRICS[0])["recipe"]
        people = rows.identities.loc[rows.identities["recipe"].isin(tested), "pid"].nunique()
        return evidence.resampled(values.groupby(level=0).mean(), OVERLAP.get(part.runs.dataset, 1.0), people)
    given = by_identity(part, rows)
    return None if given is None else evidence.crossed(*given)


def _other_code(part: Part, entry: register.Entry, rows: Rows) -> list[str]:
    """Methods whose runs were made with other code than was registered, in words."""
    used = pd.concat(_tables(part, part.terms, rows).values())
    made = used.groupby("method")["code"].agg(set)
    return [f"runs of {method} with other code" for method in made.index if made[method] != {entry.codes.get(method)}]


def _tables(part: Part, terms: tuple[Term, ...], rows: Rows) -> dict[tuple[str, str], pd.DataFrame]:
    """(variant, name) → its rows by split and seed, of one version of the code."""
    keys = [(variant, term.name) for term in terms for variant in (term.variant, term.share_of) if variant]
    every, found = rows.of(part.runs, part.measure), {}
    for variant, name in dict.fromkeys(keys):
        chosen = every[every["variant"] == variant]
        chosen = chosen if part.measure in METRICS else chosen[chosen["name"] == name]
        chosen = most_common_code(chosen) if len(chosen) else chosen
        index = pd.MultiIndex.from_arrays([chosen["split"].fillna(0), chosen["seed"]], names=["split", "seed"])
        found[variant, name] = chosen.set_index(index).sort_index()
    return found


def _shared(tables: dict[tuple[str, str], pd.DataFrame]) -> pd.MultiIndex:
    """The runs that all have; raises ``ValueError`` if they were not made with the same data."""
    first, *others = tables.values()
    shared = first.index
    for table in others:
        shared = shared.intersection(table.index)
    for table in others:
        if (table.loc[shared, "data"].to_numpy() != first.loc[shared, "data"].to_numpy()).any():
            raise ValueError("runs of the same seed were made with different data; make them again")
    return shared.sort_values()


def _ranked(part: Part, tables: list[pd.DataFrame], rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Scores (K, R, I) in points, and weights (R, I): the shares of the queries."""
    scores, queries = [], []
    for table in tables:
        found = ledger.by_run(table, rows.identities, part.name)
        scores.append(100 * found.pivot(index="run", columns="pid", values=part.measure).fillna(0))
        queries.append(found.pivot(index="run", columns="pid", values="queries").fillna(0))
    if not all(each.equals(queries[0]) for each in queries):
        raise ValueError("runs were not scored on the same queries; evaluate them with the same data and protocol")
    return np.stack(scores), queries[0].div(queries[0].sum(axis=1), axis=0).to_numpy()


def _broken(part: Part, control: Control, rows: Rows) -> str:
    """Why a control says that the instrument cannot tell; empty if it can."""
    values = by_run(part, control.terms, rows)
    if values.empty:
        return f"a control was not run: {control.statement}"
    mean = float(values.mean())
    if control.low <= mean <= control.high:
        return ""
    return f"a control failed: {control.statement} ({mean:.3g}, not {control.low:g} to {control.high:g})"


def _earliest(part: Part, rows: Rows) -> str:
    """The date of the first run of a part."""
    return min(table["date"].min() for table in _tables(part, part.terms, rows).values()).date().isoformat()


def _p_values(part: Part, found: Evidence) -> tuple[float, float]:
    """Two-sided, of what would have to be excluded for *supported* and for *not supported*."""
    turned = -found.difference if part.direction == "less" else found.difference
    sign = -1 if part.direction == "less" else 1
    bounds = (-part.smallest, -part.smallest) if part.direction == "kept" else (0.0, part.smallest)
    support, refute = (found.beyond(sign * bound) for bound in bounds)
    return support if turned > bounds[0] else 1.0, refute if turned < bounds[1] else 1.0
