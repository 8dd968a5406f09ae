"""The tidy frame: what is guaranteed about it, and the questions it answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reidlib.data
from reidlib.data.dataset import validated
from reidlib.data.report import CheckReport, Problem

ROOT = Path("/data/set")


def good_frame() -> pd.DataFrame:
    rows = [("a/1.jpg", 5, 1, 0, "train"), ("a/2.jpg", 5, 3, 1, "train"), ("b/1.jpg", 7, 1, 0, "test")]
    return pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])


def test_validated_frame_is_a_copy_with_the_promised_types():
    frame = good_frame().astype({"pid": "int32", "modality": "uint8"}).set_index(pd.Index([4, 9, 2]))
    result = validated(frame, ROOT)
    assert isinstance(result.index, pd.RangeIndex)
    assert {str(result[column].dtype) for column in ("pid", "camid", "modality")} == {"int64"}
    assert list(frame.index) == [4, 9, 2] and frame["pid"].dtype == "int32"


def test_extra_columns_are_kept():
    assert list(validated(good_frame().assign(artist="A"), ROOT)["artist"]) == ["A"] * 3


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("path", "a/1.jpg", "a/1.jpg: path 'a/1.jpg' is listed twice"),
        ("path", "../b/1.jpg", "must be relative"),
        ("path", "b/../../1.jpg", "must be relative"),
        ("path", "/b/1.jpg", "must be relative"),
        ("path", "C:/b/1.jpg", "must be relative"),
        ("path", "b\\1.jpg", "must be relative"),
        ("path", "", "must be relative"),
        ("path", None, "must be text"),
        ("pid", 5, "a/1.jpg: pid 5 is both in train and in test"),
        ("pid", 7.5, "'pid' must hold whole numbers"),
        ("camid", None, "'camid' must hold whole numbers"),
        ("modality", 2, "b/1.jpg: modality 2 must be one of"),
        ("split", "val", "b/1.jpg: split 'val' must be one of"),
        ("split", None, "must be text"),
    ],
)
def test_bad_frame_is_refused_with_the_offending_value(column, value, message):
    frame = good_frame().astype(object)
    frame.loc[2, column] = value
    frame = frame.infer_objects()
    with pytest.raises(ValueError) as caught:
        validated(frame, ROOT)
    assert message in str(caught.value) and str(ROOT) in str(caught.value)


def test_missing_column_and_empty_frame_are_refused():
    with pytest.raises(ValueError, match=r"lacks the column.* camid, split"):
        validated(good_frame().drop(columns=["camid", "split"]), ROOT)
    with pytest.raises(ValueError, match="no image"):
        validated(good_frame().iloc[:0], ROOT)


@pytest.fixture
def dataset(tree):
    return reidlib.data.open("sysu", root=tree)


def test_rows_are_positions_that_match_every_condition(dataset):
    frame = dataset.frame
    rows = dataset.rows("test", modality=0, camids=[1, 5])
    expected = frame[(frame["split"] == "test") & frame["camid"].isin([1, 5])]
    assert rows.dtype == np.int64 and rows.tolist() == expected.index.tolist() and len(rows) == 12
    assert dataset.rows().tolist() == list(range(len(dataset)))
    assert dataset.rows("test", modality=0, camids=[3]).tolist() == []


@pytest.mark.parametrize("question", [{"split": "val"}, {"modality": 2}, {"camids": [1, 7]}])
def test_rows_of_what_does_not_exist_are_refused(dataset, question):
    with pytest.raises(ValueError, match="unknown"):
        dataset.rows(**question)


def test_train_labels_follow_the_sorted_identities(dataset):
    labels, pids = dataset.train_labels()
    assert labels.dtype == np.int64 and pids.tolist() == [1, 2, 4, 334]
    assert (pids[labels] == dataset.frame["pid"].to_numpy()[dataset.rows("train")]).all()


def test_summary_counts_images_and_identities(dataset):
    table = dataset.summary()
    assert table["images"].sum() == len(dataset) == 108
    assert table["split"].unique().tolist() == ["train", "test"]
    row = table[(table["split"] == "test") & (table["camid"] == 3)].iloc[0]
    assert (row["modality"], row["images"], row["identities"]) == (1, 6, 2)


def test_truth_needs_a_twin(dataset):
    with pytest.raises(ValueError, match=r"not a synthetic twin.*twin=.cpu."):
        dataset.truth(0)


@pytest.mark.integration
def test_twin_is_whole_and_its_truth_is_known(ci_twin):
    from reidlib import twins

    dataset = reidlib.data.open("sysu", root=ci_twin)
    assert dataset.is_twin and dataset.profile == "ci"
    report = dataset.check(decode=True)
    assert report.problems == [], str(report)
    truth = dataset.truth(100)
    assert truth.person_mask.shape == dataset.images(64, 32).array.shape[1:3]
    assert truth.factors == twins.truth(dataset.root, dataset.frame["path"][100]).factors


def test_report_lists_errors_first_and_cuts_long_groups():
    problems = [Problem("warning", f"file {i}", "is odd", "look at it") for i in range(25)]
    problems += [Problem("note", "exp", "is large"), Problem("error", "cam9", "is missing", "copy it")]
    report = CheckReport("A SET", problems)
    lines = str(report).splitlines()
    assert lines[0] == "A SET: 1 error, 25 warnings, 1 note"
    assert lines[1].split() == ["error", "cam9:", "is", "missing"]
    assert lines[2].strip() == "→ copy it"
    assert sum("is odd" in line for line in lines) == 20 and "… and 5 more" in str(report)
    assert not report.ok and CheckReport("A SET", problems[:-1]).ok


def test_unknown_severity_is_refused():
    with pytest.raises(ValueError, match="unknown severity 'bad'; choose one of: error, warning, note"):
        Problem("bad", "here", "what")
