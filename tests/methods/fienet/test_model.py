import itertools

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from reidlib import losses, methods
from reidlib.explain import grad_cam
from reidlib.methods import fienet
from reidlib.methods.fienet.modules import AGGREGATIONS, INTERACTIONS

MODALITY = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
MIXED = torch.tensor([1, 0, 1, 0, 1, 0, 0, 1])
PIDS = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])
# Every option of the modules, each at least once.
VARIANTS = [
    *({"aggregation": kind, "mpim": False} for kind in AGGREGATIONS),
    *({"pfam": False, "interaction": kind} for kind in INTERACTIONS),
    {"interaction": "none", "dilations": [1]},
    {"interaction": "gate", "dilations": [1, 2]},
    {"mpim_stage": 4},
    {"aggregation": "two_step", "interaction": "gate"},
    {},
]
variants = pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())) or "full")


def images(rows=8, seed=0):
    return torch.randn(rows, 3, 64, 32, generator=torch.Generator().manual_seed(seed))


def build(seed=0, name="fienet", **options):
    torch.manual_seed(seed)
    return methods.build(name, num_ids=5, backbone="tiny", **options)


def loss(model, seed=0, modality=MIXED):
    return sum(model.losses(model(images(seed=seed), modality), PIDS, modality).values())


def step(model, seed=0):
    """A step of training: the residuals are zero no more."""
    model.zero_grad()
    loss(model, seed).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.05 * parameter.grad


def trained(**options):
    """A model in evaluation mode whose residuals count, and whose running statistics have seen a few batches."""
    model = build(**options)
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        if name.startswith(("pfam.", "mpim.")) and (parameter == 0).all():
            parameter.data = torch.randn(parameter.shape, generator=generator)
    with torch.no_grad():
        for seed in range(5):
            model(images(seed=seed), MODALITY)
    return model.eval()


@variants
def test_starts_as_the_baseline_bit_by_bit(variant):
    plain, model = build(name="baseline"), build(**variant)
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
    plain, model = build(name="baseline"), build(igcl=False)
    for network in (plain, model):
        loss(network).backward()
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(model.get_parameter(name).grad, parameter.grad, rtol=1e-5, atol=1e-6)


def test_without_ingredients_it_is_the_baseline():
    plain, model = build(name="baseline"), build(pfam=False, mpim=False, igcl=False)
    assert plain.state_dict().keys() == model.state_dict().keys()
    for seed in range(2):
        step(plain, seed), step(model, seed)
    assert torch.equal(plain.eval().embed(images(), MIXED), model.eval().embed(images(), MIXED))


