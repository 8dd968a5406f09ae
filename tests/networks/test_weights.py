"""Weights from files that anybody may have made."""

import hashlib
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision

from reidlib import methods
from reidlib.networks import weights
from reidlib.networks.backbone import Backbone, Stages


def numbered(state: dict[str, torch.Tensor], value: float) -> dict[str, torch.Tensor]:
    """The same names and shapes, all tensors filled with one value."""
    return {name: torch.full_like(tensor, value) for name, tensor in state.items()}


@pytest.fixture(scope="module")
def whole() -> dict[str, torch.Tensor]:
    """A small ResNet with its classifier, all of whose tensors are a quarter."""
    return numbered(Stages("tiny").state_dict() | {"fc.weight": torch.empty(5, 128), "fc.bias": torch.empty(5)}, 0.25)


@pytest.fixture
def saved(tmp_path):
    def save(content, name: str = "weights.pth") -> str:
        torch.save(content, tmp_path / name)
        return str(tmp_path / name)

    return save


def all_are(module: torch.nn.Module, value: float) -> bool:
    return all((tensor == value).all() for name, tensor in module.state_dict().items() if tensor.is_floating_point())


@pytest.mark.parametrize(
    "nest",
    [
        lambda state: state,
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.backbone.base.{name}": tensor for name, tensor in state.items()}},
        lambda state: {"net": state, "mAP": np.float64(0.5), "cmc": np.arange(3.0), "optimizer": {"state": {}}},
    ],
    ids=["plain", "module.", "state_dict", "deep prefix", "net with scores"],
)
@pytest.mark.parametrize("shared_from", [0, 1])
def test_names_are_found_wherever_they_are_nested(whole, saved, nest, shared_from) -> None:
    backbone = Backbone("tiny", shared_from=shared_from, weights=saved(nest(whole)))
    assert all_are(backbone, 0.25)
    assert backbone.fitted.share == 1 and not (backbone.fitted.missing or backbone.fitted.wrong_shape)
    assert [name.rsplit(".", 2)[-2] for name in backbone.fitted.unexpected] == ["fc", "fc"]
    assert "tensors fitted, by name" in str(backbone.fitted)


def test_safetensors_and_paths_with_a_number_sign(whole, tmp_path) -> None:
    path = tmp_path / "my #1 weights.safetensors"
    safetensors.torch.save_file(whole, path)
    assert all_are(Backbone("tiny", weights=str(path)), 0.25)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights.stated(str(path)) == weights.stated(path) == f"{path}#sha256={digest}"
    assert weights.identity(f"{path}#sha256={digest.upper()}&least=0.1") == f"sha256:{digest}"


def test_two_streams_of_agw_reach_their_own_stems(whole, saved) -> None:
    """As AGW and DEEN save them: whole ResNets of which each part uses some."""
    starts = {"visible_module.visible.": 1.0, "thermal_module.thermal.": 2.0, "base_resnet.base.": 3.0}
    net = {f"{start}{name}": torch.full_like(each, v) for start, v in starts.items() for name, each in whole.items()}
    backbone = Backbone("tiny", weights=saved({"net": net, "epoch": 60}, "sysu_agw.t"))
    assert all_are(backbone.stems[0], 1.0) and all_are(backbone.stems[1], 2.0) and all_are(backbone.layer3, 3.0)
    assert backbone.fitted.how == "by the names of AGW's two streams" and backbone.fitted.share == 1


def test_a_network_of_this_package_gives_each_stem_its_own(saved) -> None:
    donor = methods.build("baseline", num_ids=3, backbone="tiny")
    for number, stem in enumerate(donor.backbone.stems):
        stem.load_state_dict(numbered(stem.state_dict(), 1.0 + number))
    heir = methods.build("maum", num_ids=5, backbone="tiny", weights=saved(donor.state_dict()))
    assert all_are(heir.backbone.stems[0], 1.0) and all_are(heir.backbone.stems[1], 2.0)
    assert torch.equal(heir.backbone.layer2[0].conv1.weight, donor.backbone.layer2[0].conv1.weight)
    assert heir.backbone.fitted.unexpected and heir.backbone.fitted.share == 1


def test_backs_of_idkl_start_as_equal_copies_of_the_file(whole, saved) -> None:
    assert all_are(methods.build("idkl", num_ids=2, backbone="tiny", weights=saved(whole)).backbone, 0.25)


def test_other_names_in_the_same_order(saved) -> None:
    """As the first public weights of MobileNetV2, whose names torchvision changed later."""
    theirs = torchvision.models.mobilenet_v2(weights=None).state_dict()
    renamed = {f"layer{number}.{name.rsplit('.', 1)[-1]}": theirs[name] for number, name in enumerate(theirs)}
    backbone = Backbone("mobilenet_v2", shared_from=1, weights=saved(renamed))
    assert "in the order" in backbone.fitted.how and backbone.fitted.share == 1
    ours = backbone.state_dict()
    assert torch.equal(ours["features.9.conv.1.0.weight"], theirs["features.9.conv.1.0.weight"])
    assert torch.equal(ours["stems.1.features.0.0.weight"], theirs["features.0.0.weight"])


