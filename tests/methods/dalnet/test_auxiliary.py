"""Generators of auxiliary images: what they draw, what they learn, and whose style they take."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reidlib
from reidlib.data import augment
from reidlib.methods.dalnet import auxiliary, foreground, model
from reidlib.methods.dalnet.auxiliary import DAG, KINDS, XDoG, choose_donors, generator


def photos(rows=3, height=48, width=32, seed=0):
    """A darker person of one colour before a background of another, with noise."""
    random = torch.Generator().manual_seed(seed)
    colours = torch.rand(rows, 3, 2, generator=random) * 0.4 + torch.tensor([0.0, 0.6])
    images = colours[:, :, 1, None, None].expand(-1, -1, height, width).clone()
    images[:, :, height // 6 : -height // 6, width // 3 : -width // 3] = colours[:, :, 0, None, None]
    return (images + 0.02 * torch.randn(images.shape, generator=random)).clamp(0, 1)


def sketches(rows=4, seed=1):
    images = torch.rand(rows, 1, 48, 32, generator=torch.Generator().manual_seed(seed))
    return (images > 0.2).float().expand(-1, 3, -1, -1)


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
        assert (drawing.mask_logits is not None) == (kind == "dag")


def test_the_auxiliary_image_begins_as_the_edge_map():
    for options in ({}, {"clean": False}, {"refine": False}):
        for style in ((), (sketches(), DONORS)):
            drawing = dag(**options)(photos(), *style)
            assert torch.equal(drawing.auxiliary, drawing.edges)
    drawing = dag(clean=False, refine=False)(photos())
    assert torch.equal(drawing.auxiliary, generator("xdog", 4)(photos()).auxiliary), (
        "the learned XDoG begins as the fixed"
    )


def loss_of(drawing):
    """Darker drawings, and a mask of the lower half."""
    return drawing.auxiliary.mean() + F.softplus(drawing.mask_logits).mean()


def test_gradients_reach_mask_network_xdog_and_refiner():
    model = dag()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    silent = []
    for _ in range(2):
        optimizer.zero_grad()
        model(photos(), sketches(), DONORS).auxiliary.mean().backward()
        silent.append({name for name, p in model.named_parameters() if (p.grad == 0).all()})
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
    for sigma in (1.0, 1.6):
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
    mask = drawing.mask_logits.sigmoid()
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
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
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
    assert drawing.auxiliary.dtype == torch.float32 and torch.equal(drawing.auxiliary, drawing.edges)


def test_pseudo_masks_find_a_thing_by_its_colours():
    images = photos(8)
    true = torch.zeros(48, 32, dtype=torch.bool)
    true[8:-8, 10:-11] = True
    guess = foreground.pseudo_mask(images)
    assert guess.shape == (8, 1, 48, 32) and guess.min() >= 0 and guess.max() <= 1
    assert (overlap(guess[:, 0] > 0.5, true) > 0.8).all()
    assert torch.equal(guess, foreground.pseudo_mask(images)) and not guess.requires_grad
    torch.testing.assert_close(foreground.pseudo_mask(images[2:3]), guess[2:3])
    for odd in (torch.zeros(1, 3, 33, 17), torch.ones(1, 3, 64, 32)):
        assert foreground.pseudo_mask(odd).isfinite().all()


def overlap(one, other):
    return (one & other).sum(dim=(1, 2)) / (one | other).sum(dim=(1, 2))


@pytest.mark.integration
@pytest.mark.parametrize("name", ["pku-sketch", "shoe"])
def test_pseudo_masks_are_nearer_the_truth_than_their_ellipse(twin, name, monkeypatch, tmp_path):
    """The true mask is here to judge; no model has seen it."""
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    dataset = reidlib.data.open(name, root=twin(name), **({"split": 1} if name == "pku-sketch" else {}))
    rows = dataset.rows("train", modality=0)[:20]
    images = dataset.images(*((64, 32) if name == "pku-sketch" else (48, 48))).tensor(rows).float() / 255
    masks = [torch.from_numpy(dataset.truth(row).person_mask.astype(np.float32))[None, None] for row in rows]
    true = torch.cat([F.interpolate(mask, images.shape[2:], mode="area") for mask in masks])[:, 0] > 0.5
    guess, ellipse = (foreground.pseudo_mask(images, rounds=rounds)[:, 0] > 0.5 for rounds in (2, 0))
    assert overlap(guess, true).mean() > overlap(ellipse, true).mean() + 0.02


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="unknown auxiliary 'canny'; choose one of: dag, conv, xdog, sobel, grey"):
        generator("canny", 4)


def test_images_were_normalised_with_what_they_are_restored_with():
    assert (model.MEAN, model.DEVIATION) == (augment.IMAGENET_MEAN, augment.IMAGENET_STD)
