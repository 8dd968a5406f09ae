"""The diagram of the baseline."""

from matplotlib.figure import Figure

from reidlib.plots.diagrams import HEAD, SHARED, boxes_and_arrows, head, pairs
from reidlib.plots.drawing import drawing


@drawing
def baseline_diagram() -> Figure:
    """The two-stream baseline: a stem per modality, a shared trunk, one feature before and one after the neck."""
    trunk = {"trunk": ("shared trunk\nstages 1 to 4", 3.1, 1.5, SHARED)}
    boxes = pairs("stem", 1.0, (2.1, 0.9)) | trunk | head(5.2, 1.5, step=2.1, above=2.55, below=0.45)
    return boxes_and_arrows(boxes, [("visible stem", "trunk", "pool"), ("infrared stem", "trunk"), *HEAD], (10.4, 3.0))
