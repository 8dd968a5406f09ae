"""The pretended GPU: planted faults are found, with their line; correct code passes, with the CPU's own numbers."""

import copy
import inspect
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pretend_cuda import CUDA, Gpu, pretending
from torch import Tensor, nn


@pytest.fixture
def gpu() -> Iterator[Gpu]:
    with pretending() as found:
        yield found


class Net(nn.Module):
    """Two layers and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)
        self.register_buffer("scale", torch.ones(4))

    def forward(self, images: Tensor) -> Tensor:
        return self.last(F.relu(self.norm(self.first(images))).mean(dim=(2, 3)) * self.scale)


class Forgetful(Net):
    """Leaves a tensor behind when it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = None
        self.__dict__["scale"] = torch.ones(4)


IMAGES, LABELS = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 5


def model_on(device: torch.device | str, kind: type[Net] = Net) -> Net:
    torch.manual_seed(0)
    return kind().to(device)


# Each of these has a fault in its one line that is marked.
def labels_left_behind() -> None:
    logits = model_on("cuda")(IMAGES.cuda())
    F.cross_entropy(logits, LABELS)  # fault


def buffer_left_behind() -> None:
    model_on("cuda", Forgetful)(IMAGES.cuda())


def numpy_of_the_device() -> None:
    torch.zeros(3, device="cuda").numpy()  # fault


def array_of_the_device() -> None:
    np.asarray(torch.zeros(3, device="cuda"))  # fault


def rows_of_the_cpu_by_indices_of_the_device() -> None:
    IMAGES[torch.arange(3, device="cuda")]  # fault


def generator_of_the_cpu() -> None:
    torch.rand(3, generator=torch.Generator("cuda"), device="cpu")  # fault


def written_in_place() -> None:
    torch.zeros(6, device="cuda").add_(LABELS)  # fault


@pytest.mark.parametrize(
    "fault, error, message",
    [
        (labels_left_behind, RuntimeError, "Expected all tensors to be on the same device"),
        (buffer_left_behind, RuntimeError, "Expected all tensors to be on the same device"),
        (written_in_place, RuntimeError, "Expected all tensors to be on the same device"),
        (numpy_of_the_device, TypeError, "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()"),
        (array_of_the_device, TypeError, "can't convert cuda:0 device type tensor to numpy"),
        (rows_of_the_cpu_by_indices_of_the_device, RuntimeError, "indices should be either on cpu"),
        (generator_of_the_cpu, RuntimeError, "Expected a 'cpu' device type for generator but found 'cuda'"),
    ],
    ids=lambda value: value.__name__ if inspect.isfunction(value) else None,
)
def test_faults_that_stop_a_gpu(gpu: Gpu, fault: Callable, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        fault()
    lines, first = inspect.getsourcelines(Net.forward if fault is buffer_left_behind else fault)
    marked = next((n for n, line in enumerate(lines) if "# fault" in line or "self.scale" in line), None)
    assert first + marked in [entry.lineno + 1 for entry in caught.traceback if str(entry.path) == __file__]


WAITS = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x[0]),
    "truth": lambda x: bool((x > 0).any()),
    "branch": lambda x: 1 if x[0] > 0 else 0,
    "f-string": lambda x: f"{x[0]:.3f}",
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu"),
    "to, by a tensor": lambda x: x.to(LABELS),
    "to, without waiting": lambda x: x.to("cpu", non_blocking=True),
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: torch.where(x > 0),
    "mask": lambda x: x[x > 0],
    "mask, assigned": lambda x: x.__setitem__(x > 0, torch.zeros(2, device="cuda")),
    "masked_select": lambda x: x.masked_select(x > 0),
    "indices of the CPU": lambda x: x[torch.tensor([0, 2])],
    "indices in a list": lambda x: x[[0, 2]],
    "unique": lambda x: x.unique(),
    "bincount": lambda x: x.long().clamp(min=0).bincount(),
    "repeat_interleave": lambda x: x.repeat_interleave(torch.arange(4, device="cuda")),
    "equal": lambda x: torch.equal(x, x + 1),
    "tensor of a list": lambda x: torch.tensor([1.0, 2.0], device="cuda"),
    "as_tensor of an array": lambda x: torch.as_tensor(np.ones(2), device="cuda"),
    "new_tensor": lambda x: x.new_tensor([1.0, 2.0]),
    "pageable": lambda x: LABELS.to("cuda"),
    "pageable, hopeful": lambda x: LABELS.to("cuda", non_blocking=True),
    "pinned, but waited for": lambda x: LABELS.pin_memory().to("cuda"),
    "copy_": lambda x: x.copy_(torch.ones(4)),
    "synchronize": lambda x: torch.cuda.synchronize(),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
