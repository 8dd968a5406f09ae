"""Many runs: every variant with every seed, trained, evaluated and recorded; what the ledger holds is not repeated.

``python -m reidlib.sweep baseline-ingredients --profile screen --workers 2`` runs a study on a twin. A sweep that was
stopped or killed goes on when it is started again, and several may run at once. What a run needs is one :class:`Job`,
which can be sent to another process.
"""

import argparse
import json
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd
import torch
from filelock import FileLock
from tqdm.auto import tqdm

from reidlib import data, evaluation, ledger, profiles, runs, studies, training
from reidlib.data import ReIDDataset
from reidlib.evaluation.protocols import Protocol
from reidlib.recipes import Recipe

_logger = logging.getLogger("reidlib")


@dataclass(frozen=True, eq=False)
class Job:
    """One run of a sweep; ``code`` is the digest of the code it is to be made with."""

    variant: str
    recipe: Recipe
    dataset: ReIDDataset
    protocol: Protocol
    code: str

    @property
    def key(self) -> dict[str, str]:
        """Where its row is found: columns of the ledger and their values."""
        return ledger.key(self.recipe, runs.describe(self.dataset), self.protocol, self.code)

    def is_done(self) -> bool:
        return len(ledger.table(**self.key, error=None)) > 0

    def perform(self) -> None:
        """Train, evaluate and record the run, unless that is done or another process does it; record a failure as such.

        Raises:
            RuntimeError: the code has changed, so that what this process computes is not what ``code`` says.
        """
        folder = runs.default_folder(self.recipe, self.dataset)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if self.is_done():
                return
            if runs.code_digest() != self.code:
                raise RuntimeError("the code of reidlib has changed since the sweep began; start it again to go on")
            try:
                run = training.fit(self.recipe, self.dataset, self._own_folder(folder), progress=False)
                result = evaluation.evaluate(run.model, self.dataset, self.protocol)
            except Exception as error:
                _logger.exception("%s, seed %d, failed; the sweep goes on", self.variant, self.recipe.seed)
                options = {"protocol": self.protocol, "variant": self.variant}
                ledger.record_failure(self.recipe, self.dataset, error, **options)
            else:
                ledger.record(run, result, variant=self.variant)

    def _own_folder(self, folder: Path) -> Path:
        """The default folder, or one beside it if that holds a run of other code, which ``fit`` would only load."""
        begun = folder / runs.ENVIRONMENT
        is_ours = not begun.exists() or json.loads(begun.read_text(encoding="utf-8"))["code"] == self.code
        return folder if is_ours else folder.with_name(f"{folder.name}-{self.code[:8]}")


def run(
    recipes: Mapping[str, Recipe] | Iterable[tuple[str, Recipe]],
    dataset: ReIDDataset,
    protocol: Protocol,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    workers: int = 1,
    threads: int | None = None,
) -> pd.DataFrame:
    """Make sure that the ledger holds every variant with every seed; returns their rows, seed by seed.

    A run that fails becomes a row with its ``error``; it is tried again when the sweep is.

    Args:
        recipes: label → recipe; the seeds replace the recipe's own.
        workers: processes that train at once. With more than one, a script must start the sweep under
            ``if __name__ == "__main__":``.
        threads: of torch in each; default: those of this process, shared out.

    Raises:
        ValueError: a label twice, or the recipes, the data set and the protocol do not belong together.
        RuntimeError: the code has changed meanwhile, or a worker was killed; what is finished stays.
    """
    jobs = plan(recipes, dataset, protocol, seeds)
    perform(jobs, workers, threads)
    digests = [job.recipe.digest for job in jobs]
    rows = ledger.table(**{**jobs[0].key, "recipe": digests}).set_index("recipe", drop=False).loc[digests]
    return rows.assign(variant=[job.variant for job in jobs]).reset_index(drop=True)


