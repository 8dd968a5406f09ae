"""Figures of MAUM draw what their tables hold."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from reidlib import plots
from reidlib.methods import maum
from reidlib.methods.maum.toy import relay_toy
from reidlib.plots import drawing


@pytest.fixture(scope="module")
def toys():
    stages = ("shared proxy", "+ memory")
    toys = [relay_toy(stage, steps=4, shown=(0, 4), memory_interval=2) for stage in stages]
    return tuple(pd.concat(tables, ignore_index=True) for tables in zip(*toys, strict=True))


def test_the_diagram_has_both_pulls_across():
    axis = maum.plots.maum_diagram().axes[0]
    assert len(axis.patches) == 9
    dashed = [
        text for text in axis.texts if text.get_text() == "" and text.arrow_patch.get_linestyle() not in ("-", "solid")
    ]
    assert len(dashed) == 2


def test_the_toy_has_a_panel_for_every_stage_and_step(toys):
    points, _ = toys
    figure = maum.plots.relay_toy(points, "caption")
    assert len(figure.axes) == 4
    first = points.query("stage == 'shared proxy' and step == 0")
    title = f"step 0 · cosine {first['cosine'].iloc[0]:.2f}".replace("-", "−")
    assert figure.axes[0].get_title() == title
    lines = [np.stack(line.get_data(), axis=1) for line in figure.axes[0].lines if line.get_marker() in "o^"]
    drawn = np.concatenate(lines)
    images = first[first["kind"] == "image"]
    np.testing.assert_allclose(drawn, images[["longitude", "latitude"]])
    proxies = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert [line.get_ydata()[0] for line in proxies] == first.query("kind == 'proxy'")["latitude"].tolist()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "shared proxy" in labels and "proxy in memory" in labels


def test_arrows_lead_to_the_proxies_that_pull(toys):
    points, _ = toys
    shared, *_, memory = maum.plots.relay_toy(points[points["step"] == 0], "caption").axes

    def dashed(axis):
        return [text.arrow_patch.get_linestyle() != "-" for text in axis.texts]

    assert dashed(shared) == [False] * 6  # three identities, two modalities
    assert sorted(dashed(memory)) == [False] * 6 + [True] * 6


def test_relay_scores_put_different_people_into_the_same_row():
    name, way = "visible–infrared centres", "by way of the proxies"
    rows = ((f"{name}, different people", 0.0), (way, 0.4), ("relay gap", 0.1), ("people", 395))
    records = [
        (method, seed, label, value + 0.01 * seed)
        for method, mean in (("baseline", 0.5), ("maum", 0.7))
        for seed in (0, 1, 2)
        for label, value in ((name, mean), *rows)
    ]
    table = pd.DataFrame(records, columns=["method", "seed", "name", "value"])
    figure = maum.plots.relay_scores(table, "caption")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == [name, way, "relay gap"]
    bars = [container for container in axis.containers if isinstance(container, ErrorbarContainer)]
    means = sorted((round(bar.lines[0].get_ydata()[0]), bar.lines[0].get_xdata()[0]) for bar in bars)
    assert [row for row, _ in means] == [0, 0, 0, 0, 1, 1, 2, 2]
    assert [mean for _, mean in means] == pytest.approx([0.01, 0.01, 0.51, 0.71, 0.41, 0.41, 0.11, 0.11])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["baseline", "MAUM"]
    assert "hollow" in figure.get_supxlabel()


def test_drift_is_a_mean_over_identities_at_each_age():
    table = pd.DataFrame({"modality": [0, 0, 0, 0, 1], "age": [1, 1, 34, 34, 1], "cosine": [1, 0.8, 0.6, 0.4, 0.7]})
    (axis,) = maum.plots.proxy_drift(table, "caption").axes
    assert [line.get_xdata().tolist() for line in axis.lines] == [[1, 34], [1]]
    assert axis.lines[0].get_ydata().tolist() == pytest.approx([0.9, 0.5])


@pytest.fixture
def thinned():
    records = [
        (method, seed, kind, share, full * share + 0.01 * seed * (share == 1))
        for method, full in (("baseline", 0.5), ("maum", 0.4))
        for seed in (0, 1)
        for kind in ("visible images", "infrared images")
        for share in (1.0, 0.5, 0.25)
    ]
    return pd.DataFrame(records, columns=["method", "seed", "thinned", "share", "mAP"])


def test_imbalance_shows_scores_and_what_is_lost_of_the_full_one(thinned):
    figure = maum.plots.imbalance(thinned, "caption")
    score, _, lost, _ = figure.axes
    assert score.lines[0].get_xdata().tolist() == [0.25, 0.5, 1]
    assert score.lines[0].get_ydata().tolist() == pytest.approx([12.5, 25, 50.5])
    full = np.array([50, 51])
    expected = [(100 - 1250 / full).mean(), (100 - 2500 / full).mean(), 0.0]
    assert lost.lines[0].get_ydata().tolist() == pytest.approx(expected)
    assert [label.get_text() for label in lost.get_xticklabels()] == ["1/4", "1/2", "all"]


def test_imbalance_needs_a_full_run_beside_every_thinned_one(thinned):
    lacking = thinned[(thinned["share"] < 1) | (thinned["method"] == "maum")]
    with pytest.raises(ValueError, match="no run with all images beside baseline, infrared images, 0"):
        maum.plots.imbalance(lacking, "caption")


def test_the_toy_is_drawn_again_from_what_was_saved(toys, tmp_path):
    plots.save(maum.plots.relay_toy(toys[0], "caption"), "toy", tmp_path)
    origin = drawing.read_origin("toy", tmp_path)
    again = drawing.drawings()[origin.function](origin.table, **origin.arguments)
    assert len(again.axes) == 4


def test_thinned_runs_are_put_beside_those_with_all_images():
    def recipe(modality=None, images=1.0, identities=1.0):
        subsample = SimpleNamespace(modality=modality, images=images, identities=identities)
        return SimpleNamespace(subsample=None if modality is None else subsample)

    recipes = {"all": recipe(), "visible 1/2": recipe(0, 0.5), "infrared 1/4 of people": recipe(1, identities=0.25)}
    rows = pd.DataFrame({"variant": ["all", "visible 1/2", "infrared 1/4 of people"], "method": "maum", "seed": 0})
    table = maum.plots.imbalance_table(rows.assign(mAP=[0.4, 0.3, 0.2]), recipes)
    found = {tuple(record) for record in table.itertuples(index=False)}
    assert found == {
        ("maum", 0, "visible images", 1.0, 0.4),
        ("maum", 0, "visible images", 0.5, 0.3),
        ("maum", 0, "infrared identities", 1.0, 0.4),
        ("maum", 0, "infrared identities", 0.25, 0.2),
    }


def _dashed(axis):
    arrows = [text.arrow_patch for text in axis.texts if getattr(text, "arrow_patch", None)]
    return [arrow.get_linestyle() not in ("-", "solid") for arrow in arrows]


def test_the_relay_is_twice_as_wide_as_what_is_near_enough():
    relay, apart, across, remembered = maum.plots.relay_geometry(cosine=0.5).axes  # near enough: 60°
    words = [[text.get_text() for text in axis.texts] for axis in (relay, apart, across)]
    assert words[0].count("60°") == 2 and "120°" in words[0]
    assert "any angle" in words[1] and "60°" in words[2]
    assert _dashed(relay) == [False, False] and _dashed(apart) == []
    assert _dashed(across) == [True, True] and _dashed(remembered) == [True] * 3


def test_images_and_proxies_of_the_drawing_lie_where_it_says():
    relay, _, across, _ = maum.plots.relay_geometry(cosine=0.5).axes

    def degrees(axis, marker):
        lines = [np.stack(line.get_data(), axis=1) for line in axis.lines if line.get_marker() == marker]
        return sorted(round(float(np.degrees(np.arctan2(*points.mean(0))))) for points in lines if points.any())

    visible, infrared = (degrees(relay, marker)[0] for marker in "o^")
    assert (visible, infrared) == pytest.approx((-60, 60), abs=2) and degrees(relay, "D") == [0]
    assert degrees(across, "D") == [-30, 30]


@pytest.mark.parametrize("cosine", [0, 1, -0.5, 2])
def test_near_enough_is_a_cosine_between_0_and_1(cosine):
    with pytest.raises(ValueError, match=f"between 0 and 1, not {cosine}"):
        maum.plots.relay_geometry(cosine=cosine)
