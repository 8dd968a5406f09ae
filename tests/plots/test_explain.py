"""Figures of explanations show the maps and scores of their table."""

import numpy as np
import pandas as pd
import pytest

from reidlib import plots
from reidlib.experiments.uncertainty import half_width
from reidlib.plots import explain, style, tables


@pytest.mark.integration
@pytest.mark.parametrize("panels", [1, 3])
def test_cam_panel_lays_each_map_over_its_image(dataset, panels):
    frame = dataset.frame.iloc[[dataset.rows("test", 0)[0], dataset.rows("test", 1)[0]]]
    maps = {f"p{n}": np.random.default_rng(n).random((2, 8, 4)) for n in range(panels)}
    table = tables.attention(frame, maps, {name: [0.5, 0.75] for name in maps})
    figure = plots.cam_panel(table, dataset, "caption", outline=True)
    axes = np.array(figure.axes[: 2 * (1 + panels)]).reshape(1 + panels, 2)
    assert [axis.get_title().split("\n")[1] for axis in axes[0]] == ["visible", "infrared"]
    assert [axis.get_xlabel() for axis in axes[1]] == ["50 % inside", "75 % inside"]
    assert all(len(axis.collections) == 1 for axis in axes[1:].flat)  # the outline
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ["", *maps]


def test_a_bright_place_of_the_map_is_bright_over_the_image():
    values = np.zeros((8, 4), np.float32)
    values[1, 1] = 1
    shown = explain._overlaid(np.full((64, 32, 3), 100, np.uint8), values).sum(2)
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    assert (row // 8, column // 8) == (1, 1)
    assert 0 <= shown.min() < shown.max() <= 3


def test_probe_scores_have_a_panel_a_score_and_mark_chance():
    rows = [("shared", "hair", "categorical", 0.5, 0.1, 0.2), ("specific", "hair", "categorical", 0.7, 0.1, 0.2)]
    rows += [("shared", "identity", "identity", 0.9, 0.0, 0.5), ("shared", "height", "continuous", 0.3, 0.1, 0.0)]
    rows += [("shared", "top_hue", "circular", 0.2, 0.1, 0.0), ("shared", "hat", "too few identities", *[np.nan] * 3)]
    table = pd.DataFrame(rows, columns=["branch", "factor", "kind", "score", "std", "chance"])
    figure = plots.probe_scores(table, "caption")
    assert [axis.get_title() for axis in figure.axes] == ["balanced accuracy", "R²"]
    labels = [[label.get_text() for label in axis.get_yticklabels()] for axis in figure.axes]
    assert labels == [["hair", "identity"], ["height", "top hue"]]
    accuracy = figure.axes[0]
    chance = [segment[0, 0] for segment in accuracy.collections[0].get_segments()]
    assert chance == [0.2, 0.5]
    shared, specific = (container.lines[0].get_xdata().astype(float) for container in accuracy.containers)
    np.testing.assert_array_equal(shared, [0.5, 0.9])
    np.testing.assert_array_equal(specific, [0.7, np.nan])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["shared", "specific"]
    with pytest.raises(ValueError, match="no rows"):
        plots.probe_scores(table[table["factor"] == "hat"], "caption")


def test_shuffled_probes_are_ticks_beside_the_scores():
    table = pd.DataFrame({"branch": ["shared"], "factor": "hair", "kind": "categorical", "score": 0.5, "std": 0.1})
    figure = plots.probe_scores(table.assign(chance=0.2, shuffled=0.22), "caption")
    (tick,) = [line for line in figure.axes[0].lines if line.get_marker() == "|" and line.get_alpha()]  # not a cap
    assert tick.get_xdata().tolist() == [0.22]
    assert "shuffled" in figure.get_supxlabel()


def test_localisation_averages_persons_and_shows_controls_once_in_grey():
    of = {"pid": [1, 1, 2], "row": [0, 1, 2], "energy": [0.2, 0.4, 0.7], "pointing": [1.0, 0.0, np.nan], "parts": 0.5}
    maps = [pd.DataFrame(of).assign(map=name) for name in ("uniform", "shared", "uniform", "specific")]
    figure = plots.localisation(pd.concat(maps), "caption")
    energy, pointing, _ = figure.axes
    assert [label.get_text() for label in energy.get_yticklabels()] == ["shared", "specific", "uniform"]
    assert [bar.lines[0].get_xdata()[0] for bar in energy.containers] == pytest.approx([50] * 3)
    assert [bar.lines[0].get_xdata()[0] for bar in pointing.containers] == pytest.approx([50] * 3)
    low, high = energy.containers[0].lines[2][0].get_segments()[0][:, 0]
    assert (high - low) / 2 == pytest.approx(100 * half_width([0.3, 0.7]))
    colours = [bar.lines[0].get_color() for bar in energy.containers]
    assert colours == [plots.BRANCH_COLOURS["shared"], plots.BRANCH_COLOURS["specific"], style.NEUTRAL]


def test_localisation_compares_maps_over_the_same_images():
    """Where one map is empty, the others do not count either: it may be the image that is hard."""
    of = {"pid": [1, 2, 3], "row": [0, 1, 2], "pointing": 1.0, "parts": 0.5}
    shared, specific = {"energy": [0.2, 0.4, 0.9]}, {"energy": [0.2, 0.4, np.nan]}
    maps = [pd.DataFrame(of | {"map": "shared"} | shared), pd.DataFrame(of | {"map": "specific"} | specific)]
    figure = plots.localisation(pd.concat(maps), "caption")
    assert [bar.lines[0].get_xdata()[0] for bar in figure.axes[0].containers] == pytest.approx([30, 30])
    assert "1 of 3 images left out" in figure.get_supxlabel().replace("\n", " ")
    with pytest.raises(ValueError, match="at least one map is empty"):
        plots.localisation(pd.concat(maps).assign(energy=np.nan), "caption")
