"""Results: averages over trials, what they say about themselves, and what survives a file."""

import json

import numpy as np
import pandas as pd
import pytest

from reidlib.evaluation import EvaluationResult, RankResult, TrialResult, protocols, report


def make_trial(first, precision, penalty, ranks=(1, 5)):
    ranking = RankResult(ranks, np.array(first), np.array(precision), np.array(penalty))
    return TrialResult(ranking, query_pids=np.array([6, 6, 10]), gallery_size=4)


def make_result(trials=2, **changes):
    both = (
        make_trial([1, 0, 2], [1.0, np.nan, 0.5], [1.0, np.nan, 1 / 3]),
        make_trial([1, 1, 7], [0.9, 0.7, 0.2], [0.5, 0.5, 0.1]),
    )
    values = dict(dataset="sysu", split=None, is_twin=True, twin_version="1", profile="cpu", trials=both[:trials])
    return EvaluationResult(protocol=protocols.get("sysu", num_trials=trials), **(values | changes))


def test_mean_and_sample_deviation_over_trials():
    result = make_result()
    assert result.mean == pytest.approx(
        {"rank-1": (0.5 + 2 / 3) / 2, "rank-5": (1 + 2 / 3) / 2, "mAP": 0.675, "mINP": 31 / 60}
    )
    assert result.std["mAP"] == pytest.approx(np.std([0.75, 0.6], ddof=1))
    assert result.cmc == {1: result.mean["rank-1"], 5: result.mean["rank-5"]}
    assert (result.mean_average_precision, result.mean_inverse_negative_penalty) == (
        result.mean["mAP"],
        result.mean["mINP"],
    )
    assert np.isnan(list(make_result(trials=1).std.values())).all(), "one trial has no spread"


def test_table_shows_every_trial_in_per_cent():
    table = make_result().table()
    assert table.index.tolist() == ["trial 0", "trial 1", "mean", "std"]
    assert table.columns.tolist() == ["rank-1", "rank-5", "mAP", "mINP"] and table.columns.name == "per cent"
    assert table["mAP"].tolist() == pytest.approx([75, 60, 67.5, 100 * np.std([0.75, 0.6], ddof=1)])


def test_print_names_source_protocol_and_reranking():
    for text in (str(make_result()), make_result()._repr_html_()):
        for part in (
            *("sysu (synthetic twin 1, cpu)", "sysu-all-1shot-official-first2", "re-ranking: none", "per cent"),
            *("2 trial(s), 2–3 of 3 queries valid, 4 gallery images", "mean", "std", "67.50", "10.61"),
        ):
            assert part in text
    real = make_result(is_twin=False, twin_version=None, profile=None, split=3)
    assert "synthetic" not in str(real) and str(real).startswith("sysu split 3 · ")
    assert "nan" not in str(make_result(trials=1)).lower()


def test_html_is_escaped():
    assert "<script>" not in make_result(twin_version="<script>")._repr_html_()


def test_file_round_trip(tmp_path):
    for result in (make_result(), make_result(trials=1), make_result(is_twin=False, twin_version=None, profile=None)):
        path = result.save(tmp_path / "new folder" / "result.json", overwrite=True)
        loaded = EvaluationResult.load(path)
        assert str(loaded) == str(result) and loaded.protocol == result.protocol
        pd.testing.assert_frame_equal(loaded.table(), result.table(), check_exact=True)
        for ours, theirs in zip(result.trials, loaded.trials, strict=True):
            assert ours.ranking.ranks == theirs.ranking.ranks and ours.gallery_size == theirs.gallery_size
            np.testing.assert_array_equal(ours.query_pids, theirs.query_pids)
            for name in ("first_match_rank", "average_precision", "inverse_negative_penalty", "valid"):
                np.testing.assert_array_equal(getattr(ours.ranking, name), getattr(theirs.ranking, name))
        record = json.loads(path.read_text())
        assert record["is_twin"] is result.is_twin and record["protocol"]["tie_rule"].startswith("pessimistic")
        assert record["summary"]["mean"] == result.mean
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


def test_an_existing_file_is_replaced_only_on_request(tmp_path):
    path = make_result().save(tmp_path / "result.json")
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        make_result(trials=1).save(path)
    assert path.read_bytes() == before
    make_result(trials=1).save(path, overwrite=True)
    assert len(EvaluationResult.load(path).trials) == 1


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = make_result().save(tmp_path / "result.json")
    before = path.read_bytes()
    with pytest.raises(TypeError):
        make_result(profile=object()).save(path, overwrite=True)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["result.json"]


def change(record, *keys, value):
    *parents, last = keys
    for key in parents:
        record = record[key]
    record[last] = value


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["format"], 99, "format 99, this version reads 1"),
        (["trials"], [], "it holds no trial"),
        (["trials"], None, "NoneType"),
        (["protocol"], [], "list"),
        (["protocol", "cmc_rule"], "images", "recorded under other rules"),
        (["trials", 0, "query_pids"], [6], "the lists of a trial differ in length"),
        (["trials", 0, "average_precision"], [1.5, None, 0.5], "average_precision must lie in 0–1"),
        (["trials", 0, "average_precision"], [1.0, 0.5, 0.5], "be null for one without"),
        (["trials", 0, "inverse_negative_penalty"], [1.0, None, None], "inverse_negative_penalty must lie in 0–1"),
        (["trials", 1, "first_match_rank"], [1, 1, -1], "average_precision must lie|first_match_rank must be"),
    ],
)
def test_damaged_records_are_refused(tmp_path, keys, value, message):
    path = make_result().save(tmp_path / "result.json")
    record = json.loads(path.read_text())
    change(record, *keys, value=value)
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=rf"result\.json is not a saved evaluation result: .*({message})"):
        EvaluationResult.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3", '{"format": 1}', "\xff"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "result.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"result\.json is not a saved evaluation result"):
        EvaluationResult.load(path)


