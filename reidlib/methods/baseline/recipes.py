"""Recipes of the baseline: AGW's on real data, with the input sizes that are usual for objects and faces."""

from typing import Any

from reidlib.methods.sizes import AGW, TWO_STREAM, by_shape

RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    **dict.fromkeys(("sysu", "regdb", "llcm", "pku-sketch", "market-sketch-1k"), TWO_STREAM),
    **{
        dataset: TWO_STREAM | {"paper": {**AGW, "height": height, "width": width}}
        for dataset, height, width in (("shoe", 256, 256), ("chair", 256, 256), ("cufsf", 250, 200))
    },
}
SHAPES = by_shape(TWO_STREAM)
