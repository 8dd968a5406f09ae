"""Every figure as a function that returns a matplotlib `Figure`; `save` writes it with what it was drawn from.

>>> figure = plots.cmc_curves(plots.tables.cmc(results), f"{dataset.title} · {protocol}")
>>> plots.save(figure, "my_cmc")

`reidlib.figures.redraw` draws it again from those files.
"""

from reidlib.plots import tables
from reidlib.plots.ablations import comparison, ladder, sensitivity, weight_map
from reidlib.plots.across import ladder_steps, ladders, scores_by_seed, seed_agreement, two_seeds, weight_curves
from reidlib.plots.benchmark import accuracy_cost, claims
from reidlib.plots.branches import branches_diagram, cues, failure_conditions, region_drops
from reidlib.plots.dalnet import (
    dalnet_diagram,
    generation,
    generation_table,
    gradient_shares,
    modality_distances,
)
from reidlib.plots.dataset import (
    camera_coverage,
    contact_sheet,
    counterfactuals,
    matcher_bars,
    part_tones,
    sheet,
    training_batch,
    truth_panel,
)
from reidlib.plots.diagrams import baseline_diagram, boxes_and_arrows
from reidlib.plots.drawing import DRAWINGS, save
from reidlib.plots.explain import cam_panel, localisation, probe_scores
from reidlib.plots.fienet import center_losses, fienet_diagram, focus_scores, map_sizes
from reidlib.plots.generalisation import against_chance
from reidlib.plots.idkl import branch_probes, hinge_shares, idkl_diagram, loss_weights
from reidlib.plots.maum import imbalance, maum_diagram, proxy_drift, relay_scores, relay_toy
from reidlib.plots.retrieval import affinity, cmc_curves, distance_histograms, embedding_map, ranked_strip
from reidlib.plots.style import (
    BRANCH_COLOURS,
    METHOD_COLOURS,
    METHOD_NAMES,
    MODALITY_COLOURS,
    caption,
    ledger_caption,
    ledger_captions,
    seeds,
    use_style,
)
from reidlib.plots.training import training_curves

__all__ = [
    "BRANCH_COLOURS",
    "DRAWINGS",
    "METHOD_COLOURS",
    "METHOD_NAMES",
    "MODALITY_COLOURS",
    "accuracy_cost",
    "affinity",
    "against_chance",
    "baseline_diagram",
    "boxes_and_arrows",
    "branch_probes",
    "branches_diagram",
    "cam_panel",
    "camera_coverage",
    "caption",
    "center_losses",
    "claims",
    "cmc_curves",
    "comparison",
    "contact_sheet",
    "counterfactuals",
    "cues",
    "dalnet_diagram",
    "distance_histograms",
    "embedding_map",
    "failure_conditions",
    "fienet_diagram",
    "focus_scores",
    "generation",
    "generation_table",
    "gradient_shares",
    "hinge_shares",
    "idkl_diagram",
    "imbalance",
    "ladder",
    "ladder_steps",
    "ladders",
    "ledger_caption",
    "ledger_captions",
    "localisation",
    "loss_weights",
    "map_sizes",
    "matcher_bars",
    "maum_diagram",
    "modality_distances",
    "part_tones",
    "probe_scores",
    "proxy_drift",
    "ranked_strip",
    "region_drops",
    "relay_scores",
    "relay_toy",
    "save",
    "scores_by_seed",
    "seed_agreement",
    "seeds",
    "sensitivity",
    "sheet",
    "tables",
    "training_batch",
    "training_curves",
    "truth_panel",
    "two_seeds",
    "use_style",
    "weight_curves",
    "weight_map",
]
