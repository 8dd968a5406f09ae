"""Figures of IDKL draw what their tables hold."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from reidlib import plots
from reidlib.experiments.uncertainty import half_width
from reidlib.methods import idkl


def bars(axis) -> dict[str, ErrorbarContainer]:
    return {each.get_label(): each for each in axis.containers if isinstance(each, ErrorbarContainer)}


def test_the_diagram_has_both_streams_and_what_joins_them():
    axis = idkl.plots.idkl_diagram().axes[0]
    assert len(axis.patches) == 9
    texts = " ".join(text.get_text() for text in axis.texts)
    for word in (
        "front",
        "shared back",
        "specific back",
        "purifier",
        "discriminator",
        "confuser",
        "TGSA",
        "CSA",
        "MDR",
    ):
        assert word in texts
    arrows = [text.arrow_patch for text in axis.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == 6 + 2 + 2 and sum(arrow.get_linestyle() not in ("-", "solid") for arrow in arrows) == 2


def probes() -> pd.DataFrame:
    records = [
        (branch, seed, factor, score + 0.1 * seed, chance)
        for branch, score in (("shared", 0.2), ("specific", 0.5))
        for seed in (0, 1, 2)
        for factor, chance in (("modality", 0.5), ("hair", 0.2), ("top hue, visible images", 0.0))
    ]
    return pd.DataFrame(records, columns=["branch", "seed", "factor", "score", "chance"])


def test_probes_are_means_over_seeds_beside_chance():
    figure = idkl.plots.branch_probes(probes(), "caption")
    accuracy, explained = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["balanced accuracy", "R²"]
    assert [label.get_text() for label in accuracy.get_yticklabels()] == ["modality", "hair"]
    line, _, (ends,) = bars(accuracy)["specific"]
    np.testing.assert_allclose(line.get_xdata(orig=False), [0.6, 0.6])
    half = half_width([0.5, 0.6, 0.7])
    np.testing.assert_allclose(ends.get_segments()[0][:, 0], [0.6 - half, 0.6 + half])
    ends_of_chance = [segment[0, 0] for lines in accuracy.collections for segment in lines.get_segments()]
    assert {0.5, 0.2} <= set(ends_of_chance)
    assert line.get_color() == plots.BRANCH_COLOURS["specific"]
    assert bars(explained)["shared"][0].get_xdata().tolist() == pytest.approx([0.3])
    assert (
        "seeds" in figure.get_supxlabel()
        and "seeds" not in idkl.plots.branch_probes(probes().query("seed == 0"), "caption").get_supxlabel()
    )


def test_probes_may_be_told_apart_by_variant():
    table = probes().assign(variant=lambda rows: rows["branch"].map({"shared": "+ IP", "specific": "+ MDR"}))
    axis = idkl.plots.branch_probes(table, "caption", series="variant").axes[0]
    assert list(bars(axis)) == ["+ IP", "+ MDR"]


def test_weights_stand_equally_far_apart():
    records = [
        (weight, usual * factor, factor, seed, 0.3 + factor / 100, 0.4)
        for weight, usual in (("purifier", 0.1), ("TGSA", 0.6))
        for factor in (3, 0, 1, 0.1)
        for seed in (0, 1)
    ]
    table = pd.DataFrame(records, columns=["weight", "value", "factor", "seed", "rank-1", "mAP"])
    figure = idkl.plots.loss_weights(table, "caption")
    assert len(figure.axes) == 4
    (container,) = (each for each in figure.axes[0].containers if isinstance(each, ErrorbarContainer))
    assert container[0].get_xdata().tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(container[0].get_ydata(orig=False), [30, 30.1, 31, 33])
    assert [label.get_text() for label in figure.axes[3].get_xticklabels()] == ["0", "0.06", "0.6", "1.8"]
    dashed = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert dashed[0].get_xdata()[0] == 2, "the recipe's value"
    assert "interval" not in figure.get_supxlabel(), "two seeds have no interval worth drawing"
    three = pd.concat([table, table.query("seed == 0").assign(seed=2)])
    assert "interval" in idkl.plots.loss_weights(three, "caption").get_supxlabel()


def test_hinges_of_runs_without_a_purifier_are_left_out():
    records = [
        (variant, seed, name, value)
        for variant, shares in (("baseline", (np.nan, np.nan)), ("IDKL", (0.25, 0.0)), ("margin 1", (0.75, 0.5)))
        for seed in (0, 1)
        for name, value in zip(("entropy", "centroid"), shares, strict=True)
    ]
    table = pd.DataFrame(records, columns=["variant", "seed", "name", "value"])
    axis = idkl.plots.hinge_shares(table, "caption").axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["IDKL", "margin 1"]
    shown = {each.get_label(): each.get_offsets()[:, 0].tolist() for each in axis.collections}
    assert shown == {"entropy": [25, 25, 75, 75], "centroid": [0, 0, 50, 50]}  # every run, of both seeds
    with pytest.raises(ValueError, match="nothing to draw"):
        idkl.plots.hinge_shares(table.query("variant == 'baseline'"), "caption")


def test_tables_are_asked_for_their_columns():
    for draw in (idkl.plots.branch_probes, idkl.plots.loss_weights, idkl.plots.hinge_shares):
        with pytest.raises(ValueError, match="lacks the column"):
            draw(pd.DataFrame({"seed": [0]}), "caption")


def test_the_motivation_ignores_what_one_modality_shows_on_the_left_alone():
    left, right = idkl.plots.motivation().axes
    for axis, words in ((left, "ignored"), (right, "purified")):
        texts = " ".join(text.get_text() for text in axis.texts)
        assert "hue of a shirt" in texts and "near infrared" in texts and words in texts
    arrows = [[text for text in axis.texts if getattr(text, "arrow_patch", None)] for axis in (left, right)]
    assert [len(each) for each in arrows] == [0, 2]
    greys = [{patch.get_facecolor() for patch in axis.patches[:4:2]} for axis in (left, right)]
    assert len(greys[0]) == 1 and len(greys[1]) == 2


def test_graphs_show_the_distances_of_their_state_and_kind():
    lines = [
        (state, graph, one, other, 10 * number + 2 * one + other)
        for number, (state, graph) in enumerate((s, g) for s in ("before", "after") for g in ("a–a", "a–b"))
        for one in range(2)
        for other in range(2)
    ]
    table = pd.DataFrame(lines, columns=["state", "graph", "one", "other", "distance"])
    figure = idkl.plots.graphs(table, "caption")
    assert [axis.get_title() for axis in figure.axes] == ["a–a, before", "a–b, before", "a–a, after", "a–b, after"]
    for number, axis in enumerate(figure.axes):
        assert axis.images[0].get_array().tolist() == [
            [10 * number, 10 * number + 1],
            [10 * number + 2, 10 * number + 3],
        ]
        assert axis.texts[3].get_text() == f"{10 * number + 3:.1f}"
        assert [text.get_color() for text in axis.texts] == ["white", "white", "black", "black"]
