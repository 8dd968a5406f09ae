"""Run folders from elsewhere, incomplete, altered or with links in them: what is wrong is named, nothing is followed.

The fixture `folder` is a finished run that nobody trained.
"""

import io
import json
import logging
import math
import os
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from reidlib import methods
from reidlib.data import ReIDDataset
from reidlib.methods import Recipe
from reidlib.training import checkpoints, record, runs
from reidlib.training.checkpoints import State

WEIGHTS = "weights.safetensors"


@pytest.fixture(scope="module")
def made() -> list[Path]:
    return []


@pytest.fixture
def folder(recipe: Recipe, dataset: ReIDDataset, tmp_path: Path, made: list[Path], tmp_path_factory) -> Path:
    if made:  # for another test of this file
        return shutil.copytree(made[0], tmp_path / "runs" / "run")
    recipe = recipe.replace(epochs=2)
    model = methods.build("baseline", num_ids=3, backbone=recipe.backbone)
    row = {"learning_rate": 0.1, "loss": 1.5, "images_per_second": 40.0}
    rows = [{"epoch": e, "step": 10 * e - 5 + s, "seconds": float(10 * e + s), **row} for e in (1, 2) for s in (0, 5)]
    rows[-1]["validation.mAP"] = 0.5
    state = State(recipe.to_dict(), model.arguments, [5, 6, 9], 2, model.state_dict(), {"state": {}}, {}, rows)
    (tmp_path / "runs" / "run").mkdir(parents=True)
    here = record.environment(torch.device("cpu"), 1, "float32")
    record.prepare(tmp_path / "runs" / "run", recipe, dataset, here)
    checkpoints.save(tmp_path / "runs" / "run", state)
    made.append(shutil.copytree(tmp_path / "runs" / "run", tmp_path_factory.mktemp("made") / "run"))
    return tmp_path / "runs" / "run"


def read(folder: Path) -> State | None:
    return checkpoints.restore(folder, record.read_recipe(folder).to_dict())


def alter(folder: Path, *, edition: int = 2, **changes: object) -> None:
    """Change the record in the metadata of the weights; ``edition=1`` takes out what the first edition had not."""
    with safe_open(folder / WEIGHTS, "pt") as opened:
        metadata, tensors = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    record = json.loads(metadata["reidlib"])
    if edition == 1:
        del record["whole"], record["history"]
    save_file(tensors, folder / WEIGHTS, {"reidlib": json.dumps(record | changes)})


def drop_checkpoints(folder: Path) -> None:
    for file in folder.glob("*.pt"):
        file.unlink()


# ---- what the digest of the weights covers


ALTERED = [{"pids": [9, 6, 5]}, {"pids": [5, 6, 8]}, {"epoch": 1}, {"arguments": {}}, {"recipe": {}}]


@pytest.mark.parametrize("changes", ALTERED, ids=repr)
def test_altered_metadata_are_noticed(folder: Path, changes: dict, caplog) -> None:
    alter(folder)
    assert read(folder).optimizer == {}, "written again as it was: the weights are read"
    alter(folder, **changes)
    assert (state := read(folder)).optimizer and state.pids == [5, 6, 9], "read from the checkpoint"
    assert f"{WEIGHTS} is damaged or not of a run (its metadata are not those that were written)" in caplog.text


def test_weights_of_the_first_edition_are_read_and_say_what_is_not_covered(folder: Path, caplog) -> None:
    drop_checkpoints(folder)
    caplog.set_level(logging.INFO)
    alter(folder, edition=1)
    state = read(folder)
    assert state.pids == [5, 6, 9] and len(state.history) == 4
    assert "its digest does not cover recipe, arguments, pids and epoch" in caplog.text
    assert len(runs.load(folder).model.state_dict()) == len(state.model)


WRONG = [
    *({"epoch": value} for value in ("2", None, -1, 2.0, True, [])),
    *(
        {"pids": value}
        for value in (None, ["5", "6", "9"], [5, 6], [5, 6, 9.0], [5, 6, 2**70], [-(2**63) - 1, 5, 6], {"5": 1}, "569")
    ),
    *({name: value} for name in ("recipe", "arguments") for value in (None, [], "x", 3)),
    *({"recipe": {"epochs": value, "height": 32, "width": 16}} for value in (None, "2", [])),
    {"digest": None},
    {"history": []},
    {"more": 1},
]


