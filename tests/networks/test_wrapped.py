"""Networks of one's own: scored, searched, drawn and, with a layer named, mapped; what is missing is named."""

import copy

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from reidlib import evaluation, methods, networks
from reidlib.data import normalise
from reidlib.evaluation import protocols
from reidlib.explain import cams, common_table, embedding, embedding_table, grad_cam, occlusion_maps
from reidlib.networks.base import evaluating
from reidlib.networks.wrapped import as_model

SIZE = (32, 16)


class Convolutional(nn.Module):
    """A plain network with batch normalisation and an activation that works in place."""

    def __init__(self, features=6):
        super().__init__()
        torch.manual_seed(0)
        self.stage = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8))
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, features)

    def forward(self, images):
        return self.head(self.act(self.stage(images)).mean(dim=(2, 3)))


def vit(size=32):
    torch.manual_seed(0)
    net = torchvision.models.VisionTransformer(
        image_size=size, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    net.heads = nn.Identity()
    return net


def images(count=4, size=SIZE):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


MODALITY = torch.tensor([0, 1, 1, 0])


def test_a_plain_module_embeds_and_stays_as_it_was():
    net = Convolutional().train()
    net.head.weight.requires_grad_(False)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    model = as_model(net)
    with evaluating(model):
        found = model.embed(images(), MODALITY)
        expected = net(images())
    torch.testing.assert_close(found, expected / expected.norm(dim=1, keepdim=True))
    assert net.training and not net.head.weight.requires_grad
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    copied = copy.deepcopy(model).eval()
    copied.module.head.weight.data.zero_()
    with evaluating(model):
        assert not torch.allclose(copied.embed(images(), MODALITY), model.embed(images(), MODALITY), atol=1e-3)
    assert as_model(model) is model and as_model(nn.DataParallel(net)).module is net


def test_the_way_in_is_what_the_module_offers():
    class Both(nn.Module):
        def forward(self, images, label=None, modality=None):
            return torch.stack([images.mean(dim=(1, 2, 3)), modality.float()], dim=1)

    class Two(Both):
        def embed(self, images, modality):
            return super().forward(images, None, 10 * modality)

    class One(Both):
        def embed(self, images):
            return images.flatten(1)[:, :3]

    third = [as_model(kind()).features(images(), MODALITY) for kind in (Both, Two, One)]
    assert third[0][:, 1].tolist() == [0, 1, 1, 0] and third[1][:, 1].tolist() == [0, 10, 10, 0]
    assert third[2].shape == (4, 3)
    by_hand = networks.wrap(Both(), embed=lambda images, modality: Both()(images, None, modality - 7))
    assert by_hand.features(images(), MODALITY)[:, 1].tolist() == [-7, -6, -6, -7]


def test_a_module_that_is_cut_in_two_needs_no_layer():
    class Cut(nn.Module):
        branches = ("left", "right")

        def branch_map(self, images, modality, branch):
            return images.chunk(2, dim=3)[self.branches.index(branch)]

        def embed_map(self, maps, branch):
            return maps.mean(dim=(2, 3))

    model = as_model(Cut())
    left, right = (model.branch_embedding(images(), MODALITY, branch) for branch in model.branches)
    torch.testing.assert_close(right, nn.functional.normalize(images()[..., 8:].mean(dim=(2, 3)), dim=1))
    torch.testing.assert_close(model.embed(images(), MODALITY), left)
    assert grad_cam(Cut(), images(), MODALITY, right).maps.shape == (4, *SIZE)


@pytest.mark.parametrize("method", ["baseline", "idkl"])
def test_what_is_asked_for_comes_before_what_a_model_offers(method):
    model = methods.build(method, num_ids=3, backbone="tiny").eval()
    images, modality = torch.randn(2, 3, 64, 32), torch.zeros(2, dtype=torch.int64)
    wrapped = networks.wrap(model, embed=lambda images, modality: model.embed(-images, modality))
    assert wrapped.branches == ("shared",)
    with torch.inference_mode():
        torch.testing.assert_close(wrapped.embed(images, modality), model.embed(-images, modality))
        assert not torch.allclose(wrapped.embed(images, modality), model.embed(images, modality))


@pytest.mark.parametrize(
    ("returned", "output", "wanted"),
    [
        (lambda f: (f, f[:, :2]), 1, 2),
        (lambda f: {"logits": f, "pooled": f[:, :3]}, "pooled", 3),
        (lambda f: f[:, None].repeat(1, 5, 1), lambda tokens: tokens[:, 0], 6),
        (lambda f: f[..., None, None], None, 6),
    ],
)
def test_the_feature_is_a_part_of_what_comes_out(returned, output, wanted):
    class Other(Convolutional):
        def forward(self, images):
            return returned(super().forward(images))

    assert networks.wrap(Other(), output=output).embed(images(), MODALITY).shape == (4, wanted)
    if output is not None:
        with pytest.raises(ValueError, match=r"model.embed returned .* for 4 images; expected \(B, D\): Other must"):
            as_model(Other()).embed(images(), MODALITY)


class Nothing(nn.Module):
    pass


class TwoStreams(nn.Module):
    def forward(self, visible, thermal, modal=0):
        return visible


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: as_model(Nothing()), ValueError, r"must offer embed\(images, modality\) or forward.*Nothing has neit"),
        (lambda: as_model(TwoStreams()), ValueError, r"TwoStreams.forward takes \(visible, thermal, modal\): say how"),
        (lambda: as_model(Convolutional), TypeError, "must be a torch.nn.Module that offers .*; Convolutional is none"),
        (lambda: as_model(None), TypeError, "NoneType is none"),
        (lambda: as_model(lambda images: images), TypeError, "function is none"),
        (lambda: networks.wrap(Convolutional(), layer="layer4"), ValueError, "no layer 'layer4'; it has.* stage.0, st"),
        (lambda: networks.wrap(Convolutional(), layer=nn.ReLU()), ValueError, "ReLU is no part of Convolutional"),
        (
            lambda: networks.wrap(Convolutional(), image_size=(32, 0)),
            ValueError,
            r"image_size must be .* not \(32, 0\)",
        ),
        (lambda: networks.wrap(Convolutional(), std=0), ValueError, "std above 0"),
        (
            lambda: networks.wrap(Convolutional(), output="pooled").embed(images(), MODALITY),
            ValueError,
            r"returns \(4, 6\), which has no part 'pooled'",
        ),
        (
            lambda: as_model(Convolutional()).opened(images(), MODALITY, "shared"),
            ValueError,
            "Convolutional must offer a map: name the layer .*one of: stage, stage.0, stage.1; or take occlusion",
        ),
        (lambda: as_model(Convolutional()).check_branch("specific"), ValueError, "no branch 'specific'"),
        (
            lambda: networks.wrap(Convolutional(), layer="head").opened(images(), MODALITY, "shared"),
            ValueError,
            r"the layer gives \(4, 6\) for 4 images; a map must be",
        ),
        (
            lambda: networks.wrap(vit(), layer="encoder.ln", grid=(3, 8)).opened(
                images(4, (32, 32)), MODALITY, "shared"
            ),
            ValueError,
            "17 tokens, fewer than a grid of 3×8",
        ),
    ],
)
def test_what_is_missing_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_other_normalisations_and_precisions():
    net = Convolutional().eval()
    bytes_ = torch.randint(0, 256, (4, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    own = networks.wrap(net, mean=0.5, std=0.5).features(normalise(bytes_), MODALITY)
    torch.testing.assert_close(own, net(bytes_ / 127.5 - 1), atol=1e-5, rtol=1e-5)
    double = Convolutional().double().eval()
    assert as_model(double).features(images(), MODALITY).dtype == torch.float64
    half = Convolutional().bfloat16().eval()
    assert as_model(half).embed(images(), MODALITY).dtype == torch.float32


@pytest.mark.parametrize("library", ["own", "package"])
@pytest.mark.parametrize(
    ("make", "size", "layer"),
    [
        (Convolutional, SIZE, "stage"),  # its output is changed in place by what follows
        (vit, (32, 32), "encoder.layers.encoder_layer_1.ln_1"),
    ],
)
def test_a_named_layer_is_mapped(make, size, layer, library):
    net = make().train()
    model = networks.wrap(net, layer=layer)
    with evaluating(model), torch.no_grad():
        targets = model.embed(images(4, size).flip(3) + 0.1 * images(4, size), MODALITY)
        expected = model.embed(images(4, size), MODALITY)
        opened = model.opened(images(4, size), MODALITY, "shared")
        torch.testing.assert_close(opened.rest(opened.maps), expected)
        assert not torch.allclose(opened.rest(opened.maps.flip(3) + 1), expected, atol=1e-3)
    found = grad_cam(model, images(4, size), MODALITY, targets, library=library)
    assert found.maps.shape == (4, *size) and not found.empty.all()
    torch.testing.assert_close(found.similarities, (expected * targets).sum(dim=1))
    other = grad_cam(model, images(4, size), MODALITY, targets, library="own")
    torch.testing.assert_close(found.maps, other.maps, atol=1e-2, rtol=0)
    assert net.training and not any(module._forward_hooks for module in net.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


def test_grad_cam_of_a_foreign_network_is_that_of_the_definition():
    """Against a network that is cut in two by hand."""
    net = Convolutional().eval()
    targets = nn.functional.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(3)), dim=1)
    maps = net.stage(images()).detach().requires_grad_()
    embedded = nn.functional.normalize(net.head(net.act(maps.clone()).mean(dim=(2, 3))), dim=1)
    (gradient,) = torch.autograd.grad((embedded * targets).sum(), maps)
    expected = torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1)).detach()
    expected = nn.functional.interpolate(expected[:, None], SIZE, mode="bilinear")[:, 0]
    found = grad_cam(networks.wrap(net, layer=net.stage), images(), MODALITY, targets).maps
    low, high = (function(expected, dim=(1, 2), keepdim=True) for function in (torch.amin, torch.amax))
    torch.testing.assert_close(found, (expected - low) / (high - low), atol=1e-5, rtol=1e-4)


