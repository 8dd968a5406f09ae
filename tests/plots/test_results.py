"""Figures of training and retrieval draw what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from reidlib import data, plots
from reidlib.evaluation import protocols, retrieve, score


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.mark.integration
def test_ranked_strip_frames_right_and_wrong(ci_twin):
    dataset = data.open("sysu", root=ci_twin)
    protocol = protocols.get("sysu", num_trials=1)
    features = np.random.default_rng(0).standard_normal((len(dataset.rows("test")), 8))
    retrieval = retrieve(features, dataset, protocol)
    query = int(np.flatnonzero(retrieval.correct[:, :4].any(1) & ~retrieval.correct[:, :4].all(1))[0])
    figure = plots.ranked_strip(dataset, retrieval, [query], "caption", depth=4)
    styles = [axis.spines["left"].get_linestyle() for axis in figure.axes[1:]]
    assert [style == "-" for style in styles] == retrieval.correct[query, :4].tolist()

    figure, table = plots.cmc_curves({"random": score(features, dataset, protocol)}, "caption")
    assert table["rank"].tolist() == [1, 5, 10, 20]
    assert table["cmc"].is_monotonic_increasing


def test_distance_histograms_measure_their_overlap():
    values = np.linspace(0, 1, 600)
    _, table = plots.distance_histograms(
        {"same": (values, values), "apart": (values / 4, 0.75 + values / 4)}, "caption"
    )
    assert table["overlap"].tolist() == pytest.approx([1, 0], abs=0.01)
    assert table["median same"].tolist() == pytest.approx([0.5, 0.125], abs=0.01)


def test_embedding_map_keeps_every_point():
    points = np.random.default_rng(0).random((10, 2))
    pids, modality = np.arange(10) % 3, np.arange(10) % 2
    figure, table = plots.embedding_map({"a": points, "b": points}, pids, modality, "caption")
    assert len(table) == 20
    assert sum(len(collection.get_offsets()) for collection in figure.axes[0].collections) == 10


def test_training_curves_show_terms_and_scores():
    history = pd.DataFrame(
        {
            "step": [1, 2, 3],
            "learning_rate": [0.1, 0.2, 0.1],
            "loss": [3.0, 2.0, 1.0],
            "loss.identity": [2.0, 1.5, 1.0],
            "loss.triplet": [1.0, 0.5, 0.0],
            "validation.rank-1": [np.nan, np.nan, 0.5],
            "validation.mAP": [np.nan, np.nan, 0.4],
        }
    )
    figure = plots.training_curves(history, "caption")
    assert [len(axis.lines) for axis in figure.axes] == [2, 2, 1]
    assert figure.axes[1].lines[0].get_ydata().tolist() == [50.0]
    plots.training_curves(history.drop(columns=["validation.rank-1", "validation.mAP"]), "caption")


def test_ingredient_bars_show_means_and_seeds():
    scores = pd.DataFrame(
        {"variant": ["full", "full", "less"], "seed": [0, 1, 0], "rank-1": [0.2, 0.4, 0.1], "mAP": [0.2, 0.2, 0.1]}
    )
    figure = plots.ingredient_bars(scores, "caption", reference="full")
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([30, 10])
    assert sum(len(collection.get_offsets()) for collection in figure.axes[0].collections) == 3


def test_diagrams_draw_every_box_and_arrow():
    boxes = {"a": ("A", 1.0, 1.0, "#000000"), "b": ("B", 3.0, 1.0, "#000000"), "c": ("C", 3.0, 2.0, "#000000")}
    figure = plots.boxes_and_arrows(boxes, [("a", "b"), ("b", "c")], (4.0, 3.0))
    assert len(figure.axes[0].patches) == 3
    assert [text.get_text() for text in figure.axes[0].texts] == ["A", "B", "C", "", ""]
