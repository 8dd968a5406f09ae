import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import reidlib
from reidlib import plots

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def dataset(ci_twin):
    return reidlib.data.open("sysu", root=ci_twin)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def shown_images(figure: Figure) -> int:
    return sum(len(axis.images) for axis in figure.axes)


def test_identity_sheet_shows_each_camera_and_leaves_gaps_empty(dataset):
    frame = dataset.frame
    seen = frame.groupby("pid")["camid"].nunique()
    full, partial = int(seen.index[seen == 6][0]), int(seen.index[seen == 3][0])
    figure = plots.identity_sheet(dataset, [full, partial])
    assert shown_images(figure) == 6 + 3
    assert "synthetic twin" in figure.get_supxlabel()


def test_identity_sheet_chooses_test_identities_that_all_cameras_saw(dataset):
    figure = plots.identity_sheet(dataset)
    assert shown_images(figure) == len(figure.axes)


def test_truth_panel_shows_the_masks_of_its_rows(dataset):
    row = int(dataset.rows("test")[0])
    figure = plots.truth_panel(dataset, [row])
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), dataset.truth(row).person_mask)
    np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), dataset.truth(row).part_mask)


def test_counterfactuals_state_the_change():
    image = np.full((8, 4, 3), 100, np.uint8)
    figure = plots.counterfactuals({"unchanged": (image, image), "other": (image + np.uint8(3), image)})
    assert [figure.axes[i].get_xlabel() for i in (1, 3)] == ["3.0 levels", "no change"]


def test_camera_coverage_counts_identities(dataset):
    _, table = plots.camera_coverage(dataset)
    row = table[(table["split"] == "test") & (table["camid"] == 3)]
    frame = dataset.frame
    expected = frame[(frame["split"] == "test") & (frame["camid"] == 3)]["pid"].nunique()
    assert row["identities"].item() == expected


def test_part_tones_measure_each_test_identity(dataset):
    _, table = plots.part_tones(dataset, ["torso"])
    test = dataset.frame[dataset.frame["split"] == "test"]
    assert set(table["pid"]) <= set(test["pid"])
    assert len(table) > 0.8 * test["pid"].nunique()
    assert table[["visible", "infrared"]].to_numpy().min() >= 0


def test_modality_gap_orders_pairs_by_what_they_share(dataset):
    cache = dataset.images(64, 32, progress=False)
    _, table = plots.modality_gap(dataset, cache.array, pairs=300)
    median = table.set_index(["pair", "person"])["50%"]
    assert len(median) == 4
    assert median["same modality", "same person"] < median["across modalities", "different person"]


def test_training_batch_and_matcher_bars_draw_what_they_are_given():
    assert shown_images(plots.training_batch(np.zeros((6, 8, 4, 3)), ["a", "b"], 3, "caption")) == 6
    figure = plots.matcher_bars(pd.DataFrame({"matcher": ["x", "y"], "rank-1": [0.1, 0.2]}), 0.05, "caption")
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([10, 20])


def test_save_writes_the_figure_beside_its_numbers(isolated_home, tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_BUILD", str(tmp_path / "out"))
    figure, axis = plt.subplots()
    axis.plot([1, 2])
    path = plots.save(figure, "lines", pd.DataFrame({"x": [1.5], "y": ["a"]}))
    assert path == tmp_path / "out" / "figures" / "lines.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert Path(path.with_suffix(".csv")).read_text() == "x,y\n1.5,a\n"
    plots.save(figure, "lines", {"x": 1})
    assert json.loads(path.with_suffix(".json").read_text()) == {"x": 1}


def test_modalities_are_told_apart_without_colour():
    """Luminance of the two modality colours differs enough for grey print."""
    weights = np.array([0.299, 0.587, 0.114])
    luma = [weights @ matplotlib_rgb(colour) for colour in plots.MODALITY_COLOURS.values()]
    assert abs(luma[0] - luma[1]) > 0.05


def matplotlib_rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
