"""Recipes: values that can be changed by name, saved and read back, and refuse nonsense."""

import json
import pickle

import pytest

from reidlib import methods, profiles
from reidlib.data import Augmentation, Subsample
from reidlib.data.registry import READERS
from reidlib.methods import Recipe
from reidlib.networks import pretrained

ALL = [
    (method, dataset, profile)
    for method, known in methods.registered().items()
    for dataset in known.recipes
    for profile in profiles.PROFILES
]


@pytest.mark.parametrize(("method", "dataset", "profile"), ALL)
def test_every_recipe_survives_writing_and_builds_its_model(method: str, dataset: str, profile: str) -> None:
    recipe = methods.recipe(method, dataset=dataset, profile=profile)
    assert (recipe.method, recipe.dataset, recipe.profile, recipe.seed) == (method, dataset, profile, 0)
    for copy in (Recipe.from_json(recipe.to_json()), pickle.loads(pickle.dumps(recipe)), recipe.replace()):
        assert copy == recipe and copy.digest == recipe.digest and hash(copy) == hash(recipe)
    if profile != "paper":
        twin = profiles.get(profile).size(READERS[dataset].shape)
        assert (recipe.height, recipe.width) == tuple(side * 2 // 3 if profile == "screen" else side for side in twin)
        assert recipe.augmentation.erase == 0 and recipe.learning_rate == (1e-3 if profile == "gpu" else 4e-3)
        start = f"twin#sha256={pretrained.digest(recipe.backbone)}" if profile != "gpu" else "imagenet"
        assert recipe.weights == start
        methods.build(method, num_ids=2, backbone=recipe.backbone, **recipe.model)


@pytest.mark.parametrize("shape", profiles.SHAPES)
def test_screen_trains_on_smaller_images_than_its_twin_has(shape: str) -> None:
    """As large as those of ci, though the pictures are larger: whole people 64×32 of 96×48."""
    sizes_of = {name: methods.sizes.input_size(profiles.get(name), shape) for name in profiles.PROFILES}
    assert sizes_of["screen"] == {"person": (64, 32), "square": (48, 48), "face": (60, 48)}[shape]
    for name in ("ci", "cpu", "gpu", "paper"):
        assert sizes_of[name] == profiles.get(name).size(shape)
    assert methods.sizes.input_size(profiles.get("screen")) == (64, 32)


def test_screen_visits_everybody_as_often_as_three_short_trainings() -> None:
    screen, cpu = (methods.recipe("baseline", dataset="sysu", profile=name) for name in ("screen", "cpu"))
    assert (screen.backbone, screen.epochs, screen.validate_every) == ("tiny", 18, 3)
    assert screen.warmup / screen.epochs == cpu.warmup / cpu.epochs


def test_smaller_data_sets_are_trained_for_more_epochs_with_the_same_schedule() -> None:
    sysu, regdb = (methods.recipe("baseline", dataset=name, profile="cpu") for name in ("sysu", "regdb"))
    assert regdb.epochs == 5 * sysu.epochs and regdb.warmup == 5 * sysu.warmup and regdb.validate_every == 5
    assert regdb.replace(dataset="sysu", epochs=sysu.epochs, warmup=sysu.warmup, validate_every=1) == sysu
    paper = methods.recipe("baseline", dataset="regdb", profile="paper")
    assert paper.replace(dataset="sysu") == methods.recipe("baseline", dataset="sysu", profile="paper")


def test_paper_recipe_is_that_of_agw() -> None:
    recipe = methods.recipe("baseline", dataset="sysu", profile="paper")
    expected = {
        **{"backbone": "resnet50", "weights": "imagenet", "height": 288, "width": 144, "identities": 8, "images": 4},
        **{"optimizer": "sgd", "learning_rate": 0.1, "backbone_rate": 0.1, "weight_decay": 5e-4, "epochs": 81},
        **{"schedule": "step", "warmup": 10, "milestones": (20, 50), "validation_share": 0},
        **{"augmentation": Augmentation(flip=0.5, pad=10), "loss_weights": {"identity": 1, "triplet": 1}},
    }
    assert {name: getattr(recipe, name) for name in expected} == expected
    assert recipe.model == {"triplet": "weighted", "label_smoothing": 0}


@pytest.mark.parametrize("dataset", ["sysu", "regdb", "llcm"])
@pytest.mark.parametrize("profile", ["ci", "screen", "cpu", "gpu"])
def test_maum_has_the_budget_of_the_baseline(dataset: str, profile: str) -> None:
    maum, baseline = (methods.recipe(method, dataset=dataset, profile=profile) for method in ("maum", "baseline"))
    own = {name: getattr(baseline, name) for name in ("method", "model", "loss_weights")}
    changes = {**maum.to_dict(), **own}
    assert Recipe.from_dict({**changes, "model": dict(own["model"])}) == baseline
    assert maum.warmup <= maum.model["memory_start_epoch"] < maum.epochs / 2


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_stripes_of_maum_divide_the_rows(profile: str) -> None:
    recipe = methods.recipe("maum", profile=profile)
    rows = recipe.height // 16
    assert recipe.height % 16 == 0 and rows % recipe.model["stripes"] == 0
    assert recipe.model["stripes"] == (4 if rows % 6 else 6)


def test_paper_recipe_of_maum() -> None:
    expected = {
        **{"backbone": "resnet50", "weights": "imagenet", "height": 384, "width": 144, "identities": 8, "images": 4},
        **{"optimizer": "adam", "learning_rate": 3.5e-4, "weight_decay": 5e-4, "epochs": 120, "validation_share": 0},
        **{"schedule": "step", "warmup": 10, "milestones": (40, 70)},
        **{"augmentation": Augmentation(flip=0.5, pad=10, erase=0.5)},
        **{"loss_weights": {"proxy": 1, "unidirectional": 1}},
    }
    for dataset, interval in (("sysu", 173), ("regdb", 13), ("llcm", 134)):
        recipe = methods.recipe("maum", dataset=dataset, profile="paper")
        assert {name: getattr(recipe, name) for name in expected} == expected
        assert recipe.model == {"stripes": 6, "memory_interval": interval, "memory_start_epoch": 10}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "idlk"}, r"unknown method 'idlk'; choose one of: baseline, "),
        ({"method": "baseline", "dataset": "market"}, r"data set 'market'; it has one for: sysu, regdb, "),
        ({"method": "baseline", "profile": "laptop"}, r"profile 'laptop'; choose one of: ci, screen, cpu, gpu, paper"),
    ],
)
def test_unknown_names_are_answered_with_the_known(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        methods.recipe(**arguments)


def test_default_profile_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REIDLIB_PROFILE", "screen")
    assert methods.recipe("baseline").profile == "screen"


def test_replace_merges_dictionaries_and_leaves_the_original(recipe: Recipe) -> None:
    changed = recipe.replace(
        seed=3, loss_weights={"triplet": 0.5}, model={"margin": 0.2}, augmentation={"erase": 0.4, "pad": 1}
    )
    assert changed.loss_weights == {"identity": 1.0, "triplet": 0.5}
    assert changed.model == {"triplet": "weighted", "margin": 0.2}
    assert changed.replace(model={"neck": False}).model["margin"] == 0.2
    assert (changed.augmentation.erase, changed.augmentation.pad, changed.augmentation.exchange) == (0.4, 1, 0.5)
    assert changed.replace(loss_weights={"triplet": None}).loss_weights == {"identity": 1.0}
    assert changed.replace(augmentation=Augmentation()).augmentation == Augmentation()
    assert recipe.loss_weights["triplet"] == 1 and recipe.augmentation.erase == 0
    assert recipe.model == {"triplet": "weighted"}
    assert len({recipe.digest, changed.digest, recipe.replace(seed=1).digest}) == 3


def test_thinning_is_written_only_where_there_is_one(recipe: Recipe) -> None:
    assert recipe.subsample is None and "subsample" not in recipe.to_dict()
    changed = recipe.replace(subsample={"modality": 1, "images": 0.25})
    assert changed.subsample == Subsample(1, images=0.25) and changed == recipe.replace(subsample=Subsample(1, 0.25))
    assert changed.to_dict()["subsample"] == {"modality": 1, "images": 0.25, "identities": 1.0, "seed": 0}
    for copy in (Recipe.from_json(changed.to_json()), pickle.loads(pickle.dumps(changed))):
        assert copy == changed and copy.digest == changed.digest and hash(copy) == hash(changed)
    fewer = changed.replace(subsample={"identities": 0.5})
    assert fewer.subsample == Subsample(1, images=0.25, identities=0.5) and fewer.digest != changed.digest
    assert fewer.replace(epochs=5, warmup=1).subsample == fewer.subsample
    for whole in (None, {"images": 1, "identities": 1.0}, Subsample(0, seed=3)):
        assert fewer.replace(subsample=whole) == recipe and fewer.replace(subsample=whole).digest == recipe.digest
    assert Recipe.from_dict({**recipe.to_dict(), "subsample": None}) == recipe


# Recipes as runs recorded them, whose rows are published: all that methods had by default then is written out.
RECORDED = {
    **{"dataset": "sysu", "seed": 0, "backbone": "small", "weights": None, "identities": 8, "images": 4},
    **{"optimizer": "adamw", "learning_rate": 4e-3, "backbone_rate": 1.0, "weight_decay": 5e-4, "schedule": "cosine"},
    **{"milestones": [], "validation_share": 0.1, "validate_every": 1, "amp": "auto"},
}
AUGMENTED = {"flip": 0.5, "pad_value": "zero", "exchange": 0.5, "grey": 0.0, "erase": 0.5}
AUGMENTED |= {"erase_scale": [0.02, 0.33], "erase_ratio": [0.3, 3.3]}
OF_BASELINE = {"method": "baseline", "model": {}, "loss_weights": {"identity": 1.0, "triplet": 1.0}}
OF_MAUM = {
    **{"method": "maum", "loss_weights": {"proxy": 1.0, "unidirectional": 1.0, "triplet": 1.0}},
    "model": {
        **{"scale": 16.0, "triplet": "batch-hard", "stripes": 4},
        **{"memory_interval": 33, "memory_start_epoch": 2},
    },
}
SCREEN = {"profile": "screen", "height": 96, "width": 48, "epochs": 6, "warmup": 1.5}
CPU = {"profile": "cpu", "height": 128, "width": 64, "epochs": 8, "warmup": 2.0}


@pytest.mark.parametrize(
    ("fields", "pad", "digest"), [(OF_BASELINE | SCREEN, 4, "64cc3523"), (OF_MAUM | CPU, 5, "3151212f")]
)
def test_digests_of_recorded_recipes_stay(fields: dict, pad: int, digest: str) -> None:
    """By them rows of the ledger and run folders are found; a change of what is hashed orphans all of them."""
    recipe = Recipe.from_dict(RECORDED | fields | {"augmentation": AUGMENTED | {"pad": pad}})
    assert recipe.digest == digest
    assert recipe.replace(weight_decay=1e-3).digest != digest


def test_nothing_in_a_recipe_can_be_assigned(recipe: Recipe) -> None:
    with pytest.raises(AttributeError):
        recipe.seed = 1
    with pytest.raises(TypeError):
        recipe.loss_weights["triplet"] = 0.0


def test_numbers_of_another_type_make_no_other_recipe(recipe: Recipe) -> None:
    assert recipe.replace(warmup=2, loss_weights={"triplet": 2}).digest == (
        recipe.replace(warmup=2.0, loss_weights={"triplet": 2.0}).digest
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rates": 1}, r"no field 'learning_rates'; choose from: .*learning_rate, "),
        ({"augmentation": {"erasing": 1}}, r"augmentation has no field 'erasing'; choose from: .*erase, "),
        ({"method": "idlk"}, r"method must be one of: .*baseline.*'idlk'"),
        ({"dataset": "market"}, r"dataset must be one of: sysu"),
        ({"profile": "../.."}, r"profile must be one of: ci"),
        ({"optimizer": "adagrad"}, r"optimizer must be one of: adamw, adam, sgd"),
        ({"schedule": "linear"}, r"schedule must be one of: cosine, step"),
        ({"amp": True}, r"amp must be one of: auto, off"),
        ({"epochs": 0}, r"epochs must be a whole number from 1, not 0"),
        ({"images": 2.5}, r"images must be a whole number from 1, not 2\.5"),
        ({"seed": -1}, r"seed must be a whole number from 0"),
        ({"learning_rate": float("nan")}, r"learning_rate must be a number from 0, not nan"),
        ({"weight_decay": "5e-4"}, r"weight_decay must be a number from 0"),
        ({"warmup": 5}, r"warmup must be at most the 4 epochs, not 5"),
        ({"validation_share": 1}, r"validation_share must be less than 1"),
        ({"milestones": (2,)}, r'milestones must be rising, with "step" only'),
        ({"schedule": "step", "milestones": (3, 2)}, r"milestones must be rising"),
        ({"loss_weights": {"triplet": "high"}}, r"loss_weights must be numbers by name"),
        ({"model": {"pool": object()}}, r"model must be options by name, in types that JSON knows"),
        ({"augmentation": None}, r"augmentation must be a reidlib\.data\.Augmentation"),
        ({"augmentation": {"flip": 2}}, r"flip is a probability"),
        ({"subsample": {"images": 0.5}}, r'subsample must name a modality, as in \{"modality": 1'),
        ({"subsample": {"modality": 1, "share": 0.5}}, r"a subsample has no field 'share'; choose from: modality, "),
        ({"subsample": {"modality": 1, "images": 0}}, r"subsample: images must be a share above 0"),
        ({"subsample": 0.5}, r"subsample must be a reidlib\.data\.Subsample or None, not 0\.5"),
    ],
)
def test_bad_values_are_refused(recipe: Recipe, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe.replace(**changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.update(depth=50), r"no field 'depth'; choose from: method, "),
        (lambda record: record.pop("epochs"), r"lacks the field\(s\) epochs"),
        (lambda record: record.update(augmentation=[1]), r"augmentation must be an object"),
        (lambda record: record["augmentation"].update(shear=1), r"augmentation has no field 'shear'"),
        (lambda record: record.update(weight_decay=float("inf")), r"a recipe is not valid JSON: Infinity is no number"),
        (lambda record: record.update(loss_weights=[1, 2]), r"loss_weights must be numbers by name"),
        (lambda record: record.update(milestones=5), r"milestones"),
        (lambda record: record.update(subsample=[1]), r"subsample must be a reidlib\.data\.Subsample or None"),
        (lambda record: record.update(subsample={"images": 0.5}), r"subsample must name a modality"),
    ],
)
def test_damaged_json_is_refused(recipe: Recipe, change, message: str) -> None:
    record = recipe.to_dict()
    change(record)
    with pytest.raises(ValueError, match=message):
        Recipe.from_json(json.dumps(record))
    with pytest.raises(ValueError, match="JSON object"):
        Recipe.from_json("[]")
    for text in ("[" * 10**5, '{"epochs": NaN}', "{", '{"epochs": ' + "9" * 5000 + "}"):
        with pytest.raises(ValueError, match=r"^a recipe"):
            Recipe.from_json(text)


def test_recipe_prints_every_field_on_a_line(recipe: Recipe) -> None:
    assert "    loss_weights={'identity': 1.0, 'triplet': 1.0},\n" in repr(recipe)
