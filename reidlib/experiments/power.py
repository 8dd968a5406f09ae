"""What is registered, run and missing, and what the planned runs can decide: ``power.status()``.

The noise of a planned comparison is that of the *null control*, a baseline beside itself with a module that does
nothing, on the same data set and in the same profile (else in another profile), or, where there is none of the measure,
that of the contrast itself in runs there are. It says how probably an effect of the smallest size that matters would be
told from none by the planned runs. Below :data:`WANTED` a part *cannot be decided with n*.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.data.registry import twin_version
from reidlib.experiments import evidence, ledger, register
from reidlib.experiments.claims import parts
from reidlib.experiments.evidence import OVERLAP, Components
from reidlib.experiments.judge import Rows, by_identity, by_run
from reidlib.experiments.part import METRICS, Part
from reidlib.experiments.records import DEVELOPMENT

WANTED = 0.8
INERT = "inert"  # the option of the model that the null control adds


def status(
    path: str | Path | None = None, *, names: Sequence[str] | None = None, pilot: str | Path | None = None
) -> pd.DataFrame:
    """A row for each part.

    Args:
        names: of parts; default: all.
        path: of a ledger, with the register beside it; default: the published and the local one together.
        pilot: of a ledger whose runs on development twins tell the noise; default: the runs of ``path`` on the twins.

    Returns:
        ``state`` (``"registered <date> <hash>"``, ``"deviates"``, ``"not registered"``), ``runs`` and ``planned``,
        ``missing`` (the command that makes them), ``smallest`` and ``unit``, ``noise`` (where it is taken from),
        ``error`` (standard error at the planned n), ``power`` (0–1, NaN where the noise is unknown), ``decides``:
        ``"yes"``, ``"cannot be decided with n = 5"``, or ``"unknown"``.
    """
    rows, lines = Rows(path), []
    noisy = rows if pilot is None else Rows(pilot, development=True)
    known = parts()
    for part in (known[name] for name in (known if names is None else names)):
        runs, (error, freedom, source) = len(by_run(part, part.terms, rows)), noise(part, noisy)
        power = evidence.power(part.smallest, error, freedom) if error == error else math.nan
        never = f"cannot be decided with n = {part.runs.number}"
        decides = "unknown" if power != power else "yes" if power >= WANTED else never
        missing = part.runs.command if runs < part.runs.number else ""
        lines.append(
            (
                *(part.name, _state(part, rows.register.get(part.name)), runs, part.runs.number, missing),
                *(part.smallest, part.unit, source, error, power, decides),
            )
        )
    columns = ["part", "state", "runs", "planned", "missing", "smallest", "unit", "noise", "error", "power", "decides"]
    return pd.DataFrame(lines, columns=columns).set_index("part")


def noise(part: Part, rows: Rows) -> tuple[float, float, str]:
    """Standard error of a part at its planned number of runs, its degrees of freedom, and where that is taken from.

    NaN, NaN and ``"unknown"`` where there are no two runs to tell it.
    """
    for source, differences in (("null control", _null_control(part, rows)), ("its own runs", _own(part, rows))):
        if differences is None:
            continue
        parts_of, values, where = differences
        if part.runs.splits:
            if len(values) > 1:
                share = 1 / part.runs.splits + OVERLAP.get(part.runs.dataset, 1.0)
                return float(np.std(values, ddof=1) * math.sqrt(share)), part.runs.splits - 1.0, f"{source}, {where}"
        elif parts_of is not None:
            number = part.runs.number
            return math.sqrt(parts_of.variance(number)), parts_of.freedom(number), f"{source}, {where}"
    return math.nan, math.nan, "unknown"


Differences = tuple[Components | None, list[float], str]


def null_pairs(rows: Rows, dataset: str) -> pd.DataFrame:
    """Pairs of the null control in a data set, however old their recipes: columns of the ledger of both, ``_y`` the
    plain one's. What tells a pair is the inert module alone: recipe changes, code, data, protocol and seed agree."""
    source = f"{DEVELOPMENT * rows.development}twin {twin_version(dataset)}"
    found = ledger.table(rows.path, error=None, processes=1, dataset=dataset, source=source)
    changes = [json.loads(text) for text in found["changes"]]
    inert = np.array([bool(each.get("model", {}).get(INERT)) for each in changes], dtype=bool)
    rest = [each | {"model": {k: v for k, v in each.get("model", {}).items() if k != INERT}} for each in changes]
    found["rest"] = [json.dumps({k: v for k, v in each.items() if v != {}}, sort_keys=True) for each in rest]
    keys = ["method", "dataset", "source", "profile", "seed", "split", "protocol", "reranking", "code", "data", "rest"]
    pairs = found[inert].merge(found[~inert], on=keys, suffixes=("", "_y"))
    return pairs.drop_duplicates(["recipe", "split", "code", "protocol", "reranking"], keep="last")


def null_differences(rows: Rows, pairs: pd.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Differences (R, I) in points of some pairs, and the weights of identities."""
    keys = {"": ledger.KEY, "_y": [f"{name}_y" if f"{name}_y" in pairs else name for name in ledger.KEY]}
    scores = []
    for names in keys.values():
        of_side = pairs[names].set_axis(ledger.KEY, axis=1).assign(method="", variant="", seed=pairs["seed"])
        found = ledger.by_run(of_side, rows.identities, "the null control")
        scores.append([found.pivot(index="run", columns="pid", values=each).fillna(0) for each in (metric, "queries")])
    (ours, queries), (theirs, _) = scores
    return 100 * (ours - theirs).to_numpy(), queries.div(queries.sum(axis=1), axis=0).to_numpy()


def _null_control(part: Part, rows: Rows) -> Differences | None:
    """Of metrics, and of contrasts of scores, not of shares: the size of a contrast tells how it adds their noise."""
    if part.measure not in METRICS or any(term.share_of for term in part.terms):
        return None
    pairs = null_pairs(rows, part.runs.dataset)
    for profile in dict.fromkeys((part.runs.profile, *pairs["profile"])):
        of_profile = pairs[pairs["profile"] == profile]
        # the pairs of one place and one version of the code that are most
        groups = [group for _, group in of_profile.groupby(["protocol", "reranking", "code", "rest"])]
        if not groups or len(chosen := max(groups, key=len)) < 2:
            continue
        size = math.sqrt(sum(term.factor**2 for term in part.terms) / 2)
        differences, weights = null_differences(rows, chosen, part.measure)
        values = (size * differences * weights).sum(axis=1).tolist()
        if part.runs.splits and chosen["split"].nunique() < 2:
            continue
        return evidence.components(size * differences[None], weights), values, f"{profile}, {len(chosen)} pairs"
    return None


def _own(part: Part, rows: Rows) -> Differences | None:
    values = by_run(part, part.terms, rows)
    if len(values) < 2:
        return None
    where = f"{part.runs.profile}, {len(values)} runs"
    if part.runs.splits:
        return None, values.groupby(level=0).mean().tolist(), where
    given = by_identity(replace(part), rows)
    return None if given is None else (evidence.components(*given), values.tolist(), where)


def _state(part: Part, entry: register.Entry | None) -> str:
    if entry is None:
        return "not registered"
    return "deviates" if register.deviations(part, entry) else f"registered {entry.date} {entry.hash[:12]}"
