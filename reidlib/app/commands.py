"""What the command line can do: every function here is a command, its text and its options' texts are the help."""

import sys
from dataclasses import replace

import reidlib  # its packages are imported where they are used: help comes at once
from reidlib.app import options
from reidlib.app.chosen import Chosen, of_run
from reidlib.app.models import draw, export
from reidlib.app.pictures import embed, find, score
from reidlib.app.records import claims, trials


def train(
    method: options.Method,
    /,
    *,
    dataset: options.Dataset = None,
    data: options.Data = (),
    profile: options.Profile = None,
    changes: options.Changes = (),
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    seed: options.Seed = 0,
    root: options.Root = None,
    twin: options.Twin = None,
    split: options.Split = None,
    protocol: options.Protocol = (),
    batch_size: options.BatchSize = options.BATCH_SIZE,
    device: options.Device = None,
    images_on: options.ImagesOn = None,
    compiled: options.Compiled = False,
    checkpoint_every: options.CheckpointEvery = 1,
    extends: options.Extends = None,
    quiet: options.Quiet = False,
) -> int:
    """Train a method, evaluate it and add its row to the ledger. A run that was begun goes on from where it stopped.

    On N devices: torchrun --nproc-per-node N -m reidlib.app.cli train ...; the first process evaluates and records.
    """
    from reidlib.app.changes import apply, named

    with options.bars(not quiet):
        distributed = options.join(device)
        chosen = Chosen(data, dataset, root, twin)
        recipe = reidlib.methods.recipe(method, dataset=chosen.for_recipe, profile=profile).replace(seed=seed)
        given = {"backbone": backbone, "weights": weights}
        recipe = apply(recipe, (*changes, [f"{name}={value}" for name, value in given.items() if value is not None]))
        rules = chosen.rules(named(protocol))
        options.require_positive(batch_size=batch_size, checkpoint_every=checkpoint_every)
        images = chosen.images(recipe.profile, split)
        rules.trials(images)  # what does not fit shall be said now
        if distributed.is_primary and not quiet:
            print(f"data: {images.title}, {images.root}", flush=True)
        run = reidlib.training.fit(
            recipe,
            images,
            device=device,
            images_on=images_on,
            compiled=compiled,
            checkpoint_every=checkpoint_every,
            extends=extends,
            progress=not quiet,
        )
        if not distributed.is_primary:  # torchrun waits for all processes, and this one has done its part
            return 0
        result = reidlib.evaluation.evaluate(run.model, images, rules, batch_size=batch_size)
        reidlib.experiments.ledger.record(run, result)
        ledger = reidlib.experiments.ledger.local()
        print(result if quiet else f"{run}\n{result}\nrun folder {run.folder}, row in {ledger}")
    return 0


def evaluate(
    folder: options.Folder,
    /,
    *,
    dataset: options.OtherDataset = None,
    data: options.Data = (),
    root: options.RootOfRun = None,
    twin: options.Twin = None,
    split: options.SplitOfRun = None,
    protocol: options.Protocol = (),
    batch_size: options.BatchSize = options.BATCH_SIZE,
    allow_seen: options.AllowSeen = False,
    device: options.Device = None,
    quiet: options.Quiet = False,
) -> int:
    """Evaluate a trained run. The row goes to the ledger if the data are those it was trained on."""
    from reidlib.app.changes import named

    with options.bars(not quiet):
        distributed = options.join(device)
        if not distributed.is_primary:
            return 0
        run = reidlib.training.runs.load(folder, device=distributed.device)
        chosen, opened = of_run(run, data, dataset, root, twin, split)
        rules = chosen.rules(named(protocol))
        options.require_positive(batch_size=batch_size)
        images = opened()
        result = reidlib.evaluation.evaluate(run.model, images, rules, batch_size=batch_size, allow_seen=allow_seen)
        print(result if quiet else f"data: {images.title}, {images.root}\n{run}\n{result}")
        if run.finished and reidlib.training.runs.describe(images) == run.environment["dataset"]:
            reidlib.experiments.ledger.record(run, result)
            row = f"row in {reidlib.experiments.ledger.local()}"
        else:
            row = "no row in the ledger" + (": the run was trained on other data" if run.finished else " yet")
        if not quiet:
            print(row)
    return 0


def sweep(
    study: options.Study,
    /,
    *,
    dataset: options.Dataset = None,
    data: options.Data = (),
    profile: options.Profile = None,
    changes: options.Changes = (),
    seeds: options.Seeds = (0, 1, 2),
    splits: options.Splits = (),
    root: options.Root = None,
    twin: options.Twin = None,
    protocol: options.Protocol = (),
    workers: options.Workers = 1,
    threads: options.Threads = None,
    cluster: options.Cluster = None,
    parameters: options.Parameters = (),
    measures: options.Measures = (),
    quiet: options.Quiet = False,
) -> int:
    """Make sure that the ledger holds every variant of a study with every seed; started again, it goes on."""
    from reidlib.app.changes import apply_to_study, named

    with options.bars(not quiet):
        reidlib.training.devices.require_one_process("sweep")
        sweeping = reidlib.experiments.sweep
        chosen = Chosen(data, dataset, root, twin)
        recipes = reidlib.experiments.studies.get(study, dataset=chosen.for_recipe, profile=profile)
        recipes = apply_to_study(study, recipes, changes, chosen.for_recipe)
        measures = tuple(dict.fromkeys((*reidlib.experiments.studies.registered()[study].measures, *measures)))
        reidlib.experiments.measures.require_known(measures)  # before a twin is rendered
        rules = chosen.rules(named(protocol))
        options.require_positive(workers=workers)
        size = next(iter(recipes.values())).profile
        images = [chosen.images(size, split) for split in splits or (None,)]
        jobs = sweeping.plan(recipes, images, rules, seeds, measures)
        if cluster is None:
            sweeping.perform(jobs, workers, threads)
        else:
            handed_in = sweeping.submit(jobs, cluster=cluster, threads=threads, **named(parameters))
            if cluster == "slurm":
                print(f"{len(handed_in)} of {len(jobs)} runs were handed in, the others are done", *handed_in[:1])
                return 0
            for job in handed_in:
                job.result()
        title = replace(images[0], split=None).title + (f", split {' '.join(map(str, splits))}" if splits else "")
        return _report(jobs, f"{title} · {rules} · seeds {' '.join(map(str, seeds))} · per cent", bool(measures))


