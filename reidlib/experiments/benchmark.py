"""The benchmark: every method and its baselines on a data set, from the ledger.

A *model* here is a variant of one of the registered comparisons (``maum-comparison`` and its like): each method as in
its recipe, the baseline of equal budget, and those that are trained longer or have as many parameters. In the profile
``paper`` each method has a budget of its own, and so a baseline of its own, called ``baseline, budget of …``. A method
in no comparison is there with its recipe, and so are variants with a recipe of their own, to which published numbers
may belong. Rows are of one data set, real or a twin, one profile and one protocol; nothing of these is ever mixed, and
published numbers are another table (:mod:`reidlib.evaluation.published`). Scores are fractions, in :func:`tables` per
cent.
"""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from reidlib import methods
from reidlib.data import registry
from reidlib.evaluation.published import Comparison
from reidlib.experiments import claims, comparison, ledger, studies
from reidlib.experiments.part import Runs
from reidlib.experiments.records import in_words
from reidlib.methods import Recipe

PLACE = ["dataset", "source", "profile", "protocol", "reranking", "trials"]  # what a table is of
METRICS = ("rank-1", "mAP", "mINP")


def models(dataset: str, profile: str) -> dict[str, Recipe]:
    """Label → recipe of all models that have a recipe for the data set; the reference and its variants first.

    Raises:
        ValueError: an unknown profile, or no recipe for the data set; the message lists the known.
    """
    reference = methods.reference().name
    found = {reference: methods.recipe(reference, dataset=dataset, profile=profile)}
    for name, method in methods.registered().items():
        is_there = name not in methods.registered(controls=False) and name in {each.method for each in found.values()}
        if dataset not in method.recipes or method.is_reference or is_there:
            continue
        plain = {method.title: methods.recipe(method.name, dataset=dataset, profile=profile)}
        compared = method.comparison and studies.get(method.comparison, dataset=dataset, profile=profile)
        budget = f", budget of {method.title}" if compared and compared.get(reference) != found[reference] else ""
        for label, recipe in (compared or plain).items():
            label = f"{reference}, {recipe.epochs} epochs" if label == f"{reference}, trained longer" else label
            found.setdefault(label + budget * label.startswith(reference), recipe)
    return dict(sorted(found.items(), key=lambda model: reference not in model[1].method))


def results(path: str | Path | None = None, **filters: object) -> pd.DataFrame:
    """The rows of the ledger that are of a model, by data set, profile and model, with ``model`` as their first column.

    Of each model in one place, only runs of one version of the code count: that of most rows, or the last of several
    such. Rows of profile ``ci``, whose numbers mean nothing, are left out.

    Args:
        path, filters: as in :func:`reidlib.experiments.ledger.table`.

    Raises:
        ValueError, FileNotFoundError: as :func:`reidlib.experiments.ledger.table`.
    """
    every = ledger.table(path, latest=True, **{"error": None, "processes": 1, **filters})
    parts, present = [every[:0].assign(model="")], set(every[["dataset", "profile"]].itertuples(index=False, name=None))
    for dataset, profile in itertools.product(registry.READERS, ("paper", "gpu", "cpu", "screen")):
        of_place = every[(every["dataset"] == dataset) & (every["profile"] == profile)]
        for label, recipe in (models(dataset, profile) if (dataset, profile) in present else {}).items():
            digests = {recipe.replace(seed=int(seed)).digest for seed in of_place["seed"].unique()}
            rows = of_place[of_place["recipe"].isin(digests)]
            parts += [
                comparison.most_common_code(part).assign(model=label) for _, part in rows.groupby(PLACE, sort=False)
            ]
    rows = pd.concat(parts, ignore_index=True)
    return rows[["model", *every.columns]]


def table(path: str | Path | None = None, **filters: object) -> pd.DataFrame:
    """A row for each model in each place; arguments and errors as :func:`results`.

    Returns:
        The columns of ``PLACE``; ``model`` and ``method``; for each of ``METRICS`` its mean over the runs and, as
        ``"<metric> std"``, its deviation over them (of a sample; NaN for a single run), as fractions; ``runs``,
        ``seeds`` and ``splits``, how many (``splits`` is 0 where there is but one); ``parameters`` and ``epochs``;
        ``step_seconds``, the median over the runs, and ``step_ratio``, that over the baseline's (NaN unless all runs of
        both were made on the same ``machine``), and ``time_ratio``, that of whole trainings (by epochs; NaN where one
        has other batches or epochs of another length); ``machine``: device, threads, and the precision if it is not
        float32.
    """
    lines, reference = [], methods.reference().name
    for place, of_place in results(path, **filters).groupby(PLACE, sort=False):
        usual = [], math.nan, 1, ()
        for model, rows in of_place.groupby("model", sort=False):
            machines = sorted({_machine(row) for row in rows.itertuples()})
            step, epochs = rows["step_seconds"].median(), int(rows["epochs"].iloc[0])
            steps = _steps_by(ledger.recipe(rows.iloc[0]))
            usual = (machines, step, epochs, steps) if model == reference else usual
            ratio = step / usual[1] if len(machines) == 1 and machines == usual[0] else math.nan
            scores = *(rows[metric].mean() for metric in METRICS), *(rows[metric].std() for metric in METRICS)
            counts = len(rows), rows["seed"].nunique(), rows["split"].nunique(), int(rows["parameters"].iloc[0]), epochs
            longer = ratio * epochs / usual[2] if steps == usual[3] else math.nan
            costs = step, ratio, longer, "; ".join(machines)
            lines.append((*place, model, rows["method"].iloc[0], *scores, *counts, *costs))
    columns = [*PLACE, "model", "method", *METRICS, *(f"{metric} std" for metric in METRICS)]
    columns += ["runs", "seeds", "splits", "parameters", "epochs"]
    return pd.DataFrame(lines, columns=[*columns, "step_seconds", "step_ratio", "time_ratio", "machine"])


