import itertools
from functools import partial

import pytest
import tiny
import torch
import torch.nn.functional as F
from tiny import MIXED, MODALITY, PIDS, images

from reidlib import losses, methods
from reidlib.explain import grad_cam
from reidlib.methods import fienet
from reidlib.methods.fienet.modules import AGGREGATIONS

build = partial(tiny.build, "fienet")
step = partial(tiny.step, modality=MIXED, rate=0.05)  # the residuals are zero no more
variants = pytest.mark.parametrize("variant", tiny.VARIANTS["fienet"], ids=str)


def trained(**options):
    return tiny.warmed_up(build(**options))


def loss(model, seed=0):
    return sum(tiny.losses(model, seed, MIXED).values())


@variants
def test_the_modules_do_something(variant):
    plain = tiny.build("baseline").eval()
    with torch.inference_mode():
        found, without = (model.embed(images(), MODALITY) for model in (trained(**variant), plain))
        assert not torch.allclose(found, without, atol=1e-2)


@variants
def test_starts_as_the_baseline_bit_by_bit(variant):
    plain, model = tiny.build("baseline"), build(**variant)
    weights = model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in plain.state_dict().items())
    assert all(name.startswith(("pfam.", "mpim.")) for name in weights.keys() - plain.state_dict().keys())
    for mode in (True, True, False):  # twice in training, then with the running statistics of both
        plain.train(mode), model.train(mode)
        one, other = plain(images(), MIXED), model(images(), MIXED)
        for kind in ("features", "embeddings", "logits"):
            assert torch.equal(getattr(one, kind)["shared"], getattr(other, kind)["shared"])
    with torch.inference_mode():
        assert torch.equal(plain.embed(images(), MIXED), model.embed(images(), MIXED))


def test_gradients_of_the_backbone_start_as_the_baseline_s():
    plain, model = tiny.build("baseline"), build(igcl=False)
    for network in (plain, model):
        loss(network).backward()
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(model.get_parameter(name).grad, parameter.grad, rtol=1e-5, atol=1e-6)


def test_without_ingredients_it_is_the_baseline():
    plain, model = tiny.build("baseline"), build(pfam=False, mpim=False, igcl=False)
    assert plain.state_dict().keys() == model.state_dict().keys()
    for seed in range(2):
        step(plain, seed), step(model, seed)
    assert torch.equal(plain.eval().embed(images(), MIXED), model.eval().embed(images(), MIXED))


@variants
def test_only_what_stands_behind_a_residual_is_silent_at_first(variant):
    """Its gradient is 0, but there all the same, as several processes need."""
    model = build(**variant)
    loss(model).backward()
    silent = tiny.silent(model)
    assert silent and all(name.startswith(("pfam.", "mpim.")) for name in silent)
    outermost = [name for name, p in model.named_parameters() if name not in silent and name.startswith("pfam.")]
    assert not variant.get("pfam", True) or outermost, "the zero scales themselves are told where to go"


@variants
def test_nothing_stays_as_it_was(variant):
    model = build(**variant)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for seed in range(3):
        optimizer.zero_grad()
        loss(model, seed).backward()
        optimizer.step()
    assert [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])] == []


@pytest.mark.parametrize("modality", [MODALITY, MIXED])
def test_terms_are_those_switched_on(modality):
    for igcl, center, triplet in itertools.product((False, True), (None, "hetero_center"), ("batch-hard", "weighted")):
        model = build(igcl=igcl, center=center, triplet=triplet)
        terms = model.losses(model(images(), modality), PIDS, modality)
        extra = {"intra": igcl, "inter": igcl, "center": center}
        assert set(terms) == {"identity", "triplet"} | {name for name in extra if extra[name]}
        sum(terms.values()).backward()


@pytest.mark.parametrize("after_neck", [True, False])
def test_terms_are_their_equations(after_neck):
    model = build(center_margin=1.3, center_after_neck=after_neck, triplet="weighted")
    outputs = model(images(), MIXED)
    features, logits = outputs.features["shared"], outputs.logits["shared"]
    centred = outputs.embeddings["shared"] if after_neck else features
    expected = {
        "identity": F.cross_entropy(logits, PIDS, label_smoothing=0.1),
        "triplet": losses.weighted_regularised_triplet(features, PIDS),
        **fienet.losses.identity_guided_center(centred, PIDS, MIXED, margin=1.3),
    }
    torch.testing.assert_close(model.losses(outputs, PIDS, MIXED), expected)
    for name, loss_of in (
        ("center_cluster", fienet.losses.center_cluster(centred, PIDS)),
        ("hetero_center", fienet.losses.hetero_center(centred, PIDS, MIXED)),
        ("hetero_center_triplet", fienet.losses.hetero_center_triplet(centred, PIDS, MIXED)),
    ):
        relative = build(center=name, center_after_neck=after_neck)
        torch.testing.assert_close(relative.losses(outputs, PIDS, MIXED)["center"], loss_of)


