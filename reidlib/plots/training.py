"""Figures of how a model was trained."""

import pandas as pd
from matplotlib.figure import Figure

from reidlib.plots import panels, style
from reidlib.plots.drawing import drawing
from reidlib.training import health

FEW = 5  # terms that share a linear axis, and whose names share a line
FLOOR = 1e-3  # of a logarithmic axis of losses: what is smaller is nothing


@drawing
def training_curves(table: pd.DataFrame, caption: str) -> Figure:
    """Loss terms, validation scores and learning rate over the steps of a run's history (`reidlib.training.runs.Run`).

    More than ``FEW`` terms are of many sizes: they share a logarithmic axis, which ends at ``FLOOR``; a term
    of 0 runs along its end. Dashed: the value of a metric loss if all features were the same, its margin; the caption
    says so if a loss ends there (:mod:`reidlib.training.health`).
    """
    terms = [name for name in table if name.startswith("loss.")]
    scores = [name for name in table if name in ("validation.rank-1", "validation.mAP")]
    figure, (axes,) = panels.grid(1, 3, (10.5, 3.0))
    margins = {}
    for name in terms:
        (line,) = axes[0].plot(table["step"], table[name], label=name.removeprefix("loss."))
        known = table.get(name.replace("loss.", "margin."), pd.Series(dtype=float)).dropna()
        if len(known):
            margins.setdefault(known.iloc[-1], []).append(line.get_color())
    for margin, colours in margins.items():
        axes[0].axhline(margin, color=colours[0] if len(colours) == 1 else style.NEUTRAL, linestyle="--", linewidth=1)
    axes[0].set(title="losses, unweighted", ylabel="mean since the point before")
    if len(terms) > FEW:
        axes[0].set_yscale("log")
        axes[0].set_ylim(bottom=max(FLOOR, axes[0].get_ylim()[0]))
    columns = len(terms) if len(terms) <= FEW else -(-len(terms) // 2)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=columns)
    measured = table.dropna(subset=scores) if scores else table.iloc[:0]
    for name in scores:
        axes[1].plot(measured["step"], 100 * measured[name], marker="o", label=name.removeprefix("validation."))
    axes[1].set(title="held-out training identities", ylabel="per cent", ylim=(0, 100))
    if scores:
        axes[1].legend(loc="lower right")
    axes[2].plot(table["step"], table["learning_rate"], color=style.NEUTRAL)
    axes[2].set(title="learning rate")
    axes[2].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for axis in axes:
        axis.set_xlabel("step")
    dashed = "dashed: the metric loss if all features were the same (its margin)" if margins else ""
    return style.caption(figure, caption, dashed, health.sentence(table))


@drawing
def learning_curves(table: pd.DataFrame, caption: str, metric: str = "mAP") -> Figure:
    """A score on held-out training identities while networks learn: against epochs, and against the time it took.

    The same curves twice: on the left at equal steps, on the right at equal time. The end of a line is the last
    validation of its run.

    Args:
        table: histories of runs (`reidlib.training.runs.Run`), one below the other, with a column ``method``:
            ``epoch``, ``seconds`` and ``validation.<metric>``, missing where a run did not validate.
    """
    score = f"validation.{metric}"
    style.require(table, ["method", "epoch", "seconds", score])
    table = style.require(table[table[score].notna()])
    figure, (axes,) = panels.grid(1, 2, (9.0, 3.2), sharey=True)
    for name, _, look in panels.side_by_side(table["method"], 0.0):
        part = table[table["method"] == name]
        for axis, x in zip(axes, ("epoch", "seconds"), strict=True):
            axis.plot(part[x], 100 * part[score], markersize=5, label=style.label(name), **look)
    axes[0].set(title="at equal steps", xlabel="epoch", ylabel=f"{metric} on held-out identities, per cent")
    axes[1].set(title="at equal time", xlabel="seconds of training")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return style.caption(figure, caption)
