"""What DALNet's drawings are compared with: the baseline that sees drawings, or grey copies, of half the photos."""

import pytest

from reidlib import methods
from reidlib.experiments import studies
from reidlib.methods.dalnet.recipes import RECIPES


@pytest.mark.parametrize("profile", ["screen", "cpu"])
@pytest.mark.parametrize("dataset", RECIPES)
def test_all_variants_have_as_many_steps_and_differ_in_what_they_are_named_for(dataset, profile):
    variants = studies.get("dalnet-drawings", dataset=dataset, profile=profile)
    plain, edges, grey, fixed, whole = variants.values()
    steps = ("epochs", "identities", "images", "height", "width", "weights", "learning_rate", "validation_share")
    for recipe in variants.values():
        assert [getattr(recipe, name) for name in steps] == [getattr(whole, name) for name in steps]
    half = plain.augmentation.exchange / 2
    assert edges == plain.replace(augmentation={"edges": 0.5, "exchange": half})
    assert grey == plain.replace(augmentation={"grey": 0.5, "exchange": half})
    assert fixed.model["auxiliary"] == "xdog" and fixed.augmentation == whole.augmentation == plain.augmentation
    assert set(fixed.loss_weights) == set(whole.loss_weights) - {"style", "structure", "mask"}
    assert whole == methods.recipe("dalnet", dataset=dataset, profile=profile)
    assert len({recipe.digest for recipe in variants.values()}) == 5


def test_it_is_for_sketches():
    with pytest.raises(ValueError, match="dalnet"):
        studies.get("dalnet-drawings", dataset="sysu", profile="screen")
    recipe = methods.recipe("baseline", dataset="sysu", profile="screen")
    with pytest.raises(ValueError, match=r"augmentation must be without edges: sysu has no sketches, not .*edges=0.5"):
        recipe.replace(augmentation={"edges": 0.5})
    assert recipe.digest == recipe.replace(augmentation={"edges": 0.0}).digest
    own = methods.recipe("baseline", dataset="mine", profile="screen", shape="person")  # modalities are not known here
    drawn = own.replace(augmentation={"edges": 0.5})
    assert type(own).from_json(drawn.to_json()) == drawn
