"""The figures of trials: what was chosen is filled, seeds are dots, lengths are in order."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from reidlib import plots

ROWS = pd.DataFrame(
    [
        ("baseline-trials", "plain", 0, 0.30, False),
        ("baseline-trials", "plain", 1, 0.32, False),
        ("baseline-trials", "other", 0, 0.35, True),
        ("maum-trials", "weighted", 0, 0.36, True),
    ],
    columns=["study", "trial", "seed", "mAP", "chosen"],
)


def test_every_seed_is_a_dot_and_what_was_chosen_is_filled() -> None:
    figure = plots.trials(ROWS, "caption")
    first, second = figure.axes
    plain, other = first.collections
    assert plain.get_offsets().data.tolist() == [[30, 0], [32, 0]] and len(plain.get_facecolor()) == 0
    assert other.get_offsets().data.tolist() == [[35, 1]] and to_hex(other.get_facecolor()[0]) == "#0072b2"
    (band,) = first.patches
    assert np.allclose([band.get_x(), band.get_x() + band.get_width()], [30.4, 31.6])
    assert second.get_title() == "maum: 1 trial"


def test_lengths_are_a_line_for_every_variant_in_order() -> None:
    rows = [(f"{name}, × {n}", seed, 0.3 + n / 100) for name in ("baseline", "B") for n in (5, 1, 3) for seed in (0, 1)]
    figure = plots.lengths(pd.DataFrame(rows, columns=["trial", "seed", "mAP"]), "caption")
    (axis,) = figure.axes
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["× 1", "× 3", "× 5"]
    lines = [line for line in axis.lines if len(line.get_xdata()) == 3]
    assert len(lines) >= 2 and all(np.allclose(line.get_ydata(), [31, 33, 35]) for line in lines[:2])


def test_without_rows_nothing_is_drawn() -> None:
    with pytest.raises(ValueError):
        plots.trials(ROWS.iloc[:0], "caption")
    with pytest.raises(ValueError):
        plots.lengths(pd.DataFrame({"trial": ["weighted"], "seed": [0], "mAP": [0.3]}), "caption")
