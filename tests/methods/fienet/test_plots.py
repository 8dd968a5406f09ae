"""Figures of FIENet draw what their tables hold."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.quiver import Quiver

from reidlib import methods, plots
from reidlib.explain import focus
from reidlib.methods import fienet
from reidlib.plots import drawing


@pytest.mark.parametrize("after", [False, True])
def test_the_diagram_takes_centres_where_it_is_told(after):
    figure = fienet.plots.fienet_diagram(center_after_neck=after)
    (axis,) = figure.axes
    assert len(axis.patches) == 16
    middle = {text.get_text(): text.get_position()[0] for text in axis.texts}
    assert middle["IGCL: centres\nof identities"] == middle["BNNeck" if after else "GeM pooling"]
    places = [text.get_position() for text in axis.texts if text.get_text()]
    assert len(set(places)) == len(places), "no two texts in one place"


@pytest.fixture(scope="module")
def sizes():
    tables = [
        fienet.explain.map_sizes(methods.build(name, num_ids=5, backbone="tiny"), 64, 32).assign(network=name)
        for name in ("fienet", "baseline")
    ]
    return pd.concat(tables, ignore_index=True)


def test_blocks_have_the_heights_of_the_maps(sizes):
    figure = fienet.plots.map_sizes(sizes, "caption")
    for axis, (_, part) in zip(figure.axes, sizes.groupby("network", sort=False), strict=True):
        assert len(axis.patches) == len(part)
        heights = [patch.get_height() for patch in axis.patches]
        expected = (part["height"] / 16).clip(lower=0.04)  # stems halve a side twice
        assert heights == pytest.approx(expected.tolist())
        texts = {text.get_text() for text in axis.texts}
        assert {"16\n16×8", "128\n4×2", "5", "GeM\n1"} <= texts
    first, second = figure.axes
    of_mpim = [text.get_text() for text in first.texts if text.get_text().startswith("MPIM")]
    number = sizes.loc[sizes["module"] == "MPIM", "parameters"].item()
    assert of_mpim == [f"MPIM\n{number / 1e3:.0f} k"]
    assert not any(text.get_text().startswith(("MPIM", "PFAM")) for text in second.texts)


def test_arrows_are_minus_the_gradients():
    table = fienet.explain.center_toy()
    figure = fienet.plots.center_losses(table, "caption")
    losses = table["loss"].unique()
    for axis, loss in zip(figure.axes, losses, strict=False):
        part = table[(table["loss"] == loss) & (table["kind"] == "image")]
        assert axis.get_title() == f"{loss}: loss {part['value'].iloc[0]:.2f}"
        (arrows,) = [artist for artist in axis.collections if isinstance(artist, Quiver)]
        moved = part[np.hypot(part["dx"], part["dy"]) > 1e-9]
        drawn = np.stack([arrows.U, arrows.V], axis=1)
        lengths = np.linalg.norm(drawn, axis=1)
        assert lengths.max() == pytest.approx(0.4) and len(drawn) == len(moved)
        given = moved[["dx", "dy"]].to_numpy(float)
        np.testing.assert_allclose(drawn, given * 0.4 / np.linalg.norm(given, axis=1).max())
        np.testing.assert_allclose(arrows.XY, moved[["x", "y"]].to_numpy(float))
    assert [axis.axison for axis in figure.axes] == [True] * 5 + [False]


@pytest.fixture
def measured():
    lines = []
    for number, method in enumerate(("baseline", "+ PFAM", "fienet")):
        for seed in (0, 1, 2):
            for m, modality in enumerate(("visible", "infrared")):
                for score in focus.SCORES:
                    for k, name in enumerate(focus.MAPS):
                        value = 0.2 + 0.1 * number + 0.05 * m + 0.02 * k
                        lines.append((method, seed, f"{score}, {name}, {modality}", value + seed / 100))
                        lines.append((method, seed, f"{score}, {name} of another image, {modality}", value - 0.1))
                    lines += [(method, seed, f"{score}, {name}, {modality}", 0.3) for name in focus.FIXED]
                lines += [(method, seed, f"images, {modality}", 64), (method, seed, f"cosine, {modality}", 0.5)]
    return pd.DataFrame(lines, columns=["method", "seed", "name", "value"])


def test_focus_has_a_row_for_every_method_and_control(measured):
    figure = plots.focus_scores(measured, "caption")
    axes = np.array(figure.axes).reshape(2, 3)
    names = [label.get_text() for label in axes[0, 0].get_yticklabels()]
    assert names == ["baseline", "+ PFAM", "FIENet", "centred Gaussian", "uniform"]
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ["Grad-CAM", "occlusion"]
    assert [axis.get_title() for axis in axes[0]] == ["energy on the person", "maximum on the person", "parts covered"]
    for (k, _), axis in np.ndenumerate(axes):
        marks = {}
        for bar in (container for container in axis.containers if isinstance(container, ErrorbarContainer)):
            (line, _, (ends,)) = bar
            (x,), (y,) = line.get_data()
            hollow = line.get_markerfacecolor() == "white"
            marks[round(float(y), 2), hollow] = x
            width = np.ptp(ends.get_segments()[0][:, 0])
            spread = round(y) < 3 and not hollow  # seeds 1 per cent apart: t · 1 / √3 = 2.48 on either side
            assert width == pytest.approx(2 * 2.484 if spread else 0, abs=0.01)
        assert marks[-0.13, False] == pytest.approx(21 + 2 * k)
        assert marks[2.13, False] == pytest.approx(46 + 2 * k)
        assert marks[1.13, True] == pytest.approx(25 + 2 * k)
        assert marks[3.87, False] == marks[3.13, False] == pytest.approx(30)
        assert len(marks) == 2 * (3 * 2 + 2)
    assert "hollow" in figure.get_supxlabel() and "interval" in figure.get_supxlabel()


def test_focus_of_one_seed_has_no_interval(measured):
    figure = plots.focus_scores(measured[measured["seed"] == 0], "caption")
    assert "interval" not in figure.get_supxlabel()
    with pytest.raises(ValueError, match="no rows"):
        plots.focus_scores(measured[measured["name"].str.startswith("images")], "caption")


def test_figures_are_drawn_again_from_what_was_saved(sizes, measured, tmp_path):
    figures = (
        fienet.plots.map_sizes(sizes, "a"),
        fienet.plots.center_losses(fienet.explain.center_toy(), "b"),
        plots.focus_scores(measured, "c"),
    )
    for number, figure in enumerate((fienet.plots.fienet_diagram(center_after_neck=True), *figures)):
        plots.save(figure, f"figure{number}", tmp_path)
        origin = drawing.read_origin(f"figure{number}", tmp_path)
        given = () if origin.table is None else (origin.table,)
        again = drawing.drawings()[origin.function](*given, **origin.arguments)
        assert len(again.axes) == len(figure.axes)


def test_the_cell_of_pfam_has_two_ways_that_start_at_zero():
    (axis,) = fienet.plots.pfam_cell().axes
    assert len([patch for patch in axis.patches if hasattr(patch, "get_boxstyle")]) == 10
    texts = [text.get_text() for text in axis.texts]
    assert texts.count("BN₀ 1×1\nstarts at zero") == 2
    assert {"G ⊙ L", "P: mean of 2×2\nlow × h/2 × w/2"} <= set(texts)


def test_the_branches_of_mpim_show_what_each_convolution_sees():
    dilations = (1, 2, 3)
    (axis,) = fienet.plots.mpim_branches(dilations).axes
    grids, seen = axis.lines[::2], axis.lines[1::2]
    for rate, grid, places in zip(dilations, grids, seen, strict=True):
        step = (grid.get_xdata().max() - grid.get_xdata().min()) / 6
        assert len(grid.get_xdata()) == 49 and len(places.get_xdata()) == 9
        assert np.unique(np.round(places.get_xdata(), 6)) == pytest.approx(2.45 + rate * step * np.array([-1, 0, 1]))
    texts = " ".join(text.get_text() for text in axis.texts)
    assert all(f"dilation {rate}" in texts and f"I{rate}" in texts for rate in dilations)
