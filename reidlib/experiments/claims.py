"""The claims of the papers: how each is measured, the rule of its verdict, and the verdict on our records.

``claims.verdict("M1")`` → :class:`Verdict`; ``claims.table()`` → all of them. Nothing is trained here: verdicts are
computed from the ledger and the measures beside it, and say *no runs yet*, with the command that makes them, where
there are none. The rules were fixed before the runs, and a negative verdict is a result.

Documented: the claims (abstracts of the papers). Reconstructed (ours): measures, comparisons, rules
(the method's ``claims.py``). A verdict is one on our reconstruction of a method, in one profile, on a synthetic twin.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from reidlib.experiments.finding import NO_RUNS, NOT_SUPPORTED, SUPPORTED, UNDECIDED, WORDS, Finding, Runs  # noqa: F401
from reidlib.methods import registry

Judge = Callable[[tuple[Runs, ...], Path | None], tuple[str, list[Finding]]]
"""Takes the runs of a claim and the path of a ledger (``None``: the published and the local one), and computes what the
rule of the claim says, no more: a word of ``WORDS`` and its findings. Those that stand beside do not decide."""

COLUMNS = ["claim", "paper", "verdict", *(each.name for each in fields(Finding))]


@dataclass(frozen=True)
class Claim:
    """A claim of a paper, and how it is judged: ``paper`` names the method, ``rule`` tells what ``judge`` does."""

    name: str
    paper: str
    statement: str
    measure: str
    rule: str
    runs: tuple[Runs, ...]
    judge: Judge


@dataclass(frozen=True)
class Verdict:
    """What the records say of a claim: a word of ``WORDS``, and the findings it rests on."""

    claim: Claim
    word: str
    findings: tuple[Finding, ...]

    @property
    def runs(self) -> int:
        """The fewest runs (or pairs of runs) behind a finding that decides; 0 without any."""
        return min((finding.runs for finding in self.findings if finding.decides), default=0)

    def __str__(self) -> str:
        lines = [f"{self.claim.name}, {self.claim.paper}: {self.word}", *(f"  {finding}" for finding in self.findings)]
        if self.word == NO_RUNS:
            lines += [f"  {runs.command}" for runs in self.claim.runs]
        return "\n".join(lines)


def registered() -> dict[str, Claim]:
    """Name → claim, paper by paper."""
    return {claim.name: claim for _, claims in registry.parts("claims") for claim in claims}


def get(name: str) -> Claim:
    """The claim of that name, such as ``"M1"``; raises ``ValueError``, which lists the known, if there is none."""
    known = registered()
    if name not in known:
        raise ValueError(f"unknown claim {name!r}; choose from: {', '.join(known)}")
    return known[name]


def verdict(name: str, path: str | Path | None = None) -> Verdict:
    """The verdict on a claim.

    Args:
        name: of the claim, see :func:`registered`.
        path: of a ledger, with the other tables beside it; default: the published and the local one together.

    Raises:
        ValueError: an unknown claim (the message lists the known), or rows that cannot be compared; the message says
            which, as :func:`reidlib.experiments.comparison.compare` does.
    """
    claim = get(name)
    try:
        word, findings = claim.judge(claim.runs, None if path is None else Path(path))
    except ValueError as error:
        raise ValueError(f"claim {name}: {error}") from error
    return Verdict(claim, word, tuple(findings))


def verdicts(path: str | Path | None = None) -> list[Verdict]:
    """The verdicts on all claims, in order; arguments and errors as :func:`verdict`."""
    return [verdict(name, path) for name in registered()]


def table(found: Iterable[Verdict] | None = None) -> pd.DataFrame:
    """A row for each claim: ``paper``, ``statement``, ``verdict``, ``evidence`` in words, ``runs`` (study, profile)."""
    rows = []
    for each in verdicts() if found is None else found:
        claim, deciding = each.claim, [str(finding) for finding in each.findings if finding.decides]
        where = "; ".join(f"{runs.study}, {runs.dataset}, {runs.profile}" for runs in claim.runs)
        missing = [runs.command for runs in claim.runs] if each.word == NO_RUNS else []
        rows.append((claim.name, claim.paper, claim.statement, each.word, "; ".join(deciding or missing), where))
    columns = ["claim", "paper", "statement", "verdict", "evidence", "runs"]
    return pd.DataFrame(rows, columns=columns).set_index("claim")


def findings(found: Iterable[Verdict] | None = None) -> pd.DataFrame:
    """A row for each finding, with its fields, ``claim``, ``paper`` and ``verdict``; claims without runs have one
    row, without numbers. For `reidlib.plots.claims`."""
    rows = []
    for each in verdicts() if found is None else found:
        head = {"claim": each.claim.name, "paper": each.claim.paper, "verdict": each.word}
        rows += [head | vars(finding) for finding in each.findings] or [head | {"decides": True}]
    kinds = {"runs": "Int64", "wanted": "Int64", **dict.fromkeys(("difference", "low", "high"), "float64")}
    return pd.DataFrame(rows, columns=COLUMNS).astype(kinds)
