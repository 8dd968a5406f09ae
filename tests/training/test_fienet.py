"""FIENet in the training loop: resumed, every switch, recipes that execute."""

import numpy as np
import pytest

import reidlib
from reidlib import evaluation, methods, profiles, training
from reidlib.data import Augmentation, ReIDDataset
from reidlib.methods import Recipe
from reidlib.training import runs

DATASETS = ("sysu", "regdb", "llcm")


@pytest.mark.slow
def test_stopped_and_resumed_equals_uninterrupted(fienet: Recipe, dataset: ReIDDataset, same_weights, tmp_path) -> None:
    def fit(folder: str, **options) -> runs.Run:
        return training.fit(fienet, dataset, tmp_path / folder, progress=False, **options)

    whole = fit("whole")
    assert fit("parts", stop_after=2).epoch == 2
    resumed = fit("parts")
    assert resumed.finished and same_weights(resumed.model, whole.model)
    losses = [name for name in whole.history if name.startswith("loss")]
    assert set(losses) == {"loss", "loss.identity", "loss.triplet", "loss.intra", "loss.inter"}
    assert resumed.history[losses].equals(whole.history[losses])
    assert same_weights(runs.load(tmp_path / "parts").model, whole.model)
    assert (whole.model.mpim.out[1].weight != 0).all()


OFF = {"loss_weights": {"intra": None, "inter": None}}


@pytest.mark.slow  # all of them together
@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"pfam": False, "mpim": False, "igcl": False}, **OFF},
        {"model": {"mpim": False, "igcl": False}, **OFF},
        {"model": {"pfam": False, "igcl": False}, **OFF},
        {"model": {"igcl": False}, **OFF},
        {"model": {"pfam": False, "mpim": False}},
        {"model": {"aggregation": "two_step"}},
        {"model": {"aggregation": "one_shot"}},
        {"model": {"interaction": "none"}},
        {"model": {"interaction": "gate"}},
        {"model": {"interaction": "none"}},
        {"loss_weights": {"intra": 0.0}},
        {"loss_weights": {"inter": 0.0}},
        {"loss_weights": {"triplet": 0.0}},
        {"model": {"center_margin": 1.0}},
        {"model": {"igcl": False, "center": "hetero_center"}, "loss_weights": {**OFF["loss_weights"], "center": 0.5}},
    ],
    ids=lambda changes: "-".join(map(str, [*changes.get("model", {}).items(), *changes.get("loss_weights", {})])),
)
def test_every_ablation_is_a_changed_weight_or_option(fienet: Recipe, dataset: ReIDDataset, tmp_path, changes) -> None:
    run = training.fit(fienet.replace(**changes, epochs=1), dataset, tmp_path / "run", progress=False)
    assert run.finished and np.isfinite(run.history["loss"]).all()


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("profile", ["ci", "screen", "cpu", "gpu"])
def test_recipe_on_twins_is_the_baseline_s_with_the_centre_terms(dataset: str, profile: str) -> None:
    fienet, baseline = (methods.recipe(method, dataset=dataset, profile=profile) for method in ("fienet", "baseline"))
    assert fienet.loss_weights == {**baseline.loss_weights, "intra": 1.0, "inter": 1.0}
    assert fienet.model == {**baseline.model, "center_margin": 1.2}, "where the half between identities is at work"
    changes = {"method": "baseline", "model": dict(baseline.model), "loss_weights": dict(baseline.loss_weights)}
    assert Recipe.from_dict(fienet.to_dict() | changes) == baseline


@pytest.mark.parametrize("dataset", DATASETS)
def test_paper_recipe(dataset: str) -> None:
    expected = {
        **{"backbone": "resnet50", "weights": "imagenet", "height": 288, "width": 144, "identities": 8, "images": 4},
        **{"optimizer": "sgd", "learning_rate": 0.1, "backbone_rate": 0.1, "weight_decay": 5e-4, "epochs": 100},
        **{"schedule": "step", "warmup": 10, "milestones": (20, 50), "validation_share": 0},
        **{"augmentation": Augmentation(flip=0.5, pad=10, exchange=0.5, erase=0.5)},
        **{"loss_weights": {"identity": 1, "triplet": 1, "intra": 1, "inter": 1}},
        **{"model": {"triplet": "weighted", "label_smoothing": 0, "center_margin": 1.2}},
    }
    recipe = methods.recipe("fienet", dataset=dataset, profile="paper")
    assert {name: getattr(recipe, name) for name in expected} == expected


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_modules_learn_at_the_full_rate(profile: str) -> None:
    recipe = methods.recipe("fienet", profile=profile)
    model = reidlib.methods.build("fienet", num_ids=3, backbone="tiny", **recipe.model)
    inner, outer = training.make_optimizer(recipe, model).param_groups
    assert (inner["rate"], outer["rate"]) == (recipe.backbone_rate, 1)
    modules = {id(parameter) for part in (model.pfam, model.mpim) for parameter in part.parameters()}
    assert modules and modules <= {id(parameter) for parameter in outer["params"]}


@pytest.mark.integration
@pytest.mark.parametrize("name", DATASETS)
def test_notebook_profile_runs_on_the_twin(twin, name: str) -> None:
    dataset = reidlib.data.open(name, root=twin(name), **({"split": 1} if name == "regdb" else {}))
    run = training.fit(methods.recipe("fienet", dataset=name, profile="ci"), dataset, progress=False)
    assert run.finished and len(run.validation) >= 1
    result = evaluation.evaluate(run.model, dataset, evaluation.protocols.get(name))
    assert result.is_twin and 0 < result.mean_average_precision <= 1
