"""Figures of training draw what they are given."""

import numpy as np
import pandas as pd

from reidlib import plots


def test_training_curves_show_terms_and_scores():
    history = pd.DataFrame(
        {
            "step": [1, 2, 3],
            "learning_rate": [0.1, 0.2, 0.1],
            "loss": [3.0, 2.0, 1.0],
            "loss.identity": [2.0, 1.5, 1.0],
            "loss.triplet": [1.0, 0.5, 0.0],
            "validation.rank-1": [np.nan, np.nan, 0.5],
            "validation.mAP": [np.nan, np.nan, 0.4],
        }
    )
    figure = plots.training_curves(history, "caption")
    assert [len(axis.lines) for axis in figure.axes] == [2, 2, 1]
    assert figure.axes[1].lines[0].get_ydata().tolist() == [50.0]
    plots.training_curves(history.drop(columns=["validation.rank-1", "validation.mAP"]), "caption")
