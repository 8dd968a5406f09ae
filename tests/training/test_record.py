"""What a run folder says of a run: where it went on, how many processes made it, from what it was extended."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reidlib.data import ReIDDataset
from reidlib.methods import Recipe
from reidlib.training import record, runs

STEP = {"optimizer": "sgd", "learning_rate": 0.01, "schedule": "step", "warmup": 1, "milestones": (3,)}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """``elsewhere(torch="1.0")`` makes this machine one of another kind."""
    real = record.environment

    def move(**changes) -> None:
        monkeypatch.setattr(record, "environment", lambda *arguments: {**real(*arguments), **changes})

    return move


@pytest.mark.parametrize("changes", [{"torch": "1.0"}, {"device": "NVIDIA H100"}, {"threads": 99}, {"precision": "x"}])
def test_a_resume_elsewhere_leaves_its_trace(fit, elsewhere, caplog, changes: dict) -> None:
    begun = fit(epochs=3, stop_after=1).environment
    assert "resumed" not in begun and fit(epochs=3, stop_after=1).is_timed, "nothing went on yet"
    elsewhere(**changes)
    run = fit(epochs=3)
    (name, value), (again,) = *changes.items(), run.environment["resumed"]
    assert {key: run.environment[key] for key in begun} == begun, "the beginning stays"
    assert again["epoch"] == 1 and again[name] == value and not run.is_timed
    assert [each[name] for each in run.environments] == [begun[name], value]
    text = f"goes on after epoch 1 in another environment ({name} was {begun[name]}, is {value})"
    assert text in caplog.text and text in (run.folder / "log.txt").read_text()
    assert json.loads((run.folder / "environment.json").read_text()) == runs.load(run.folder).environment


def test_a_resume_in_the_same_place_is_noted_and_timed(fit, caplog) -> None:
    fit(epochs=3, stop_after=1), fit(epochs=3, stop_after=2)
    run = fit(epochs=3)
    assert [each["epoch"] for each in run.environment["resumed"]] == [1, 2] and run.is_timed and not caplog.text
    assert "goes on after epoch 2\n" in (run.folder / "log.txt").read_text()
    assert fit(epochs=3).environment == run.environment, "a finished run does not go on"


def test_runs_of_several_processes_are_other_runs(fit, recipe: Recipe, dataset: ReIDDataset, elsewhere) -> None:
    folders = [runs.default_folder(recipe, dataset, processes) for processes in (1, 2, 4)]
    assert folders[0] == runs.default_folder(recipe, dataset) and len(set(folders)) == 3
    assert folders[1].name.endswith("-2processes")
    elsewhere(processes=2)
    fit(epochs=1)
    elsewhere(processes=1)
    with pytest.raises(ValueError, match=r"another number of processes \(processes is 2 there, 1 here\)"):
        fit(epochs=1)


@pytest.mark.slow
def test_an_extended_run_equals_one_that_was_as_long_from_the_beginning(fit, same_weights, elsewhere) -> None:
    whole, short = (
        fit("whole", epochs=5, **STEP),
        fit("short", epochs=2, validate_every=2, **{**STEP, "milestones": ()}),
    )
    before = {file.name: file.read_bytes() for file in short.folder.iterdir()}
    longer = fit("longer", epochs=5, extends=short.folder, **STEP)
    assert longer.finished and same_weights(longer.model, whole.model)
    assert longer.history["loss"].tolist() == whole.history["loss"].tolist()
    assert [each["epoch"] for each in longer.environment["resumed"]] == [2]
    assert {file.name: file.read_bytes() for file in short.folder.iterdir()} == before, "the short run stays as it is"
    assert fit("longer", epochs=5, extends=short.folder, **STEP).environment == longer.environment


@pytest.mark.slow
def test_an_extended_run_that_was_stopped_goes_on(fit, same_weights) -> None:
    fit("short", epochs=2, **{**STEP, "milestones": ()})
    begun = fit("longer", epochs=5, extends=runs.home().parent / "short", stop_after=2, **STEP)
    assert begun.epoch == 2 and fit("longer", epochs=5, stop_after=3, **STEP).epoch == 3, "without the short run"
    longer = fit("longer", epochs=5, **STEP)
    assert same_weights(longer.model, fit("whole", epochs=5, **STEP).model)


@pytest.mark.parametrize(
    ("short", "longer", "message"),
    [
        ({}, {"epochs": 5}, r"fell to 0 over 2 epochs \(schedule 'cosine'\), and with 5 would"),
        (STEP | {"milestones": (1,)}, STEP | {"epochs": 5}, "keep warmup and the milestones before its end"),
        (STEP | {"milestones": ()}, STEP | {"epochs": 2}, "must have more, not 2"),
        (STEP | {"milestones": ()}, STEP | {"epochs": 5, "height": 48}, "height is 32 there, 48 here"),
        (STEP | {"milestones": ()}, STEP | {"epochs": 5, "epoch": "pairs"}, "epoch is 'images' there, 'pairs' here"),
        (STEP | {"milestones": (), "epoch": "pairs"}, STEP | {"epochs": 5}, "epoch is 'pairs' there, 'images' here"),
    ],
)
def test_a_run_that_cannot_be_extended_says_why(fit, short: dict, longer: dict, message: str, tmp_path) -> None:
    run = fit("short", epochs=2, **short)
    with pytest.raises(ValueError, match=message):
        fit("longer", extends=run.folder, **longer)
    assert not (tmp_path / "longer" / "recipe.json").exists()


def test_a_longer_recipe_in_the_same_folder_is_told_how_to_go_on(fit) -> None:
    fit(epochs=2, **{**STEP, "milestones": ()})
    with pytest.raises(ValueError, match=r"epochs is 2 there, 4 here.*To go on from that run .*extends='.*run'"):
        fit(epochs=4, **{**STEP, "milestones": ()})
    fit("cosine", epochs=2)
    with pytest.raises(ValueError, match=r"epochs is 2 there, 4 here.*cannot be extended: its learning rate fell to 0"):
        fit("cosine", epochs=4)


def test_weights_alone_cannot_be_extended(fit) -> None:
    run = fit("short", epochs=2, **{**STEP, "milestones": ()})
    for file in run.folder.glob("checkpoint-*"):
        file.unlink()
    with pytest.raises(FileNotFoundError, match="weights alone do not suffice"):
        fit("longer", epochs=5, extends=run.folder, **STEP)
    with pytest.raises(FileNotFoundError, match="no run that could be extended"):
        fit("longer", epochs=5, extends=run.folder / "nowhere", **STEP)


@pytest.mark.slow
def test_checkpoints_are_as_far_apart_as_asked(fit, same_weights, tmp_path: Path) -> None:
    part = fit(epochs=5, stop_after=4, checkpoint_every=3)
    assert part.epoch == 4 and sorted(file.name[:15] for file in part.folder.glob("*.pt")) == [
        "checkpoint-0003",
        "checkpoint-0004",
    ]
    assert same_weights(fit(epochs=5, checkpoint_every=3).model, fit("whole", epochs=5).model)
    with pytest.raises(ValueError, match="checkpoint_every= must be at least 1, not 0"):
        fit("other", checkpoint_every=0)


def test_a_file_of_a_run_is_not_its_folder(fit) -> None:
    run = fit(epochs=1)
    with pytest.raises(FileNotFoundError, match=r"weights\.safetensors is a file; name the folder of the run: .*run$"):
        runs.load(run.folder / "weights.safetensors")
