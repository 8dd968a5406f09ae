import hashlib
import pickle
import urllib.error

import pytest
import torch
import torchvision

from reidlib.networks import imagenet
from reidlib.networks.backbone import Backbone


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A file like torchvision's, named after its own SHA-256, where torch keeps downloads; returns (path, state)."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    state = torchvision.models.resnet18(weights=None).state_dict()
    state["conv1.weight"] = torch.full_like(state["conv1.weight"], 0.25)
    state["layer1.0.conv1.weight"] = torch.full_like(state["layer1.0.conv1.weight"], 0.5)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()[:8]
    path = (folder / "new.pth").rename(folder / f"resnet18-{digest}.pth")
    monkeypatch.setattr(imagenet, "weights_url", lambda name: f"https://example.invalid/models/{path.name}")
    return path, state


def forbid_download(*arguments, **options):
    raise AssertionError("a file that is there must not be downloaded")


@pytest.mark.parametrize("shared_from", [0, 1, 2])
def test_weights_reach_stems_and_trunk(checkpoint, monkeypatch, shared_from):
    monkeypatch.setattr(torch.hub, "download_url_to_file", forbid_download)
    _, state = checkpoint
    backbone = Backbone("resnet18", shared_from=shared_from, weights="imagenet")
    loaded = backbone.state_dict()
    assert len(loaded) > 100
    for key, tensor in loaded.items():
        assert torch.equal(tensor, state[key.split(".", 2)[2] if key.startswith("stems.") else key]), key


def test_download_failure_names_the_file_the_address_and_the_place(tmp_path, monkeypatch):
    def fail(url, *arguments, **options):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    place = tmp_path / "hub" / "checkpoints" / "resnet50-0676ba61.pth"
    with pytest.raises(FileNotFoundError) as error:
        Backbone("resnet50", weights="imagenet")
    for part in ("https://download.pytorch.org/models/resnet50-0676ba61.pth", str(place), "weights=None"):
        assert part in str(error.value)


def test_download_checks_the_digest(tmp_path, monkeypatch):
    calls = []

    def record(url, target, hash_prefix, **options):
        calls.append((url, target, hash_prefix))
        raise RuntimeError('invalid hash value (expected "f37072fd", got "0")')

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", record)
    with pytest.raises(FileNotFoundError, match="invalid hash value"):
        imagenet.imagenet_state("resnet18")
    assert calls[0][2] == "f37072fd"


def test_damaged_file_is_named_and_kept(checkpoint, monkeypatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", forbid_download)
    path, _ = checkpoint
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=rf"{path.name} is damaged .*delete it"):
        Backbone("resnet18", weights="imagenet")
    assert path.exists()


def test_pickles_do_not_run(checkpoint, monkeypatch):
    path, _ = checkpoint

    class Attack:
        def __reduce__(self):
            return (pytest.fail, ("code in a weights file was run",))

    torch.save({"conv1.weight": Attack()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    harmful = path.rename(path.with_name(f"resnet18-{digest}.pth"))
    monkeypatch.setattr(imagenet, "weights_url", lambda name: f"https://example.invalid/{harmful.name}")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        imagenet.imagenet_state("resnet18")


def test_names_without_weights():
    with pytest.raises(ValueError, match="'small' has no ImageNet weights; use weights=None"):
        imagenet.imagenet_state("small")
