"""What is measured on runs for MAUM."""

from reidlib.data import ReIDDataset
from reidlib.methods.maum import explain
from reidlib.training import Run


def relay(run: Run, dataset: ReIDDataset) -> dict[str, float]:
    """How near both modalities come to the proxies, and to each other: see `reidlib.methods.maum.explain.relay_values`.

    A MAUM that has both kinds of proxies, and does not learn those of each modality, is asked for the shared ones.
    """
    weights = run.recipe.loss_weights
    shared = weights.get("shared", 0) > 0 and weights.get("proxy", 0) == 0
    return explain.relay_values(explain.relay_table(run.model, dataset, run.pids, shared=shared))


MEASURES = {"relay": relay}
