"""Precision, randomness and teams, as far as they can be seen without a GPU."""

import pytest
import torch

from reidlib.training import devices

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("capability", "native", "expected"),
    [
        ((9, 0), True, torch.bfloat16),
        ((8, 0), True, torch.bfloat16),
        ((7, 5), False, torch.float16),
        ((6, 1), False, None),
    ],
)
def test_auto_precision_follows_the_gpu(monkeypatch, capability: tuple, native: bool, expected) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert devices.precision("auto", GPU) == expected
    assert devices.precision("off", GPU) is None
    assert devices.precision("bf16", CPU) == torch.bfloat16 and devices.precision("fp16", GPU) == torch.float16


@pytest.mark.parametrize(
    ("capabilities", "onednn", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, True, torch.bfloat16),
        ({"neon": True, "bf16": True, "sve_bf16": False}, True, torch.bfloat16),
        ({"neon": True, "bf16": True}, False, None),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, True, None),
        ({"architecture": "s390x"}, True, None),
        (None, True, None),
    ],
    ids=["AVX-512", "AMX", "ARM", "without oneDNN", "older", "unknown", "older torch"],
)
def test_auto_precision_follows_the_cpu(monkeypatch, capabilities: dict | None, onednn: bool, expected) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    if capabilities is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert devices.precision("auto", CPU) == expected
    assert devices.precision("off", CPU) is None and devices.precision("bf16", CPU) == torch.bfloat16


def test_what_torch_tells_of_this_cpu_is_understood() -> None:
    """The names that are asked for are those that torch uses."""
    import platform

    if hasattr(torch.cpu, "get_capabilities"):
        known = torch.cpu.get_capabilities().keys()
        names = {"x86_64": ("avx512_bf16", "amx_bf16"), "aarch64": ("bf16",)}.get(platform.machine(), ())
        assert set(names) <= known and set(names) <= set(devices.BF16_CPU)


def test_seeds_differ_in_every_part_of_the_key() -> None:
    with devices.own_randomness(CPU):
        keys = [(0,), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
        drawn = [(torch.rand(1, generator=devices.seed(CPU, *key)).item(), torch.rand(1).item()) for key in keys]
        again = [(torch.rand(1, generator=devices.seed(CPU, *key)).item(), torch.rand(1).item()) for key in keys]
    assert drawn == again and len({number for pair in drawn for number in pair}) == 10


def test_randomness_of_the_caller_is_left_alone() -> None:
    state = torch.get_rng_state()
    with devices.own_randomness(CPU):
        devices.seed(CPU, 1)
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)


def test_alone_a_team_has_one_member() -> None:
    distributed = devices.init_distributed("cpu")
    assert (distributed.rank, distributed.world_size, distributed.is_primary, distributed.device) == (0, 1, True, CPU)
    assert distributed.broadcast(lambda: 5) == 5


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown device 'gpu'; write, for example, cpu or cuda:0"):
        devices.init_distributed("gpu")
    with pytest.raises(ValueError, match="there is no device cuda:99: torch finds"):
        devices.init_distributed("cuda:99")


def test_processes_of_torchrun_join_once_each_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name, value in (("is_torchelastic_launched", True), ("get_rank", 1), ("get_world_size", 2)):
        monkeypatch.setattr(devices.dist, name, lambda value=value: value)
    monkeypatch.setattr(devices.dist, "init_process_group", calls.append)
    monkeypatch.setattr(devices.dist, "is_initialized", lambda: calls[-1:] in (["nccl"], ["gloo"]))
    monkeypatch.setattr(devices.atexit, "register", lambda _: None)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    gpu = torch.device("cuda:1")
    assert devices.init_distributed("cuda:1") == devices.Distributed(gpu, 1, 2) == devices.init_distributed(gpu)
    assert calls == [gpu, "nccl"]
    calls.clear()
    assert devices.init_distributed("cpu") == devices.Distributed(torch.device("cpu"), 1, 2) and calls == ["gloo"]


@pytest.mark.parametrize("there", [0, 1, 2])
def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, there: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    with pytest.raises(ValueError, match=rf"no device cuda:{there}: torch finds {there} CUDA device"):
        devices.init_distributed(f"cuda:{there}")
    for index in range(there):
        assert devices.init_distributed(f"cuda:{index}").device.index == index
