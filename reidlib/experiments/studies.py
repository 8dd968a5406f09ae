"""Studies: labelled recipes, each variant a change of weights, switches or options.

``get("baseline-ingredients", profile="screen")``, a study with a name, and ``grid("baseline", model={"neck": [True,
False]})``, every combination of values, both return ``{variant: recipe}``, which :func:`reidlib.experiments.sweep.run`
takes. ``results`` finds what the ledger holds of them, ``measures`` what else was measured on them, ``trained`` the
models that lie on this machine.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reidlib import methods
from reidlib.data import ReIDDataset
from reidlib.experiments import ledger
from reidlib.experiments import measures as measuring
from reidlib.experiments.budget import equal_wall_clock, with_budget_of
from reidlib.methods import Recipe, Study, registry, sizes
from reidlib.training import checkpoints, runs


def registered() -> dict[str, Study]:
    """Name → study: those of all methods, and ``branches``, which asks all of them what their branches know."""
    found = {name: study for _, studies in registry.parts("studies") for name, study in studies.items()}
    return found | {"branches": _branches()}


def _branches() -> Study:
    """The methods that are trained on visible and infrared images, with the recipes of their comparisons.

    So their runs are measured, and none is trained twice.
    """
    variants = {
        method.title: {"method": name}
        for name, method in methods.registered(controls=False).items()
        if "sysu" in method.recipes
    }
    return Study(methods.reference().name, variants, measures=("probes", "cameras"))


def get(name: str, *, dataset: str | ReIDDataset = "sysu", profile: str | None = None) -> dict[str, Recipe]:
    """The recipes of a study by variant; the first is the reference.

    Variants that change nothing are left out: the ``paper`` recipe of the baseline has no random erasing to remove.

    Args:
        name: of a study, see :func:`registered`.
        dataset, profile: as in :func:`reidlib.methods.recipe`.

    Raises:
        ValueError: an unknown study, or no recipe for the data set or profile; the message lists the known.
    """
    known = registered()
    if name not in known:
        raise ValueError(f"unknown study {name!r}; choose one of: {', '.join(known)}")
    study, found = known[name], {}
    for variant, changes in study.variants.items():
        recipe = methods.recipe(changes.get("method", study.method), dataset=dataset, profile=profile)
        fields = changes.keys() - {"method", "time", "length", "recipe"}
        if study.budget not in (None, recipe.method):
            recipe = with_budget_of(recipe, methods.recipe(study.budget, dataset=dataset, profile=profile))
        recipe = recipe.replace(**{part: changes[part] for part in fields})
        recipe = changes["recipe"](recipe) if "recipe" in changes else recipe
        if "length" in changes:
            recipe = equal_wall_clock(recipe, changes["length"] / sizes.LENGTH.get(recipe.profile, 1))
        recipe = equal_wall_clock(recipe, changes["time"]) if "time" in changes else recipe
        if recipe not in found.values():
            found[variant] = recipe
    return found


def results(
    variants: Mapping[str, Recipe], path: str | Path | None = None, *, paired: bool = False, **filters: Any
) -> pd.DataFrame:
    """What the ledger holds of labelled recipes: their rows with these labels, variant by variant, seed by seed.

    A row is found by its recipe, whatever it was called when it was recorded: a run that several studies share, such
    as their reference, is made once and has one label in the ledger. Of the runs of a recipe with one seed that differ
    in the code alone, only the latest counts; those that failed do not, nor, unless the filters name them, do those of
    several processes.

    Args:
        variants: as :func:`get` and :func:`grid` return them; their seed does not matter.
        paired: keep only the seeds (of a split and protocol) that all variants have: means are then over the same.
        path, filters: as in :func:`reidlib.experiments.ledger.table`.

    Raises:
        ValueError: as :func:`reidlib.experiments.ledger.table`.
    """
    rows = _labelled(ledger.table(path, latest=True, **{"error": None, "processes": 1, **filters}), variants)
    if paired:
        alike = rows.groupby(["dataset", "split", "protocol", "reranking", "seed"], dropna=False)["variant"]
        rows = rows[alike.transform("nunique") == len(variants)]
    return rows


def measures(variants: Mapping[str, Recipe], path: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """What was measured on the runs of labelled recipes: rows of `reidlib.experiments.measures.table`, so labelled.

    Found by recipe, variant by variant, seed by seed, of the latest code, as :func:`results` does.

    Args:
        variants: as :func:`get` and :func:`grid` return them; their seed does not matter.
        path, filters: as in :func:`reidlib.experiments.measures.table`: ``measures(variants, measure="relay")``.

    Raises:
        ValueError, FileNotFoundError: as :func:`reidlib.experiments.measures.table`.
    """
    return _labelled(measuring.table(path, latest=True, **{"processes": 1, **filters}), variants)


def trained(variants: Mapping[str, Recipe], dataset: ReIDDataset, *, seed: int = 0) -> dict[str, runs.Run]:
    """The finished runs of labelled recipes that lie on this machine, wherever a sweep put them; nothing is trained.

    Of several runs of a recipe, made with different versions of the code, the one that was finished last.

    Args:
        variants: as :func:`get` and :func:`grid` return them.
        dataset: what they were trained on.
        seed: takes the place of the recipes' own.

    Raises:
        ValueError: as :func:`reidlib.training.runs.load`.
    """
    found = {}
    for variant, recipe in variants.items():
        usual = runs.default_folder(recipe.replace(seed=seed), dataset)
        folders = [usual, *usual.parent.glob(f"{usual.name}-*")]
        finished = [weights for folder in folders if (weights := folder / checkpoints.WEIGHTS).is_file()]
        if finished:
            found[variant] = runs.load(max(finished, key=lambda weights: weights.stat().st_mtime).parent)
    return found


def grid(
    methods: str | Sequence[str],
    *,
    dataset: str | ReIDDataset | Sequence[str | ReIDDataset] = "sysu",
    profile: str | None = None,
    **axes: Any,
) -> dict[str, Recipe]:
    """Every combination of methods, data sets and changed values as recipes, labelled by what tells them apart.

    ``grid("baseline", loss_weights={"triplet": [0, 0.5, 1]}, model={"neck": [True, False]})`` → six recipes, the first
    one called ``"triplet weight 0, neck"``. Seeds and splits come in with :func:`reidlib.experiments.sweep.run`.

    Args:
        methods, dataset: one name or several; a data set of one's own is given itself.
        profile: as in :func:`reidlib.methods.recipe`.
        axes: what :meth:`Recipe.replace` takes, with a list of values in place of each value that is to vary (a list,
            a range or an array; a tuple is one value).

    Raises:
        ValueError: an unknown method, data set, profile, field, loss term or option (the message lists the known), a
            value out of range, a list without values or with one twice.
    """
    named, datasets = ([each] if isinstance(each, str | ReIDDataset) else list(each) for each in (methods, dataset))
    choices = {
        (part, option): _several(values)
        for part, options in axes.items()
        for option, values in (options.items() if isinstance(options, Mapping) else [("", options)])
    }
    if empty := [part for (part, _), values in choices.items() if not values]:
        raise ValueError(f"the list of values of {empty[0]!r} is empty")
    found: list[tuple[str, Recipe]] = []
    for name, method, values in itertools.product(datasets, named, itertools.product(*choices.values())):
        default = registry.recipe(method, dataset=name, profile=profile)
        words, changes = [method] if len(named) > 1 else [], {}
        for (part, option), value in zip(choices, values, strict=True):
            _require_option(default, part, option)
            changes |= {part: {**changes.get(part, {}), option: value} if option else value}
            words += [_in_words(part, option, value)] if len(choices[part, option]) > 1 else []
        words += [f"on {default.dataset}"] if len(datasets) > 1 else []
        found.append((", ".join(words) or method, default.replace(**changes)))
    labels = [label for label, _ in found]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise ValueError(f"two variants are called {twice[0]!r}: a value is listed twice")
    return dict(found)


def command(study: str, dataset: str, profile: str, seeds: Iterable[int], splits: Iterable[int] = ()) -> str:
    """What makes the runs of a study; those that are in the ledger are not made again."""
    words = ["reidlib sweep", study, *(["--dataset", dataset] if dataset != "sysu" else [])]
    words += ["--profile", profile, "--seeds", *map(str, seeds)]
    return " ".join([*words, *(["--splits", *map(str, splits)] if splits else [])])


def no_rows(name: str, *, dataset: str = "sysu", profile: str, splits: Iterable[int] = ()) -> str:
    """What a page says in the place of a study's figure: no run has a recipe of today, and what makes them."""
    seeds = range(1 if splits else 5)
    return f"no run of {name} has a recipe of today; make them: {command(name, dataset, profile, seeds, splits)}"


