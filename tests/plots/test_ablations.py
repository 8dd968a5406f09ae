"""Figures of many runs show means, intervals and every run."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from reidlib import plots
from reidlib.experiments.uncertainty import half_width


def bars(axis) -> list[ErrorbarContainer]:
    return [container for container in axis.containers if isinstance(container, ErrorbarContainer)]


def test_sensitivity_draws_mean_interval_and_runs(runs):
    table = runs.assign(weight=runs["variant"].map({"baseline": 0.0, "full": 1.0}))
    figure = plots.sensitivity(table, "caption", default=1.0)
    (bar,) = bars(figure.axes[1])
    assert bar.lines[0].get_xdata().tolist() == [0, 1]
    assert bar.lines[0].get_ydata().tolist() == pytest.approx([35, 45])
    low, high = bar.lines[2][0].get_segments()[0][:, 1]
    assert (high - low) / 2 == pytest.approx(100 * half_width([0.34, 0.35, 0.36]))
    assert len(figure.axes[0].collections[0].get_offsets()) == 6
    assert "interval" in figure.get_supxlabel()


def test_sensitivity_of_two_seeds_has_no_interval(runs):
    table = runs[runs["seed"] < 2].assign(memory_length=runs["variant"].map({"baseline": 0, "full": 8}))
    figure = plots.sensitivity(table, "caption", x="memory_length")
    assert not bars(figure.axes[1])[0].has_yerr and "interval" not in figure.get_supxlabel()
    assert figure.axes[1].get_xlabel() == "memory length"


def test_sensitivity_of_several_weights_has_a_legend(runs):
    table = runs.assign(weight=[1.0, 10.0, 100.0] * 2)
    figure = plots.sensitivity(table, "caption", series="variant", metrics=["mAP"], scale="log")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["baseline", "full"]
    assert figure.axes[0].get_xscale() == "log"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "10", "100"]


def test_one_seed_needs_no_interval(runs):
    figure = plots.ladder(runs[runs["seed"] == 0], "caption")
    assert "interval" not in figure.get_supxlabel()
    assert bars(figure.axes[1])[0].lines[0].get_xdata().tolist() == pytest.approx([29, 39])


def test_ladder_of_two_seeds_has_no_interval(runs):
    for seeds, expected in (([0, 1], False), ([0, 1, 2], True)):
        figure = plots.ladder(runs[runs["seed"].isin(seeds)], "caption")
        assert bars(figure.axes[1])[0].has_xerr == expected == ("interval" in figure.get_supxlabel())


def test_weight_map_writes_means_where_they_belong(runs):
    table = runs.assign(a=[0.0, 0.0, 1.0] * 2, b=[0.5] * 3 + [2.0] * 3)
    figure = plots.weight_map(table, "caption", "a", "b")
    cells = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert cells == {(0.5, 0.5): "44.5", (1.5, 0.5): "46.0", (0.5, 1.5): "34.5", (1.5, 1.5): "36.0"}
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["2", "0.5"]
    assert "means over seeds" in figure.get_supxlabel() and not figure.axes[0].patches
    assert "not run" not in figure.get_supxlabel()


def test_weight_map_frames_the_recipe_and_leaves_gaps(runs):
    table = runs.head(3).assign(a=[0.0, 1.0, 1.0], b=[2.0, 2.0, 0.5])
    figure = plots.weight_map(table, "caption", "a", "b", default=[1.0, 0.5])
    (frame,) = figure.axes[0].patches
    assert frame.get_xy() == (1, 1) and len(figure.axes[0].texts) == 3
    assert all(words in figure.get_supxlabel() for words in ("one value a cell", "framed", "empty: not run"))
    assert not plots.weight_map(table, "caption", "a", "b", default=[1.0, 7.0]).axes[0].patches, "not on the map"


def test_weight_map_is_coloured_by_the_noise_and_white_where_that_is_all():
    table = pd.DataFrame({"a": [0.0, 0.0, 1.0, 1.0], "b": [0.5, 2.0] * 2, "mAP": [0.5, 0.515, 0.53, 0.4]})
    figure = plots.weight_map(table, "caption", "a", "b", default=[0.0, 0.5], noise=1.0)
    mesh = figure.axes[0].collections[0]
    assert mesh.get_array().ravel().tolist() == pytest.approx([1.5, -10, 0, 3])
    alike, worse, recipe, better = mesh.to_rgba(mesh.get_array()).reshape(-1, 4)[:, :3]
    assert alike.tolist() == recipe.tolist() and min(alike) > 0.93
    assert np.abs(better - worse).max() > 0.4
    assert "noise: 1.0 points" in figure.get_supxlabel()
    for wrong in ({"noise": 0.0, "default": [0.0, 0.5]}, {"noise": 1.0}, {"noise": 1.0, "default": [7.0, 0.5]}):
        with pytest.raises(ValueError, match="a cell of the map to compare with"):
            plots.weight_map(table, "caption", "a", "b", **wrong)


def test_a_ladder_of_several_splits_says_that_its_points_are_runs(runs):
    one = runs[runs["seed"] == runs["seed"].min()]
    assert "points: runs" not in plots.ladder(one.assign(split=1), "caption").get_supxlabel()
    splits = pd.concat([one.assign(split=number) for number in (1, 2)])
    assert "points: runs · circles: their means" in plots.ladder(splits, "caption").get_supxlabel()


def test_ladder_shows_switches_means_and_the_reference(runs):
    table = runs.assign(purifier=runs["variant"] == "full", distillation=False)
    figure = plots.ladder(table, "caption", components=["purifier", "distillation"])
    switches, rank_1, mean_average_precision = figure.axes
    on = [collection for collection in switches.collections if collection.get_sizes()[0] > 50]
    assert [collection.get_offsets().tolist() for collection in on] == [[[0, 1]], []]
    assert [label.get_text() for label in switches.get_yticklabels()] == ["baseline", "full"]
    assert bars(rank_1)[0].lines[0].get_xdata().tolist() == pytest.approx([30, 40])
    assert mean_average_precision.lines[0].get_xdata()[0] == pytest.approx(35)
    points = rank_1.collections[-1].get_offsets()
    assert sorted(points[:, 0]) == pytest.approx([29, 30, 31, 39, 40, 41])


def test_ladder_refuses_a_reference_it_does_not_show(runs):
    with pytest.raises(ValueError, match="no variant is called 'none'"):
        plots.ladder(runs, "caption", reference="none")


def test_comparison_draws_pairs_and_the_interval_it_is_given():
    table = pd.DataFrame({"comparison": ["a"] * 3 + ["b"] * 3, "seed": [0, 1, 2] * 2})
    table["difference"] = [0.01, 0.02, 0.03, -0.01, 0.0, 0.01]
    (axis,) = plots.comparison(table, "caption", margin=0.01).axes
    (zero, line_a, mean_a, *_) = axis.lines
    assert zero.get_xdata() == [0, 0]
    assert mean_a.get_xdata()[0] == pytest.approx(2)
    width = 100 * half_width([0.01, 0.02, 0.03])
    assert line_a.get_xdata().tolist() == pytest.approx([2 - width, 2 + width])

    table = table.assign(low=0.005, high=0.03, verdict="supported")
    figure = plots.comparison(table, "caption")
    assert figure.axes[0].lines[1].get_xdata().tolist() == pytest.approx([0.5, 3])
    assert [text.get_text() for text in figure.axes[0].texts] == ["supported"] * 2
    assert "bootstrap" in figure.get_supxlabel()


def test_a_comparison_of_one_seed_is_a_point():
    table = pd.DataFrame({"comparison": ["a"], "seed": [0], "difference": [0.01]})
    lines = plots.comparison(table, "caption").axes[0].lines
    assert np.isnan(lines[1].get_xdata()).all()
    assert lines[2].get_xdata()[0] == pytest.approx(1)
