"""Sizes of maps as the design of the network gives them, and operations as one counts them by hand."""

import pytest
import torch

from reidlib import methods
from reidlib.methods import fienet


def test_sizes_at_the_true_size() -> None:
    torch.manual_seed(0)
    model = methods.build("fienet", num_ids=395, backbone="resnet50")
    table = fienet.explain.map_sizes(model, 288, 144)
    assert table[["module", "channels", "height", "width"]].to_numpy().tolist() == [
        ["visible stem", 64, 72, 36],
        ["infrared stem", 64, 72, 36],
        ["stage 1", 256, 72, 36],
        ["stage 2", 512, 36, 18],
        ["PFAM 2", 512, 36, 18],
        ["stage 3", 1024, 18, 9],
        ["PFAM 3", 1024, 18, 9],
        ["MPIM", 1024, 18, 9],
        ["stage 4", 2048, 18, 9],
        ["GeM", 2048, 1, 1],
        ["BNNeck", 2048, 1, 1],
        ["classifier", 395, 1, 1],
    ]
    assert table["kind"].tolist() == [
        *("stem", "stem", "stage", "stage", "PFAM", "stage", "PFAM", "MPIM", "stage", "head", "head", "head")
    ]
    assert table["parameters"].sum() == sum(parameter.numel() for parameter in model.parameters())
    costs = table.set_index("module")["multiply_adds"]
    assert costs["visible stem"] == costs["infrared stem"] == 64 * 3 * 49 * 144 * 72
    assert costs["classifier"] == 2048 * 395 and costs["GeM"] == 0
    places = 18 * 9
    perceptions, projections, attention = 3 * 1024 * 256 * 9, 9 * 256 * 256, 3 * 2 * places * 256
    fusion = 256 * 64 + 64 * 3 * 256
    assert costs["MPIM"] == (perceptions + projections + attention + 256 * 1024) * places + fusion


@pytest.mark.parametrize("options", [{"pfam": False}, {"mpim": False}, {"aggregation": "one_shot"}])
def test_modules_that_are_there(options: dict) -> None:
    model = methods.build("fienet", num_ids=5, backbone="tiny", **options)
    found = fienet.explain.map_sizes(model, 64, 32)["module"].tolist()
    assert ("PFAM 2" in found, "PFAM 3" in found, "MPIM" in found) == {
        "pfam": (False, False, True),
        "mpim": (True, True, False),
        "aggregation": (False, True, True),
    }[next(iter(options))]


@pytest.mark.parametrize("training", [False, True])
def test_the_model_stays_as_it_is(training: bool) -> None:
    model = methods.build("baseline", num_ids=5, backbone="tiny").train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    table = fienet.explain.map_sizes(model, 64, 32)
    assert not set(table["kind"]) & {"PFAM", "MPIM"} and model.training == training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert table.equals(fienet.explain.map_sizes(model, 64, 32))
