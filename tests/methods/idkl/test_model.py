import itertools
import math

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torchvision.models import resnet50

from reidlib import losses, methods
from reidlib.methods import idkl
from reidlib.methods.idkl.model import CONFUSERS, PURIFIED

MODALITY = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
MIXED = torch.tensor([1, 0, 1, 0, 1, 0, 0, 1])
PIDS = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])
OF_SHARED = {"identity", "triplet"}
OF_STREAMS = {"specific_identity", "specific_triplet", "discriminator", "confuser", "tgsa", "csa", "mdr"}
VARIANTS = [{}, {"purifier": False}, {"dual": False}]
variants = pytest.mark.parametrize("variant", VARIANTS, ids=["full", "no-purifier", "one-stream"])


def images(rows=8, seed=0):
    return torch.randn(rows, 3, 64, 32, generator=torch.Generator().manual_seed(seed))


def build(seed=0, **options):
    torch.manual_seed(seed)
    return methods.build("idkl", num_ids=5, backbone="tiny", **options)


def warmed_up(**options):
    """A model in evaluation mode whose running statistics have seen a few batches."""
    model = build(**options)
    with torch.no_grad():
        for seed in range(5):
            model(images(seed=seed), MODALITY)
    return model.eval()


def terms_of(model, modality=MODALITY, pids=PIDS):
    return model.losses(model(images(), modality), pids, modality)


