"""Figures of retrieval show what their table says."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from reidlib import plots
from reidlib.plots import tables


@pytest.mark.integration
def test_ranked_strip_frames_right_and_wrong(dataset):
    table = dataset.frame.loc[dataset.rows("test")[:4], tables.WHO].reset_index(drop=True)
    table = table.assign(query=0, rank=range(4), correct=pd.array([None, True, False, True], dtype="boolean"))
    figure = plots.ranked_strip(table, dataset, "caption")
    shown = [axis for axis in figure.axes if axis.images]
    assert [axis.spines["left"].get_linestyle() == "-" for axis in shown[1:]] == [True, False, True]
    assert [axis.get_xlabel() for axis in shown] == ["", *(f"id {pid}" for pid in table["pid"][1:])]


@pytest.mark.integration
def test_a_ranked_strip_ends_with_the_true_match_and_its_rank(dataset):
    rows = dataset.rows("test")
    retrieval = SimpleNamespace(
        query_rows=rows[:2], gallery_rows=np.stack([rows[2:6], rows[2:6]]), first_match=np.array([4, 0]),
        distances=np.tile(np.arange(4.0), (2, 1)), correct=np.array([[False] * 3 + [True], [False] * 4]),
    )  # fmt: skip
    table = tables.ranked_list(dataset, retrieval, [0, 1], depth=2)
    table = plots.with_true_match(table, dataset, retrieval, [0, 1])
    assert table["rank"].tolist() == [0, 1, 2, 0, 1, 2, 3]
    last = table.iloc[-1]
    assert (last["place"], last["correct"], last["path"]) == (4, True, dataset.frame["path"].iloc[rows[5]])
    assert table["place"].notna().sum() == 1
    figure = plots.ranked_strip(table, dataset, "caption")
    assert [axis.get_title() for axis in figure.axes[:5]] == ["query", "", "1", "2", "true match"]
    assert figure.axes[4].get_xlabel().endswith(", rank 4")


def test_cmc_curves_are_means_over_trials_in_the_colour_of_the_method():
    table = pd.DataFrame({"model": "idkl", "rank": [1, 5] * 2, "trial": [0, 0, 1, 1], "cmc": [0.2, 0.4, 0.4, 0.6]})
    (line,) = plots.cmc_curves(table, "caption").axes[0].lines
    assert line.get_ydata().tolist() == pytest.approx([30, 50])
    assert (line.get_label(), line.get_color()) == ("IDKL", plots.colour("idkl"))


def test_distance_histograms_measure_their_overlap():
    values = np.linspace(0, 1, 600)
    table = tables.distances({"same": (values, values), "apart": (values / 4, 0.75 + values / 4)})
    figure = plots.distance_histograms(table, "caption")
    assert [axis.get_title() for axis in figure.axes] == ["same: overlap 1.00", "apart: overlap 0.00"]
    assert figure.axes[1].lines[0].get_xdata()[0] == pytest.approx(0.125)


def test_distance_histograms_name_the_pairs_as_the_table_does():
    values, kinds = np.linspace(0, 1, 60), ("centre and centre", "centre and proxy")
    table = tables.distances({"baseline": (values, values / 2)}, kinds=kinds)
    figure = plots.distance_histograms(table, "caption", "cosine")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(kinds)
    with pytest.raises(ValueError, match="two kinds"):
        plots.distance_histograms(table[table["pair"] == kinds[0]], "caption")


def test_embedding_map_shows_a_third_modality():
    table = pd.DataFrame({"pid": 1, "modality": [0, 1, 2, 2], "branch": "global", "x": range(4), "y": 0})
    figure = plots.embedding_map(table, "caption", modalities=("photo", "sketch", "auxiliary"))
    assert [len(points.get_offsets()) for points in figure.axes[0].collections] == [1, 1, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["photo", "sketch", "auxiliary"]
    with pytest.raises(ValueError, match="modality 2 has no name"):
        plots.embedding_map(table, "caption")


def test_affinity_parts_the_modalities():
    frame = pd.DataFrame({"pid": [1, 2, 1, 2, 1], "modality": [0, 0, 1, 1, 0]})
    table = tables.affinities({"a": np.eye(5), "b": np.ones((5, 5))}, frame)
    figure = plots.affinity(table, "caption", modalities=("photo", "sketch"))
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), np.eye(5))
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), np.ones((5, 5)))
    border = next(line for line in figure.axes[0].lines if line.get_color() == "white")
    assert border.get_ydata()[0] == 2.5
    assert [text.get_text() for text in figure.axes[0].texts] == ["photo", "photo", "sketch", "sketch"]
    four = plots.affinity(tables.affinities(dict.fromkeys("abcd", np.eye(5)), frame), "caption")
    assert [axis.get_title() for axis in four.axes[:4]] == list("abcd")
    assert len({round(axis.get_position().y0, 3) for axis in four.axes[:4]}) == 2  # two lines of panels


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_embedding_map_keeps_every_point(number):
    table = pd.DataFrame({"pid": np.arange(10) % 3, "modality": np.arange(10) % 2, "split": "test", "camid": 1})
    table[["x", "y"]] = np.random.default_rng(0).random((10, 2))
    table = pd.concat([table.assign(branch=f"b{n}") for n in range(number)])
    figure = plots.embedding_map(table, "caption")
    visible = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title() for axis in visible] == [f"b{n}" for n in range(number)]
    assert [sum(len(c.get_offsets()) for c in axis.collections) for axis in visible] == [10] * number
    assert "test identities" in figure.get_supxlabel().replace("\n", " ")
    circles, triangles = visible[0].collections
    np.testing.assert_array_equal(circles.get_offsets()[0], table[["x", "y"]].iloc[0])
    same = circles.get_facecolors()[3]  # row 6, as row 0 of identity 0
    np.testing.assert_array_equal(same, circles.get_facecolors()[0])
    assert len(np.unique(np.r_[circles.get_facecolors(), triangles.get_facecolors()], axis=0)) == 3


@pytest.mark.integration
def test_ranked_strip_names_the_model_beside_its_query(dataset):
    table = dataset.frame.loc[dataset.rows("test")[:2], tables.WHO].reset_index(drop=True)
    table = table.assign(query=0, rank=range(2), correct=pd.array([None, True], dtype="boolean"))
    plain, named = plots.ranked_strip(table, dataset, ""), plots.ranked_strip(table.assign(model="dalnet"), dataset, "")
    assert named.axes[0].get_ylabel() == f"DALNet\n{plain.axes[0].get_ylabel()}"