def test_each_wait_is_counted_once_with_its_line(gpu: Gpu, wait: Callable) -> None:
    x = torch.linspace(-1, 1, 4, device="cuda")
    assert not gpu.crossings
    wait(x)
    (crossing,) = gpu.crossings
    assert (crossing.file, crossing.line) == (__file__, inspect.getsourcelines(wait)[1])


FREE = {
    "pinned": lambda x: LABELS.pin_memory().to("cuda", non_blocking=True),
    "a view of pinned": lambda x: LABELS.pin_memory()[:3].to("cuda", non_blocking=True),
    "pinned, copied into": lambda x: x.copy_(torch.ones(4).pin_memory(), non_blocking=True),
    "arithmetic": lambda x: ((x + 1) * torch.tensor(2.0)).softmax(0).sum(),
    "full": lambda x: torch.full((3,), 2.0, device="cuda"),
    "where of three": lambda x: torch.where(x > 0, x, 0),
    "indices of the device": lambda x: x[torch.arange(2, device="cuda")],
    "sorting": lambda x: (x.sort().values, x.argsort(stable=True), x.topk(2)),
    "slices": lambda x: (x[1:], x[::2], x.split([1, 3])),
    "to itself": lambda x: x.to("cuda").cuda().to(x.device).to(torch.float64),
    "cat with nothing": lambda x: torch.cat([x, torch.empty(0)]),
    "masked_fill": lambda x: x.masked_fill(x > 0, 0.0),
    "eq": lambda x: x == x,
    "random": lambda x: torch.rand(3, device="cuda", generator=torch.Generator("cuda").manual_seed(1)),
    "copy": lambda x: copy.deepcopy(x),
}


@pytest.mark.parametrize("free", FREE.values(), ids=FREE.keys())
def test_what_no_gpu_waits_for_is_not_counted(gpu: Gpu, free: Callable) -> None:
    x = torch.linspace(-1, 1, 4, device="cuda")
    free(x)
    assert not gpu.crossings


def trained(device: str) -> tuple[Net, list[Tensor]]:
    model = model_on(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    images, labels = IMAGES.to(device), LABELS.to(device)
    losses = []
    for _ in range(3):
        loss = F.cross_entropy(model(images), labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return model, losses


def test_numbers_are_those_of_the_cpu(gpu: Gpu) -> None:
    here, losses = trained("cpu")
    there, found = trained("cuda")
    assert all(parameter.device == CUDA and parameter.grad.device == CUDA for parameter in there.parameters())
    assert [loss.item() for loss in found] == [loss.item() for loss in losses]
    back = {name: tensor.cpu() for name, tensor in there.state_dict().items()}
    assert all(torch.equal(back[name], tensor) for name, tensor in here.state_dict().items())


def test_gradients_cross_devices(gpu: Gpu) -> None:
    weight = nn.Parameter(torch.ones(3, device="cuda"))
    (weight.cpu() * torch.arange(3.0)).sum().backward()
    assert weight.grad.device == CUDA and weight.grad.tolist() == [0.0, 1.0, 2.0]


def test_parameters_stay_the_same_objects_on_their_way(gpu: Gpu) -> None:
    model = Net()
    before = list(model.parameters())
    model.to("cuda").to("cuda")
    assert all(one is other for one, other in zip(before, model.parameters(), strict=True))
    assert {tensor.device for tensor in model.state_dict().values()} == {CUDA}
    model.cpu()
    assert all(one is other for one, other in zip(before, model.parameters(), strict=True))
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}


def test_memory_runs_out_and_comes_back() -> None:
    with pretending(memory=1000) as gpu:
        x = torch.zeros(100, device="cuda")
        assert (gpu.used, torch.cuda.mem_get_info()) == (400, (600, 1000))
        view = x[10:]
        with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate 800 bytes; 600 of 1000 bytes are free"):
            torch.zeros(200, device="cuda")
        del x
        assert gpu.used == 400, "a view holds the whole"
        del view
        torch.zeros(200, device="cuda")
        assert (gpu.used, torch.cuda.max_memory_allocated()) == (0, 800)


def test_torch_finds_a_gpu_inside_and_what_there_was_outside() -> None:
    before = torch.cuda.is_available(), torch.tensor, torch.Tensor.pin_memory, torch.Generator
    with pretending(capability=(7, 5)):
        assert torch.cuda.is_available() and torch.cuda.device_count() == 1
        assert not torch.cuda.is_bf16_supported(including_emulation=False)
        assert torch.empty(1, device="cuda").device == CUDA
    assert before == (torch.cuda.is_available(), torch.tensor, torch.Tensor.pin_memory, torch.Generator)
