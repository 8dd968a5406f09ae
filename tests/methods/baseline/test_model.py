import itertools
from functools import partial

import pytest
import tiny
import torch
import torch.nn.functional as F
from tiny import MIXED, MODALITY, PIDS, images, warmed_up

from reidlib import losses

build = partial(tiny.build, "baseline")


OPTIONS = [
    {"shared_from": shared_from, "pool": pool, "neck": neck, "triplet": triplet}
    for shared_from, pool, neck, triplet in itertools.product(
        range(6), ("gem", "average"), (True, False), ("batch-hard", "weighted")
    )
]


@pytest.mark.parametrize("modality", [MODALITY, MIXED, torch.ones(8, dtype=torch.long)])
def test_every_parameter_gets_a_gradient_under_every_option(modality):
    for options in OPTIONS:
        model = build(**options)
        sum(tiny.losses(model, modality=modality).values()).backward()
        assert not tiny.untaught(model), options


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


@pytest.mark.parametrize(("triplet", "loss"), losses.TRIPLETS.items())
def test_triplets_compare_features_as_they_are_at_length_one_or_behind_the_neck(triplet: str, loss):
    outputs = build()(images(), MODALITY)
    features, embeddings = outputs.features["shared"], outputs.embeddings["shared"]
    compared = {"pooled": features, "unit": F.normalize(features), "neck": embeddings}
    found = {
        name: build(triplet=triplet, triplet_on=name).losses(outputs, PIDS, MODALITY)["triplet"] for name in compared
    }
    for name, expected in compared.items():
        torch.testing.assert_close(found[name], loss(expected, PIDS))
    assert len({value.item() for value in found.values()}) == 3
    assert build(triplet=triplet).triplet_on == "pooled"
    with pytest.raises(ValueError, match="unknown triplet_on 'logits'; choose one of: pooled, unit, neck"):
        build(triplet_on="logits")


def test_modality_matters_only_with_a_stem_of_its_own():
    one, two = warmed_up(build(shared_from=0)), warmed_up(build(shared_from=1))
    two.backbone.stems[1].conv1.weight.data.neg_()
    with torch.inference_mode():
        assert torch.equal(one.embed(images(), MODALITY), one.embed(images(), 1 - MODALITY))
        assert not torch.allclose(two.embed(images(), MODALITY), two.embed(images(), 1 - MODALITY))


def test_the_inert_module_changes_no_value():
    plain, control = warmed_up(build()), warmed_up(build(inert=True))
    assert sum(p.numel() for p in control.parameters()) > sum(p.numel() for p in plain.parameters())
    missing = control.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing and all(name.startswith("inert.") for name in missing)
    control.train(), plain.train()
    torch.testing.assert_close(control(images(), MODALITY).logits, plain(images(), MODALITY).logits, rtol=0, atol=0)


def test_the_inert_module_lets_the_others_begin_at_other_weights():
    plain, control = build().state_dict(), build(inert=True).state_dict()
    drawn = [name for name in plain if name.endswith("weight") and plain[name].std() > 0]
    assert drawn and not any(torch.equal(plain[name], control[name]) for name in drawn)
