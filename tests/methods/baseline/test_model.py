import itertools

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from reidlib import losses, methods

MODALITY = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
PIDS = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])


def images(rows=8, seed=0):
    return torch.randn(rows, 3, 64, 32, generator=torch.Generator().manual_seed(seed))


def build(seed=0, **options):
    torch.manual_seed(seed)
    return methods.build("baseline", num_ids=5, backbone="tiny", **options)


def warmed_up(**options):
    """A model in evaluation mode whose running statistics have seen a few batches."""
    model = build(**options)
    with torch.no_grad():
        for seed in range(5):
            model(images(seed=seed), MODALITY)
    return model.eval()


OPTIONS = [
    {"shared_from": shared_from, "pool": pool, "neck": neck, "triplet": triplet}
    for shared_from, pool, neck, triplet in itertools.product(
        range(6), ("gem", "average"), (True, False), ("batch-hard", "weighted")
    )
]


@pytest.mark.parametrize(
    "modality", [MODALITY, torch.tensor([1, 0, 1, 0, 1, 0, 0, 1]), torch.ones(8, dtype=torch.long)]
)
def test_every_parameter_gets_a_gradient_under_every_option(modality):
    for options in OPTIONS:
        model = build(**options)
        sum(model.losses(model(images(), modality), PIDS, modality).values()).backward()
        missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        broken = [name for name, parameter in model.named_parameters() if not parameter.grad.isfinite().all()]
        assert not missing and not broken, options


def test_every_parameter_moves_the_losses():
    model = build()
    sum(model.losses(model(images(), MODALITY), PIDS, MODALITY).values()).backward()
    assert [name for name, parameter in model.named_parameters() if (parameter.grad == 0).all()] == []


def test_outputs_and_losses_are_what_they_say():
    model = build(label_smoothing=0.2, margin=0.7)
    outputs = model(images(), MODALITY)
    features, logits = outputs.features["shared"], outputs.logits["shared"]
    assert repr(outputs) == (
        "Outputs(features['shared']: (8, 128), embeddings['shared']: (8, 128), logits['shared']: (8, 5))"
    )
    torch.testing.assert_close(outputs.embeddings["shared"], model.neck(features))
    torch.testing.assert_close(logits, outputs.embeddings["shared"] @ model.classifier.weight.T)
    terms = model.losses(outputs, PIDS, MODALITY)
    log_p = logits.log_softmax(dim=1)
    smoothed = 0.8 * F.one_hot(PIDS, 5) + 0.2 / 5
    torch.testing.assert_close(terms["identity"], -(smoothed * log_p).sum(dim=1).mean())
    torch.testing.assert_close(terms["triplet"], losses.batch_hard_triplet(features, PIDS, margin=0.7))
    weighted = build(triplet="weighted").losses(outputs, PIDS, MODALITY)["triplet"]
    torch.testing.assert_close(weighted, losses.weighted_regularised_triplet(features, PIDS))


@pytest.mark.parametrize("shared_from", [0, 1, 3])
def test_embeddings_are_unit_deterministic_and_follow_the_rows(shared_from):
    model = warmed_up(shared_from=shared_from)
    with torch.inference_mode():
        embeddings = model.embed(images(), MODALITY)
        assert embeddings.shape == (8, 128) and embeddings.dtype == torch.float32
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(8))
        assert torch.equal(embeddings, model.embed(images(), MODALITY))
        order = torch.tensor([5, 0, 7, 2, 6, 1, 4, 3])
        torch.testing.assert_close(
            model.embed(images()[order], MODALITY[order]), embeddings[order], rtol=1e-4, atol=1e-5
        )
        apart = [model.embed(images()[rows], MODALITY[rows]) for rows in (MODALITY == 0, MODALITY == 1)]
        torch.testing.assert_close(torch.cat(apart), embeddings, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(embeddings, F.normalize(model(images(), MODALITY).embeddings["shared"], dim=1))


def test_modality_matters_only_with_a_stem_of_its_own():
    one, two = warmed_up(shared_from=0), warmed_up(shared_from=1)
    two.backbone.stems[1].conv1.weight.data.neg_()
    with torch.inference_mode():
        assert torch.equal(one.embed(images(), MODALITY), one.embed(images(), 1 - MODALITY))
        assert not torch.allclose(two.embed(images(), MODALITY), two.embed(images(), 1 - MODALITY))


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
    for call in (alone.branch_embedding, alone.branch_map):
        with pytest.raises(ValueError, match="no branch 'specific'; choose one of: shared"):
            call(images(), MODALITY, "specific")


def test_autocast_keeps_embeddings_and_losses_in_float32():
    model = build()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(images(), MODALITY)
        assert outputs.features["shared"].dtype == torch.float32
        assert {term.dtype for term in model.losses(outputs, PIDS, MODALITY).values()} == {torch.float32}
        assert model.embed(images(), MODALITY).dtype == torch.float32


def test_safetensors_round_trip(tmp_path):
    model, other = warmed_up(), build(seed=1).eval()
    safetensors.torch.save_model(model, tmp_path / "weights.safetensors")
    assert safetensors.torch.load_model(other, tmp_path / "weights.safetensors") == (set(), [])
    with torch.inference_mode():
        assert torch.equal(other.embed(images(), MODALITY), model.embed(images(), MODALITY))


def test_a_few_steps_learn_the_batch(learns):
    learns(build(), images(), MODALITY, PIDS)


def test_labels_out_of_range_are_named(names_labels_out_of_range):
    names_labels_out_of_range(build(), images(), MODALITY, PIDS)


def test_arguments_rebuild_the_same_network():
    model = build(shared_from=2, pool="average")
    assert model.arguments == {
        "name": "baseline",
        "num_ids": 5,
        "backbone": "tiny",
        "shared_from": 2,
        "pool": "average",
    }
    again = methods.build(**model.arguments)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    assert again.image_size is None


@pytest.mark.parametrize(
    "change, message",
    [
        ({"name": "agw"}, "unknown method 'agw'; choose one of: baseline"),
        ({"num_ids": 0}, "num_ids must be an integer of at least 1, not 0"),
        ({"num_ids": 2.5}, "num_ids .*2.5"),
        ({"num_ids": True}, "num_ids .*True"),
        ({"backbone": "resnet101"}, "'resnet101'; choose one of: tiny, small, resnet18, resnet50"),
        ({"parts": 6}, "baseline has no option 'parts'; choose from: inert, .*triplet, weights"),
        ({"triplet": "soft"}, "'soft'; choose one of: batch-hard, weighted"),
        ({"pool": "max"}, "'max'; choose one of: gem, average"),
        ({"label_smoothing": 1.5}, "label_smoothing must be between 0 and 1, not 1.5"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        methods.build(**{"name": "baseline", "num_ids": 5, "backbone": "tiny", **change})


def test_the_inert_module_changes_no_value():
    plain, control = warmed_up(), warmed_up(inert=True)
    assert sum(p.numel() for p in control.parameters()) > sum(p.numel() for p in plain.parameters())
    missing = control.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing and all(name.startswith("inert.") for name in missing)
    control.train(), plain.train()
    torch.testing.assert_close(control(images(), MODALITY).logits, plain(images(), MODALITY).logits, rtol=0, atol=0)


def test_the_inert_module_lets_the_others_begin_at_other_weights():
    plain, control = build().state_dict(), build(inert=True).state_dict()
    drawn = [name for name in plain if name.endswith("weight") and plain[name].std() > 0]
    assert drawn and not any(torch.equal(plain[name], control[name]) for name in drawn)
