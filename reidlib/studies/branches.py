"""One study over all methods that are trained on visible and infrared images: what do their branches know?"""

from reidlib.studies.study import Study

STUDIES = {
    # The recipes are those of the registered comparisons, so their runs are measured and none is trained twice.
    "branches": Study(
        "baseline",
        {"baseline": {}, "MAUM": {"method": "maum"}, "FIENet": {"method": "fienet"}, "IDKL": {"method": "idkl"}},
        measures=("probes", "cameras"),
    ),
}