def test_behind_the_last_attention_the_other_tokens_have_no_say():
    model = networks.wrap(vit().eval(), layer="encoder.layers.encoder_layer_1")
    targets = model.embed(images(4, (32, 32)).flip(3), MODALITY).detach()
    with pytest.raises(
        ValueError, match=r"gradient vanishes.*read at its class token, take a layer before the last att"
    ):
        grad_cam(model, images(4, (32, 32)), MODALITY, targets)


@pytest.mark.parametrize(
    ("shape", "grid", "expected"),
    [
        ((4, 7, 8, 4), None, (8, 4)),
        ((4, 8, 4, 7), None, (8, 4)),
        ((4, 33, 7), None, (8, 4)),  # a class token
        ((4, 37, 7), None, (8, 4)),  # and four registers
        ((4, 32, 7), None, (8, 4)),
        ((4, 211, 7), (21, 10), (21, 10)),  # patches that overlap
        ((4, 8, 8, 8), None, (8, 8)),
    ],
)
def test_places_are_found_in_maps_and_tokens(shape, grid, expected):
    from reidlib.networks.places import Places

    output = torch.randn(shape)
    places = Places.of(output, images(4, (128, 64)), grid)
    maps = places.take(output)
    assert maps.shape[2:] == expected
    assert torch.equal(places.put(maps, output), output)
    changed = places.put(maps + 1, output)
    assert (changed != output).sum() == maps.numel()


