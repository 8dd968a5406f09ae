"""Losses between the streams of IDKL: TGSA and CSA."""

import pytest
import torch
import torch.nn.functional as F
from tiny import ordered, unequal

from reidlib.methods import idkl
from reidlib.methods.idkl.losses import reference

SIZES = {120: (12, 5), 60: (6, 5), 64: (8, 4)}  # rows: identities, images of each modality
TERMS = ["tgsa", "csa"]
PRESETS = idkl.losses.PRESETS


def rows(pids, width=16, seed=0, dtype=torch.float64, scale=1.0):
    """Shared and specific features (or logits) that require gradient."""
    generator = torch.Generator().manual_seed(seed)
    draw = (scale * torch.randn(len(pids), width, generator=generator, dtype=dtype) for _ in range(2))
    return tuple(values.requires_grad_() for values in draw)


def both(name, features, labels, **options):
    """Terms, and gradients of their sum, of the fast and of the slow function."""
    results = []
    for module in (idkl.losses, reference):
        terms = getattr(module, name)(*features, *labels, **options)
        results.append((terms, torch.autograd.grad(sum(terms.values()), features)))
    return results


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("preset, alternating", [("paper", False), ("released", False), ("released", True)])
@pytest.mark.parametrize("count", SIZES)
def test_equals_the_loops(name, preset, alternating, count):
    labels = ordered(*SIZES[count], alternating)
    features = [values.detach() for values in rows(labels[0])]
    fast, slow = (getattr(module, name)(*features, *labels, preset=preset) for module in (idkl.losses, reference))
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("preset", PRESETS)
def test_gradients_equal_those_of_the_loops(name, preset):
    labels = ordered(4, 3)
    fast, slow = both(name, rows(labels[0]), labels, preset=preset)
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", TERMS)
def test_unequal_numbers_of_rows_equal_the_loops(name):
    labels = unequal()
    fast, slow = both(name, rows(labels[0]), labels)
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-8)
    assert all(term > 0 for term in fast[0].values())


