"""Studies of the baseline."""

from reidlib.experiments.planned import Plan, Plans
from reidlib.methods import Study
from reidlib.methods.baseline.trials import TRIALS

STUDIES = {
    # What each ingredient of the baseline is worth: one is taken away, exchanged for another, or added, at a time.
    "baseline-ingredients": Study(
        "baseline",
        {
            "full": {},
            "without triplet loss": {"loss_weights": {"triplet": 0.0}},
            "without BNNeck": {"model": {"neck": False}},
            "average pooling instead of GeM": {"model": {"pool": "average"}},
            "one stem for both modalities": {"model": {"shared_from": 0}},
            "last stride 2": {"model": {"last_stride": 2}},
            "without channel exchange": {"augmentation": {"exchange": 0.0}},
            "batch-hard triplet instead of weighted": {"model": {"triplet": "batch-hard"}},
            "without label smoothing": {"model": {"label_smoothing": 0.0}},
            "with random erasing": {"augmentation": {"erase": 0.5}},
        },
    ),
    # What the start is worth, and what the whole regime is: the last is how the baseline was trained before.
    "baseline-regime": Study(
        "baseline",
        {
            "baseline": {},
            "batch-hard": {"model": {"triplet": "batch-hard"}},
            "from random weights": {"weights": None},
            "as it was": {"weights": None, "model": {"triplet": "batch-hard"}, "augmentation": {"erase": 0.5}},
        },
    ),
    # The noise of a comparison: what the second one has more is trained along, and touches neither feature nor loss.
    "null-control": Study("baseline", {"baseline": {}, "baseline + inert module": {"model": {"inert": True}}}),
    **TRIALS,
}

PLANS = Plans(control=Plan("null-control", seeds=(0, 1, 2, 3, 4)))