def no_rows() -> str:
    """What a page says in the place of an empty benchmark: nothing has a recipe of today, and what makes it."""
    of_comparisons = (claim.runs for claim in claims.known().values() if claim.is_comparison)
    commands = dict.fromkeys(runs.command for several in of_comparisons for runs in several)
    return f"no run of a model has a recipe of today; make them: {'; '.join(commands)}"


def places(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The parts of :func:`table` that may be read as one table, each with its heading."""
    for (dataset, source, profile, protocol, reranking, trials), part in rows.groupby(PLACE, sort=False):
        title, data = registry.title(dataset), in_words(source)
        rules = f"{protocol}, {trials} galleries" if trials > 1 else protocol
        yield f"{title} ({data}, {profile}) · {rules} · re-ranking: {reranking}", part


def tables(path: str | Path | None = None, **filters: object) -> Comparison:
    """The benchmark to read: a table for each place, means ± deviation in per cent; arguments as :func:`results`."""
    return Comparison(tuple((heading, readable(part)) for heading, part in places(table(path, **filters))))


def readable(part: pd.DataFrame) -> pd.DataFrame:
    """One part of :func:`table` in words, models in the rows."""
    shown = pd.DataFrame(index=pd.Index(part["model"], name="model"))
    for metric in METRICS:
        pairs = zip(part[metric], part[f"{metric} std"], strict=True)
        shown[metric] = [f"{100 * mean:.1f}" + (f" ± {100 * std:.1f}" if std >= 0 else "") for mean, std in pairs]
    shown["runs"] = part["runs"].to_numpy()
    if part["splits"].any():
        shown["splits"] = part["splits"].to_numpy()
    shown["epochs"] = part["epochs"].to_numpy()
    shown["parameters"] = [f"{count / 1e6:.2f} M" for count in part["parameters"]]
    shown["step, s"] = [f"{seconds:.3f}" for seconds in part["step_seconds"]]
    for name, ratios in (("step ÷ baseline", "step_ratio"), ("training ÷ baseline", "time_ratio")):
        shown[name] = ["" if ratio != ratio else f"{ratio:.2f}" for ratio in part[ratios]]
    return shown


def lengths(path: str | Path | None = None, profile: str = "screen") -> list[comparison.Comparison]:
    """Each variant of the methods' studies of training length, compared with the reference that was trained as long.

    Rows are those of the twin of SYSU-MM01, under its usual protocol.

    Args:
        path: of a ledger, as in :func:`reidlib.experiments.ledger.table`.
        profile: in which the longer runs were made.
    """
    reference, found = methods.reference().name, []
    for method in methods.registered().values():
        if not method.lengths:
            continue
        rows = Runs(method.lengths, profile=profile).results(None if path is None else Path(path), paired=False)
        labels = rows["variant"].unique()
        for label in labels:
            other = ", ".join([reference, label.rpartition(", ")[2]])
            pair = comparison.same_seeds(rows, label, other) if label != other and other in labels else ((), ())
            if len(pair[0]) > 1:
                found.append(comparison.compare(*pair, identities=ledger.identities(rows, path)))
    return found


def no_rows_of_lengths(profile: str = "screen") -> str:
    """What a page says in the place of :func:`lengths` without rows: what makes them."""
    names = (method.lengths for method in methods.registered().values() if method.lengths)
    commands = (studies.command(name, "sysu", profile, range(5)) for name in names)
    return f"no run of a training length has a recipe of today; make them: {'; '.join(commands)}"


def _steps_by(recipe: Recipe) -> tuple[Any, ...]:
    """What decides the number of steps of an epoch."""
    return recipe.identities, recipe.images, recipe.epoch


def _machine(row: Any) -> str:
    """On what a row's run was trained."""
    threads = "several settings" if pd.isna(row.threads) else f"{row.threads} thread(s)"
    return f"{row.device}, {threads}" + (f", {row.precision}" if row.precision not in (None, "float32") else "")
