"""Grad-CAM by hand, ours beside the package's, and what it must refuse or leave alone."""

import sys

import pytest
import torch
import torch.nn.functional as F

from reidlib import methods
from reidlib.data import normalise
from reidlib.explain import cams, common, grad_cam, retrieval_targets, sample_rows
from reidlib.networks import ReIDModel
from reidlib.networks.base import unit

MODALITY = torch.tensor([0, 1, 1, 0, 0, 1])
PIDS = torch.tensor([0, 0, 1, 1, 2, 2])
OPTIONS = [
    {"shared_from": 0, "pool": "average", "neck": False},
    {"shared_from": 1, "pool": "gem", "neck": True},
    {"shared_from": 2, "pool": "gem", "neck": False},
    {"shared_from": 3, "pool": "average", "neck": True, "last_stride": 2},
]


class Toy(ReIDModel):
    """The first two channels of an image are its map; the embedding is their mean, moved by ``shift``."""

    branches = ("shared",)

    def __init__(self, shift=(0.0, 0.0), scale=1.0):
        super().__init__()
        self.shift, self.scale = torch.nn.Parameter(torch.tensor(shift)), scale

    def forward(self, images, modality):
        raise NotImplementedError

    losses = forward

    def branch_map(self, images, modality, branch):
        return self.scale * images[:, :2]

    def embed_map(self, maps, branch):
        return unit(maps.mean(dim=(2, 3)) + self.shift)


def random_images(seed=0, rows=6, height=70, width=33):
    return torch.randn(rows, 3, height, width, generator=torch.Generator().manual_seed(seed))


def halves(rows=1):
    """Channel 0 lights the left half of a 4×8 image, channel 1 the right half."""
    images = torch.zeros(rows, 3, 4, 8)
    images[:, 0, :, :4] = images[:, 1, :, 4:] = 1
    return images


@pytest.fixture(scope="module", params=OPTIONS, ids=str)
def network(request, learn):
    torch.manual_seed(1)
    model = methods.build("baseline", num_ids=3, backbone="tiny", **request.param)
    return learn(model, random_images(5), MODALITY, PIDS)


@pytest.mark.parametrize("library", ["own", "package"])
def test_a_map_worked_out_by_hand(library):
    result = grad_cam(Toy(), halves(), torch.tensor([0]), torch.tensor([[0.0, 5.0]]), library=library)
    # The mean is (1, 1) / 2, the embedding (1, 1) / √2, the target (0, 1). The gradient at the mean is the part
    # of the target across the embedding, (-1, 1) / 2, over the length of the mean: (-1, 1) / √2. It is spread evenly
    # over 32 places, and only channel 1, the right half, speaks for the target.
    expected = torch.cat([torch.zeros(4, 4), torch.ones(4, 4)], dim=1)[None]
    torch.testing.assert_close(result.maps, expected)
    torch.testing.assert_close(result.similarities, torch.tensor([0.5**0.5]))
    torch.testing.assert_close(result.gradient_norms, torch.tensor([32**-0.5]))
    assert result.empty.tolist() == [False]


def test_other_activations_are_weighted_as_the_image_says():
    """The weights of the image ask for channel 1; where that channel is bright is told by the activations given."""
    arguments = Toy(), halves(), torch.tensor([0]), torch.tensor([[0.0, 5.0]])
    swapped = halves()[:, :2].flip(1)
    result, own = grad_cam(*arguments, activations=swapped), grad_cam(*arguments)
    torch.testing.assert_close(result.maps, own.maps.flip(2))
    torch.testing.assert_close(result.similarities, own.similarities)
    torch.testing.assert_close(result.gradient_norms, own.gradient_norms)
    with pytest.raises(ValueError, match=r"activations must be \(1, 2, 4, 8\).*not \(1, 2, 2, 8\)"):
        grad_cam(*arguments, activations=swapped[:, :, :2])
    with pytest.raises(ValueError, match='library="own" only'):
        grad_cam(*arguments, activations=swapped, library="package")


@pytest.mark.integration
@pytest.mark.parametrize("batch_size", [3, 64])
def test_swapped_activations_are_means_of_the_modality(dataset, trained, batch_size, monkeypatch):
    monkeypatch.setattr(common, "BATCH", batch_size)
    rows = sample_rows(dataset, identities=3, per_modality=2)
    result = cams(trained, dataset, rows, swapped=True)
    modality = torch.from_numpy(dataset.frame["modality"].to_numpy()[rows])
    images = normalise(dataset.images(64, 32, progress=False).tensor(rows))
    with torch.no_grad():
        maps = trained.branch_map(images, modality, "shared")
    means = torch.stack([maps[modality == m].mean(0) for m in modality])
    targets = retrieval_targets(trained, dataset, rows).embeddings
    expected = grad_cam(trained, images, modality, targets, activations=means)
    torch.testing.assert_close(result.maps, expected.maps, atol=1e-4, rtol=1e-4)
    own = cams(trained, dataset, rows)
    assert not torch.allclose(own.maps, result.maps, atol=1e-2)
    torch.testing.assert_close(own.similarities, result.similarities)


