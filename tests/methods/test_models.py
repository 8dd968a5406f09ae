"""What the network of every method must do; one that is added is asked as well."""

import pytest
import safetensors.torch
import tiny
import torch
import torch.nn.functional as F
from tiny import MIXED, MODALITY, ORDER, PIDS, images

from reidlib import methods
from reidlib.methods import registry

CASES = [(name, options) for name in methods.names() for options in tiny.VARIANTS.get(name, [{}])]
# Behind what begins as zero, a parameter moves nothing before so many steps.
STEPS = {"fienet": 1, "dalnet": 2}


def ordered(name: str, options: dict) -> bool:
    """Whether rows are paired by their position, or partners are taken in their order."""
    by_position = options.get("preset") == "released" or options.get("confuser") == "pseudo-label"
    return by_position or (name == "dalnet" and options.get("attention", True))


def alike(name: str, options: dict) -> bool:
    """Whether it learns as another case does: to ask for that takes the longest."""
    return "confuser" in options or (name == "fienet" and options != {})


def title(case: object) -> str | None:
    return "-".join(map(str, case.values())) or "as-it-is" if isinstance(case, dict) else None


cases = pytest.mark.parametrize(("name", "options"), CASES, ids=title)
each = pytest.mark.parametrize("name", methods.names())


@cases
@pytest.mark.parametrize("modality", [MODALITY, MIXED], ids=["sorted", "mixed"])
def test_every_parameter_gets_a_gradient(name: str, options: dict, modality: torch.Tensor) -> None:
    model = tiny.build(name, **options)
    terms = tiny.losses(model, modality=modality)
    assert all(term.isfinite() and term.ndim == 0 for term in terms.values())
    sum(terms.values()).backward()
    assert tiny.untaught(model) == []


@cases
def test_every_parameter_moves_the_losses(name: str, options: dict) -> None:
    model = tiny.build(name, **options)
    for seed in range(STEPS.get(name, 0)):
        tiny.step(model, seed)
    model.zero_grad()
    sum(tiny.losses(model, seed=5).values()).backward()
    assert tiny.silent(model) == []


