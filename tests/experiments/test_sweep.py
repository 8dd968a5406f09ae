"""Sweeps: every run once, with its measures, and failures recorded."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from reidlib import evaluation, methods, training
from reidlib.experiments import ledger, measures, studies, sweep
from reidlib.training import provenance

PROTOCOL = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)

pytestmark = pytest.mark.usefixtures("own_ledger")


def order(trained: list) -> list[tuple[bool, int]]:
    return [entry[:2] for entry in trained]


def test_every_variant_runs_with_every_seed_and_only_once(grid, imageless, trained) -> None:
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=(0, 1))
    assert order(trained) == [(True, 0), (False, 0), (True, 1), (False, 1)]
    assert rows[["variant", "seed"]].to_numpy().tolist() == [["full", 0], ["no neck", 0], ["full", 1], ["no neck", 1]]
    assert rows["recipe"].tolist() == [r.replace(seed=seed).digest for seed in (0, 1) for r in grid.values()]
    assert rows["mAP"].between(0, 1).all() and rows["error"].isna().all()
    assert rows.equals(ledger.table()), "what is returned is what was recorded"
    again = sweep.run(grid.items(), imageless, PROTOCOL, seeds=(0, 1, 2))
    assert order(trained[4:]) == [(True, 2), (False, 2)] and again[:4].equals(rows)


def test_published_rows_count(grid, imageless, trained, own_ledger: Path) -> None:
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    own_ledger.rename(ledger.PUBLISHED)
    assert sweep.run(grid, imageless, PROTOCOL, seeds=[0]).equals(rows) and len(trained) == 2


def test_other_data_protocol_or_code_is_another_run(grid, imageless, trained, monkeypatch) -> None:
    sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    for other in (replace(imageless, twin_version="2"), replace(imageless, profile="cpu")):
        sweep.run(grid, other, PROTOCOL, seeds=[0])
    assert len(trained) == 6
    single = evaluation.protocols.get("sysu", gallery="agw", num_trials=1)
    assert not any(job.is_done() for job in sweep.plan(grid, imageless, single, [0]))
    monkeypatch.setattr(provenance, "code_digest", lambda *_: "0" * 16)
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    assert len(trained) == 8 and set(rows["code"]) == {"0" * 16} and len(rows) == 2
    folders = {folder for *_, folder, _ in trained}
    assert len(folders) == 8, "a run of older code is neither loaded nor overwritten"


def test_failure_is_a_row_and_the_sweep_goes_on(grid, imageless, trained, caplog) -> None:
    grid = {"diverges": grid["full"].replace(learning_rate=666), **grid}
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    assert rows["error"].isna().tolist() == [False, True, True] and rows["mAP"].isna().tolist() == [True, False, False]
    assert rows["error"][0] == "FloatingPointError: loss is nan" and rows["variant"][0] == "diverges"
    assert "diverges, seed 0, failed" in caplog.text and "Traceback" in caplog.text
    sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    assert len(trained) == 4, "what failed is tried again, what succeeded is not"


def test_one_recipe_under_two_labels_is_trained_once(grid, imageless, trained) -> None:
    rows = sweep.run({**grid, "also full": grid["full"]}, imageless, PROTOCOL, seeds=[0])
    assert len(trained) == 2 and rows["variant"].tolist() == ["full", "no neck", "also full"]
    assert rows["mAP"][0] == rows["mAP"][2]


def test_threads_are_as_asked_and_given_back(grid, imageless, trained) -> None:
    before = torch.get_num_threads()
    sweep.run(grid, imageless, PROTOCOL, seeds=[0], threads=before + 1)
    assert {threads for *_, threads in trained} == {before + 1} and torch.get_num_threads() == before


def test_processes_of_torchrun_are_told_to_start_it_without(grid, imageless, trained, monkeypatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none"), monkeypatch.setenv("WORLD_SIZE", "2")
    jobs = sweep.plan(grid, imageless, PROTOCOL, [0])
    calls = (lambda: sweep.run(grid, imageless, PROTOCOL), lambda: sweep.submit(jobs, cluster="debug"))
    for call in calls:
        with pytest.raises(ValueError, match=r"torchrun starts no sweep.*start it without"):
            call()
    assert not trained
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert len(sweep.run(grid, imageless, PROTOCOL, seeds=[0])) == 2 == len(trained)


def test_code_that_changes_meanwhile_ends_the_sweep(grid, imageless, trained, monkeypatch) -> None:
    jobs = sweep.plan(grid, imageless, PROTOCOL, [0])
    monkeypatch.setattr(provenance, "code_digest", lambda *_: "0" * 16)
    with pytest.raises(RuntimeError, match="the code of reidlib has changed since the sweep began"):
        sweep.perform(jobs)
    assert not trained and ledger.table().empty


def test_what_does_not_fit_is_said_before_anything_is_trained(grid, imageless, trained) -> None:
    lost = replace(imageless, frame=imageless.frame[imageless.frame["split"] == "train"].reset_index(drop=True))
    for arguments, message in [
        ((grid, replace(imageless, name="regdb"), PROTOCOL), "'full' is a recipe for data set 'sysu', not for 'regdb'"),
        ((grid, lost, PROTOCOL), "no query"),
        (([*grid.items(), ("full", grid["full"])], imageless, PROTOCOL), "two recipes are called 'full'"),
        (({}, imageless, PROTOCOL), "at least one recipe"),
    ]:
        with pytest.raises(ValueError, match=message):
            sweep.run(*arguments)
    with pytest.raises(ValueError, match="workers must be at least 1, not 0"):
        sweep.run(grid, imageless, PROTOCOL, workers=0)
    assert not trained


@pytest.mark.parametrize("text", ["class Fifth(Above): ...", "class Fifth(Above): ...\nclass Sixth(Fifth): ..."])
def test_a_class_without_a_file_is_refused_before_anything_is_trained(text, imageless, trained, new_method) -> None:
    scope = {"Above": methods.get("baseline").model, "__name__": "__main__"}
    exec(text, scope)  # as the cell of a notebook does
    new_method("fifth", model=scope.get("Sixth", scope["Fifth"]))
    recipes = {"full": methods.recipe("baseline", profile="ci"), "fifth": methods.recipe("fifth", profile="ci")}
    message = r"method 'fifth' has a class without a source file, {} \(a notebook's cell, for example\): .* a \.py file"
    with pytest.raises(ValueError, match=message.format("Sixth" if "Sixth" in text else "Fifth")):
        sweep.run(recipes, imageless, PROTOCOL)
    assert not trained


def test_several_data_sets_splits_and_protocols_in_one_sweep(grid, imageless, trained) -> None:
    splits = [replace(imageless, split=split) for split in (1, 2)]
    indoor = evaluation.protocols.get("sysu", search="indoor", gallery="agw", num_trials=2)
    rows = sweep.run(grid, splits, [PROTOCOL, indoor], seeds=(0, 1))
    assert len(rows) == 16 and rows["error"].isna().all() and not rows.duplicated(ledger.KEY).any()
    assert rows["split"].tolist() == 2 * (4 * [1] + 4 * [2])
    assert rows["protocol"].tolist() == 8 * [PROTOCOL.name, indoor.name]
    assert rows["variant"].tolist() == 4 * ["full", "full", "no neck", "no neck"]
    assert len({folder for *_, folder, _ in trained}) == 8, "one training for both protocols"


def test_recipes_meet_the_data_set_they_are_for(grid, imageless, monkeypatch) -> None:
    other = {name: SimpleNamespace(dataset="other", method="baseline") for name in ("full", "only there")}
    for recipe in other.values():
        recipe.replace = lambda seed, recipe=recipe: recipe
    there = replace(imageless, name="other")
    protocol = SimpleNamespace(dataset="other", trials=lambda dataset: [])
    monkeypatch.setattr(provenance, "code_digest", lambda *pair: "-".join(pair))
    pairs = [*grid.items(), *((f"{name} on other", recipe) for name, recipe in other.items())]
    jobs = sweep.plan(pairs, [imageless, there], [PROTOCOL, protocol], [0])
    found = [(job.variant, job.dataset.name, job.protocol, job.code) for job in jobs]
    assert found == [
        ("full", "sysu", PROTOCOL, "baseline-sysu"),
        ("no neck", "sysu", PROTOCOL, "baseline-sysu"),
        ("full on other", "other", protocol, "baseline-other"),
        ("only there on other", "other", protocol, "baseline-other"),
    ]


# ---- measures


def test_measures_are_taken_once_the_row_is_there(grid, imageless, trained, measured) -> None:
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[0, 1], measures=("seed", "epochs"))
    assert measured == [(name, seed) for seed in (0, 0, 1, 1) for name in ("seed", "epochs")]
    found = studies.measures(grid)
    assert found[["variant", "seed", "name", "value"]].to_numpy().tolist() == [
        [variant, seed, *number] for variant in grid for seed in (0, 1) for number in (("seed", seed), ("epochs", 1))
    ]
    assert set(found["code"]) == set(rows["code"]) and set(found["data"]) == set(rows["data"])
    again = sweep.run(grid, imageless, PROTOCOL, seeds=[0, 1], measures=("epochs", "seed"))
    assert len(measured) == 8 and len(trained) == 4 and again.equals(rows), "nothing is repeated"


def test_a_measure_that_is_missing_is_taken_on_the_finished_run(
    grid, imageless, trained, measured, monkeypatch
) -> None:
    sweep.run(grid, imageless, PROTOCOL, seeds=[0], measures=["seed"])
    text = ledger.local().read_text()
    jobs = sweep.plan(grid, imageless, PROTOCOL, [0], ["seed", "epochs"])
    assert [job.is_recorded for job in jobs] == [True, True] and not any(job.is_done() for job in jobs)
    assert [job.missing_measures for job in jobs] == [["epochs"], ["epochs"]]
    monkeypatch.setattr(evaluation, "evaluate", lambda *_: pytest.fail("evaluated again"))
    sweep.perform(jobs)
    assert measured == [("seed", 0), ("seed", 0), ("epochs", 0), ("epochs", 0)] and len(trained) == 4
    assert ledger.local().read_text() == text and all(job.is_done() for job in jobs)
    found = sweep.measured([*jobs, replace(jobs[0], variant="also full", measures=("epochs",))])
    assert found[["variant", "measure"]].to_numpy().tolist() == [
        *(["full", "seed"], ["full", "epochs"], ["no neck", "seed"], ["no neck", "epochs"], ["also full", "epochs"])
    ]
    assert list(found) == list(measures.COLUMNS)
    assert sweep.measured(sweep.plan(grid, imageless, PROTOCOL, [0])).empty


def test_a_measure_that_fails_loses_neither_the_row_nor_the_others(grid, imageless, trained, measured, caplog) -> None:
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[7], measures=["seed", "epochs"])
    assert rows["error"].isna().all() and rows["mAP"].notna().all()
    assert measures.table()["measure"].tolist() == ["epochs", "epochs"]
    assert "measure seed of full, seed 7, failed" in caplog.text and "no such seed" in caplog.text
    sweep.run(grid, imageless, PROTOCOL, seeds=[7], measures=["seed", "epochs"])
    assert measured[4:] == [("seed", 7), ("seed", 7)], "what failed is tried again, what succeeded is not"
    assert len(ledger.local().read_text().splitlines()) == 1 + 2


def test_a_run_that_cannot_be_loaded_keeps_its_row(grid, imageless, trained, measured, monkeypatch, caplog) -> None:
    sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    text = ledger.local().read_text()

    def fit(*_, **__) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(training, "fit", fit)
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[0], measures=["seed"])
    assert rows["error"].isna().all() and ledger.local().read_text() == text and "the disk is full" in caplog.text


def test_two_protocols_share_what_is_measured(grid, imageless, trained, measured) -> None:
    indoor = evaluation.protocols.get("sysu", search="indoor", gallery="agw", num_trials=2)
    sweep.run(grid, imageless, [PROTOCOL, indoor], seeds=[0], measures=["seed"])
    assert measured == [("seed", 0), ("seed", 0)] and len(studies.measures(grid)) == 2


def test_an_unknown_measure_is_said_before_anything_is_trained(grid, imageless, trained) -> None:
    with pytest.raises(ValueError, match="unknown measure 'beauty'; choose from: cameras, "):
        sweep.run(grid, imageless, PROTOCOL, measures=["beauty"])
    assert not trained
