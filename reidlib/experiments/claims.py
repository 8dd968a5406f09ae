"""The claims of the papers, cut into parts, and the verdicts on our records.

``claims.verdict("M2")`` → :class:`Verdict`, with a judgement on each part, those that hold first; ``claims.table()`` →
all of them. Nothing is trained here. Rules are data (:mod:`reidlib.experiments.part`), registered before the runs
(:mod:`reidlib.experiments.register`), and read by one judge (:mod:`reidlib.experiments.judge`). Beside the twelve
claims stand four of whole methods, ``M0``, ``F0``, ``I0`` and ``D0``: against the baseline of equal budget, of equal
time, and of equal parameters, and of DALNet against drawings that nothing learns.

Documented: the claims (abstracts of the papers). Reconstructed (ours): measures, comparisons, rules (the method's
``claims.py``). A verdict is one on our reconstruction of a method, in one profile and regime, on a synthetic twin.
Verdicts of older regimes and rules are :func:`history`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from reidlib.experiments import ledger
from reidlib.experiments.judge import (  # noqa: F401 (words that outsiders look for here)
    CANNOT_TELL,
    DEVIATED,
    NO_RUNS,
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    WORDS,
    Judgement,
    Rows,
    in_family,
    judge,
)
from reidlib.experiments.part import Part, Runs
from reidlib.methods import registry

HISTORY = "history.csv"


@dataclass(frozen=True)
class Claim:
    """A claim of a paper, and its parts: ``paper`` names the method; a comparison of the whole method is ours."""

    name: str
    paper: str
    statement: str
    parts: tuple[Part, ...]
    is_comparison: bool = False

    @property
    def runs(self) -> tuple[Runs, ...]:
        """Of all parts, each once."""
        return tuple(dict.fromkeys(part.runs for part in self.parts))

    @property
    def rule(self) -> str:
        """The rules of its parts, a line each."""
        return "\n".join(f"{part.name}, {part.statement}\n    {part.rule}" for part in self.parts)


@dataclass(frozen=True)
class Verdict:
    """What the records say of a claim: a judgement on each of its parts, those that hold first."""

    claim: Claim
    judgements: tuple[Judgement, ...]

    @property
    def word(self) -> str:
        """The word that all parts have in common, or each word with its parts: ``"supported: a; undecided: b"``."""
        return in_words(self.judgements)

    @property
    def runs(self) -> int:
        """The fewest runs behind a part; 0 if one has none."""
        return min(each.evidence.runs if each.evidence else 0 for each in self.judgements)

    def __str__(self) -> str:
        head = f"{self.claim.name}, {self.claim.paper}: {self.word}"
        return "\n".join([head, *(f"  {each}" for each in self.judgements)])


def in_words(judgements: Iterable[Judgement]) -> str:
    """The words of the parts of a claim."""
    by_word: dict[str, list[str]] = {}
    for each in judgements:
        by_word.setdefault(each.word, []).append(each.part.name[2:])
    if len(by_word) == 1:
        return next(iter(by_word))
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in by_word.items())


def registered() -> dict[str, Claim]:
    """Name → claim, paper by paper, as methods register them with the library."""
    return {name: claim for name, claim in known().items() if not claim.is_comparison}


def known() -> dict[str, Claim]:
    """Name → claim or comparison of a whole method, paper by paper."""
    return {claim.name: claim for _, claims in registry.parts("claims") for claim in claims}


def parts() -> dict[str, Part]:
    """Name → part, of all claims and comparisons."""
    return {part.name: part for claim in known().values() for part in claim.parts}


def get(name: str) -> Claim:
    """The claim of that name, such as ``"M1"`` or ``"M0"``; raises ``ValueError``, which lists all."""
    every = known()
    if name not in every:
        raise ValueError(f"unknown claim {name!r}; choose from: {', '.join(every)}")
    return every[name]


def verdict(name: str, path: str | Path | None = None) -> Verdict:
    """The verdict on a claim, each part by itself: without a correction over the family, see :func:`verdicts`.

    Args:
        name: of the claim, see :func:`known`.
        path: of a ledger, with the other tables and the register beside it; default: the published and the local one
            together.

    Raises:
        ValueError: an unknown claim (the message lists the known), or rows that cannot be compared; the message says
            which.
    """
    return of_claim(get(name), path)


def of_claim(claim: Claim, path: str | Path | None = None) -> Verdict:
    """The verdict on a claim that need not be one of the library's; arguments and errors as of :func:`verdict`."""
    rows = Rows(path)
    return Verdict(claim, _held_first(judge(part, rows) for part in claim.parts))


def verdicts(path: str | Path | None = None) -> list[Verdict]:
    """The verdicts on all claims and comparisons, in order, with Holm's correction over all parts."""
    rows = Rows(path)
    found = {each.part.name: each for each in in_family([judge(part, rows) for part in parts().values()])}
    return [Verdict(claim, _held_first(found[part.name] for part in claim.parts)) for claim in known().values()]


def table(found: Iterable[Verdict] | None = None) -> pd.DataFrame:
    """A row for each part: ``claim``, ``paper``, ``statement``, ``verdict``, ``after Holm``, ``effect``, ``why``, and
    ``rule``: the hash of the rule that was applied."""
    rows = [
        (
            *(each.part.name, verdict.claim.name, verdict.claim.paper, each.part.statement),
            *(each.word, each.adjusted, each.effect, each.why, each.rule),
        )
        for verdict in (verdicts() if found is None else found)
        for each in verdict.judgements
    ]
    columns = ["part", "claim", "paper", "statement", "verdict", "after Holm", "effect", "why", "rule"]
    return pd.DataFrame(rows, columns=columns).set_index("part")


def findings(found: Iterable[Verdict] | None = None) -> pd.DataFrame:
    """A row for each part with its numbers, for `reidlib.plots.claims`: ``part``, ``claim``, ``paper``, ``statement``,
    ``contrast``, ``verdict``, ``plain``, ``unit``, ``direction``, ``smallest``, ``difference``, ``low``, ``high`` and
    ``runs``; parts without runs have no number."""
    rows = []
    for verdict in verdicts() if found is None else found:
        for each in verdict.judgements:
            part, found = each.part, each.evidence
            numbers = {name: getattr(found, name) if found else None for name in ("difference", "low", "high", "runs")}
            of_part = {name: getattr(part, name) for name in ("statement", "contrast", "unit", "direction", "smallest")}
            head = {"part": part.name, "claim": verdict.claim.name, "paper": verdict.claim.paper}
            rows.append(head | of_part | {"verdict": each.word, "plain": each.plain} | numbers)
    kinds = {"runs": "Int64", **dict.fromkeys(("difference", "low", "high"), "float64")}
    return pd.DataFrame(rows).astype(kinds)


def history() -> pd.DataFrame:
    """Verdicts of older regimes, as they were: ``regime``, ``claim``, ``paper``, ``statement``, ``rule``, ``verdict``,
    ``runs`` and ``evidence``. Their rules had another kind of interval and were not registered."""
    return pd.read_csv(ledger.PUBLISHED.with_name(HISTORY), dtype={"runs": "Int64"})


def _held_first(judgements: Iterable[Judgement]) -> tuple[Judgement, ...]:
    return tuple(sorted(judgements, key=lambda each: WORDS.index(each.word)))
