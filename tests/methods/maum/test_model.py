import itertools

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from reidlib import losses, methods, networks
from reidlib.methods import maum

MODALITY = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
MIXED = torch.tensor([1, 0, 1, 0, 1, 0, 0, 1])
PIDS = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])
VARIANTS = [{}, {"parts": True, "stripes": 4}]
variants = pytest.mark.parametrize("variant", VARIANTS, ids=["MAUM-G", "MAUM-P"])


def images(rows=8, seed=0):
    return torch.randn(rows, 3, 64, 32, generator=torch.Generator().manual_seed(seed))


def build(seed=0, **options):
    torch.manual_seed(seed)
    return methods.build("maum", num_ids=5, backbone="tiny", **options)


def step(model, seed=0, modality=MODALITY):
    """A step of training that moves the proxies; returns its loss terms."""
    terms = model.losses(model(images(seed=seed), modality), PIDS, modality)
    model.zero_grad()
    sum(terms.values()).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 1e-3 * parameter.grad
    return {name: term.item() for name, term in terms.items()}


def warmed_up(**options):
    """A model in evaluation mode whose running statistics have seen a few batches."""
    model = build(**options)
    with torch.no_grad():
        for seed in range(5):
            model(images(seed=seed), MODALITY)
    return model.eval()


def by_part(embeddings, model):
    return embeddings.chunk(model.parts, dim=1)


