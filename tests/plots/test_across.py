"""Figures over all methods: one scale, one spread, what two seeds agree about."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from reidlib import plots
from reidlib.experiments import uncertainty
from reidlib.experiments.uncertainty import half_width


def bars(axis) -> list[ErrorbarContainer]:
    return [container for container in axis.containers if isinstance(container, ErrorbarContainer)]


@pytest.fixture
def rungs() -> pd.DataFrame:
    """Two ladders: FIENet's with gains of 1, 2 and 3 points, DALNet's, with a split, with a loss of 40."""
    rows = [("fienet", "baseline", pd.NA, seed, 0.5 + 0.1 * seed) for seed in (0, 1, 2)]
    rows += [("fienet", "+ PFAM", pd.NA, seed, 0.51 + 0.11 * seed) for seed in (0, 1, 2)]
    rows += [
        ("dalnet", name, 1, seed, score) for name, score in (("first", 0.7), ("second", 0.3)) for seed in (0, 1, 2)
    ]
    return pd.DataFrame(rows, columns=["ladder", "variant", "split", "seed", "mAP"]).astype({"split": "Int64"})


@pytest.fixture
def points() -> pd.DataFrame:
    """Two curves of MAUM with the recipe in both, one of DALNet; a seed that is better to all by ten points."""
    rows = []
    for curve, weight, usual, split, values in (
        ("maum", "proxies", 1.0, pd.NA, {0.1: (0.40, 0.50), 1.0: (0.42, 0.52), 3.0: (0.44, 0.53)}),
        ("maum", "triplet", 1.0, pd.NA, {0.0: (0.30, 0.40), 1.0: (0.42, 0.52)}),
        ("dalnet", "λ1", 0.05, 2, {0.05: (0.6, 0.7), 0.2: (0.61, 0.69)}),
    ):
        for value, scores in values.items():
            rows += [(curve, weight, value, usual, split, seed, score) for seed, score in enumerate(scores)]
    columns = ["curve", "weight", "value", "usual", "split", "seed", "mAP"]
    return pd.DataFrame(rows, columns=columns).astype({"split": "Int64"})


def test_ladders_are_differences_of_the_same_seed_each_on_its_scale(rungs):
    figure = plots.ladders(rungs, "caption")
    fienet, dalnet = figure.axes
    assert fienet.get_xlim()[1] < 10 < 40 < dalnet.get_xlim()[1]
    assert [axis.get_title() for axis in figure.axes] == ["FIENet: 3 runs a rung", "DALNet: 3 runs a rung"]
    assert [label.get_text() for label in fienet.get_yticklabels()] == ["baseline", "+ PFAM"]
    (bar,) = bars(fienet)
    assert bar.lines[0].get_xdata().tolist() == pytest.approx([2])
    low, high = bar.lines[2][0].get_segments()[0][:, 0]
    assert (high - low) / 2 == pytest.approx(half_width([1, 2, 3])) and high < fienet.get_xlim()[1]
    assert sorted(fienet.collections[-1].get_offsets()[:, 0]) == pytest.approx([1, 2, 3])


def test_a_rung_beyond_the_scale_is_an_arrow_with_its_number(rungs):
    small = [rungs[rungs["ladder"] == "dalnet"].replace({"variant": {"second": name}}) for name in ("third", "fourth")]
    small = [each.assign(mAP=0.7 - 0.01 * (each["variant"] != "first")) for each in small]
    table = pd.concat([rungs, *(each[each["variant"] != "first"] for each in small)])
    figure = plots.ladders(table, "caption")
    dalnet = figure.axes[1]
    assert dalnet.get_xlim()[1] < 10
    assert [text.get_text() for text in dalnet.texts] == ["−40.0 ± 0.0"] and len(bars(dalnet)) == 2
    assert "beyond" in figure.get_supxlabel()


def test_ladders_of_two_seeds_have_no_intervals(rungs):
    figure = plots.ladders(rungs[(rungs["seed"] < 2) & (rungs["ladder"] == "fienet")], "caption")
    assert not bars(figure.axes[0])[0].has_xerr and "interval" not in figure.get_supxlabel()
    assert "beyond" not in figure.get_supxlabel()


def test_settings_are_counted_once_and_the_recipe_comes_first(points):
    scores = plots.scores_by_seed(points)
    assert list(scores) == ["maum", "dalnet"]
    assert scores["maum"].index.tolist() == ["as in the recipe", "proxies 0.1", "proxies 3", "triplet 0"]
    assert scores["maum"].to_numpy().tolist() == [
        pytest.approx(row) for row in ([42, 52], [40, 50], [44, 53], [30, 40])
    ]
    assert scores["dalnet"].columns.tolist() == ["split 2, seed 0", "split 2, seed 1"]
    assert plots.scores_by_seed(points.iloc[:0]) == {}


def test_only_seeds_that_all_curves_have_count(points):
    third = points[points["weight"] == "proxies"].query("seed == 0").assign(seed=2)
    scores = plots.scores_by_seed(pd.concat([points, third]))
    assert scores["maum"].shape == (4, 2)


def test_weight_curves_have_a_row_a_method_and_one_spread(points):
    figure = plots.weight_curves(points, "caption")
    proxies, triplet, dalnet, hidden = figure.axes
    assert not hidden.get_visible() and "interval" in figure.get_supxlabel()
    assert [axis.get_xlabel() for axis in (proxies, triplet, dalnet)] == ["proxies", "triplet", "λ1"]
    assert [label.get_text() for label in proxies.get_xticklabels()] == ["0.1", "1", "3"]
    expected = uncertainty.pooled([plots.scores_by_seed(points)["maum"]]).half_width(2)
    for axis, means in ((proxies, [45, 47, 48.5]), (triplet, [35, 47])):
        (bar,) = bars(axis)
        assert bar.lines[0].get_ydata().tolist() == pytest.approx(means)
        for segment in bar.lines[2][0].get_segments():
            assert np.ptp(segment[:, 1]) / 2 == pytest.approx(expected)
    assert proxies.lines[0].get_xdata() == [1, 1], "the recipe's value is the second of three"


def test_curves_of_one_seed_have_no_bars(points):
    figure = plots.weight_curves(points[points["seed"] == 0], "caption")
    assert not bars(figure.axes[0])[0].has_yerr and "interval" not in figure.get_supxlabel()


def test_two_seeds_are_gains_over_the_recipe(points):
    table = plots.two_seeds(points)
    assert table["change"].tolist() == ["proxies 0.1", "proxies 3", "triplet 0", "λ1 0.2"]
    assert table[["first", "second"]].to_numpy().ravel() == pytest.approx([-2, -2, 2, 1, -12, -12, 1, -1])
    assert plots.two_seeds(points[points["seed"] == 0]).empty and plots.two_seeds(points.iloc[:0]).empty


def test_seed_agreement_counts_signs_and_keeps_points_in_sight(points):
    figure = plots.seed_agreement(plots.two_seeds(points), "caption")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "MAUM: 3 of 3 agree in sign",
        "DALNet: 0 of 1 agree in sign",
    ]
    (axis,) = figure.axes
    drawn = np.concatenate([collection.get_offsets() for collection in axis.collections[2:]])
    assert drawn.min() == pytest.approx(-6) and axis.get_xlim()[0] < -6, (
        "three times the median; −12 stands at the edge"
    )


def test_captions_of_several_protocols_follow_one_another():
    rows = pd.DataFrame({"dataset": ["sysu", "pku-sketch"], "source": "twin 1", "profile": "cpu", "seed": [0, 1]})
    rows = rows.assign(protocol=["a", "b"], split=pd.array([pd.NA, 3], dtype="Int64"))
    found = plots.ledger_captions(rows)
    assert found == " · ".join(plots.ledger_caption(rows.iloc[[row]]) for row in (0, 1)) and "split 3" in found
