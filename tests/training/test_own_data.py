"""Data of one's own: trained by every method, recorded under their own name, refused where people were seen."""

import pickle
from pathlib import Path

import pytest
from small_folders import write_folder

from reidlib import data, evaluation, methods, training
from reidlib.evaluation import protocols
from reidlib.experiments import ledger, studies, sweep
from reidlib.methods import Recipe, registry

METHODS = [name for name in registry.registered(controls=False) if name != "fifth"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("own") / "My people")


@pytest.fixture
def own(root: Path) -> data.ReIDDataset:
    return data.from_folders(root)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_and_is_recorded_under_the_own_name(name: str, own, own_ledger: Path) -> None:
    recipe = methods.recipe(name, dataset=own, profile="ci").replace(epochs=1, warmup=0, height=32, width=16)
    run = training.fit(recipe, own, progress=False)
    protocol = protocols.available(own)
    row = ledger.record(run, evaluation.evaluate(run.model, own, protocol))
    assert (row["dataset"], row["source"], row["protocol"]) == ("my-people", "own", protocol.name)
    (found,) = ledger.table(own_ledger).to_dict("records")
    assert ledger.recipe(found).digest == recipe.digest == pickle.loads(pickle.dumps(recipe)).digest
    assert run.folder.parts[-3:-1] == ("my-people", name)


@pytest.mark.parametrize("shape", ["person", "square", "face"])
@pytest.mark.parametrize("profile", ["ci", "cpu", "paper"])
@pytest.mark.parametrize("name", METHODS)
def test_there_is_a_recipe_for_every_shape(name: str, profile: str, shape: str) -> None:
    recipe = methods.recipe(name, dataset="mine", profile=profile, shape=shape)
    assert (recipe.dataset, recipe.shape) == ("mine", shape) and Recipe.from_json(recipe.to_json()) == recipe
    assert {"person": 2 <= recipe.height / recipe.width <= 3, "square": recipe.height == recipe.width}.get(
        shape, recipe.height / recipe.width == 1.25
    )
    if profile == "cpu":
        published = {"person": "regdb", "square": "shoe", "face": "cufsf"}[shape]
        baseline = methods.recipe("baseline", dataset=published, profile=profile)
        assert (recipe.height, recipe.width) == (baseline.height, baseline.width)


def test_a_recipe_asks_for_no_more_people_than_there_are(own, root: Path) -> None:
    few = methods.recipe("baseline", dataset=own, profile="cpu")
    assert (few.identities, few.validation_share) == (5, 0.0), "five train: none can be spared"
    more = methods.recipe("baseline", dataset=data.from_folders(root, test_share=0.2), profile="cpu")
    assert (more.identities, more.validation_share) == (6, 0.25), "of eight two are held out"
    sketches = data.from_folders(root, ("visible", "infrared"))
    object.__setattr__(sketches.reader, "modalities", ("photo", "sketch"))
    erased = [methods.recipe("maum", dataset=each, profile="paper").augmentation.erase for each in (own, sketches)]
    assert erased == [0.5, 0], "sketches are not erased, whatever a recipe says"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "mine"}, "no recipe for method 'baseline' on data set 'mine'.*give the data set itself"),
        ({"dataset": "mine", "shape": "round"}, "'round'"),
        ({"dataset": "My data", "shape": "person"}, "dataset must be lower-case"),
    ],
)
def test_what_is_no_data_set_of_ones_own(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        methods.recipe("baseline", profile="ci", **changes)
    with pytest.raises(ValueError, match="not the name of a published data set"):
        methods.recipe("baseline", profile="ci").replace(shape="person")


def test_whom_a_model_was_trained_on_is_known_by_name(tmp_path: Path) -> None:
    names = ["anna", "bert", "carl", "dora", "emil", "fred"]
    root = write_folder(tmp_path / "friends", names, images=2)
    dataset = data.from_folders(root, train=names[:4])
    recipe = methods.recipe("baseline", dataset=dataset, profile="ci").replace(epochs=1, warmup=0, height=32, width=16)
    run = training.runs.load(training.fit(recipe, dataset, progress=False).folder)
    protocol = protocols.available(dataset)
    assert evaluation.evaluate(run.model, dataset, protocol).seen == 0
    write_folder(root, ["aaron"], images=2)  # everybody gets another number
    with pytest.raises(ValueError, match=r"2 of 3 test identities of friends, own split .* were trained on"):
        evaluation.evaluate(run.model, data.from_folders(root, test=["anna", "bert", "fred"]), protocol)
    assert evaluation.evaluate(run.model, data.from_folders(root, test=["aaron", "emil", "fred"]), protocol).seen == 0


@pytest.mark.slow
def test_a_study_is_swept_on_it(own, own_ledger: Path) -> None:
    recipes = studies.get("null-control", dataset=own, profile="ci")
    small = {label: each.replace(epochs=1, warmup=0, height=32, width=16) for label, each in recipes.items()}
    rows = sweep.run(small, own, protocols.available(own), seeds=(0,))
    assert rows["error"].isna().all() and set(rows["dataset"]) == {"my-people"} and set(rows["source"]) == {"own"}
    assert len(studies.results(small)) == 2


@pytest.mark.slow
def test_own_splits_of_published_sets_are_recorded_as_such(twin, own_ledger: Path) -> None:
    published = data.open("pku-sketch", root=twin("pku-sketch"), split=1)
    pids = sorted(published.frame["pid"].unique())
    own = data.own_split(published, train=pids[6:], test=pids[:6], label="of 2024")
    recipe = methods.recipe("baseline", dataset=own, profile="ci").replace(epochs=1, warmup=0, height=32, width=16)
    recipe = recipe.replace(identities=2, validation_share=0.0)
    assert recipe.shape is None and recipe.dataset == "pku-sketch"
    run = training.fit(recipe, own, progress=False)
    result = evaluation.evaluate(run.model, own, protocols.available(own))
    row = ledger.record(run, result)
    assert (row["source"], row["split"]) == ("twin 1, own split", None) and "own split: of 2024" in result.source
    assert run.folder != training.runs.default_folder(recipe, published)
    with pytest.raises(ValueError, match="were trained on"):
        evaluation.evaluate(run.model, published, protocols.available(published))
