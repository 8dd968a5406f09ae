"""Training: it learns, repeats, resumes, and says what went wrong."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import reidlib
from reidlib import evaluation, methods, training
from reidlib.data import Augmentation, ImageCache, ReIDDataset
from reidlib.methods import Recipe
from reidlib.methods.baseline.model import Baseline
from reidlib.training import devices, runs
from reidlib.training.validation import split
from reidlib.twins import sysu as published


@pytest.mark.slow
def test_it_learns(fit) -> None:
    run = fit(epochs=8)
    assert run.history["loss"].iloc[-6:].mean() < 0.9 * run.history["loss"].iloc[:6].mean()
    assert run.validation["mAP"].iloc[-1] > 0.5, "4 identities in other shades: chance is about 0.35"


def test_only_training_identities_are_looked_at(fit, dataset: ReIDDataset, monkeypatch) -> None:
    seen, tensor = [], ImageCache.tensor

    def watched(self, rows, device=None):
        seen.append(np.array(rows))
        return tensor(self, rows, device)

    monkeypatch.setattr(ImageCache, "tensor", watched)
    fit(epochs=2)
    part = split(dataset, 0.25)
    validation = set(part.query_rows) | set(part.gallery_rows)
    batches = [rows for rows in seen if not validation & set(rows)]
    assert len(batches) == 24 + 2 and all(len(rows) == 16 for rows in batches)  # health: the last ones once more
    assert set(np.concatenate(batches)) <= set(part.rows)
    assert set(dataset.frame["split"].iloc[np.concatenate(seen)]) == {"train"}


SUBSAMPLES = [
    {"modality": modality, **share} for modality in (0, 1) for share in ({"images": 0.25}, {"identities": 0.25})
]


@pytest.mark.parametrize("subsample", SUBSAMPLES)
@pytest.mark.parametrize("name", ["recipe", pytest.param("maum", marks=pytest.mark.slow)])
def test_thinned_training_has_the_budget_of_the_whole(
    name: str, subsample: dict, request, dataset: ReIDDataset, tmp_path: Path, monkeypatch
) -> None:
    seen, tensor = [], ImageCache.tensor

    def watched(self, rows, device=None):
        seen.append(np.array(rows))
        return tensor(self, rows, device)

    monkeypatch.setattr(ImageCache, "tensor", watched)
    recipe = request.getfixturevalue(name).replace(epochs=2, subsample=subsample)
    run = training.fit(recipe, dataset, tmp_path / "run", progress=False)
    part = split(dataset, 0.25)
    validation = {*part.query_rows, *part.gallery_rows}
    batches = dict.fromkeys(tuple(rows.tolist()) for rows in seen if not validation & set(rows))
    used = np.concatenate(list(batches))  # health looks at the last ones once more
    assert validation <= set(np.concatenate(seen)), "who is held out keeps all images"
    assert len(used) == 24 * 16 and run.history["step"].iloc[-1] == 24, "steps and images of the whole set"
    assert (run.pids == part.pids).all() and np.isfinite(run.history["loss"]).all()

    modality, pids = dataset.frame["modality"].to_numpy(), dataset.frame["pid"].to_numpy()
    kept = part.rows[recipe.subsample.keep(pids[part.rows], modality[part.rows])]
    assert set(used) <= set(kept) and set(pids[used]) == set(part.pids)
    own = kept[modality[kept] == subsample["modality"]]
    assert set(own) <= set(used) and len(own) < 0.5 * np.count_nonzero(modality[part.rows] == subsample["modality"])
    assert np.count_nonzero(modality[used] == subsample["modality"]) == 24 * 8


def test_classes_are_the_identities_of_the_run(fit, dataset: ReIDDataset) -> None:
    run = fit(epochs=1)
    assert run.model.classifier.out_features == 12
    assert (run.pids == split(dataset, 0.25).pids).all()


def test_equal_seeds_give_equal_weights(fit, same_weights) -> None:
    state = torch.get_rng_state()
    first, second, other = fit("a", epochs=2), fit("b", epochs=2), fit("c", epochs=2, seed=1)
    assert same_weights(first.model, second.model) and not same_weights(first.model, other.model)
    assert torch.equal(torch.get_rng_state(), state), "the caller's generator is left alone"


def test_every_epoch_and_process_is_augmented_anew(fit, monkeypatch) -> None:
    keys, seeds, seed, augment = [], [], devices.seed, Augmentation.__call__

    def watched(self, images, modality, generator):
        seeds.append(generator.initial_seed())
        return augment(self, images, modality, generator)

    monkeypatch.setattr(devices, "seed", lambda device, *key: keys.append(key) or seed(device, *key))
    monkeypatch.setattr(Augmentation, "__call__", watched)
    fit(epochs=3, seed=5)
    assert len(seeds) == 36 and len(set(seeds)) == 3
    assert keys == [(5,), (5, 0, 0), (5, 1, 0), (5, 2, 0)], "of a seed; of seed, epoch and rank"
    ranks = [torch.rand(3, generator=seed(torch.device("cpu"), 5, 0, rank)).tolist() for rank in range(3)]
    assert len(set(map(tuple, ranks))) == 3


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "sgd", "learning_rate": 0.01, "schedule": "step", "milestones": (3,)}]
)
def test_stopped_and_resumed_equals_uninterrupted(fit, same_weights, method, changes: dict) -> None:
    def noisy(step: int, terms: dict) -> dict:  # stands for a method that draws random numbers
        return {**terms, "triplet": terms["triplet"] * torch.rand(())}

    method(noisy)
    whole = fit("whole", **changes)
    halfway = fit("parts", stop_after=2, **changes)
    assert not halfway.finished and not same_weights(halfway.model, whole.model)
    resumed = fit("parts", **changes)
    assert resumed.finished and same_weights(resumed.model, whole.model)
    timeless = [name for name in whole.history if name not in ("seconds", "images_per_second")]
    assert resumed.history[timeless].equals(whole.history[timeless])
    assert resumed.history["seconds"].is_monotonic_increasing


def test_finished_run_is_loaded(fit, same_weights, method) -> None:
    run = fit(epochs=1)

    def never(step: int, terms: dict) -> dict:
        raise AssertionError("trained again")

    method(never)
    assert same_weights(fit(epochs=1).model, run.model)
    assert fit(epochs=1, stop_after=0).finished


@pytest.mark.slow
@pytest.mark.parametrize("spared", [1, 0])
def test_damaged_checkpoints_do_not_change_the_result(fit, same_weights, caplog, tmp_path: Path, spared: int) -> None:
    whole = fit("whole", epochs=3)
    fit(epochs=3, stop_after=2)
    for file in sorted((tmp_path / "run").glob("*.pt"))[spared:]:
        file.write_bytes(file.read_bytes()[:-100])
    resumed = fit(epochs=3)
    assert same_weights(resumed.model, whole.model) and "is damaged" in caplog.text
    assert len(list((tmp_path / "run").glob("*.pt"))) == 2


def test_damaged_weights_are_written_again(fit, same_weights, caplog) -> None:
    run = fit(epochs=1)
    file = run.folder / "weights.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    assert same_weights(fit(epochs=1).model, run.model)
    assert "weights.safetensors is damaged" in caplog.text and file.read_bytes() == content


def test_checkpoint_of_another_run_is_refused(fit, tmp_path: Path) -> None:
    fit("other", stop_after=2, model={"pool": "average"})
    fit(stop_after=1)
    stray = next((tmp_path / "other").glob("checkpoint-0002-*"))
    (tmp_path / "run" / stray.name).write_bytes(stray.read_bytes())
    with pytest.raises(ValueError, match=rf"{stray.name} belongs to another recipe \(model is .*'average'.* there"):
        fit()


def test_term_that_is_not_finite_is_named_with_its_step(fit, method, tmp_path: Path) -> None:
    method(lambda step, terms: {**terms, "triplet": terms["triplet"] * (torch.nan if step == 17 else 1)})
    with pytest.raises(FloatingPointError, match=r"loss\.triplet is nan at step 17 \(epoch 2\), learning rate"):
        fit()
    assert runs.load(tmp_path / "run").epoch == 1, "what came before is kept"


def test_loss_weights_must_fit_the_model(fit) -> None:
    with pytest.raises(ValueError, match=r"\(identity, triplet\): without a weight: none; not a term: centre"):
        fit("a", loss_weights={"centre": 1})
    with pytest.raises(ValueError, match=r"without a weight: triplet; not a term: none"):
        fit("b", loss_weights={"triplet": None})


def test_loss_is_the_weighted_sum() -> None:
    terms = {"identity": torch.tensor(2.0), "triplet": torch.tensor(3.0)}
    assert training.weighted_sum(terms, {"triplet": 0.5, "identity": 2.0}).item() == 5.5


@pytest.mark.parametrize(
    ("identities", "images", "advice"),
    [(4, 2, r"identities=2\), 8 images"), (2, 4, r"images=2\), 8 images"), (5, 4, r"identities=2\), 16 images")],
)
def test_out_of_memory_names_the_batch_to_try(fit, method, identities: int, images: int, advice: str) -> None:
    def full(step: int, terms: dict) -> dict:
        raise torch.OutOfMemoryError("tried to allocate 1 GiB")

    method(full)
    size = rf"2 × {identities} identities × {images} images = {2 * identities * images} images of 32×16"
    with pytest.raises(torch.OutOfMemoryError, match=rf"{size}; try recipe\.replace\({advice} \(tried to allocate"):
        fit(identities=identities, images=images)


def test_recipe_of_another_data_set_is_refused(dataset: ReIDDataset, recipe: Recipe) -> None:
    object.__setattr__(dataset, "name", "regdb")
    with pytest.raises(ValueError, match="the recipe is for data set 'sysu', not for 'regdb'"):
        training.fit(recipe, dataset)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_steps_are_those_of_torch(recipe: Recipe, name: str) -> None:
    """Adam adds the decay to the gradient (L2); without it, or decoupled from it, the steps are others."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]
    options = {"momentum": 0.9, "nesterov": True} if name == "sgd" else {}
    changed = recipe.replace(optimizer=name, learning_rate=0.1, weight_decay=0.5)
    ours, theirs, without, by_hand = (_ones() for _ in range(4))
    pairs = [
        (ours, training.make_optimizer(changed, ours), 0.0),
        (theirs, kind(theirs.parameters(), lr=0.1, weight_decay=0.5, **options), 0.0),
        (without, training.make_optimizer(changed.replace(weight_decay=0), without), 0.0),
        (by_hand, training.make_optimizer(changed.replace(weight_decay=0), by_hand), 0.5),
    ]
    for gradient in ([1e-3, -1e-3], [-2e-3, 1e-3]):
        for model, optimizer, decay in pairs:
            model.weight.grad = torch.tensor([gradient]) + decay * model.weight.detach()
            optimizer.step()
    assert torch.equal(ours.weight, theirs.weight) and not torch.equal(ours.weight, without.weight)
    assert torch.allclose(ours.weight, by_hand.weight) == (name != "adamw")


