"""The runs that a claim rests on, one mean difference with its interval, and how several make a verdict."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from reidlib.data.registry import twin_version
from reidlib.evaluation import protocols
from reidlib.experiments import ledger, studies
from reidlib.experiments.comparison import compare, same_seeds
from reidlib.experiments.uncertainty import half_width
from reidlib.methods import Recipe

SUPPORTED, NOT_SUPPORTED, UNDECIDED, NO_RUNS = WORDS = ("supported", "not supported", "undecided", "no runs yet")


@dataclass(frozen=True)
class Runs:
    """Which runs a claim rests on: a study in one profile, with seeds 0, 1, … and splits 1, 2, ….

    Seeds beyond these count as well, once they are in the ledger.
    """

    study: str
    dataset: str = "sysu"
    profile: str = "cpu"
    seeds: int = 5
    splits: int = 0

    @property
    def command(self) -> str:
        """What makes them; runs that are in the ledger already are not made again."""
        splits = range(1, self.splits + 1)
        return studies.command(self.study, self.dataset, self.profile, range(self.seeds), splits)

    @property
    def variants(self) -> dict[str, Recipe]:
        """Label → recipe."""
        return studies.get(self.study, dataset=self.dataset, profile=self.profile)

    def results(self, path: Path | None, *, paired: bool) -> pd.DataFrame:
        """Rows of the ledger: on the twin, under the usual protocol of the data set, without re-ranking."""
        usual = protocols.get(self.dataset)
        rules = {"protocol": usual.name, "reranking": usual.reranking}
        return studies.results(self.variants, path, paired=paired, **self._data, **rules)

    def measures(self, measure: str, path: Path | None) -> pd.DataFrame:
        """What was measured on these runs."""
        file = None if path is None else ledger.MEASUREMENTS.beside(path)
        if file and path.exists() and not file.exists():  # a ledger beside which nothing was measured
            return ledger.MEASUREMENTS.frame([])
        return studies.measures(self.variants, file, measure=measure, **self._data)

    @property
    def _data(self) -> dict[str, str]:
        return {"dataset": self.dataset, "source": f"twin {twin_version(self.dataset)}"}


@dataclass(frozen=True)
class Finding:
    """One mean difference with its 95 % interval.

    Attributes:
        what: what was subtracted from what.
        difference, low, high: in ``unit``; the ends are NaN where a single run leaves them open.
        runs: how many (seeds, or seeds × splits); pairs of them where two models are compared.
        word: ``"supported"``, ``"not supported"`` or ``"undecided"``, for this difference alone.
        decides: whether the verdict on the claim rests on it; else it stands beside.
        wanted: +1 if the claim asks for a positive difference, -1 for a negative one.
    """

    what: str
    unit: str
    difference: float
    low: float
    high: float
    runs: int
    word: str
    decides: bool = True
    wanted: int = 1

    def __str__(self) -> str:
        ends = f"95 % interval {self.low:+.3g} to {self.high:+.3g}; {self.runs} runs" if self.runs > 1 else "one run"
        text = f"{self.what}: {self.difference:+.3g} {self.unit} ({ends}): {self.word}"
        return text if self.decides else f"beside it, {text}"


def word_of(low: float, high: float, wanted: int) -> str:
    """By which side of 0 the interval lies on; undecided where it holds 0 or is open (NaN)."""
    low, high = sorted((wanted * low, wanted * high))
    return SUPPORTED if low > 0 else NOT_SUPPORTED if high < 0 else UNDECIDED


def over_runs(what: str, differences: pd.Series, unit: str, *, wanted: int = 1) -> list[Finding]:
    """Mean over runs with Student's interval, as a list of one; of none if there is no run."""
    if not (number := len(differences)):
        return []
    mean, half = float(differences.mean()), half_width(differences)
    word = word_of(mean - half, mean + half, wanted)
    return [Finding(what, unit, mean, mean - half, mean + half, number, word, wanted=wanted)]


def between(rows: pd.DataFrame, above: str, below: str, path: Path | None, **options: object) -> list[Finding]:
    """Above − below in points, with the bootstrap of `reidlib.experiments.comparison`; ``options`` of ``compare``."""
    metric = str(options.get("metric", "mAP"))
    if not {above, below} <= set(rows["variant"]):
        return []
    a, b = same_seeds(rows, above, below)
    if a.empty:
        return []
    what, unit = f"{above} − {below}", f"points of {metric}"
    if len(a) == 1:
        difference = 100 * (a[metric].iloc[0] - b[metric].iloc[0])
        return [Finding(what, unit, difference, math.nan, math.nan, 1, UNDECIDED)]
    known = ledger.identities(pd.concat([a, b]), path)
    found = compare(a, b, identities=known, **options)
    low, high = (100 * end for end in found.intervals[metric])
    return [Finding(what, unit, 100 * found.differences[metric], low, high, len(a), word_of(low, high, 1))]


def all_of(found: list[Finding], expected: int) -> tuple[str, list[Finding]]:
    """Supported if all ``expected`` deciding findings are, not supported if one is not, else undecided."""
    words = [finding.word for finding in found if finding.decides]
    if not words:
        return NO_RUNS, found
    complete = len(words) == expected and set(words) == {SUPPORTED}
    return SUPPORTED if complete else NOT_SUPPORTED if NOT_SUPPORTED in words else UNDECIDED, found


def beside(found: list[Finding]) -> list[Finding]:
    """The same findings, without a say in the verdict."""
    return [replace(finding, decides=False) for finding in found]
