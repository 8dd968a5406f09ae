"""Trunks pretrained on rendered people, ``weights="twin"``: where they lie, how they are written, read and checked.

The package ships some; ``reidlib pretrain`` (:mod:`reidlib.training.pretrain`) makes others, which lie in the folder of
one's own. A trunk is ``<backbone>.safetensors`` in float16, and ``<backbone>.json`` beside it is its card: what it is,
how and on what it was made, and the SHA-256 of the file.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from reidlib import paths
from reidlib.console.spelling import argument

SHIPPED = Path(__file__).resolve().parent.parent / "published" / "weights"
MOST_BYTES = 1 << 30  # of a trunk in float16
_SHA256 = re.compile("[0-9a-f]{64}")


def own_folder() -> Path:
    """Where the trunks that were made on this machine lie: ``data/trunks`` under :func:`reidlib.paths.home`."""
    return paths.home() / "data" / "trunks"


def shipped() -> tuple[str, ...]:
    """Trunks that the package has pretrained weights for."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.safetensors")))


def write(folder: Path, backbone: str, state: Mapping[str, Tensor], card: Mapping[str, Any]) -> Path:
    """Write a trunk, its numbers in float16, and its card; both are there, or what was there before.

    Raises:
        FloatingPointError: a number is not finite, or too large for float16.
    """
    tensors = {name: each.half() if each.is_floating_point() else each for name, each in state.items()}
    if broken := [name for name, each in tensors.items() if not each.isfinite().all()]:
        raise FloatingPointError(f"{backbone}: {broken[0]} holds numbers that float16 has not")
    content = to_safetensors(dict(sorted(tensors.items())))
    file = folder / f"{_file_name(backbone)}.safetensors"
    record = {"name": f"twin/{backbone}", **card, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with paths.naming_unwritable(folder, "REIDLIB_HOME"):
        folder.mkdir(parents=True, exist_ok=True)
        text = (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()
        paths.write_all({file: content, file.with_suffix(".json"): text})
    return file


def find(backbone: str) -> Path:
    """The file of a trunk's weights: the package's, else one of one's own.

    Raises:
        ValueError: there is none; the message says what there is and how to make one.
    """
    name = f"{_file_name(backbone)}.safetensors"
    for folder in (SHIPPED, own_folder()):
        if (folder / name).is_file():
            return folder / name
    raise ValueError(
        f"backbone {backbone!r} has no weights pretrained on rendered people here; the package has them for "
        f"{', '.join(shipped())}. `reidlib pretrain {backbone}` makes them, or use "
        f"{argument('weights', None, of='recipe')}"
    )


def digest(backbone: str) -> str:
    """The SHA-256 of a trunk's weights, as its card says; raises as :func:`read`."""
    return _card(find(backbone))["sha256"]


def read(backbone: str, sha256: str | None = None) -> dict[str, Tensor]:
    """A trunk's weights by torchvision's names, numbers in float32.

    Args:
        sha256: of the file, as a recipe states it; ``None``: whichever is there.

    Raises:
        ValueError: there are none, file and card do not fit each other, or it is another one than stated; the message
            names the file.
    """
    file = find(backbone)
    content, expected = paths.read_bounded(file, MOST_BYTES), _card(file)["sha256"]
    if (found := hashlib.sha256(content).hexdigest()) != expected:
        raise ValueError(
            f"{file} is damaged or not the file of its card (SHA-256 {found[:16]}…, not {expected[:16]}…); "
            f"`reidlib pretrain {backbone}` makes it anew"
        )
    if sha256 not in (None, found):
        raise ValueError(
            f"{file} is another trunk than the recipe states (SHA-256 {found[:16]}…, not {sha256[:16]}…): bring that "
            f"one back, or make the recipe anew with {argument('weights', 'twin', of='recipe')}"
        )
    return {
        name: each.float() if each.is_floating_point() else each for name, each in from_safetensors(content).items()
    }


def _card(file: Path) -> Mapping[str, Any]:
    card = file.with_suffix(".json")
    try:
        record = paths.read_json(card)
        if not (isinstance(record, dict) and _SHA256.fullmatch(record["sha256"])):
            raise ValueError(f"{card} is no card")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} has no card that could be read ({error}); `reidlib pretrain` writes both") from error
    return record


def _file_name(backbone: str) -> str:
    """``timm:resnet10t`` → ``timm-resnet10t``: what every disk can hold."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", backbone)
