"""Recipes: everything that decides a training run, as one frozen value that is saved beside its results.

``get("baseline", dataset="sysu", profile="cpu")`` → :class:`Recipe`; ``recipe.replace(...)`` → a changed copy.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from reidlib import profiles
from reidlib.data import Augmentation, names
from reidlib.data.registry import READERS
from reidlib.models import MODELS

_KNOWN = {
    "method": MODELS.keys(),
    "dataset": names(),
    "profile": profiles.PROFILES.keys(),
    "optimiser": ("adamw", "sgd"),
    "schedule": ("cosine", "step"),
    "amp": ("auto", "off", "bf16", "fp16"),
}


@dataclass(frozen=True, kw_only=True, repr=False)
class Recipe:
    """How a model is trained.

    Args:
        method: name of the model, see :data:`reidlib.models.MODELS`.
        dataset: name of the data set, see :func:`reidlib.data.names`.
        profile: whose sizes these are; a label, the numbers below count.
        seed: decides the initial weights, the batches and the augmentation.
        backbone: of the model.
        weights: of the backbone at the start: ``None`` (random) or ``"imagenet"``.
        model: further options of the model's class, by name.
        loss_weights: name of each loss term of the model → its weight in the sum.
        height, width: of the images, in pixels.
        identities, images: P and K: a batch holds P identities × K images of each modality, 2·P·K in all, on every
            process.
        epochs: see :class:`reidlib.data.PKSampler` for the length of one.
        augmentation: of the training images.
        optimiser: ``"adamw"``, or ``"sgd"`` (Nesterov momentum 0.9).
        learning_rate: at its highest, for one process or many alike.
        backbone_rate: factor on the learning rate of ``model.backbone``.
        weight_decay: of all parameters.
        schedule: after the warm-up, ``"cosine"`` falls to 0 step by step; ``"step"`` divides by ten at each milestone.
        warmup: epochs in which the learning rate rises linearly; step by step (``"cosine"``) or in whole epochs
            (``"step"``, first epoch 1 / warmup).
        milestones: numbers of epochs (``"step"`` only).
        validation_share: share of the training identities that is held out for validation, 0 to less than 1.
        validate_every: validate after every so many epochs, and after the last.
        amp: mixed precision. ``"auto"``: bfloat16 on a GPU that has it, float16 on older ones, off on a CPU.

    Raises:
        ValueError: a value out of range, or an unknown name.
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
    optimiser: str = "adamw"
    learning_rate: float
    backbone_rate: float = 1.0
    weight_decay: float
    schedule: str = "cosine"
    warmup: float
    milestones: tuple[int, ...] = ()
    validation_share: float
    validate_every: int = 1
    amp: str = "auto"

    def __post_init__(self) -> None:
        for name in ("height", "width", "identities", "images", "epochs", "validate_every"):
            self._require(name, _is_integer(getattr(self, name)) and getattr(self, name) >= 1, "a whole number from 1")
        self._require("seed", _is_integer(self.seed) and 0 <= self.seed < 2**32, "a whole number from 0 to 2**32 - 1")
        for name in ("learning_rate", "backbone_rate", "weight_decay", "warmup", "validation_share"):
            self._require(name, _is_number(getattr(self, name)) and getattr(self, name) >= 0, "a number from 0")
            object.__setattr__(self, name, float(getattr(self, name)))
        self._require("warmup", self.warmup <= self.epochs, f"at most the {self.epochs} epochs")
        self._require("validation_share", self.validation_share < 1, "less than 1")
        for name, known in _KNOWN.items():
            self._require(name, getattr(self, name) in tuple(known), f"one of: {', '.join(known)}")
        self._require("augmentation", isinstance(self.augmentation, Augmentation), "a reidlib.data.Augmentation")
        milestones = tuple(self.milestones) if isinstance(self.milestones, list | tuple) else (None,)
        rising = all(map(_is_integer, milestones)) and list(milestones) == sorted(set(milestones))
        self._require("milestones", rising and (self.schedule == "step" or not milestones), 'rising, with "step" only')
        object.__setattr__(self, "milestones", milestones)
        weights, options = self.loss_weights, self.model
        named = isinstance(weights, Mapping) and all(map(_is_number, weights.values()))
        self._require("loss_weights", named, "numbers by name")
        object.__setattr__(self, "loss_weights", MappingProxyType({k: float(weight) for k, weight in weights.items()}))
        try:
            options = json.loads(json.dumps(dict(options), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"recipe: model must be options by name, in types that JSON knows ({error})") from error
        object.__setattr__(self, "model", MappingProxyType(options))

    def replace(self, **changes: Any) -> "Recipe":
        """A copy with other values.

        ``loss_weights``, ``model`` and ``augmentation`` also take a dictionary of what changes in them and keep the
        rest: ``replace(loss_weights={"triplet": 0.5}, augmentation={"erase": 0})``. The weight ``None`` takes a loss
        term out, for a model that was told not to compute it.

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
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """All fields, in types that JSON knows."""
        record = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        record["augmentation"] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self.augmentation).items()
        }
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
        _require_fields(record, "a recipe", cls)
        required = {entry.name for entry in dataclasses.fields(cls) if _is_required(entry)}
        if missing := sorted(required - record.keys()):
            raise ValueError(f"the recipe lacks the field(s) {', '.join(missing)}")
        if not isinstance(record["augmentation"], Mapping):
            raise ValueError(f"recipe: augmentation must be an object, not {record['augmentation']!r}")
        _require_fields(record["augmentation"], "an augmentation", Augmentation)
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in record["augmentation"].items()}
        return cls(**{**record, "augmentation": Augmentation(**options)})

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Rebuild what ``to_json`` wrote; raises ``ValueError`` as ``from_dict`` does."""
        record = json.loads(text)
        if not isinstance(record, dict):
            raise ValueError(f"a recipe is a JSON object, not {type(record).__name__}")
        return cls.from_dict(record)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell this recipe from others."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:8]

    def __reduce__(self) -> tuple:  # the read-only dictionaries cannot be pickled
        return Recipe.from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        return "Recipe(\n" + "".join(f"    {name}={value!r},\n" for name, value in self.to_dict().items()) + ")"

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"recipe: {name} must be {rule}, not {getattr(self, name)!r}")


