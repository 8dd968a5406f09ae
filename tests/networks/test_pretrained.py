"""Trunks pretrained on rendered people: what the package ships, and ``weights="twin"`` for every method."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from reidlib import methods
from reidlib.networks import pretrained, weights
from reidlib.networks.backbone import Backbone
from reidlib.training import pretrain

SHIPPED = ("small", "tiny")
MOST_BYTES = 20_000_000  # of all weights in the package


def test_the_package_stays_small() -> None:
    assert pretrained.shipped() == SHIPPED
    sizes = {file.stem: file.stat().st_size for file in pretrained.SHIPPED.glob("*.safetensors")}
    assert sizes["tiny"] < 1_000_000 and sizes["small"] <= 3_000_000 and sum(sizes.values()) < MOST_BYTES


@pytest.mark.parametrize("name", SHIPPED)
def test_a_trunk_has_a_card_that_says_how_it_was_made(name: str) -> None:
    file = pretrained.find(name)
    card = json.loads(file.with_suffix(".json").read_text())
    content = file.read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest() == pretrained.digest(name)
    assert card["bytes"] == len(content) and card["name"] == f"twin/{name}" and card["licence"] == "MIT"
    recipe = pretrain.Pretraining.of(name)
    assert card["recipe"] == json.loads(json.dumps(pretrain.card(recipe, torch.device("cpu"))["recipe"]))
    assert card["data"] == pretrain.card(recipe, torch.device("cpu"))["data"] and card["data"]["images"] == 3840
    assert card["made"]["device"] == "cpu" and card["made"]["threads"] == 1 and 0.5 < card["accuracy"] <= 1
    state, trunk = pretrained.read(name), Backbone(name, shared_from=0)
    assert state.keys() == trunk.state_dict().keys()
    assert all(each.dtype in (torch.float32, torch.int64) and each.isfinite().all() for each in state.values())
    trunk.load_state_dict(state)


@pytest.mark.parametrize("method", methods.names())
def test_every_method_starts_from_it(method: str) -> None:
    state = pretrained.read("tiny")
    backbone = methods.build(method, num_ids=4, backbone="tiny", weights="twin").backbone
    assert backbone.fitted.share == 1 and backbone.fitted.sha256 == pretrained.digest("tiny")
    assert backbone.fitted.source == "twin" and not backbone.fitted.unexpected
    parts = [(name, tensor) for name, tensor in backbone.state_dict().items() if name.endswith("conv1.weight")]
    stems = [
        tensor for name, tensor in parts if name in ("conv1.weight", "stems.0.conv1.weight", "stems.1.conv1.weight")
    ]
    assert stems and all(torch.equal(tensor, state["conv1.weight"]) for tensor in stems)
    assert torch.equal(backbone.state_dict()["layer4.0.conv2.weight"], state["layer4.0.conv2.weight"])


def test_a_recipe_states_which_trunk() -> None:
    recipe = methods.recipe("baseline", dataset="sysu", profile="ci").replace(weights="twin")
    assert recipe.weights == f"twin#sha256={pretrained.digest('tiny')}"
    assert recipe.digest != recipe.replace(weights=None).digest
    assert methods.Recipe.from_dict(recipe.to_dict()) == recipe and recipe.recorded()["weights"] == recipe.weights
    other = recipe.replace(backbone="small")
    assert other.weights == f"twin#sha256={pretrained.digest('small')}"
    with pytest.raises(ValueError, match=r"'resnet50' has no weights pretrained on rendered people here.*small, tiny"):
        recipe.replace(backbone="resnet50")
    assert recipe.replace(backbone="resnet50", weights=None).weights is None
    model = methods.build("baseline", num_ids=4, backbone="tiny", weights="twin")
    assert model.arguments["weights"] == recipe.weights
    with pytest.raises(ValueError, match="is another trunk than the recipe states"):
        methods.build("baseline", num_ids=4, backbone="tiny", weights=f"twin#sha256={'0' * 64}")
    with pytest.raises(ValueError, match="not 'twin#sha256=12'"):
        weights.parse("twin#sha256=12")


def test_files_are_read_without_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path)
    file = tmp_path / "tiny.safetensors"
    shutil.copy(Path(pretrained.__file__).parents[1] / "published/weights/tiny.safetensors", file)
    with pytest.raises(ValueError, match=r"tiny\.safetensors has no card that could be read"):
        pretrained.read("tiny")
    file.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}))
    assert len(pretrained.read("tiny"))
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    with pytest.raises(ValueError, match=r"tiny\.safetensors is damaged or not the file of its card"):
        pretrained.read("tiny")


def test_what_float16_cannot_hold_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="tiny: layer1 holds numbers that float16 has not"):
        pretrained.write(tmp_path, "tiny", {"layer1": torch.tensor([1e6])}, {})
    assert not list(tmp_path.iterdir())
