"""The benchmark: one row for every model, and nothing mixed that must not be."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from reidlib import methods
from reidlib.evaluation import protocols
from reidlib.experiments import benchmark, ledger, studies, tables
from reidlib.experiments.part import Runs
from reidlib.experiments.records import describe
from reidlib.methods.study import LENGTHS

DATA = {"name": "twin", "is_twin": True, "twin_version": "1", "profile": "cpu", "split": None}


@pytest.fixture
def add(own_ledger) -> Callable[..., None]:
    """``add(model, scores, dataset=…, profile=…, **columns)`` records a run with each score (mAP), seed 0, 1, …"""

    def record(
        model: str,
        scores: list[float | None],
        *,
        dataset: str = "sysu",
        profile: str = "cpu",
        split=None,
        **columns: object,
    ) -> None:
        protocol, recipe = protocols.get(dataset), benchmark.models(dataset, profile)[model]
        entries = []
        for seed, score in enumerate(scores):
            entry = describe(recipe.replace(seed=seed), DATA | {"split": split}, "c" * 16, "some label")
            entry |= {"protocol": protocol.name, "reranking": "none", "trials": 10, "device": "cpu", "threads": 1}
            entry |= {"mAP": score, "rank-1": score, "mINP": score, "parameters": 1_234_567, "epochs": recipe.epochs}
            entries.append(entry | {"step_seconds": 0.2} | columns)
        with tables.locked(own_ledger):
            ledger.LEDGER.append(own_ledger, entries)

    return record


def test_models_are_methods_and_their_baselines_baselines_first() -> None:
    models = benchmark.models("sysu", "cpu")
    assert next(iter(models)) == "baseline" and "baseline, trained longer" not in models
    assert {"MAUM-G", "FIENet", "IDKL", "shared proxies", "B", "baseline, as many parameters"} <= models.keys()
    longer = [recipe for label, recipe in models.items() if label.endswith("epochs")]
    assert longer and all(models[f"baseline, {recipe.epochs} epochs"] == recipe for recipe in longer)
    assert list(benchmark.models("chair", "cpu"))[-1] == "DALNet"
    with pytest.raises(ValueError, match="no recipe"):
        benchmark.models("nowhere", "cpu")


def test_in_paper_there_is_a_baseline_of_each_budget() -> None:
    models = benchmark.models("sysu", "paper")
    assert {"baseline", "MAUM-G", "MAUM-P", "FIENet", "IDKL"} <= models.keys()
    assert models["baseline"] == methods.recipe("baseline", profile="paper")
    for title, name in {"MAUM": "maum", "FIENet": "fienet", "IDKL": "idkl"}.items():
        compared = studies.get(f"{name}-comparison", profile="paper")
        assert models[f"baseline, budget of {title}"] == compared["baseline"] != models["baseline"]
        longer = compared["baseline, trained longer"]
        assert models[f"baseline, {longer.epochs} epochs, budget of {title}"] == longer
    assert len({recipe.digest for recipe in models.values()}) == len(models)
    assert not any("budget" in label for label in benchmark.models("sysu", "cpu"))
    assert "wider baseline" not in models, "it is there as the baseline with as many parameters"


def test_trainings_are_as_long_as_their_epochs_only_if_these_are_equally_long(add: Callable) -> None:
    for label in ("baseline", "MAUM-G", "IDKL"):
        add(label, [0.5], profile="paper")
    table = benchmark.table().set_index("model")
    assert table["step_ratio"].tolist() == [1, 1, 1]
    assert table["time_ratio"].to_dict() == pytest.approx(
        {"baseline": 1, "MAUM-G": 120 / 81, "IDKL": np.nan}, nan_ok=True
    )


def test_a_row_is_the_mean_over_the_runs_of_a_model(add: Callable) -> None:
    add("FIENet", [0.5, 0.6, 0.7], step_seconds=0.3)
    add("baseline", [0.4], step_seconds=0.2)
    table = benchmark.table().set_index("model")
    assert table.index.tolist() == ["baseline", "FIENet"] and table["method"].tolist() == ["baseline", "fienet"]
    row = table.loc["FIENet"]
    assert row["mAP"] == pytest.approx(0.6) and row["mAP std"] == pytest.approx(0.1) and row["runs"] == 3
    assert (row["seeds"], row["splits"], row["parameters"]) == (3, 0, 1_234_567)
    assert row["step_seconds"] == pytest.approx(0.3) and row["step_ratio"] == pytest.approx(1.5)
    assert np.isnan(table.loc["baseline", "mAP std"]) and table.loc["baseline", "step_ratio"] == 1


def test_a_training_costs_its_steps_times_its_epochs(add: Callable) -> None:
    longer = next(label for label in benchmark.models("sysu", "cpu") if label.endswith("epochs"))
    add("baseline", [0.4], step_seconds=0.2)
    add(longer, [0.5], step_seconds=0.25)
    row = benchmark.table().set_index("model").loc[longer]
    usual = benchmark.models("sysu", "cpu")["baseline"].epochs
    assert row["step_ratio"] == pytest.approx(1.25)
    assert row["time_ratio"] == pytest.approx(1.25 * int(longer.split()[1]) / usual)


def test_data_profiles_protocols_and_rankings_are_never_mixed(add: Callable) -> None:
    add("baseline", [0.4, 0.5])
    add("baseline", [0.1], profile="screen")
    add("baseline", [0.2], protocol="sysu-indoor-1shot-official")
    add("baseline", [0.9], reranking="k-reciprocal")
    add("baseline", [0.3], source="real", data="e" * 16)
    add("baseline", [0.6], dataset="chair")
    add("baseline", [0.7], profile="ci")  # its numbers mean nothing
    table = benchmark.table()
    assert sorted(table["mAP"].round(6)) == [0.1, 0.2, 0.3, 0.45, 0.6, 0.9]
    found = dict(benchmark.places(table))
    assert len(found) == 6 and all(len(part) == 1 for part in found.values())
    assert "SYSU-MM01 (synthetic twin 1, cpu) · sysu-all-1shot-official, 10 galleries · re-ranking: none" in found
    assert any("real data" in heading for heading in found) and any("k-reciprocal" in heading for heading in found)
    assert len(benchmark.table(profile="screen")) == 1


def test_other_recipes_failed_runs_and_older_code_do_not_count(add: Callable) -> None:
    add("baseline", [0.8], code="old", date="2030-01-01")  # a clock ahead makes no row newer
    add("baseline", [0.4, 0.5])
    add("baseline", [None] * 3, error="OSError: no", code="new")
    add("baseline", [0.9], recipe="another", changes=json.dumps({"learning_rate": 1.0}))
    (row,) = benchmark.table().to_dict("records")
    assert row["runs"] == 2 and row["mAP"] == pytest.approx(0.45)


def test_step_times_of_other_machines_have_no_ratio(add: Callable) -> None:
    add("baseline", [0.4])
    add("FIENet", [0.5], device="Some GPU")
    add("MAUM-G", [0.5], threads=2)
    add("MAUM-G", [0.5], profile="screen")  # where there is no baseline
    ratios = benchmark.table().set_index(["profile", "model"])["step_ratio"]
    assert ratios["cpu", "baseline"] == 1 and ratios.drop(("cpu", "baseline")).isna().all()
    for model in ("baseline", "FIENet"):
        add(model, [0.4, 0.4]), add(model, [0.5], device="Some GPU")
    assert benchmark.table()["step_ratio"].isna().all(), "which of two machines?"


def test_splits_are_counted(add: Callable) -> None:
    for split in (1, 2):
        add("DALNet", [0.4, 0.5], dataset="pku-sketch", split=split, data=f"split {split}", trials=1)
    (row,) = benchmark.table().to_dict("records")
    assert (row["runs"], row["seeds"], row["splits"]) == (4, 2, 2)
    shown = repr(benchmark.tables())
    assert "PKU-Sketch (synthetic twin 1, cpu) · pku-sketch · re-ranking: none" in shown
    assert "45.0 ± 5.8" in shown and "1.23 M" in shown


def test_an_empty_ledger_gives_empty_tables(own_ledger) -> None:
    assert benchmark.table().empty and benchmark.tables().tables == ()


def test_training_length_is_compared_with_a_reference_trained_as_long(published_rows_of_today: Callable) -> None:
    for method in ("maum", "fienet"):
        published_rows_of_today(Runs(f"{method}-training-length", profile="screen"))
    found = {each.names[0]: each for each in benchmark.lengths(ledger.PUBLISHED)}
    named = ("MAUM-G", "shared proxies", "FIENet")
    assert {f"{name}, × {length}" for name in named for length in LENGTHS} <= set(found)
    for name, each in found.items():
        assert each.names[1] == f"baseline, {name[-3:]}"
        assert f" {each.word} than " in each.verdict or each.verdict.startswith(f"{each.word}:")
