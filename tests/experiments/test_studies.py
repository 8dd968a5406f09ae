"""Studies: grids in which every variant differs from the reference by what its name says."""

import os

import numpy as np
import pytest

from reidlib import evaluation, methods
from reidlib.experiments import benchmark, budget, ledger, measures, studies
from reidlib.experiments.part import Runs
from reidlib.methods.idkl import recipes
from reidlib.methods.idkl.model import CONFUSERS
from reidlib.training import provenance, runs


@pytest.mark.parametrize("name", studies.registered())
@pytest.mark.parametrize("profile", ["screen", "paper"])
def test_variants_differ_and_build(name: str, profile: str) -> None:
    dataset = "pku-sketch" if name.startswith("dalnet") else "sysu"
    study, grid = studies.registered()[name], studies.get(name, dataset=dataset, profile=profile)
    reference, *others = grid.values()
    usual = methods.recipe(study.method, dataset=dataset, profile=profile)
    if study.budget:
        own = methods.recipe(study.budget, dataset=dataset, profile=profile)
        usual = usual.replace(**{field: getattr(own, field) for field in budget.GIVEN})
    first = next(iter(study.variants.values()))
    sets = any(value for part, value in first.items() if part != "method")
    assert sets == name.endswith(("-trials", "-training-length")), "trials say all that they set"
    assert reference == usual or sets
    assert others and len({recipe.digest for recipe in grid.values()}) == len(grid)
    assert len(grid) == len(study.variants) == 12 or not name.endswith("-trials"), "as many for every method"
    for recipe in grid.values():
        assert recipe.seed == reference.seed
        methods.build(recipe.method, num_ids=2, backbone="tiny", **recipe.model)
    measures.require_known(studies.registered()[name].measures)


def test_branches_are_measured_on_the_runs_of_the_comparisons() -> None:
    """Nothing is trained for them that the comparisons do not train anyway."""
    found = studies.get("branches", profile="cpu")
    comparisons = {
        recipe.digest
        for method in ("maum", "fienet", "idkl")
        for recipe in studies.get(f"{method}-comparison", profile="cpu").values()
    }
    assert [recipe.method for recipe in found.values()] == ["baseline", "maum", "fienet", "idkl"]
    assert {recipe.digest for recipe in found.values()} <= comparisons
    assert {"probes", "cameras"} <= set(studies.registered()["branches"].measures)


def test_ingredients_of_the_baseline_are_changed_one_at_a_time() -> None:
    grid = studies.get("baseline-ingredients", dataset="sysu", profile="screen")
    full = grid.pop("full").to_dict()
    changed = [
        (part, option, value)
        for recipe in grid.values()
        for part, options in recipe.to_dict().items()
        if options != full[part]
        for option, value in options.items()
        if value != full[part].get(option)
    ]
    assert sorted(changed, key=str) == [
        ("augmentation", "erase", 0.5),
        ("augmentation", "exchange", 0.0),
        ("loss_weights", "triplet", 0.0),
        ("model", "label_smoothing", 0.0),
        ("model", "last_stride", 2),
        ("model", "neck", False),
        ("model", "pool", "average"),
        ("model", "shared_from", 0),
        ("model", "triplet", "batch-hard"),
    ]


def test_a_variant_that_changes_nothing_is_left_out() -> None:
    grid = studies.get("baseline-ingredients", dataset="sysu", profile="paper")
    assert next(iter(grid)) == "full"
    assert "without channel exchange" not in grid and "with random erasing" in grid, "AGW has neither"


