"""Generators of auxiliary images: what they draw, what they learn, and whose style they take."""

import numpy as np
import pytest
import torch
from drawn import photos, sketches

from reidlib.data import augment
from reidlib.methods.dalnet import auxiliary, model
from reidlib.methods.dalnet.auxiliary import DAG, KINDS, XDoG, choose_donors, generator


def dag(seed=0, **options):
    torch.manual_seed(seed)
    return DAG(4, **options)


DONORS = torch.tensor([3, 0, 2])


@pytest.mark.parametrize("size", [(64, 32), (48, 48), (60, 48), (61, 33), (32, 16)])
def test_drawings_of_every_kind_have_the_size_and_range_of_the_photos(size):
    for kind in KINDS:
        drawing = generator(kind, 4)(photos(2, *size), sketches(), DONORS[:2])
        channels = 3 if kind == "conv" else 1
        assert drawing.auxiliary.shape == (2, channels, *size) and drawing.auxiliary.dtype == torch.float32
        for step in (drawing.auxiliary, drawing.edges, drawing.cleaned):
            assert step is None or (step.min() >= 0 and step.max() <= 1 and step.shape[2:] == size)
        assert (drawing.mask is not None) == (kind == "dag")


def test_the_auxiliary_image_begins_as_the_edge_map():
    for options in ({}, {"clean": False}, {"refine": False}):
        for style in ((), (sketches(), DONORS)):
            drawing = dag(**options)(photos(), *style)
            torch.testing.assert_close(drawing.auxiliary, drawing.edges, rtol=0, atol=auxiliary.BLACKEST)
    drawing = dag(clean=False, refine=False)(photos())
    assert torch.equal(drawing.auxiliary, generator("xdog", 4)(photos()).auxiliary), (
        "the learned XDoG begins as the fixed"
    )


def loss_of(drawing):
    """Darker drawings, and a mask of the lower half."""
    return drawing.auxiliary.mean() + drawing.mask.mean()


def test_gradients_reach_xdog_and_refiner_and_leave_the_mask_alone():
    model = dag()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    silent = []
    for _ in range(2):
        optimizer.zero_grad()
        model(photos(), sketches(), DONORS).auxiliary.mean().backward()
        assert all(p.grad is None for p in model.mask.parameters())
        silent.append({name for name, p in model.named_parameters() if p.grad is not None and (p.grad == 0).all()})
        optimizer.step()
    last = {"refiner.decoder.2.weight", "refiner.decoder.2.bias"}
    refiner = {name for name, _ in model.named_parameters() if name.startswith("refiner.")}
    assert silent[0] == refiner - last, "while the last convolution is zero, no more of the refiner can be told apart"
    assert silent[1] == set(), "after one step everything learns, through the auxiliary image alone"
    assert (model.xdog.change.grad != 0).all()


def test_xdog_is_its_equation():
    images, model = photos(), XDoG(learned=True)
    tau, epsilon, phi = (number.item() for number in model.numbers)
    assert (tau, epsilon, phi) == pytest.approx((0.98, 0.01, 50))
    grey = np.tensordot(np.array([0.299, 0.587, 0.114]), images.double().numpy(), (0, 1))
    blurred = []
    for sigma in (0.7, 1.12):
        reach = int(3 * sigma)
        kernel = np.exp(-((np.arange(-reach, reach + 1) / sigma) ** 2) / 2)
        kernel /= kernel.sum()
        padded = np.pad(grey, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
        rows = sum(kernel[k] * padded[:, k : k + grey.shape[1]] for k in range(len(kernel)))
        blurred.append(sum(kernel[k] * rows[:, :, k : k + grey.shape[2]] for k in range(len(kernel))))
    excess = blurred[0] - tau * blurred[1]
    expected = np.where(excess >= epsilon, 1, 1 + np.tanh(phi * (excess - epsilon)))
    np.testing.assert_allclose(model(images)[:, 0].detach().numpy(), expected, atol=2e-4)


def test_edges_are_dark_where_the_photo_has_one_and_white_elsewhere():
    images = torch.ones(1, 3, 32, 32)
    images[:, :, :, 16:] = 0.6
    for kind in ("xdog", "sobel"):
        drawn = generator(kind, 4)(images).auxiliary[0, 0]
        assert drawn[:, 14:18].min() < 0.7 and (drawn[:, :10] > 0.99).all() and (drawn[:, 22:] > 0.99).all(), kind
    torch.testing.assert_close(generator("sobel", 4)(images).auxiliary[0, 0, 5, 15].item(), 1 - 0.4)


def test_the_cheap_learned_generator_begins_as_the_grey_image():
    grey, convolutions = generator("grey", 4)(photos()).auxiliary, generator("conv", 4)
    torch.testing.assert_close(convolutions(photos()).auxiliary, grey.expand(-1, 3, -1, -1))
    convolutions(photos()).auxiliary.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in convolutions.parameters())
    assert not [*generator("xdog", 4).parameters()] and not [*generator("sobel", 4).parameters()]


