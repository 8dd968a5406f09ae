"""Figures of DALNet draw what their tables hold."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.quiver import Quiver

from reidlib import data, plots
from reidlib.app import figures
from reidlib.data import ReIDDataset
from reidlib.methods import dalnet

SIZE = (32, 16)


@pytest.fixture(scope="module")
def sketches(twin) -> ReIDDataset:
    return data.open("pku-sketch", root=twin("pku-sketch"), split=1)


@pytest.fixture
def drawn(sketches: ReIDDataset) -> pd.DataFrame:
    """Two photos at two stages: a mask of the upper half, edges of 0.25, and an auxiliary image that gets darker."""
    mask, edges = np.zeros((2, *SIZE)), np.full((2, *SIZE), 0.25)
    mask[:, : SIZE[0] // 2] = 1
    stages = {
        name: {"photo": None, "mask": mask, "edges": edges, "auxiliary": np.full((2, *SIZE), value)}
        for name, value in (("start", 0.8), ("epoch 3", 0.4))
    }
    photos, others = sketches.rows("test", modality=0)[:2], sketches.rows("test", modality=1)[-2:]
    return dalnet.plots.generation_table(sketches, photos, others, stages)


def test_the_diagram_has_three_stems_and_both_kinds_of_features():
    axis = dalnet.plots.dalnet_diagram().axes[0]
    texts = [text.get_text() for text in axis.texts]
    assert len(axis.patches) == 14 and sum("stem" in text for text in texts) == 3
    assert sum("circle loss" in text for text in texts) == 2


def test_the_idea_has_two_modalities_apart_and_a_third_between_them():
    problem, answer = dalnet.plots.dalnet_motivation().axes
    assert len(problem.patches) == 2, "a spread within each modality"
    for axis, modalities in ((problem, (0, 1)), (answer, (0, 1, 2))):
        people = [text.get_text() for text in axis.texts if text.get_text() in ("A", "B")]
        assert len(people) == len(modalities) * 2 * 3 == sum(len(each.get_offsets()) for each in axis.collections)
    across = [np.mean([place[0] for place in each.get_offsets()]) for each in answer.collections]
    photo, sketch, auxiliary = across[0], across[2], across[4]
    assert photo < auxiliary < sketch


def test_the_plane_has_arrows_downhill_and_dots_at_rest():
    grid = np.linspace(0, 1, 11)
    positive, negative = (each.ravel() for each in np.meshgrid(grid, grid, indexing="ij"))
    pulled = (positive < 0.5).astype(float)
    table = pd.DataFrame(
        {"loss": "half", "positive": positive, "negative": negative, "value": (0.5 - positive) * pulled}
    )
    table = table.assign(**{"d positive": -pulled, "d negative": 0.0})
    other = table.assign(loss="other", **{"d negative": 1.0, "d positive": 0.0})
    figure = dalnet.plots.cosine_plane(pd.concat([table, other]), "caption")
    assert [axis.get_title() for axis in figure.axes] == ["half", "other"]
    for axis, direction, resting in zip(figure.axes, ((0, 1), (-1, 0)), (True, False), strict=True):
        (arrows,) = (each for each in axis.collections if isinstance(each, Quiver))
        steps = np.column_stack([arrows.U, arrows.V])
        assert (steps @ direction > 0).all() and np.allclose(steps @ direction[::-1], 0)
        dots = next(each for each in axis.collections if isinstance(each, PathCollection)).get_offsets()
        assert (len(dots) > 0) == resting and (not resting or (dots[:, 1] >= 0.5).all())
    with pytest.raises(ValueError, match="lacks the column"):
        dalnet.plots.cosine_plane(table.drop(columns="value"), "caption")


@pytest.mark.integration
def test_a_row_a_photo_and_a_column_a_step(drawn: pd.DataFrame, sketches: ReIDDataset):
    figure = dalnet.plots.generation(drawn, sketches, "caption")
    columns = 3 + 2 * 3
    assert len(figure.axes) == 2 * columns
    titles = [axis.get_title(loc="left").split("\n") for axis in figure.axes[:columns]]
    steps = ["cleaned", "edges", "auxiliary"]
    assert [title[1] for title in titles] == ["photo", *steps, *steps, "sketch", "donor"]
    assert [title[0] for title in titles] == ["", "start", "", "", "epoch 3", "", "", "", ""]
    arrays = [axis.images[0].get_array() for axis in figure.axes]
    assert np.allclose(arrays[3], 0.8, atol=0.01) and np.allclose(arrays[6 + columns], 0.4, atol=0.01)
    cleaned = np.asarray(arrays[1])
    assert cleaned.shape == (*SIZE, 3) and (cleaned[SIZE[0] // 2 :] == 1).all() and cleaned[: SIZE[0] // 2].min() < 0.9
    own, donor = drawn[drawn["step"] == "sketch"], drawn[drawn["step"] == "donor"]
    assert (own["pid"].to_numpy() == drawn.loc[drawn["step"] == "photo", "pid"].to_numpy()).all()
    assert (own["modality"] == 1).all() and (donor["modality"] == 1).all()


@pytest.mark.integration
def test_drawings_are_drawn_again_without_a_model_or_a_tree(drawn, sketches, tmp_path, isolated_home):
    figure = dalnet.plots.generation(drawn, sketches, "caption")
    plots.save(figure, "drawings", tmp_path)
    again = figures.redraw("drawings", tmp_path)
    assert (tmp_path / "drawings.csv").stat().st_size < 20_000
    for axis, other in zip(figure.axes, again.axes, strict=True):
        assert axis.get_title(loc="left") == other.get_title(loc="left")
        np.testing.assert_allclose(axis.images[0].get_array(), other.images[0].get_array(), atol=2e-2)


@pytest.mark.integration
def test_what_is_no_picture_is_refused(drawn: pd.DataFrame, sketches: ReIDDataset):
    damaged = drawn.assign(picture=drawn["picture"].where(drawn["picture"].isna(), "aGVsbG8="))
    with pytest.raises(OSError, match="cannot identify image file"):
        dalnet.plots.generation(damaged, sketches, "caption")


def measured(**shares: float) -> pd.DataFrame:
    names = [*shares]
    records = [("dalnet", seed, name, shares[name] + 0.01 * seed) for seed in (0, 1, 2) for name in names]
    return pd.DataFrame(records, columns=["method", "seed", "name", "value"])


def bars(axis) -> dict[float, float]:
    found = [container.lines[0] for container in axis.containers if isinstance(container, ErrorbarContainer)]
    return {round(float(line.get_ydata()[0]), 2): float(line.get_xdata()[0]) for line in found}


def test_gradient_shares_stand_beside_chance():
    shares = {"photo": 0.3, "fixed XDoG": 0.4, "auxiliary": 0.8, "chance": 0.2}
    table = measured(**{f"gradient inside, {name}": share for name, share in shares.items()}, between=0.1)
    (axis,) = dalnet.plots.gradient_shares(table, "caption").axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["photo", "fixed XDoG", "auxiliary"]
    assert bars(axis) == pytest.approx({0: 31, 1: 41, 2: 81})
    dashed = [line for line in axis.lines if line.get_linestyle() == "--"]
    assert dashed[0].get_xdata()[0] == pytest.approx(21)
    with pytest.raises(ValueError, match="nothing to draw"):
        dalnet.plots.gradient_shares(measured(between=0.1), "caption")


def test_distances_of_strangers_are_hollow():
    values = {"sketch–photo": 0.5, "sketch–photo, different identities": 0.9, "sketch–auxiliary": 0.2, "photos": 100}
    figure = dalnet.plots.modality_distances(measured(**values), "caption")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["sketch–photo", "sketch–auxiliary"]
    hollow = [c.lines[0].get_markerfacecolor() == "white" for c in axis.containers if isinstance(c, ErrorbarContainer)]
    means = [c.lines[0].get_xdata()[0] for c in axis.containers if isinstance(c, ErrorbarContainer)]
    assert sorted(zip(means, hollow, strict=True)) == [
        (pytest.approx(0.21), False),
        (pytest.approx(0.51), False),
        (pytest.approx(0.91), True),
    ]
    assert "hollow" in figure.get_supxlabel() and "Student" in figure.get_supxlabel()