@pytest.mark.parametrize(("name", "options"), [case for case in CASES if not alike(*case)], ids=title)
def test_a_few_steps_learn_the_batch(name: str, options: dict) -> None:
    """Fifteen steps on one batch take the loss well below its start."""
    model = tiny.build(name, **options)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = []
    for _ in range(15):
        loss = sum(tiny.losses(model).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.6 * history[0]


@cases
def test_embeddings_are_unit_deterministic_and_follow_the_rows(name: str, options: dict) -> None:
    model = tiny.warmed_up(tiny.build(name, **options))
    with torch.inference_mode():
        for branch in model.branches:
            found = model.branch_embedding(images(), MIXED, branch)
            assert found.ndim == 2 and found.dtype == torch.float32
            torch.testing.assert_close(found.norm(dim=1), torch.ones(8))
            torch.testing.assert_close(model.branch_embedding(images(), MIXED, branch), found, rtol=0, atol=1e-6)
            for rows in (ORDER, MIXED == 0, MIXED == 1, slice(5, 6)):
                again = model.branch_embedding(images()[rows], MIXED[rows], branch)
                torch.testing.assert_close(again, found[rows], rtol=1e-4, atol=1e-5)
        embeddings, outputs = model.embed(images(), MIXED), model(images(), MIXED)
        assert torch.equal(embeddings, model.branch_embedding(images(), MIXED, model.branches[0]))
        assert embeddings.shape == (8, 128) or name == "wide-baseline"
        torch.testing.assert_close(embeddings, F.normalize(outputs.embeddings["shared"], dim=1))


@pytest.mark.parametrize(("name", "options"), [case for case in CASES if not ordered(*case)], ids=title)
def test_order_of_rows_does_not_matter_to_the_losses(name: str, options: dict) -> None:
    model = tiny.warmed_up(tiny.build(name, **options))
    one = tiny.losses(model, modality=MIXED)
    other = model.losses(model(images()[ORDER], MIXED[ORDER]), PIDS[ORDER], MIXED[ORDER])
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@cases
def test_branches_have_maps_and_others_are_named(name: str, options: dict) -> None:
    model = tiny.warmed_up(tiny.build(name, **options))
    assert model.branches[0] == "shared"
    assert len(model.branches) == 1 or options.get("shared_from") != 0
    with torch.inference_mode():
        for branch in model.branches:
            maps = model.branch_map(images(), MODALITY, branch)
            assert maps.ndim == 4 and len(maps) == 8
            torch.testing.assert_close(
                model.embed_map(maps, branch), model.branch_embedding(images(), MODALITY, branch)
            )
    for call in (model.branch_map, model.branch_embedding):
        for branch in {"nobody", "specific", "purified", "auxiliary"} - set(model.branches):
            with pytest.raises(ValueError, match=f"no branch '{branch}'; choose one of: {', '.join(model.branches)}$"):
                call(images(), MODALITY, branch)


@pytest.mark.parametrize(
    ("name", "options"),
    [case for case in CASES if case[0] not in ("idkl", "dalnet") and case[1].get("shared_from") != 0],
    ids=title,
)
def test_the_specific_branch_is_the_stem(name: str, options: dict) -> None:
    model = tiny.warmed_up(tiny.build(name, **options))
    assert model.branches == ("shared", "specific")
    with torch.inference_mode():
        maps = model.branch_map(images(), MODALITY, "specific")
        torch.testing.assert_close(maps[4:], model.backbone.stems[1](images()[4:]))
        specific = model.branch_embedding(images(), MODALITY, "specific")
        torch.testing.assert_close(specific, F.normalize(maps.mean(dim=(2, 3)), dim=1))


@cases
def test_autocast_keeps_embeddings_and_losses_in_float32(name: str, options: dict) -> None:
    model = tiny.warmed_up(tiny.build(name, **options)).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(images(), MODALITY)
        tensors = [*outputs.features.values(), *outputs.embeddings.values(), model.embed(images(), MODALITY)]
        assert {tensor.dtype for tensor in tensors} == {torch.float32}
        terms = model.losses(outputs, PIDS, MODALITY)
        assert {term.dtype for term in terms.values()} == {torch.float32}
    sum(terms.values()).backward()
    assert tiny.untaught(model) == []


@cases
def test_double_precision_stays(name: str, options: dict) -> None:
    model = tiny.warmed_up(tiny.build(name, **options)).double()
    with torch.inference_mode():
        embeddings = model.embed(images().double(), MODALITY)
        assert embeddings.dtype == torch.float64
        torch.testing.assert_close(embeddings.float(), model.float().embed(images(), MODALITY), rtol=1e-4, atol=1e-5)


@cases
def test_state_and_arguments_rebuild_it(name: str, options: dict, tmp_path) -> None:
    model = tiny.warmed_up(tiny.build(name, **options)).to(memory_format=torch.channels_last).train()
    tiny.step(model)
    model.eval()
    assert model.arguments == {"name": name, "num_ids": 5, "backbone": "tiny", **options}
    safetensors.torch.save_model(model, tmp_path / "weights.safetensors")
    other = methods.build(**model.arguments).eval().to(memory_format=torch.channels_last)
    assert other.image_size is None
    assert safetensors.torch.load_model(other, tmp_path / "weights.safetensors") == (set(), [])
    states = model.state_dict(), other.state_dict()
    assert states[0].keys() == states[1].keys() and all(map(torch.equal, *(state.values() for state in states)))
    with torch.inference_mode():
        assert torch.equal(other.embed(images(), MODALITY), model.embed(images(), MODALITY))


@each
def test_labels_out_of_range_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"pids must be labels from 0 to 4 .*from 0 to 7"):
        tiny.losses(tiny.build(name), pids=PIDS * 7)


@each
def test_options_that_it_has_not_are_named(name: str) -> None:
    known = ", ".join(sorted(registry.model_options(name)))
    with pytest.raises(ValueError, match=f"{name} has no option 'nonsense'; choose from: {known}$"):
        tiny.build(name, nonsense=1)
