"""The ideas of DALNet as geometry: a modality between two others, and where the circle loss pulls a pair of cosines."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from reidlib.plots import panels, style
from reidlib.plots.drawing import drawing

_PEOPLE = {"A": 1.0, "B": -1.0}  # where each stands, upwards
_PLACES = (-2.6, 2.6, 0.0)  # of photos, sketches, auxiliary images, across
_NAMES = ("photos", "sketches", "auxiliary images")
_OFFSETS = np.array([(-0.3, 0.12), (0.28, 0.3), (0.05, -0.34)])
_LETTER = {"fontsize": 8, "color": "white", "ha": "center", "va": "center", "zorder": 3}
_ARROW = {"arrowstyle": "-|>", "linewidth": 1.4, "shrinkA": 6, "shrinkB": 6}


@drawing
def dalnet_motivation() -> Figure:
    """Photos and sketches of two people in a plane: what keeps them apart, and what DALNet does about it.

    The statement is that of the paper's abstract and of its figure 1 as far as it is known (documented: a gap between
    the modalities, a spread within each, an intermediate modality); the drawing is ours.
    """
    figure, axes = panels.images(1, 2, (12.0, 4.3))
    for axis, title in zip(axes[0], ("two problems", "DALNet's answer"), strict=True):
        solved = axis is axes[0, 1]
        _points(axis, (0, 1, 2) if solved else (0, 1), 0.55 if solved else 1.0)
        axis.set(title=title, xlim=(-4.2, 4.2), ylim=(-2.75, 2.55), aspect="equal")
    problem, answer = axes[0]
    for x, text in zip(_PLACES[:2], ("cameras differ", "artists differ"), strict=True):
        problem.add_patch(Ellipse((x, 0), 2.1, 4.0, fill=False, edgecolor=style.NEUTRAL, linestyle="--"))
        problem.text(x, -2.45, f"spread within: {text}", ha="center", va="center", fontsize=9.5)
    problem.annotate("", (-1.35, 0), (1.35, 0), arrowprops={"arrowstyle": "<|-|>", "color": "black", "linewidth": 1.4})
    words = {"ha": "center", "va": "center", "fontsize": 9.5}
    problem.text(0, 0.55, "gap between: no colour,\nlittle texture, no background", **words)
    drawn = style.MODALITY_COLOURS[2]
    for y in _PEOPLE.values():
        answer.annotate("", (-0.5, y), (-2.0, y), arrowprops={**_ARROW, "color": drawn, "linestyle": "--"})
        for start, end in ((-1.9, -0.55), (1.9, 0.55)):
            look = {**_ARROW, "arrowstyle": "<|-|>", "color": style.RIGHT}
            answer.annotate("", (end, y - 0.3), (start, y - 0.3), arrowprops=look)
    for x in _PLACES:
        answer.annotate("", (x, 0.55), (x, -0.55), arrowprops={**_ARROW, "arrowstyle": "<|-|>", "color": style.NEUTRAL})
    answer.text(-1.3, 1.45, "DAG draws", color=drawn, **words)
    answer.text(0, -2.45, "circle loss across: one person, three modalities", color=style.RIGHT, **words)
    answer.text(1.3, 0.0, "circle loss within:\napart from others", color=style.NEUTRAL, **words)
    return figure


def _points(axis, modalities: tuple[int, ...], spread: float) -> None:
    for modality in modalities:
        colour = style.MODALITY_COLOURS[modality]
        for name, y in _PEOPLE.items():
            x, up = (np.array([_PLACES[modality], y])[:, None] + spread * _OFFSETS.T).tolist()
            axis.scatter(x, up, s=260, color=colour, marker=style.MODALITY_MARKERS[modality], edgecolor="white")
            for place in zip(x, up, strict=True):
                axis.annotate(name, place, (0, -1.5 * (modality == 1)), textcoords="offset points", **_LETTER)
        axis.text(_PLACES[modality], 2.25, _NAMES[modality], color=colour, ha="center", va="center", fontsize=10)


@drawing
def cosine_plane(table: pd.DataFrame, caption: str) -> Figure:
    """A loss of one positive and one negative pair over their cosines: dark where it is large, arrows where it pulls.

    Args:
        table: ``loss`` (a panel each), the cosines ``negative`` and ``positive`` on a regular grid, the ``value``
            of the loss there and its derivatives ``d negative`` and ``d positive``. An arrow is a step of gradient
            descent, drawn in units of the longest of its panel. Where nothing pulls there is a dot.
    """
    style.require(table, ["loss", "negative", "positive", "value", "d negative", "d positive"])
    names = table["loss"].drop_duplicates().tolist()
    figure, (axes,) = panels.grid(1, len(names), (4.7 * len(names), 4.4), sharex=True, sharey=True)
    for axis, name in zip(axes, names, strict=True):
        part = table[table["loss"] == name]
        cells = part.pivot(index="positive", columns="negative", values="value")
        axis.contourf(cells.columns, cells.index, cells / cells.to_numpy().max(), levels=12, cmap="Greys", alpha=0.75)
        few = part[part["negative"].isin(cells.columns[1::2]) & part["positive"].isin(cells.index[1::2])]
        across, up = -few["d negative"].to_numpy(), -few["d positive"].to_numpy()
        longest = np.hypot(across, up).max()
        moved = np.hypot(across, up) > 0.01 * longest
        step = 1.7 * np.diff(cells.columns).mean() / longest
        look = {"angles": "xy", "scale_units": "xy", "scale": 1, "color": style.MODALITY_COLOURS[1], "width": 0.006}
        x, y = few["negative"].to_numpy(), few["positive"].to_numpy()
        axis.quiver(x[moved], y[moved], step * across[moved], step * up[moved], **look)
        axis.scatter(x[~moved], y[~moved], s=8, color=style.RIGHT)
        axis.plot(0, 1, marker="*", markersize=14, color=style.RIGHT, clip_on=False)
        axis.set(title=name, xlabel="cosine with another person", aspect="equal", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("cosine with the same person")
    return style.caption(
        figure, caption, "grey: the loss", "arrows: a step of descent", "dots: at rest", "star: the goal"
    )
