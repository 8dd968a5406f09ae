"""A model for elsewhere: its test feature of one modality as a program of torch (``.pt2``) or of ONNX (``.onnx``)."""

import copy
import io
import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidlib import paths
from reidlib.console.spelling import argument, either
from reidlib.networks.base import IMAGENET_MEAN, IMAGENET_STD, evaluating
from reidlib.networks.division import uniform
from reidlib.networks.wrapped import as_model

NOTE = "reidlib.json"
"""Name of what lies beside the program in its file: how images must be made for it."""


class _Embedder(nn.Module):
    """Images of one modality in, test features out."""

    def __init__(self, model: nn.Module, modality: int):
        super().__init__()
        self.model, self.modality = model, modality

    def forward(self, images: Tensor) -> Tensor:
        images = images.to(next((each.dtype for each in self.model.parameters()), images.dtype))
        return self.model.embed(images, uniform(self.modality, images)).float()


def export(
    model: Any,
    path: str | Path,
    modality: int,
    *,
    image_size: tuple[int, int] | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write what a model makes of images of one modality: (B, 3, H, W) float32 → (B, D) float32 of unit length.

    Images are RGB in 0–1 minus ImageNet's mean, divided by its deviation, any number of them at a time. A ``.pt2`` is
    read by ``torch.export.load(path).module()``; ``extra_files={"reidlib.json": ""}`` gives the size, mean and
    deviation. The program runs on the CPU, ``torch.export.passes.move_to_device_pass`` moves it. An ``.onnx`` needs the
    packages ``onnx`` and ``onnxscript`` to be written, and has the same note among its metadata.

    Args:
        model: of this library, or any module, see `reidlib.networks.wrap`; it stays as it is.
        modality: 0 or 1.
        image_size: (height, width); default: ``model.image_size``.
        name: what the modality is called, for the note.

    Raises:
        ValueError: another ending or modality, or the size is not known.
        FileExistsError: the file exists and ``overwrite`` is not set.
        ModuleNotFoundError: a package that ONNX needs is not installed.
    """
    path, model = Path(path), as_model(model)
    if (kind := path.suffix.lower()) not in (".pt2", ".onnx"):
        raise ValueError(f"{path}: a model is exported as .pt2 (torch) or .onnx; choose a name that ends so")
    if modality not in (0, 1):
        raise ValueError(f"{argument('modality', modality)}: must be 0 or 1")
    if (size := image_size or model.image_size) is None:
        raise ValueError("the model does not know its image size: give image_size=(height, width)")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name, or pass {either('overwrite=True', '--overwrite')}")
    if kind == ".onnx" and (lacking := [each for each in ("onnx", "onnxscript") if find_spec(each) is None]):
        raise ModuleNotFoundError(f"to write {path}, install {' and '.join(lacking)}: pip install 'reidlib[export]'")
    network = copy.deepcopy(_Embedder(model, int(modality))).cpu()  # the caller's stays on its device
    note = {"input": [None, 3, *size], "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "modality": name or int(modality)}
    example = torch.randn(5, 3, *size, generator=torch.Generator().manual_seed(0))
    with evaluating(network), torch.enable_grad():  # without gradients, torch's attention has a form of its own
        batch = {0: torch.export.Dim("batch", max=2**31 - 1)}  # torch 2.6 wants an end that no guard excludes
        program = torch.export.export(network, (example,), dynamic_shapes=(batch,), strict=False)
        content = _onnx(program, note) if kind == ".onnx" else _pt2(program, note)
    path.parent.mkdir(parents=True, exist_ok=True)
    paths.write(path, content)
    return path


def _pt2(program: Any, note: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():  # weights that were read from one file lie in one block of memory, which is meant
        warnings.filterwarnings("ignore", message="No complete tensor found")
        torch.export.save(program, stream, extra_files={NOTE: json.dumps(note)})
    return stream.getvalue()


def _onnx(program: Any, note: dict[str, Any]) -> bytes:
    written = torch.onnx.export(program, dynamo=True, verbose=False)
    written.model.metadata_props[NOTE] = json.dumps(note)
    return written.model_proto.SerializeToString()
