"""Checkpoints: whole or absent, checked when read, and never trusted."""

import errno
import logging
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reidlib import methods
from reidlib.training import checkpoints
from reidlib.training.checkpoints import State, build_model, restore, save, short_digest


@pytest.fixture
def state() -> State:
    model = methods.build("baseline", num_ids=3, backbone="tiny").to(memory_format=torch.channels_last)
    recipe = {"epochs": 4, "height": 32, "width": 16}
    history = [{"epoch": 1, "loss": 0.1 + 0.2}]
    return State(recipe, model.arguments, [5, 6, 9], 1, model.state_dict(), {"state": {}}, {}, history)


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def damage(file: Path, how: str) -> None:
    content = file.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    file.write_bytes({"empty": b"", "cut": content[:-10], "flipped": flipped}[how])


def test_state_survives_and_the_last_two_checkpoints_stay(state: State, tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        save(tmp_path, replace(state, epoch=epoch))
    assert [name[:15] for name in files(tmp_path)] == ["checkpoint-0002", "checkpoint-0003", "history.csv"]
    read = restore(tmp_path, state.recipe)
    assert (read.epoch, read.pids, read.history) == (3, state.pids, state.history)
    assert read.arguments == state.arguments
    assert all(torch.equal(tensor, state.model[name]) for name, tensor in read.model.items())


def test_weights_appear_with_the_last_epoch_and_stand_alone(state: State, tmp_path: Path) -> None:
    save(tmp_path, replace(state, epoch=3))
    assert not (tmp_path / "weights.safetensors").exists()
    save(tmp_path, replace(state, epoch=4))
    for file in tmp_path.glob("*.pt"):
        file.unlink()
    read = restore(tmp_path, state.recipe)
    assert (read.epoch, read.pids, read.history) == (4, state.pids, state.history)
    assert all(torch.equal(tensor, state.model[name]) for name, tensor in read.model.items())
    model = build_model(read)
    assert model.image_size == (32, 16)


@pytest.mark.parametrize("how", ["empty", "cut", "flipped"])
def test_damaged_checkpoint_gives_way_to_the_one_before(state: State, tmp_path: Path, caplog, how: str) -> None:
    save(tmp_path, replace(state, epoch=1))
    save(tmp_path, replace(state, epoch=2))
    newest = next(tmp_path.glob("checkpoint-0002-*"))
    damage(newest, how)
    assert restore(tmp_path, state.recipe).epoch == 1
    assert (
        f"{newest.name} is damaged" in caplog.text and f"{newest.name} is damaged" in (tmp_path / "log.txt").read_text()
    )


@pytest.mark.parametrize("how", ["empty", "cut", "flipped"])
def test_damaged_weights_give_way_to_the_last_checkpoint(state: State, tmp_path: Path, caplog, how: str) -> None:
    save(tmp_path, replace(state, epoch=4))
    damage(tmp_path / "weights.safetensors", how)
    read = restore(tmp_path, state.recipe)
    assert read.epoch == 4 and read.optimizer, "read from the checkpoint"
    assert "weights.safetensors is damaged" in caplog.text


def test_nothing_intact_is_nothing(state: State, tmp_path: Path, caplog) -> None:
    assert restore(tmp_path, state.recipe) is None and not caplog.text
    save(tmp_path, state)
    damage(next(tmp_path.glob("*.pt")), "cut")
    assert restore(tmp_path, state.recipe) is None
    assert "no intact checkpoint is left" in caplog.text


def test_file_of_another_recipe_is_refused(state: State, tmp_path: Path) -> None:
    save(tmp_path, replace(state, epoch=4))
    for pattern in ("weights.safetensors", "checkpoint-0004-.*"):
        with pytest.raises(ValueError, match=rf"{pattern} belongs to another recipe \(height is 32 there, 64 here\)"):
            restore(tmp_path, {**state.recipe, "height": 64})
        (tmp_path / "weights.safetensors").unlink(missing_ok=True)


def test_weights_of_another_model_are_refused(state: State) -> None:
    other = replace(state, arguments={**state.arguments, "num_ids": 4})
    with pytest.raises(ValueError, match=r"(?s)do not fit the model .*'num_ids': 4.*classifier\.weight"):
        build_model(other)


class Trap:
    """Would create a file when unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_code_in_a_checkpoint_is_not_run(state: State, tmp_path: Path) -> None:
    trap = pickle.dumps(Trap(tmp_path / "sprung"), protocol=2)  # the one torch expects
    (tmp_path / f"checkpoint-0001-{short_digest(trap)}.pt").write_bytes(trap)
    torch.save({"model": Trap(tmp_path / "sprung")}, tmp_path / "saved")
    content = (tmp_path / "saved").read_bytes()
    (tmp_path / f"checkpoint-0002-{short_digest(content)}.pt").write_bytes(content)
    assert restore(tmp_path, state.recipe) is None
    assert not (tmp_path / "sprung").exists()


def test_foreign_safetensors_are_refused(state: State, tmp_path: Path, caplog) -> None:
    from safetensors.torch import save_file

    save_file({"tensor": torch.zeros(2)}, tmp_path / "weights.safetensors")
    assert restore(tmp_path, state.recipe) is None
    assert "not of a run" in caplog.text


def test_failed_write_keeps_what_was_there(state: State, tmp_path: Path, monkeypatch) -> None:
    save(tmp_path, replace(state, epoch=1))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        save(tmp_path, replace(state, epoch=2))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_reading_where_nothing_can_be_written(state: State, tmp_path: Path, caplog, monkeypatch) -> None:
    save(tmp_path, state)
    damage(next(tmp_path.glob("*.pt")), "cut")

    def refuse(folder: Path, text: str) -> None:
        raise PermissionError(folder)

    monkeypatch.setattr(checkpoints, "log", refuse)
    with caplog.at_level(logging.WARNING):
        assert restore(tmp_path, state.recipe) is None
    assert "is damaged" in caplog.text
