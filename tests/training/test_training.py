"""Training: it learns, repeats, resumes, and says what went wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch

import reidlib
from reidlib import evaluation, methods, training
from reidlib.data import Augmentation, ImageCache, ReIDDataset
from reidlib.methods import Recipe
from reidlib.training import devices, runs
from reidlib.training.validation import split


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
