"""Diagrams are drawn from named boxes and arrows."""

from reidlib import plots


def test_diagrams_draw_every_box_and_arrow():
    boxes = {"a": ("A", 1.0, 1.0, "#000000"), "b": ("B", 3.0, 1.0, "#000000"), "c": ("C", 3.0, 2.0, "#000000")}
    figure = plots.boxes_and_arrows(boxes, [("a", "b"), ("b", "c")], (4.0, 3.0))
    assert len(figure.axes[0].patches) == 3
    assert [text.get_text() for text in figure.axes[0].texts] == ["A", "B", "C", "", ""]
