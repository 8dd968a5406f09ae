"""A method in one file outside reidlib: a template for one of your own.

Import it (or install it with an entry point of the group ``reidlib.methods``), and ``methods.recipe("fifth")``,
``training.fit``, sweeps, the ledger and the benchmark know it.
"""

from reidlib.methods import Method, Study, register
from reidlib.networks import TwoStream


class Fifth(TwoStream):
    """The two-stream network with one more loss: features are kept short."""

    def __init__(self, num_ids, backbone, *, strength=1.0, **options):
        super().__init__(num_ids, backbone, **options)
        self.strength = strength

    def losses(self, outputs, pids, modality):
        """``identity`` and ``triplet`` as those of the baseline, and ``size``."""
        size = outputs.features["shared"].square().mean()
        return super().losses(outputs, pids, modality) | {"size": self.strength * size}


def strength(run, dataset):
    """A measure: numbers by name, taken on a trained run."""
    return {"strength": run.model.strength}


WEIGHTS = {"identity": 1.0, "triplet": 1.0, "size": 0.1}
METHOD = register(
    Method(
        name="fifth",
        title="Fifth",
        model=Fifth,
        recipes={"sysu": {"all": {"loss_weights": WEIGHTS}, "screen": {"epochs": 1, "warmup": 0}}},
        studies={"fifth-strength": Study("fifth", {"as it is": {}, "twice": {"model": {"strength": 2.0}}})},
        measures={"fifth": strength},
    )
)
