"""Many runs: every variant with every seed, trained, evaluated, measured and recorded; what is there is not repeated.

:mod:`reidlib.experiments.studies` names variants, ``run`` makes their runs in the processes of this machine, ``submit``
hands them to a cluster. A sweep that was stopped or killed goes on when it is started again, and several may run at
once.
"""

import multiprocessing
import os
import pickle
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from reidlib.console import progress, spelling
from reidlib.data import ReIDDataset
from reidlib.evaluation.protocols import ANY, Protocol
from reidlib.experiments import ledger
from reidlib.experiments import measures as measuring
from reidlib.experiments.job import Interrupted, Job
from reidlib.methods import Recipe
from reidlib.training import devices, provenance, runs

if TYPE_CHECKING:
    import submitit

CLUSTERS = ("slurm", "local", "debug")
Recipes = Mapping[str, Recipe] | Iterable[tuple[str, Recipe]]


def run(
    recipes: Recipes,
    dataset: ReIDDataset | Sequence[ReIDDataset],
    protocol: Protocol | Sequence[Protocol],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    workers: int = 1,
    threads: int | None = None,
    measures: Sequence[str] = (),
) -> pd.DataFrame:
    """Make sure that the ledger holds every variant with every seed; returns their rows, seed by seed.

    A run that fails becomes a row with its ``error``; it is tried again when the sweep is.

    Args:
        recipes: label → recipe; the seeds replace the recipe's own.
        dataset: one data set or several, such as the splits of one; each recipe is trained on those of its name.
        protocol: one or several; each run is scored by those for its data set.
        workers: processes that train at once; they share out the GPUs there are. With more than one, a script must
            start the sweep under ``if __name__ == "__main__":``.
        threads: of torch in each; default: those of this process, shared out.
        measures: names of :func:`reidlib.experiments.measures.registered`, taken on every run;
            :func:`reidlib.experiments.studies.measures` finds them. One that fails is logged, and tried again when the
            sweep is.

    Raises:
        ValueError: a label twice, an unknown measure, or recipes, data sets and protocols that do not belong together;
            a method with a class without a source file, or, with several workers, that they cannot import; under
            ``torchrun``.
        Interrupted: the code has changed meanwhile, or a worker was killed; what is finished stays.
    """
    jobs = plan(recipes, dataset, protocol, seeds, measures)
    perform(jobs, workers, threads)
    return rows(jobs)


def plan(
    recipes: Recipes,
    dataset: ReIDDataset | Sequence[ReIDDataset],
    protocol: Protocol | Sequence[Protocol],
    seeds: Sequence[int],
    measures: Sequence[str] = (),
) -> list[Job]:
    """The jobs of a sweep, all variants with the first seed, then with the next. Raises ``ValueError`` as ``run``."""
    named = list(recipes.items() if isinstance(recipes, Mapping) else recipes)
    datasets = [dataset] if isinstance(dataset, ReIDDataset) else list(dataset)
    protocols = [protocol] if isinstance(protocol, Protocol) else list(protocol)
    if not (named and seeds and datasets and protocols):
        raise ValueError("a sweep needs at least one recipe, one seed, one data set and one protocol")
    known = {each.name for each in datasets}
    for variant, recipe in named:
        if recipe.dataset not in known:
            there = " or ".join(map(repr, sorted(known)))
            raise ValueError(f"{variant!r} is a recipe for data set {recipe.dataset!r}, not for {there}")
    if twice := [label for label, number in Counter(label for label, _ in named).items() if number > 1]:
        raise ValueError(f"two recipes are called {min(twice)!r}")
    measuring.require_known(measures)
    for method in {recipe.method for _, recipe in named}:
        for kind in provenance.classes_without_file(method):
            raise ValueError(
                f"method {method!r} has a class without a source file, {kind.__name__} (a notebook's cell, for "
                "example): a sweep could not tell its versions apart; put the class into a .py file and import it"
            )
    rules = {name: [each for each in protocols if each.dataset in (name, ANY)] for name in known}
    for each in datasets:
        for rule in rules[each.name] or protocols:
            rule.trials(each)  # what does not fit shall be said now, not after hours of training
    of_name = {each.name: each for each in datasets}
    pairs = {(recipe.method, recipe.dataset) for _, recipe in named}
    codes = {(method, name): provenance.code_for(method, of_name[name]) for method, name in pairs}
    return [
        Job(variant, recipe.replace(seed=seed), each, rule, codes[recipe.method, recipe.dataset], tuple(measures))
        for seed in seeds
        for each in datasets
        for variant, recipe in named
        if recipe.dataset == each.name
        for rule in rules[each.name]
    ]