def test_what_does_not_fit_is_reported_by_name(whole, saved) -> None:
    state = {name: each for name, each in whole.items() if not name.startswith("layer4.")}
    state |= {"conv1.weight": torch.zeros(16, 1, 7, 7), "odd\nname": torch.zeros(1)}
    fitted = Backbone("tiny", shared_from=0, weights=saved(state)).fitted
    assert fitted.wrong_shape == ("conv1.weight",) and all(name.startswith("layer4.") for name in fitted.missing)
    assert 0.5 < fitted.share < 1 and "odd?name" in str(fitted)
    record = fitted.record()
    assert record["fitted"] == len(fitted.fitted) and record["counts"]["missing"] == len(fitted.missing)


@pytest.mark.parametrize("prefix", ["layer1.", "head."])
def test_a_file_that_fits_less_than_half_is_refused_unless_told(whole, saved, prefix) -> None:
    path = saved({name: each for name, each in whole.items() if name.startswith(prefix)} | {"x": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"weights.pth: \d+ of the trunk's .*less than 0.5.*weights.pth#least=0"):
        Backbone("tiny", weights=path)
    assert Backbone("tiny", weights=f"{path}#least=0").fitted.share < 0.5


class Attack:
    def __reduce__(self):
        return (pytest.fail, ("code in a weights file was run",))


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(1 << 20))


BAD = [
    (lambda path: torch.save({"conv1.weight": Attack()}, path), "cannot be read as tensors"),
    (lambda path: path.write_bytes(pickle.dumps(Attack())), "cannot be read as tensors"),
    (lambda path: path.write_bytes(b""), "cannot be read as tensors"),
    (lambda path: path.write_bytes(b"<html>not found</html>"), "cannot be read as tensors"),
    (lambda path: torch.save([torch.zeros(1)], path), "no tensors by name, but a list"),
    (lambda path: torch.save({"epoch": 3}, path), "there are no tensors in it"),
    (lambda path: torch.save({1: torch.zeros(1)}, path), "there are no tensors in it"),
    (bomb, "unpacked it would hold more"),
    (lambda path: path.mkdir(), "cannot be read: Is a directory"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_files_are_named(tmp_path, monkeypatch, make, message) -> None:
    monkeypatch.setattr(weights, "MOST_BYTES", 1 << 19)
    make(path := tmp_path / "foreign.pth")
    with pytest.raises((ValueError, OSError), match=f"(?s)foreign.pth.*{message}"):
        Backbone("tiny", weights=str(path))


def test_values_that_are_not_finite_are_refused(whole, saved) -> None:
    path = saved(whole | {"layer2.0.conv1.weight": torch.full((32, 16, 3, 3), torch.nan)})
    with pytest.raises(ValueError, match=r"the tensor for layer2.0.conv1.weight holds values that are not finite"):
        Backbone("tiny", weights=path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("imagnet", "weights must be None, 'twin', 'imagenet', or a file that ends with .pth, .*not 'imagnet'"),
        ("/a/model.onnx", "a file that ends with"),
        (7, "a file that ends with .*not 7"),
        ("/a/b.pth#sha256=12", "sha256 must be 64 hexadecimal digits, not '12'"),
        ("/a/b.pth#least=2", "least must be a share from 0 to 1, not '2'"),
    ],
)
def test_what_is_no_file_is_refused_with_the_recipe(given, message) -> None:
    with pytest.raises(ValueError, match=message):
        methods.recipe("baseline", profile="ci").replace(weights=given)


def test_the_content_decides_not_the_place(saved, tmp_path, monkeypatch) -> None:
    donor = methods.build("baseline", num_ids=3, backbone="tiny").backbone.state_dict()
    recipe = methods.recipe("baseline", profile="ci")
    first = recipe.replace(weights=saved(donor, "one.pth"))
    (tmp_path / "two.pth").write_bytes((tmp_path / "one.pth").read_bytes())
    monkeypatch.chdir(tmp_path)
    for same in (str(tmp_path / "two.pth"), "two.pth", Path("two.pth"), first.recorded()["weights"]):
        assert recipe.replace(weights=same).digest == first.digest
    assert first.digest != recipe.digest and str(tmp_path) not in str(first.recorded())
    assert methods.Recipe.from_json(first.to_json()) == first == pickle.loads(pickle.dumps(first))
    other = numbered(donor, 0.5)
    assert recipe.replace(weights=saved(other, "three.pth")).digest != first.digest
    saved(other, "one.pth")  # changed after the recipe was made
    with pytest.raises(ValueError, match=r"one.pth is not the one that the recipe states, or was changed"):
        methods.build("baseline", num_ids=2, backbone="tiny", weights=first.weights)
    assert first.replace(seed=3).weights == first.weights, "a change of something else reads no file again"


def test_a_file_that_is_not_there_is_named_with_where_it_was_looked_for(tmp_path, monkeypatch) -> None:
    recipe = methods.recipe("baseline", profile="ci")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=rf"weights file w.pth \(seen from {tmp_path}\) cannot be read: No such"
    ):
        recipe.replace(weights="w.pth")
    known = recipe.replace(weights=f"sha256:{'a' * 64}")
    with pytest.raises(FileNotFoundError, match=r"known by their digest alone .* name the file that has it"):
        methods.build("baseline", num_ids=2, backbone="tiny", weights=known.weights)
