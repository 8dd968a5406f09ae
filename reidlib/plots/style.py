"""One look for every figure: theme, colours, captions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reidlib import methods
from reidlib.data import registry
from reidlib.experiments.uncertainty import half_width

MODALITY_COLOURS = {0: "#D55E00", 1: "#0072B2", 2: "#56B4E9"}
"""Okabe and Ito's vermilion, blue and sky blue: told apart by readers with any colour vision, and in grey print. The
third modality is the auxiliary one between photos and sketches."""
MODALITY_MARKERS = {0: "o", 1: "^", 2: "s"}
RIGHT, WRONG = "#009E73", "#D55E00"
NEUTRAL = "#7F7F7F"
BRANCH_COLOURS = {
    "shared": "#0072B2", "specific": "#D55E00", "purified": "#E69F00", "enhanced": "#009E73", "global": "#4D4D4D",
    "auxiliary": "#56B4E9",
}  # fmt: skip
"""A branch of a model keeps its colour in every figure, and so does a method (:func:`colour`)."""
_OTHERS = ("#0072B2", "#E69F00", "#CC79A7", "#56B4E9", "#D55E00", "#009E73", "#B8A500", "#4D4D4D")
_MARKERS = "osD^vPX*"
_INCHES_PER_LETTER = 0.066  # of a caption
DPI = 100


def use_style() -> None:
    """Set seaborn's theme and the house's defaults for all figures that follow."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update(
        {
            "figure.dpi": DPI,
            "savefig.dpi": DPI,
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "grid.linewidth": 0.6,
        }
    )


def caption(figure: Figure, *parts: str) -> Figure:
    """Write under the figure what it was drawn from: data set (`synthetic twin` where it is one), split, protocol.

    What is too long for one line goes on in the next, if possible between two parts (``·``). Returns the figure.
    """
    limit = figure.get_figwidth() / _INCHES_PER_LETTER
    lines = [""]
    for part in " · ".join(part for part in parts if part).split(" · "):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        lines = [*lines[:-1], longer] if len(longer) <= limit or not lines[-1] else [*lines, part]
    figure.supxlabel("\n".join(lines), fontsize=8, color=NEUTRAL)
    return figure


def noted(caption: str, models: Mapping[str, Any]) -> str:
    """The caption of what is drawn from trained models (or runs) by name, which says whose metric loss collapsed.

    What a network looks at, or knows, means little if its features are all alike: so whoever looks at the figure is
    told. A caption stays as it is where no loss has collapsed, and of models whose training nobody watched.
    """
    found = {name: getattr(getattr(each, "model", each), "collapsed", "") for name, each in models.items()}
    return " · ".join([caption, *(f"{label(name)}: {phrase}" for name, phrase in found.items() if phrase)])


def ledger_caption(rows: pd.DataFrame) -> str:
    """What the caption of a figure drawn from rows of the ledger must say: data, profile, protocol, splits and seeds.

    Raises:
        ValueError: the rows hold the scores of more than one protocol, which must not share an axis.
    """
    if len(protocols := rows["protocol"].unique()) != 1:
        raise ValueError(f"one figure shows the scores of one protocol, not of {list(protocols)}")
    sources = rows[["dataset", "source", "profile"]].drop_duplicates()
    titles = [
        f"{registry.title(name)} ({'synthetic ' if source.startswith('twin') else ''}{source}, {profile})"
        for name, source, profile in sources.itertuples(index=False)
    ]
    numbers = {name: sorted(rows[name].dropna().unique()) for name in ("split", "seed")}
    found = [f"{name}{'s' * (len(shown) > 1)} {', '.join(map(str, shown))}" for name, shown in numbers.items() if shown]
    return " · ".join([*titles, protocols[0], *found])


def seeds(table: pd.DataFrame, series: str) -> str:
    """The seeds of a table for its caption: those that most series have, then the series that have others.

    Args:
        table: has a column ``seed``.
        series: the column that says what is drawn as a series of its own, such as ``"method"``.
    """
    found = {name: tuple(sorted(part.unique())) for name, part in table.groupby(series, sort=False)["seed"]}
    usual = max(found.values(), key=lambda each: (list(found.values()).count(each), len(each)))
    others = {each: [label(name) for name in found if found[name] == each] for each in found.values() if each != usual}
    shown = [f"{', '.join(names)}: {', '.join(map(str, each))}" for each, names in others.items()]
    return f"seed{'s' * (len(usual) > 1)} {', '.join(map(str, usual))}" + "".join(f" · {part}" for part in shown)


