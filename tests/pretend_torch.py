"""What :mod:`pretend_cuda` changes in torch's own name space: questions about the GPU, factories, generators."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from unittest import mock

import torch

GPU = torch.device("cuda", 0)
DRAWN = ("rand", "randn", "randint", "randperm", "normal")
FROM_LISTS = ("tensor", "as_tensor", "asarray")


REAL_GENERATOR = torch.Generator


class _AnyGenerator(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, REAL_GENERATOR) or type(instance) is cls


class Generator(metaclass=_AnyGenerator):
    """``torch.Generator``: a real one for the CPU, else one of the same numbers that says it lies on the GPU."""

    def __new__(cls, device: torch.device | str = "cpu"):
        device = torch.device(device)
        if device.type != "cuda":
            return REAL_GENERATOR(device)
        self = super().__new__(cls)
        self.device, self.real = GPU, REAL_GENERATOR()
        return self

    def manual_seed(self, seed: int) -> "Generator":
        self.real.manual_seed(seed)
        return self


@contextlib.contextmanager
def patched(gpu, wrap: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Inside, torch answers as on a machine with this one GPU; ``wrap`` puts a tensor on it."""
    swap = torch.__future__.get_swap_module_params_on_conversion()
    with contextlib.ExitStack() as stack:
        for owner, names in ((torch.cuda, _answers(gpu)), (torch, _functions(gpu, wrap)), _tensors()):
            for name, value in names.items():
                stack.enter_context(mock.patch.object(owner, name, value))
        stack.enter_context(mock.patch.object(torch.random, "fork_rng", _fork_rng(torch.random.fork_rng)))
        stack.enter_context(mock.patch.object(torch.amp, "GradScaler", _scaler(torch.amp.GradScaler)))
        check = "_accelerator_graph_capture_health_check"
        if hasattr(torch.optim.Optimizer, check):  # asks C++ for a stream
            stack.enter_context(mock.patch.object(torch.optim.Optimizer, check, lambda self: None))
        try:  # parameters stay the same objects on their way to a GPU
            torch.__future__.set_swap_module_params_on_conversion(True)
            yield
        finally:
            torch.__future__.set_swap_module_params_on_conversion(swap)


def _answers(gpu) -> dict[str, Callable]:
    """Of ``torch.cuda``."""

    def forget(device=None) -> None:
        gpu.most_used = gpu.used

    return {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: "pretended",
        "get_device_capability": lambda device=None: gpu.capability,
        "is_bf16_supported": lambda including_emulation=True: gpu.capability >= (8, 0),
        "mem_get_info": lambda device=None: (gpu.memory - gpu.used, gpu.memory),
        "memory_allocated": lambda device=None: gpu.used,
        "max_memory_allocated": lambda device=None: gpu.most_used,
        "reset_peak_memory_stats": forget,
        "empty_cache": lambda: None,
        "synchronize": lambda device=None: gpu.wait("synchronize"),
        "set_device": lambda device: None,
        "manual_seed": lambda seed: None,
        "manual_seed_all": lambda seed: None,
        "_lazy_init": lambda: None,
    }


def _functions(gpu, wrap: Callable) -> dict[str, Callable]:
    """Of ``torch``: what C++ would ask a real GPU for."""

    def from_lists(real: Callable) -> Callable:
        @functools.wraps(real)
        def make(data, *args, device=None, **options):
            if device is None or torch.device(device).type != "cuda" or isinstance(data, torch.Tensor):
                return real(data, *args, device=device, **options)
            gpu.wait(f"{real.__name__} of a list")
            return wrap(real(data, *args, **options))

        return make

    def drawn(real: Callable) -> Callable:
        @functools.wraps(real)
        def draw(*size, generator=None, device=None, **options):
            if type(generator) is not Generator:
                return real(*size, generator=generator, device=device, **options)
            if device is not None and torch.device(device).type != "cuda":
                raise RuntimeError(f"Expected a '{torch.device(device)}' device type for generator but found 'cuda'")
            return wrap(real(*size, generator=generator.real, **options))

        return draw

    class Autocast(torch.autocast):
        """The CPU's, in whichever type; its cache would hand a tensor of one device to the other."""

        def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
            dtype = torch.float16 if dtype is None and device_type == "cuda" else dtype
            super().__init__("cpu", dtype, enabled, cache_enabled=False)

    made = {name: from_lists(getattr(torch, name)) for name in FROM_LISTS}
    return made | {name: drawn(getattr(torch, name)) for name in DRAWN} | {"Generator": Generator, "autocast": Autocast}


def _tensors() -> tuple[type, dict[str, Callable]]:
    """Of ``torch.Tensor``. Pinned memory is marked, no more. C++ would ask the driver which GPU ``cuda`` is."""
    real_to = torch.Tensor.to

    def numbered(value):
        return GPU if isinstance(value, (str, torch.device)) and str(value) == "cuda" else value

    def to(self: torch.Tensor, *args, **options) -> torch.Tensor:
        if args and isinstance(args[0], torch.Tensor):  # C++ would ask it for its device
            args = (args[0].device, args[0].dtype, *args[1:])
        return real_to(self, *map(numbered, args), **{name: numbered(value) for name, value in options.items()})

    def cuda(self: torch.Tensor, device=None, non_blocking: bool = False, **_) -> torch.Tensor:
        return to(self, GPU, non_blocking=non_blocking)

    def pin_memory(self: torch.Tensor, device=None) -> torch.Tensor:
        pinned = self.clone()
        pinned.pinned = True
        return pinned

    def is_pinned(self: torch.Tensor, device=None) -> bool:
        return any(getattr(one, "pinned", False) for one in (self, self._base) if one is not None)

    return torch.Tensor, {"pin_memory": pin_memory, "is_pinned": is_pinned, "to": to, "cuda": cuda}


def _fork_rng(real: Callable) -> Callable:
    return lambda devices=None, *args, **options: real([], *args, **options)


def _scaler(real: type) -> Callable:
    return lambda device="cuda", *args, **options: real("cpu", *args, **options)
