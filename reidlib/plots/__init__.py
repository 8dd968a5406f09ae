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
from reidlib.plots.style import MODALITY_COLOURS, MODALITY_NAMES, caption, save, use_style

__all__ = [
    "MODALITY_COLOURS",
    "MODALITY_NAMES",
    "camera_coverage",
    "caption",
    "counterfactuals",
    "identity_sheet",
    "matcher_bars",
    "modality_gap",
    "part_tones",
    "save",
    "training_batch",
    "truth_panel",
    "use_style",
]