def ledger_captions(rows: pd.DataFrame) -> str:
    """The captions of a figure with panels of their own for several protocols, one after the other."""
    return " · ".join(ledger_caption(part) for _, part in rows.groupby("protocol", sort=False))


def looks(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of every series: methods and branches have their own, others take what is left."""
    names = list(dict.fromkeys(names))
    ours, every = methods.registered(controls=False), methods.registered()
    coloured = {name: every[name].colour for name in [*ours, *every] if every[name].colour}
    known = {}
    for colours in (coloured, BRANCH_COLOURS):
        known |= {name: (shade, mark) for (name, shade), mark in zip(colours.items(), cycle(_MARKERS), strict=False)}
    found = {name: known[name.lower()] for name in names if name.lower() in known}
    others = [name for name in names if name not in found]
    used = {colour for colour, _ in found.values()}
    left = [colour for colour in _OTHERS if colour not in used]
    if len(others) > len(left):
        left = sns.color_palette("husl", len(others)).as_hex()
    found |= {name: (left[number], _MARKERS[number % len(_MARKERS)]) for number, name in enumerate(others)}
    return {name: found[name] for name in names}


def label(name: str) -> str:
    """A method as its authors write it; other names as they are."""
    known = methods.registered()
    return known[name].title if name in known else name


def colour(name: str) -> str:
    """The colour of a method; grey for one that has none of its own."""
    known = methods.registered()
    return (known[name].colour if name in known else None) or NEUTRAL


def several(table: pd.DataFrame, *columns: str) -> bool:
    """Whether a table holds more than one value in these columns together, as far as it has them."""
    return len(table[[name for name in columns if name in table]].drop_duplicates()) > 1


def bars(table: pd.DataFrame, over: str, *columns: str) -> str:
    """What a caption says about bars, if there are several seeds, people, … (other values of ``columns``)."""
    return f"bars: 95 % interval over {over} (Student t)" if several(table, *columns) else ""


Interval = Callable[[pd.Series], float]
"""Half the length of a bar around the mean of some values."""


def interval(table: pd.DataFrame, by: Sequence[str]) -> Interval | None:
    """The bar around means, if everything has three seeds: that of two would say nothing, and hide what there is."""
    return half_width if table.groupby(list(by))["seed"].nunique().min() >= 3 else None


def explained(table: pd.DataFrame, interval: Interval | None, means: str) -> str:
    """What a caption says about points and bars, if there is more than one run (seed and split) to speak of."""
    if interval:
        return "points: runs · bars: 95 % interval of the mean (Student t)"
    return f"points: runs · {means}: their means" if several(table, "split", "seed") else ""


def legend(figure: Figure, looks: Mapping[str, dict], loc: str = "outside upper right", **options: Any) -> None:
    """A legend of markers by name, each with its ``looks``; ``options`` as those of ``figure.legend``."""
    handles = [Line2D([], [], linestyle="", label=name, **look) for name, look in looks.items()]
    figure.legend(handles=handles, loc=loc, **options)


def modality_legend(figure: Figure, modalities: Sequence[str], **look: Any) -> None:
    """A legend of the two modalities above the figure; ``look`` as that of a marker."""
    marks = zip(modalities, MODALITY_COLOURS.values(), MODALITY_MARKERS.values(), strict=False)
    looks = {name: {"color": colour, "marker": marker, "markersize": 8, **look} for name, colour, marker in marks}
    legend(figure, looks, ncols=2)


def require(table: pd.DataFrame, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Give a table back; refuse one without the columns that a figure draws, or without rows."""
    if missing := [name for name in columns if name not in table.columns]:
        raise ValueError(f"the table lacks the column(s) {missing}; it has {list(table.columns)}")
    if table.empty:
        raise ValueError("there is nothing to draw: the table has no rows")
    return table


def blank(axes: Iterable[plt.Axes]) -> None:
    """Take ticks and frames away from axes that show images."""
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        for spine in axis.spines.values():
            spine.set_visible(False)


use_style()
