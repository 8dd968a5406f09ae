"""The command line: ``reidlib train|evaluate|sweep|figures|check|twin``, also as ``python -m reidlib.app.cli``.

Every function here is a command: its parameters are the options, and its text is the help. What was asked for wrongly
ends in one line on stderr and exit status 2 (``python -X dev -m reidlib.app.cli …`` shows where it came from), what was
done and went wrong in exit status 1.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import reidlib  # its packages are imported where they are used: help comes at once

if TYPE_CHECKING:
    from reidlib.data import ReIDDataset


def train(
    method: str,
    /,
    *,
    dataset: str = "sysu",
    profile: str | None = None,
    seed: int = 0,
    root: Path | None = None,
    twin: str | None = None,
    split: int | None = None,
    device: str | None = None,
) -> int:
    """Train a method, evaluate it and add its row to the ledger. A run that was begun goes on from where it stopped.

    Args:
        method: the model, for example baseline.
        dataset: name of the data set, for example sysu.
        profile: size of the experiment: ci, screen, cpu, gpu or paper; default: $REIDLIB_PROFILE, else what this
            machine can do.
        seed: of the initial weights, the batches and the augmentation.
        root: folder of the licensed data set. Without it: the synthetic twin of the profile; for profile paper, which
            has none, $REIDLIB_DATA/<data set>.
        twin: profile of the synthetic twin, if it is to be another than that of the recipe.
        split: number of the split, for data sets that have several.
        device: for example cpu or cuda:1; default: the GPU if there is one.
    """
    recipe = reidlib.methods.recipe(method, dataset=dataset, profile=profile).replace(seed=seed)
    images = _open(dataset, recipe.profile, root, twin, split)
    protocol = reidlib.evaluation.protocols.get(dataset)
    protocol.trials(images)  # what does not fit shall be said now
    run = reidlib.training.fit(recipe, images, device=device)
    result = reidlib.evaluation.evaluate(run.model, images, protocol)
    reidlib.experiments.ledger.record(run, result)
    print(f"{run}\n{result}\nrun folder {run.folder}, row in {reidlib.experiments.ledger.local()}")
    return 0


def evaluate(
    folder: Path,
    /,
    *,
    dataset: str | None = None,
    root: Path | None = None,
    twin: str | None = None,
    split: int | None = None,
    protocol: tuple[str, ...] = (),
    device: str | None = None,
) -> int:
    """Evaluate a trained run. The row goes to the ledger if the data are those it was trained on.

    Args:
        folder: the run folder, for example runs/sysu/baseline/cpu-seed0-1a2b3c4d.
        dataset: another data set than that of the run.
        root: folder of the licensed data set; default: $REIDLIB_DATA/<data set>, or the twin the run was trained on.
        twin: profile of a synthetic twin.
        split: number of the split; default: that of the run.
        protocol: options of the data set's protocol, for example search=indoor shots=10.
        device: for example cpu or cuda:1; default: the GPU if there is one.
    """
    from reidlib.training import devices

    run = reidlib.training.runs.load(folder, device=devices.init_distributed(device).device)
    trained = run.environment["dataset"]
    is_same_set = dataset in (None, trained["name"])
    name, split = dataset or trained["name"], split or (trained["split"] if is_same_set else None)
    twin = twin or (trained["profile"] if root is None and trained["is_twin"] else None)
    images = reidlib.data.open(name, root=root, twin=twin, split=split)
    result = reidlib.evaluation.evaluate(
        run.model, images, reidlib.evaluation.protocols.get(name, **_options(protocol))
    )
    print(f"{run}\n{result}")
    if run.finished and reidlib.training.runs.describe(images) == trained:
        reidlib.experiments.ledger.record(run, result)
        print(f"row in {reidlib.experiments.ledger.local()}")
    else:
        print("no row in the ledger: the run was trained on other data" if run.finished else "no row in the ledger yet")
    return 0


def sweep(
    study: str,
    /,
    *,
    dataset: str = "sysu",
    profile: str | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    splits: tuple[int, ...] = (),
    root: Path | None = None,
    twin: str | None = None,
    workers: int = 1,
    threads: int | None = None,
    cluster: str | None = None,
    parameters: tuple[str, ...] = (),
    measures: tuple[str, ...] = (),
) -> int:
    """Make sure that the ledger holds every variant of a study with every seed; started again, it goes on.

    Args:
        study: for example baseline-ingredients or null-control.
        dataset: name of the data set.
        profile: size of the experiment: ci, screen, cpu, gpu or paper; default: $REIDLIB_PROFILE, else what this
            machine can do.
        seeds: one run each.
        splits: numbers of the splits, for data sets that have several: one model each.
        root: folder of the licensed data set. Without it: the synthetic twin of the profile; for profile paper, which
            has none, $REIDLIB_DATA/<data set>.
        twin: profile of the synthetic twin, if it is to be another than that of the recipes.
        workers: processes that train at once.
        threads: of each; default: the cores, shared out.
        cluster: slurm hands the runs to SLURM as one job array and returns; local and debug try that out here.
        parameters: for the cluster, for example timeout_min=60 gpus_per_node=1 slurm_partition=short.
        measures: to be taken on every run, beside those of the study, for example relay; rows in runs/measures.csv.
    """
    recipes = reidlib.experiments.studies.get(study, dataset=dataset, profile=profile)
    measures = tuple(dict.fromkeys((*reidlib.experiments.studies.registered()[study].measures, *measures)))
    reidlib.experiments.measures.require_known(measures)  # before a twin is rendered
    size = next(iter(recipes.values())).profile
    images = [_open(dataset, size, root, twin, split) for split in splits or (None,)]
    protocol = reidlib.evaluation.protocols.get(dataset)
    jobs = reidlib.experiments.sweep.plan(recipes, images, protocol, seeds, measures)
    if cluster is None:
        reidlib.experiments.sweep.perform(jobs, workers, threads)
    else:
        handed_in = reidlib.experiments.sweep.submit(jobs, cluster=cluster, threads=threads, **_options(parameters))
        if cluster == "slurm":
            print(f"{len(handed_in)} of {len(jobs)} runs were handed in, the others are done", *handed_in[:1])
            return 0
        for job in handed_in:
            job.result()
    rows = reidlib.experiments.sweep.rows(jobs)
    title = replace(images[0], split=None).title + (f", split {' '.join(map(str, splits))}" if splits else "")
    print(f"{title} · {protocol} · seeds {' '.join(map(str, seeds))} · per cent")
    scores = 100 * rows.groupby("variant", sort=False)[["rank-1", "mAP", "mINP"]].agg(["mean", "std"])
    print(scores.to_string(float_format="{:.1f}".format, na_rep="–"))
    if measures:
        values = reidlib.experiments.sweep.measured(jobs).groupby(["measure", "name", "variant"], sort=False)["value"]
        print(values.agg(["mean", "std"]).to_string(float_format="{:.3f}".format, na_rep="–"))
    if failures := int(rows["error"].notna().sum()):
        ledger = reidlib.experiments.ledger.local()
        print(f"{failures} of {len(rows)} runs failed; the column error of {ledger} says why", file=sys.stderr)
    if lacking := [job for job in jobs if job.is_recorded and job.missing_measures]:
        example = f"{lacking[0].missing_measures[0]} of {lacking[0].variant}, seed {lacking[0].recipe.seed}"
        print(f"{len(lacking)} of {len(jobs)} runs lack a measure ({example}); see above", file=sys.stderr)
    return int(failures > 0 or len(lacking) > 0)


def figures(names: tuple[str, ...] = (), /) -> int:
    """Draw the committed figures again from the ledger and the data beside them; nothing is trained.

    Args:
        names: of figures, without the ending; default: all.
    """
    from reidlib.app import figures

    figures.redraw_all(list(names) or None)
    return 0


def check(
    dataset: str,
    /,
    *,
    root: Path | None = None,
    twin: str | None = None,
    split: int | None = None,
    decode: bool = False,
) -> int:
    """Look for what is missing or odd in a data set; exit status 1 if results would be wrong.

    Args:
        dataset: its name, for example sysu.
        root: its folder; default: $REIDLIB_DATA/<data set>.
        twin: check the synthetic twin of this profile instead.
        split: number of the split, for data sets that have several.
        decode: decode every image as well (minutes on a full data set).
    """
    report = reidlib.data.open(dataset, root=root, twin=twin, split=split).check(decode=decode)
    print(report)
    return 0 if report.ok else 1


def twin(dataset: str, /, *, profile: str | None = None) -> int:
    """Build the synthetic twin of a data set, if it is not there yet, and print its folder.

    Args:
        dataset: its name, for example sysu.
        profile: its size: ci, screen, cpu or gpu; default: $REIDLIB_PROFILE, else what this machine can do.
    """
    print(reidlib.data.registry.renderer().ensure(dataset, reidlib.profiles.get(profile).name))
    return 0


COMMANDS = (train, evaluate, sweep, figures, check, twin)


def main(arguments: list[str] | None = None) -> int:
    """Run a command (default: that of ``sys.argv``); returns the exit status."""
    try:
        import tyro
    except ImportError:
        print("reidlib: the command line needs tyro: pip install tyro", file=sys.stderr)
        return 2
    commands = {command.__name__: command for command in COMMANDS}
    options = {"prog": "reidlib", "args": arguments, "config": (tyro.conf.FlagCreatePairsOff,)}
    try:
        return tyro.extras.subcommand_cli_from_dict(commands, description=reidlib.__doc__.splitlines()[0], **options)
    except (ValueError, OSError, FloatingPointError, ModuleNotFoundError, RuntimeError) as error:
        if sys.flags.dev_mode or not _is_expected(error):
            raise
        print(f"reidlib: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _is_expected(error: Exception) -> bool:
    """Whether the message is meant for the person who typed the command."""
    if not isinstance(error, RuntimeError):
        return True
    import torch

    return isinstance(error, reidlib.experiments.sweep.Interrupted | torch.OutOfMemoryError)


def _open(name: str, profile: str, root: Path | None, twin: str | None, split: int | None) -> "ReIDDataset":
    """The licensed data at ``root``, or the twin; for profile ``paper`` no twin unless one is named."""
    twin = twin or (profile if root is None and profile != "paper" else None)
    return reidlib.data.open(name, root=root, twin=twin, split=split)


def _options(pairs: tuple[str, ...]) -> dict[str, Any]:
    """``name=value`` as a dictionary; numbers, true, false and lists as JSON has them, all else is text."""
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name.isidentifier() and equals):
            raise ValueError(f"{pair!r} is no option; write name=value")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


if __name__ == "__main__":
    sys.exit(main())
