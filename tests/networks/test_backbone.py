import copy

import pytest
import torch
import torchvision

from reidlib.networks.backbone import Backbone, Stages
from reidlib.networks.trunks import names


def images(rows=6, height=64, width=32, seed=0):
    return torch.randn(rows, 3, height, width, generator=torch.Generator().manual_seed(seed))


def shuffle_norms(module, seed=0):
    """Give batch norms statistics and scales that differ from layer to layer, as training would."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            for tensor in (norm.running_mean, norm.bias.data):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
            for tensor in (norm.running_var, norm.weight.data):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return module


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_same_names_and_same_maps_as_torchvision(name):
    theirs = shuffle_norms(getattr(torchvision.models, name)(weights=None)).eval()
    state = {key: tensor for key, tensor in theirs.state_dict().items() if not key.startswith("fc.")}
    ours = Backbone(name, shared_from=0, last_stride=2).eval()
    assert {key: tensor.shape for key, tensor in ours.state_dict().items()} == {k: t.shape for k, t in state.items()}
    ours.load_state_dict(state)
    trunk = torch.nn.Sequential(*list(theirs.children())[:-2])
    with torch.inference_mode():
        torch.testing.assert_close(ours(images(2), torch.zeros(2, dtype=torch.long)), trunk(images(2)))


@pytest.mark.parametrize("shared_from", range(6))
def test_stems_and_shared_part_divide_torchvisions_names(shared_from):
    whole = set(Stages("resnet18").state_dict())
    keys = set(Backbone("resnet18", shared_from=shared_from).state_dict())
    shared = {key for key in keys if not key.startswith("stems.")}
    stems = [{key.split(".", 2)[2] for key in keys if key.startswith(f"stems.{number}.")} for number in (0, 1)]
    assert stems[0] == stems[1]
    assert shared | stems[0] == whole
    assert not shared & stems[0]


@pytest.mark.parametrize(
    "name, channels", [("small", (32, 32, 64, 128, 256)), ("resnet50", (64, 256, 512, 1024, 2048))]
)
def test_stages_one_by_one(name, channels):
    backbone = shuffle_norms(Backbone(name, shared_from=2)).eval()
    assert backbone.channels == channels
    modality = torch.tensor([0, 0, 1, 1])
    with torch.inference_mode():
        maps = backbone.stem(images(4), modality)
        assert maps.shape == (4, channels[1], 16, 8)
        shapes = []
        for number in backbone.stages:
            maps = backbone.stage(number, maps)
            shapes.append(maps.shape[1:])
        assert shapes == [(channels[2], 8, 4), (channels[3], 4, 2), (channels[4], 4, 2)]
        torch.testing.assert_close(maps, backbone(images(4), modality), rtol=0, atol=0)


def test_last_stride():
    modality = torch.zeros(2, dtype=torch.long)
    assert Backbone("tiny", last_stride=1)(images(2), modality).shape[2:] == (4, 2)
    assert Backbone("tiny", last_stride=2)(images(2), modality).shape[2:] == (2, 1)


def test_a_second_back_half_continues_the_same_front():
    torch.manual_seed(0)
    whole, back = shuffle_norms(Stages("small")).eval(), Stages("small", 3).eval()
    back.load_state_dict({key: whole.state_dict()[key] for key in back.state_dict()})
    with torch.inference_mode():
        maps = images()
        for number in range(3):
            maps = whole.stage(number, maps)
        torch.testing.assert_close(back(maps), whole(images()), rtol=0, atol=0)


def different_stems(shared_from=1, modalities=2):
    backbone = Backbone("tiny", shared_from=shared_from, modalities=modalities)
    for number, stem in enumerate(backbone.stems):
        stem.conv1.weight.data.mul_(1 + number)
        shuffle_norms(stem, seed=number)
    return backbone


@pytest.mark.parametrize("modality", [[0, 0, 0, 1, 1, 1], [1, 0, 2, 0, 1, 1], [2, 2, 2, 2, 2, 2], [1, 1, 1, 0, 0, 0]])
@pytest.mark.parametrize("shared_from", [1, 3])
def test_each_row_goes_through_its_own_stem(modality, shared_from):
    backbone = different_stems(shared_from, modalities=3).eval()
    modality = torch.tensor(modality)
    with torch.inference_mode():
        mixed = backbone.stem(images(), modality)
        for row, number in enumerate(modality):
            alone = backbone.stems[number](images()[row : row + 1])
            torch.testing.assert_close(mixed[row : row + 1], alone, rtol=1e-4, atol=1e-4)


def test_training_statistics_stay_apart():
    """A mixed training batch equals one pass per modality: batch statistics, running statistics, gradients."""
    modality = torch.tensor([1, 0, 0, 1, 1, 0])
    mixed, apart = different_stems().train(), different_stems().train()
    apart.load_state_dict(mixed.state_dict())
    target = torch.randn(6, 16, 16, 8, generator=torch.Generator().manual_seed(4))
    maps = mixed.stem(images(), modality)
    (maps * target).sum().backward()
    for number, stem in enumerate(apart.stems):
        rows = modality == number
        alone = stem(images()[rows])
        torch.testing.assert_close(maps[rows], alone, rtol=1e-5, atol=1e-6)
        (alone * target[rows]).sum().backward()
        for ours, theirs in zip(mixed.stems[number].parameters(), stem.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(mixed.stems[number].bn1.running_mean, stem.bn1.running_mean)


def test_images_receive_gradients_through_routing():
    inputs = images().requires_grad_()
    maps = different_stems().eval().stem(inputs, torch.tensor([1, 0, 0, 1, 1, 0]))
    (gradient,) = torch.autograd.grad(maps[2].sum(), inputs)
    assert gradient[2].abs().sum() > 0
    assert gradient[[0, 1, 3, 4, 5]].abs().sum() == 0


def test_absent_modality_keeps_values_and_gets_zero_gradients():
    backbone = different_stems().train()
    alone = copy.deepcopy(backbone.stems[1])(images())
    maps = backbone.stem(images(), torch.ones(6, dtype=torch.long))
    torch.testing.assert_close(maps, alone, rtol=0, atol=0)
    maps.sum().backward()
    assert all((parameter.grad == 0).all() for parameter in backbone.stems[0].parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in backbone.stems[1].parameters())
    assert (backbone.stems[0].bn1.num_batches_tracked, backbone.stems[1].bn1.num_batches_tracked) == (0, 1)


def test_stems_start_equal_but_are_separate():
    first, second = Backbone("tiny").stems
    assert torch.equal(first.conv1.weight, second.conv1.weight)
    assert first.conv1.weight.data_ptr() != second.conv1.weight.data_ptr()


def test_channels_last_survives_routing():
    backbone = Backbone("tiny").to(memory_format=torch.channels_last)
    inputs = images().to(memory_format=torch.channels_last)
    for modality in ([0, 0, 0, 1, 1, 1], [1, 0, 0, 1, 1, 0]):
        maps = backbone.stem(inputs, torch.tensor(modality))
        assert maps.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "inputs, modality, message",
    [
        (torch.zeros(2, 3, 8), torch.zeros(2, dtype=torch.long), r"images .*\(2, 3, 8\)"),
        (torch.zeros(2, 1, 64, 32), torch.zeros(2, dtype=torch.long), r"images .*\(2, 1, 64, 32\)"),
        (torch.zeros(0, 3, 64, 32), torch.zeros(0, dtype=torch.long), "images .*B >= 1"),
        (torch.zeros(2, 3, 64, 32, dtype=torch.uint8), torch.zeros(2, dtype=torch.long), "images .*uint8"),
        (torch.zeros(2, 3, 64, 32), torch.zeros(3, dtype=torch.long), r"modality .*\(2,\).*\(3,\)"),
        (torch.zeros(2, 3, 64, 32), torch.zeros(2), "modality .*float32"),
        (torch.zeros(2, 3, 64, 32), torch.tensor([0, 2]), "modality must be 0 to 1, but has 0 to 2"),
        (torch.zeros(2, 3, 64, 32), torch.tensor([0, -1]), "modality must be 0 to 1, but has -1 to 0"),
    ],
)
def test_bad_input_is_named(inputs, modality, message):
    with pytest.raises(ValueError, match=message):
        Backbone("tiny")(inputs, modality)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "resnet51"}, f"resnet51.*{', '.join(names())}"),
        ({"name": "tiny", "shared_from": 6}, "shared_from must be 0 to 5, not 6"),
        ({"name": "tiny", "last_stride": 3}, "last_stride must be 1 or 2, not 3"),
        (
            {"name": "tiny", "weights": "imagnet"},
            "weights must be None, 'twin', 'imagenet', or a file that ends with .*, not 'imagnet'",
        ),
        ({"name": "tiny", "weights": "imagenet"}, "'tiny' has no ImageNet weights; use weights=None"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Backbone(**arguments)
