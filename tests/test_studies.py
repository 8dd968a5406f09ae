"""Studies: grids in which every variant differs from the reference by what its name says."""

import pytest

from reidlib import models, recipes, studies


@pytest.mark.parametrize("name", studies.STUDIES)
@pytest.mark.parametrize("profile", ["screen", "paper"])
def test_variants_differ_and_build(name: str, profile: str) -> None:
    grid = studies.get(name, dataset="sysu", profile=profile)
    reference, *others = grid.values()
    assert reference == recipes.get(studies.STUDIES[name].method, dataset="sysu", profile=profile)
    assert len(others) >= 2 and len({recipe.digest for recipe in grid.values()}) == len(grid)
    for recipe in grid.values():
        assert recipe.seed == reference.seed
        models.build(recipe.method, num_ids=2, backbone="tiny", **recipe.model)


def test_ingredients_of_the_baseline_are_all_taken_away() -> None:
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
        ("augmentation", "erase", 0.0),
        ("augmentation", "exchange", 0.0),
        ("loss_weights", "triplet", 0.0),
        ("model", "label_smoothing", 0.0),
        ("model", "last_stride", 2),
        ("model", "neck", False),
        ("model", "pool", "average"),
        ("model", "shared_from", 0),
        ("model", "triplet", "weighted"),
    ]


def test_a_variant_that_changes_nothing_is_left_out() -> None:
    grid = studies.get("baseline-ingredients", dataset="sysu", profile="paper")
    assert next(iter(grid)) == "full"
    assert not {"without random erasing", "without channel exchange"} & grid.keys(), "AGW has neither"


def test_unknown_names_are_answered_with_the_known() -> None:
    with pytest.raises(ValueError, match="unknown study 'ingredients'; choose one of: baseline-ingredients"):
        studies.get("ingredients")
    with pytest.raises(ValueError, match="data set 'market'; choose one of: baseline on sysu"):
        studies.get("baseline-ingredients", dataset="market")