def test_cleaning_turns_the_background_white():
    model = dag()
    drawing = model(photos())
    mask = drawing.mask
    torch.testing.assert_close(drawing.cleaned, mask * photos() + (1 - mask))
    torch.nn.init.constant_(model.mask.head.bias, -50.0)
    blank = model(photos())
    assert (blank.cleaned > 0.999).all() and (blank.edges == 1).all()


def styled(model):
    """A refiner that adds something."""
    torch.nn.init.normal_(model.refiner.decoder[-1].weight, std=0.5)
    return model


def test_style_comes_from_the_donor_and_from_nobody_else():
    model = styled(dag()).eval()
    drawn = model(photos(), sketches(), DONORS).auxiliary
    others = sketches().clone()
    others[1] = 0.5  # nobody's donor
    torch.testing.assert_close(model(photos(), others, DONORS).auxiliary, drawn)
    others[3] = 0.5  # of the first photo
    changed = model(photos(), others, DONORS).auxiliary
    assert not torch.allclose(changed[0], drawn[0], atol=1e-3)
    torch.testing.assert_close(changed[1:], drawn[1:])


def test_without_a_donor_the_auxiliary_image_is_the_edge_map():
    model = styled(dag())
    for given in (sketches(), sketches(0)):
        drawing = model(photos(), given, torch.tensor([-1, -1, -1]))
        assert torch.equal(drawing.auxiliary, drawing.edges)
        drawing.auxiliary.sum().backward()
        taught = [*model.xdog.parameters(), *model.refiner.parameters()]
        assert all(p.grad is not None and p.grad.isfinite().all() for p in taught)
    drawing = model(photos(), sketches(), torch.tensor([-1, 0, -1]))
    assert [torch.equal(one, other) for one, other in zip(drawing.auxiliary, drawing.edges, strict=True)] == [
        *(True, False, True)
    ]


def test_the_average_style_is_that_of_training_and_serves_without_sketches():
    model = styled(dag())
    with torch.no_grad():
        model(photos(), sketches(), DONORS)
    model.eval()
    model(photos(), sketches(), DONORS)
    assert (model.refiner.mean == 0).all() and (model.refiner.deviation == 1).all(), "only training counts"
    model.train()
    for _ in range(200):
        model(photos(), sketches(), DONORS)
    mean, deviation = model.refiner.styles(sketches())
    torch.testing.assert_close(model.refiner.mean, mean.mean(dim=0))
    torch.testing.assert_close(model.refiner.deviation, deviation.mean(dim=0))
    model.eval()
    average = torch.equal(model(photos()).auxiliary, model(photos()).auxiliary)
    assert average and not torch.equal(model(photos()).auxiliary, model(photos()).edges)


def test_restyled_maps_have_the_statistics_asked_for():
    maps, style = torch.rand(3, 5, 6, 4), (torch.rand(3, 5), torch.rand(3, 5) + 0.5)
    found = auxiliary.channel_statistics(auxiliary._restyle(maps, style))
    torch.testing.assert_close(found, style, rtol=1e-3, atol=1e-3)


