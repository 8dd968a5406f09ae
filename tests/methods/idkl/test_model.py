import itertools
import math
from functools import partial

import pytest
import tiny
import torch
import torch.nn.functional as F
from tiny import MIXED, MODALITY, PIDS, images, warmed_up
from torchvision.models import resnet50

from reidlib import losses, methods
from reidlib.methods import idkl
from reidlib.methods.idkl.model import CONFUSERS, PURIFIED

build = partial(tiny.build, "idkl")
OF_SHARED = {"identity", "triplet"}
OF_STREAMS = {"specific_identity", "specific_triplet", "discriminator", "confuser", "tgsa", "csa", "mdr"}
VARIANTS = [{}, {"purifier": False}, {"dual": False}]
variants = pytest.mark.parametrize("variant", VARIANTS, ids=["full", "no-purifier", "one-stream"])


@pytest.mark.parametrize("modality", [MODALITY, MIXED, torch.ones(8, dtype=torch.long)])
def test_every_parameter_gets_a_gradient_under_every_option(modality):
    switches = [{}, {"detach_teacher": True}, *({"confuser": confuser} for confuser in CONFUSERS)]
    if (modality == 0).sum() == 4:
        switches.append({"preset": "released"})
    for variant, switch in itertools.product(VARIANTS, switches):
        model = build(**variant, **switch)
        terms = tiny.losses(model, modality=modality)
        extra = OF_STREAMS if variant.get("dual", True) else set()
        assert set(terms) == OF_SHARED | extra | ({"purifier"} if variant == {} else set())
        sum(terms.values()).backward()
        assert not tiny.untaught(model)


@pytest.mark.parametrize("dual, most", [(True, 45.6), (False, 23.6)])
def test_backbone_holds_no_dead_half(dual, most):
    backbone = build(dual=dual).backbone
    with torch.device("meta"):
        large = methods.build("idkl", num_ids=395, backbone="resnet50", dual=dual).backbone
        whole = resnet50()
    count = sum(parameter.numel() for parameter in large.parameters())
    back = sum(p.numel() for layer in (whole.layer3, whole.layer4) for p in layer.parameters())
    assert count == sum(p.numel() for n, p in whole.named_parameters() if n[:2] != "fc") + dual * back
    assert count / 1e6 <= most
    assert {n for n in whole.state_dict() if n[:2] != "fc"} <= set(large.state_dict())
    if dual:
        own, second = backbone.state_dict(), backbone.specific.state_dict()
        names = [f"layer3.{key[2:]}" if key[0] == "0" else f"layer4.{key[2:]}" for key in second]
        assert all(torch.equal(own[name], value) for name, value in zip(names, second.values(), strict=True))
        assert not {p.data_ptr() for p in backbone.specific.parameters()} & {
            p.data_ptr() for p in backbone.layer3.parameters()
        }


def test_both_streams_stand_on_one_front():
    model = build()
    terms = tiny.losses(model)
    front = list(model.backbone.layer2.parameters())
    shared = [*model.backbone.layer3.parameters(), *model.backbone.layer4.parameters()]
    specific = list(model.backbone.specific.parameters())
    for name, reached, spared in (
        ("triplet", shared, specific),
        ("confuser", shared, specific),
        ("mdr", shared, specific),
        ("specific_triplet", specific, shared),
        ("discriminator", specific, shared),
        ("purifier", specific, shared),
    ):
        gradients = torch.autograd.grad(terms[name], front + reached, retain_graph=True)
        assert all(gradient.abs().sum() > 0 for gradient in gradients), name
        gradients = torch.autograd.grad(terms[name], spared, retain_graph=True, allow_unused=True)
        assert all(gradient is None for gradient in gradients), name


@pytest.mark.parametrize("detach", [False, True])
def test_teacher_learns_from_its_student_unless_detached(detach):
    model = build(detach_teacher=detach)
    terms = tiny.losses(model)
    for name in ("tgsa", "csa"):
        for back, reached in ((model.backbone.layer4, True), (model.backbone.specific[1], not detach)):
            gradients = torch.autograd.grad(terms[name], back.parameters(), retain_graph=True, allow_unused=True)
            assert all((gradient is not None) == reached for gradient in gradients)


