"""What of a file of weights fits a trunk: by which names, how much, and what is left over.

What fits, fits by name: behind any prefix (``module.``, ``backbone.``), in dictionaries within dictionaries
(``state_dict``, ``model``, ``net``), under the names of one network, of a two-stream network of this package, or of one
of AGW's (Ye et al., TPAMI 2021; DEEN, IDKL and others took its names over: ``visible_module``, ``thermal_module``,
``base_resnet``). Where no names fit, the tensors of one network in the same order and of the same shapes do. A file
that fits less than half of a trunk's tensors is refused, ``FILE#least=0.2`` asks for a fifth, ``least=0`` for nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidlib.networks.timm_trunks import INSIDE
from reidlib.networks.weights import LEAST, WeightsFile

_PARTS_OF_AGW = {"stems.0.": "visible_module.visible.", "stems.1.": "thermal_module.thermal."}
_SHOWN = 5
_Candidate = tuple["Fitted", dict[str, Tensor]]


@dataclass(frozen=True)
class Fitted:
    """What of a file fitted a trunk; tensors are named as in the trunk, ``unexpected`` ones as in the file.

    Attributes:
        source: the file's name without its folders, or ``"imagenet"``.
        sha256: of the file; ``None`` for ImageNet weights.
        how: by which names.
        fitted, missing, wrong_shape: names of the trunk's tensors.
        unexpected: of the file's, those that the trunk has no place for.
    """

    source: str
    sha256: str | None
    how: str
    fitted: tuple[str, ...]
    missing: tuple[str, ...]
    wrong_shape: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def share(self) -> float:
        """Of the trunk's tensors, how many (0-1) fitted."""
        return len(self.fitted) / max(1, len(self.fitted) + len(self.missing) + len(self.wrong_shape))

    def __str__(self) -> str:
        total = len(self.fitted) + len(self.missing) + len(self.wrong_shape)
        parts = [f"{self.source}: {len(self.fitted)} of the trunk's {total} tensors fitted, {self.how}"]
        for what, names in (("missing", self.missing), ("of another shape", self.wrong_shape)):
            parts += [f"{len(names)} {what} ({_some(names)})"] if names else []
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} of the file not used ({_some(self.unexpected)})")
        return "; ".join(parts)

    def record(self) -> dict[str, Any]:
        """For the record of a run, in types that JSON knows: counts, and the first names of what did not fit."""
        names = {name: getattr(self, name) for name in ("missing", "wrong_shape", "unexpected")}
        listed = {name: [_printable(each) for each in several[:20]] for name, several in names.items()}
        counts = {name: len(several) for name, several in names.items()}
        return {
            **{"source": _printable(self.source), "sha256": self.sha256, "how": self.how},
            **{"fitted": len(self.fitted), "counts": counts, **listed},
        }


def fit(trunk: nn.Module, content: Mapping[str, Any], source: WeightsFile | str) -> Fitted:
    """Load into a trunk what fits of a file's content; the rest of the trunk stays as it is.

    Args:
        trunk: a :class:`reidlib.networks.backbone.Backbone`.
        content: as :meth:`WeightsFile.read` gives it.

    Raises:
        ValueError: less than the least share of the trunk's tensors fits, or one that fits is not finite.
    """
    wanted = trunk.state_dict()
    best, found = max(
        (candidate for tensors in _dictionaries(content) for candidate in _candidates(wanted, tensors)),
        key=lambda each: len(each[0].fitted),
        default=(None, {}),
    )
    is_file = isinstance(source, WeightsFile)
    name = Path(source.path).name if is_file else source
    if best is None:
        raise ValueError(f"weights {name}: there are no tensors in it")
    best = replace(best, source=name, sha256=source.sha256 if is_file else None)
    least = source.least if is_file else LEAST
    if best.share < least:
        taken = f"{name}#least={int(100 * best.share) / 100:g}"
        told = f"; to take what fits all the same, write {taken}" if is_file else ""
        raise ValueError(f"weights {best}. That is less than {least:g} of it, so they are another network's{told}")
    for each, tensor in found.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"weights {name}: the tensor for {each} holds values that are not finite")
    with torch.no_grad():
        for each, tensor in found.items():
            wanted[each].copy_(tensor)
    return best