def test_donors_are_other_people():
    photo_pids, sketch_pids = torch.tensor([0, 0, 1, 1, 2, 5]), torch.tensor([2, 1, 0, 0, 1])
    seen = set()
    for seed in range(50):
        torch.manual_seed(seed)
        donors = choose_donors(photo_pids, sketch_pids)
        assert (sketch_pids[donors] != photo_pids).all()
        seen |= set(zip(photo_pids.tolist(), donors.tolist(), strict=True))
    allowed = {(p, n) for p in (0, 1, 2, 5) for n in range(5) if p != sketch_pids[n]}
    assert seen == allowed, "every sketch of another identity is drawn at times"
    assert choose_donors(torch.tensor([4, 4, 3]), torch.tensor([4, 4])).tolist()[:2] == [-1, -1]
    assert choose_donors(photo_pids, sketch_pids[:0]).tolist() == [-1] * 6


def test_edges_keep_full_precision_under_autocast():
    model = dag(refine=False, clean=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = model(photos()).auxiliary
        drawing = dag()(photos(), sketches(), DONORS)
    assert torch.equal(inside, model(photos()).auxiliary)
    assert drawing.auxiliary.dtype == torch.float32
    torch.testing.assert_close(drawing.auxiliary, drawing.edges, rtol=0, atol=auxiliary.BLACKEST)


def stripes(images):
    """How much neighbouring pixels alternate in a typical row or column: (N, 1, H, W) -> the larger of both, 0-1."""
    found = []
    for across in (images, images.mT):
        difference = across[..., 1:-1] - (across[..., :-2] + across[..., 2:]) / 2
        left, right = difference[..., :-1], difference[..., 1:]
        alternating = torch.minimum(left.abs(), right.abs()) * (left * right < 0)
        found.append(alternating.mean(dim=2).median(dim=-1).values.mean().item())
    return max(found)


@pytest.mark.parametrize("seed", range(3))
def test_training_for_contrast_draws_no_stripes_and_leaves_the_paper_white(seed):
    """A loss that stripes of the width of a pixel would serve best: neighbours are to differ, wherever they are."""
    model = dag(seed, clean=False)
    optimizer = torch.optim.Adam(model.refiner.parameters(), lr=1e-2)
    for _ in range(40):
        drawn = model(photos(), sketches(), DONORS).auxiliary
        optimizer.zero_grad()
        (-(drawn.diff(dim=2).abs().mean() + drawn.diff(dim=3).abs().mean())).backward()
        optimizer.step()
    drawing = model(photos(), sketches(), DONORS)
    assert (drawing.auxiliary - drawing.edges).abs().max() > 0.05, "it has learned to redraw"
    assert stripes(drawing.auxiliary) < 0.1
    white = drawing.edges == 1
    assert white.any() and (drawing.auxiliary[white] == 1).all()


def test_strokes_are_redrawn_by_a_factor_on_their_density():
    model = styled(dag(clean=False)).refiner
    edges = torch.rand(3, 1, 48, 32) * 0.9 + 0.05
    factor = model(edges).log() / edges.log()
    assert factor.min() > 1 / 8.01 and factor.max() < 8.01 and factor.std() > 0.1
    for given in (edges, torch.zeros(1, 1, 48, 32)):  # black has a finite density
        (gradient,) = torch.autograd.grad(model(given).sum(), model.decoder[-1].bias)
        assert gradient.isfinite() and gradient != 0
    with torch.no_grad():
        model.decoder[-1].weight.zero_()
        for found, factor in ((-50.0, 1 / 8), (0.0, 1.0), (50.0, 8.0)):
            model.decoder[-1].bias.fill_(found)
            edges = torch.rand(3, 1, 61, 33) * 0.9 + 0.05
            torch.testing.assert_close(model(edges), edges**factor)


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="unknown auxiliary 'canny'; choose one of: dag, conv, xdog, sobel, grey"):
        generator("canny", 4)


def test_images_were_normalised_with_what_they_are_restored_with():
    assert (model.MEAN, model.DEVIATION) == (augment.IMAGENET_MEAN, augment.IMAGENET_STD)
