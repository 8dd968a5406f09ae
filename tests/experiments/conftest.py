"""Records that nobody trained for, to judge claims by."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from reidlib.evaluation import protocols
from reidlib.experiments import claims, ledger, tables
from reidlib.experiments.records import describe

DATA = {"name": "twin", "is_twin": True, "twin_version": "1", "profile": "cpu"}
PIDS = (3, 8, 21)


@pytest.fixture
def add(own_ledger) -> Callable[..., None]:
    """``add(runs, {variant: scores of seed 0, 1, …})`` records a run for each score: its mAP and rank-1, of all people.

    Variants that are not named get ``other`` in every seed, None: no run.
    """

    def record(
        runs: claims.Runs,
        scores: Mapping[str, Sequence[float]],
        *,
        other: float | None = None,
        split: int | None = None,
        **columns: object,
    ) -> None:
        protocol, entries, people = protocols.get(runs.dataset), [], []
        assert scores.keys() <= runs.variants.keys()
        longest = max(map(len, scores.values()))
        for variant, recipe in runs.variants.items():
            for seed, score in enumerate(scores.get(variant, [] if other is None else [other] * longest)):
                entry = describe(recipe.replace(seed=seed), DATA | {"split": split}, "c" * 16, variant)
                entry |= {"protocol": protocol.name, "reranking": protocol.reranking, "trials": 10}
                entry |= dict.fromkeys(("rank-1", "mAP", "mINP"), score)
                entry |= {"parameters": 1000, "epochs": recipe.epochs, "step_seconds": 0.2, "device": "cpu"}
                entries.append(entry | {"threads": 1} | columns)
                key = {name: entries[-1][name] for name in ledger.KEY}
                people += [{**key, "pid": pid, "queries": 2, "rank-1": score, "mAP": score} for pid in PIDS]
        with tables.locked(own_ledger):
            ledger.LEDGER.append(own_ledger, entries)
            ledger.IDENTITIES.append(ledger.identity_file(own_ledger), people)

    return record


@pytest.fixture
def measure(own_ledger) -> Callable[..., None]:
    """``measure(runs, "relay", {variant: {name: values of seed 0, 1, …}})`` records them."""

    def record(
        runs: claims.Runs,
        name: str,
        values: Mapping[str, Mapping[str, Sequence[float]]],
        *,
        split: int | None = None,
        **columns: object,
    ) -> None:
        rows = []
        for variant, named in values.items():
            for what, several in named.items():
                for seed, value in enumerate(several):
                    recipe = runs.variants[variant].replace(seed=seed)
                    row = describe(recipe, DATA | {"split": split}, "c" * 16, variant) | columns
                    rows.append(row | {"measure": name, "name": what, "value": value})
        file = ledger.measure_file(own_ledger)
        with tables.locked(file):
            ledger.MEASUREMENTS.append(file, rows)

    return record
