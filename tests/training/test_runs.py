"""Run folders: one place for each recipe and data set, readable again, and nobody else's files."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import reidlib
from reidlib import training
from reidlib.data import ReIDDataset
from reidlib.methods import Recipe
from reidlib.training import devices, provenance, record, runs


def test_folder_tells_recipes_and_data_apart(recipe: Recipe, dataset: ReIDDataset, monkeypatch, tmp_path) -> None:
    folder = runs.default_folder(recipe, dataset)
    assert folder.parent == tmp_path / "runs" / "sysu" / "baseline" and folder.name.startswith("ci-seed0-")
    twin = replace(dataset, is_twin=True, twin_version="1", profile="ci")
    fewer = replace(dataset, frame=dataset.frame[:-1])
    others = [
        runs.default_folder(recipe.replace(epochs=5), dataset),
        *(runs.default_folder(recipe, other) for other in (twin, replace(twin, twin_version="2"), fewer)),
    ]
    assert len({folder, *others}) == 5
    assert runs.default_folder(recipe, replace(dataset, root=Path("elsewhere"))) == folder, "data may move"
    monkeypatch.delenv("REIDLIB_RUNS")
    monkeypatch.setenv("REIDLIB_HOME", str(tmp_path / "home"))
    assert runs.home() == (tmp_path / "home" / "runs").resolve()


def test_finished_run_reads_back_as_it_was(fit, same_weights, tmp_path: Path) -> None:
    run = fit(epochs=2)
    randomness = torch.get_rng_state()
    loaded = runs.load(tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), randomness)
    assert same_weights(loaded.model, run.model) and not loaded.model.training
    assert loaded.model.image_size == (32, 16) and loaded.finished and loaded.epoch == 2
    assert loaded.history.equals(run.history) and loaded.recipe == run.recipe
    assert (loaded.pids == run.pids).all() and len(loaded.pids) == 12
    assert repr(loaded) == repr(run) and "finished" in repr(run) and "validation mAP" in repr(run)
    generator = torch.Generator().manual_seed(0)
    images, modality = torch.randn(6, 3, 32, 16, generator=generator), torch.arange(6) % 2
    assert torch.equal(loaded.model.embed(images, modality), run.model.embed(images, modality))


def test_unfinished_run_reads_back(fit, same_weights, tmp_path: Path) -> None:
    run = fit(stop_after=1)
    loaded = runs.load(tmp_path / "run")
    assert not loaded.finished and loaded.epoch == 1 and "1 of 4 epochs" in repr(loaded)
    assert same_weights(loaded.model, run.model)


def test_folder_holds_what_the_results_rest_on(fit, tmp_path: Path) -> None:
    run = fit(epochs=2)
    names = {file.name for file in (tmp_path / "run").iterdir()}
    assert {"recipe.json", "environment.json", "history.csv", "log.txt", "weights.safetensors"} <= names
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["torch"] == torch.__version__ and environment["reidlib"] == reidlib.__version__
    assert environment["device"] == "cpu" and environment["threads"] == 1
    precision = devices.precision(run.recipe.amp, torch.device("cpu")) or torch.float32
    assert environment["precision"] == str(precision).removeprefix("torch.")
    assert environment["code"] == provenance.code_digest("baseline", "sysu") and environment == run.environment
    assert environment["dataset"]["name"] == "sysu" and environment["dataset"]["twin_version"] is None
    for name in ("recipe.json", "environment.json", "history.csv"):
        assert str(tmp_path) not in (tmp_path / "run" / name).read_text()
    lines = (tmp_path / "run" / "log.txt").read_text().splitlines()
    assert len(lines) == 3 and "starts from weights: twin" in lines[0]
    assert "epoch 2: loss " in lines[2] and "validation mAP" in lines[2]


def test_history_has_every_term_and_the_scores_of_every_epoch(fit) -> None:
    run = fit(epochs=3, validate_every=2)
    history = run.history
    assert list(history["step"]) == list(range(2, 37, 2)) and list(history["epoch"]) == [1] * 6 + [2] * 6 + [3] * 6
    assert history["loss"].to_numpy() == pytest.approx((history["loss.identity"] + history["loss.triplet"]).to_numpy())
    assert history["seconds"].is_monotonic_increasing and (history["images_per_second"] > 0).all()
    assert list(run.validation.index) == [2, 3], "every second epoch, and the last"
    assert run.validation["mAP"].between(0, 1).all() and run.seconds == history["seconds"].iloc[-1]
    assert fit("other", epochs=1, validation_share=0).validation.empty


def test_load_says_what_is_missing(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no run: there is no recipe\.json"):
        runs.load(tmp_path)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    (tmp_path / "environment.json").write_text("{}")
    with pytest.raises(ValueError, match=r"environment\.json is damaged"):
        record.read_environment(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no intact weights yet"):
        runs.load(tmp_path)
    (tmp_path / "recipe.json").write_text(recipe.to_json()[:50])
    with pytest.raises(ValueError, match=r"recipe\.json is damaged or of another version"):
        runs.load(tmp_path)


def test_folder_of_another_run_is_refused(fit, dataset: ReIDDataset, recipe: Recipe, tmp_path: Path) -> None:
    run = fit(epochs=1)
    before = {file.name: file.read_bytes() for file in run.folder.iterdir()}
    with pytest.raises(ValueError, match=r"holds another recipe \(seed is 0 there, 1 here"):
        fit(epochs=1, seed=1)
    fewer = replace(dataset, frame=dataset.frame[:-1])
    with pytest.raises(ValueError, match=r"trained on other data \(images is 240 there, 239 here"):
        training.fit(run.recipe, fewer, run.folder, progress=False)
    assert {file.name: file.read_bytes() for file in run.folder.iterdir()} == before


def test_folder_with_other_files_is_refused_and_left_alone(fit, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds 'thesis\.tex' and no recipe\.json: not a run"):
        fit()
    assert {file.name for file in (tmp_path / "run").iterdir()} <= {"thesis.tex", ".lock"}


def test_run_begun_by_other_code_is_used_and_named(fit, caplog, monkeypatch) -> None:
    run = fit(epochs=1)
    assert not caplog.text
    monkeypatch.setattr(provenance, "code_digest", lambda *_: "0" * 16)
    assert fit(epochs=1).environment == run.environment
    assert "another version of the code" in caplog.text


def test_second_process_waits(fit, caplog, tmp_path: Path) -> None:
    finished = []
    with runs.locked(tmp_path / "run"):
        thread = threading.Thread(target=lambda: finished.append(fit(epochs=1)))
        thread.start()
        deadline = time.monotonic() + 60
        while "waiting for it" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "another process trains this run" in caplog.text and not finished
    thread.join(60)
    assert finished[0].finished


def test_table_lists_every_run(recipe: Recipe, dataset: ReIDDataset) -> None:
    assert runs.table().empty
    done = training.fit(recipe.replace(epochs=1), dataset, progress=False)
    training.fit(recipe.replace(seed=1), dataset, stop_after=1, progress=False)
    table = runs.table().set_index("seed")
    assert list(table["finished"]) == [True, False] and list(table["epoch"]) == [1, 1]
    assert table["validation.mAP"][0] == pytest.approx(done.validation["mAP"].iloc[-1])
    assert table["folder"][0] == str(done.folder)
