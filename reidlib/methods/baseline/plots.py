"""The diagram of the baseline."""

from matplotlib.figure import Figure

from reidlib.plots import style
from reidlib.plots.diagrams import boxes_and_arrows
from reidlib.plots.drawing import drawing


@drawing
def baseline_diagram() -> Figure:
    """The two-stream baseline: a stem per modality, a shared trunk, one feature before and one after the neck."""
    visible, infrared, shared, loss = style.MODALITY_COLOURS[0], style.MODALITY_COLOURS[1], "#009E73", "#7F7F7F"
    boxes = {
        "visible": ("visible\nstem", 1.0, 2.1, visible),
        "infrared": ("infrared\nstem", 1.0, 0.9, infrared),
        "trunk": ("shared trunk\nstages 1 to 4", 3.1, 1.5, shared),
        "pool": ("GeM pooling", 5.2, 1.5, shared),
        "neck": ("BNNeck", 7.3, 1.5, shared),
        "classifier": ("classifier", 9.4, 1.5, shared),
        "triplet": ("triplet loss", 5.2, 0.45, loss),
        "test": ("test feature", 7.3, 2.55, loss),
        "identity": ("identity loss", 9.4, 0.45, loss),
    }
    arrows = [
        ("visible", "trunk"), ("infrared", "trunk"), ("trunk", "pool"), ("pool", "neck"), ("neck", "classifier"),
        ("pool", "triplet"), ("neck", "test"), ("classifier", "identity"),
    ]  # fmt: skip
    return boxes_and_arrows(boxes, arrows, (10.4, 3.0))
