"""Figures over all methods: their ladders side by side, their curves of weights, what one seed says about the next.

Tables have a row a run, as `reidlib.experiments.planned` gives them. Scores of different data sets stand in panels of
their own; what shares an axis is the difference that a change makes with the same seed and split.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reidlib.experiments import uncertainty
from reidlib.experiments.uncertainty import half_width
from reidlib.plots import panels, style
from reidlib.plots.drawing import drawing

PLACE = ["split", "seed"]
CURVE_COLUMNS = ["curve", "weight", "value", "usual", *PLACE]
RECIPE = "as in the recipe"
_EDGE = {"markeredgecolor": "black", "markeredgewidth": 0.5}
_MEAN = {"marker": "o", "ecolor": "#333333", "linewidth": 1.6, **_EDGE}


@drawing
def ladders(table: pd.DataFrame, caption: str, metric: str = "mAP") -> Figure:
    """The ladders of all methods in panels, each with its own scale: what each rung has more than the first, by seed.

    Three seeds or more of each rung also give an interval. What lies far beyond the rest of its panel is an arrow at
    the edge with its mean, so that the rest can be read. The title says how many runs a rung has.

    Args:
        table: ``ladder`` (the method), ``variant`` (the first of each is the reference), ``split``, ``seed``, metric.
    """
    style.require(table, ["ladder", "variant", *PLACE, metric])
    parts = {name: _gains(part, metric) for name, part in table.groupby("ladder", sort=False)}
    means = {name: part.groupby("variant", sort=False)["gain"].mean() for name, part in parts.items()}
    above = {name: part.loc[part["variant"] != part["variant"].iloc[0], "gain"] for name, part in parts.items()}
    several = all(part.groupby("variant")["gain"].size().min() >= 3 for part in parts.values())
    interval = half_width if several else None
    edges = {}
    for name, gains in above.items():
        edge, sizes = _edge(gains.to_numpy(), least=5), means[name].abs()
        reach = sizes + (parts[name].groupby("variant")["gain"].agg(half_width) if several else 0)
        edges[name] = max(edge, reach[sizes <= edge].max())  # bars are seen to their ends
    rungs, rows, columns = max(map(len, means.values())), -(-len(parts) // 2), min(len(parts), 2)
    size = 5.2 * columns, (0.34 * rungs + 0.55) * rows + 0.7
    figure, axes = panels.grid(rows, columns, size, len(parts))
    for axis, (name, part) in zip(axes.flat, parts.items(), strict=False):
        variants, edge, runs = means[name].index.tolist(), edges[name], part.groupby("variant").size()
        number = " to ".join(map(str, sorted({runs.min(), runs.max()})))
        title = f"{style.label(name)}: {number} run{'s' * (number != '1')} a rung"
        for row, variant in enumerate(variants):
            _rung(axis, row, part.loc[part["variant"] == variant, "gain"], style.colour(name), edge, interval)
        panels.dashed(axis, 0)
        panels.name_rows(axis, variants, xlim=(-1.08 * edge, 1.08 * edge), title=title)
        axis.set_ylim(rungs - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
    for column in axes.T:
        lowest = [axis for axis in column if axis.axison][-1]
        lowest.set_xlabel(f"difference in {metric} to the first rung, points")
    bars = " · bars: 95 % interval of the mean difference (Student t)" if several else ""
    beyond = "arrow: beyond the scale" if any((means[name].abs() > edges[name]).any() for name in means) else ""
    pairs = "points within the scale: pairs of runs with the same seed and split"
    return style.caption(figure, caption, f"{pairs}{bars}", beyond)


@drawing
def weight_curves(table: pd.DataFrame, caption: str, metric: str = "mAP") -> Figure:
    """Scores over each weight, a row of panels for each method: means over seeds, intervals, and every run.

    With two seeds a point has no interval of its own. The bars are made of the spread of all points of a method
    together, apart from what a seed brings to all of them (`reidlib.experiments.uncertainty.pooled`): they are for
    comparing points of a row. Values are equally far apart, as their steps are no even ones.

    Args:
        table: ``curve`` (the method), ``weight`` (its label), ``value``, ``usual`` (the recipe's value), ``split``,
            ``seed`` and the metric; the values of a curve have the same seeds.
    """
    style.require(table, [*CURVE_COLUMNS, metric])
    scores = scores_by_seed(table, metric)
    spreads = {name: uncertainty.pooled([each]) if min(each.shape) > 1 else None for name, each in scores.items()}
    widest = int(table.groupby("curve")["weight"].nunique().max())
    size = 2.35 * widest + 0.5, 1.95 * len(spreads) + 0.6
    figure, axes = panels.grid(len(spreads), widest, size, sharey="row")
    for row, (method, spread) in zip(axes, spreads.items(), strict=True):
        of_method = table[table["curve"] == method]
        interval = spread and (lambda scores, spread=spread: spread.half_width(len(scores)))
        curves = list(of_method.groupby("weight", sort=False))
        for axis, (weight, part) in zip(row, curves, strict=False):
            look = {"color": style.colour(method), "markersize": 5.5, "elinewidth": 1.2, "zorder": 4, **_MEAN}
            panels.curve(axis, 100 * part[metric], part["value"], part["usual"].iloc[0], interval, **look)
            axis.set_xlabel(weight)
        for axis in row[len(curves) :]:
            axis.set_visible(False)
        row[0].set_ylabel(f"{style.label(method)}\n{metric} in per cent")
    bars = "bars: 95 % interval, spread of all points of a method taken together" if any(spreads.values()) else ""
    return style.caption(figure, caption, "points: runs · lines: their means", bars, "dashed: the recipe's value")


@drawing
def seed_agreement(table: pd.DataFrame, caption: str, metric: str = "mAP") -> Figure:
    """What a change gains with one seed against what the same change gains with the next: would one have done?

    Each point is a change of the recipe; where it lies in a grey field, the two seeds differ about the sign. Points
    beyond the scale stand at its edge.

    Args:
        table: ``curve`` (the method), ``first`` and ``second`` gain in points, as `two_seeds` gives them.
    """
    style.require(table, ["curve", "first", "second"])
    edge = _edge(table[["first", "second"]].to_numpy().ravel(), least=5)
    figure, axis = plt.subplots(figsize=(5.9, 5.4), layout="constrained")
    for x, y in ((-1, 1), (1, -1)):
        axis.fill_between([0, 1.08 * x * edge], 0, 1.08 * y * edge, color=style.NEUTRAL, alpha=0.13, linewidth=0)
    axis.plot([-edge, edge], [-edge, edge], color=style.NEUTRAL, linestyle="--", linewidth=1.2)
    looks = style.looks(table["curve"])
    for method, part in table.groupby("curve", sort=False):
        colour, marker = looks[method]
        agree = int((part["first"] * part["second"] > 0).sum())
        axis.scatter(
            part["first"].clip(-edge, edge), part["second"].clip(-edge, edge), color=colour, marker=marker, s=46,
            edgecolor="black", linewidth=0.5, zorder=3,
            label=f"{style.label(method)}: {agree} of {len(part)} agree in sign",
        )  # fmt: skip
    limits = (-1.08 * edge, 1.08 * edge)
    axis.set(xlim=limits, ylim=limits, aspect="equal")
    axis.set(xlabel=f"gain in {metric} with one seed, points", ylabel="with another seed, points")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    points = "each point: a change against the recipe; those at the edge lie beyond it"
    return style.caption(figure, caption, points, "grey: the seeds differ about the sign")


def scores_by_seed(table: pd.DataFrame, metric: str = "mAP") -> dict[str, pd.DataFrame]:
    """Scores of each different setting of a method, in per cent: ``{method: setting × seed (of a split)}``.

    The recipe itself, a point of every curve, is one setting and the first. Only seeds that all curves of a method
    have are kept.

    Args:
        table: as `weight_curves` takes it; it may be empty.
    """
    found = {}
    for method, part in table.groupby("curve", sort=False):
        own = part["value"] == part["usual"]
        names = part["weight"] + part["value"].map(" {:g}".format)
        part = part.assign(setting=names.mask(own, RECIPE), split=part["split"].astype("float").fillna(0))
        part = part.drop_duplicates(["setting", *PLACE])
        scores = 100 * part.pivot(index="setting", columns=PLACE, values=metric)
        order = sorted(part["setting"].unique(), key=lambda setting: setting != RECIPE)
        scores = scores.reindex(order).dropna(axis="columns")
        scores.columns = [f"split {split:g}, seed {seed}" if split else f"seed {seed}" for split, seed in scores]
        found[method] = scores
    return found


def two_seeds(table: pd.DataFrame, metric: str = "mAP") -> pd.DataFrame:
    """What each change of a recipe gains with two seeds, in points: ``curve``, ``change``, ``first`` and ``second``.

    Of each method the first two seeds (or splits) that all its curves have; a method with one has no rows.

    Args:
        table: as `weight_curves` takes it; it may be empty.
    """
    rows = []
    for method, scores in scores_by_seed(table, metric).items():
        if scores.shape[1] > 1 and RECIPE in scores.index:
            gains = (scores - scores.loc[RECIPE]).drop(index=RECIPE).iloc[:, :2]
            rows += [(method, change, *gain) for change, gain in zip(gains.index, gains.to_numpy(), strict=True)]
    return pd.DataFrame(rows, columns=["curve", "change", "first", "second"])


def _rung(
    axis: plt.Axes, row: int, gains: pd.Series, colour: str, edge: float, interval: style.Interval | None
) -> None:
    mean = gains.mean()
    if abs(mean) > edge:
        half = f" ± {interval(gains):.1f}" if interval else ""
        side, number = np.sign(mean), f"{mean:+.1f}{half}".replace("-", "−")
        axis.annotate(
            number, (side * 1.06 * edge, row), (side * 0.5 * edge, row), va="center", ha="center", fontsize=9,
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.8},
        )  # fmt: skip
        return
    if row == 0:  # the reference differs from itself by nothing, which needs neither points nor bars
        axis.plot(0, 0, "o", color=colour, markersize=7, **_EDGE)
        return
    panels.means(axis, gains, row, interval, color=colour, markersize=7, **_MEAN)
    axis.scatter(gains, np.full(len(gains), row + 0.26), s=10, color="black", alpha=0.6, linewidth=0)


def _gains(part: pd.DataFrame, metric: str) -> pd.DataFrame:
    """``variant`` and ``gain`` in points over the first variant with the same split and seed, run by run."""
    scores = _by_place(part, metric)
    return (scores - scores.iloc[0]).T.melt(value_name="gain").dropna()[["variant", "gain"]]


def _by_place(part: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Scores of a ladder in per cent: a row for each variant, in their order, a column for each split and seed."""
    part = part.assign(split=part["split"].astype("float").fillna(0))
    scores = 100 * part.pivot(index="variant", columns=PLACE, values=metric)
    return scores.reindex(part["variant"].drop_duplicates())


def _edge(gains: np.ndarray, least: float) -> float:
    """Where the scale ends, in points: three times the median size of a gain or ``least``, but not beyond all gains."""
    sizes = np.abs(gains)
    return float(min(max(3 * np.median(sizes), least), max(1.05 * sizes.max(), 1.0)))
