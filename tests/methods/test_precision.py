"""Under autocast only the network computes in bfloat16: losses, statistics and what leaves a model are float32."""

import traceback

import pytest
import tiny
import torch
from test_models import CASES, title
from tiny import MODALITY, PIDS, images
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reidlib import methods


class Lowered(TorchDispatchMode):
    """Notes where an operation returned bfloat16, by the innermost line of the library; plain casts are none."""

    def __init__(self):
        super().__init__()
        self.lines: set[str] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if any(isinstance(leaf, torch.Tensor) and leaf.dtype == torch.bfloat16 for leaf in tree_leaves(result)):
            frames = [frame for frame in traceback.extract_stack() if "/reidlib/" in frame.filename]
            if frames:
                name = frames[-1].filename.split("/reidlib/")[1]
                self.lines.add(f"{name}:{frames[-1].name}")
        return result


@pytest.mark.parametrize(("name", "options"), CASES, ids=title)
def test_losses_are_computed_in_float32(name: str, options: dict) -> None:
    model = tiny.build(name, **options)
    with torch.autocast("cpu", torch.bfloat16):
        with Lowered() as network:
            outputs = model(images(), MODALITY)
        with Lowered() as lowered:  # DALNet runs networks here as well
            terms = model.losses(outputs, PIDS, MODALITY)
    assert network.lines, "the network itself is to run in bfloat16"
    assert [line for line in lowered.lines if "losses" in line] == []
    assert {term.dtype for term in terms.values()} == {torch.float32}
    kinds = (outputs.features, outputs.embeddings)
    assert {tensor.dtype for tensors in kinds for tensor in tensors.values()} == {torch.float32}


def test_a_loss_in_bfloat16_would_be_noticed() -> None:
    model = tiny.build("baseline")
    namespace: dict = {}
    source = "def losses(logits):\n    return logits.softmax(dim=1).log().mean()\n"
    exec(compile(source, "/reidlib/methods/other/losses.py", "exec"), namespace)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images(), MODALITY).logits["shared"]
        with Lowered() as lowered:
            namespace["losses"](logits)
    assert lowered.lines == {"methods/other/losses.py:losses"}


@pytest.mark.parametrize("name", methods.names())
def test_statistics_are_those_of_float32(name: str) -> None:
    """Running means and variances are taken in float32 of what the layer is given, and every buffer stays float32."""
    model = tiny.build(name)
    norms = [each for each in model.modules() if isinstance(each, torch.nn.modules.batchnorm._BatchNorm)]
    inputs: dict = {}

    def note(module: torch.nn.Module, given: tuple) -> None:
        inputs.setdefault(module, []).append(given[0].detach().double().transpose(0, 1).flatten(1))

    for norm in norms:
        norm.register_forward_pre_hook(note)
    with torch.autocast("cpu", torch.bfloat16):
        model(images(), MODALITY)
    assert not any(buffer.dtype in (torch.bfloat16, torch.float16) for buffer in model.buffers())
    assert inputs
    for norm, seen in inputs.items():
        mean = torch.zeros(norm.num_features, dtype=torch.float64)
        for rows in seen:
            mean = (1 - norm.momentum) * mean + norm.momentum * rows.mean(dim=1)
        torch.testing.assert_close(norm.running_mean.double(), mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", methods.names())
def test_embeddings_that_leave_are_float32(name: str) -> None:
    model = tiny.warmed_up(tiny.build(name))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for branch in model.branches:
            assert model.branch_embedding(images(), MODALITY, branch).dtype == torch.float32