def test_report_puts_results_side_by_side():
    table = report({"baseline": make_result(), "method": make_result(trials=1, is_twin=False)})
    assert table.index.tolist() == ["baseline", "method"]
    assert table.loc["baseline", "mAP"] == "67.50 ± 10.61" and table.loc["method", "mAP"] == "75.00"
    assert table["data set"].tolist() == ["sysu (synthetic twin 1, cpu)", "sysu"]
    assert table["re-ranking"].tolist() == ["none", "none"]
    assert table["averaged over"].tolist() == ["2 trials", "1 trial"]
    assert table["direction"].tolist() == ["infrared-visible"] * 2 and table.columns.name == "per cent"
    assert report([make_result(), make_result()]).index.tolist() == [0, 1], "two models: never averaged"
    with pytest.raises(ValueError, match="at least one result"):
        report([])


def split_result(split, precision=0.5, protocol=None, **changes):
    trial = make_trial([1, 3, 2], [precision] * 3, [0.5] * 3)
    protocol = protocol or protocols.get("regdb")
    values = dict(dataset="regdb", split=split, is_twin=True, twin_version="1", profile="cpu", trials=(trial,))
    return EvaluationResult(protocol=protocol, **(values | changes))


def test_splits_make_one_row_that_says_how_many():
    precisions = [0.5, 0.6, 0.9]
    results = [split_result(split, precision) for split, precision in zip((2, 7, 10), precisions, strict=True)]
    for table in (report(results), report({"method": results}), report({"method": iter(results)})):
        assert len(table) == 1
        row = table.iloc[0]
        assert row["averaged over"] == "3 of 10 splits" and row["data set"] == "regdb (synthetic twin 1, cpu)"
        assert row["mAP"] == f"66.67 ± {100 * np.std(precisions, ddof=1):.2f}" and row["rank-1"] == "33.33 ± 0.00"
    assert report({"method": results}).index.tolist() == ["method"]
    single = report(results[:1]).iloc[0]
    assert (single["averaged over"], single["data set"]) == ("1 of 10 splits", "regdb split 2 (synthetic twin 1, cpu)")
    assert single["mAP"] == "50.00", "one split has no spread"


def test_nothing_but_splits_is_averaged():
    """Both directions, with and without re-ranking, twin and real, two profiles, two versions: eight rows."""
    to_visible = protocols.get("regdb", direction="infrared-visible")
    kinds = [
        {},
        {"protocol": to_visible},
        {"protocol": protocols.get("regdb", reranking="k-reciprocal")},
        {"protocol": to_visible.replace(reranking="k-reciprocal")},
        {"protocol": protocols.get("regdb", flip=True)},
        {"is_twin": False, "twin_version": None, "profile": None},
        {"profile": "gpu"},
        {"twin_version": "2"},
    ]
    results = [split_result(split, **kind) for split in (1, 2) for kind in kinds]
    for table in (report(results), report({"method": results})):
        assert len(table) == len(kinds) and set(table["averaged over"]) == {"2 of 10 splits"}
        assert len(table[["data set", "protocol"]].drop_duplicates()) == len(kinds)
        assert table["direction"].tolist()[:3] == ["visible-infrared", "infrared-visible", "visible-infrared"]
        assert table["re-ranking"].str.startswith("k-reciprocal (k1=20").tolist() == [
            kind in (2, 3) for kind in range(8)
        ]


def test_two_models_are_never_taken_for_one():
    twice = [split_result(1), split_result(2), split_result(1, 0.9)]
    with pytest.raises(ValueError, match=r"3 results of regdb split 1 .*regdb-visible-infrared, for one row"):
        report(twice)
    with pytest.raises(ValueError, match=r"2 results of sysu .* cannot tell which model each is of; name them"):
        report({"baseline": [make_result(), make_result()]})
    table = report({"baseline": twice[:2], "method": twice[2]})
    assert table.index.tolist() == ["baseline", "method"] and table["mAP"].tolist() == ["50.00 ± 0.00", "90.00"]


def test_cmc_is_called_as_the_field_calls_it():
    shoe = split_result(None, protocol=protocols.get("shoe"), dataset="shoe")
    assert shoe.mean.keys() >= {"rank-1", "rank-5"}, "one name in code and ledger"
    assert shoe.table().columns.tolist() == ["acc@1", "acc@5", "mAP", "mINP"]
    assert "acc@1" in str(shoe) and "rank-1" not in str(shoe)
    table = report({"shoes": shoe, "people": make_result()})
    assert table.columns[-6:].tolist() == ["acc@1", "acc@5", "rank-1", "rank-5", "mAP", "mINP"]
    assert table.loc["shoes", "rank-1"] == table.loc["people", "acc@1"] == "–"


def test_result_says_direction_and_reranking():
    result = make_result()
    assert (result.direction, result.reranking) == ("infrared-visible", "none")
    assert "infrared-visible · re-ranking: none" in str(result)


def test_records_from_before_reranking_are_read(tmp_path):
    path = make_result().save(tmp_path / "result.json")
    record = json.loads(path.read_text())
    assert {"flip": False, "reranking": "none"}.items() <= record["protocol"].items()
    assert not {"k1", "k2", "lam"} & record["protocol"].keys()
    assert EvaluationResult.load(path).protocol == protocols.get("sysu", num_trials=2)