@pytest.mark.parametrize("trained", [False, True])
def test_own_and_package_agree(network, trained):
    model = network
    if not trained:
        torch.manual_seed(2)
        options = {name: value for name, value in network.arguments.items() if name != "name"}
        model = methods.build("baseline", **options).eval()
    for branch in model.branches:
        with torch.no_grad():
            targets = model.branch_embedding(random_images(7), 1 - MODALITY, branch)
        own, package = (
            grad_cam(model, random_images(), MODALITY, targets, branch=branch, library=library)
            for library in ("own", "package")
        )
        assert own.maps.shape == package.maps.shape == (6, 70, 33)
        assert own.maps.dtype == package.maps.dtype == torch.float32
        torch.testing.assert_close(own.maps, package.maps, atol=1e-4, rtol=0)
        torch.testing.assert_close(own.similarities, package.similarities)
        torch.testing.assert_close(own.gradient_norms, package.gradient_norms)
        assert torch.equal(own.empty, package.empty)
        shown = own.maps[~own.empty].flatten(1)
        assert (shown.amin(1) == 0).all() and (shown.amax(1) == 1).all()
    assert not own.empty.all()  # nothing is compared with nothing in the last branch


def test_the_target_decides_and_rows_are_independent(network):
    targets = F.normalize(torch.randn(6, 128, generator=torch.Generator().manual_seed(3)), dim=1)
    whole = grad_cam(network, random_images(), MODALITY, targets)
    order = torch.tensor([4, 1, 5, 0, 3, 2])
    shuffled = grad_cam(network, random_images()[order], MODALITY[order], targets[order])
    torch.testing.assert_close(shuffled.maps, whole.maps[order], atol=1e-4, rtol=0)
    alone = grad_cam(network, random_images()[2:3], MODALITY[2:3], targets[2:3])
    torch.testing.assert_close(alone.maps, whole.maps[2:3], atol=1e-4, rtol=0)
    scaled = grad_cam(network, random_images(), MODALITY, 7 * targets)
    torch.testing.assert_close(scaled.maps, whole.maps, atol=1e-4, rtol=0)
    other = grad_cam(network, random_images(), MODALITY, -targets)
    assert (other.maps - whole.maps).abs().amax() > 0.5


@pytest.mark.parametrize("library", ["own", "package"])
def test_an_image_is_not_explained_by_its_own_embedding(network, library):
    for branch in network.branches:
        with torch.no_grad():
            targets = network.branch_embedding(random_images(7), 1 - MODALITY, branch)
            for row in (2, 5):  # one at a time: other batches, other rounding
                part = random_images()[row : row + 1]
                targets[row] = network.branch_embedding(part, MODALITY[row : row + 1], branch)[0]
        with pytest.raises(ValueError, match=r"vanishes for 2 image\(s\) of the batch, at position 2, 5:"):
            grad_cam(network, random_images(), MODALITY, targets, branch=branch, library=library)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_what_vanishes_does_not_depend_on_the_scale_of_the_activations(scale):
    model, modality = Toy(scale=scale), torch.tensor([0])
    assert not grad_cam(model, halves(), modality, torch.tensor([[0.6, 0.8]])).empty
    for opposite in (1, -1):
        with pytest.raises(ValueError, match="vanishes"):
            grad_cam(model, halves(), modality, opposite * torch.ones(1, 2))
    with pytest.raises(ValueError, match="vanishes"):  # a hair's breadth from its own embedding
        grad_cam(model, halves(), modality, torch.tensor([[1.0, 1.0001]]))