@pytest.mark.parametrize("preset", ["paper", "released"])
@pytest.mark.parametrize("purifier", [True, False])
def test_terms_are_their_equations(preset, purifier):
    options = {"graph_alignment": 0.3, "margin": 0.7}
    model = build(preset=preset, purifier=purifier, purifier_margin=0.2 * purifier, **options)
    outputs = model(images(), MODALITY)
    terms, last = model.losses(outputs, PIDS, MODALITY), model.branches[-1]
    (f, s), (z, y) = ((kind["shared"], kind[last]) for kind in (outputs.features, outputs.logits))
    rows = {"pids": PIDS, "modality": MODALITY, "preset": preset}
    graphs = idkl.losses.tgsa(f, s, **rows)
    classes = idkl.losses.csa(z, y, **rows)
    confused = outputs.extra["confuser"].log_softmax(dim=1)
    target = {"paper": [[0.5, 0.5]] * 8, "released": [[1, 0], [0, 1], [1, 0], [0, 1], [0, 1], [1, 0], [0, 1], [1, 0]]}
    expected = {
        "identity": F.cross_entropy(z, PIDS),
        "triplet": losses.batch_hard_triplet(f, PIDS, margin=0.7),
        "specific_identity": F.cross_entropy(y, PIDS),
        "specific_triplet": losses.batch_hard_triplet(s, PIDS, margin=0.7),
        "discriminator": F.cross_entropy(outputs.extra["discriminator"], MODALITY),
        "confuser": -(torch.tensor(target[preset]) * confused).sum(dim=1).mean(),
        "tgsa": graphs["distil"],
        "csa": classes["sample_distil"] + classes["class_distil"],
        "mdr": 0.3 * graphs["intra"] + classes["sample_intra"] + classes["class_intra"],
    }
    if purifier:
        pooled = [outputs.extra[name] for name in PURIFIED]
        both = idkl.losses.purifier(*pooled, model.purifier.classifier, PIDS, MODALITY, margin=0.2)
        expected["purifier"] = both["entropy"] + both["centroid"]
    torch.testing.assert_close(terms, expected)


@pytest.mark.parametrize("dual", [True, False])
def test_both_triplets_are_weighted_where_the_option_says_so(dual):
    hard, weighted = build(dual=dual, margin=0.7), build(dual=dual, margin=0.7, triplet="weighted")
    outputs = hard(images(), MODALITY)
    before, terms = (model.losses(outputs, PIDS, MODALITY) for model in (hard, weighted))
    kinds = {"triplet": "shared", "specific_triplet": hard.branches[-1]} if dual else {"triplet": "shared"}
    for term, kind in kinds.items():
        torch.testing.assert_close(terms[term], losses.weighted_regularised_triplet(outputs.features[kind], PIDS))
        assert terms[term] != before[term]
    assert weighted.margins == pytest.approx(dict.fromkeys(kinds, math.log(2))), "of a point"
    assert hard.margins == dict.fromkeys(kinds, 0.7)
    with pytest.raises(ValueError, match="unknown triplet 'hard'; choose one of: batch-hard, weighted"):
        build(triplet="hard")


