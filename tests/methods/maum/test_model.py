import itertools
from functools import partial

import pytest
import safetensors.torch
import tiny
import torch
from tiny import MIXED, MODALITY, PIDS, images, step, warmed_up

from reidlib import losses, networks
from reidlib.methods import maum

build = partial(tiny.build, "maum")
VARIANTS = [{}, tiny.PARTS]
variants = pytest.mark.parametrize("variant", VARIANTS, ids=["MAUM-G", "MAUM-P"])


def by_part(embeddings, model):
    return embeddings.chunk(model.parts, dim=1)


@pytest.mark.parametrize("modality", [MODALITY, MIXED, torch.ones(8, dtype=torch.long)])
def test_every_parameter_gets_a_gradient_under_every_option(modality):
    switches = itertools.product(VARIANTS, (False, True), (None, "batch-hard", "weighted"))
    for variant, shared_proxies, triplet in switches:
        model = build(**variant, shared_proxies=shared_proxies, triplet=triplet)
        terms = tiny.losses(model, modality=modality)
        extra = {"shared": shared_proxies, "triplet": triplet}
        assert set(terms) == {"proxy", "unidirectional"} | {name for name in extra if extra[name]}
        sum(terms.values()).backward()
        assert not tiny.untaught(model)


@variants
@pytest.mark.parametrize("form", ["circle", "amsoftmax", "ce"])
def test_terms_are_their_equations(variant, form):
    options = {"form": form, "scale": 16.0}
    model = build(
        **variant, **options, memory_start_epoch=0, memory_interval=1, shared_proxies=True, triplet="weighted"
    )
    for seed in range(3):
        step(model, seed)
    outputs = model(images(), MIXED)
    assert outputs.logits == {}
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


def test_memory_changes_the_unidirectional_metrics_alone():
    with_memory, without = build(memory_start_epoch=0, memory_interval=1), build(memory_length=0)
    assert step(with_memory) == step(without)
    assert without.memory_filled == 0
    after, plain = step(with_memory, seed=1), step(without, seed=1)
    assert after["proxy"] == plain["proxy"] and after["unidirectional"] != plain["unidirectional"]


def test_stripes_see_their_own_rows():
    model = warmed_up(build(parts=True, stripes=2, part_width=7))
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


@pytest.mark.parametrize("options", [*VARIANTS, {"memory_length": 0}])
def test_state_round_trip_goes_on_alike(options, tmp_path):
    options = {"memory_start_epoch": 0, "memory_interval": 2, **options}
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


def test_stripes_that_do_not_fit_are_named():
    model = build(parts=True, stripes=6)
    with pytest.raises(ValueError, match="6 stripes do not divide the 4 rows of the last map; choose"):
        model(images(), MODALITY)