def test_a_variant_is_trained_longer(new_study) -> None:
    variants = {"full": {}, "half as long again": {"time": 1.5, "learning_rate": 0.5}}
    new_study("time", methods.Study("baseline", variants))
    full, longer = studies.get("time", profile="screen").values()
    assert longer == full.replace(epochs=3 * full.epochs // 2, warmup=1.5 * full.warmup, learning_rate=0.5)


@pytest.mark.parametrize(("profile", "usual"), [("screen", 3), ("cpu", 1)])
def test_a_length_is_that_of_the_short_training_whatever_the_profile_takes(profile: str, usual: int, new_study) -> None:
    """18 to 24 visits of everybody are × 1; the recipes of screen are three times as long."""
    variants = methods.at_lengths({"plain": {}, "other": {"learning_rate": 0.5}})
    new_study("lengths", methods.Study("baseline", variants))
    grid, recipe = studies.get("lengths", profile=profile), methods.recipe("baseline", profile=profile)
    assert list(grid) == [f"{name}, × {length}" for length in (1, 3, 5) for name in ("plain", "other")]
    for label, each in grid.items():
        length, rate = int(label[-1]), {"learning_rate": 0.5} if label.startswith("other") else {}
        longer = {"epochs": length * recipe.epochs // usual, "warmup": length * recipe.warmup / usual}
        assert each == recipe.replace(**longer, **rate)
    assert grid[f"plain, × {usual}"] == recipe and recipe.epochs / usual in (6, 8)


def test_a_length_is_scored_against_the_reference_of_that_length(add) -> None:
    runs = Runs("fienet-training-length", profile="screen")
    short, long = [0.40, 0.41, 0.42], [0.50, 0.51, 0.52]
    add(runs, {"baseline, × 1": short, "FIENet, × 1": [s + 0.05 for s in short], "baseline, × 3": long})
    add(runs, {"FIENet, × 3": [s - 0.05 for s in long], "FIENet, × 5": long})
    found = {each.names: each for each in benchmark.lengths(ledger.local())}
    assert set(found) == {("FIENet, × 1", "baseline, × 1"), ("FIENet, × 3", "baseline, × 3")}, "× 5 has no reference"
    assert [each.differences["mAP"] for each in found.values()] == pytest.approx([0.05, -0.05])


def test_a_variant_may_read_the_recipe(new_study) -> None:
    twice = {"recipe": lambda recipe: recipe.replace(images=2 * recipe.images), "learning_rate": 0.5, "time": 2}
    new_study("twice", methods.Study("baseline", {"full": {}, "twice": twice}))
    full, other = studies.get("twice", profile="screen").values()
    expected = full.replace(images=2 * full.images, learning_rate=0.5)
    assert other == expected.replace(epochs=2 * full.epochs, warmup=2 * full.warmup)


def test_the_longer_baseline_of_dalnet_has_at_least_its_time() -> None:
    for dataset in ("pku-sketch", "shoe"):
        variants = studies.get("dalnet-comparison", dataset=dataset, profile="cpu")
        baseline, longer, hard, ours = variants.values()
        assert longer.epochs / baseline.epochs == pytest.approx(2.75, abs=0.05), "a step costs about 2.7 times as much"
        assert hard == baseline.replace(model={"triplet": "batch-hard"}) and baseline.model["triplet"] == "weighted"
        assert ours == methods.recipe("dalnet", dataset=dataset, profile="cpu")


@pytest.mark.parametrize(("dataset", "profile"), [("sysu", "screen"), ("regdb", "paper")])
def test_comparison_of_idkl(dataset: str, profile: str) -> None:
    grid = studies.get("idkl-comparison", dataset=dataset, profile=profile)
    names = "one stem", "trained longer", "as many parameters"
    baseline, one_stem, longer, wide = (grid[label] for label in ("baseline", *(f"baseline, {name}" for name in names)))
    ours = grid["IDKL"]
    assert one_stem == baseline.replace(model={"shared_from": 0})
    assert longer.epochs / baseline.epochs == pytest.approx(1.95, abs=0.1), "the ratio of the step times"
    assert longer.replace(**{name: getattr(baseline, name) for name in ("epochs", "warmup", "milestones")}) == baseline
    assert wide.to_dict() == baseline.to_dict() | {"method": "wide-baseline"}
    assert ours == methods.recipe("idkl", dataset=dataset, profile=profile)
    (_, released) = studies.get("idkl-released", dataset=dataset, profile=profile).values()
    assert released == recipes.released(ours)


@pytest.mark.parametrize("term", ["purifier", "tgsa", "csa", "mdr"])
def test_weights_of_idkl_are_multiples_of_the_recipe(term: str) -> None:
    usual, *others = studies.get(f"idkl-{term}", profile="screen").values()
    weight = usual.loss_weights[term]
    assert weight > 0 and [other.loss_weights[term] / weight for other in others] == pytest.approx([0, 0.1, 3])
    assert all(other.replace(loss_weights={term: weight}) == usual for other in others)


def test_confusers_of_idkl_are_all_there() -> None:
    names = []
    for variant, recipe in studies.get("idkl-confuser", profile="ci").items():
        model = methods.build("idkl", num_ids=2, backbone="tiny", **recipe.model)
        names.append(model.confusion)
        assert variant in (model.confusion, f"confuser {model.confusion}")
    assert sorted(names) == sorted(CONFUSERS)


def test_a_study_compares_methods(new_method, new_study) -> None:
    variants = {"full": {}, "longer baseline": {"method": "baseline", "epochs": 50}}
    new_method("other", recipes={"sysu": {"all": {"loss_weights": {"identity": 1, "triplet": 2}, "epochs": 7}}})
    new_study("of other", methods.Study("other", variants))
    full, longer = studies.get("of other", profile="screen").values()
    assert full == methods.recipe("other", profile="screen") and full.epochs == 7
    assert longer == methods.recipe("baseline", dataset="sysu", profile="screen").replace(epochs=50)


def test_results_are_found_by_recipe_not_by_label(finished, imageless, own_ledger) -> None:
    protocol = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)
    control = studies.get("null-control", profile="screen")
    plain, inert = control.values()
    assert studies.results(control).empty
    for recipe, label in ((inert, "inert"), (plain, "full"), (plain.replace(seed=3), ""), (plain, "baseline")):
        ledger.record(*finished(recipe, imageless, protocol), variant=label)
    ledger.record_failure(inert.replace(seed=3), imageless, RuntimeError("no"), protocol=protocol)
    rows = studies.results(control)
    assert rows["variant"].tolist() == ["baseline", "baseline", "baseline + inert module"]
    assert rows["seed"].tolist() == [0, 3, 0] and list(rows) == list(ledger.COLUMNS)
    assert rows.dtypes.to_dict() == ledger.table().dtypes.to_dict()
    both = studies.results(control, paired=True)
    assert both["variant"].tolist() == ["baseline", "baseline + inert module"] and both["seed"].tolist() == [0, 0]
    assert studies.results({"reference": plain.replace(seed=9)}, seed=0)["variant"].tolist() == ["reference"]
    assert studies.results(control, protocol="sysu-all-1shot-official").empty


def test_trained_are_the_finished_runs_on_this_machine(imageless, own_ledger, monkeypatch) -> None:
    variants = studies.get("null-control", profile="screen")
    (first, recipe), (second, other) = list(variants.items())[:2]
    loaded = []
    monkeypatch.setattr(runs, "load", lambda folder: loaded.append(folder) or f"run in {folder.name}")
    assert studies.trained(variants, imageless) == {}
    usual = runs.default_folder(recipe.replace(seed=3), imageless)
    beside = usual.with_name(f"{usual.name}-01234567")  # of other code
    unfinished = runs.default_folder(other.replace(seed=3), imageless)
    for number, folder in enumerate((usual, beside)):
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(b"")
        os.utime(folder / "weights.safetensors", (number, number))
    unfinished.mkdir(parents=True)
    assert studies.trained(variants, imageless, seed=3) == {first: f"run in {beside.name}"}, "the last to be finished"
    os.utime(usual / "weights.safetensors", (5, 5))
    assert studies.trained(variants, imageless, seed=3) == {first: f"run in {usual.name}"}
    assert studies.trained(variants, imageless) == {} and len(loaded) == 2, "another seed"
    (unfinished / "weights.safetensors").write_bytes(b"")
    assert list(studies.trained(variants, imageless, seed=3)) == [first, second]


def test_measures_are_found_by_recipe_not_by_label(
    finished, imageless, own_ledger, monkeypatch, tmp_path, new_measure
) -> None:
    protocol = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)
    new_measure("seeds", lambda run, dataset: {"twice": 2.0 * run.recipe.seed, "one": 1.0})
    control = studies.get("null-control", profile="screen")
    plain, inert = control.values()
    assert studies.measures(control).empty
    for recipe, label in ((inert, "inert"), (plain, "full"), (plain.replace(seed=3), ""), (plain, "")):
        measures.record(finished(recipe, imageless, protocol)[0], imageless, ["seeds"], variant=label)
    rows = studies.measures(control, measure="seeds")
    assert list(rows) == list(measures.COLUMNS) and rows.dtypes.to_dict() == measures.table().dtypes.to_dict()
    first, second = control
    assert rows[["variant", "seed", "name", "value"]].to_numpy().tolist() == [
        *([first, 0, "twice", 0.0], [first, 0, "one", 1.0], [first, 3, "twice", 6.0], [first, 3, "one", 1.0]),
        *([second, 0, "twice", 0.0], [second, 0, "one", 1.0]),
    ]
    assert studies.measures({"it": plain}, measures.local(), seed=3)["variant"].tolist() == ["it", "it"]
    monkeypatch.setattr(provenance, "code_digest", lambda *_: "0" * 16)
    measures.record(finished(inert, imageless, protocol)[0], imageless, ["seeds"])
    assert set(studies.measures({"inert": inert})["code"]) == {"0" * 16}, "of older code nothing counts"