@pytest.mark.parametrize("changes", WRONG, ids=repr)
def test_values_of_another_kind_are_damage(folder: Path, changes: dict, caplog) -> None:
    drop_checkpoints(folder)
    alter(folder, edition=1, **changes)
    assert read(folder) is None and f"{WEIGHTS} is damaged or not of a run" in caplog.text
    with pytest.raises(FileNotFoundError, match="no intact weights"):
        runs.load(folder)


@pytest.mark.parametrize("text", ["[" * 10**5, "3", "null", "[]", "", "{"], ids=lambda text: text[:4])
def test_metadata_that_are_no_record_are_damage(folder: Path, text: str, caplog) -> None:
    save_file({"tensor": torch.zeros(2)}, folder / WEIGHTS, {"reidlib": text})
    assert read(folder).optimizer and f"{WEIGHTS} is damaged" in caplog.text


@pytest.mark.parametrize("changes", [{"epoch": "2"}, {"pids": ["5"]}, {"recipe": None}, {"model": {"a": 1}}], ids=repr)
def test_a_checkpoint_with_values_of_another_kind_is_damage(folder: Path, changes: dict, caplog) -> None:
    (folder / WEIGHTS).unlink()
    state = read(folder)
    file = next(folder.glob("checkpoint-*.pt"))
    torch.save({**vars(state), **changes}, file)
    file.rename(folder / f"checkpoint-0002-{checkpoints.short_digest(file.read_bytes())}.pt")
    assert read(folder) is None and "no checkpoint of this version" in caplog.text


def test_a_checkpoint_that_grows_when_it_is_unpacked_is_damage(folder: Path, caplog, monkeypatch) -> None:
    (folder / WEIGHTS).unlink()
    file, stream = next(folder.glob("checkpoint-*.pt")), io.BytesIO()
    with zipfile.ZipFile(file) as stored, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
        packed.writestr(f"{name.split('/')[0]}/data/9999", bytes(10**7))
    file.unlink()
    packed = folder / f"checkpoint-0002-{checkpoints.short_digest(stream.getvalue())}.pt"
    packed.write_bytes(stream.getvalue())
    monkeypatch.setattr(checkpoints, "MOST_BYTES", 10**7)
    assert packed.stat().st_size < 10**7
    assert read(folder) is None and "unpacked it would hold more than 10,000,000 bytes" in caplog.text


def test_weights_and_checkpoints_have_a_size_and_an_epoch(folder: Path, caplog, monkeypatch) -> None:
    alter(folder, edition=1, epoch=0)
    assert read(folder).epoch == 0, "a run may stand at its beginning"
    for file in (folder / WEIGHTS, *folder.glob("*.pt")):
        os.truncate(file, checkpoints.MOST_BYTES + 1)  # holes, which take no room on the disk
    assert read(folder) is None and caplog.text.count("more than 17,179,869,184 bytes") == 2


# ---- the history


@pytest.mark.parametrize("edition", [1, 2])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.unlink(),
        lambda file: file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n"),
        lambda file: file.write_text("\n".join(file.read_text().splitlines()[:-2]) + "\n"),
        lambda file: file.write_bytes(file.read_bytes()[:-30]),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_text(file.read_text(), encoding="utf-16"),
        lambda file: file.write_text(file.read_text() + "<<<<<<< HEAD\n"),
        lambda file: file.write_text(file.read_text() + 200_000 * "1"),
        lambda file: file.write_text(file.read_text().replace("1.5", 10**5 * "[")),
        lambda file: file.write_bytes(file.read_bytes().replace(b"1.5", b"\0")),
        lambda file: [file.unlink(), file.symlink_to("/dev/zero")],
    ],
)
def test_a_run_is_read_without_a_history_that_has_gone_or_is_cut(folder: Path, spoil, edition: int, caplog) -> None:
    alter(folder, edition=edition)
    assert len(runs.load(folder).history) == 4 and runs.load(folder).seconds == 25
    spoil(folder / "history.csv")
    run = runs.load(folder)
    assert run.finished and run.history.empty and run.validation.empty and math.isnan(run.seconds)
    assert (
        "time not known" in repr(run) and "is read without its history" in caplog.text and "history.csv" in caplog.text
    )


