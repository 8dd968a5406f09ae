"""What is measured on runs for DALNet."""

import numpy as np

from reidlib.data import ReIDDataset
from reidlib.methods.dalnet import explain
from reidlib.training import Run


def auxiliary(run: Run, dataset: ReIDDataset) -> dict[str, float]:
    """What auxiliary images show, and whether they lie between photos and sketches: `explain.auxiliary_values`.

    On test identities: distances on all their images, gradients (of a twin) on up to 100 of their photos, evenly drawn.
    A model that draws nothing has the values that need no drawing: for comparison.
    """
    gradients, photos = None, dataset.rows("test", modality=0)
    if dataset.is_twin:
        some = photos[np.linspace(0, len(photos) - 1, min(100, len(photos))).round().astype(int)]
        gradients = explain.gradient_table(run.model, dataset, some)
    return explain.auxiliary_values(explain.distance_table(run.model, dataset), gradients)


MEASURES = {"auxiliary": auxiliary}
