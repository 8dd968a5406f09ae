"""What many figures draw: means in their places, series side by side, curves over the values of an option."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from reidlib.experiments.uncertainty import half_width
from reidlib.plots import panels


def drawn(axis: plt.Axes) -> tuple[list[list[float]], list[float]]:
    """Points (x, y) and half the length of each bar."""
    ((line, _, bars),) = axis.containers
    lengths = [np.ptp(segment, axis=0).max() / 2 for found in bars for segment in found.get_segments()]
    return np.stack(line.get_data(), axis=1).tolist(), lengths


def test_means_lie_in_their_places_with_an_interval_where_there_are_several_runs():
    runs = pd.Series([1.0, 2.0, 6.0, 5.0, np.nan], index=[7, 7, 7, 7, 7])
    _, axis = plt.subplots()
    panels.means(axis, runs, pd.Series([0, 0, 0, 1, 1]))
    points, lengths = drawn(axis)
    assert points == [[3, 0], [5, 1]] and lengths == pytest.approx([half_width([1, 2, 6]), 0])
    _, axis = plt.subplots()
    panels.means(axis, runs, [2, 2, 2, 4, 4], len, upright=True)
    assert drawn(axis) == ([[2, 3], [4, 5]], [3, 1]), "missing values do not count"
    _, axis = plt.subplots()
    panels.means(axis, runs, 0.5, None)
    assert drawn(axis) == ([[3.5, 0.5]], [])


def test_series_lie_around_the_middle_of_their_row():
    assert [panels.offsets(number, 0.3).tolist() for number in (0, 1, 3)] == [[], [0], [-0.3, 0, 0.3]]
    (one, place, look), (other, *_) = panels.side_by_side(["a", "b", "a"], 0.2)
    assert (one, place, other) == ("a", -0.2, "b") and look.keys() == {"color", "marker"}


@pytest.mark.parametrize(("usual", "dashed"), [(10.0, [1]), (3.0, [])])
def test_values_of_a_curve_are_equally_far_apart_and_the_recipe_is_marked(usual, dashed):
    _, axis = plt.subplots()
    table = pd.DataFrame({"value": [100.0, 0.0, 10.0, 0.0], "score": [5.0, 1.0, 3.0, 2.0]})
    panels.curve(axis, table["score"], table["value"], usual, None, {0.0: 0, 10.0: 0.5, 100.0: 5})
    assert drawn(axis)[0] == [[0, 1.5], [1, 3], [2, 5]]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "0.5", "5"]
    assert [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == "--"] == dashed


def test_panels_that_are_not_needed_show_nothing():
    _, axes = panels.grid(2, 2, (4, 4), 3)
    assert [axis.axison for axis in axes.flat] == [True, True, True, False]