def plan(
    recipes: Mapping[str, Recipe] | Iterable[tuple[str, Recipe]],
    dataset: ReIDDataset,
    protocol: Protocol,
    seeds: Sequence[int],
) -> list[Job]:
    """The jobs of a sweep, all variants with the first seed, then with the next. Raises ``ValueError`` as ``run``."""
    named = list(recipes.items() if isinstance(recipes, Mapping) else recipes)
    for variant, recipe in named:
        if recipe.dataset != dataset.name:
            raise ValueError(f"{variant!r} is a recipe for data set {recipe.dataset!r}, not for {dataset.name!r}")
    if twice := {variant for variant, _ in named if [name for name, _ in named].count(variant) > 1}:
        raise ValueError(f"two recipes are called {min(twice)!r}")
    if not named or not seeds:
        raise ValueError("a sweep needs at least one recipe and one seed")
    protocol.trials(dataset)  # what does not fit shall be said now, not after hours of training
    code = runs.code_digest()
    return [Job(name, recipe.replace(seed=seed), dataset, protocol, code) for seed in seeds for name, recipe in named]


def perform(jobs: list[Job], workers: int = 1, threads: int | None = None) -> None:
    """Perform jobs in this process, or in several; see :func:`run`."""
    if workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    open_jobs = [job for job in jobs if not job.is_done()]
    threads = threads or max(1, torch.get_num_threads() // workers)
    bar = tqdm(desc="sweep", unit="run", total=len(jobs), initial=len(jobs) - len(open_jobs), leave=False, delay=1)
    if workers == 1:
        with bar, _own_threads(threads):
            for job in open_jobs:
                job.perform()
                bar.update()
        return
    context = multiprocessing.get_context("spawn")  # forked processes and threads of torch do not mix
    parent, here = context.Pipe(duplex=False)
    with bar, ProcessPoolExecutor(workers, context, _begin_worker, (threads, parent)) as pool:
        try:
            for future in as_completed([pool.submit(job.perform) for job in open_jobs]):
                future.result()
                bar.update()
        except BrokenProcessPool as error:
            raise RuntimeError("a worker was killed (too little memory?); start the sweep again to go on") from error
        except BaseException:
            here.close()
            raise


@contextmanager
def _own_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _begin_worker(threads: int, parent: Connection) -> None:
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Connection) -> None:
    """A sweep that is stopped or killed takes its workers with it; else they would go on, and then wait forever."""
    with suppress(EOFError):
        parent.recv()  # nothing is ever sent
    os._exit(1)


def main(arguments: list[str] | None = None) -> None:
    """The command line; ends with exit status 1 if a run failed."""
    parser = argparse.ArgumentParser(
        prog="python -m reidlib.sweep", description="Run a study on the twin of a profile."
    )
    parser.add_argument("study", choices=studies.STUDIES)
    parser.add_argument("--dataset", default="sysu", help="name of the data set (default: %(default)s)")
    parser.add_argument("--profile", help="default: that of this machine")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED", help="default: 0 1 2")
    parser.add_argument("--workers", type=int, default=1, help="processes that train at once (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of each worker (default: the cores, shared out)")
    options = parser.parse_args(arguments)
    profile = profiles.get(options.profile).name
    recipes = studies.get(options.study, dataset=options.dataset, profile=profile)
    dataset = data.open(options.dataset, twin=profile)
    protocol = evaluation.protocols.get(options.dataset)
    rows = run(recipes, dataset, protocol, seeds=options.seeds, workers=options.workers, threads=options.threads)
    print(f"{dataset.title} · {protocol} · seeds {' '.join(map(str, options.seeds))} · per cent")
    scores = 100 * rows.groupby("variant", sort=False)[["rank-1", "mAP", "mINP"]].agg(["mean", "std"])
    print(scores.to_string(float_format="{:.1f}".format, na_rep="–"))
    if failures := int(rows["error"].notna().sum()):
        sys.exit(f"{failures} of {len(rows)} runs failed; the column error of {ledger.local()} says why")


if __name__ == "__main__":
    main()