def test_weights_alone_come_with_their_history(folder: Path, tmp_path: Path) -> None:
    state = read(folder)
    (tmp_path / "alone").mkdir()
    checkpoints.save_weights(tmp_path / "alone", state)
    assert checkpoints.read_history(tmp_path / "alone") == state.history
    assert checkpoints.restore(tmp_path / "alone", state.recipe).history == state.history


def test_three_differences_are_told() -> None:
    there, here = dict.fromkeys("abcd", 1), dict.fromkeys("abcd", 2)
    with pytest.raises(ValueError, match=r"^x \(a is 1 there, 2 here; b is 1 there, 2 here; c is 1 there, 2 here\);"):
        checkpoints.require_same("x", there, here)


# ---- records


BROKEN = ["", "{", "[]", "3", "null", 10**5 * "[", "\ud800", '"text"', '{"a": 1, "a": 2}']


@pytest.mark.parametrize("name", ["recipe.json", "environment.json"])
@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:4])
def test_a_record_that_is_none_is_named(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(ValueError, match=rf"{name} is damaged"):
        runs.load(folder)


def test_a_record_that_has_gone_is_named(folder: Path) -> None:
    (folder / "environment.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no .*environment\.json; copy it again from where"):
        runs.load(folder)


@pytest.mark.parametrize("name", ["images", "digest"])
def test_a_record_says_which_images_a_run_saw(folder: Path, name: str) -> None:
    content = json.loads((folder / "environment.json").read_text())
    del content["dataset"][name]
    (folder / "environment.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"environment\.json is damaged: dataset\.{name} is missing"):
        runs.load(folder)


def test_a_recipe_that_differs_in_more_than_epochs_is_not_told_to_extend(folder: Path, dataset: ReIDDataset) -> None:
    other = record.read_recipe(folder).replace(learning_rate=0.5, epochs=9)
    with pytest.raises(ValueError, match=r"holds another recipe .*learning_rate") as error:
        record.prepare(folder, other, dataset, record.environment(torch.device("cpu"), 1, "float32"))
    assert "exten" not in str(error.value)


def entries(value: object, *keys: object) -> list[tuple]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(*keys, key) for key, _ in inside] + [path for key, each in inside for path in entries(each, *keys, key)]


@pytest.mark.parametrize("value", ["gone", None, [], {}, -1.5, "a\nb", True])
def test_every_entry_of_a_record_is_checked(folder: Path, value: object) -> None:
    """Damage is named, or the run is read: there is no other error."""
    record.note_resumption(folder, 1, record.environment(torch.device("cpu"), 1, "float32"))
    named = 0
    for name in ("environment.json", "recipe.json"):
        text = (folder / name).read_text()
        for *parents, last in entries(json.loads(text)):
            content = json.loads(text)
            inside = content
            for key in parents:
                inside = inside[key]
            if value == "gone":
                del inside[last]
            else:
                inside[last] = value
            (folder / name).write_text(json.dumps(content))
            try:
                runs.load(folder)
            except ValueError as error:
                named += 1
                assert name in str(error) or f"{WEIGHTS} belongs to another recipe" in str(error)
            else:
                needed = {"code", "device", "torch", "threads", *record._DATASET}
                assert value != "gone" or last not in needed or name == "recipe.json"
                assert value != "a\nb" or name == "recipe.json"
            assert len(runs.table()) == 1
        (folder / name).write_text(text)
    assert named > 20


def test_one_damaged_run_is_listed_as_such_among_the_others(folder: Path, caplog) -> None:
    assert "damaged" not in runs.table() and runs.table()["validation.mAP"].tolist() == [0.5]
    spoilt = {"recipe.json": "{", "environment.json": "{}", "history.csv": "a,b\n1\n"}
    for name, text in spoilt.items():
        shutil.copytree(folder, folder.with_name(name))
        (folder.with_name(name) / name).write_text(text)
    table = runs.table().set_index(runs.table()["folder"].map(lambda path: Path(path).name))
    assert table.index.tolist() == ["environment.json", "history.csv", "recipe.json", "run"]
    assert table.loc["run", ["seed", "epoch", "validation.mAP"]].tolist() == [0, 2, 0.5]
    for name in spoilt:
        assert name in table.loc[name, "damaged"] and f"{folder.with_name(name)} is damaged" in caplog.text
    assert table["damaged"].isna().tolist() == [False, False, False, True]


# ---- what a kill left, and a full disk


def test_the_next_owner_of_the_lock_removes_what_a_kill_left(folder: Path) -> None:
    left = ["checkpoint-0001-0123456789abcdef.pt.partial", "history.csv.0a1b2c3d.partial", f"{WEIGHTS}.partial"]
    for name in (*left, "thesis.partial"):
        (folder / name).write_bytes(b"half")
    runs.load(folder), runs.table()
    assert all((folder / name).exists() for name in left), "who reads only removes nothing"
    with runs.locked(folder):
        assert not any((folder / name).exists() for name in left) and (folder / "thesis.partial").exists()


def test_a_full_disk_in_training_names_the_checkpoint_and_leaves_no_part_of_it(fit, monkeypatch, tmp_path) -> None:
    real = Path.open

    def full(self: Path, *arguments, **options):
        if "checkpoint-0002" in self.name:
            real(self, "wb").close()
            raise OSError(28, "No space left on device")
        return real(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OSError, match=r"no space left for .*checkpoint-0002.*\.pt: it takes .* MB.*REIDLIB_RUNS"):
            fit(epochs=2)
    assert not list((tmp_path / "run").glob("*.partial"))
    assert fit(epochs=2).finished


# ---- links


def test_planted_links_are_not_followed(folder: Path, tmp_path: Path, caplog) -> None:
    victim = tmp_path / "victim"
    victim.write_text("years of work")
    for name in ("log.txt", f"{WEIGHTS}.partial", "history.csv.partial"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(victim)
    checkpoints.warn(folder, "something")
    checkpoints.save(folder, read(folder))
    with pytest.raises(ValueError, match=r"log\.txt is a link or no plain file"):
        checkpoints.log(folder, "something")
    with runs.locked(folder):
        assert victim.read_text() == "years of work"
    assert victim.read_text() == "years of work" and not list(folder.glob("*.partial"))


def test_a_lock_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("years of work")
    (folder / ".lock").unlink(missing_ok=True)
    (folder / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(ValueError, match=r"\.lock is a link or no plain file"), runs.locked(folder):
        pass
    assert (tmp_path / "victim").read_text() == "years of work"


@pytest.mark.parametrize("there", ["/dev/zero", "elsewhere", "nowhere"])
def test_links_are_not_read(folder: Path, tmp_path: Path, there: str, caplog) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    for file in [file for file in folder.iterdir() if file.name != "log.txt"]:
        file.unlink()
        file.symlink_to(tmp_path / there / ("" if there == "/dev/zero" else file.name))
    recipe = record.read_recipe(tmp_path / "elsewhere").to_dict()
    assert checkpoints.restore(folder, recipe) is None and caplog.text.count("is a link or no plain file") == 2
    reads = (record.read_environment, record.read_recipe, checkpoints.read_history)
    for read, name in zip(reads, ("environment.json", "recipe.json", "history.csv"), strict=True):
        with pytest.raises(ValueError, match=rf"{name} is damaged.* is a link or no plain file"):
            read(folder)


def test_a_run_whose_folder_is_a_link_is_trained_and_read(fit, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    assert fit(epochs=1).finished and runs.load(tmp_path / "run").finished
    (tmp_path / "home").symlink_to(tmp_path)
    assert runs.load(tmp_path / "home" / "disk").epoch == 1
