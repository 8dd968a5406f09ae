"""Every figure as a function that returns a matplotlib `Figure`; `save` writes it with the numbers it shows."""

from reidlib.plots.dataset import (
    camera_coverage,
    counterfactuals,
    identity_sheet,
    matcher_bars,
    modality_gap,
    part_tones,
    training_batch,
    truth_panel,
)
from reidlib.plots.diagrams import baseline_diagram, boxes_and_arrows
from reidlib.plots.retrieval import cmc_curves, distance_histograms, embedding_map, ranked_strip
from reidlib.plots.style import MODALITY_COLOURS, MODALITY_NAMES, caption, save, use_style
from reidlib.plots.training import ingredient_bars, training_curves

__all__ = [
    "MODALITY_COLOURS",
    "MODALITY_NAMES",
    "baseline_diagram",
    "boxes_and_arrows",
    "camera_coverage",
    "caption",
    "cmc_curves",
    "counterfactuals",
    "distance_histograms",
    "embedding_map",
    "identity_sheet",
    "ingredient_bars",
    "matcher_bars",
    "modality_gap",
    "part_tones",
    "ranked_strip",
    "save",
    "training_batch",
    "training_curves",
    "truth_panel",
    "use_style",
]
