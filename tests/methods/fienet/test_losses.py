import pytest
import torch
import torch.nn.functional as F

from reidlib.losses import batch_hard_triplet
from reidlib.methods.fienet import losses, reference

NAMES = ["identity_guided_center", "center_cluster", "hetero_center", "hetero_center_triplet"]
CASES = [
    ("identity_guided_center", {}),
    ("identity_guided_center", {"margin": 1.2, "beta": 0.5}),
    ("identity_guided_center", {"margin": 1.2, "beta": 0.5, "temperature": 0.3}),
    ("identity_guided_center", {"margin": 1.2, "temperature": 0.5, "logits": True}),
    ("center_cluster", {"margin": 7.0}),
    ("hetero_center", {}),
    ("hetero_center", {"margin": 9.0}),
    ("hetero_center_triplet", {"margin": 2.0}),
]
cases = pytest.mark.parametrize("name, options", CASES, ids=[f"{n}-{'-'.join(o)}" for n, o in CASES])
every = pytest.mark.parametrize("name", NAMES)


def batch(rows=24, width=8, identities=6, seed=0, dtype=torch.float64):
    """Features, unequal numbers of rows an identity: identity 0 has a single, visible one, identity 1 infrared ones."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, width, generator=generator, dtype=dtype).requires_grad_()
    pids = torch.randint(2, identities, (rows,), generator=generator)
    modality = torch.randint(0, 2, (rows,), generator=generator)
    pids[:3], modality[:3] = torch.tensor([0, 1, 1]), torch.tensor([0, 1, 1])
    return features, pids, modality


def call(name, features, pids, modality, module=losses, **options):
    """The sum of the terms of a loss; ``logits=True`` stands for random ones."""
    if options.get("logits"):
        generator = torch.Generator().manual_seed(9)
        shape = len(features), int(pids.max()) + 3
        options["logits"] = torch.randn(shape, generator=generator, dtype=features.dtype)
    arguments = (features, pids) if name == "center_cluster" else (features, pids, modality)
    terms = getattr(module, name)(*arguments, **options)
    return sum(terms.values()) if isinstance(terms, dict) else terms


def one_each(identities=4, width=8):
    """One image of each identity in each modality."""
    features = torch.randn(2 * identities, width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    return features, torch.arange(identities).repeat(2), torch.arange(2).repeat_interleave(identities)


@pytest.mark.parametrize("seed", range(3))
@cases
def test_equals_the_loops(name, options, seed):
    inputs = batch(seed=seed)
    fast, slow = (call(name, *inputs, module=module, **options) for module in (losses, reference))
    assert slow > 0
    torch.testing.assert_close(fast, slow, rtol=1e-6, atol=1e-6)
    gradients = [torch.autograd.grad(loss, inputs[0])[0] for loss in (fast, slow)]
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-8)


@cases
def test_gradients(name, options):
    features, pids, modality = batch(rows=10, width=4, identities=4, seed=5)
    options = {k: v for k, v in options.items() if k not in ("temperature", "logits")}  # weights have no gradient
    assert torch.autograd.gradcheck(lambda x: call(name, x, pids, modality, **options), features)


@cases
def test_order_of_rows_and_names_of_identities_do_not_matter(name, options):
    features, pids, modality = batch(seed=2)
    options = {key: value for key, value in options.items() if key != "logits"}
    order = torch.randperm(len(pids), generator=torch.Generator().manual_seed(1))
    shuffled = call(name, features[order], 1000 - 7 * pids[order], modality[order], **options)
    torch.testing.assert_close(shuffled, call(name, features, pids, modality, **options))


@cases
def test_one_image_of_each_identity_and_modality(name, options):
    inputs = one_each()
    loss, slow = (call(name, *inputs, module=module, **options) for module in (losses, reference))
    torch.testing.assert_close(loss, slow, rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(loss, inputs[0])
    assert loss > 0 and gradient.isfinite().all() and gradient.abs().sum() > 0


def test_terms_by_hand():
    angles = torch.tensor([0.0, 60.0, 180.0, 180.0], dtype=torch.float64).deg2rad()
    features = torch.stack([angles.cos(), angles.sin()], dim=1) * torch.tensor([[1.0], [5.0], [2.0], [0.1]])
    pids, modality = torch.tensor([3, 3, 8, 8]), torch.tensor([0, 1, 0, 1])
    terms = losses.identity_guided_center(features, pids, modality, margin=2.0, beta=0.5)

    def chord(degrees):
        return 2 * torch.tensor(degrees / 2.0, dtype=torch.float64).deg2rad().sin()

    # Identity 3: rows 30° from their centre on either side; identity 8: none. Centres at 30° and 180°.
    torch.testing.assert_close(terms["intra"], 2 * chord(30) / 4 + 0.5 * chord(60) / 2)
    torch.testing.assert_close(terms["inter"], 2 - chord(150))
    assert losses.identity_guided_center(features, pids, modality)["inter"] == 0


def test_relatives_by_hand():
    features = torch.tensor([[0.0], [2.0], [4.0], [5.0], [5.5]])
    pids, modality = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 0, 1, 0, 1])
    pull = (2 + 0 + 2 + 0.25 + 0.25) / 5
    torch.testing.assert_close(losses.center_cluster(features, pids, margin=3.0), torch.tensor(pull))
    torch.testing.assert_close(losses.center_cluster(features, pids, margin=4.0), torch.tensor(pull + 0.75))
    # Centres of identity 0: 1 and 4; of identity 1: 5 and 5.5.
    torch.testing.assert_close(losses.hetero_center(features, pids, modality), torch.tensor(9 - 0.1 + 0.25 - 0.1))
    hinges = (0, 0.3 + 3 - 1, 0, 0)
    hinge = losses.hetero_center_triplet(features, pids, modality)
    torch.testing.assert_close(hinge, torch.tensor(sum(hinges) / 4))


def test_hetero_center_triplet_is_batch_hard_on_the_centres():
    features, pids, modality = batch(seed=4)
    visible, infrared = (set(pids[modality == m].tolist()) for m in (0, 1))
    kept = torch.isin(pids, torch.tensor(sorted(visible & infrared)))
    assert kept.sum() > 12
    features, pids, modality = features[kept], pids[kept], modality[kept]
    groups = [(pid, m) for pid in pids.unique() for m in (0, 1)]
    centres = torch.stack([features[(pids == pid) & (modality == m)].mean(dim=0) for pid, m in groups])
    expected = batch_hard_triplet(centres, torch.stack([pid for pid, _ in groups]), margin=1.0)
    torch.testing.assert_close(losses.hetero_center_triplet(features, pids, modality, margin=1.0), expected)


def test_length_of_features_and_numbers_of_rows_do_not_move_the_centres_of_identities():
    features, pids, modality = batch(seed=1)
    one = losses.identity_guided_center(features, pids, modality, margin=1.5, beta=0.5)
    lengths = torch.rand(24, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    torch.testing.assert_close(
        losses.identity_guided_center(lengths * features, pids, modality, margin=1.5, beta=0.5), one
    )
    rows = torch.cat([torch.arange(24), (modality == 1).nonzero()[:, 0]])  # every infrared row twice
    twice = losses.identity_guided_center(features[rows], pids[rows], modality[rows], margin=1.5)
    torch.testing.assert_close(twice["inter"], one["inter"])


def test_an_identity_without_a_modality_has_the_centre_of_the_other_one():
    features = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, -1.0], [0.0, -3.0]], dtype=torch.float64)
    pids, modality = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    terms = losses.identity_guided_center(features, pids, modality, margin=2.0, beta=1.0)
    first, second = F.normalize(torch.ones(2, dtype=torch.float64), dim=0), features[2]
    pull = (features[0] - first).norm() / 2  # identity 1 lies on its centre
    torch.testing.assert_close(terms["intra"], pull + 2**0.5)  # and has no gap between modalities
    torch.testing.assert_close(terms["inter"], 2 - (first - second).norm())
    torch.testing.assert_close(
        losses.hetero_center(features, pids, modality), torch.tensor(5 - 0.1, dtype=torch.float64)
    )
    gap = 5**0.5
    hinges = [0.3 + gap - 5**0.5, 0.3 + gap - 4]  # anchors of identity 0 alone; (0, -2) is their negative
    expected = torch.tensor(sum(max(0.0, hinge) for hinge in hinges) / 2, dtype=torch.float64)
    torch.testing.assert_close(losses.hetero_center_triplet(features, pids, modality), expected)


def test_no_identity_with_both_modalities():
    features, pids, _ = batch()
    modality = pids % 2
    for name in ("hetero_center", "hetero_center_triplet"):
        loss = call(name, features, pids, modality)
        assert loss == 0 and (torch.autograd.grad(loss, features)[0] == 0).all()
    with_beta = losses.identity_guided_center(features, pids, modality, beta=3.0)
    assert with_beta == losses.identity_guided_center(features, pids, modality)


def test_sure_rows_weigh_more():
    features, pids, modality = batch(seed=3)
    plain = losses.identity_guided_center(features, pids, modality, margin=2.0)
    flat = losses.identity_guided_center(features, pids, modality, margin=2.0, temperature=1e9)
    torch.testing.assert_close(flat, plain, rtol=1e-6, atol=1e-6)
    logits = torch.zeros(24, 6, dtype=torch.float64)
    equal = losses.identity_guided_center(features, pids, modality, margin=2.0, temperature=0.1, logits=logits)
    torch.testing.assert_close(equal, plain)
    surest = []  # one row of each identity and modality
    for pid, m in {(pid, m) for pid, m in zip(pids.tolist(), modality.tolist(), strict=True)}:
        surest.append(int(((pids == pid) & (modality == m)).nonzero()[-1, 0]))
    logits[surest, pids[surest]] = 5.0
    sharp = losses.identity_guided_center(features, pids, modality, margin=2.0, temperature=1e-3, logits=logits)
    alone = losses.identity_guided_center(features[surest], pids[surest], modality[surest], margin=2.0)
    torch.testing.assert_close(sharp["inter"], alone["inter"])


def test_weights_have_no_gradient():
    features, pids, modality = batch(seed=3)
    logits = torch.randn(24, 6, dtype=torch.float64).requires_grad_()
    terms = losses.identity_guided_center(features, pids, modality, temperature=0.5, logits=logits)
    sum(terms.values()).backward()
    assert logits.grad is None and features.grad.abs().sum() > 0


@every
def test_coincident_points_have_finite_gradients(name):
    pids, modality = torch.arange(4).repeat(2), torch.arange(2).repeat_interleave(4)
    for features in (torch.ones(8, 4), torch.zeros(8, 4), one_each(4)[0].detach()[:4].repeat(2, 1)):
        features.requires_grad_()
        options = {"beta": 0.5} if name == "identity_guided_center" else {}
        loss = call(name, features, pids, modality, **options)
        assert loss.isfinite() and torch.autograd.grad(loss, features)[0].isfinite().all()


def test_opposite_modalities_leave_a_finite_gradient():
    features = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]).requires_grad_()
    pids, modality = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    loss = call("identity_guided_center", features, pids, modality, margin=1.5, beta=0.5)
    assert loss.isfinite() and torch.autograd.grad(loss, features)[0].isfinite().all()


def test_a_single_identity_has_nothing_to_be_pushed_from():
    features, _, modality = batch()
    pids = torch.full((24,), 5)
    inter = losses.identity_guided_center(features, pids, modality)["inter"]
    for loss in (inter, losses.hetero_center_triplet(features, pids, modality)):
        assert loss == 0 and (torch.autograd.grad(loss, features)[0] == 0).all()


@cases
def test_full_precision_inside_autocast(name, options):
    features, pids, modality = batch(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside, lowered = (call(name, x, pids, modality, **options) for x in (features, features.bfloat16()))
    assert inside.dtype == lowered.dtype == torch.float32
    torch.testing.assert_close(inside, call(name, features, pids, modality, **options), rtol=0, atol=0)


@every
def test_non_finite_features_are_not_hidden(name):
    features, pids, modality = batch(dtype=torch.float32)
    broken = features.detach().clone()
    broken[5, 2] = torch.nan
    assert call(name, broken, pids, modality).isnan()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "center_cluster"])
@pytest.mark.parametrize(
    "change, message",
    [
        ({"modality": torch.zeros(24, dtype=torch.long)}, r"no row of modality 1 \(infrared\).* need both"),
        ({"modality": torch.ones(24, dtype=torch.long)}, r"no row of modality 0 \(visible\)"),
        ({"modality": torch.arange(24) % 3}, "modality must be 0 to 1, but has 0 to 2"),
        ({"modality": torch.zeros(24)}, "modality .*float32"),
        ({"modality": torch.zeros(3, dtype=torch.long)}, r"modality .*\(24,\)"),
    ],
)
def test_bad_modality_is_named(name, change, message):
    features, pids, modality = batch()
    with pytest.raises(ValueError, match=message):
        call(name, **{"features": features, "pids": pids, "modality": modality, **change})


@every
@pytest.mark.parametrize(
    "change, message",
    [
        ({"features": torch.zeros(24)}, r"features .*\(N, D\).*\(24,\)"),
        ({"features": torch.zeros(0, 4)}, "features .*N >= 1"),
        ({"pids": torch.zeros(24)}, "pids .*float32"),
        ({"pids": torch.zeros(3, dtype=torch.long)}, r"pids .*\(24,\)"),
    ],
)
def test_bad_rows_are_named(name, change, message):
    features, pids, modality = batch()
    with pytest.raises(ValueError, match=message):
        call(name, **{"features": features, "pids": pids, "modality": modality, **change})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temperature": 0}, "temperature must be None or more than 0, not 0"),
        ({"temperature": float("nan")}, "temperature .*nan"),
        ({"temperature": 1.0, "logits": torch.zeros(3, 6)}, r"logits are .*\(3, 6\), but there are 24 features"),
        ({"temperature": 1.0, "logits": torch.zeros(24, 4)}, "pids must be 0 to 3, columns of logits, not 0 to 5"),
    ],
)
def test_bad_certainty_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        losses.identity_guided_center(*batch(), **options)
