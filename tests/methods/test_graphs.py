"""What torch makes of a whole model: one graph when compiled, a program of its own when exported."""

import json

import pytest
import torch
from tiny import MODALITY, images
from torch import nn

from reidlib import methods, networks
from reidlib.methods import registry
from reidlib.networks.division import noted
from reidlib.networks.exporting import NOTE

NAMES = [name for name, method in registry.registered().items() if method.model]


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return methods.build(request.param, num_ids=5, backbone="tiny")


@pytest.mark.parametrize("order", [slice(None), [7, 0, 1, 6, 2, 3, 5, 4]], ids=["in order", "mixed"])
def test_a_compiled_model_is_one_graph(model: nn.Module, order) -> None:
    torch.compiler.reset()
    modality = noted(MODALITY[order].clone(), MODALITY[order])
    found = torch._dynamo.explain(model)(images()[order], modality)
    assert (found.graph_count, found.graph_break_count) == (1, 0), found.break_reasons


@pytest.mark.parametrize("number", [0, 1])
def test_a_model_of_one_modality_is_exported_for_any_number_of_images(model: nn.Module, number: int, tmp_path) -> None:
    """Read again from its file, it makes what the model makes, to 1e-4."""
    size = images().shape[2:]
    path = networks.export(model.train(), tmp_path / "model.pt2", number, image_size=tuple(size))
    note = {NOTE: ""}
    program = torch.export.load(path, extra_files=note).module()
    assert json.loads(note[NOTE])["input"] == [None, 3, *size] and model.training
    model.eval()
    for rows in (1, 3, 8):
        expected = model.embed(images()[:rows], torch.full((rows,), number))
        torch.testing.assert_close(program(images()[:rows]), expected, atol=1e-4, rtol=1e-4)