def test_purifier_is_its_equation():
    purifier = build().purifier
    maps = torch.rand(3, 128, 4, 2, generator=torch.Generator().manual_seed(0))
    found = purifier(maps)
    normed = (maps - maps.mean((2, 3), keepdim=True)) / (maps.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()

    def gate(convolutions, given):
        first, second = (layer.weight[:, :, 0, 0] for layer in convolutions if hasattr(layer, "weight"))
        return (second @ (first @ given.flatten(2)).relu()).sigmoid().view_as(given)

    factor, factor_normed = gate(purifier.gate, maps), gate(purifier.gate_normed, normed)
    torch.testing.assert_close(found["purified"], factor * factor_normed * (maps + normed), rtol=1e-4, atol=1e-5)
    expected = maps, factor * maps, normed, factor_normed * normed
    torch.testing.assert_close([found[name] for name in PURIFIED], list(expected), rtol=1e-4, atol=1e-5)
    assert purifier.gate[0].out_channels == 128 // 16 and purifier.gate[0].bias is None


def test_heads_have_the_sizes_of_the_released_code():
    """But for biases in front of a normalisation, which takes them off again: 100 in each hidden layer."""
    with torch.device("meta"):
        model = methods.build("idkl", num_ids=395, backbone="resnet50")

    def count(module):
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(model.discriminator) == count(model.confuser) == 215_602 - 2 * 100
    assert count(model.purifier.gate) == count(model.purifier.gate_normed) == 524_288
    heads = model.classifier, model.specific_classifier, model.purifier.classifier
    assert [(head.in_features, head.out_features, head.bias) for head in heads] == [(2048, 395, None)] * 3
    for layers in (model.discriminator, model.confuser):
        kinds = [type(layer).__name__ for layer in layers]
        assert kinds == [*["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2, "Linear"]
        assert [layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)] == [0.5, 0.5]
    assert not {id(p) for p in model.discriminator.parameters()} & {id(p) for p in model.confuser.parameters()}


def test_instance_normalisation_keeps_running_statistics_as_the_released_code_does():
    """Each image is normalised by itself in training, by what training has seen afterwards."""
    purifier = build().purifier
    maps = 3 + 2 * torch.rand(4, 128, 4, 2, generator=torch.Generator().manual_seed(0))
    own = purifier(maps)["raw_normed"].mean((2, 3))
    torch.testing.assert_close(own, torch.zeros_like(own), rtol=0, atol=1e-4)
    norm = purifier.norm
    torch.testing.assert_close(norm.running_mean, 0.1 * maps.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    expected = (maps - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + norm.eps).sqrt()
    torch.testing.assert_close(purifier.eval()(maps)["raw_normed"], expected, rtol=1e-4, atol=1e-4)


def test_pooling_is_the_cubic_mean_and_survives_dead_channels():
    pool = build().pool
    maps = torch.rand(2, 4, 3, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pool(maps), maps.pow(3).mean((2, 3)).pow(1 / 3))
    assert not list(pool.parameters())
    for dead in (torch.zeros(2, 4, 3, 2), -maps):
        dead.requires_grad_()
        torch.testing.assert_close(pool(dead), torch.full((2, 4), 1e-6))
        assert (torch.autograd.grad(pool(dead).sum(), dead)[0] == 0).all()
    assert pool(maps.bfloat16()).dtype == torch.float32


def test_confusers_push_features_in_their_own_ways():
    """Reversal ascends the loss that the confuser descends; the others descend it together."""
    gradients = {}
    for confuser in CONFUSERS:
        model = build(confuser=confuser).eval()
        embeddings = torch.randn(8, 128, generator=torch.Generator().manual_seed(1)).requires_grad_()
        logits = model.confuser(model._before_confuser(embeddings))
        plain = model.confuser(embeddings)
        assert torch.equal(logits, plain)
        target = model._confuser_target(MODALITY)
        layer = model.confuser[-1].weight
        loss = F.cross_entropy(logits, target)
        gradients[confuser] = torch.autograd.grad(loss, (embeddings, layer), retain_graph=True)
        descended = torch.autograd.grad(F.cross_entropy(plain, target), (embeddings, layer))
        sign = -1 if confuser == "gradient-reversal" else 1
        torch.testing.assert_close(gradients[confuser], (sign * descended[0], descended[1]))
    assert torch.equal(build(confuser="gradient-reversal")._confuser_target(MODALITY), MODALITY)


def test_presets_choose_their_confuser():
    assert (build().confusion, build(preset="released").confusion) == ("uniform", "pseudo-label")
    assert build(preset="released", confuser="gradient-reversal").confusion == "gradient-reversal"


def test_released_preset_pairs_rows_by_position():
    model = warmed_up(build(preset="released"))
    order = torch.tensor([0, 1, 2, 3, 5, 4, 7, 6])
    one = tiny.losses(model)
    other = model.losses(model(images()[order], MODALITY[order]), PIDS[order], MODALITY[order])
    assert not torch.isclose(one["mdr"], other["mdr"], rtol=1e-3)
    with pytest.raises(ValueError, match="there are 3 and 5; give equally many of each"):
        tiny.losses(model, modality=torch.tensor([0, 0, 0, 1, 1, 1, 1, 1]))


def test_hinges_of_the_purifier_are_counted_in_training_alone():
    model = build(purifier_margin=0.1)
    assert math.isnan(model.active_hinges["entropy"]) and math.isnan(model.active_hinges["centroid"])
    with torch.no_grad():
        tiny.losses(model)
    tiny.losses(model.eval())
    assert model.hinges.sum() == 0
    model.train()
    expected = torch.zeros(2, 2, dtype=torch.long)
    for seed in range(3):
        outputs = model(images(seed=seed), MODALITY)
        model.losses(outputs, PIDS, MODALITY)
        pooled = [outputs.extra[name] for name in PURIFIED]
        hinges = idkl.losses.purifier_hinges(*pooled, model.purifier.classifier, PIDS, MODALITY, margin=0.1)
        expected += torch.stack([hinges["entropy"], hinges["centroid"]])
    assert torch.equal(model.hinges, expected) and expected[:, 1].tolist() == [24, 6]
    above, there = expected[0].tolist()
    assert model.active_hinges["entropy"] == pytest.approx(above / there) and above > 0


def test_branches():
    full, without, alone = (warmed_up(build(**variant)) for variant in VARIANTS)
    assert full.branches == ("shared", "specific", "purified")
    assert without.branches == ("shared", "specific") and alone.branches == ("shared",)
    with torch.inference_mode():
        outputs = full(images(), MODALITY)
        for branch, expected in (
            ("shared", outputs.embeddings["shared"]),
            ("specific", outputs.extra["raw"]),
            ("purified", outputs.embeddings["purified"]),
        ):
            found = full.branch_embedding(images(), MODALITY, branch)
            torch.testing.assert_close(found, F.normalize(expected, dim=1))
            assert full.branch_map(images(), MODALITY, branch).shape == (8, 128, 4, 2)
        for model in (full, without, alone):  # all layers serve both
            torch.testing.assert_close(model.embed(images(), 1 - MODALITY), model.embed(images(), MODALITY))
        found = without.branch_embedding(images(), MODALITY, "specific")
        torch.testing.assert_close(found, F.normalize(without(images(), MODALITY).embeddings["specific"], dim=1))


def test_the_test_feature_needs_the_shared_stream_alone():
    model = warmed_up(build())
    expected = model.embed(images(), MODALITY)
    for part in (model.backbone.specific, model.purifier, model.specific_neck):
        part.register_forward_hook(lambda *_: pytest.fail("not needed for the test feature"))
    assert torch.equal(model.embed(images(), MODALITY), expected)
