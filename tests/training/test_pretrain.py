"""A trunk is rebuilt bit by bit, and its run's record says which it was."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from reidlib.app import cli
from reidlib.networks import pretrained
from reidlib.training import pretrain

TOY = {"people": 3, "per_camera": 1, "steps": 3, "batch": 6, "height": 32, "width": 16}


def test_rebuilt_bit_by_bit(tmp_path: Path) -> None:
    """On a CPU, with the same number of threads; another seed is another trunk."""
    recipe = pretrain.Pretraining.of("tiny", **TOY)
    before = torch.random.get_rng_state()
    files = [pretrain.pretrain(recipe, tmp_path / name, device="cpu") for name in ("one", "two")]
    assert torch.equal(before, torch.random.get_rng_state())
    assert files[0].read_bytes() == files[1].read_bytes()
    other = pretrain.pretrain(dataclasses.replace(recipe, seed=1), tmp_path / "other", device="cpu")
    assert other.read_bytes() != files[0].read_bytes()
    cards = [json.loads(file.with_suffix(".json").read_text()) for file in (*files, other)]
    assert cards[0]["sha256"] == cards[1]["sha256"] != cards[2]["sha256"] and cards[2]["recipe"]["seed"] == 1


def test_it_learns() -> None:
    recipe = pretrain.Pretraining.of("tiny", **TOY | {"steps": 30, "batch": 12})
    images, labels = pretrain.render(recipe)
    assert images.shape == (24, 3, 32, 16) and images.dtype == torch.uint8 and labels.bincount().tolist() == [8, 8, 8]
    state, measured = pretrain.train(recipe, images, labels, torch.device("cpu"))
    assert measured["accuracy"] > 0.5 and state["bn1.num_batches_tracked"] == 30
    rates = [recipe.rate(step) for step in range(30)]
    assert max(rates) <= recipe.learning_rate and rates[0] < rates[3] > rates[-1] > 0
    with pytest.raises(ValueError, match="steps must be at least 1, not 0"):
        pretrain.Pretraining.of("tiny", steps=0)


def test_the_command_makes_one_that_recipes_find(isolated_home: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(pretrain, "USUAL", (32, 16))
    assert cli.main(["pretrain", "mobilenet_v2", "--people", "2", "--steps", "1", "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert "--weights twin" in told and str(isolated_home) in told
    assert pretrained.find("mobilenet_v2") == isolated_home / "data" / "trunks" / "mobilenet_v2.safetensors"
    assert cli.main(["pretrain", "resnet9", "--people", "2", "--device", "cpu"]) == 2
    assert "unknown backbone 'resnet9'" in capsys.readouterr().err


def test_a_run_says_which_trunk_it_began_with(fit) -> None:
    run = fit(epochs=1, weights="twin")
    assert run.environment["weights"]["source"] == "twin"
    assert run.environment["weights"]["sha256"] == pretrained.digest("tiny") in run.recipe.weights
    assert "starts from weights: twin" in (run.folder / "log.txt").read_text()