def _ones() -> torch.nn.Linear:
    model = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    return model


def test_the_recipe_of_idkl_trains_as_many_steps_as_the_released_code() -> None:
    """On SYSU-MM01 and RegDB, by the images that their training identities have, and on one's own by another rule."""
    counts = {pid: [0, 0] for pid in (*published.TRAIN_IDS, *published.VALIDATION_IDS)}
    with (Path(__file__).parent.parent / "assets" / "sysu_counts.csv").open() as file:
        for row in csv.DictReader(file):
            if int(row["id"]) in counts:
                counts[int(row["id"])][int(row["cam"]) in (3, 6)] += int(row["images"])
    visits = 0
    for visible, infrared in counts.values():
        while visible >= 5 and infrared >= 5:
            visits, visible, infrared = visits + 1, visible - 5, infrared - 5
    assert (len(counts), visits) == (395, 2352)
    assert _steps("sysu", list(counts.values())) == visits // 12 == 196
    assert _steps("regdb", 206 * [(10, 10)]) == 206 * 2 // 6 == 68
    assert _steps("llcm", 40 * [(25, 12)]) == 40 * 2 // 12
    own = methods.recipe("idkl", dataset="mine", shape="person", profile="paper")
    assert (own.epoch, own.optimizer) == ("images", "adam"), "people may have fewer than five images"


