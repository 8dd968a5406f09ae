from functools import partial

import pytest
import tiny
import torch
import torch.nn.functional as F
from tiny import MIXED, MODALITY, ORDER, PIDS, images, step

from reidlib import losses
from reidlib.methods.dalnet import model as dalnet
from reidlib.methods.dalnet.auxiliary import KINDS
from reidlib.methods.dalnet.interaction import Interaction, partners
from reidlib.methods.dalnet.statistics import auxiliary_statistics

build = partial(tiny.build, "dalnet")
GENERATOR_TERMS = {"style", "structure", "mask"}


def warmed_up(**options):
    return tiny.warmed_up(build(**options))


@pytest.mark.parametrize("modality", [MODALITY, MIXED, torch.ones(8).long(), torch.zeros(8).long()])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shared_from": 0},
        {"shared_from": 3},
        {"clean": False},
        {"refine": False},
        {"attention": False, "intra_metric": "batch-hard"},
        {"after_neck": False},
        {"triplet": None},
        {"intra_metric": "weighted", "triplet": "weighted"},
        *({"auxiliary": kind} for kind in KINDS[1:]),
    ],
    ids=lambda options: "-".join(f"{name}={value}" for name, value in options.items()) or "default",
)
def test_every_parameter_gets_a_gradient_under_every_option(options, modality):
    model = build(**options)
    terms = tiny.losses(model, modality=modality)
    expected = {"identity", "intra", "cross", *(["triplet"] if options.get("triplet", "batch-hard") else [])}
    if options.get("auxiliary", "dag") == "dag":
        expected |= GENERATOR_TERMS - ({"mask"} if options.get("clean") is False else set())
        expected -= {"style", "structure"} if options.get("refine") is False else set()
    assert set(terms) == expected and all(term.isfinite() and term.ndim == 0 for term in terms.values())
    sum(terms.values()).backward()
    assert not tiny.untaught(model)


@pytest.mark.parametrize("modality", [MODALITY, MIXED])
@pytest.mark.parametrize("with_attention", [True, False])
@pytest.mark.parametrize("after_neck", [True, False])
def test_recognition_terms_are_their_equations(modality, with_attention, after_neck):
    options = {"margin": 0.3, "gamma": 16.0, "label_smoothing": 0.2}
    model = warmed_up(attention=with_attention, auxiliary="xdog", after_neck=after_neck, **options)
    with torch.no_grad():
        outputs = model(images(), modality)
        terms = model.losses(outputs, PIDS, modality)
        rows = [(modality == m).nonzero()[:, 0] for m in (0, 1)]
        pids = [PIDS[rows[0]], PIDS[rows[1]], PIDS[rows[0]]]
        drawn = model.panel(images()[rows[0]])["auxiliary"]
        with auxiliary_statistics(model.backbone):
            maps = model.backbone((drawn - model.image_mean) / model.image_deviation, torch.full((4,), 2))
        g = [outputs.features["shared"][rows[0]], outputs.features["shared"][rows[1]], model.pool(maps)]
        h = [torch.empty(0, 128)] * 3
        if with_attention:
            pairing = partners(pids[0], pids[1]), partners(pids[1], pids[0])
            shared = model.attention(maps, *(outputs.extra["maps"][chosen] for chosen in rows), *pairing)
            h = [model.pool(part) for part in shared]
        circle = {"margin": 0.3, "gamma": 16.0}
        labels = [pid.repeat(2 if with_attention else 1) for pid in pids]
        both = [torch.cat(pair) for pair in zip(g, h, strict=True)]
        logits = model.classifier(model.neck(torch.cat(both)))
        if after_neck:
            both, g = ([model.neck(part) for part in parts] for parts in (both, g))
        pairs = [(m, n) for m in range(3) for n in range(3) if m != n]
        expected = {
            "identity": F.cross_entropy(logits, torch.cat(labels), label_smoothing=0.2),
            "intra": sum(losses.circle(*pair, **circle) for pair in zip(both, labels, strict=True)) / 3,
            "cross": sum(losses.circle(g[m], pids[m], g[n], pids[n], **circle) for m, n in pairs) / 6,
            "triplet": losses.batch_hard_triplet(outputs.features["shared"], PIDS),
        }
    torch.testing.assert_close(terms, expected, rtol=1e-4, atol=1e-4)