def test_unknown_names_are_answered_with_the_known() -> None:
    with pytest.raises(ValueError, match="unknown study 'ingredients'; choose one of: baseline-ingredients"):
        studies.get("ingredients")
    with pytest.raises(ValueError, match="data set 'market'; it has one for: sysu, regdb"):
        studies.get("baseline-ingredients", dataset="market")


def test_the_null_control_adds_a_module_and_nothing_else() -> None:
    baseline, inert = studies.get("null-control", dataset="sysu", profile="screen").values()
    assert inert.to_dict() == {**baseline.to_dict(), "model": {**baseline.model, "inert": True}}
    plain, padded = (methods.build("baseline", num_ids=2, backbone="tiny", **each.model) for each in (baseline, inert))
    assert sum(p.numel() for p in padded.parameters()) > sum(p.numel() for p in plain.parameters())


# ---- grids


def test_grid_is_every_combination_in_readable_words() -> None:
    grid = studies.grid(
        "baseline",
        profile="screen",
        loss_weights={"triplet": [0, 0.5]},
        model={"neck": [True, False], "margin": 0.2},
        augmentation={"erase": np.array([0.0, 1.0])},
        epochs=range(4, 6),
        warmup=1,
    )
    assert len(grid) == 16
    assert list(grid)[:3] == [
        "triplet weight 0, neck, erase 0.0, epochs 4",
        "triplet weight 0, neck, erase 0.0, epochs 5",
        "triplet weight 0, neck, erase 1.0, epochs 4",
    ]
    changed = grid["triplet weight 0.5, without neck, erase 1.0, epochs 5"]
    changes = dict(epochs=5, warmup=1, model={"neck": False, "margin": 0.2}, augmentation={"erase": 1.0})
    expected = methods.recipe("baseline", dataset="sysu", profile="screen").replace(
        **changes, loss_weights={"triplet": 0.5}
    )
    assert changed == expected and changed.digest == expected.digest