def _steps(dataset: str, counts: list) -> int:
    """Steps of an epoch of IDKL on so many (visible, infrared) images of each identity."""
    recipe = methods.recipe("idkl", dataset=dataset, profile="paper")
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == ("adam", 3.5e-4, 5e-3)
    pids = np.repeat(np.arange(len(counts)), [sum(pair) for pair in counts])
    modality = np.concatenate([np.repeat([0, 1], pair) for pair in counts])
    batch = {"identities": recipe.identities, "images": recipe.images}
    return len(reidlib.data.PKSampler(pids, modality, epoch=recipe.epoch, **batch))


def test_step_schedule_is_that_of_agw() -> None:
    recipe = methods.recipe("baseline", profile="paper")
    expected = [(epoch + 1) / 10 for epoch in range(10)] + [1] * 10 + [0.1] * 30 + [0.01] * 31
    for moment in (0.01, 0.99):
        assert [training.schedule(recipe, epoch + moment) for epoch in range(81)] == pytest.approx(expected)


def test_cosine_schedule_rises_and_falls(recipe: Recipe) -> None:
    recipe = recipe.replace(epochs=8, warmup=2)
    values = [training.schedule(recipe, epoch) for epoch in (0.5, 1, 2, 5, 8)]
    assert values == pytest.approx([0.25, 0.5, 1, 0.5, 0])
    assert training.schedule(recipe.replace(warmup=0), 4) == pytest.approx(0.5)