def test_in_training_everything_passes_the_neck_by_the_statistics_of_the_test_features():
    model = build()
    outputs = model(images(), MIXED)
    features = outputs.features["shared"]
    (found, twice), (none,) = model._embedded([[features, 2 * features], [features[:0]]], features)
    torch.testing.assert_close(found, outputs.embeddings["shared"], rtol=1e-4, atol=1e-4)
    deviation = features.var(dim=0, correction=0).add(model.neck.eps).sqrt()
    torch.testing.assert_close(twice - found, features / deviation, rtol=1e-4, atol=1e-4)
    assert none.shape == (0, 128)
    assert model.eval()._embedded([[features[:0]]], features)[0][0].shape == (0, 128)


@pytest.mark.parametrize("metric", ["batch-hard", "weighted"])
def test_another_metric_changes_the_intra_modality_term_alone(metric):
    values = []
    for option in ("circle", metric):
        model = warmed_up(intra_metric=option)
        torch.manual_seed(0)
        values.append(tiny.losses(model))
    assert {name for name in values[0] if values[0][name] != values[1][name]} == {"intra"}


def test_one_sketch_of_each_identity_has_a_finite_loss_and_a_gradient():
    modality, pids = torch.tensor([0, 0, 0, 0, 1, 1]), torch.tensor([0, 0, 1, 1, 0, 1])
    for autocast in (False, True):
        model = build()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            outputs = model(images(6), modality)
            terms = model.losses(outputs, pids, modality)
        assert {term.dtype for term in terms.values()} == {torch.float32}
        assert all(term.isfinite() for term in terms.values())
        features = outputs.features["shared"]
        assert features.dtype == torch.float32
        gradient = torch.autograd.grad(terms["intra"], features)[0]
        assert (gradient[4:].abs().sum(dim=1) > 0).all(), "its two features are a positive pair"


def test_a_batch_of_one_identity_is_not_refined_and_has_no_style():
    model = warmed_up().train()
    seen = []
    model.generator.register_forward_hook(lambda module, given, drawing: seen.append((given[2], drawing)))
    terms = model.losses(model(images(), MODALITY), torch.zeros(8).long(), MODALITY)
    donors, drawing = seen[0]
    assert (donors == -1).all() and torch.equal(drawing.auxiliary, drawing.edges)
    assert terms["style"] == 0 and all(term.isfinite() for term in terms.values())
    sum(terms.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_no_photo_is_drawn_in_the_style_of_its_own_identity():
    model = build()
    seen = []
    model.generator.register_forward_hook(lambda module, given, drawing: seen.append(given[2]))
    for seed in range(5):
        step(model, seed, MIXED)
    sketch_pids, photo_pids = PIDS[MIXED == 1], PIDS[MIXED == 0]
    assert len(seen) == 5 and all((sketch_pids[donors] != photo_pids).all() for donors in seen)


def test_auxiliary_images_leave_the_statistics_of_real_ones_alone():
    model, other = build(), build(auxiliary="grey", attention=False)
    for trained in (model, other):
        tiny.losses(trained)
    shared = {name for name, _ in other.backbone.named_buffers() if "auxiliary" not in name and "tracked" not in name}
    buffers, others = dict(model.backbone.named_buffers()), dict(other.backbone.named_buffers())
    real = {name for name in shared if not name.startswith("stems.2")}
    assert all(torch.equal(buffers[name], others[name]) for name in real), "whatever the auxiliary images are"
    own = "layer1.0.bn1.auxiliary_mean"
    assert buffers[own].abs().sum() > 0 and not torch.equal(buffers[own], others[own])
    assert torch.equal(model.neck.running_mean, other.neck.running_mean)


def test_embed_is_the_same_without_attention_and_generator():
    model = warmed_up()
    with torch.inference_mode():
        embeddings = model.embed(images(), MIXED)
        plain = build(seed=1, attention=False, auxiliary="grey").eval()
        kept = {k: v for k, v in model.state_dict().items() if not k.startswith(("attention.", "generator."))}
        plain.load_state_dict(kept)
        assert torch.equal(plain.embed(images(), MIXED), embeddings)
        model.attention = None
        assert torch.equal(model.embed(images(), MIXED), embeddings)
    assert embeddings.shape == (8, 128) and embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(8))


