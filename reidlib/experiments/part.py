"""A claim is judged by its parts: each is a value that says, before the runs, what will be compared and what decides.

A :class:`Part` is data and no code: statement, measure, contrast, direction, the smallest effect that matters, how many
runs of which recipes, and the instrument with its positive and its negative control. One judge reads them all
(:mod:`reidlib.experiments.judge`), and :mod:`reidlib.experiments.register` keeps their hashes.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from reidlib.data.registry import twin_version
from reidlib.evaluation import protocols
from reidlib.experiments import ledger, studies
from reidlib.experiments.records import DEVELOPMENT
from reidlib.methods import Recipe

METRICS = ("mAP", "rank-1")
REGIME = "twin weights, weighted triplet, no erasing, rate 4e-3; 54 visits in screen, 24 in cpu"
"""The regime of the recipes of today (docs/regime.md), which every part names and which is hashed with it. Whoever
changes the defaults of recipes gives it another name; the digests of the recipes are what decides whether runs belong
to a part."""
RULE = """supported: the 95 % interval lies on the claimed side of 0 and reaches the smallest effect that matters; kept:
it lies above the loss that matters. not supported: it excludes the smallest effect that matters (kept: it lies below
the loss that matters). undecided: else, and with fewer than three runs. Interval: reidlib.experiments.evidence, the
pigeonhole bootstrap stretched to crossed components, or Nadeau-Bengio over splits. instrument cannot tell: a control is
out of its bounds, whatever the interval."""
"""Hashed with every part: change it whenever the judge or the evidence are changed."""


@dataclass(frozen=True)
class Runs:
    """Which runs a part rests on: a study in one profile, with seeds 0, 1, … and splits 1, 2, ….

    No more and no fewer: the number is fixed with the part.
    """

    study: str
    dataset: str = "sysu"
    profile: str = "cpu"
    seeds: int = 5
    splits: int = 0

    @property
    def number(self) -> int:
        """How many runs of each variant."""
        return self.seeds * max(self.splits, 1)

    @property
    def command(self) -> str:
        """What makes them; runs that are in the ledger already are not made again."""
        splits = range(1, self.splits + 1)
        return studies.command(self.study, self.dataset, self.profile, range(self.seeds), splits)

    @property
    def variants(self) -> dict[str, Recipe]:
        """Label → recipe."""
        return studies.get(self.study, dataset=self.dataset, profile=self.profile)

    def results(self, path: Path | None, *, paired: bool, development: bool = False) -> pd.DataFrame:
        """Rows of the ledger: on the twin, or its development twin, under the usual protocol, without re-ranking."""
        usual = protocols.get(self.dataset)
        rules = {"protocol": usual.name, "reranking": usual.reranking}
        return studies.results(self.variants, path, paired=paired, **self._data(development), **rules)

    def measures(self, measure: str, path: Path | None, *, development: bool = False) -> pd.DataFrame:
        """What was measured on these runs."""
        file = None if path is None else ledger.MEASUREMENTS.beside(path)
        if file and path.exists() and not file.exists():  # a ledger beside which nothing was measured
            return ledger.MEASUREMENTS.frame([])
        return studies.measures(self.variants, file, measure=measure, **self._data(development))

    def _data(self, development: bool) -> dict[str, str]:
        return {"dataset": self.dataset, "source": f"{DEVELOPMENT * development}twin {twin_version(self.dataset)}"}


@dataclass(frozen=True)
class Term:
    """``factor`` × a number of a variant: its metric in points, or what was measured under ``name``.

    ``share_of``: a variant; the number is then a share of that variant's.
    """

    factor: float
    variant: str
    name: str = ""
    share_of: str = ""


def minus(above: str, below: str, name: str = "") -> tuple[Term, Term]:
    """Above − below."""
    return Term(1, above, name), Term(-1, below, name)


def within(variant: str, above: str, below: str) -> tuple[Term, Term]:
    """Of one variant, one number less another."""
    return Term(1, variant, above), Term(-1, variant, below)


@dataclass(frozen=True)
class Control:
    """What an instrument must show if it can tell: the mean over runs of some terms lies from ``low`` to ``high``."""

    statement: str
    terms: tuple[Term, ...]
    low: float
    high: float


@dataclass(frozen=True)
class Instrument:
    """What reads the number, and how it is checked: it sees what is there, and does not see what is not."""

    name: str
    positive: Control
    negative: Control


def ranking(reference: str) -> Instrument:
    """Retrieval scores: the reference is told from chance, and is not at the ceiling."""
    level = (Term(1, reference),)
    return Instrument(
        "ranks of test queries",
        Control(f"{reference} ranks people better than chance, by 5 points at least", level, 5, 100),
        Control(f"{reference} leaves room to be better: 5 points at least", level, 0, 95),
    )


@dataclass(frozen=True)
class Part:
    """One statement that can fail.

    Attributes:
        name: ``"M2a"``: that of the claim and a letter.
        statement: what is claimed, in words.
        measure: ``"mAP"``, ``"rank-1"``, or the name of a measure.
        terms: the contrast.
        unit: of the contrast.
        direction: ``"more"`` or ``"less"``: which side is claimed; ``"kept"``: no loss that matters.
        smallest: the smallest effect that matters, above 0; of ``"kept"``, the smallest loss.
        runs: of which recipes, how many.
        instrument: with its controls.
        equal: what both sides have alike: ``"budget"``, ``"time"`` or ``"parameters"``; for comparisons.
        called: the contrast in words, where its terms are many.
        regime: of the recipes.
    """

    name: str
    statement: str
    measure: str
    terms: tuple[Term, ...]
    unit: str
    direction: Literal["more", "less", "kept"]
    smallest: float
    runs: Runs
    instrument: Instrument
    equal: str = "budget"
    called: str = ""
    regime: str = REGIME

    def __post_init__(self) -> None:
        if not self.smallest > 0:
            raise ValueError(f"{self.name}: the smallest effect that matters must be above 0, not {self.smallest}")

    @property
    def controls(self) -> tuple[Control, Control]:
        return self.instrument.positive, self.instrument.negative

    @property
    def contrast(self) -> str:
        """The terms in words."""
        return self.called or contrast(self.terms)

    @property
    def rule(self) -> str:
        """In a sentence."""
        sure = f"{self.runs.number} runs, {self.runs.profile}, {self.runs.dataset}"
        if self.direction == "kept":
            return f"{self.contrast}: no loss of {self.smallest:g} {self.unit} ({sure})"
        side = "above" if self.direction == "more" else "below"
        return f"{self.contrast}: {side} 0, and {self.smallest:g} {self.unit} not excluded ({sure})"

    @property
    def recipes(self) -> dict[str, list[str]]:
        """Variant → digest of the recipe of each planned seed; of all variants that terms and controls name."""
        named = {each for term in self._terms for each in (term.variant, term.share_of) if each}
        variants = self.runs.variants
        if unknown := sorted(named - set(variants)):
            known = ", ".join(variants)
            raise ValueError(f"{self.name}: study {self.runs.study} has no variant {unknown[0]!r}; it has: {known}")
        return {
            name: [variants[name].replace(seed=seed).digest for seed in range(self.runs.seeds)]
            for name in variants
            if name in named
        }

    @property
    def text(self) -> str:
        """The canonical text of the rule: all fields, and ``RULE``, as JSON with sorted keys."""
        return canonical(asdict(self) | {"rule": " ".join(RULE.split())})

    @property
    def _terms(self) -> tuple[Term, ...]:
        return (*self.terms, *(term for control in self.controls for term in control.terms))


def gain(
    name: str,
    statement: str,
    terms: tuple[Term, ...],
    runs: Runs,
    reference: str,
    *,
    metric: str = "mAP",
    smallest: float = 1.5,
    equal: str = "budget",
    called: str = "",
) -> Part:
    """A part about ranks: the contrast of a metric, in points, is above 0.

    Args:
        reference: the variant whose level tells whether ranks can tell anything.
        smallest: points that matter; 1.5 is about what one ingredient is worth in the ladders of papers.
    """
    unit, instrument = f"points of {metric}", ranking(reference)
    return Part(name, statement, metric, terms, unit, "more", smallest, runs, instrument, equal=equal, called=called)


def contrast(terms: tuple[Term, ...]) -> str:
    """Terms in words: ``"+ memory − baseline"``."""
    one = {term.variant for term in terms}
    found = ""
    for term in terms:
        words = [] if len(one) == 1 and term.name else [term.variant]
        words += [term.name] if term.name and (len(one) == 1 or len({each.name for each in terms}) > 1) else []
        text = ", ".join(words) + (f" ÷ {term.share_of}" if term.share_of else "")
        size = abs(term.factor)
        text = text if size == 1 else f"{size:.3g} × {text}"
        found += f" − {text}" if term.factor < 0 and found else f" + {text}" if found else text
        found = f"−{found}" if term.factor < 0 and found == text else found
    names = {term.name for term in terms}
    return f"{names.pop()}: {found}" if len(one) > 1 and len(names) == 1 and "" not in names else found


def canonical(value: Any) -> str:
    """JSON of one spelling."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