def test_optimiser_has_every_parameter_once_and_two_rates(recipe: Recipe, fit) -> None:
    model = methods.build("baseline", num_ids=3, backbone="tiny")
    recipe = recipe.replace(optimizer="sgd", learning_rate=0.1, backbone_rate=0.1, weight_decay=0.02)
    optimizer = training.make_optimizer(recipe, model)
    backbone, head = (group["params"] for group in optimizer.param_groups)
    assert {*map(id, backbone)} == {id(p) for p in model.backbone.parameters()}
    assert {*map(id, backbone + head)} == {*map(id, model.parameters())} and len(backbone + head) == len(
        list(model.parameters())
    )
    assert optimizer.defaults["nesterov"] and optimizer.defaults["momentum"] == 0.9
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.02}


def test_backbone_rate_slows_the_backbone_alone(fit) -> None:
    still, start = (
        fit(f"{steps}", epochs=1, backbone_rate=0.0, stop_after=steps).model.state_dict() for steps in (1, 0)
    )
    changed = {name for name, _ in Baseline(12, "tiny").named_parameters() if not torch.equal(still[name], start[name])}
    assert changed == {"pool.p", "neck.weight", "classifier.weight"}


def test_history_shows_the_learning_rate_that_was_used(fit, recipe: Recipe) -> None:
    history = fit(epochs=2, warmup=1).history
    recipe = recipe.replace(epochs=2, warmup=1)
    moments = (history["step"] - 0.5) / 12
    expected = [recipe.learning_rate * training.schedule(recipe, moment) for moment in moments]
    assert history["learning_rate"].tolist() == pytest.approx(expected)


CHILD = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(reidlib.__file__).parent.parent)}
KILLED = """
import sys, time
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from conftest import open_stripes
from pathlib import Path
from reidlib import training
from reidlib.methods.baseline.model import Baseline
from reidlib.methods import Recipe

losses, steps = Baseline.losses, 0

def hang(*arguments):
    global steps
    steps += 1
    if steps == 30:  # in the middle of the third epoch
        print("here", flush=True)
        time.sleep(600)
    return losses(*arguments)

Baseline.losses = hang
recipe = Recipe.from_json(Path({recipe!r}).read_text())
training.fit(recipe, open_stripes(Path({tree!r})), {folder!r}, progress=False)
"""


def places(tree: Path, folder: Path) -> dict[str, str]:
    """What the scripts of other processes need to know."""
    known = {"tests": Path(__file__).parent, "recipe": folder / "recipe.json", "tree": tree, "folder": folder / "run"}
    return {name: str(path) for name, path in known.items()}