def rows(jobs: Sequence[Job]) -> pd.DataFrame:
    """The rows of the ledger for jobs, in their order, with their labels; empty but for that of jobs yet to perform."""
    keys = pd.DataFrame([job.key for job in jobs], columns=ledger.KEY)
    keys = keys.astype({name: ledger.COLUMNS[name] for name in ledger.KEY})
    found = keys.merge(ledger.table(data=set(keys["data"])), on=ledger.KEY, how="left", validate="many_to_one")
    return found.assign(variant=[job.variant for job in jobs])[list(ledger.COLUMNS)]


def measured(jobs: Sequence[Job]) -> pd.DataFrame:
    """What was measured on the runs of jobs: rows of `reidlib.experiments.measures.table`, in their order."""
    wanted = [{**job.run_key, "variant": job.variant, "measure": measure} for job in jobs for measure in job.measures]
    wanted = pd.DataFrame(wanted, columns=[*measuring.KEY, "variant"])
    wanted = wanted.astype({name: measuring.COLUMNS[name] for name in wanted}).drop_duplicates()
    found = wanted.merge(measuring.table(data=set(wanted["data"])).drop(columns="variant"), on=measuring.KEY)
    return found[list(measuring.COLUMNS)]


def perform(jobs: list[Job], workers: int = 1, threads: int | None = None) -> None:
    """Perform jobs in this process, or in several; see :func:`run`."""
    devices.require_one_process("sweep")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    if workers > 1:
        _require_portable(jobs)
    open_jobs = [job for job in jobs if not job.is_done()]
    threads = threads or max(1, torch.get_num_threads() // workers)
    bar = progress.bar(desc="sweep", unit="run", total=len(jobs), initial=len(jobs) - len(open_jobs))
    if workers == 1:
        with bar, _own_threads(threads):
            for job in open_jobs:
                job.perform()
                bar.update()
        return
    with bar, processes(workers, threads) as pool:
        try:
            for future in as_completed([pool.submit(job.perform) for job in open_jobs]):
                future.result()
                bar.update()
        except BrokenProcessPool as error:
            raise Interrupted("a worker was killed (too little memory?); start the sweep again to go on") from error


@contextmanager
def processes(workers: int, threads: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes, with so many threads of torch each, that share out the GPUs and end with this process."""
    context = multiprocessing.get_context("spawn")  # forked processes and threads of torch do not mix
    parent, here = context.Pipe(duplex=False)
    begin = _begin_worker, (threads, parent, _shared_gpus(workers, context), spelling.kept())
    with ProcessPoolExecutor(workers, context, *begin) as pool:
        try:
            yield pool
        except BaseException:
            here.close()
            raise


def submit(
    jobs: Sequence[Job],
    *,
    folder: str | Path | None = None,
    cluster: str = "slurm",
    threads: int | None = None,
    **parameters: Any,
) -> "list[submitit.Job]":
    """Hand jobs to a cluster through submitit, as one job array; one that is done is left out.

    Returns at once, with submitit's handles; :func:`rows` reads the results when they are there. Every element
    performs one job, alone on what it was given. One that runs out of time or is preempted is queued again and goes on
    after its last whole epoch; ``submit`` called again hands in what is still missing.

    All machines must see the same clone, environment, data and run folders at the same place, on a file system whose
    locks hold across machines (``flock``: NFS 4, Lustre mounted with ``-o flock``, BeeGFS, GPFS): through them the
    ledger's rows are kept whole, and no run is made twice. Twins and caches are made once by whoever needs them first.

    Args:
        folder: for logs and pickled jobs; default ``submitted`` beside the runs. Not on a disk of one machine.
        cluster: ``"slurm"``; or, to try a sweep, ``"local"`` (every job in a process of its own, all at once) or
            ``"debug"`` (in this process, when its ``result()`` is asked for).
        threads: of torch in each; default: what torch takes.
        parameters: of submitit's ``AutoExecutor``, such as ``timeout_min`` (default 240), ``gpus_per_node`` (default
            none), ``cpus_per_task``, ``mem_gb``, ``slurm_partition``, ``slurm_array_parallelism``.

    Raises:
        ModuleNotFoundError: submitit is not installed.
        ValueError: an unknown cluster or parameter (the message lists the known), or a method that the machines of the
            cluster could not import.
        OSError: this machine has no SLURM.
    """
    try:
        import submitit
    except ImportError as error:
        raise ModuleNotFoundError("submit needs submitit: pip install 'reidlib[cluster]'") from error
    devices.require_one_process("sweep")
    if cluster not in CLUSTERS:
        raise ValueError(f"unknown cluster {cluster!r}; choose one of: {', '.join(CLUSTERS)}")
    _require_portable(jobs, on_cluster=True)
    folder = runs.home() / "submitted" if folder is None else Path(folder)
    try:
        executor = submitit.AutoExecutor(folder.absolute(), cluster=cluster)
    except RuntimeError as error:
        raise OSError(f"this machine cannot submit to {cluster}: {error}") from error
    try:
        executor.update_parameters(**{"timeout_min": 240, "name": "reidlib", **parameters})
    except (NameError, AssertionError) as error:
        raise ValueError(f"submitit does not take these parameters: {error}") from error
    elements = [_Element(job, threads, spelling.kept()) for job in jobs if not job.is_done()]
    return executor.submit_array(elements) if elements else []


@dataclass(frozen=True)
class _Element:
    """One element of a job array."""

    job: Job
    threads: int | None
    spelled: Callable[[], object]

    def __call__(self) -> None:
        self.spelled()
        with _own_threads(self.threads or torch.get_num_threads()):
            self.job.perform()

    def checkpoint(self) -> "submitit.helpers.DelayedSubmission":
        """Called by submitit before the time is up: what is to be done next is the same, from the run folder."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def _require_portable(jobs: Iterable[Job], *, on_cluster: bool = False) -> None:
    """Raise ``ValueError`` for a method that other processes could not import; those of a cluster run no script."""
    for method, recipe in {job.recipe.method: job.recipe for job in jobs}.items():
        try:
            if b"__main__" in pickle.dumps(recipe) and on_cluster:
                raise pickle.PicklingError("a cluster does not know what the script that is run defines")
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"method {method!r} cannot be sent to another process ({error}): define its class and its measures at "
                "the top level of a .py file and import it, or sweep in this process, with "
                + spelling.argument("workers", 1)
            ) from error


@contextmanager
def _own_threads(threads: int) -> Iterator[None]:
    """With so many threads of torch in this process."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _shared_gpus(workers: int, context: BaseContext) -> SimpleQueue:
    """For each worker the GPU that it takes: all that this process sees, in turn."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    number = torch.cuda.device_count()
    names = visible[:number] if len(visible) >= number and visible[0] else [str(index) for index in range(number)]
    queue = context.SimpleQueue()
    for worker in range(workers):
        queue.put(names[worker % number] if number else None)
    return queue


def _begin_worker(threads: int, parent: Connection, gpus: SimpleQueue, spelled: Callable[[], object]) -> None:
    torch.set_num_threads(threads)
    spelled()
    if gpu := gpus.get():
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Connection) -> None:
    """A sweep that is stopped or killed takes its workers with it; else they would go on, and then wait forever."""
    with suppress(EOFError):
        parent.recv()  # nothing is ever sent
    os._exit(1)
