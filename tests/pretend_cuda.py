"""A CUDA device that any machine has: tensors that say ``cuda:0`` and compute on the CPU.

``with pretending() as gpu:`` makes torch find one GPU. Numbers are real, so a whole training runs; what goes wrong is
what would go wrong on a GPU: tensors of both devices do not mix, ``.numpy()`` raises, and memory can run out. Every
crossing for which the program would wait for the GPU is in ``gpu.crossings``, with file and line.

Not pretended: kernels, speed, several GPUs, and what C++ asks of a tensor's device by itself. Python and the dispatcher
see ``cuda:0``, the autograd engine sees a CPU.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pretend_torch
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = pretend_torch.GPU
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "equal.default", "is_nonzero")
"""Operations whose result, or its size, must be known in main memory. (``eq``, not ``equal``, compares elementwise.)"""
HERE, TORCH = str(Path(__file__).parent), str(Path(torch.__file__).parent)
OWN_FILES = (__file__, pretend_torch.__file__)


class Crossing(NamedTuple):
    """A wait for the GPU: what was done, and the innermost line outside torch that did it."""

    what: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.what}"


class Gpu:
    """What happens on the pretended device.

    Attributes:
        crossings: all :class:`Crossing` so far, in order.
        memory: bytes there are; more at a time raises ``torch.OutOfMemoryError``.
        used, most_used: bytes of live tensors, now and at most.
        capability: of CUDA, such as (8, 0), from which bfloat16 is native.
    """

    def __init__(self, memory: int, capability: tuple[int, int]):
        self.crossings: list[Crossing] = []
        self.memory, self.used, self.most_used, self.capability = memory, 0, 0, capability

    def wait(self, what: str) -> None:
        frame = sys._getframe(1)
        while frame.f_back and (frame.f_code.co_filename in OWN_FILES or frame.f_code.co_filename.startswith(TORCH)):
            frame = frame.f_back
        self.crossings.append(Crossing(what, frame.f_code.co_filename, frame.f_lineno))


class Block:
    """The memory that a tensor and all views of it share."""

    def __init__(self, gpu: Gpu, size: int):
        if gpu.used + size > gpu.memory:
            free = f"{max(0, gpu.memory - gpu.used)} of {gpu.memory} bytes are free"
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes; {free} (pretended)")
        self.gpu, self.size = gpu, size
        gpu.used += size
        gpu.most_used = max(gpu.most_used, gpu.used)

    def __del__(self):
        if hasattr(self, "gpu"):
            self.gpu.used -= self.size


class OnCuda(torch.Tensor):
    """A tensor on the pretended device; ``held`` has its values in main memory, ``block`` the memory it takes."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, real: torch.Tensor, gpu: Gpu, block: Block | None = None):
        about = {"strides": real.stride(), "storage_offset": real.storage_offset(), "dtype": real.dtype}
        tensor = torch.Tensor._make_wrapper_subclass(cls, real.size(), layout=real.layout, device="cpu", **about)
        tensor.held, tensor.gpu = real, gpu
        tensor.block = block or Block(gpu, real.untyped_storage().nbytes())
        return tensor

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        gpu = next(leaf.gpu for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, OnCuda))
        return dispatch(gpu, operation, args, kwargs or {})

    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)
    __repr__ = __str__ = lambda self, **_: f"{self.held!r} on {CUDA}"
    __format__ = lambda self, form: format(self.item() if self.ndim == 0 else str(self), form)  # noqa: E731

    def to(self, *args, **kwargs):
        device, dtype, others = _parse_to(*args, **kwargs)
        here = self if device is None or device.type == "cuda" else self.cpu()
        return torch.Tensor.to(here, dtype=dtype, **others) if dtype or others else here

    def cpu(self, **_) -> torch.Tensor:
        self.gpu.wait(f"{tuple(self.shape)} to the CPU")
        return _Down.apply(self)

    def cuda(self, *_, **__) -> "OnCuda":
        return self

    def tolist(self) -> list:
        self.gpu.wait("tolist")
        return self.held.tolist()

    def new_tensor(self, data, *, dtype: torch.dtype | None = None, **_) -> "OnCuda":
        self.gpu.wait("new_tensor of a list")
        return OnCuda(self.held.new_tensor(data, dtype=dtype), self.gpu)

    def pin_memory(self, *_) -> None:
        raise RuntimeError(f"cannot pin '{self.dtype}' only dense CPU tensors can be pinned")

    def numpy(self, **_) -> np.ndarray:
        raise TypeError(
            f"can't convert {CUDA} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory "
            "first."
        )

    def __array__(self, *_, **__) -> np.ndarray:
        return self.numpy()

    def __reduce_ex__(self, protocol: int):
        return self.cpu().__reduce_ex__(protocol)


class _Down(torch.autograd.Function):
    """To main memory; gradients go the other way."""

    @staticmethod
    def forward(ctx, tensor: OnCuda) -> torch.Tensor:
        ctx.gpu = tensor.gpu
        return tensor.held.detach().clone()

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> OnCuda:
        return OnCuda(gradient.clone(), ctx.gpu)


def _parse_to(*args, **kwargs) -> tuple[torch.device | None, torch.dtype | None, dict]:
    """Device, type and other options of ``Tensor.to``."""
    args, options = list(args), dict(kwargs)
    options.pop("non_blocking", None)
    device, dtype = options.pop("device", None), options.pop("dtype", None)
    other = options.pop("other", args[0] if args and isinstance(args[0], torch.Tensor) else None)
    if other is not None:
        device, dtype = other.device, other.dtype
    for value in args:
        if isinstance(value, torch.dtype):
            dtype = value
        elif isinstance(value, (str, torch.device, int)) and not isinstance(value, bool):
            device = value
    return (None if device is None else torch.device(device)), dtype, options


