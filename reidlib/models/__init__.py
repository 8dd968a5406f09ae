"""Models: one file per method over one trunk. A method is a class in its file and a line in ``MODELS``."""

import inspect

from reidlib.models.base import Outputs, ReIDModel
from reidlib.models.baseline import Baseline
from reidlib.models.dalnet import DALNet
from reidlib.models.fienet import FIENet
from reidlib.models.idkl import IDKL
from reidlib.models.maum import MAUM
from reidlib.models.wide import WideBaseline

MODELS: dict[str, type[ReIDModel]] = {
    "baseline": Baseline,
    "dalnet": DALNet,
    "fienet": FIENet,
    "idkl": IDKL,
    "maum": MAUM,
    "wide-baseline": WideBaseline,
}

__all__ = ["MODELS", "Outputs", "ReIDModel", "build"]


def build(name: str, *, num_ids: int, backbone: str = "small", **options: object) -> ReIDModel:
    """Build a model by name.

    Args:
        name: a key of ``MODELS``.
        num_ids: number of training identities, at least 1.
        backbone: ``tiny`` (for tests), ``small`` (CPU), ``resnet18`` or ``resnet50``.
        options: of the model's class, by name; ``weights="imagenet"`` is one that all have.

    Raises:
        ValueError: an unknown name, option or value; the message lists the known ones.
        FileNotFoundError: ImageNet weights are asked for and cannot be had.

    >>> build("baseline", num_ids=395, shared_from=0).branches
    ('shared',)
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; choose one of: {', '.join(MODELS)}")
    if isinstance(num_ids, bool) or not hasattr(num_ids, "__index__") or num_ids < 1:
        raise ValueError(f"num_ids must be an integer of at least 1, not {num_ids!r}")
    known = inspect.signature(MODELS[name]).parameters.keys() - {"num_ids", "backbone"}
    if unknown := sorted(options.keys() - known):
        raise ValueError(f"{name} has no option {unknown[0]!r}; choose from: {', '.join(sorted(known))}")
    model = MODELS[name](int(num_ids), backbone, **options)
    model.arguments = {"name": name, "num_ids": int(num_ids), "backbone": backbone, **options}
    return model
