"""The tables of what takes what, in docs/networks.md, held against the code."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from reidlib import evaluation, methods, networks
from reidlib.evaluation import protocols
from reidlib.explain import embedding, embedding_table, grad_cam, occlusion_maps
from reidlib.networks import trunks
from reidlib.networks.resnets import DESIGNS
from reidlib.networks.wrapped import as_model

HAS_TIMM = importlib.util.find_spec("timm") is not None
ANSWERS = {"yes": True, "–": False}


def rows_of(first: str) -> tuple[list[str], dict[str, list[bool]]]:
    """The columns of the table of the page whose first column is so called, and its answers by the first cell."""
    lines = (Path(__file__).resolve().parents[2] / "docs" / "networks.md").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:][: lines[start:].index("")]]
    return table[0][1:], {row[0]: [ANSWERS[cell] for cell in row[1:]] for row in table[2:]}


def is_taken(check, *arguments) -> bool:
    try:
        check(*arguments)
    except ValueError:
        return False
    return True


def test_trunks() -> None:
    columns, rows = rows_of("trunk")
    known = [name.strip(" `") for cell in rows for name in cell.split(",")]
    assert {*DESIGNS, "mobilenet_v2"} <= set(known) and columns == [
        *methods.registered(controls=False),
        *("wide-baseline", '`weights="imagenet"`', '`weights="twin"`'),
    ]
    for cell, answers in rows.items():
        for name in (each.strip(" `") for each in cell.split(",")):
            if name == "…" or (name.startswith("timm:") and not HAS_TIMM):
                continue
            for method, answer in zip(columns[:-2], answers, strict=False):
                assert is_taken(methods.get(method).model.check_backbone, name) == answer, (name, method)
            for weights, answer in zip(("imagenet", "twin"), answers[-2:], strict=True):
                assert is_taken(trunks.check, name, weights) == answer, (name, weights)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.stage, self.head = nn.Conv2d(3, 8, 3, 4, 1), nn.Linear(8, 6)
        self.image_size = (32, 16)

    def forward(self, images):
        return self.head(self.stage(images).relu().mean(dim=(2, 3)))


def own(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind.startswith("a method"):
        model = methods.build("baseline", num_ids=2, backbone="tiny")
        model.image_size = (32, 16)
        return model
    if kind.startswith("a module"):
        return Plain()
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}
    net = torchvision.models.VisionTransformer(image_size=32, patch_size=8, **sizes)
    net.heads = nn.Identity()
    return networks.wrap(net, image_size=32, layer="encoder.layers.encoder_layer_1.ln_1")


KINDS = rows_of("network")[1]


@pytest.mark.parametrize("kind", KINDS)
def test_networks_of_ones_own(kind, dataset, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        embedding, "project", lambda points, **options: np.asarray(points)[:, :2]
    )  # without UMAP's time
    columns, answers = rows_of("network")[0], KINDS[kind]
    model = own(kind)
    size, rows = model.image_size, np.flatnonzero(dataset.frame["split"] == "test")[:2]
    Image.fromarray(np.full((32, 16, 3), 90, np.uint8)).save(tmp_path / "one.png")
    Image.fromarray(np.arange(32 * 16 * 3, dtype=np.uint8).reshape(32, 16, 3)).save(tmp_path / "two.png")
    images, modality = torch.randn(2, 3, *size), torch.tensor([0, 1])

    def look() -> None:
        features = evaluation.embed_images(model, sorted(tmp_path.glob("*.png")), 0)
        evaluation.search(features, features, k=1)
        evaluation.evaluate(model, dataset, protocols.get("sysu", gallery="agw", num_trials=1))

    def train() -> None:
        network, pids, both = as_model(model), torch.tensor([0, 0, 1, 1]), modality.repeat(2)
        network.losses(network(torch.randn(4, 3, *size), both), pids, both)

    verbs = {
        "evaluate": look,
        "embedding_table": lambda: embedding_table(model, dataset, identities=2, per_modality=3),
        "occlusion_maps": lambda: occlusion_maps(model, dataset, rows, cells=(2, 1)),
        "grad_cam": lambda: grad_cam(model, images, modality, as_model(model).eval().embed(images, modality).flip(0)),
        "losses": train,
    }
    assert [next(name for name in verbs if f"`{name}`" in column) for column in columns] == list(verbs)
    for (name, verb), answer in zip(verbs.items(), answers, strict=True):
        assert is_taken(verb) == answer, name