@pytest.mark.parametrize("count", SIZES)
def test_released_terms_and_weights_make_the_released_total(count):
    identities, images = SIZES[count]
    n, (pids, modality) = identities * images, ordered(identities, images)
    (f, s), (z, y) = rows(pids), rows(pids, width=9, seed=1)
    graphs = idkl.losses.tgsa(f, s, pids, modality, preset="released")
    classes = idkl.losses.csa(z, y, pids, modality, preset="released")
    weights = idkl.losses.released_weights(count)
    total = weights.tgsa_intra * graphs["intra"] + weights.tgsa_distil * graphs["distil"]
    for kind in ("sample", "class"):
        total = total + weights.csa_intra * classes[f"{kind}_intra"] + weights.csa_distil * classes[f"{kind}_distil"]

    def skl(a, b):
        log_a, log_b = a.log_softmax(dim=1), b.log_softmax(dim=1)
        return sum(F.kl_div(p, q.exp(), reduction="batchmean") for p, q in ((log_a, log_b), (log_b, log_a)))

    def graph(x):
        squares = (x**2).sum(dim=1)
        distances = (squares[:, None] + squares - 2 * x @ x.T).clamp(min=1e-6).sqrt()
        return distances[~torch.eye(n, dtype=torch.bool)].view(n, n - 1)

    def chunked(x):
        return torch.cat([x[start : start + images] for start in range(0, n, images)], dim=1)

    fv, fi, sv, si = (graph(x) for x in (f[:n], f[n:], s[:n], s[n:]))
    if count == 120:
        h = graph(torch.cat([f[:30], f[60:90]]))
        expected = skl(fv, fi) + skl(fv, h) + skl(h, fi) + 0.6 * (skl(fv, sv) + skl(fi, si))
    else:
        expected = 0.1 * (skl(fv, fi) + skl(fv, sv) + skl(fi, si))
    w = 0.8 if count == 120 else 0.3
    for change in (lambda x: x, chunked):
        zv, zi, yv, yi = (change(x) for x in (z[:n], z[n:], y[:n], y[n:]))
        expected = expected + skl(zv, zi) + w * (skl(zv, yv) + skl(zi, yi))
    torch.testing.assert_close(total, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("count", [120, 60])
def test_the_half_block_is_a_switch(count):
    pids, modality = ordered(*SIZES[count])
    features, n = rows(pids), count // 2
    off, on, default = (
        idkl.losses.tgsa(*features, pids, modality, preset="released", half_block=half_block)
        for half_block in (False, True, None)
    )
    assert default == (on if count == 120 else off) and on["intra"] > off["intra"] and on["distil"] == off["distil"]
    visible, infrared = features[0][:n], features[0][n:]
    block = torch.cat([visible[: n // 2], infrared[: n // 2]])
    added = sum(
        idkl.losses.tgsa(*[torch.cat(pair)] * 2, pids, modality, preset="released", half_block=False)["intra"]
        for pair in ((visible, block), (block, infrared))
    )
    torch.testing.assert_close(on["intra"], off["intra"] + added)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("labels", [ordered(12, 5), ordered(8, 4), unequal()], ids=["120", "64", "unequal"])
def test_paper_does_not_depend_on_the_order_of_rows(name, labels):
    pids, modality = labels
    shared, specific = rows(pids, width=512, dtype=torch.float32, scale=2.0)
    expected = getattr(idkl.losses, name)(shared, specific, pids, modality)
    assert all(term > 0 for term in expected.values())
    for seed in range(5):
        order = torch.randperm(len(pids), generator=torch.Generator().manual_seed(seed))
        terms = getattr(idkl.losses, name)(shared[order], specific[order], pids[order], modality[order])
        torch.testing.assert_close(terms, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", TERMS)
def test_released_depends_on_the_order_of_rows(name):
    pids, modality = ordered(12, 5)
    shared, specific = rows(pids)
    order = torch.arange(120)
    order[60:65] = order[60:65].roll(1)  # five infrared images of one identity

    def terms(rows):
        return getattr(idkl.losses, name)(shared[rows], specific[rows], pids[rows], modality[rows], preset="released")

    before, after = terms(torch.arange(120)), terms(order)
    for term in before:
        assert torch.isclose(before[term], after[term], rtol=1e-9) == (term in ("distil", "sample_distil")), term
    alternating = torch.arange(120).view(2, 60).T.flatten()
    torch.testing.assert_close(terms(alternating), before)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_agrees_costs_nothing_and_what_does_not_costs(preset):
    pids, modality = ordered(8, 4)
    shared, specific = (values.detach() for values in rows(pids))
    same = torch.cat([shared[:32], shared[:32]])
    same_classes = same.view(2, 8, 4, 16).mean(dim=2, keepdim=True).expand(2, 8, 4, 16).reshape(64, 16)
    for name in TERMS:
        compare = getattr(idkl.losses, name)
        alike = same_classes if name == "csa" else same
        for term, value in compare(alike, specific, pids, modality, preset=preset).items():
            assert abs(value) < 1e-12 if "intra" in term else value > 1e-3, (name, term)
        for term, value in compare(shared, shared, pids, modality, preset=preset).items():
            assert abs(value) < 1e-12 if "distil" in term else value > 1e-3, (name, term)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("preset", PRESETS)
def test_gradients(name, preset):
    pids, modality = ordered(3, 2)

    def total(shared, specific):
        return sum(getattr(idkl.losses, name)(shared, specific, pids, modality, preset=preset).values())

    features = rows(pids, width=4)
    assert torch.autograd.gradcheck(total, features)
    teacher = torch.autograd.grad(total(features[0], features[1].detach()), features, allow_unused=True)
    assert teacher[0].abs().sum() > 0 and teacher[1] is None


@pytest.mark.parametrize("preset", PRESETS)
def test_gradients_are_finite_at_distance_zero_and_for_confident_logits(preset):
    pids, modality = ordered(4, 2)
    for shared in (torch.zeros(16, 8), torch.ones(16, 8), torch.randn(4, 8).repeat(4, 1)):
        shared, specific = shared.requires_grad_(), shared.detach().clone().requires_grad_()
        for name in TERMS:
            terms = getattr(idkl.losses, name)(shared, specific, pids, modality, preset=preset)
            gradients = torch.autograd.grad(sum(terms.values()), (shared, specific))
            assert all(values.isfinite().all() for values in (*terms.values(), *gradients))
    logits = [1e4 * values for values in rows(pids, dtype=torch.float32)]
    total = sum(idkl.losses.csa(*logits, pids, modality, preset=preset).values())
    assert total.isfinite() and all(gradient.isfinite().all() for gradient in torch.autograd.grad(total, logits))


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize(
    "labels",
    [([0] * 4, [0, 0, 1, 1]), ([0, 1, 2, 2], [0, 0, 1, 1]), ([0, 0, 1, 1], [1] * 4), ([5], [0])],
    ids=["one identity", "nobody in both", "one modality", "one row"],
)
def test_what_cannot_be_compared_is_zero_with_a_gradient(name, labels):
    pids, modality = map(torch.tensor, labels)
    shared, specific = rows(pids)
    terms = getattr(idkl.losses, name)(shared, specific, pids, modality)
    expected = getattr(reference, name)(shared, specific, pids, modality)
    torch.testing.assert_close(terms, expected)
    if len(set(labels[1])) == 1 or not set(pids[modality == 0].tolist()) & set(pids[modality == 1].tolist()):
        assert all(value == 0 for term, value in terms.items() if "intra" in term)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(sum(terms.values()), (shared, specific)))


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("preset", PRESETS)
def test_full_precision_inside_autocast(name, preset):
    pids, modality = ordered(4, 2)
    features = [values.detach() for values in rows(pids, dtype=torch.float32)]
    compare = getattr(idkl.losses, name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = compare(*features, pids, modality, preset=preset)
        lowered = compare(*(values.bfloat16() for values in features), pids, modality, preset=preset)
    assert {value.dtype for value in (*inside.values(), *lowered.values())} == {torch.float32}
    torch.testing.assert_close(inside, compare(*features, pids, modality, preset=preset), rtol=0, atol=0)


FEATURES, LABELS = torch.zeros(8, 4), (torch.arange(2).repeat(4), torch.arange(2).repeat_interleave(4))


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize(
    "change, message",
    [
        ({"preset": "official"}, "unknown preset 'official'; choose one of: paper, released"),
        ({"specific": torch.zeros(8, 5)}, r"specific is .*\(8, 5\), shared is .*\(8, 4\); give equal shapes"),
        ({"shared": torch.zeros(8)}, r"shared must be a floating tensor of shape \(N, D\)"),
        ({"pids": torch.zeros(7, dtype=torch.long)}, r"pids must be an integer tensor of shape \(8,\)"),
        ({"modality": torch.full((8,), 2)}, "modality must be 0 or 1, but has 2 to 2"),
        ({"modality": torch.zeros(8)}, r"modality must be an integer tensor of shape \(8,\)"),
        ({"modality": torch.tensor([0] * 3 + [1] * 5), "preset": "released"}, "are 3 and 5; give equally many of each"),
    ],
)
def test_bad_input_is_named(name, change, message):
    given = {"shared": FEATURES, "specific": FEATURES, "pids": LABELS[0], "modality": LABELS[1], "preset": "paper"}
    given = {**given, **change}
    options = {"preset": given.pop("preset")}
    with pytest.raises(ValueError, match=message):
        getattr(idkl.losses, name)(*given.values(), **options)


def test_released_chunks_are_as_long_as_the_first_row_says():
    pids, modality = torch.tensor([0, 1, 1, 1] * 2), torch.tensor([0] * 4 + [1] * 4)
    shared, specific = (values.detach() for values in rows(pids))
    fast, slow = (
        module.csa(shared, specific, pids, modality, preset="released") for module in (idkl.losses, reference)
    )
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-8)
    last = torch.tensor([3, 0, 1, 2, 7, 4, 5, 6])  # an identity of three rows comes first: four rows are no threes
    with pytest.raises(ValueError, match="cuts the 4 rows of a modality into chunks of 3"):
        idkl.losses.csa(shared[last], specific[last], pids[last], modality[last], preset="released")


def test_rows_that_the_released_code_cannot_cut_are_named():
    pids, modality = torch.tensor([0, 0, 0, 1, 1] * 2), torch.arange(2).repeat_interleave(5)
    with pytest.raises(ValueError, match=r"cuts the 5 rows of a modality into chunks of 3, .* preset 'paper'"):
        idkl.losses.csa(torch.zeros(10, 4), torch.zeros(10, 4), pids, modality, preset="released")
    with pytest.raises(ValueError, match="half_block joins two halves, and 5 rows"):
        idkl.losses.tgsa(torch.zeros(10, 4), torch.zeros(10, 4), pids, modality, preset="released", half_block=True)