def is_pinned(tensor: torch.Tensor) -> bool:
    """Whether a tensor in main memory, or the one it is a view of, was pinned."""
    return any(getattr(one, "pinned", False) for one in (tensor, tensor._base) if one is not None)


def dispatch(gpu: Gpu, operation: Callable, args: tuple, kwargs: dict):
    """Run an operation on the values behind its arguments, if a GPU would; its results lie where a GPU's would."""
    name = str(operation).removeprefix("aten.")
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    device = kwargs.get("device")
    target = None if device is None else torch.device(device).type
    on_gpu = [tensor for tensor in tensors if isinstance(tensor, OnCuda)]
    if not on_gpu and target != "cuda":
        return operation(*args, **kwargs)
    plain = {key: value for key, value in kwargs.items() if key not in ("device", "pin_memory", "non_blocking")}
    if name.startswith("_to_copy") or (name.startswith("to.") and target == "cuda"):  # the latter in inference mode
        return _copy(gpu, operation, args[0], plain, kwargs.get("non_blocking", False))
    if name.startswith("copy_"):
        return _copy_into(gpu, operation, args, kwargs)
    _refuse_mixed(name, args, tensors)
    _note_waits(gpu, name, args)
    if device is not None:
        plain["device"] = "cpu"
    result = operation(*tree_map(_real, args), **tree_map(_real, plain))
    return tree_map(lambda leaf: _wrapped(leaf, gpu, on_gpu), result)


def _real(leaf):
    return leaf.held if isinstance(leaf, OnCuda) else leaf


def _wrapped(leaf, gpu: Gpu, arguments: list[OnCuda]):
    """A result on the device: the argument itself if it was changed in place, else with the memory that it shares."""
    if not isinstance(leaf, torch.Tensor):
        return leaf
    block, storage = None, leaf.untyped_storage().data_ptr()
    for argument in arguments:
        if argument.held is leaf:
            return argument
        if argument.held.untyped_storage().data_ptr() == storage and storage:
            block = argument.block
    return OnCuda(leaf, gpu, block)


def _copy(gpu: Gpu, operation: Callable, source: torch.Tensor, options: dict, relaxed: bool) -> OnCuda:
    """``Tensor.to``, but for the way down, which :class:`OnCuda` takes: here, C++ too asks for a CPU."""
    if not isinstance(source, OnCuda) and not (relaxed and is_pinned(source)):
        gpu.wait(f"{tuple(source.shape)} {source.dtype} from pageable memory")
    copy = operation(_real(source), **options)
    return OnCuda(copy.clone() if copy is source else copy, gpu)


def _copy_into(gpu: Gpu, operation: Callable, args: tuple, kwargs: dict) -> torch.Tensor:
    into, source = args[:2]
    relaxed = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
    if isinstance(into, OnCuda) != isinstance(source, OnCuda):
        host = source if isinstance(into, OnCuda) else into
        if host.ndim and not (relaxed and is_pinned(host)):
            gpu.wait(f"copy_ of {tuple(source.shape)} between devices")
    operation(_real(into), _real(source))
    return into


def _refuse_mixed(name: str, args: tuple, tensors: list[torch.Tensor]) -> None:
    """Tensors of both devices do not mix; single numbers, indices in main memory and empty parts of ``cat`` may."""
    host = [tensor for tensor in tensors if not isinstance(tensor, OnCuda)]
    if name.startswith(("index.Tensor", "index_put", "_index_put", "_unsafe_index")):
        if not isinstance(args[0], OnCuda):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        host = [tensor for tensor in args[2:3] if isinstance(tensor, torch.Tensor) and not isinstance(tensor, OnCuda)]
    elif name.startswith("cat"):
        host = [tensor for tensor in host if tensor.numel()]
    if wrong := [tensor for tensor in host if tensor.ndim]:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {CUDA} and cpu! ({name}: "
            f"{', '.join(str(tuple(tensor.shape)) for tensor in wrong)} on the CPU)"
        )


def _note_waits(gpu: Gpu, name: str, args: tuple) -> None:
    if name.startswith(WAITS) or name.startswith(tuple(f"_{wait}" for wait in WAITS)):
        gpu.wait({"_local_scalar_dense": "item"}.get(name.split(".")[0], name.split(".")[0]))
    elif name.startswith("repeat_interleave") and "self_int" not in name:
        gpu.wait("repeat_interleave")
    elif name.startswith(("index.Tensor", "index_put", "_index_put", "_unsafe_index")):
        indices = [index for index in args[1] if isinstance(index, torch.Tensor)]
        if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            gpu.wait("a mask as an index")
        if any(not isinstance(index, OnCuda) for index in indices):
            gpu.wait("an index in main memory")


class Watched(TorchDispatchMode):
    """Sees the operations that no tensor on the device takes part in: those that make one."""

    def __init__(self, gpu: Gpu):
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return dispatch(self.gpu, operation, args, kwargs or {})


@contextlib.contextmanager
def pretending(*, memory: int = 10**12, capability: tuple[int, int] = (8, 0)) -> Iterator[Gpu]:
    """Inside, torch finds one GPU with so many bytes of memory.

    Args:
        memory: bytes.
        capability: (8, 0) or more computes bfloat16 natively; a T4, which does not, has (7, 5).
    """
    gpu = Gpu(memory, capability)
    with pretend_torch.patched(gpu, lambda real: OnCuda(real, gpu)), Watched(gpu):
        yield gpu