def _report(jobs: list, heading: str, is_measured: bool) -> int:
    rows = reidlib.experiments.sweep.rows(jobs)
    print(heading)
    scores = 100 * rows.groupby("variant", sort=False)[["rank-1", "mAP", "mINP"]].agg(["mean", "std"])
    print(scores.to_string(float_format="{:.1f}".format, na_rep="–"))
    if is_measured:
        values = reidlib.experiments.sweep.measured(jobs).groupby(["measure", "name", "variant"], sort=False)["value"]
        print(values.agg(["mean", "std"]).to_string(float_format="{:.3f}".format, na_rep="–"))
    if failures := int(rows["error"].notna().sum()):
        ledger = reidlib.experiments.ledger.local()
        print(f"{failures} of {len(rows)} runs failed; the column error of {ledger} says why", file=sys.stderr)
    if lacking := [job for job in jobs if job.is_recorded and job.missing_measures]:
        example = f"{lacking[0].missing_measures[0]} of {lacking[0].variant}, seed {lacking[0].recipe.seed}"
        print(f"{len(lacking)} of {len(jobs)} runs lack a measure ({example}); see above", file=sys.stderr)
    return int(failures > 0 or len(lacking) > 0)


def figures(names: options.Figures = (), /) -> int:
    """Draw the committed figures again from the ledger and the data beside them; nothing is trained."""
    from reidlib.app import figures

    figures.redraw_all(list(names) or None)
    return 0


def check(
    dataset: options.Dataset = None,
    /,
    *,
    data: options.Data = (),
    root: options.RootToCheck = None,
    twin: options.Twin = None,
    split: options.Split = None,
    decode: options.Decode = False,
) -> int:
    """Look for what is missing or odd in a data set.

    Exit status 1 if the folder is there and its content is wrong, be it that it cannot be read or that results would be
    wrong; 2 if there is no such folder, data set or split.
    """
    chosen = Chosen(data, dataset, root, twin)
    if chosen.kind is None:
        split = chosen.split(split)
        folder = reidlib.data.registry.locate(chosen.name, root=root, twin=twin, split=split)
        chosen = Chosen(data, dataset, folder)
    try:
        report = chosen.images("paper", split).check(decode=decode)
    except (OSError, ValueError) as error:
        if chosen.kind and not chosen.place.exists():
            raise
        title = chosen.place or reidlib.data.registry.title(chosen.name)
        print(f"{title}: cannot be read\n{error}")
        return 1
    print(report)
    return 0 if report.ok else 1


def twin(dataset: options.TwinOf, /, *, profile: options.TwinProfile = None) -> int:
    """Build the synthetic twin of a data set, if it is not there yet, and print its folder."""
    print(reidlib.data.registry.renderer().ensure(dataset, profile or reidlib.profiles.get().name))
    return 0


def pretrain(
    backbone: options.Trunk,
    /,
    *,
    folder: options.TrunkFolder = None,
    people: options.People = 240,
    steps: options.Steps = 1000,
    seed: options.Seed = 0,
    device: options.Device = None,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
) -> int:
    """Pretrain a trunk on rendered people who are in no twin: what --weights twin starts from.

    The package ships tiny and small (a minute and four of one core); resnet18 takes about three quarters of an hour.
    """
    import torch

    from reidlib.networks import pretrained
    from reidlib.training import pretrain as pretraining

    with options.bars(not quiet):
        options.join(device)
        options.require_positive(people=people, steps=steps)
        if threads is not None:
            options.require_positive(threads=threads)
            torch.set_num_threads(threads)
        recipe = pretraining.Pretraining.of(backbone, people=people, steps=steps, seed=seed)
        file = pretraining.pretrain(recipe, folder, device=device)
    is_found = not quiet and file == pretrained.find(backbone)
    use = "--weights twin" if is_found else f"--weights {file}"
    print(file if quiet else f"{file}\nits card {file.with_suffix('.json')}\nto start from it: {use}")
    return 0


def list_(what: options.Listed, /) -> int:
    """List what there is by name, a line each."""
    from reidlib.app import lists

    print(*lists.lines(what), sep="\n")
    return 0


COMMANDS = (
    train,
    evaluate,
    embed,
    find,
    score,
    draw,
    export,
    sweep,
    figures,
    check,
    twin,
    pretrain,
    trials,
    claims,
    list_,
)
