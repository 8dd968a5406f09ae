"""Figures of how a model was trained: curves of losses and scores, and what each ingredient is worth."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reidlib.plots import style


def training_curves(history: pd.DataFrame, caption: str) -> Figure:
    """Loss terms, validation scores and learning rate over the steps of a run's history (`reidlib.runs.Run`)."""
    terms = [name for name in history if name.startswith("loss.")]
    scores = [name for name in history if name in ("validation.rank-1", "validation.mAP")]
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.0), layout="constrained")
    for name in terms:
        axes[0].plot(history["step"], history[name], label=name.removeprefix("loss."))
    axes[0].set(title="losses, unweighted", ylabel="mean since the point before")
    axes[0].legend()
    measured = history.dropna(subset=scores) if scores else history.iloc[:0]
    for name in scores:
        axes[1].plot(measured["step"], 100 * measured[name], marker="o", label=name.removeprefix("validation."))
    axes[1].set(title="held-out training identities", ylabel="per cent", ylim=(0, 100))
    if scores:
        axes[1].legend()
    axes[2].plot(history["step"], history["learning_rate"], color=style.NEUTRAL)
    axes[2].set(title="learning rate")
    axes[2].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for axis in axes:
        axis.set_xlabel("step")
    style.caption(figure, caption)
    return figure


def ingredient_bars(scores: pd.DataFrame, caption: str, reference: str) -> Figure:
    """mAP and rank-1 with and without each ingredient: columns ``variant``, ``seed``, ``rank-1``, ``mAP`` (fractions).

    Points are seeds, bars their mean; the dashed line is the variant called ``reference``.
    """
    figure, axes = plt.subplots(
        1, 2, figsize=(9.5, 0.42 * scores["variant"].nunique() + 1.3), sharey=True, layout="constrained"
    )
    for axis, metric in zip(axes, ("rank-1", "mAP"), strict=True):
        table = scores.assign(value=100 * scores[metric])
        sns.barplot(table, x="value", y="variant", color=style.MODALITY_COLOURS[1], alpha=0.55, errorbar=None, ax=axis)
        sns.stripplot(table, x="value", y="variant", color="black", size=4.5, jitter=False, ax=axis)
        axis.axvline(table.loc[table["variant"] == reference, "value"].mean(), color=style.NEUTRAL, linestyle="--")
        axis.set(xlabel=f"{metric} in per cent", ylabel="", xlim=(0, None))
    style.caption(figure, caption, "points: seeds")
    return figure
