"""Figures of branches, of regions and of failures draw what their tables hold."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from reidlib import plots
from reidlib.experiments.uncertainty import half_width
from reidlib.explain import CUES
from reidlib.explain.regions import REGIONS


def bars(axis) -> dict[str, ErrorbarContainer]:
    return {each.get_label(): each for each in axis.containers if isinstance(each, ErrorbarContainer)}


def middles(container: ErrorbarContainer) -> np.ndarray:
    return np.asarray(container.lines[0].get_xdata(orig=False), float)


def ends(container: ErrorbarContainer) -> np.ndarray:
    return np.array([segment[:, 0] for segment in container.lines[2][0].get_segments()])


def test_the_diagram_shows_every_branch_of_every_method():
    axis = plots.branches_diagram(["baseline\nMAUM\nFIENet", "IDKL", "DALNet"]).axes[0]
    texts = " ".join(text.get_text() for text in axis.texts)
    for word in ("baseline", "MAUM", "FIENet", "IDKL", "DALNet", "shared", "specific", "purified", "auxiliary"):
        assert word in texts


@pytest.fixture
def strengths() -> pd.DataFrame:
    records = [
        (method, seed, branch, cue, 0.1 * number + 0.2 * (branch == "specific") + 0.02 * seed)
        for method, branches in (("baseline", ("shared", "specific")), ("idkl", ("shared", "specific", "purified")))
        for branch, seed in itertools.product(branches, (0, 1))
        for number, cue in enumerate(["hue", "texture", "modality"])
        if (branch, cue) != ("purified", "hue")
    ]
    return pd.DataFrame(records, columns=["method", "seed", "branch", "cue", "strength"])


def test_cues_are_means_over_seeds_by_method_and_branch(strengths):
    figure = plots.cues(strengths, "caption")
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["hue", "texture", "modality"]
    columns = [label.get_text() for label in axis.get_xticklabels()]
    assert columns == ["shared", "specific", "shared", "specific", "purified"]
    values = np.ma.filled(axis.images[0].get_array(), np.nan)
    expected = [[1, 21, 1, 21, np.nan], [11, 31, 11, 31, 11], [21, 41, 21, 41, 21]]
    np.testing.assert_allclose(values, expected, atol=1e-9)
    written = [text.get_text() for text in axis.texts]
    assert {"baseline", "IDKL"} <= set(written) and written.count("21") == 5 and len(written) == 14 + 2
    assert "mean over seeds" in figure.get_supxlabel()
    assert "mean over seeds" not in plots.cues(strengths[strengths["seed"] == 0], "caption").get_supxlabel()


def test_cues_of_methods_that_take_turns_stand_together(strengths):
    mixed = strengths.sort_values(["cue", "branch"], kind="stable")
    columns = [label.get_text() for label in plots.cues(mixed, "caption").axes[0].get_xticklabels()]
    assert sorted(columns[:2]) == ["shared", "specific"] and len(columns) == 5


def test_drops_are_means_over_people_beside_those_of_strangers():
    records = [
        (kind, pid, region, 0.1, value + pid / 10, np.nan if region == "bag" else value, 0.3)
        for kind, value in (("match", 0.2), ("nearest stranger", 0.1))
        for pid in (0, 0, 1, 3)  # the first person comes twice and counts once
        for region in ("head", "bag")
    ]
    columns = ["kind", "pid", "region", "query area", "query hidden", "gallery hidden", "both hidden"]
    figure = plots.region_drops(pd.DataFrame(records, columns=columns), "caption")
    in_query, in_gallery, in_both = figure.axes
    assert [label.get_text() for label in in_query.get_yticklabels()] == ["head (10 %)", "bag (10 %)"]
    match = bars(in_query)["match"]
    np.testing.assert_allclose(middles(match), 0.2 + 0.4 / 3)
    half = half_width([0.2, 0.3, 0.5])
    np.testing.assert_allclose(ends(match)[0], [0.2 + 0.4 / 3 - half, 0.2 + 0.4 / 3 + half])
    np.testing.assert_allclose(middles(bars(in_gallery)["nearest stranger"]), [0.1, np.nan])
    np.testing.assert_allclose(middles(bars(in_both)["match"]), [0.3, 0.3])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["match", "nearest stranger"]


def test_failures_are_differences_with_their_intervals():
    records = [
        (model, condition, level, people, 0.5, shift + difference, shift + difference - 0.05, shift + difference + 0.1)
        for model, shift in (("baseline", 0.0), ("idkl", 0.02))
        for condition, level, people, difference in (
            ("hat", "none", 8, -0.1),
            ("hat", "hat", 6, 0.1),
            ("bag", "x", 9, 0),
        )
    ]
    columns = ["model", "condition", "level", "people", "missed", "difference", "low", "high"]
    table = pd.DataFrame(records, columns=columns)
    table.loc[table["level"] == "x", ["difference", "low", "high"]] = np.nan
    axis = plots.failure_conditions(table, "caption").axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["hat: none", "hat: hat"]
    idkl = bars(axis)["IDKL"]
    np.testing.assert_allclose(middles(idkl), [-8, 12])
    np.testing.assert_allclose(ends(idkl), [[-13, 2], [7, 22]])
    with pytest.raises(ValueError, match="no rows"):
        plots.failure_conditions(table[table["level"] == "x"], "caption")


def test_tables_of_the_explanations_fit(tmp_path):
    """Every cue and region of the library has its row, and the figures can be saved."""
    records = [("baseline", 0, "shared", cue, 0.5) for cue in CUES]
    figure = plots.cues(pd.DataFrame(records, columns=["method", "seed", "branch", "cue", "strength"]), "caption")
    assert len(figure.axes[0].get_yticks()) == len(CUES)
    records = [("match", 1, region, 0.1, 0.0, 0.0, 0.0) for region in REGIONS]
    columns = ["kind", "pid", "region", "query area", "query hidden", "gallery hidden", "both hidden"]
    figure = plots.region_drops(pd.DataFrame(records, columns=columns), "caption")
    assert plots.save(figure, "drops", tmp_path).exists()


def test_stage_curves_draw_a_line_a_network_and_chance():
    records = [
        (network, depth, question, value + 0.1 * place, 0.5)
        for network, value in (("baseline", 0.2), ("random weights", 0.4))
        for place, depth in enumerate(["stem", "stage 1", "test feature"])
        for question in ("modality", "identity")
        if (network, depth) != ("random weights", "test feature")
    ]
    table = pd.DataFrame(records, columns=["network", "depth", "question", "score", "chance"])
    first, second = plots.stage_curves(table, "caption").axes
    assert [axis.get_title() for axis in (first, second)] == ["modality", "identity"]
    chance, trained, control = first.lines[0], *(each.lines[0] for each in first.containers)
    assert chance.get_ydata()[0] == 50 and chance.get_linestyle() == "--"
    np.testing.assert_allclose(np.asarray(trained.get_ydata(orig=False), float), [20, 30, 40])
    np.testing.assert_allclose(np.asarray(control.get_ydata(orig=False), float), [40, 50])
    assert (trained.get_color(), control.get_color()) == (plots.colour("baseline"), plots.style.NEUTRAL)
    assert [label.get_text() for label in first.get_xticklabels()] == ["stem", "1", "test feature"]
