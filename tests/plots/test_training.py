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
    assert figure.axes[0].get_yscale() == "linear"
    plots.training_curves(history.drop(columns=["validation.rank-1", "validation.mAP"]), "caption")


def test_many_loss_terms_share_a_logarithmic_axis_with_an_end():
    history = pd.DataFrame({"step": [1, 2], "learning_rate": [0.1, 0.2], "loss": [90.0, 9.0]})
    for number, size in enumerate((80.0, 5.0, 1.0, 0.1, 1e-5, 0.0)):
        history[f"loss.{number}"] = [size, size / 2]
    losses, *_ = plots.training_curves(history, "caption").axes
    assert losses.get_yscale() == "log" and losses.get_ylim()[0] == 1e-3