def test_thinning_is_an_axis_and_a_change_like_others(new_study) -> None:
    full = methods.recipe("baseline", profile="ci")
    fewer = full.replace(subsample={"modality": 1, "images": 0.5})
    grid = studies.grid("baseline", profile="ci", subsample=[None, {"modality": 1, "images": 0.5}])
    assert list(grid.values()) == [full, fewer] and next(iter(grid)) == "without subsample"
    grid = studies.grid("baseline", profile="ci", subsample={"modality": [0, 1], "images": [0.5, 0.25]})
    assert list(grid)[2] == "modality 1, images 0.5" and grid["modality 1, images 0.5"] == fewer and len(grid) == 4
    variants = {"full": {}, "half": {"subsample": {"modality": 1, "images": 0.5}}}
    new_study("thin", methods.Study("baseline", variants))
    assert studies.get("thin", profile="ci") == {"full": full, "half": fewer}


def test_grid_names_methods_and_data_sets_where_there_are_several(new_method) -> None:
    new_method("other")
    assert list(studies.grid("baseline", profile="ci")) == ["baseline"]
    grid = studies.grid(["baseline", "other"], dataset=("sysu", "regdb"), profile="ci")
    assert {label: (recipe.method, recipe.dataset, recipe.profile) for label, recipe in grid.items()} == {
        "baseline, on sysu": ("baseline", "sysu", "ci"),
        "other, on sysu": ("other", "sysu", "ci"),
        "baseline, on regdb": ("baseline", "regdb", "ci"),
        "other, on regdb": ("other", "regdb", "ci"),
    }


def test_grid_answers_mistakes_with_what_is_known() -> None:
    for axes, message in [
        (
            {"loss_weights": {"tripet": [0, 1]}},
            "baseline has no 'tripet' in loss_weights; choose from: identity, triplet",
        ),
        ({"model": {"nek": [True, False]}}, "baseline has no 'nek' in model; choose from: .*neck"),
        ({"augmentation": {"ears": [0, 1]}}, "an augmentation has no field 'ears'"),
        ({"epocs": [1, 2]}, "a recipe has no field 'epocs'"),
        ({"epochs": []}, "the list of values of 'epochs' is empty"),
        ({"epochs": [5, 5]}, "two variants are called 'epochs 5': a value is listed twice"),
        ({"epochs": [0, 4]}, "epochs must be a whole number from 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            studies.grid("baseline", profile="screen", **axes)
    with pytest.raises(ValueError, match="unknown method 'resnet'"):
        studies.grid(["baseline", "resnet"])
