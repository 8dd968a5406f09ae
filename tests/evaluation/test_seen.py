"""People that a model was trained on are not scored without a word."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import reidlib.data
from reidlib import methods, training, twins
from reidlib.console.spelling import for_command_line
from reidlib.data import ReIDDataset
from reidlib.evaluation import (
    EvaluationResult,
    TrainedOn,
    embed,
    evaluate,
    pair_distances,
    protocols,
    report,
    retrieve,
    score,
    trained_on,
)
from reidlib.experiments import ledger
from reidlib.explain import branch_embeddings
from reidlib.plots import tables
from reidlib.training import runs

PROTOCOL = protocols.get("sysu", num_trials=2)
WORDS = "2 of 4 test identities were trained on"
SPLITS = ("regdb", "pku-sketch")


class Shade(nn.Module):
    """Embeds an image by its brightness; ``trained_on`` identities of `small`."""

    image_size = (16, 8)

    def __init__(self, *pids: int, **changes):
        super().__init__()
        fields = {"dataset": "sysu", "split": None, "is_twin": False, "twin_version": None, "profile": None} | changes
        self.trained_on = TrainedOn(pids=frozenset(pids), **fields)
        self.batches = 0

    def embed(self, images, modality):
        self.batches += 1
        shade = images.mean(dim=(1, 2, 3))
        return torch.stack([shade.cos(), shade.sin()], dim=1)


class Several(nn.Module):
    """The mean of several models."""

    image_size = (16, 8)

    def __init__(self, *models):
        super().__init__()
        self.models = nn.ModuleList(models)

    def embed(self, images, modality):
        return sum(model.embed(images, modality) for model in self.models)


def opened(name: str, root: Path, split: int | None) -> ReIDDataset:
    return reidlib.data.open(name, root=root, split=split)


def test_people_seen_in_training_are_refused_before_anything_is_embedded(small):
    model = Shade(6, 21, 500)
    refusal = (
        "^2 of 4 test identities of SYSU-MM01 were trained on: .*people that it was not trained on.*allow_seen=True"
    )
    for refused in (lambda: evaluate(model, small, PROTOCOL), lambda: embed(model, small, small.rows("test"))):
        with pytest.raises(ValueError, match=refusal):
            refused()
    with for_command_line(), pytest.raises(ValueError, match="or pass --allow-seen"):
        evaluate(model, small, PROTOCOL)
    assert model.batches == 0


def test_whoever_scores_them_all_the_same_is_told_everywhere(small, tmp_path):
    result = evaluate(Shade(6, 21), small, PROTOCOL, allow_seen=True)
    assert (result.seen, result.identities, result.note) == (2, 4, WORDS)
    loaded = EvaluationResult.load(result.save(tmp_path / "result.json"))
    for each in (result, loaded):
        for text in (repr(each), each._repr_html_(), each.source, each.table().to_string(), report([each]).to_string()):
            assert WORDS in text
    assert set(tables.cmc({"mine": result})["model"]) == {f"mine ({WORDS})"}

    unseen = evaluate(Shade(1, 500), small, PROTOCOL)
    assert (unseen.seen, unseen.identities, unseen.note) == (0, 4, "")
    assert unseen.mean == result.mean
    assert "trained on" not in repr(unseen) + unseen.source + report([unseen]).to_string()
    assert set(tables.cmc({"mine": unseen})["model"]) == {"mine"}


def test_files_of_older_versions_are_read_and_wrong_counts_are_not(small, tmp_path):
    path = evaluate(Shade(6), small, PROTOCOL, allow_seen=True).save(tmp_path / "result.json")
    text = path.read_text()
    assert '"seen": 1, "identities": 4, ' in text
    path.write_text(text.replace('"seen": 1, "identities": 4, ', ""))
    assert (EvaluationResult.load(path).seen, EvaluationResult.load(path).identities) == (0, None)
    path.write_text(text.replace('"seen": 1', '"seen": 5'))
    with pytest.raises(ValueError, match="seen must be 0 to the number of identities"):
        EvaluationResult.load(path)


def test_embeddings_remember_their_model(small):
    values = embed(Shade(6, 21), small, small.rows("test"), allow_seen=True)
    assert trained_on(values) == (Shade(6, 21).trained_on,) and trained_on(values.clone()) == ()
    assert score(values, small, PROTOCOL, allow_seen=True).note == WORDS
    for function in (score, retrieve, pair_distances):
        function(values, small, PROTOCOL, allow_seen=True)
        with pytest.raises(ValueError, match="2 of 4 test identities"):
            function(values, small, PROTOCOL)
        function(values.numpy(), small, PROTOCOL)  # an array does not know; embed has refused it once


def test_embeddings_of_training_images_do_not_become_test_embeddings_of_another_split(small):
    swapped = replace(small, frame=small.frame.assign(split="train"))
    values = embed(Shade(6), swapped, np.arange(len(small)))
    with pytest.raises(ValueError, match="1 of 4 test identities"):
        score(values, small, PROTOCOL)


def test_a_model_made_of_models_was_trained_on_what_each_of_them_was(small):
    with pytest.raises(ValueError, match="3 of 4 test identities"):
        evaluate(Several(Shade(6, 21), Shade(6, 10)), small, PROTOCOL)
    assert evaluate(Several(Shade(500)), small, PROTOCOL).seen == 0


@pytest.mark.parametrize(
    "other",
    [{"dataset": "llcm"}, {"is_twin": True, "twin_version": "1", "profile": "ci"}],
)
def test_equal_numbers_of_other_data_are_other_people(small, other):
    assert evaluate(Shade(6, 10, 17, 21, **other), small, PROTOCOL).seen == 0


def test_a_model_from_elsewhere_carries_nothing(small):
    model = Shade()
    del model.trained_on
    result = evaluate(model, small, PROTOCOL)
    assert result.seen == 0 and trained_on(model) == trained_on(object()) == ()


def test_own_data_are_told_apart_by_their_name(small):
    mine = replace(small, name="mine")
    with pytest.raises(ValueError, match="1 of 4 test identities"):
        embed(Shade(6, dataset="mine"), mine, mine.rows("test"))
    assert len(embed(Shade(6), mine, mine.rows("test"))) == len(mine.rows("test"))


@pytest.mark.parametrize("name", list(twins.TWINS))
def test_a_number_is_the_same_rendered_person_in_every_profile_where_readers_say_so(name, twin):
    dataset = opened(name, twin(name), 1 if name in SPLITS else None)
    rendered = [twins.TWINS[name].describe(path)[0].pid for path in dataset.frame["path"]]
    assert (rendered == dataset.frame["pid"]).all() == (not dataset.reader.local_pids)
    pids = np.unique(dataset.frame["pid"])
    large = TrainedOn(name, None, True, dataset.twin_version, "cpu", frozenset(pids.tolist()))
    assert large.among(dataset, pids).all() == (not dataset.reader.local_pids)
    assert replace(large, profile="ci").among(dataset, pids).all()
    assert not replace(large, twin_version="0").among(dataset, pids).any()


@pytest.mark.parametrize("name", SPLITS)
def test_splits_share_people(name, twin):
    first, second = (opened(name, twin(name), split) for split in (1, 2))
    model = Shade()
    model.trained_on = TrainedOn.of(runs.describe(first), first.train_labels()[1])
    tested = set(second.frame["pid"][second.rows("test")])
    shared = len(tested & set(first.frame["pid"][first.rows("train")]))
    assert 0 < shared < len(tested)
    refusal = rf"^{shared} of {len(tested)} test identities of .*, split 2 were trained on \(split 1\): .*\(split=1\)"
    with pytest.raises(ValueError, match=refusal):
        evaluate(model, second, protocols.get(name))
    assert evaluate(model, first, protocols.get(name)).seen == 0


def test_a_trained_model_is_refused_on_another_split_and_not_on_other_data(twin, isolated_home):
    first, second = (opened("regdb", twin("regdb"), split) for split in (1, 2))
    sizes = {
        "height": 32,
        "width": 16,
        "identities": 4,
        "images": 2,
        "epochs": 1,
        "warmup": 0,
        "validation_share": 0.25,
    }
    run = training.fit(methods.recipe("baseline", dataset="regdb", profile="ci").replace(**sizes), first)
    protocol, tested = protocols.get("regdb"), pd.unique(second.frame["pid"][second.rows("test")])
    seen = int(np.isin(tested, run.pids).sum())
    assert 0 < seen < int(np.isin(tested, first.train_labels()[1]).sum()), "those held out were not trained on"
    for model in (run.model, runs.load(run.folder, device="cpu").model):
        assert evaluate(model, first, protocol).seen == 0
        for refused, what in ((evaluate, protocol), (branch_embeddings, second.rows("test"))):
            with pytest.raises(ValueError, match=rf"^{seen} of 24 test identities of RegDB.*split 2.*\(split 1\)"):
                refused(model, second, what)
    result = evaluate(run.model, second, protocol, allow_seen=True)
    assert result.note == f"{seen} of 24 test identities were trained on"
    with pytest.raises(ValueError, match=f"{seen} of 24 .* is not recorded"):
        ledger.record(run, result)
    table = report([evaluate(run.model, first, protocol), result])
    assert table["averaged over"].tolist() == ["1 of 10 splits"] * 2 and result.note in table["data set"][1]

    shoes = opened("shoe", twin("shoe"), None)
    shoes = replace(shoes, frame=shoes.frame.assign(pid=shoes.frame["pid"] + 34))  # numbers that people have, too
    assert set(shoes.frame["pid"][shoes.rows("test")]) & set(run.pids.tolist())
    assert evaluate(run.model, shoes, protocols.get("shoe")).seen == 0