@variants
def test_every_parameter_has_a_gradient_at_once_and_moves_the_losses_after_one_step(variant):
    """Behind a residual that is still zero the gradient is 0; it is there all the same, as several processes need."""
    model = build(**variant)
    loss(model).backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    silent = {name for name, p in model.named_parameters() if (p.grad == 0).all()}
    assert silent and all(name.startswith(("pfam.", "mpim.")) for name in silent)
    outermost = [name for name, p in model.named_parameters() if name not in silent and name.startswith("pfam.")]
    assert not variant.get("pfam", True) or outermost, "the zero scales themselves are told where to go"
    step(model)
    loss(model.train(), seed=1).backward()
    assert [name for name, p in model.named_parameters() if (p.grad == 0).all()] == []


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
    options = {"margin": 1.3, "beta": 0.5, "temperature": 0.4}
    model = build(
        **{f"center_{name}": value for name, value in options.items()},
        center_after_neck=after_neck,
        triplet="weighted",
    )
    outputs = model(images(), MIXED)
    features, logits = outputs.features["shared"], outputs.logits["shared"]
    centred = outputs.embeddings["shared"] if after_neck else features
    expected = {
        "identity": F.cross_entropy(logits, PIDS, label_smoothing=0.1),
        "triplet": losses.weighted_regularised_triplet(features, PIDS),
        **fienet.losses.identity_guided_center(centred, PIDS, MIXED, **options, logits=logits),
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
def test_embeddings_are_unit_deterministic_and_follow_the_rows(variant):
    model, plain = trained(**variant), build(name="baseline").eval()
    with torch.inference_mode():
        embeddings = model.embed(images(), MODALITY)
        assert embeddings.shape == (8, 128) and embeddings.dtype == torch.float32
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(8))
        assert torch.equal(embeddings, model.embed(images(), MODALITY))
        assert not torch.allclose(embeddings, plain.embed(images(), MODALITY), atol=1e-2), "the modules do something"
        order = torch.tensor([5, 0, 7, 2, 6, 1, 4, 3])
        shuffled = model.embed(images()[order], MODALITY[order])
        torch.testing.assert_close(shuffled, embeddings[order], rtol=1e-4, atol=1e-5)
        alone = model.embed(images()[5:6], MODALITY[5:6])
        torch.testing.assert_close(alone, embeddings[5:6], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(embeddings, F.normalize(model(images(), MODALITY).embeddings["shared"], dim=1))


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


def test_branches_and_the_map_that_is_pooled():
    model = trained(mpim_stage=4)
    assert model.branches == ("shared", "specific")
    with torch.inference_mode():
        outputs, maps = model(images(), MODALITY), model.branch_map(images(), MODALITY, "shared")
        assert maps.shape == (8, 128, 4, 2)
        torch.testing.assert_close(model.pool(maps), outputs.features["shared"])
        assert torch.equal(model.branch_embedding(images(), MODALITY, "shared"), model.embed(images(), MODALITY))
        stems = model.branch_map(images(), MODALITY, "specific")
        torch.testing.assert_close(stems[4:], model.backbone.stems[1](images()[4:]))
    for call in (model.branch_map, model.branch_embedding):
        with pytest.raises(ValueError, match="no branch 'auxiliary'; choose one of: shared, specific"):
            call(images(), MODALITY, "auxiliary")


def test_grad_cam_explains_it():
    model = trained()
    targets = model.embed(images(seed=1), MODALITY)
    shown = grad_cam(model, images(), MODALITY, targets)
    assert shown.maps.shape == (8, 64, 32) and shown.maps.isfinite().all() and not shown.empty.all()
    assert not torch.allclose(shown.maps, grad_cam(trained(pfam=False), images(), MODALITY, targets).maps, atol=0.1)


@variants
def test_autocast_keeps_embeddings_and_losses_in_float32(variant):
    model = trained(**variant).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(images(), MODALITY)
        assert outputs.features["shared"].dtype == torch.float32
        terms = model.losses(outputs, PIDS, MODALITY)
        assert {term.dtype for term in terms.values()} == {torch.float32}
        assert model.embed(images(), MODALITY).dtype == torch.float32
    sum(terms.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@variants
def test_double_precision_stays(variant):
    model = trained(**variant).double()
    with torch.inference_mode():
        embeddings = model.embed(images().double(), MODALITY)
        assert embeddings.dtype == torch.float64
        torch.testing.assert_close(embeddings.float(), model.float().embed(images(), MODALITY), rtol=1e-4, atol=1e-5)


@variants
def test_state_and_arguments_rebuild_it(variant, tmp_path):
    model = trained(**variant)
    assert model.arguments == {"name": "fienet", "num_ids": 5, "backbone": "tiny", **variant}
    safetensors.torch.save_model(model, tmp_path / "weights.safetensors")
    other = methods.build(**model.arguments).eval()
    assert safetensors.torch.load_model(other, tmp_path / "weights.safetensors") == (set(), [])
    with torch.inference_mode():
        assert torch.equal(other.embed(images(), MODALITY), model.embed(images(), MODALITY))


def test_a_few_steps_learn_the_batch(learns):
    learns(build(), images(), MODALITY, PIDS)


def test_labels_out_of_range_are_named(names_labels_out_of_range):
    names_labels_out_of_range(build(), images(), MODALITY, PIDS)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"aggregation": "sum"}, "unknown aggregation 'sum'; choose one of: gated, two_step, one_shot"),
        ({"interaction": "mean"}, "unknown interaction 'mean'; choose one of: none, gate, attention"),
        ({"dilations": []}, r"dilations must be whole numbers from 1, not \[\]"),
        ({"dilations": [0, 1]}, r"dilations must be whole numbers from 1, not \[0, 1\]"),
        ({"dilations": 3}, "dilations must be whole numbers from 1, not 3"),
        ({"dilations": [2]}, r"a single perception, dilations=\[2\], has no other .*interaction='none'"),
        ({"mpim_stage": 2}, "mpim_stage must be 3 or 4, not 2"),
        ({"center": "igcl"}, "unknown center 'igcl'; choose one of: None, center_cluster, hetero_center, "),
        ({"triplet": "soft"}, "unknown triplet 'soft'"),
        ({"parts": 6}, "fienet has no option 'parts'; choose from: aggregation, .*weights"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize("mpim_stage", [3, 4])
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_modules_stand_where_they_are_said_to(aggregation, mpim_stage):
    model = trained(aggregation=aggregation, mpim_stage=mpim_stage)
    assert list(model.pfam) == (["3"] if aggregation == "one_shot" else ["2", "3"])
    with torch.inference_mode():
        stage = model.backbone.stage
        first = stage(1, model.backbone.stem(images(), MODALITY))
        second = stage(2, first)
        if aggregation != "one_shot":
            second = model.pfam["2"](second, [first])
        third = model.pfam["3"](stage(3, second), [first, second])
        last = stage(4, model.mpim(third)) if mpim_stage == 3 else model.mpim(stage(4, third))
        assert torch.equal(model.branch_map(images(), MODALITY, "shared"), last)


def test_modules_have_the_stated_size():
    """Millions of parameters in ResNet-50, of which 36.8 with a classifier of 395 identities."""
    model = methods.build("fienet", num_ids=395, backbone="resnet50")

    def millions(module):
        return round(sum(parameter.numel() for parameter in module.parameters()) / 1e6, 1)

    assert [millions(part) for part in (model.pfam["2"], model.pfam["3"], model.mpim, model)] == [1.0, 3.9, 7.6, 36.8]
