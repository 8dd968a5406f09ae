"""Result numbers in prose, written from the records and never typed: ``<!--= D0a difference -->13.7<!--/-->``.

Between the two marks stands a number that :func:`fill` writes; `make results` fills ``README.md``, ``docs`` and the
Markdown of the notebooks. A key names

* a part of a claim and one of its numbers (``difference``, ``low``, ``high``, ``runs``);
* a model of the benchmark, ``sysu cpu FIENet: mAP``: data set, profile, model and metric, a mean over its runs in per
  cent;
* a network on photographs, ``photographs FIENet, colour → colour: mAP low``: a column of
  :mod:`reidlib.experiments.photographs` in per cent, not centred; of several rows the last of the reference's size.

A known part or model without runs gets a dash.
A number that is typed beside mAP, rank-1, points or a per cent sign without such a mark fails a test.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from reidlib.data.registry import READERS
from reidlib.experiments import benchmark, claims, photographs
from reidlib.experiments.judge import Rows, judge

MARK = re.compile(r"<!--= (?P<key>[^>]+?) -->(?P<value>.*?)<!--/-->", re.DOTALL)
_RESULT = re.compile(
    r"(?<![\w.])[−+-]?\d+(?:[.,]\d+)*\s*(?:±\s*[\d.]+\s*)?(?:points?\b|(?:points?\s+of\s+)?(?:mAP|rank-1)\b|%|per\s+cent)"
    r"|(?:mAP|rank-1)\s*(?:of|is|was|:|=)?\s*[−+-]?\d+(?:\.\d+)?"
)
UNITS = re.compile(r"(?:±\s*)?1 mAP|±1 mAP|9[58] %|0\.1 mAP|(?:0\.6|1\.5) points")
"""What a text may say beside these words: an accuracy asked for, a confidence, an effect made up, what a rule of choice
asks for."""


def typed(text: str) -> Iterator[str]:
    """Result numbers of a text in Markdown that no mark accounts for; blocks written from records are left out."""
    text = MARK.sub("", re.sub(r"<!-- (\w+): written by .*?<!-- end of \1 -->", "", text, flags=re.DOTALL))
    text = re.sub(r"```.*?```|`[^`]*`|\$[^$]*\$", "", text, flags=re.DOTALL)
    return (found.group() for found in _RESULT.finditer(text) if not UNITS.fullmatch(found.group().strip()))


def fill(text: str, value: Callable[[str], str]) -> str:
    """The text with the number of each key between its marks; raises ``ValueError`` as ``value`` does."""
    return MARK.sub(lambda mark: f"<!--= {mark['key']} -->{value(mark['key'])}<!--/-->", text)


def values(path: Path | None = None) -> Callable[[str], str]:
    """What a key stands for, by the rows of a ledger; raises ``ValueError`` for a key that names no record."""
    rows, parts, tables = Rows(path), claims.parts(), {}

    def of_part(name: str, number: str) -> str:
        found = judge(parts[name], rows).evidence
        if number not in ("difference", "low", "high", "runs"):
            raise ValueError(f"{name} has no {number!r}: difference, low, high and runs are known of parts")
        if found is None:
            return "–"
        known = getattr(found, number)
        return str(known) if number == "runs" else f"{known:.3g}".replace("-", "−")

    def of_model(place: str, metric: str) -> str:
        dataset, profile, model = (*place.split(" ", 2), "", "")[:3]
        key = dataset, profile
        if key not in tables:
            tables[key] = benchmark.table(path, dataset=dataset, profile=profile)
        found = tables[key]
        found = found[found["model"] == model]
        if found.empty and dataset in READERS and metric in benchmark.METRICS and model in benchmark.models(*key):
            return "–"
        if len(found) != 1 or metric not in benchmark.METRICS:
            raise ValueError(f"no single row of the benchmark is {place!r} with {metric!r}")
        return f"{100 * found[metric].item():.1f}"

    def of_photographs(place: str, column: str) -> str:
        file = None if path is None else Path(path).with_name(photographs.PUBLISHED.name)
        network, _, task = place.rpartition(", ")
        rows = photographs.table(file, task=task, centred=False)
        size = rows.loc[rows["reference"].isna() | (rows["reference"] == ""), "height"]
        found = rows[(rows["network"] == network) & rows["height"].isin(size)]
        if found.empty or column not in found or not column.startswith((*photographs.SCORES, "difference")):
            raise ValueError(f"no row of {file or photographs.PUBLISHED} is {place!r} with {column!r}")
        return f"{100 * found[column].iloc[-1]:.1f}".replace("-", "−")

    def of(key: str) -> str:
        name, _, number = key.partition(" ")
        if name in parts:
            return of_part(name, number)
        if name == "photographs":
            return of_photographs(*(each.strip() for each in key.removeprefix(name).rpartition(":")[::2]))
        return of_model(*(each.strip() for each in key.rpartition(":")[::2]))

    return of
