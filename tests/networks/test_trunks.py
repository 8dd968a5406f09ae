"""Trunks other than the ResNets of the profiles: five stage maps each, for every method."""

import sys

import pytest
import torch
import torchvision

from reidlib import methods
from reidlib.networks import timm_trunks, trunks
from reidlib.networks.backbone import Backbone, Stages

TIMM = ("resnet18", "regnetx_002", "mobilenetv3_small_050")
OTHERS = ["resnet34", "mobilenet_v2", *(f"timm:{name}" for name in TIMM)]
MODALITY = torch.tensor([0, 1, 0, 1])


def images(rows: int = 4, height: int = 64, width: int = 32) -> torch.Tensor:
    return torch.randn(rows, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", OTHERS)
def test_five_maps_under_two_stems(name: str) -> None:
    backbone = Backbone(name).eval()
    assert len(backbone.stems) == 2 and list(backbone.stages) == [1, 2, 3, 4]
    with torch.inference_mode():
        maps = backbone.stem(images(), MODALITY)
        shapes = [maps.shape[1:]]
        for number in backbone.stages:
            maps = backbone.stage(number, maps)
            shapes.append(maps.shape[1:])
        torch.testing.assert_close(maps, backbone(images(), MODALITY))
    assert tuple(shape[0] for shape in shapes) == backbone.channels
    assert shapes[0][1] in (16, 32)
    assert [tuple(shape[1:]) for shape in shapes[1:]] == [(16, 8), (8, 4), (4, 2), (4, 2)]


@pytest.mark.parametrize("name", OTHERS)
def test_last_stride_2_halves_the_last_map(name: str) -> None:
    assert Backbone(name, last_stride=2).eval()(images(), MODALITY).shape[2:] == (2, 1)


@pytest.mark.parametrize("name", ["resnet34", "mobilenet_v2"])
def test_names_and_maps_are_torchvisions(name: str) -> None:
    theirs = getattr(torchvision.models, name)(weights=None).eval()
    state = {key: value for key, value in theirs.state_dict().items() if not key.startswith(("fc.", "classifier."))}
    ours = Backbone(name, shared_from=0, last_stride=2).eval()
    ours.load_state_dict(state)  # strict: the same names and shapes
    trunk = theirs.features if name == "mobilenet_v2" else torch.nn.Sequential(*list(theirs.children())[:-2])
    with torch.inference_mode():
        torch.testing.assert_close(ours(images(1), MODALITY[:1]), trunk(images(1)))


def test_resnet101_has_torchvisions_tensors() -> None:
    with torch.device("meta"):
        theirs, ours = torchvision.models.resnet101().state_dict(), Stages("resnet101").state_dict()
    assert {name: each.shape for name, each in ours.items()} == {
        name: each.shape for name, each in theirs.items() if not name.startswith("fc.")
    }


@pytest.mark.parametrize("name", TIMM)
def test_names_and_maps_are_timms(name: str) -> None:
    import timm

    theirs = timm.create_model(name, features_only=True, pretrained=False).eval()
    ours = Stages(f"timm:{name}", last_stride=2).eval()
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.data.copy_(its)
    named = {key.removeprefix(timm_trunks.INSIDE) for key in ours.state_dict()}
    assert named <= timm.create_model(name).state_dict().keys()
    with torch.inference_mode():
        maps, expected = images(), theirs(images())
        for number in ours.stages:
            maps = ours.stage(number, maps)
            torch.testing.assert_close(maps, expected[number])


@pytest.mark.parametrize("name", OTHERS[1:])
@pytest.mark.parametrize("method", ["baseline", "maum", "fienet", "idkl", "dalnet"])
def test_every_method_has_a_step_on_every_trunk(method: str, name: str) -> None:
    """The losses are finite and every parameter of the trunk learns."""
    torch.manual_seed(0)
    model = methods.build(method, num_ids=2, backbone=name)
    pids, modality = torch.tensor([0, 0, 1, 1] * 2), torch.tensor([0] * 4 + [1] * 4)
    terms = model.losses(model(images(8), modality), pids, modality)
    sum(terms.values()).backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(each.grad is not None for each in model.backbone.parameters())
    embeddings = model.eval().embed(images(2), MODALITY[:2])
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))


REFUSED = [
    ("resnet51", "unknown backbone 'resnet51'; choose one of: tiny, small, .*mobilenet_v2, timm:<name>$"),
    ("vit_b_16", "unknown backbone 'vit_b_16'.*vision transformer .* not trained here: evaluate, search with"),
    ("swin_t", "vision transformer"),
    ("clip", "vision transformer"),
    (50, "unknown backbone 50"),
]
REFUSED_OF_TIMM = [
    ("timm:resnet9000", "unknown backbone 'timm:resnet9000': timm .* has no such network"),
    ("timm:", "unknown backbone 'timm:'"),
    ("timm:vit_tiny_patch16_224", "not give the five maps of a trunk.*such as a ViT, is not trained here"),
    ("timm:convnext_atto", "not give the five maps of a trunk"),
    ("timm:vgg11", "not give the five maps of a trunk.*6 of them"),
    ("timm:xception41", "not those of modules that run one after another"),
]


@pytest.mark.parametrize(("name", "message"), [*REFUSED, *REFUSED_OF_TIMM])
def test_an_unknown_trunk_is_refused_when_the_recipe_is_made(name, message) -> None:
    with pytest.raises(ValueError, match=message):
        methods.recipe("baseline", profile="ci").replace(backbone=name)
    with pytest.raises(ValueError, match=message):
        methods.build("maum", num_ids=2, backbone=name)


def test_a_last_stride_that_a_trunk_of_timms_cannot_have_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(timm_trunks, "_keep_size", lambda module: None)
    timm_trunks.check_last_stride.cache_clear()
    recipe = methods.recipe("baseline", profile="ci").replace(weights=None)
    try:
        with pytest.raises(ValueError, match="with last stride 1 they are "):
            recipe.replace(backbone="timm:resnet18")
        assert recipe.replace(backbone="timm:resnet18", model={"last_stride": 2}).backbone == "timm:resnet18"
    finally:
        timm_trunks.check_last_stride.cache_clear()


def test_without_timm_the_error_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    trunks.trunk.cache_clear()
    with pytest.raises(ModuleNotFoundError, match=r"needs the package timm.*pip install 'reidlib\[trunks\]'"):
        methods.recipe("baseline", profile="ci").replace(backbone="timm:resnet18")


def test_a_network_from_outside_may_have_trunks_of_its_own() -> None:
    class Own(methods.get("baseline").model):
        @classmethod
        def check_backbone(cls, backbone, weights=None, *, last_stride=1):
            if backbone != "mine":
                raise ValueError(f"unknown backbone {backbone!r}; choose one of: mine")

    known = methods.registry._registered
    methods.register(methods.Method("own-trunk", "Own trunk", Own, methods.get("baseline").recipes))
    try:
        recipe = methods.recipe("baseline", profile="ci").replace(weights=None)
        assert recipe.replace(method="own-trunk", backbone="mine").backbone == "mine"
        with pytest.raises(ValueError, match="choose one of: mine"):
            recipe.replace(method="own-trunk", backbone="resnet18")
    finally:
        known.pop("own-trunk")
