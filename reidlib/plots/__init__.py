"""Every figure as a function that returns a matplotlib `Figure`; `save` writes it with what it was drawn from.

>>> figure = plots.cmc_curves(plots.tables.cmc(results), f"{dataset.title} · {protocol}")
>>> plots.save(figure, "my_cmc")

`reidlib.app.figures.redraw` draws it again from those files.
"""

# ruff: noqa: F401 (all that is imported here is handed on)
from reidlib.plots import tables
from reidlib.plots.ablations import comparison, ladder, sensitivity, weight_map
from reidlib.plots.across import ladders, scores_by_seed, seed_agreement, two_seeds, weight_curves
from reidlib.plots.agreement import agreement
from reidlib.plots.benchmark import accuracy_cost, calibration, claims
from reidlib.plots.branches import branches_diagram, cues, failure_conditions, region_drops, stage_curves
from reidlib.plots.dataset import (
    camera_coverage,
    contact_sheet,
    counterfactuals,
    matcher_bars,
    modality_gap,
    part_tones,
    sheet,
    training_batch,
    truth_panel,
)
from reidlib.plots.diagrams import boxes_and_arrows
from reidlib.plots.drawing import drawings, save
from reidlib.plots.explain import cam_panel, focus_scores, localisation, probe_scores
from reidlib.plots.generalisation import against_chance, pair_plane
from reidlib.plots.retrieval import (
    affinity,
    cmc_curves,
    distance_histograms,
    embedding_map,
    found_strip,
    ranked_strip,
    with_true_match,
)
from reidlib.plots.style import (
    BRANCH_COLOURS,
    MODALITY_COLOURS,
    caption,
    colour,
    label,
    ledger_caption,
    ledger_captions,
    noted,
    seeds,
    use_style,
)
from reidlib.plots.training import learning_curves, training_curves
from reidlib.plots.trials import lengths, trials

__all__ = ["tables", *(name for name, value in globals().items() if callable(value) or name.isupper())]
