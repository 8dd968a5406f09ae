"""Figures of notebook 10 draw what their table holds."""

import pandas as pd
import pytest

from reidlib import plots

COLUMNS = ["dataset", "model", "rank-1", "low", "high", "chance"]
SCORES = pd.DataFrame(
    [("shoes", "pixels", 0.1, 0.05, 0.2, 0.005), ("shoes", "DALNet", 0.4, 0.3, 0.6, 0.005),
     ("faces", "pixels", 0.2, 0.1, 0.3, 0.002)],
    columns=COLUMNS,
)  # fmt: skip


def test_scores_stand_in_the_row_of_their_model_beside_the_chance_of_their_data_set():
    shoes, faces = plots.against_chance(SCORES, "caption").axes
    chance, _, pixels, interval, method = shoes.lines
    assert chance.get_xdata() == pytest.approx([0.5, 0.5])
    assert (pixels.get_xdata().item(), pixels.get_ydata().item()) == (pytest.approx(10), 0)
    assert list(interval.get_xdata()) == pytest.approx([30, 60])
    assert (method.get_ydata().item(), method.get_color()) == (1, plots.colour("dalnet"))
    assert len(faces.lines) == 3 and faces.lines[0].get_xdata() == pytest.approx([0.2, 0.2])
    assert [label.get_text() for label in shoes.get_yticklabels()] == ["pixels", "DALNet"]


def test_a_line_parts_what_was_not_trained_from_what_was():
    parted = plots.against_chance(SCORES, "caption", untrained=1)
    assert [axis.lines[-1].get_ydata()[0] for axis in parted.axes] == [0.5, 0.5]
    assert "trained on the data set" in parted.get_supxlabel()
    assert "trained on the data set" not in plots.against_chance(SCORES, "caption", untrained=2).get_supxlabel()


def test_the_share_of_queries_above_the_line_is_rank_1():
    table = pd.DataFrame({"panel": "a", "positive": [0.9, 0.5, 0.2, -0.1], "negative": [0.1, 0.6, 0.1, 0.4]})
    (axis,) = plots.pair_plane(table, "caption").axes
    assert axis.get_title() == "a\nabove the line: 50.0 %"
    found, missed = axis.collections
    assert found.get_offsets().tolist() == [[0.1, 0.9], [0.1, 0.2]] and len(missed.get_offsets()) == 2
    assert axis.get_xlim() == pytest.approx((-0.15, 1)) == axis.get_ylim()
