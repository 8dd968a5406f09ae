"""Losses around the purifier of IDKL, and the labels that confuse."""

import math

import pytest
import torch
from tiny import ordered, unequal

from reidlib.methods import idkl
from reidlib.methods.idkl.losses import reference

FEATURES, LABELS = torch.zeros(8, 4), (torch.arange(2).repeat(4), torch.arange(2).repeat_interleave(4))


def purifying(pids, seed=0, width=8, classes=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    four = [torch.rand(len(pids), width, generator=generator, dtype=dtype).requires_grad_() for _ in range(4)]
    classifier = torch.nn.Linear(width, classes, bias=False, dtype=dtype)
    return four, classifier


@pytest.mark.parametrize("labels", [ordered(12, 5), unequal()], ids=["ordered", "unequal"])
@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_purifier_equals_the_loops_in_any_order(labels, margin):
    pids, modality = labels
    four, classifier = purifying(pids)
    results = []
    order = torch.randperm(len(pids), generator=torch.Generator().manual_seed(1))
    shuffled = [values[order] for values in four]
    for module, given, p, m in (
        (idkl.losses, four, pids, modality),
        (idkl.losses, shuffled, pids[order], modality[order]),
        (reference, four, pids, modality),
    ):
        terms = module.purifier(*given, classifier, p, m, margin=margin)
        results.append((terms, torch.autograd.grad(sum(terms.values()), (*four, classifier.weight))))
    torch.testing.assert_close(results[1], results[0], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(results[0], results[2], rtol=1e-6, atol=1e-8)
    assert all(term > 0 for term in results[0][0].values())


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_hinges_are_those_of_the_loss(margin):
    pids, modality = unequal()
    four, classifier = purifying(pids)
    hinges = idkl.losses.purifier_hinges(*four, classifier, pids, modality, margin=margin)

    def terms_of(chosen):
        given = *(x[chosen] for x in four), classifier, pids[chosen], modality[chosen]
        return idkl.losses.purifier(*given, margin=margin)

    images = [terms_of([i]) for i in range(len(pids))]
    people = [terms_of(pids == p) for p in (0, 1, 2)]
    assert hinges["entropy"].tolist() == [sum(terms["entropy"].item() > 0 for terms in images), len(pids)]
    assert hinges["centroid"].tolist() == [sum(terms["centroid"].item() > 0 for terms in people), 3]
    assert all(terms["centroid"] == 0 for terms in images), "a single image shows no gap"
    assert 0 < hinges["entropy"][0] < len(pids) or margin


def test_gates_that_shrink_leave_the_centroid_loss_nothing_to_do_but_with_a_margin():
    pids, modality = ordered(8, 4)
    (raw, _, normed, _), classifier = purifying(pids)
    given = raw, raw, normed, 0.5 * normed, classifier, pids, modality
    assert {name: term.item() for name, term in idkl.losses.purifier(*given).items()} == {"entropy": 0, "centroid": 0}
    assert idkl.losses.purifier_hinges(*given)["centroid"].tolist() == [0, 8]
    assert idkl.losses.purifier_hinges(*given)["entropy"].tolist() == [0, len(pids)], "a gap of 0 is none above zero"
    with_margin = idkl.losses.purifier(*given, margin=10.0)
    assert with_margin["centroid"] > 8 and with_margin["entropy"].item() == pytest.approx(math.expm1(10))
    assert idkl.losses.purifier_hinges(*given, margin=10.0)["centroid"].tolist() == [8, 8]


def test_purifier_in_full_precision_and_finite_where_nothing_differs():
    pids, modality = ordered(4, 2)
    four, classifier = purifying(pids, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = idkl.losses.purifier(*four, classifier, pids, modality)
        lowered = idkl.losses.purifier(*(x.bfloat16() for x in four), classifier, pids, modality)
    torch.testing.assert_close(inside, idkl.losses.purifier(*four, classifier, pids, modality), rtol=0, atol=0)
    assert {term.dtype for term in lowered.values()} == {torch.float32}
    equal = [torch.ones(16, 8, requires_grad=True) for _ in range(4)]
    total = sum(idkl.losses.purifier(*equal, classifier, pids, modality, margin=0.1).values())
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(total, equal))


def test_confusion_labels_are_half_wrong_in_any_order():
    modality = torch.tensor([0] * 30 + [1] * 30)
    for seed in range(5):
        shuffled = modality[torch.randperm(60, generator=torch.Generator().manual_seed(seed))]
        labels = idkl.losses.confusion_labels(shuffled)
        assert labels.dtype == torch.long and torch.equal(labels, reference.confusion_labels(shuffled))
        assert [(labels != shuffled)[shuffled == m].sum().item() for m in (0, 1)] == [15, 15]
    assert idkl.losses.confusion_labels(torch.tensor([1, 1, 1])).tolist() == [1, 0, 1]


@pytest.mark.parametrize("count", [120, 60, 64])
def test_confusion_labels_are_the_released_ones_where_modalities_alternate(count):
    modality = torch.tensor([1, 0]).repeat(count // 2)
    expected = modality[: count // 2].repeat_interleave(2).roll(-1)
    assert torch.equal(idkl.losses.confusion_labels(modality), expected)


@pytest.mark.parametrize(
    "change, message",
    [
        ({1: torch.zeros(8, 3)}, r"gated is .*\(8, 3\), raw is .*\(8, 4\); give equal shapes"),
        ({3: torch.zeros(8, 4, 2)}, r"gated_normed must be a floating tensor of shape \(N, D\)"),
        ({6: torch.full((8,), -1)}, "modality must be 0 or 1, but has -1 to -1"),
    ],
)
def test_bad_input_of_the_purifier_is_named(change, message):
    given = dict(enumerate((*[FEATURES] * 4, torch.nn.Linear(4, 3), *LABELS)))
    with pytest.raises(ValueError, match=message):
        idkl.losses.purifier(*{**given, **change}.values())
    with pytest.raises(ValueError, match=r"modality must be an integer tensor of shape \(B,\)"):
        idkl.losses.confusion_labels(torch.zeros(2, 2, dtype=torch.long))
