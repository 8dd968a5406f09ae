"""Figures of a data set show what their table says."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from reidlib import plots
from reidlib.data.dataset import Reader
from reidlib.plots.photos import Photos

WIDTH, HEIGHT = 8, 16


def shown_images(figure: Figure) -> int:
    return sum(len(axis.images) for axis in figure.axes)


@pytest.fixture
def sketches(tmp_path) -> Photos:
    """Ten grey images of a set of photos and sketches; the grey level is ten times the number of the image."""
    for number in range(10):
        Image.new("RGB", (WIDTH, HEIGHT), (10 * number,) * 3).save(tmp_path / f"{number}.png")
    return Photos("sketches", tmp_path, Reader("Sketches", None, None, modalities=("photo", "sketch")))


@pytest.mark.parametrize("nameless", ["", np.nan])  # as it is made, and as it is read from a file
def test_few_places_put_identities_in_columns(sketches, nameless):
    table = pd.DataFrame({"path": [f"{n}.png" for n in range(5)], "pid": [7, 7, 9, 9, 3], "camid": 1})
    table = table.assign(modality=[0, 1, 0, 1, 0], view=nameless, place=[0, 1, 0, 1, 0])
    figure = plots.sheet(table, sketches, "caption")
    assert [axis.get_title() for axis in figure.axes[:3]] == ["id 7", "id 9", "id 3"]
    assert [figure.axes[position].get_ylabel() for position in (0, 3)] == ["photo", "sketch"]
    shown = [axis.images[0].get_array()[0, 0, 0] if axis.images else None for axis in figure.axes]
    assert shown == [0, 20, 40, 10, 30, None]


def test_many_places_put_identities_in_rows(sketches):
    table = pd.DataFrame({"path": [f"{n}.png" for n in range(6)], "pid": 7, "camid": 1})
    table = table.assign(modality=[0, 0, 0, 1, 1, 1], view="ABCDEF", place=range(6))
    table["view"] = [f"artist {name}" for name in "ABCDEF"]
    figure = plots.sheet(table, sketches, "caption")
    assert [axis.get_title() for axis in figure.axes][2:4] == ["artist C\nphoto", "artist D\nsketch"]
    assert figure.axes[0].get_ylabel() == "id 7"
    assert figure.axes[3].title.get_color() == plots.MODALITY_COLOURS[1]


def test_views_that_differ_in_a_row_are_named_below_the_images(sketches):
    table = pd.DataFrame({"path": [f"{n}.png" for n in range(4)], "pid": [7, 7, 9, 9], "camid": 1})
    table = table.assign(modality=[0, 1] * 2, view=["camera 1", "artist a", "camera 1", "artist b"], place=[0, 1] * 2)
    figure = plots.sheet(table, sketches, "caption")
    assert [axis.get_ylabel() for axis in figure.axes] == ["camera 1\nphoto", "", "sketch", ""]
    assert [axis.get_xlabel() for axis in figure.axes] == ["", "", "artist a", "artist b"]


@pytest.mark.integration
def test_contact_sheet_of_a_data_set(dataset):
    seen = dataset.frame.groupby("pid")["camid"].nunique()
    full, partial = int(seen.index[seen == 6][0]), int(seen.index[seen == 3][0])
    figure = plots.contact_sheet(dataset, [full, partial])
    assert shown_images(figure) == 6 + 3
    assert "synthetic twin" in figure.get_supxlabel()
    figure = plots.contact_sheet(dataset)
    assert shown_images(figure) == len(figure.axes) == 36


@pytest.mark.integration
def test_truth_panel_shows_the_masks_of_its_rows(dataset):
    row = int(dataset.rows("test")[0])
    figure = plots.truth_panel(dataset.frame.iloc[[row]], dataset, "caption")
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), dataset.truth(row).person_mask)
    np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), dataset.truth(row).part_mask)


def test_counterfactuals_change_what_they_say():
    """Hue is nothing to an infrared camera, infrared albedo nothing to a visible one; the first changes stay."""
    changes = {
        "unchanged": {"hat": True},
        "hue": {"top": {"colour": [0.9, 0.1, 0.1], "second": [0.9, 0.1, 0.1]}},
        "infrared albedo": {"top": {"nir": 0.95, "nir_second": 0.95}},
        "again": {"hat": True},
    }
    figure = plots.counterfactuals(changes)
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert [label == "no change" for label in labels] == [False, False, True, True, False, True, False, True]
    assert labels[0] == labels[4] == ""


def test_camera_coverage_counts_identities(imageless):
    figure = plots.camera_coverage(imageless.summary(), "caption")
    assert [[bar.get_height() for bar in axis.patches] for axis in figure.axes] == [[2] * 6] * 2
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "2", "4", "5", "3", "6"]


def test_part_tones_have_a_panel_a_part():
    table = pd.DataFrame({"pid": [1, 2] * 2, "part": ["head"] * 2 + ["leg"] * 2, "visible": 1.0, "infrared": 2.0})
    table["visible"] += table["pid"]
    table["infrared"] += table["pid"]
    figure = plots.part_tones(table, "caption")
    assert [axis.get_title() for axis in figure.axes] == ["head (r = 1.00)", "leg (r = 1.00)"]


def test_training_batch_shows_augmented_images(sketches):
    table = pd.DataFrame({"path": [f"{n}.png" for n in range(8)], "pid": 1, "camid": 1, "modality": [0] * 4 + [1] * 4})
    off = {"flip": 0, "pad": 0}
    figure = plots.training_batch(table, sketches, "caption", (HEIGHT, WIDTH), off, per_row=4)
    levels = [255 * axis.images[0].get_array()[0, 0, 0] for axis in figure.axes]
    np.testing.assert_allclose(levels, np.arange(8) * 10, atol=0.1)
    assert [figure.axes[position].get_ylabel() for position in (0, 4)] == ["photo", "sketch"]

    on = off | {"erase": 1.0}
    pictures = [
        np.stack([axis.images[0].get_array() for axis in figure.axes])
        for figure in (
            plots.training_batch(table, sketches, "caption", (HEIGHT, WIDTH), on, seed) for seed in (0, 0, 1)
        )
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert np.abs(pictures[0] - pictures[2]).max() > 0.1


def test_matcher_bars_draw_per_cent():
    table = pd.DataFrame({"matcher": ["x", "y"], "rank-1": [0.1, 0.2], "chance": 0.05})
    figure = plots.matcher_bars(table, "caption")
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([10, 20])


def test_the_gap_draws_four_kinds_of_pairs_in_every_space():
    who = pd.DataFrame({"pid": [0, 0, 1, 1] * 4, "modality": [0, 1] * 8, "camid": np.arange(16)})
    points = np.random.default_rng(0).standard_normal((16, 3)) + 5 * who[["modality"]].to_numpy()
    table = plots.tables.gap({"pixels": points, "network": 2 * points}, who, pairs=20)
    figure = plots.modality_gap(table, "caption")
    assert [axis.get_title() for axis in figure.axes] == ["pixels", "network"]
    dashed = [patch.get_linestyle() for patch in figure.axes[0].patches if not patch.get_fill()]
    assert dashed == ["-", "-", "--", "--"]
    ticks = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert ticks[1] == pytest.approx(1) and min(ticks[2:]) > max(ticks[:2]), "across the modalities all is further"
    assert len(figure.legends[0].get_texts()) == 4