@pytest.mark.parametrize("modality", [MODALITY, MIXED, torch.ones(8, dtype=torch.long)])
def test_every_parameter_gets_a_gradient_under_every_option(modality):
    switches = [{}, {"detach_teacher": True}, *({"confuser": confuser} for confuser in CONFUSERS)]
    if (modality == 0).sum() == 4:
        switches.append({"preset": "released"})
    for variant, switch in itertools.product(VARIANTS, switches):
        model = build(**variant, **switch)
        terms = terms_of(model, modality)
        extra = OF_STREAMS if variant.get("dual", True) else set()
        assert set(terms) == OF_SHARED | extra | ({"purifier"} if variant == {} else set())
        sum(terms.values()).backward()
        assert not [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


@variants
@pytest.mark.parametrize("confuser", CONFUSERS)
def test_every_parameter_moves_the_losses(variant, confuser):
    model = build(**variant, confuser=confuser)
    sum(terms_of(model).values()).backward()
    assert [name for name, parameter in model.named_parameters() if (parameter.grad == 0).all()] == []


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
    terms = terms_of(model)
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
    terms = terms_of(model)
    for name in ("tgsa", "csa"):
        for back, reached in ((model.backbone.layer4, True), (model.backbone.specific[1], not detach)):
            gradients = torch.autograd.grad(terms[name], back.parameters(), retain_graph=True, allow_unused=True)
            assert all((gradient is not None) == reached for gradient in gradients)


@pytest.mark.parametrize("preset", ["paper", "released"])
@pytest.mark.parametrize("purifier", [True, False])
def test_terms_are_their_equations(preset, purifier):
    options = {"graph_alignment": 0.3, "margin": 0.7, "half_block": preset == "released"}
    model = build(preset=preset, purifier=purifier, purifier_margin=0.2 * purifier, **options)
    outputs = model(images(), MODALITY)
    terms, last = model.losses(outputs, PIDS, MODALITY), model.branches[-1]
    (f, s), (z, y) = ((kind["shared"], kind[last]) for kind in (outputs.features, outputs.logits))
    rows = {"pids": PIDS, "modality": MODALITY, "preset": preset}
    graphs = idkl.losses.tgsa(f, s, **rows, half_block=options["half_block"])
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


@variants
def test_order_of_rows_does_not_matter_to_the_paper_preset(variant):
    model = warmed_up(**variant)
    order = torch.tensor([5, 0, 7, 2, 6, 1, 4, 3])
    one = terms_of(model)
    other = model.losses(model(images()[order], MODALITY[order]), PIDS[order], MODALITY[order])
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_released_preset_pairs_rows_by_position():
    model = warmed_up(preset="released")
    order = torch.tensor([0, 1, 2, 3, 5, 4, 7, 6])
    one = terms_of(model)
    other = model.losses(model(images()[order], MODALITY[order]), PIDS[order], MODALITY[order])
    assert not torch.isclose(one["mdr"], other["mdr"], rtol=1e-3)
    with pytest.raises(ValueError, match="there are 3 and 5; give equally many of each"):
        terms_of(model, torch.tensor([0, 0, 0, 1, 1, 1, 1, 1]))


def test_hinges_of_the_purifier_are_counted_in_training_alone():
    model = build(purifier_margin=0.1)
    assert math.isnan(model.active_hinges["entropy"]) and math.isnan(model.active_hinges["centroid"])
    with torch.no_grad():
        terms_of(model)
    terms_of(model.eval())
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
        torch.testing.assert_close(model.embed(images(), 1 - MODALITY), embeddings)  # all layers serve both


def test_branches():
    full, without, alone = (warmed_up(**variant) for variant in VARIANTS)
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
        found = without.branch_embedding(images(), MODALITY, "specific")
        torch.testing.assert_close(found, F.normalize(without(images(), MODALITY).embeddings["specific"], dim=1))
    with pytest.raises(ValueError, match="no branch 'purified'; choose one of: shared, specific"):
        without.branch_map(images(), MODALITY, "purified")


def test_the_test_feature_needs_the_shared_stream_alone():
    model = warmed_up()
    expected = model.embed(images(), MODALITY)
    for part in (model.backbone.specific, model.purifier, model.specific_neck):
        part.register_forward_hook(lambda *_: pytest.fail("not needed for the test feature"))
    assert torch.equal(model.embed(images(), MODALITY), expected)


@variants
@pytest.mark.parametrize("confuser", CONFUSERS)
def test_autocast_keeps_embeddings_and_losses_in_float32(variant, confuser):
    model = build(**variant, confuser=confuser)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(images(), MODALITY)
        tensors = [*outputs.features.values(), *outputs.embeddings.values(), model.embed(images(), MODALITY)]
        assert {tensor.dtype for tensor in tensors} == {torch.float32}
        terms = model.losses(outputs, PIDS, MODALITY)
        assert {term.dtype for term in terms.values()} == {torch.float32}
    sum(terms.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@variants
def test_state_round_trip(variant, tmp_path):
    model, other = (build(seed, **variant).to(memory_format=torch.channels_last) for seed in (0, 1))
    terms_of(model)
    safetensors.torch.save_model(model, tmp_path / "weights.safetensors")
    assert safetensors.torch.load_model(other, tmp_path / "weights.safetensors") == (set(), [])
    assert all(
        torch.equal(*pair) for pair in zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    )
    assert torch.equal(model.eval().embed(images(), MODALITY), other.eval().embed(images(), MODALITY))


@variants
@pytest.mark.parametrize("preset", ["paper", "released"])
def test_a_few_steps_learn_the_batch(variant, preset, learns):
    learns(build(**variant, preset=preset), images(), MODALITY, PIDS)


def test_labels_out_of_range_are_named(names_labels_out_of_range):
    names_labels_out_of_range(build(), images(), MODALITY, PIDS)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"preset": "official"}, "unknown preset 'official'; choose one of: paper, released"),
        ({"confuser": "grl"}, "unknown confuser 'grl'; choose one of: pseudo-label, gradient-reversal, uniform"),
        ({"margin": -0.1}, "margin must be a number from 0, not -0.1"),
        ({"graph_alignment": math.inf}, "graph_alignment must be a number from 0, not inf"),
        ({"purifier_margin": -1}, "purifier_margin must be a number from 0, not -1"),
        ({"shared_from": 1}, "idkl has no option 'shared_from'; choose from: confuser, .*weights"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
