"""What is measured on runs for MAUM."""

import pandas as pd

from reidlib.data import ReIDDataset
from reidlib.methods.maum import explain
from reidlib.training import Run


def relay(run: Run, dataset: ReIDDataset) -> dict[str, float | pd.Series]:
    """How near both modalities come to the proxies, and to each other: see `reidlib.methods.maum.explain.relay_values`.

    The relay gap is one of every training identity.

    A MAUM that has both kinds of proxies, and does not learn those of each modality, is asked for the shared ones.
    """
    weights = run.recipe.loss_weights
    shared = weights.get("shared", 0) > 0 and weights.get("proxy", 0) == 0
    table = explain.relay_table(run.model, dataset, run.pids, shared=shared)
    seen = table[table["seen"]].set_index("pid")
    gap = (seen["visible_proxy"] + seen["infrared_proxy"]) / 2 - seen["centres"]
    return explain.relay_values(table) | {"relay gap": gap.astype("float64")}


MEASURES = {"relay": relay}
