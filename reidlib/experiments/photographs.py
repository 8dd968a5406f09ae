"""Do models trained on rendered people rank real ones? Rows of ``benchmarks/real_crops.py``, which trains on nothing.

The people are 74 of PKU-Reid (Ma et al., "Orientation Driven Bag of Appearances for Person Re-identification", 2016):
colour crops of 128×48 pixels by two cameras, in eight orientations each. Their images are not part of this library;
``benchmarks/real_crops.py`` says where they can be had. No photograph was trained on, and nothing was chosen by them.

Queries are the crops of camera 1, the gallery those of camera 2: a camera is never compared with itself. ``task`` is

* ``"colour → colour"``: does appearance that was learnt from rendered people tell real ones apart?
* ``"grey → colour"``: queries as luminance, through the infrared stem where a network has one. A gap between modalities
  of a kind; no camera of PKU-Reid saw infrared light.

A row is of one network under one task. It is neither a row of the ledger, whose models are tested on the data set they
were trained for, nor one of the literature; these three are never joined.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from reidlib.experiments import tables

PUBLISHED = Path(__file__).resolve().parent.parent / "published" / "photographs.csv"
TASKS = ("colour → colour", "grey → colour")
SCORES = ("rank-1", "mAP")
_ENDS = ("low", "high")
COLUMNS = {
    "date": "datetime64[ns]",
    **dict.fromkeys(("source", "dataset"), "str"),  # "real", "PKU-Reid"
    **dict.fromkeys(("people", "images"), "int64"),
    "data": "str",  # digest of the files of all crops
    "network": "str",  # its name in tables and figures
    **dict.fromkeys(("trained_on", "method", "profile"), "str"),
    "seed": "Int64",
    **dict.fromkeys(("recipe", "code", "weights"), "str"),  # digests; the last that of a file of weights
    **dict.fromkeys(("height", "width"), "int64"),  # at which the network saw them
    "task": "str",
    "centred": "bool",  # the mean of the queries taken off the queries, that of the gallery off the gallery
    "draws": "int64",  # networks of which the scores are means: 1, or how often weights were drawn at random
    **{f"{score}{end}": "float64" for score in SCORES for end in ("", *(f" {end}" for end in _ENDS))},
    "reference": "str",  # network whose mAP on the same people, task and centring is taken off
    **{f"difference{end}": "float64" for end in ("", *(f" {end}" for end in _ENDS))},
}
KEY = ["data", "network", "trained_on", "seed", "recipe", "code", "weights", "height", "width", "task", "centred"]
FORMAT = tables.Format("table of photographs", COLUMNS, PUBLISHED.name)


def table(path: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """The rows, one for each network, task and centring, in the order they were recorded.

    Scores are fractions (0–1): ``rank-1`` and ``mAP`` with ``… low`` and ``… high``, the ends of the 95 % interval over
    people (percentile bootstrap, 10,000 samples of the 74; the network itself is held fixed). ``difference`` is the mAP
    above that of the network ``reference``, with its interval over the same people; missing for the reference itself.
    Of rows about the same network, images and task the last recorded counts.

    Args:
        path: another table than the one that the package holds.
        filters: column = value, or several values: ``table(task="colour → colour", centred=False)``.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: the file is no such table (the message names the line), or there is no such column, task or network.
    """
    path = PUBLISHED if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no table {path}; benchmarks/real_crops.py --table {path.name} writes one")
    rows = tables.last(FORMAT.collect([path]), KEY)
    for name in ("task", "network", "dataset"):
        wanted = filters.get(name, [])
        known = rows[name].unique().tolist()
        for each in [wanted] if isinstance(wanted, str) else wanted:
            if each not in known:
                raise ValueError(f"no row of {name} {each!r}; known: {', '.join(known)}")
    return FORMAT.select(rows, filters).reset_index(drop=True)


def record(rows: list[dict[str, Any]], path: str | Path) -> None:
    """Add rows to a table; raises ``ValueError`` if the file is no such table, which is left as it is then."""
    path = Path(path)
    with tables.locked(path):
        FORMAT.append(path, rows)