def _candidates(wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Iterator[_Candidate]:
    """Ways to fit one dictionary of tensors, the first of equals first: a report without a source, and what fits."""
    single = {name: _of_one_network(name) for name in wanted}
    namings = {"by name": single}
    if any(name.startswith("stems.") for name in wanted):
        agw, ours = {name: _of_agw(name) for name in wanted}, {name: name for name in wanted}
        namings = {"by the names of AGW's two streams": agw, **namings, "by the names of two streams": ours}
    for how, names in namings.items():
        ends = set(names.values())
        prefixes = {}
        for key in tensors:
            parts = key.split(".")
            for cut in range(len(parts)):
                if ".".join(parts[cut:]) in ends:
                    prefix = ".".join([*parts[:cut], ""]) if cut else ""
                    prefixes[prefix] = prefixes.get(prefix, 0) + 1
        for prefix in sorted(prefixes, key=lambda each: (-prefixes[each], len(each)))[:3]:
            behind = f" behind {_printable(prefix)}" if prefix else ""
            yield _compared(wanted, tensors, {name: prefix + end for name, end in names.items()}, how + behind)
    stem = [name for name in wanted if name.startswith("stems.0.")]
    order = [single[name] for name in (*stem, *(name for name in wanted if not name.startswith("stems.")))]
    if len(tensors) >= len(order):
        by_order = dict(zip(order, tensors, strict=False))
        keys = {name: by_order[end] for name, end in single.items()}
        pairs = ((name, keys[name], wanted[name], tensors[keys[name]]) for name in wanted)
        if all(_kind(name) == _kind(key) and ours.shape == theirs.shape for name, key, ours, theirs in pairs):
            yield _compared(wanted, tensors, keys, "in the order of the tensors, not by name")
    yield _compared(wanted, tensors, {}, "by name")


def _compared(
    wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor], keys: Mapping[str, str], how: str
) -> _Candidate:
    there = {name: key for name, key in keys.items() if key in tensors}
    fits = {name: tensors[key] for name, key in there.items() if tensors[key].shape == wanted[name].shape}
    # Files of old versions of torch lack the counters of batches, which the trunks here do not use.
    counters = {name for name in wanted if name.endswith("num_batches_tracked")} - there.keys()
    wrong = tuple(name for name in there if name not in fits)
    missing = tuple(name for name in wanted if name not in there and name not in counters)
    unused = tuple(key for key in tensors if key not in set(there.values()))
    return Fitted("", None, how, tuple(fits), missing, wrong, unused), fits


def _of_one_network(name: str) -> str:
    """``stems.1.conv1.weight`` and ``conv1.weight`` -> ``conv1.weight``."""
    return (name.split(".", 2)[2] if name.startswith("stems.") else name).removeprefix(INSIDE)


def _of_agw(name: str) -> str:
    start = next((_PARTS_OF_AGW[stem] for stem in _PARTS_OF_AGW if name.startswith(stem)), "base_resnet.base.")
    return start + _of_one_network(name)


def _kind(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _dictionaries(content: Mapping[str, Any], levels: int = 3) -> list[dict[str, Tensor]]:
    """All dictionaries of tensors by name in a file, the outermost first."""
    tensors = {key: each for key, each in content.items() if _is_name(key) and _is_dense(each)}
    inner = [each for each in content.values() if isinstance(each, Mapping)] if levels else []
    deeper = [found for each in inner for found in _dictionaries(each, levels - 1)]
    return ([tensors] if tensors else []) + deeper


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and len(key) < 500


def _is_dense(value: Any) -> bool:
    is_plain = isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"
    return is_plain and not (value.is_quantized or value.is_complex())


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(map(_printable, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]
