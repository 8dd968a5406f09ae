"""Numbers person by person: equal to the probes in the mean, at their marks for what is put in, of any trained run."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from reidlib import data, explain, methods, training
from reidlib.explain.by_identity import apart, explained, recalled
from reidlib.explain.probes import probe, probe_identity

PEOPLE, EACH = 30, 8
PIDS = np.repeat(np.arange(PEOPLE), EACH)
MODALITY = np.tile([0, 1], PEOPLE * EACH // 2)
CAMERAS = np.tile(np.arange(4), PEOPLE * EACH // 4)


@pytest.fixture
def features() -> np.ndarray:
    """Of people that differ, with noise."""
    generator = np.random.default_rng(0)
    return generator.normal(size=(PEOPLE, 6))[PIDS] + 0.6 * generator.normal(size=(len(PIDS), 6))


@pytest.mark.parametrize("circular", [False, True])
def test_what_is_explained_of_people_is_r_squared_in_the_mean(features: np.ndarray, circular: bool) -> None:
    labels = np.random.default_rng(1).random(PEOPLE)[PIDS] if circular else features[PIDS * EACH, 0] + 0.1
    found = explained(features, labels, PIDS, circular=circular)
    assert found.index.tolist() == list(range(PEOPLE))
    whole = probe(features, labels, PIDS, kind="circular" if circular else "continuous")
    assert found.mean() == pytest.approx(whole.score)
    assert explained(features[:24], labels[:24], PIDS[:24]).isna().all(), "three people are fewer than folds"


def test_recall_is_that_of_the_probe_in_the_mean(features: np.ndarray) -> None:
    found = recalled(features, PIDS, CAMERAS)
    assert found.mean() == pytest.approx(probe_identity(features, PIDS, CAMERAS).score) and 0.3 < found.mean() < 1
    alone = np.where(PIDS == 3, 0, CAMERAS)
    assert 3 not in recalled(features, PIDS, alone).index, "seen by one camera"


def test_modalities_that_are_mixed_shifted_and_in_between_are_told_apart(features: np.ndarray) -> None:
    shift = np.outer(MODALITY, np.eye(6)[0])
    means = pd.DataFrame(
        {size: {k: v.mean() for k, v in apart(features + size * shift, MODALITY, PIDS).items()} for size in (0, 1, 9)}
    )
    for name, mixed in (("neighbours of the same modality", 0.5), ("modality on few dimensions", 0.5)):
        assert means.loc[name, 0] == pytest.approx(mixed, abs=0.06) and means.loc[name, 9] > 0.9
    assert means.loc["distance of the modalities", 0] < 0.5 < 1 < means.loc["distance of the modalities", 9]
    assert (means[1] > means[0]).all() and (means[9] > means[1]).all(), "none of the three saturates at once"


@pytest.mark.all
@pytest.mark.integration
def test_measures_of_parts_are_taken_on_a_trained_run(twin: Callable) -> None:
    """Every number that a part of FIENet or IDKL names is there, by identity, in its bounds."""
    from reidlib.experiments import claims, measures

    dataset = data.open("sysu", root=twin("sysu"))
    recipe = methods.recipe("idkl", dataset="sysu", profile="ci").replace(epochs=1, warmup=0)
    run = training.fit(recipe, dataset, progress=False)
    found = measures.take(run, dataset, ["attention", "knowledge", "modality"])
    named = {
        (part.measure, term.name)
        for part in claims.parts().values()
        for terms in (part.terms, *(control.terms for control in part.controls))
        for term in terms
        if part.measure in found
    }
    assert len(named) > 20 and not [key for key in named if key[1] not in found[key[0]]]
    test = set(dataset.frame.loc[dataset.rows("test"), "pid"])
    for measure, name in sorted(named):
        value = found[measure][name]
        if name.startswith("chance"):
            continue
        assert isinstance(value, pd.Series) and set(value.index) <= test and value.notna().any(), (measure, name)
    energies = pd.DataFrame(found["attention"])
    assert energies.stack().between(0, 1).all()
    assert found["modality"]["shifted: modality on few dimensions"].mean() > 0.9
    maps = explain.centred_cams(run.model, dataset, explain.focus_rows(dataset, images=4))
    assert maps.shape[1:] == run.model.image_size and maps.min() >= 0 and maps.max() <= 1
