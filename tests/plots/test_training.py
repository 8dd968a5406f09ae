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


def test_learning_curves_show_the_same_scores_over_steps_and_time():
    history = pd.DataFrame({"epoch": [1, 2, 3], "seconds": [2.0, 4.0, 6.0], "validation.mAP": [0.2, np.nan, 0.4]})
    slow = history.assign(seconds=3 * history["seconds"], method="dalnet")
    figure = plots.learning_curves(pd.concat([history.assign(method="baseline"), slow]), "caption")
    steps, time = figure.axes
    assert [line.get_xdata().tolist() for line in steps.lines] == [[1, 3], [1, 3]]
    assert [line.get_xdata().tolist() for line in time.lines] == [[2, 6], [6, 18]]
    assert {tuple(line.get_ydata()) for axis in figure.axes for line in axis.lines} == {(20.0, 40.0)}
    assert [line.get_color() for line in steps.lines] == [plots.colour("baseline"), plots.colour("dalnet")]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["baseline", "DALNet"]
