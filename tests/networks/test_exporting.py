"""Models for elsewhere; what every method makes of its program is tested in tests/methods/test_graphs.py."""

import json

import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from reidlib import evaluation, networks
from reidlib.networks.exporting import NOTE


class Mean(nn.Module):
    image_size = (8, 4)

    def forward(self, images):
        return images.mean(dim=(2, 3)) + 1


def vit():
    torch.manual_seed(0)
    sizes = {"image_size": 32, "patch_size": 16, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 8}
    net = torchvision.models.VisionTransformer(**sizes)
    net.heads = nn.Identity()
    return net


def test_a_network_of_ones_own_is_exported_and_read_as_a_model_again(tmp_path):
    model, note = networks.wrap(vit(), mean=0.5, std=0.5), {NOTE: ""}
    path = networks.export(model, tmp_path / "new" / "vit.pt2", 1, name="thermal")
    program = torch.export.load(path, extra_files=note).module()
    assert json.loads(note[NOTE])["modality"] == "thermal" and model.training
    program.image_size = (32, 32)
    Image.new("RGB", (40, 40), (20, 90, 200)).save(tmp_path / "blue.png")
    found = evaluation.embed_images(program, [tmp_path / "blue.png"] * 3, 1)
    expected = evaluation.embed_images(model, [tmp_path / "blue.png"] * 3, 1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_program_takes_single_precision_whatever_the_model_has(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 2, 2), nn.AdaptiveAvgPool2d(1)).double()
    program = torch.export.load(networks.export(net, tmp_path / "m.pt2", 0, image_size=(4, 2))).module()
    images = torch.randn(1, 3, 4, 2)
    expected = nn.functional.normalize(net(images.double()).flatten(1), dim=1).float()
    torch.testing.assert_close(program(images), expected, atol=1e-5, rtol=1e-5)
    assert net[0].weight.dtype == torch.float64


@pytest.mark.parametrize(
    ("file", "modality", "options", "error", "message"),
    [
        ("m.pth", 0, {}, ValueError, "exported as .pt2 .* or .onnx"),
        ("m.pt2", 2, {}, ValueError, "modality=2: must be 0 or 1"),
        ("there.pt2", 0, {}, FileExistsError, r"there.pt2 exists; .* overwrite=True"),
    ],
)
def test_what_cannot_be_exported_is_named(tmp_path, file, modality, options, error, message):
    (tmp_path / "there.pt2").write_text("mine")
    with pytest.raises(error, match=message):
        networks.export(Mean(), tmp_path / file, modality, **options)
    assert (tmp_path / "there.pt2").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    sizeless = Mean()
    sizeless.image_size = None
    with pytest.raises(ValueError, match="does not know its image size"):
        networks.export(sizeless, tmp_path / "m.pt2", 0)


def test_onnx_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("reidlib.networks.exporting.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="install onnx and onnxscript: pip install"):
        networks.export(Mean(), tmp_path / "m.onnx", 0)


def test_onnx_has_the_same_note(tmp_path):
    import onnx

    model = onnx.load(networks.export(Mean(), tmp_path / "m.onnx", 0))
    onnx.checker.check_model(model)
    (note,) = [each.value for each in model.metadata_props if each.key == NOTE]
    assert json.loads(note)["input"] == [None, 3, 8, 4]
