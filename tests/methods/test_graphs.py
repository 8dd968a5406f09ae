"""What torch makes of a whole model: one graph when compiled, a program of its own when exported."""

import pytest
import torch
from tiny import MODALITY, images
from torch import Tensor, nn

from reidlib import methods
from reidlib.methods import registry
from reidlib.networks.division import noted, uniform

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


class Embedder(nn.Module):
    """Images of one modality in, test features out."""

    def __init__(self, model: nn.Module, number: int):
        super().__init__()
        self.model, self.number = model, number

    def forward(self, images: Tensor) -> Tensor:
        return self.model.embed(images, uniform(self.number, images))


@pytest.mark.parametrize("number", [0, 1])
def test_a_model_of_one_modality_is_exported_for_any_number_of_images(model: nn.Module, number: int) -> None:
    network = Embedder(model.eval(), number)
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(network, (images(),), dynamic_shapes=({0: batch},), strict=False).module()
    for rows in (3, 8):
        torch.testing.assert_close(program(images()[:rows]), network(images()[:rows]))
