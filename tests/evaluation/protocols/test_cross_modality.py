"""The protocol of data sets that have none: every choice is an option, is in the name, and is stated."""

from pathlib import Path

import numpy as np
import pytest
from small_folders import write_folder

from reidlib import data, evaluation
from reidlib.evaluation import protocols


@pytest.fixture
def dataset(tmp_path: Path) -> data.ReIDDataset:
    return data.from_folders(write_folder(tmp_path / "mine", ["a", "b", "c", "d"], images=3), test_share=1)


def test_directions_are_those_of_the_data_set(tmp_path: Path, dataset: data.ReIDDataset) -> None:
    usual = protocols.available(dataset)
    assert usual == protocols.get("cross-modality") and usual.name == "cross-modality-infrared-visible"
    [trial] = usual.trials(dataset)
    assert (dataset.frame["modality"].to_numpy()[trial.query_rows] == 1).all()
    [turned] = protocols.get("cross-modality", direction="visible-infrared").trials(dataset)
    assert np.array_equal(turned.query_rows, trial.gallery_rows) and len(turned.query_rows) == 12
    sketches = data.from_folders(write_folder(tmp_path / "s", 4, modalities=("photo", "sketch")), ("photo", "sketch"))
    assert protocols.available(sketches).direction == "sketch-photo"
    with pytest.raises(ValueError, match="no direction 'infrared-visible'; it has direction='sketch-photo' or"):
        protocols.get("cross-modality").trials(sketches)


def test_shots_are_drawn_by_identity_and_camera_and_the_same_again(dataset: data.ReIDDataset) -> None:
    protocol = protocols.get("cross-modality", shots=2)
    trials, again = protocol.trials(dataset), protocol.trials(dataset)
    assert len(trials) == 10 and protocol.name == "cross-modality-infrared-visible-2shot"
    assert all(np.array_equal(one.gallery_rows, other.gallery_rows) for one, other in zip(trials, again, strict=True))
    assert len({tuple(trial.gallery_rows) for trial in trials}) > 1
    for trial in trials:
        drawn = dataset.frame.iloc[trial.gallery_rows]
        assert drawn.groupby("pid").size().tolist() == [2, 2, 2, 2] and drawn["path"].is_unique
    assert len(protocols.get("cross-modality", shots=9, num_trials=1).trials(dataset)[0].gallery_rows) == 12


def test_the_camera_rule_and_what_cmc_counts_are_stated(dataset: data.ReIDDataset) -> None:
    protocol = protocols.get("cross-modality", cameras="other", cmc="identities", shots=1, num_trials=3)
    assert protocol.name == "cross-modality-infrared-visible-1shot-3draws-other-cameras-identities"
    assert "own identity and camera" in protocol.camera_rule and protocol.distinct_ids
    assert protocols.from_dict(protocol.to_dict()) == protocol
    frame = dataset.frame.assign(camid=[1, 2, 3] * 8)
    query, gallery = frame[frame["modality"] == 1], frame[frame["modality"] == 0]
    ignored = protocol.exclude(query, gallery)
    assert ignored.sum() == 12 and protocols.get("cross-modality").exclude(query, gallery) is None


def test_a_result_says_whose_data_and_which_split_it_is_of(dataset: data.ReIDDataset, tmp_path: Path) -> None:
    result = evaluation.score(np.eye(24, 8), dataset, protocols.available(dataset))
    assert result.source == "mine (own data, own split: seed 0, 100 % tested)"
    loaded = evaluation.EvaluationResult.load(result.save(tmp_path / "r.json"))
    assert loaded.source == result.source and repr(loaded) == repr(result)
    assert evaluation.report([result])["data set"].tolist() == [result.source]
    with pytest.raises(ValueError, match="protocol 'regdb-visible-infrared' is for data set 'regdb', not for 'mine'"):
        protocols.get("regdb").trials(dataset)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "visible"}, "must name two modalities, queries first"),
        ({"direction": 3}, "must name two modalities"),
        ({"cameras": "same"}, "cameras='same' is unknown; known: 'all', 'other'"),
        ({"cmc": "people"}, "known: 'images', 'identities'"),
        ({"shots": 0}, "shots=0 must be 1 to 1000"),
        ({"shots": 1.5}, "shots=1.5 must be a whole number"),
        ({"shots": True, "num_trials": "3"}, "num_trials='3' must be a whole number"),
        ({"num_trials": 3}, "there is one trial; draw the gallery"),
    ],
)
def test_bad_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        protocols.get("cross-modality", **options)


def test_nobody_to_match_is_an_error(tmp_path: Path) -> None:
    (
        write_folder(tmp_path / "x", ["a"], modalities=("visible",)),
        write_folder(tmp_path / "x", ["b"], modalities=("infrared",)),
    )
    dataset = data.from_folders(tmp_path / "x", test_share=1)
    with pytest.raises(ValueError, match="no test identity has both a infrared and a visible image"):
        protocols.available(dataset).trials(dataset)
