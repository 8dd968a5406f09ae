"""One run of a sweep, which can be sent to another process."""

import logging
from dataclasses import dataclass
from pathlib import Path

from reidlib import evaluation, paths, training
from reidlib.data import ReIDDataset
from reidlib.evaluation.protocols import Protocol
from reidlib.experiments import ledger
from reidlib.experiments import measures as measuring
from reidlib.experiments.records import run_key
from reidlib.methods import Recipe
from reidlib.training import provenance, record, runs

_logger = logging.getLogger("reidlib")


class Interrupted(RuntimeError):
    """A sweep could not go on; what is finished stays, and the same call goes on from there."""


@dataclass(frozen=True, eq=False)
class Job:
    """One run of a sweep.

    Attributes:
        code: digest of the code it is to be made with.
        measures: names of :func:`reidlib.experiments.measures.registered`, taken and recorded once it is evaluated.
    """

    variant: str
    recipe: Recipe
    dataset: ReIDDataset
    protocol: Protocol
    code: str
    measures: tuple[str, ...] = ()

    @property
    def key(self) -> dict[str, str]:
        """Where its row is found: columns of the ledger and their values."""
        return ledger.key(self.recipe, runs.describe(self.dataset), self.protocol, self.code)

    @property
    def run_key(self) -> dict[str, str]:
        """Where its measures are found."""
        return run_key(self.recipe, runs.describe(self.dataset), self.code)

    @property
    def is_recorded(self) -> bool:
        """Whether the ledger holds its row."""
        return len(ledger.table(**self.key, error=None)) > 0

    @property
    def missing_measures(self) -> list[str]:
        """Those of its measures that are not recorded yet."""
        return measuring.missing(self.run_key, self.measures)

    def is_done(self) -> bool:
        return self.is_recorded and not self.missing_measures

    def perform(self) -> None:
        """Train, evaluate, record and measure the run, as far as that is not done nor another process does it.

        If it fails, that is recorded. A measure that fails is logged; it is tried again when the sweep is.

        Raises:
            Interrupted: the code has changed, so that what this process computes is not what ``code`` says.
        """
        folder = runs.default_folder(self.recipe, self.dataset)
        with paths.locked(folder.with_name(f".{folder.name}.lock"), "REIDLIB_RUNS"):
            if self.is_done():
                return
            if provenance.code_for(self.recipe.method, self.dataset) != self.code:
                raise Interrupted("the code of reidlib has changed since the sweep began; start it again to go on")
            is_recorded = self.is_recorded
            try:
                run = training.fit(self.recipe, self.dataset, self._own_folder(folder), progress=False)
                result = None if is_recorded else evaluation.evaluate(run.model, self.dataset, self.protocol)
            except Exception as error:
                _logger.exception("%s, seed %d, failed; the sweep goes on", self.variant, self.recipe.seed)
                if not is_recorded:
                    options = {"protocol": self.protocol, "variant": self.variant}
                    ledger.record_failure(self.recipe, self.dataset, error, **options)
                return
            if result is not None:
                ledger.record(run, result, variant=self.variant)
            self._measure(run)

    def _measure(self, run: runs.Run) -> None:
        for name in self.missing_measures:
            try:
                measuring.record(run, self.dataset, [name], variant=self.variant)
            except Exception:
                text = "measure %s of %s, seed %d, failed; the sweep goes on"
                _logger.exception(text, name, self.variant, self.recipe.seed)

    def _own_folder(self, folder: Path) -> Path:
        """The default folder, or one beside it if that holds a run of other code, which ``fit`` would only load."""
        is_begun = (folder / record.ENVIRONMENT).exists()
        is_ours = not is_begun or record.read_environment(folder)["code"] == self.code
        return folder if is_ours else folder.with_name(f"{folder.name}-{self.code[:8]}")
