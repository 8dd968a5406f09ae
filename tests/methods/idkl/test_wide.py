"""The wider baseline: as many parameters as IDKL, and otherwise the baseline."""

import pytest
import torch

from reidlib import methods

IMAGES = torch.randn(4, 3, 64, 32, generator=torch.Generator().manual_seed(0))
MODALITY, PIDS = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])


def trained(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("backbone", ["tiny", "small", "resnet18", "resnet50"])
@pytest.mark.parametrize("num_ids", [2, 395, 4000])
def test_has_as_many_parameters_as_idkl(backbone: str, num_ids: int) -> None:
    with torch.device("meta"):
        wide, idkl, plain = (
            trained(methods.build(name, num_ids=num_ids, backbone=backbone))
            for name in ("wide-baseline", "idkl", "baseline")
        )
    assert wide == pytest.approx(idkl, rel=0.01) and wide > 1.5 * plain


@pytest.mark.parametrize("backbone", ["tiny", "resnet50"])
def test_only_the_last_two_stages_are_there_twice(backbone: str) -> None:
    with torch.device("meta"):
        wide, plain = (methods.build(name, num_ids=9, backbone=backbone) for name in ("wide-baseline", "baseline"))
    ours, theirs = wide.state_dict(), plain.state_dict()
    grown = {name for name in theirs if ours[name].shape != theirs[name].shape}
    assert grown and all(name.startswith(("neck", "classifier")) for name in grown)
    more = ours.keys() - theirs.keys()
    assert more and all(name.startswith(("backbone.second.3.", "backbone.second.4.", "adapter.")) for name in more)
    assert wide.backbone.channels[-1] == ours["classifier.weight"].shape[1] == 2 * plain.backbone.channels[-1]


def test_both_backs_start_from_the_pretrained_weights_and_go_different_ways() -> None:
    torch.manual_seed(0)
    wide = methods.build("wide-baseline", num_ids=2, backbone="tiny", weights="twin")
    plain = methods.build("baseline", num_ids=2, backbone="tiny", weights="twin").eval()
    halves = wide.eval().branch_map(IMAGES, MODALITY, "shared").chunk(2, dim=1)
    for half in halves:
        torch.testing.assert_close(half, plain.branch_map(IMAGES, MODALITY, "shared"), rtol=0, atol=0.05)
    optimizer = torch.optim.SGD(wide.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        sum(wide.train().losses(wide(IMAGES, MODALITY), PIDS, MODALITY).values()).backward()
        optimizer.step()
    first, second = wide.eval().branch_map(IMAGES, MODALITY, "shared").chunk(2, dim=1)
    assert not torch.allclose(first, second, atol=1e-3)


def test_trains_like_the_baseline() -> None:
    torch.manual_seed(0)
    wide = methods.build("wide-baseline", num_ids=2, backbone="tiny", margin=0.2, label_smoothing=0.0)
    plain = methods.build("baseline", num_ids=2, backbone="tiny", margin=0.2, label_smoothing=0.0)
    outputs = wide(IMAGES, MODALITY)
    terms = wide.losses(outputs, PIDS, MODALITY)
    expected = plain.losses(outputs, PIDS, MODALITY)
    assert {name: term.item() for name, term in terms.items()} == {name: e.item() for name, e in expected.items()}
    sum(terms.values()).backward()
    assert not [name for name, p in wide.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    for branch in wide.branches:
        maps = wide.branch_map(IMAGES, MODALITY, branch)
        assert maps.shape[2:] == plain.branch_map(IMAGES, MODALITY, branch).shape[2:], "the strides stay"
        norms = wide.eval().branch_embedding(IMAGES, MODALITY, branch).norm(dim=1)
        torch.testing.assert_close(norms, torch.ones(4))


@pytest.mark.parametrize("profile", ["screen", "paper"])
def test_recipe_is_that_of_the_baseline(profile: str) -> None:
    wide, plain = (methods.recipe(name, profile=profile).to_dict() for name in ("wide-baseline", "baseline"))
    assert wide == plain | {"method": "wide-baseline"}
