"""The recipe: a frozen value that is checked when it is made, changed by name, written as JSON and read back."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from reidlib import paths, profiles
from reidlib.console import spelling
from reidlib.data import Augmentation, Subsample, own, registry
from reidlib.data.sampler import EPOCHS
from reidlib.networks import weights

RECORDED_AS = {"optimizer": "optimiser", "subsample": "thinning"}
"""Fields under the names that they had when the first runs were recorded: digests are taken with these, so that the
rows of those runs are still found by their recipes."""
_KNOWN = {
    "profile": profiles.PROFILES.keys(),
    "optimizer": ("adamw", "adam", "sgd"),
    "epoch": EPOCHS,
    "schedule": ("cosine", "step"),
    "amp": ("auto", "off", "bf16", "fp16"),
}


@dataclass(frozen=True, kw_only=True, repr=False)
class Recipe:
    """How a model is trained.

    Args:
        method: see :func:`reidlib.methods.names`.
        dataset: name of the data set, see :func:`reidlib.data.names`, or of one of one's own.
        shape: of the images of a data set of one's own, which chooses its defaults: ``"person"``, ``"square"`` or
            ``"face"``; ``None`` for a published one.
        profile: whose sizes these are; a label, the numbers below count.
        seed: decides the initial weights, the batches and the augmentation.
        backbone: of the model, as a rule one of :func:`reidlib.networks.trunks.names`.
        weights: of the backbone at the start: ``None`` (random), ``"twin"`` (pretrained on rendered people),
            ``"imagenet"``, or a file. The SHA-256 of a file, and of ``"twin"``, is noted with it and decides, whatever
            its place (:mod:`reidlib.networks.weights`).
        model: further options of the model's class, by name.
        loss_weights: name of each loss term of the model → its weight in the sum.
        height, width: of the images, in pixels.
        identities, images: P and K: a batch holds P identities × K images of each modality, 2·P·K in all, on every
            process.
        epochs: their number.
        epoch: how long one is: ``"images"`` (as the larger modality) or ``"pairs"`` (as the pairs of images of each
            identity, shorter where modalities are unequal), see :class:`reidlib.data.PKSampler`.
        augmentation: of the training images.
        optimizer: ``"adamw"``; ``"adam"``, whose weight decay is added to the gradient (L2); or ``"sgd"`` (Nesterov
            momentum 0.9).
        learning_rate: at its highest, for one process or many alike.
        backbone_rate: factor on the learning rate of ``model.backbone``.
        weight_decay: of all parameters.
        schedule: after the warm-up, ``"cosine"`` falls to 0 step by step; ``"step"`` divides by ten at each milestone.
        warmup: epochs in which the learning rate rises linearly; step by step (``"cosine"``) or in whole epochs
            (``"step"``, first epoch 1 / warmup).
        milestones: numbers of epochs (``"step"`` only).
        validation_share: share of the training identities that is held out for validation, 0 to less than 1.
        validate_every: validate after every so many epochs, and after the last.
        amp: mixed precision. ``"auto"``: bfloat16 on a GPU or CPU that has it, float16 on older GPUs, else off.
        subsample: of the training images, for experiments with unequal modalities; steps and classes stay those of the
            whole set. ``None`` for all images; a subsample that keeps all becomes ``None``.

    Raises:
        ValueError: a value out of range, or an unknown name.
        FileNotFoundError: there is no such file of weights.
        ModuleNotFoundError: the backbone needs a package that is not installed.
    """

    method: str
    dataset: str
    profile: str
    seed: int = 0
    backbone: str
    weights: str | None = None
    model: Mapping[str, Any] = field(default_factory=dict, hash=False)
    loss_weights: Mapping[str, float] = field(hash=False)
    height: int
    width: int
    identities: int
    images: int
    epochs: int
    augmentation: Augmentation
    optimizer: str = "adamw"
    learning_rate: float
    backbone_rate: float = 1.0
    weight_decay: float
    schedule: str = "cosine"
    warmup: float
    milestones: tuple[int, ...] = ()
    validation_share: float
    validate_every: int = 1
    amp: str = "auto"
    subsample: Subsample | None = None
    epoch: str = "images"
    shape: str | None = None

    def __post_init__(self) -> None:
        from reidlib.methods import registry as methods

        for name in ("height", "width", "identities", "images", "epochs", "validate_every"):
            self._require(name, _is_integer(getattr(self, name)) and getattr(self, name) >= 1, "a whole number from 1")
        self._require("seed", _is_integer(self.seed) and 0 <= self.seed < 2**32, "a whole number from 0 to 2**32 - 1")
        for name in ("learning_rate", "backbone_rate", "weight_decay", "warmup", "validation_share"):
            self._require(name, _is_number(getattr(self, name)) and getattr(self, name) >= 0, "a number from 0")
            object.__setattr__(self, name, float(getattr(self, name)))
        self._require("warmup", self.warmup <= self.epochs, f"at most the {self.epochs} epochs")
        self._require("validation_share", self.validation_share < 1, "less than 1")
        for name, known in {**_KNOWN, "method": methods.names()}.items():  # which may have grown
            self._require(name, getattr(self, name) in tuple(known), f"one of: {', '.join(known)}")
        if self.shape is None:
            rule = f"one of: {', '.join(registry.READERS)} (of one's own: the data set itself, which has a shape)"
            self._require("dataset", self.dataset in registry.READERS, rule)
        else:
            is_name = isinstance(self.dataset, str) and own.NAME.fullmatch(self.dataset)
            rule = "lower-case letters and digits, and not the name of a published data set, where there is a shape"
            self._require("dataset", is_name and self.dataset not in registry.READERS, rule)
            self._require("shape", self.shape in profiles.SHAPES, f"one of: {', '.join(profiles.SHAPES)}")
        network = methods.get(self.method).model
        network.check_backbone(self.backbone, self.weights, last_stride=dict(self.model).get("last_stride", 1))
        object.__setattr__(self, "weights", weights.stated(self.weights, self.backbone))
        self._require("augmentation", isinstance(self.augmentation, Augmentation), "a reidlib.data.Augmentation")
        has_sketches = self.shape is not None or "sketch" in registry.READERS[self.dataset].modalities
        may_be_drawn = has_sketches or not self.augmentation.edges
        self._require("augmentation", may_be_drawn, f"without edges: {self.dataset} has no sketches")
        self._require("subsample", isinstance(self.subsample, Subsample | None), "a reidlib.data.Subsample or None")
        if self.subsample and self.subsample.keeps_all:  # the same run is to have the same digest
            object.__setattr__(self, "subsample", None)
        milestones = tuple(self.milestones) if isinstance(self.milestones, list | tuple) else (None,)
        rising = all(map(_is_integer, milestones)) and list(milestones) == sorted(set(milestones))
        self._require("milestones", rising and (self.schedule == "step" or not milestones), 'rising, with "step" only')
        object.__setattr__(self, "milestones", milestones)
        terms, options = self.loss_weights, self.model
        named = isinstance(terms, Mapping) and all(map(_is_number, terms.values()))
        self._require("loss_weights", named, "numbers by name")
        object.__setattr__(self, "loss_weights", MappingProxyType({k: float(weight) for k, weight in terms.items()}))
        try:
            options = json.loads(json.dumps(dict(options), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"recipe: model must be options by name, in types that JSON knows ({error})") from error
        object.__setattr__(self, "model", MappingProxyType(options))

    def replace(self, **changes: Any) -> "Recipe":
        """A copy with other values.

        ``loss_weights``, ``model`` and ``augmentation`` also take a dictionary of what changes in them and keep the
        rest: ``replace(loss_weights={"triplet": 0.5}, augmentation={"erase": 0})``. The weight ``None`` takes a loss
        term out, for a model that was told not to compute it. ``subsample`` takes a dictionary as well, of all its
        fields or of what changes in the one there is: ``replace(subsample={"modality": 1, "images": 0.25})``.

        Raises:
            ValueError: an unknown field (the message lists the known) or a value out of range.
        """
        _require_fields(changes, "a recipe", Recipe)
        for name in ("loss_weights", "model"):
            if name in changes:
                changes[name] = {**getattr(self, name), **changes[name]}
        if "loss_weights" in changes:
            changes["loss_weights"] = {k: weight for k, weight in changes["loss_weights"].items() if weight is not None}
        if isinstance(changes.get("augmentation"), Mapping):
            _require_fields(changes["augmentation"], "an augmentation", Augmentation)
            changes["augmentation"] = dataclasses.replace(self.augmentation, **changes["augmentation"])
        if isinstance(changes.get("subsample"), Mapping):
            before = self.subsample.to_dict() if self.subsample else {}
            changes["subsample"] = _subsample({**before, **changes["subsample"]})
        if "backbone" in changes and str(self.weights).startswith(weights.TWIN):
            changes.setdefault("weights", weights.TWIN)  # those of the other trunk
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """All fields, in types that JSON knows; ``subsample``, ``shape`` and ``epoch`` only if they are not usual."""
        record = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        if self.shape is None:
            del record["shape"]
        if self.epoch == EPOCHS[0]:
            del record["epoch"]
        record["augmentation"] = self.augmentation.to_dict()
        if self.subsample:
            record["subsample"] = self.subsample.to_dict()
        else:  # recipes had digests, by which runs are found, before there was this field
            del record["subsample"]
        return {
            **record,
            "model": dict(self.model),
            "loss_weights": dict(self.loss_weights),
            "milestones": [*self.milestones],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Recipe":
        """Rebuild what ``to_dict`` wrote.

        Raises:
            ValueError: a field is unknown or missing, or its value is out of range.
        """
        record = cls.renamed(record)
        _require_fields(record, "a recipe", cls)
        required = {entry.name for entry in dataclasses.fields(cls) if _is_required(entry)}
        if missing := sorted(required - record.keys()):
            raise ValueError(f"the recipe lacks the field(s) {', '.join(missing)}")
        if not isinstance(record["augmentation"], Mapping):
            raise ValueError(f"recipe: augmentation must be an object, not {record['augmentation']!r}")
        _require_fields(record["augmentation"], "an augmentation", Augmentation)
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in record["augmentation"].items()}
        subsample = record.get("subsample")
        if isinstance(subsample, Mapping):
            subsample = _subsample(subsample)
        return cls(**{**record, "augmentation": Augmentation(**options), "subsample": subsample})

    def recorded(self) -> dict[str, Any]:
        """``to_dict`` under the names of ``RECORDED_AS``, a file of weights by its digest alone: for digests."""
        return {RECORDED_AS.get(name, name): value for name, value in self.placeless(self.to_dict()).items()}

    @classmethod
    def placeless(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        """What ``to_dict`` wrote, at any time, but a file of weights by its digest alone: for records and comparisons.

        Raises:
            ValueError: its weights are none.
        """
        record = cls.renamed(record)
        return {**record, "weights": weights.identity(record.get("weights"), record.get("backbone", ""))}

    @staticmethod
    def renamed(record: Mapping[str, Any]) -> dict[str, Any]:
        """Fields of a recipe as recorded at any time, under the names that they have today."""
        today = {old: name for name, old in RECORDED_AS.items()}
        return {today.get(name, name): value for name, value in record.items()}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Rebuild what ``to_json`` wrote; raises ``ValueError`` as ``from_dict`` does."""
        record = paths.parse_json(text, "a recipe")
        if not isinstance(record, dict):
            raise ValueError(f"a recipe is a JSON object, not {type(record).__name__}")
        return cls.from_dict(record)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell this recipe from others."""
        return hashlib.sha256(json.dumps(self.recorded(), sort_keys=True).encode()).hexdigest()[:8]

    def __reduce__(self) -> tuple:  # the read-only dictionaries cannot be pickled
        from reidlib.methods import registry as methods

        return _rebuilt, (self.to_dict(), methods.as_sent(self.method))

    def __repr__(self) -> str:
        return "Recipe(\n" + "".join(f"    {name}={value!r},\n" for name, value in self.to_dict().items()) + ")"

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"recipe: {name} must be {rule}, not {getattr(self, name)!r}")


def _rebuilt(record: dict[str, Any], method: Any) -> Recipe:
    """A recipe in another process, which may not know a method from outside this package yet."""
    from reidlib.methods import registry as methods

    if method is not None and method.name not in methods.names():
        methods.register(method)
    return Recipe.from_dict(record)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_required(entry: dataclasses.Field) -> bool:
    return entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING


def _subsample(options: Mapping[str, Any]) -> Subsample:
    _require_fields(options, "a subsample", Subsample)
    if "modality" not in options:
        example = spelling.either('{"modality": 1, "images": 0.25}', "--set subsample.modality=1")
        raise ValueError(f"recipe: subsample must name a modality, as in {example}")
    return Subsample(**options)


def _require_fields(names: Mapping[str, Any], what: str, kind: type) -> None:
    known = [entry.name for entry in dataclasses.fields(kind)]
    if unknown := sorted(names.keys() - set(known)):
        raise ValueError(f"{what} has no field {unknown[0]!r}; choose from: {', '.join(known)}")