def _labelled(rows: pd.DataFrame, variants: Mapping[str, Recipe]) -> pd.DataFrame:
    """The rows of these recipes, with their labels and their index."""
    seeds = sorted(rows["seed"].unique())
    labels = [(recipe.replace(seed=int(seed)).digest, name) for name, recipe in variants.items() for seed in seeds]
    labels = pd.DataFrame(labels, columns=["recipe", "variant"], dtype="str")
    found = labels.merge(rows.drop(columns="variant").reset_index(names="index"), on="recipe")
    return found.set_index("index").rename_axis(None)[list(rows)]


def _several(values: Any) -> list[Any]:
    values = values.tolist() if isinstance(values, np.ndarray) else values
    return list(values) if isinstance(values, list | range) else [values]


def _in_words(part: str, option: str, value: Any) -> str:
    name = (f"{option} weight" if part == "loss_weights" else option or part).replace("_", " ")
    if isinstance(value, bool) or value is None:
        return name if value else f"without {name}"
    return f"{name} {value}"


def _require_option(default: Recipe, part: str, option: str) -> None:
    known = {"loss_weights": default.loss_weights, "model": registry.model_options(default.method)}
    if option and part in known and option not in known[part]:
        raise ValueError(f"{default.method} has no {option!r} in {part}; choose from: {', '.join(sorted(known[part]))}")
