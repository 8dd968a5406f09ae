"""The optimizer and its learning rate over the epochs."""

import math
from functools import partial

import torch

from reidlib.methods import Recipe
from reidlib.networks import ReIDModel

OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
}


def make_optimizer(recipe: Recipe, model: ReIDModel) -> torch.optim.Optimizer:
    """Two groups of parameters, the backbone's and the others, each with its share ``rate`` of the learning rate."""
    named = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in named if name.startswith("backbone.")], "rate": recipe.backbone_rate},
        {"params": [p for name, p in named if not name.startswith("backbone.")], "rate": 1.0},
    ]
    return OPTIMIZERS[recipe.optimizer](groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def schedule(recipe: Recipe, epoch: float) -> float:
    """Learning rate as a share (0-1) of its highest value, ``epoch`` epochs after the start."""
    if recipe.schedule == "step":
        whole = math.floor(epoch)
        if whole < recipe.warmup:
            return min(1.0, (whole + 1) / recipe.warmup)
        return 0.1 ** sum(whole >= milestone for milestone in recipe.milestones)
    if epoch < recipe.warmup:
        return epoch / recipe.warmup
    return (1 + math.cos(math.pi * (epoch - recipe.warmup) / (recipe.epochs - recipe.warmup))) / 2


def require_extendable(older: Recipe, longer: Recipe) -> None:
    """Raise ``ValueError`` unless the epochs of one recipe are the first ones of another; the message says why not."""
    ours, theirs = (recipe.placeless(recipe.to_dict()) for recipe in (longer, older))
    free = {"epochs", "milestones", "warmup", "validate_every"}  # the rates are compared themselves
    if differing := sorted(name for name in (ours | theirs).keys() - free if ours.get(name) != theirs.get(name)):
        name = differing[0]
        there, here = theirs.get(name, getattr(older, name)), ours.get(name, getattr(longer, name))
        raise ValueError(f"a run can be extended in length only: {name} is {there!r} there, {here!r} here")
    if longer.epochs <= older.epochs:
        raise ValueError(f"it has {older.epochs} epochs; to extend it the recipe must have more, not {longer.epochs}")
    steps = [step / 20 for step in range(20 * older.epochs)]
    if any(schedule(older, epoch) != schedule(longer, epoch) for epoch in steps):
        why = (
            f"its learning rate fell to 0 over {older.epochs} epochs (schedule 'cosine'), and with {longer.epochs} "
            "would have fallen more slowly from the beginning; train anew, or use schedule='step'"
            if longer.schedule == "cosine"
            else f"the learning rates of its {older.epochs} epochs were not those of this recipe; keep warmup and the "
            "milestones before its end"
        )
        raise ValueError(why)