def test_branches():
    model = warmed_up()
    assert model.branches == ("shared", "auxiliary")
    with torch.inference_mode():
        shared, auxiliary = (model.branch_embedding(images(), MODALITY, branch) for branch in model.branches)
        assert torch.equal(model.embed(images(), MODALITY), shared)
        torch.testing.assert_close(auxiliary[4:], shared[4:], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(auxiliary[:4], shared[:4], atol=0.01)
        drawn = model.panel(images()[:4])["auxiliary"].expand(-1, 3, -1, -1)
        other = warmed_up()
        with auxiliary_statistics(other.backbone):
            maps = other.backbone((drawn - other.image_mean) / other.image_deviation, torch.full((4,), 2))
        torch.testing.assert_close(F.normalize(other.neck(other.pool(maps))), auxiliary[:4], rtol=1e-4, atol=1e-5)


def test_panel_shows_every_step_as_images():
    normalised, mean = images(3, size=(60, 48)), torch.tensor(dalnet.MEAN).view(3, 1, 1)
    for kind, steps in {
        "dag": ["photo", "mask", "cleaned", "edges", "auxiliary"],
        "xdog": ["photo", "edges", "auxiliary"],
        "grey": ["photo", "auxiliary"],
    }.items():
        model = warmed_up(auxiliary=kind)
        panel = model.panel(normalised)
        assert [*panel] == steps
        assert all(p.shape[2:] == (60, 48) and p.min() >= 0 and p.max() <= 1 for p in panel.values())
        restored = normalised * torch.tensor(dalnet.DEVIATION).view(3, 1, 1) + mean
        torch.testing.assert_close(panel["photo"], restored.clamp(0, 1))
        assert not any(step.requires_grad for step in panel.values())
    model, donors = warmed_up(), images(3, seed=5, size=(64, 32))
    average, styled = model.panel(normalised), model.panel(normalised, donors)
    assert torch.equal(average["edges"], styled["edges"])
    assert not torch.equal(average["auxiliary"], styled["auxiliary"])


def test_attention_asks_with_the_auxiliary_and_answers_with_the_real_modality():
    torch.manual_seed(0)
    module = Interaction(64).eval()
    auxiliary, photos, sketches = (torch.randn(rows, 64, 4, 2) for rows in (3, 3, 2))
    sketch_of, photo_of = torch.tensor([1, -1, 0]), torch.tensor([2, -1])
    given = (auxiliary, photos, sketches)
    assert all(
        torch.equal(*pair)
        for pair in zip(module(*given, sketch_of, photo_of), (photos, sketches, auxiliary), strict=True)
    )

    def answer(asks, answers):
        """One row of each, head by head."""
        query, key, value = module.query(asks[None]), module.key(answers[None]), module.value(answers[None])
        parts = []
        for q, k, v in zip(*(maps[0].flatten(1).chunk(8) for maps in (query, key, value)), strict=True):
            parts.append(v @ (q.T @ k / 2**0.5).softmax(dim=1).T)
        return torch.cat(parts).view(1, 16, 4, 2)

    torch.nn.init.ones_(module.norm.weight)
    with torch.no_grad():
        found = module(auxiliary, photos, sketches, sketch_of, photo_of)
        for i in range(3):
            z = answer(auxiliary[i], photos[i])
            torch.testing.assert_close(found[0][i], photos[i] + module.norm(module.output(z))[0])
            if sketch_of[i] >= 0:
                z = z + answer(auxiliary[i], sketches[sketch_of[i]])
            torch.testing.assert_close(found[2][i], auxiliary[i] + module.norm(module.output(z))[0] / 2)
        z = answer(auxiliary[2], sketches[0])
        torch.testing.assert_close(found[1][0], sketches[0] + module.norm(module.output(z))[0])
        assert torch.equal(found[1][1], sketches[1]), "nobody asks the second sketch"


def test_partners_are_of_the_same_identity_and_take_turns():
    pids, others = torch.tensor([7, 3, 7, 7, 5, 3]), torch.tensor([3, 7, 3, 7])
    assert partners(pids, others).tolist() == [1, 0, 3, 1, -1, 2]
    assert partners(pids, others[:0]).tolist() == [-1] * 6
    assert partners(others[:0], pids).tolist() == []


def test_order_of_rows_does_not_matter_across_modalities():
    """Who is whose partner among several depends on the order, and with it what attention returns."""
    model = warmed_up(auxiliary="xdog")
    one = tiny.losses(model, modality=MIXED)
    other = model.losses(model(images()[ORDER], MIXED[ORDER]), PIDS[ORDER], MIXED[ORDER])
    torch.testing.assert_close(one["cross"], other["cross"], rtol=1e-4, atol=1e-4)


def test_the_third_modality_is_nobody_elses():
    model = build()
    with pytest.raises(ValueError, match="modality must be 0 to 1, but has 0 to 2"):
        model.losses(model(images(3), torch.tensor([0, 1, 2])), torch.tensor([0, 1, 0]), torch.tensor([0, 1, 2]))
