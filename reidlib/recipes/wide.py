"""Recipes of the wider baseline: those of the baseline."""

from reidlib.recipes import baseline

# The profile "paper" asks for ImageNet weights, which this network does not have: it says so, and trains only where the
# recipe is told otherwise, as recipe.replace(weights=None) does.
RECIPES = {dataset: baseline.RECIPES[dataset] for dataset in ("sysu", "regdb", "llcm")}