# What a profile sets for every method: sizes, and what has to go with them.
SIZES: dict[str, dict[str, Any]] = {
    "ci": dict(backbone="tiny", identities=4, images=2, epochs=3, warmup=1, validation_share=0.25),
    "screen": dict(backbone="small", identities=8, images=4, epochs=6, warmup=1.5),
    "cpu": dict(backbone="small", identities=8, images=4, epochs=8, warmup=2),
    "gpu": dict(backbone="resnet50", identities=8, images=4, epochs=14, warmup=3, learning_rate=1e-3),
    "paper": dict(backbone="resnet50", weights="imagenet", validation_share=0.0),
}
PAD = {"ci": 3, "screen": 4, "cpu": 5, "gpu": 10, "paper": 10}

# Ours, for twins and random initial weights (reconstructed: no paper trains on rendered people).
COMMON: dict[str, Any] = dict(learning_rate=2e-3, weight_decay=5e-4, validation_share=0.1)
TWIN_AUGMENTATION = dict(flip=0.5, exchange=0.5, erase=0.5)

# How many times as many epochs as SYSU-MM01 a data set gets, so that its twin is trained for about as many steps: the
# others are smaller, and an epoch of theirs is shorter. Validation is as much rarer.
LONGER = {"regdb": 5, "llcm": 5, "pku-sketch": 5, "market-sketch-1k": 5, "shoe": 2.5, "chair": 2.5, "cufsf": 1.5}

# Documented (Ye et al., TPAMI 2021, AGW, and its released code) for SYSU-MM01: ImageNet weights, 288×144, P 8 × K 4 in
# each modality, SGD with 0.1 and a tenth of it in the backbone, weight decay 5e-4, 10 epochs of warm-up, a tenth from
# epoch 20 and again from 50, 81 epochs, pad 10 and crop, flip, no erasing, weighted triplet, plain cross-entropy, both
# losses with weight 1, all training identities.
# Reconstructed: mixed precision (theirs is float32); no non-local blocks (theirs has five); other data sets alike.
AGW: dict[str, Any] = dict(
    height=288,
    width=144,
    identities=8,
    images=4,
    epochs=81,
    augmentation=Augmentation(flip=0.5, pad=10),
    optimiser="sgd",
    learning_rate=0.1,
    backbone_rate=0.1,
    schedule="step",
    warmup=10,
    milestones=(20, 50),
    model={"triplet": "weighted", "label_smoothing": 0.0},
)
BASELINE: dict[str, dict[str, Any]] = {
    "all": dict(loss_weights={"identity": 1.0, "triplet": 1.0}),
    "paper": AGW,
}