@pytest.mark.parametrize("modality", [MODALITY, MIXED, torch.ones(8, dtype=torch.long)])
def test_every_parameter_gets_a_gradient_under_every_option(modality):
    switches = itertools.product(VARIANTS, (0, 1), (False, True), (None, "batch-hard", "weighted"))
    for variant, shared_from, shared_proxies, triplet in switches:
        model = build(**variant, shared_from=shared_from, shared_proxies=shared_proxies, triplet=triplet)
        terms = model.losses(model(images(), modality), PIDS, modality)
        extra = {"shared": shared_proxies, "triplet": triplet}
        assert set(terms) == {"proxy", "unidirectional"} | {name for name in extra if extra[name]}
        sum(terms.values()).backward()
        assert not [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


@variants
def test_every_parameter_moves_the_losses(variant):
    model = build(**variant)
    sum(model.losses(model(images(), MODALITY), PIDS, MODALITY).values()).backward()
    assert [name for name, parameter in model.named_parameters() if (parameter.grad == 0).all()] == []


@variants
@pytest.mark.parametrize("form", ["circle", "amsoftmax", "ce"])
def test_terms_are_their_equations(variant, form):
    options = {"form": form, "margin": 0.3, "scale": 16.0, "memory_negatives": False}
    model = build(
        **variant, **options, memory_start_epoch=0, memory_interval=1, shared_proxies=True, triplet="weighted"
    )
    for seed in range(3):
        step(model, seed)
    outputs = model(images(), MIXED)
    terms = model.losses(outputs, PIDS, MIXED)
    expected = {"proxy": 0.0, "unidirectional": 0.0, "shared": 0.0}
    parts = by_part(outputs.embeddings["shared"], model)
    # By now the memory holds a fourth copy, taken in that call.
    for x, visible, infrared, shared in zip(parts, *model.proxies, model.shared_proxies, strict=True):
        for own, other, m in ((visible, infrared, 0), (infrared, visible, 1)):
            rows, pids = x[m == MIXED], PIDS[m == MIXED]
            memory = other.memory[1:4]
            expected["proxy"] += maum.losses.proxy_metric(rows, own.weight, pids, **options) / model.parts
            pulled = maum.losses.proxy_metric(rows, other.weight, pids, memory=memory, **options)
            expected["unidirectional"] += pulled / model.parts
        expected["shared"] += maum.losses.proxy_metric(x, shared.weight, PIDS, **options) / model.parts
    expected["triplet"] = losses.weighted_regularised_triplet(outputs.features["shared"], PIDS)
    torch.testing.assert_close(terms, expected)


@variants
def test_proxies_learn_from_their_own_modality_alone(variant):
    model = build(**variant, memory_start_epoch=0, memory_interval=1)
    step(model)
    for m in (0, 1):
        outputs = model(images(), MODALITY)
        embeddings = outputs.embeddings["shared"]
        weights = [[part.weight for part in model.proxies[number]] for number in (0, 1)]
        terms = model.losses(outputs, PIDS, MODALITY)
        to_rows = torch.autograd.grad(terms["proxy"], weights[m], retain_graph=True)
        assert all(gradient.abs().sum() > 0 for gradient in to_rows)
        # The same images with the others turned to noise: nothing changes for these proxies.
        noisy = torch.where((m == MODALITY)[:, None], embeddings, torch.randn_like(embeddings))
        changed = networks.Outputs(outputs.features, {"shared": noisy}, {})
        again = torch.autograd.grad(model.losses(changed, PIDS, MODALITY)["proxy"], weights[m])
        assert all(torch.equal(*pair) for pair in zip(to_rows, again, strict=True))


@variants
def test_unidirectional_metrics_leave_the_proxies_alone_and_move_the_features(variant):
    model = build(**variant, memory_start_epoch=0, memory_interval=1)
    step(model), step(model)
    outputs = model(images(), MODALITY)
    embeddings = outputs.embeddings["shared"]
    unidirectional = model.losses(outputs, PIDS, MODALITY)["unidirectional"]
    proxies = [part.weight for modality in model.proxies for part in modality]
    gradients = torch.autograd.grad(unidirectional, [embeddings, *proxies], allow_unused=True)
    assert (gradients[0].abs().sum(dim=1) > 0).all() and all(gradient is None for gradient in gradients[1:])
    assert model.memory_filled == 3 and not any(part.memory.requires_grad for part in model.proxies[0])


@variants
def test_memory_is_what_the_proxies_were(variant):
    interval, length = 3, 2
    model = build(**variant, memory_length=length, memory_interval=interval, memory_start_epoch=1)
    before = []
    for epoch in range(3):
        model.train()
        for number in range(5):
            assert model.epoch == epoch
            before.append([[part.weight.detach().clone() for part in modality] for modality in model.proxies])
            step(model, seed=number)
            taken = [n for n in range(5, len(before)) if (n - 5) % interval == 0][::-1][:length]
            assert model.memory_filled == len(taken)
            for m, modality in enumerate(model.proxies):
                for s, part in enumerate(modality):
                    copies = [before[n][m][s] for n in taken]
                    assert all(torch.equal(*pair) for pair in zip(part.memory[: len(taken)], copies, strict=True))
                    assert (part.memory[len(taken) :] == 0).all()
    assert taken == [14, 11] and not torch.equal(before[14][0][0], before[11][0][0])


def test_just_before_a_copy_the_memory_is_the_proxies_an_interval_ago():
    model, seen = build(memory_start_epoch=0, memory_interval=4, memory_length=3), []
    for number in range(13):
        seen.append(model.proxies[1][0].weight.detach().clone())
        if number in (4, 8, 12):
            assert torch.equal(model.proxies[1][0].memory[0], seen[number - 4])
        step(model, seed=number)


def test_only_training_counts():
    model = build(memory_start_epoch=0, memory_interval=1)
    outputs = model(images(), MODALITY)
    with torch.no_grad():
        model.losses(outputs, PIDS, MODALITY)
    model.eval()
    model.losses(model(images(), MODALITY), PIDS, MODALITY)
    model.train().train()
    assert (model.epoch, model.memory_filled) == (0, 0)
    step(model)
    assert (model.epoch, model.memory_filled) == (0, 1)
    model.eval()
    assert model.train().epoch == 1


def test_unidirectional_metrics_begin_with_their_epoch():
    model = build(uni_start_epoch=2)
    values = []
    for _ in range(3):
        model.train()
        values += [step(model, seed)["unidirectional"] for seed in range(2)]
    assert values[:4] == [0] * 4 and min(values[4:]) > 0


def test_memory_changes_the_unidirectional_metrics_alone():
    with_memory, without = build(memory_start_epoch=0, memory_interval=1), build(memory_length=0)
    assert step(with_memory) == step(without)
    assert without.memory_filled == 0
    after, plain = step(with_memory, seed=1), step(without, seed=1)
    assert after["proxy"] == plain["proxy"] and after["unidirectional"] != plain["unidirectional"]


@variants
def test_order_of_rows_does_not_matter(variant):
    model = warmed_up(**variant)
    order = torch.tensor([5, 0, 7, 2, 6, 1, 4, 3])
    one = model.losses(model(images(), MODALITY), PIDS, MODALITY)
    other = model.losses(model(images()[order], MODALITY[order]), PIDS[order], MODALITY[order])
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@variants
def test_embeddings_are_unit_deterministic_and_follow_the_rows(variant):
    model = warmed_up(**variant)
    with torch.inference_mode():
        embeddings, outputs = model.embed(images(), MODALITY), model(images(), MODALITY)
        assert embeddings.shape == (8, 128) and embeddings.dtype == torch.float32
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(8))
        assert torch.equal(embeddings, model.embed(images(), MODALITY))
        order = torch.tensor([5, 0, 7, 2, 6, 1, 4, 3])
        torch.testing.assert_close(
            model.embed(images()[order], MODALITY[order]), embeddings[order], rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(embeddings, F.normalize(outputs.embeddings["shared"], dim=1))
        assert outputs.logits == {}


def test_stripes_see_their_own_rows():
    model = warmed_up(parts=True, stripes=2, part_width=7)
    maps = torch.rand(3, 128, 4, 2, generator=torch.Generator().manual_seed(0))
    upper = maps.clone()
    upper[:, :, :2] = 0.5
    with torch.inference_mode():
        before, after = (model.neck(model._features(given)).chunk(2, dim=1) for given in (maps, upper))
        torch.testing.assert_close(before[1], after[1])
        assert before[0].shape == (3, 7) and not torch.allclose(before[0], after[0])
        pooled = model.pool(maps[:, :, :2])
        torch.testing.assert_close(before[0], model.neck(model._features(maps))[:, :7])
        torch.testing.assert_close(model._features(maps)[:, :7], model.reductions[0](pooled))


def test_branches():
    model = warmed_up(shared_from=2)
    assert model.branches == ("shared", "specific")
    with torch.inference_mode():
        assert torch.equal(model.branch_embedding(images(), MODALITY, "shared"), model.embed(images(), MODALITY))
        maps = model.branch_map(images(), MODALITY, "specific")
        torch.testing.assert_close(maps[4:], model.backbone.stems[1](images()[4:]))
        specific = model.branch_embedding(images(), MODALITY, "specific")
        torch.testing.assert_close(specific, F.normalize(maps.mean(dim=(2, 3)), dim=1))
    alone = build(shared_from=0)
    assert alone.branches == ("shared",)
    with pytest.raises(ValueError, match="no branch 'specific'; choose one of: shared"):
        alone.branch_embedding(images(), MODALITY, "specific")


@variants
def test_autocast_keeps_embeddings_and_losses_in_float32(variant):
    model = build(**variant, triplet="batch-hard")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(images(), MODALITY)
        assert outputs.features["shared"].dtype == outputs.embeddings["shared"].dtype == torch.float32
        assert {term.dtype for term in model.losses(outputs, PIDS, MODALITY).values()} == {torch.float32}
        assert model.embed(images(), MODALITY).dtype == torch.float32


@pytest.mark.parametrize("options", [*VARIANTS, {"memory_length": 0}])
def test_state_round_trip_goes_on_alike(options, tmp_path):
    options = {"memory_start_epoch": 0, "memory_interval": 2, "uni_start_epoch": 1, **options}
    model, other = (build(seed, **options).to(memory_format=torch.channels_last) for seed in (0, 1))
    for seed in range(3):
        step(model, seed)
    safetensors.torch.save_model(model, tmp_path / "weights.safetensors")
    assert safetensors.torch.load_model(other, tmp_path / "weights.safetensors") == (set(), [])
    assert other.memory_filled == model.memory_filled
    for trained in (model, other):
        trained.train()
        assert trained.epoch == 1
    for seed in range(3):
        assert step(model, seed) == step(other, seed)
    assert other.memory_filled == model.memory_filled == (3 if options.get("memory_length") != 0 else 0)


@variants
def test_a_few_steps_learn_the_batch(variant, learns):
    learns(build(**variant, memory_start_epoch=0, memory_interval=2), images(), MODALITY, PIDS)


def test_labels_out_of_range_are_named(names_labels_out_of_range):
    names_labels_out_of_range(build(), images(), MODALITY, PIDS)


def test_stripes_that_do_not_fit_are_named():
    model = build(parts=True, stripes=6)
    with pytest.raises(ValueError, match="6 stripes do not divide the 4 rows of the last map; choose"):
        model(images(), MODALITY)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"form": "arcface"}, "unknown form 'arcface'; choose one of: circle, amsoftmax, ce"),
        ({"triplet": "soft"}, "unknown triplet 'soft'; choose one of: None, batch-hard, weighted"),
        ({"memory_interval": 0}, "memory_interval must be a whole number from 1, not 0"),
        ({"memory_length": -1}, "memory_length must be a whole number from 0, not -1"),
        ({"uni_start_epoch": 0.5}, "uni_start_epoch must be a whole number from 0, not 0.5"),
        ({"part_width": 0}, "part_width must be a whole number from 1, not 0"),
        ({"stripes": True}, "stripes must be a whole number from 1, not True"),
        ({"pool": "max"}, "'max'; choose one of: gem, average"),
        ({"memory": 4}, "maum has no option 'memory'; choose from: form, .*weights"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
