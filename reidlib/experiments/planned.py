"""The planned grid of ablations: ladders, curves of weights, maps of two; which of its runs are there, and its tables.

``missing()`` lists what is still to be run, with the commands. ``ladders()``, ``curves()`` and ``weight_map("maum")``
are the rows of the ledger that there are, labelled for `reidlib.plots`; they may be none.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib import methods
from reidlib.experiments import ledger, studies
from reidlib.experiments.comparison import compare, same_seeds
from reidlib.methods import Recipe, registry

RUN_COLUMNS = ["study", "variant", "dataset", "profile", "split", "seed", "recipe", "is_recorded", "command"]


@dataclass(frozen=True)
class Plan:
    """A sweep of a study that belongs to the grid.

    Attributes:
        study: of a study, see :func:`reidlib.experiments.studies.registered`.
        axes: what it varies: name of a loss weight or an option of the model → label; none for a ladder.
        splits: of the data set; none where it has a single one.
    """

    study: str
    axes: Mapping[str, str] = field(default_factory=dict)
    profile: str = "screen"
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    dataset: str = "sysu"
    splits: tuple[int, ...] = ()

    @property
    def command(self) -> str:
        """What makes its runs; those that are there are not made again."""
        return studies.command(self.study, self.dataset, self.profile, self.seeds, self.splits)

    def variants(self) -> dict[str, Recipe]:
        return studies.get(self.study, dataset=self.dataset, profile=self.profile)

    def rows(self) -> pd.DataFrame:
        """What the ledger holds of it, with a column for each axis, called by its label; see `studies.results`.

        Of ladders and curves the seeds that all variants have, which may be more than those planned; of a map of one
        seed (and split) every cell there is of it.
        """
        variants, several = self.variants(), len(self.seeds) * len(self.splits or (None,)) > 1
        only = {} if several else {"seed": list(self.seeds), **({"split": list(self.splits)} if self.splits else {})}
        rows = studies.results(variants, paired=several, dataset=self.dataset, **only)
        values = varied(variants)
        return rows.assign(**{label: rows["variant"].map(values[name]) for name, label in self.axes.items()})


class Plans(NamedTuple):
    """What the grid holds of one method: its ladder, the curves of its weights, a map of two of them, and the control.

    The control is the noise of a comparison, in the profile of the curves and maps; the baseline has one.
    """

    ladder: Plan | None = None
    curves: tuple[Plan, ...] = ()
    map: Plan | None = None
    control: Plan | None = None


def by_method() -> dict[str, Plans]:
    """Method → its plans; methods without a ladder, a curve or a map are left out."""
    return {method.name: plans for method, plans in registry.parts("plans") if any(plans[:3])}


def control() -> Plan:
    """The null control of the baseline."""
    return methods.reference().part("plans").control


def grid() -> tuple[Plan, ...]:
    """All plans: ladders, then curves, then maps, then the control."""
    every = by_method().values()
    ladders, maps = ([plan for plans in every if (plan := getattr(plans, kind))] for kind in ("ladder", "map"))
    return (*ladders, *(plan for plans in every for plan in plans.curves), *maps, control())


def runs(plans: Iterable[Plan] | None = None) -> pd.DataFrame:
    """Every run of some plans, and whether the ledger holds it; no data set is opened, nothing is trained.

    A run is recorded if it has a row without an error, of whatever version of the code, as
    `reidlib.experiments.studies.results` counts them; a sweep would make a run of older code again. A run that several
    studies share has a row in each: the same ``recipe``, ``dataset`` and ``split``.

    Returns:
        ``study``, ``variant``, ``dataset``, ``profile``, ``split`` (missing where there is a single one), ``seed``,
        ``recipe`` (its digest), ``is_recorded`` and ``command``.
    """
    rows = ledger.table(error=None, processes=1)
    present = set(zip(rows["recipe"], rows["split"].fillna(0), strict=True))
    records = []
    for plan in grid() if plans is None else plans:
        variants = plan.variants().items()
        for seed, split, (variant, recipe) in itertools.product(plan.seeds, plan.splits or (None,), variants):
            digest = recipe.replace(seed=seed).digest
            place = plan.study, variant, plan.dataset, plan.profile, split, seed, digest
            records.append((*place, (digest, split or 0) in present, plan.command))
    return pd.DataFrame(records, columns=RUN_COLUMNS).astype({"split": "Int64", "is_recorded": bool})


def missing(plans: Iterable[Plan] | None = None) -> pd.DataFrame:
    """The studies of which runs are missing, in the order of the plans: ``study``, ``runs`` (planned), ``missing`` and
    the ``command`` that makes them. A run that several studies share counts in each, and is made once."""
    lacking = ~runs(plans).set_index(["study", "command"])["is_recorded"]
    counts = lacking.groupby(level=[0, 1], sort=False).agg(runs="size", missing="sum").query("missing > 0")
    return counts.reset_index()[["study", "runs", "missing", "command"]]


def varied(variants: Mapping[str, Recipe]) -> pd.DataFrame:
    """The numbers in which recipes differ, by variant: a column for each loss weight and each option of their model.

    An option that a recipe does not name has the default of the model. Where a weight and an option have the same
    name, it is the weight.
    """
    numbers = pd.DataFrame([_numbers(recipe) for recipe in variants.values()], index=list(variants))
    return numbers.loc[:, numbers.nunique(dropna=False) > 1]


def ladders() -> pd.DataFrame:
    """The ladders of all methods: rows of the ledger, and the column ``ladder``, the method it leads to.

    The first variant of each is what it begins with. Where a ladder has rows, all its variants have the same seeds.
    """
    found = [(method, plans.ladder) for method, plans in by_method().items() if plans.ladder]
    return pd.concat([plan.rows().assign(ladder=method) for method, plan in found], ignore_index=True)


def steps(rows: pd.DataFrame) -> pd.DataFrame:
    """Every rung of :func:`ladders` against the one before it, by the one rule of evidence, in points of mAP.

    Returns:
        ``ladder``, ``step`` (below → above), ``difference``, ``low`` and ``high``, ``pairs`` of runs, and ``word``:
        ``gain``, ``loss`` or ``undecided``; rungs with a single pair are left out.
    """
    found, words = [], {"better": "gain", "worse": "loss", "undecided": "undecided"}
    for name, part in rows.groupby("ladder", sort=False):
        for below, above in itertools.pairwise(part["variant"].unique()):
            pair = same_seeds(part, above, below)
            if len(pair[0]) > 1:
                known = compare(*pair)
                ends = (100 * end for end in (known.differences["mAP"], *known.intervals["mAP"]))
                found.append((name, f"{below} → {above}", *ends, len(known.pairs), words[known.word]))
    return pd.DataFrame(found, columns=["ladder", "step", "difference", "low", "high", "pairs", "word"])


def curves() -> pd.DataFrame:
    """The curves of all methods, weight by weight: rows of the ledger, and four columns more.

    ``curve`` is the method, ``weight`` the label of what varies, ``value`` its value and ``usual`` that of the recipe.
    The run with the recipe's own values is a point of every curve of its method.
    """
    parts = []
    for method, plans in by_method().items():
        for plan in plans.curves:
            (name, label), *_ = plan.axes.items()
            rows, values = plan.rows(), varied(plan.variants())[name]
            columns = {"curve": method, "weight": label, "value": rows[label], "usual": values.iloc[0]}
            parts.append(rows.drop(columns=label).assign(**columns))
    return pd.concat(parts, ignore_index=True)


def weight_map(method: str) -> pd.DataFrame:
    """A method's map: rows of the ledger, and a column for each of its two weights, called by its label.

    Raises:
        ValueError: there is no map of the method; the message lists those there are.
    """
    maps = {name: plans.map for name, plans in by_method().items() if plans.map}
    if method not in maps:
        raise ValueError(f"there is no map of {method!r}; choose one of: {', '.join(maps)}")
    return maps[method].rows()


def _numbers(recipe: Recipe) -> dict[str, float]:
    options = registry.model_options(recipe.method) | dict(recipe.model) | dict(recipe.loss_weights)
    return {
        name: float(f"{value:.6g}")  # 3 × 0.2 is 0.6, in labels and in tables that are written and read again
        for name, value in options.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    }