# No number of MAUM's training is known. Reconstructed: on twins the budget of the baseline; on real data what was usual
# for two-stream networks in its time: ImageNet weights, 384×144, P 8 × K 4, learning rate 3.5e-4, weight decay 5e-4 (of
# Adam; AdamW here), 10 epochs of warm-up, a tenth from epoch 40 and again from 70, 120 epochs, flip, pad 10 and crop,
# erasing. ``replace(model={"parts": True})`` makes MAUM-P, to which the published numbers belong, of MAUM-G.
MAUM: dict[str, Any] = dict(
    identities=8,
    images=4,
    epochs=120,
    augmentation=Augmentation(flip=0.5, pad=10, erase=0.5),
    learning_rate=3.5e-4,
    schedule="step",
    warmup=10,
    milestones=(40, 70),
)
# Reconstructed: six stripes (as PCB) where the rows of the last map divide by six, else four; a copy of the proxies
# every quarter of an epoch, here in steps, from the epoch on in which the learning rate has risen.
STRIPES = {"ci": 4, "screen": 6, "cpu": 4, "gpu": 4, "paper": 6}
QUARTERS = {
    "sysu": {"ci": 3, "screen": 17, "cpu": 33, "gpu": 67, "paper": 173},
    "regdb": {"ci": 1, "screen": 3, "cpu": 4, "gpu": 12, "paper": 13},
    "llcm": {"ci": 2, "screen": 3, "cpu": 4, "gpu": 20, "paper": 134},
}


def _maum(dataset: str) -> dict[str, dict[str, Any]]:
    changes: dict[str, dict[str, Any]] = {"all": dict(loss_weights={"proxy": 1.0, "unidirectional": 1.0})}
    for profile, quarter in QUARTERS[dataset].items():
        own = MAUM if profile == "paper" else {}
        warmup = own["warmup"] if own else LONGER.get(dataset, 1) * SIZES[profile]["warmup"]
        memory = {"memory_interval": quarter, "memory_start_epoch": math.ceil(warmup)}
        changes[profile] = own | {"model": {"stripes": STRIPES[profile], **memory}}
    return changes


# (method, data set) → what it changes in every profile ("all") or in one.
METHODS: dict[tuple[str, str], dict[str, dict[str, Any]]] = {
    **{("baseline", name): BASELINE for name in ("sysu", "regdb", "llcm", "pku-sketch", "market-sketch-1k")},
    **{
        ("baseline", name): BASELINE | {"paper": {**AGW, "height": height, "width": width}}
        for name, height, width in (("shoe", 256, 256), ("chair", 256, 256), ("cufsf", 250, 200))
    },
    **{("maum", name): _maum(name) for name in QUARTERS},
}


def get(method: str, *, dataset: str = "sysu", profile: str | None = None) -> Recipe:
    """The recipe of a method on a data set.

    Args:
        method, dataset: a pair in ``METHODS``.
        profile: see :mod:`reidlib.profiles`; ``None`` for the default of this machine.

    Raises:
        ValueError: an unknown method, data set or profile; the message lists the known.
    """
    size = profiles.get(profile)
    if (method, dataset) not in METHODS:
        known = ", ".join(" on ".join(pair) for pair in METHODS)
        raise ValueError(f"there is no recipe for method {method!r} on data set {dataset!r}; choose one of: {known}")
    height, width = size.size(READERS[dataset].shape)
    settings = {
        **COMMON,
        "height": height,
        "width": width,
        "augmentation": Augmentation(pad=PAD[size.name], **TWIN_AUGMENTATION),
        **_for_as_many_steps(SIZES[size.name], LONGER.get(dataset, 1)),
        **METHODS[method, dataset].get("all", {}),
        **METHODS[method, dataset].get(size.name, {}),
    }
    return Recipe(method=method, dataset=dataset, profile=size.name, **settings)


def _for_as_many_steps(settings: dict[str, Any], factor: float) -> dict[str, Any]:
    if factor == 1 or "epochs" not in settings:
        return settings
    epochs, warmup = round(factor * settings["epochs"]), factor * settings["warmup"]
    return settings | {"epochs": epochs, "warmup": warmup, "validate_every": round(factor)}


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_required(entry: dataclasses.Field) -> bool:
    return entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING


def _require_fields(names: Mapping[str, Any], what: str, kind: type) -> None:
    known = [entry.name for entry in dataclasses.fields(kind)]
    if unknown := sorted(names.keys() - set(known)):
        raise ValueError(f"{what} has no field {unknown[0]!r}; choose from: {', '.join(known)}")
