"""Numbers that others published, with where each was read, and how to put them beside results from here.

The table is ``reidlib/published/literature.csv``, in per cent, as printed. A row is of one method under one protocol:

* ``protocol``: how the names of the protocols begin that ask the same question here, whoever draws the gallery. For
  PKU-Sketch every paper has ten random splits of its own.
* ``re-ranking``: ``none`` (the source says so), ``none known`` (it says nothing), ``unclear`` (there is reason to
  doubt, see the note), else what was used.
* ``extra data``: what the method was given beyond images of the data set and ImageNet weights.
* ``origin``: ``paper`` (its own), ``repository`` (its own), ``secondary`` (a table of others, named in ``source``; such
  tables are copied and mutate), ``reproduction`` (somebody else's run).

Only rows whose source could be named are here; FIENet's accuracy, for one, could not be found and is absent.
"""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from reidlib.data import registry
from reidlib.evaluation.protocols import Protocol
from reidlib.evaluation.results import EvaluationResult, report

FILE = Path(__file__).resolve().parent.parent / "published" / "literature.csv"
REAL = "real data"
METRICS = ("rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP")


def table(
    *, dataset: str | None = None, protocol: str | Protocol | None = None, method: str | None = None
) -> pd.DataFrame:
    """The published rows, in per cent, in the order of years.

    Args:
        dataset: only of this data set, by its name here.
        protocol: only of this protocol: one of the column ``protocol``, or a protocol or its name.
        method: only of this method; where no row has that name, of its variants: ``"MAUM"`` gives the rows of
            ``MAUM-P``.

    Raises:
        ValueError: nothing is known of that data set, protocol or method; the message lists the known.
    """
    types = {"year": "Int64"} | dict.fromkeys(METRICS, "float64")
    try:
        rows = pd.read_csv(FILE, dtype=types, keep_default_na=False, na_values=dict.fromkeys(types, ""))
    except ValueError as error:
        raise ValueError(f"{FILE} is damaged; take it again from git or a copy: {error}") from error
    for column, value in (("dataset", dataset), ("protocol", protocol), ("method", method)):
        if value is None:
            continue
        known = rows[column].unique().tolist()
        wanted = [_of(str(value), known) if column == "protocol" else value]
        if column == "method" and value not in known:
            wanted = [name for name in known if re.fullmatch(f"{re.escape(str(value))}-[A-Z]", name)]
        if not set(wanted) & set(known):
            raise ValueError(f"no published numbers of {column} {str(value)!r}; known: {', '.join(known)}")
        rows = rows[rows[column].isin(wanted)]
    return rows.reset_index(drop=True)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Tables under headings, in per cent. They stand apart because their rows must not be read as one ranking."""

    tables: tuple[tuple[str, pd.DataFrame], ...]

    def __repr__(self) -> str:
        return "\n\n".join(f"{heading}\n{_shown(table).to_string()}" for heading, table in self.tables)

    def _repr_html_(self) -> str:
        return "".join(f"<h4>{html.escape(heading)}</h4>{_shown(table).to_html()}" for heading, table in self.tables)


def compare(here: EvaluationResult | Mapping[str, Any] | Iterable[EvaluationResult] | pd.DataFrame) -> Comparison:
    """Published numbers and ours, protocol by protocol, in tables of their own.

    Published numbers are of real data; a twin is another data set. What was re-ranked is shown beside published rows
    that were, what was not beside rows that were not; rows of unclear status have a table of their own in both cases.

    Args:
        here: a result, what :func:`reidlib.evaluation.report` takes, or rows of
            :func:`reidlib.experiments.ledger.table`.

    Raises:
        ValueError: there is no result, or twin and real ones are mixed.
    """
    rows, kinds = _ours(here)
    if len(set(kinds)) > 1:
        found = " and some of ".join(sorted(set(kinds), reverse=True))
        raise ValueError(f"some results are of {found}; compare them in calls of their own")
    published = table()
    known = published["protocol"].unique()
    asked = [_of(name, known) or name for name in rows["protocol"]]
    tables = []
    for (protocol, is_reranked), ours in rows.groupby([asked, rows["re-ranking"] != "none"], sort=False):
        theirs = published[published["protocol"] == protocol]
        unclear = theirs["re-ranking"] == "unclear"
        alike = ~unclear & (theirs["re-ranking"].isin(["none", "none known"]) != is_reranked)
        status = "re-ranked" if is_reranked else "not re-ranked"
        for kept, label in ((alike, f"{status}, as far as is known"), (unclear, "unclear whether re-ranked")):
            if kept.any():
                tables.append((f"{protocol} · published, real data · {label}", theirs[kept]))
        data = (
            kinds[0] if kinds[0] == REAL else f"{kinds[0].removesuffix('s')}, not to be ranked with published numbers"
        )
        tables.append((f"{protocol} · here, {data} · {status}", ours))
    return Comparison(tuple(tables))


def _of(name: str, known: Iterable[str]) -> str | None:
    """The published protocol that a protocol's name belongs to."""
    return next((protocol for protocol in known if f"{name}-".startswith(f"{protocol}-")), None)


def _ours(here: Any) -> tuple[pd.DataFrame, list[str]]:
    """Rows to show, with the columns ``protocol`` and ``re-ranking``; what data results are of, one by one."""
    if isinstance(here, pd.DataFrame):
        here = here[here["mAP"].notna()]  # runs that failed have no scores
        if here.empty:
            raise ValueError("compare() needs at least one row with scores")
        columns = ["method", "dataset", "source", "profile", "split", "seed", "variant", "protocol", "re-ranking"]
        rows = here.rename(columns={"reranking": "re-ranking"})[[*columns, *METRICS]].reset_index(drop=True)
        rows[list(METRICS)] *= 100
        return rows, [_kind(name, source.startswith("twin"), "own" in source) for name, source in _of_rows(here)]
    if isinstance(here, EvaluationResult):
        here = [here]
    named = dict(here if isinstance(here, Mapping) else enumerate(here))
    several = {name: [value] if isinstance(value, EvaluationResult) else list(value) for name, value in named.items()}
    results = [result for values in several.values() for result in values]
    return report(several if isinstance(here, Mapping) else results), [
        _kind(result.dataset, result.is_twin, result.own_split is not None) for result in results
    ]


def _of_rows(rows: pd.DataFrame) -> Iterable[tuple[str, str]]:
    return rows[["dataset", "source"]].itertuples(index=False, name=None)


def _kind(dataset: str, is_twin: bool, has_own_split: bool) -> str:
    """What data a result is of, as far as that decides what it may be compared with."""
    if is_twin:
        return "synthetic twins"
    return "own data" if registry.is_own(dataset) else "real data, own splits" if has_own_split else REAL


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """As text, without empty columns and what the heading says."""
    text = table.drop(columns=["dataset", "protocol", "direction"], errors="ignore").map(_text)
    return text.loc[:, (text != "").any()]


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
