"""Rows that nobody trained for, made to measure: of any part, with the effect, controls and runs that are asked."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from reidlib.experiments import ledger
from reidlib.experiments.part import METRICS, Part, Term

PIDS = np.arange(1, 13)
WHOLE = 50.0  # score, in points, of what others are a share of


def keys(part: Part) -> list[tuple[str, str]]:
    """(variant, name) of every number that a part and its controls name."""
    terms = [*part.terms, *(term for control in part.controls for term in control.terms)]
    return list(dict.fromkeys((variant, t.name) for t in terms for variant in (t.variant, t.share_of) if variant))


def levels(part: Part, effect: float, broken: int | None = None) -> dict[tuple[str, str], float]:
    """A number for each key, so that the contrast is ``effect`` and controls hold, all but the one that is broken."""
    known, bounds = keys(part), {}
    place = {key: number for number, key in enumerate(known)}
    start = np.full(len(known), WHOLE if part.measure in METRICS else 0.4)
    for control in part.controls:
        low, high = bounds.get(control.terms, (-np.inf, np.inf))
        bounds[control.terms] = max(low, control.low), min(high, control.high)
    if broken is not None:
        control = part.controls[broken]
        beyond = control.high + 0.3 if broken else control.low - 0.3
        bounds[control.terms] = beyond, beyond
    targets = {terms: sum(ends) / 2 for terms, ends in bounds.items()}
    wholes = {term.share_of: targets.get((Term(1, term.share_of),), WHOLE) for term in part.terms if term.share_of}
    start = np.array([wholes.get(variant, level) for (variant, _), level in zip(known, start, strict=True)])
    free = [(terms, target) for terms, target in targets.items() if terms[0].variant not in wholes]
    wanted = [(part.terms, effect), *free]
    rows = [_row(terms, place, wholes) for terms, _ in wanted]
    change = np.linalg.lstsq(np.array(rows), [to - row @ start for row, (_, to) in zip(rows, wanted, strict=True)])[0]
    return dict(zip(known, start + change, strict=True))


def _row(terms: tuple[Term, ...], place: dict[tuple[str, str], int], wholes: dict[str, float]) -> np.ndarray:
    row = np.zeros(len(place))
    for term in terms:
        row[place[term.variant, term.name]] += term.factor / wholes.get(term.share_of, 1)
    return row


def rows_of(
    part: Part,
    effect: float,
    *,
    noise: float = 0.1,
    runs: int | None = None,
    broken: int | None = None,
    date: str = "2027-01-01",
    register: dict | None = None,
) -> SimpleNamespace:
    """What the judge reads, in the place of `reidlib.experiments.judge.Rows`.

    Args:
        effect: of the contrast, in smallest effects that matter, turned to what is claimed.
        noise: of the contrast, by run, in the same unit; that by identity is as large.
        runs: how many; default: as planned.
        broken: 0, the positive control fails; 1, the negative one.
    """
    size = part.smallest * (-1 if part.direction == "less" else 1)
    values = levels(part, effect * size, broken)
    number = part.runs.number if runs is None else runs
    generator, first = np.random.default_rng(0), part.terms[0]
    scale = noise * part.smallest / abs(first.factor) * (WHOLE if first.share_of else 1)
    by_run, by_person = generator.normal(0, scale, (number, 1)), generator.normal(0, scale, (1, len(PIDS)))
    wobble = by_run - by_run.mean() + by_person - by_person.mean()
    lines, people, recipes = [], [], part.runs.variants
    for (variant, name), level in values.items():
        cells = level + wobble * ((variant, name) == (first.variant, first.name))
        for place, of_run in enumerate(np.broadcast_to(cells, (number, len(PIDS)))):
            split, seed = divmod(place, part.runs.seeds) if part.runs.splits else (None, place)
            key = {"recipe": recipes[variant].replace(seed=seed).digest, "code": "c" * 16, "processes": 1}
            key |= {"data": f"d{split}", "protocol": "p", "reranking": "none"}
            pairs = list(zip(PIDS, of_run, strict=True))
            text = " ".join(f"{pid}:{value}" for pid, value in pairs) if split is None else None
            score = dict.fromkeys(METRICS, of_run.mean() / 100)
            line = {"variant": variant, "name": name, "value": of_run.mean(), "identities": text, "method": "m"}
            split = pd.NA if split is None else split + 1
            lines.append(key | score | line | {"seed": seed, "split": split, "date": pd.Timestamp(date)})
            people += [key | {"pid": pid, "queries": 2} | dict.fromkeys(METRICS, v / 100) for pid, v in pairs]
    table, scores = pd.DataFrame(lines), pd.DataFrame(people)[[*ledger.KEY, "pid", "queries", *METRICS]]
    return SimpleNamespace(of=lambda runs, measure: table, identities=scores, register=register or {}, path=None)
