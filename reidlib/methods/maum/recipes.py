"""Recipes of MAUM."""

import math
from typing import Any

from reidlib import profiles
from reidlib.data import Augmentation
from reidlib.methods.sizes import LONGER, OWN, PAPER_SIZE, SIZES, input_size

# Documented: no number of MAUM's training; at second hand, that its metric is of the circle family.
# Reconstructed: on twins the budget of the baseline; on real data what was usual for two-stream networks in its time:
# ImageNet weights, 384×144, P 8 × K 4, Adam with 3.5e-4 and weight decay 5e-4, 10 epochs of warm-up, a tenth from epoch
# 40 and again from 70, 120 epochs, flip, pad 10 and crop, erasing; circle metrics of scale 64 and margin 0.25 without a
# triplet loss, both with weight 1, and a memory of eight copies.
# Unknown: all of these, whether channels were exchanged, and whether the published numbers were re-ranked. They belong
# to MAUM-P, here the method ``maum-p``: of the recipes ``parts`` is all that differs.
MAUM: dict[str, Any] = dict(
    identities=8,
    images=4,
    epochs=120,
    optimizer="adam",
    augmentation=Augmentation(flip=0.5, pad=10, erase=0.5),
    learning_rate=3.5e-4,
    loss_weights={"proxy": 1.0, "unidirectional": 1.0},
    schedule="step",
    warmup=10,
    milestones=(40, 70),
)
# Reconstructed: six stripes (as PCB) where the rows of the last map divide by six, else four; a copy of the proxies
# every quarter of an epoch, here in steps, from the epoch on in which the learning rate has risen.
STRIPES = {"ci": 4, "screen": 4, "cpu": 4, "gpu": 4, "paper": 6}
QUARTERS = {
    "sysu": {"ci": 3, "screen": 17, "cpu": 33, "gpu": 67, "paper": 173},
    "regdb": {"ci": 1, "screen": 3, "cpu": 4, "gpu": 12, "paper": 13},
    "llcm": {"ci": 2, "screen": 3, "cpu": 4, "gpu": 20, "paper": 134},
}
# Reconstructed: training this short wants a gentler scale and the baseline's triplet loss beside the metrics. Chosen on
# the development twin of twelve trials (docs/regime.md). The paper recipe keeps the defaults.
TWIN: dict[str, Any] = {
    "loss_weights": {"proxy": 1.0, "unidirectional": 1.0, "triplet": 1.0},
    "model": {"scale": 16.0, "triplet": "weighted"},
}


def _on(dataset: str, longer: float, stripes: dict[str, int] = STRIPES) -> dict[str, dict[str, Any]]:
    changes: dict[str, dict[str, Any]] = {}
    for profile, quarter in QUARTERS[dataset].items():
        own = MAUM if profile == "paper" else TWIN
        warmup = own["warmup"] if "warmup" in own else longer * SIZES[profile]["warmup"]
        memory = {"memory_interval": quarter, "memory_start_epoch": math.ceil(warmup)}
        changes[profile] = own | {"model": {**own.get("model", {}), "stripes": stripes[profile], **memory}}
    return changes


def _of(shape: str) -> dict[str, dict[str, Any]]:
    """Of a data set of one's own: its copies come as often as those of RegDB, which is small as well."""
    sizes = {name: input_size(profile, shape)[0] for name, profile in profiles.PROFILES.items()}
    sizes["paper"] = PAPER_SIZE.get(shape, {}).get("height", sizes["paper"])
    rows = {name: math.ceil(height / 16) for name, height in sizes.items()}  # of the last map
    stripes = {name: next(each for each in (6, 4, 5, 3, count) if count % each == 0) for name, count in rows.items()}
    changes = _on("regdb", OWN, stripes)
    return changes | {"paper": changes["paper"] | PAPER_SIZE.get(shape, {})}


def _in_parts(changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """MAUM-P: the same on stripes."""
    return {profile: fields | {"model": {**fields["model"], "parts": True}} for profile, fields in changes.items()}


RECIPES = {dataset: _on(dataset, LONGER.get(dataset, 1)) for dataset in QUARTERS}
SHAPES = {shape: _of(shape) for shape in profiles.SHAPES}
IN_PARTS = tuple({name: _in_parts(changes) for name, changes in known.items()} for known in (RECIPES, SHAPES))