@pytest.mark.slow
def test_killed_in_an_epoch_and_fitted_again_ends_the_same(fit, same_weights, recipe, tree, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    code = KILLED.format(**places(tree, tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, **CHILD}
    )
    assert process.stdout.readline() == "here\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert runs.load(tmp_path / "run").epoch == 2
    assert same_weights(fit().model, fit("whole").model)


TEAM = """
import os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from conftest import open_stripes
import torch.distributed as dist
from reidlib import evaluation, training
from reidlib.data import ImageCache
from reidlib.methods import Recipe

seen, tensor = [], ImageCache.tensor
ImageCache.tensor = lambda self, rows, device=None: seen.append(rows) or tensor(self, rows, device)
recipe, dataset = Recipe.from_json(Path({recipe!r}).read_text()), open_stripes(Path({tree!r}))
training.fit(recipe, dataset, {folder!r}, stop_after=1, progress=False)
batches = [rows for rows in seen if len(rows) == 16][:3]
run = training.fit(recipe, dataset, {folder!r}, progress=False)
again = training.fit(recipe, dataset, {folder!r}, progress=False)
rows = dataset.rows("test")
embeddings = evaluation.embed(run.model, dataset, rows)
record = {{"state": run.model.state_dict(), "again": again.model.state_dict(), "embeddings": embeddings}}
record |= {{"pids": [sorted(set(dataset.frame["pid"][rows])) for rows in batches], "steps": len(run.history)}}
torch.save(record, f"{folder}.rank" + os.environ["RANK"])
"""


REST = {"marks": pytest.mark.all}
WHOLE, FEW = None, {"modality": 1, "identities": 0.1}
TEAMS = [("recipe", WHOLE), ("maum", WHOLE), ("dalnet", FEW)]  # a memory; people whom one modality lacks
TEAMS += [pytest.param(name, WHOLE, **REST) for name in ("fienet", "idkl", "dalnet")]
TEAMS += [pytest.param(name, FEW, **REST) for name in ("recipe", "maum", "fienet", "idkl")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "subsample"), TEAMS)
def test_two_processes_train_one_model(name: str, subsample, request, dataset, tree, tmp_path: Path) -> None:
    recipe = request.getfixturevalue(name).replace(epochs=2, identities=8, subsample=subsample)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    (tmp_path / "script.py").write_text(TEAM.format(**places(tree, tmp_path)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    completed = subprocess.run(
        [*command, str(tmp_path / "script.py")],
        capture_output=True,
        text=True,
        env={**os.environ, **CHILD},
        timeout=300,
    )
    assert completed.returncode == 0, completed.stderr
    first, second = (torch.load(tmp_path / f"run.rank{rank}") for rank in (0, 1))
    for name, tensor in first["state"].items():
        assert torch.equal(tensor, second["state"][name]) and torch.equal(tensor, first["again"][name]), name
    assert torch.equal(first["embeddings"], second["embeddings"])
    for one, other in zip(first["pids"], second["pids"], strict=True):
        assert len(one) == len(other) == 4 and not set(one) & set(other), "they share the eight of a batch"
    loaded = runs.load(tmp_path / "run")
    assert loaded.finished and loaded.environment["processes"] == 2
    assert torch.equal(evaluation.embed(loaded.model, dataset, dataset.rows("test")), first["embeddings"])


@pytest.mark.integration
def test_notebook_profile_runs_on_the_twin(ci_twin: Path, tmp_path: Path) -> None:
    dataset = reidlib.data.open("sysu", root=ci_twin)
    run = training.fit(methods.recipe("baseline", dataset="sysu", profile="ci"), dataset, progress=False)
    assert run.folder.is_relative_to(tmp_path / "runs") and run.environment["dataset"]["twin_version"]
    result = evaluation.evaluate(run.model, dataset, evaluation.protocols.get("sysu"))
    assert result.is_twin and len(result.trials) == 10


@pytest.mark.integration
@pytest.mark.parametrize("share", [{"images": 0.125}, {"identities": 0.25}])
@pytest.mark.parametrize("modality", [0, 1])
@pytest.mark.parametrize("method", ["baseline", "maum"])
def test_methods_train_on_a_thinned_twin(ci_twin: Path, method: str, modality: int, share: dict) -> None:
    dataset = reidlib.data.open("sysu", root=ci_twin)
    recipe = methods.recipe(method, profile="ci").replace(subsample={"modality": modality, **share})
    run = training.fit(recipe, dataset, stop_after=1, progress=False)
    part = split(dataset, recipe.validation_share)
    halves = dataset.frame["modality"].to_numpy()[part.rows]
    whole = training.loop.PKSampler(part.labels, halves, identities=recipe.identities, images=recipe.images)
    assert run.history["step"].iloc[-1] == len(whole) and np.isfinite(run.history["loss"]).all()