def test_tokens_without_a_grid_are_asked_for():
    from reidlib.networks.places import Places

    with pytest.raises(ValueError, match=r"211 tokens are no grid .*128×64.*grid=\(h, w\)"):
        Places.of(torch.randn(4, 211, 7), images(4, (128, 64)), None)


@pytest.mark.integration
def test_a_stranger_is_scored_ranked_and_drawn(dataset, cache, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(cache))
    monkeypatch.setattr(embedding, "project", lambda features, seed: features[:, :2])
    net, protocol = Convolutional().train(), protocols.get("sysu", num_trials=1)
    result = evaluation.evaluate(net, dataset, protocol, height=32, width=16)
    embeddings = evaluation.embed(net, dataset, dataset.rows("test"), height=32, width=16)
    assert result.mean == evaluation.score(embeddings.numpy(), dataset, protocol).mean
    ranked = evaluation.retrieve(embeddings.tolist(), dataset, protocol, depth=3)
    assert ranked.gallery_rows.shape[1] == 3
    net.image_size = SIZE
    table = embedding_table(net, dataset, identities=3, per_modality=2)
    assert table["branch"].unique().tolist() == ["shared"] and np.isfinite(table[["x", "y"]]).all(axis=None)
    rows = dataset.rows("test")[:3]
    assert occlusion_maps(net, dataset, rows, cells=(2, 2)).shape == (3, 2, 2)
    with pytest.raises(ValueError, match="must offer a map"):
        cams(net, dataset, rows)
    mapped = networks.wrap(net, layer="stage")
    assert cams(mapped, dataset, rows).maps.shape == (3, *SIZE)
    assert len(common_table(mapped, dataset, rows)) == 1
    del net.image_size
    with pytest.raises(ValueError, match="image_size"):
        occlusion_maps(net, dataset, rows)
    assert net.training