def test_a_dead_map_and_broken_targets_are_refused():
    for targets in (torch.zeros(1, 2), torch.full((1, 2), torch.nan)):
        with pytest.raises(ValueError, match="vanishes"):
            grad_cam(Toy(), halves(), torch.tensor([0]), targets)
    with pytest.raises(ValueError, match="vanishes"):
        grad_cam(Toy(shift=(1.0, 0.0)), torch.zeros(1, 3, 4, 8), torch.tensor([0]), torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize("library", ["own", "package"])
def test_negative_evidence_alone_leaves_an_empty_map(library):
    images = torch.rand(2, 1, 4, 8, generator=torch.Generator().manual_seed(0)).expand(2, 3, 4, 8) + 0.5
    model, targets = Toy(shift=(-4.0, -3.0)), torch.tensor([[-1.0, -1.0], [-1.0, 0.0]])
    # The means, moved, are about (-3, -2). Towards (-1, -1) the gradient is (a, -b), b > a > 0, and both channels are
    # alike, so that their sum is negative everywhere; towards (-1, 0) it is (-c, d), d > c > 0.
    result = grad_cam(model, images, torch.tensor([0, 1]), targets, library=library)
    assert result.empty.tolist() == [True, False]
    assert (result.maps[0] == 0).all() and result.maps[1].max() > 0.999
    assert (result.gradient_norms > 0.005).all()


def test_a_flat_map_shows_nothing_rather_than_rounding():
    images = torch.full((1, 3, 4, 8), 0.3)
    model = Toy(shift=(0.1, 0.7))
    model.branch_map = lambda images, modality, branch: images[:, :2, ::2, ::3]  # smaller, so that it is interpolated
    assert grad_cam(model, images, torch.tensor([0]), torch.tensor([[1.0, 0.0]])).empty.all()


@pytest.mark.parametrize("library", ["own", "package"])
@pytest.mark.parametrize("around", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_the_model_is_left_as_it_was(network, library, around):
    network.train().requires_grad_()
    network.backbone.layer4.eval()  # modes may be mixed, and so may be what learns
    network.backbone.layer3[0].conv1.weight.requires_grad_(False)
    for number, parameter in enumerate(network.parameters()):
        parameter.grad = None if number % 2 else torch.full_like(parameter, 3.0)
    images = random_images().requires_grad_()

    def state():
        modules = [(part.training, len(part._forward_hooks), len(part._backward_hooks)) for part in network.modules()]
        gradients = [None if parameter.grad is None else parameter.grad.clone() for parameter in network.parameters()]
        return modules, [parameter.requires_grad for parameter in network.parameters()], gradients

    before, values = state(), {name: value.clone() for name, value in network.state_dict().items()}
    random_state = torch.get_rng_state()
    with around():
        result = grad_cam(network, images, MODALITY, torch.eye(128)[:6], library=library)
    torch.testing.assert_close(state(), before, atol=0, rtol=0)
    assert all(torch.equal(value, values[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert images.grad is None and images.requires_grad
    assert not result.maps.requires_grad and not result.similarities.requires_grad
    with pytest.raises(ValueError, match="vanishes"):
        grad_cam(network, images, MODALITY, torch.zeros(6, 128), library=library)
    torch.testing.assert_close(state(), before, atol=0, rtol=0)
    network.eval().requires_grad_().zero_grad()
    again = grad_cam(network, images, MODALITY, torch.eye(128)[:6], library=library)
    torch.testing.assert_close(again.maps, result.maps)


def test_bad_arguments_are_refused(network):
    targets = torch.eye(128)[:6]
    with pytest.raises(ValueError, match="no branch 'hidden'; choose one of: shared"):
        grad_cam(network, random_images(), MODALITY, targets, branch="hidden")
    with pytest.raises(ValueError, match="unknown library 'theirs'; choose one of: own, package"):
        grad_cam(network, random_images(), MODALITY, targets, library="theirs")
    for wrong in (targets[:5], targets[0], targets.long()):
        with pytest.raises(ValueError, match=r"targets must be floating \(6, D\)"):
            grad_cam(network, random_images(), MODALITY, wrong)
    for library in ("own", "package"):
        with pytest.raises(ValueError, match="targets have 16 dimensions, embeddings of the branch 'shared' 128"):
            grad_cam(network, random_images(), MODALITY, targets[:, :16], library=library)


def test_without_the_package_the_error_says_what_to_install(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    grad_cam(network, random_images(), MODALITY, torch.eye(128)[:6])
    with pytest.raises(ImportError, match="pip install"):
        grad_cam(network, random_images(), MODALITY, torch.eye(128)[:6], library="package")


@pytest.mark.integration
def test_images_of_a_data_set(dataset, trained, monkeypatch):
    monkeypatch.setattr(common, "BATCH", 5)
    rows = dataset.rows("test")[::40]
    rows.flags.writeable = False  # as the positions in a frame are
    pixels, modality = dataset.images(64, 32).tensor(rows), torch.tensor(dataset.frame["modality"].to_numpy()[rows])
    for branch in trained.branches:
        own = cams(trained, dataset, rows, branch=branch)
        wanted = retrieval_targets(trained, dataset, rows, branch=branch).embeddings
        package = grad_cam(trained, normalise(pixels), modality, wanted, branch=branch, library="package")
        assert own.maps.shape == (len(rows), 64, 32)
        torch.testing.assert_close(own.maps, package.maps, atol=1e-2, rtol=0)
        one = cams(trained, dataset, rows[3:4], branch=branch)
        torch.testing.assert_close(one.maps[0], own.maps[3], atol=1e-4, rtol=0)


@pytest.mark.integration
def test_a_model_without_a_size_must_be_told_one(dataset, trained, monkeypatch):
    monkeypatch.setattr(trained, "image_size", None)
    with pytest.raises(ValueError, match=r"set model.image_size = \(height, width\)"):
        cams(trained, dataset, dataset.rows("test")[:2])