def test_centres_are_those_of_the_test_feature_by_default():
    outputs = build()(images(), MIXED)
    terms = build().losses(outputs, PIDS, MIXED)
    again = build(center_after_neck=True).losses(outputs, PIDS, MIXED)
    assert terms["intra"] == again["intra"] != build(center_after_neck=False).losses(outputs, PIDS, MIXED)["intra"]


@pytest.mark.parametrize("after", [False, True])
def test_the_neck_learns_from_centres_behind_it_alone(after):
    """Unit length undoes a common scale, but not that of single channels: the neck's weight has a gradient."""
    model = build(center_after_neck=after)
    pulled = model.losses(model(images(), MIXED), PIDS, MIXED)["intra"]
    neck, stem = model.neck.weight, model.backbone.stems[0].conv1.weight
    of_neck, of_stem = torch.autograd.grad(pulled, [neck, stem], allow_unused=True)
    assert (of_neck is not None and bool((of_neck != 0).any())) == after
    assert of_stem.isfinite().all() and (of_stem != 0).any()


def test_a_batch_without_a_modality_is_refused_by_the_centres_alone():
    infrared = torch.ones(8, dtype=torch.long)
    outputs = build()(images(), infrared)
    with pytest.raises(ValueError, match=r"no row of modality 0 \(visible\)"):
        build().losses(outputs, PIDS, infrared)
    build(igcl=False).losses(outputs, PIDS, infrared)
    assert trained().embed(images(), infrared).shape == (8, 128)


@variants
def test_any_size_of_image_and_memory_layout(variant):
    model = trained(**variant)
    with torch.inference_mode():
        for height, width in ((32, 16), (70, 33), (96, 48)):
            pictures = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
            embeddings = model.embed(pictures, MODALITY[3:5])
            assert embeddings.isfinite().all()
            last = model.to(memory_format=torch.channels_last)
            again = last.embed(pictures.contiguous(memory_format=torch.channels_last), MODALITY[3:5])
            torch.testing.assert_close(again, embeddings, rtol=1e-4, atol=1e-5)
            model.to(memory_format=torch.contiguous_format)


def test_the_map_that_is_pooled():
    model = trained()
    with torch.inference_mode():
        outputs, maps = model(images(), MODALITY), model.branch_map(images(), MODALITY, "shared")
        assert maps.shape == (8, 128, 4, 2)
        torch.testing.assert_close(model.pool(maps), outputs.features["shared"])


def test_grad_cam_explains_it():
    model = trained()
    targets = model.embed(images(seed=1), MODALITY)
    shown = grad_cam(model, images(), MODALITY, targets)
    assert shown.maps.shape == (8, 64, 32) and shown.maps.isfinite().all() and not shown.empty.all()
    assert not torch.allclose(shown.maps, grad_cam(trained(pfam=False), images(), MODALITY, targets).maps, atol=0.1)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_modules_stand_where_they_are_said_to(aggregation):
    model = trained(aggregation=aggregation)
    assert list(model.pfam) == (["3"] if aggregation == "one_shot" else ["2", "3"])
    with torch.inference_mode():
        stage = model.backbone.stage
        first = stage(1, model.backbone.stem(images(), MODALITY))
        second = stage(2, first)
        if aggregation != "one_shot":
            second = model.pfam["2"](second, [first])
        third = model.pfam["3"](stage(3, second), [first, second])
        last = stage(4, model.mpim(third))
        assert torch.equal(model.branch_map(images(), MODALITY, "shared"), last)


def test_modules_have_the_stated_size():
    """Millions of parameters in ResNet-50, of which 36.8 with a classifier of 395 identities."""
    model = methods.build("fienet", num_ids=395, backbone="resnet50")

    def millions(module):
        return round(sum(parameter.numel() for parameter in module.parameters()) / 1e6, 1)

    assert [millions(part) for part in (model.pfam["2"], model.pfam["3"], model.mpim, model)] == [1.0, 3.9, 7.6, 36.8]
