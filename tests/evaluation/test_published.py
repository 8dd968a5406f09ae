"""Published numbers: every row says where it was read, and none is ranked together with a twin."""

import csv

import numpy as np
import pandas as pd
import pytest

from reidlib.evaluation import EvaluationResult, RankResult, TrialResult, protocols, published

METRICS = list(published.METRICS)
SAME_QUESTION = {
    "sysu-all-1shot": [("sysu", {}), ("sysu", {"gallery": "agw"}), ("sysu", {"flip": True})],
    "sysu-all-10shot": [("sysu", {"shots": 10})],
    "sysu-indoor-1shot": [("sysu", {"search": "indoor"})],
    "regdb-visible-infrared": [("regdb", {"direction": "visible-infrared"})],
    "regdb-infrared-visible": [("regdb", {"direction": "infrared-visible", "reranking": "k-reciprocal"})],
    "llcm-deen-infrared-visible": [("llcm", {"preset": "deen", "direction": "infrared-visible"})],
    "llcm-deen-visible-infrared": [("llcm", {"preset": "deen", "direction": "visible-infrared"})],
    "llcm-deen-transposed-visible-infrared": [("llcm", {"preset": "deen-transposed"})],
    "pku-sketch": [("pku-sketch", {})],
    "market-sketch-1k-single-ABCDEF": [("market-sketch-1k", {})],
}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return published.table()


def result(protocol=None, split=None, is_twin=True):
    ranking = RankResult((1, 5, 10, 20), np.array([1, 3]), np.array([1.0, 0.5]), np.array([1.0, 0.5]))
    protocol = protocol or protocols.get("sysu", num_trials=1)
    twin = {"twin_version": "1", "profile": "cpu"} if is_twin else {"twin_version": None, "profile": None}
    trials = (TrialResult(ranking, np.array([6, 10]), 4),)
    return EvaluationResult(protocol, protocol.dataset, split, is_twin, **twin, trials=trials)


def ledger_rows(**changes):
    row = dict(method="baseline", dataset="sysu", source="twin 1", profile="cpu", split=None, seed=0, variant="")
    row |= dict(protocol="sysu-all-1shot-official", reranking="none", **dict.fromkeys(METRICS, 0.5), error=None)
    return pd.DataFrame([row, row | changes])


def test_every_row_is_complete(rows):
    assert len(rows) > 150
    text = rows.drop(columns=["year", *METRICS])
    assert (text[["method", "dataset", "protocol", "direction", "re-ranking", "origin", "source"]] != "").all().all()
    assert (text == text.map(str.strip)).all().all() and not text.apply(
        lambda column: column.str.contains("\n")
    ).any().any()
    assert set(rows["origin"]) == {"paper", "repository", "secondary", "reproduction"}
    assert rows["year"].dropna().between(2009, 2026).all()
    assert rows["rank-1"].notna().all(), "in per cent"
    values = rows[METRICS].stack().dropna()
    assert values.between(5, 100).all()
    ascending = rows[["rank-1", "rank-5", "rank-10", "rank-20"]].T.ffill().T
    assert (ascending.diff(axis=1).iloc[:, 1:].fillna(0) >= 0).all().all(), "CMC does not fall"
    assert (rows["mINP"].isna() | (rows["mINP"] < rows["mAP"])).all()


def test_rows_are_unique_and_in_the_order_of_years(rows):
    assert not rows.duplicated(["method", "protocol", "re-ranking", "origin", "source", "note"]).any()
    for _, group in rows.groupby("protocol"):
        assert group["year"].fillna(9999).is_monotonic_increasing


def test_sources_are_in_words(rows):
    """Second-hand numbers name the table they were copied from; no shorthand of anybody's notes."""
    quoted = rows.loc[rows["origin"] == "secondary", "source"]
    assert quoted.str.contains("[Tt]able|README", regex=True).all()
    everything = rows.to_csv()
    for tag in ("[U]", "[N]", "[C", "[P]", "[R", "[I", "[2nd", "[D", "[T-"):
        assert tag not in everything


def test_what_must_not_be_quoted_is_absent(rows):
    methods = set(rows["method"])
    for method in ("FIENet", "CAL", "BIT", "WRIM-Net", "SketchTrans", "MAUM-G", "DEEN+DiVE"):
        assert method not in methods
    assert set(rows.loc[rows["method"] == "HOS-Net", "protocol"]) == {
        *("sysu-all-1shot", "sysu-indoor-1shot", "llcm-deen-infrared-visible")
    }
    assert set(rows.loc[rows["method"] == "SGIEL", "dataset"]) == {"sysu"}
    assert set(rows.loc[rows["method"] == "DALNet", "dataset"]) == {"pku-sketch"}
    assert set(rows["protocol"]) == set(SAME_QUESTION)


def test_headline_rows_carry_their_flags(rows):
    idkl = rows[rows["method"].str.startswith("IDKL")]
    assert set(idkl["dataset"]) == {"sysu", "regdb"} and set(idkl["re-ranking"]) == {"unclear"}
    headline = published.table(protocol="sysu-all-1shot", method="IDKL").iloc[0]
    assert (headline["rank-1"], headline["mAP"]) == (81.42, 79.85) and "about 71 R1 without" in headline["note"]
    maum = published.table(dataset="regdb", method="MAUM")
    assert maum["rank-1"].tolist() == [87.87, 86.95] and set(maum["method"]) == {"MAUM-P"}
    pd.testing.assert_frame_equal(published.table(dataset="regdb", method="MAUM-P"), maum)
    dalnet = published.table(method="DALNet").iloc[0]
    assert dalnet[["rank-1", "rank-5", "rank-10", "mAP"]].tolist() == [90.0, 98.6, 100.0, 86.2]
    assert set(published.table(dataset="sysu", method="SAAI")["re-ranking"]) == {"AIM (gallery relations)"}
    swapped = published.table(dataset="llcm", method="DEEN")
    assert (
        len(swapped) == 4
        and (swapped.groupby("protocol")["rank-1"].max()["llcm-deen-transposed-visible-infrared"]) == 69.21
    )


@pytest.mark.parametrize("name", SAME_QUESTION)
def test_protocols_here_find_their_rows(rows, name):
    expected = rows[rows["protocol"] == name].reset_index(drop=True)
    assert len(expected) > 0
    for dataset, options in SAME_QUESTION[name]:
        protocol = protocols.get(dataset, **options)
        pd.testing.assert_frame_equal(published.table(protocol=protocol), expected)
        assert set(expected["dataset"]) == {dataset} and set(expected["direction"]) == {protocol.direction}


def test_other_protocols_have_no_rows():
    for dataset, options in (("llcm", {"preset": "idkl"}), ("sysu", {"search": "indoor", "shots": 10}), ("cufsf", {})):
        with pytest.raises(ValueError, match=r"no published numbers of protocol '.*'; known: sysu-all-1shot, "):
            published.table(protocol=protocols.get(dataset, **options))
    with pytest.raises(ValueError, match="no published numbers of dataset 'shoe'; known: sysu, "):
        published.table(dataset="shoe")
    with pytest.raises(ValueError, match="no published numbers of method 'FIENet'"):
        published.table(method="FIENet")


def test_the_file_is_plain_text_with_one_row_a_line():
    with published.FILE.open(encoding="utf-8", newline="") as file:
        lines = file.read().split("\n")
    assert lines[-1] == "" and len({len(row) for row in csv.reader(lines[:-1])}) == 1


@pytest.mark.parametrize("here", [result(), {"baseline": result()}, [result()], ledger_rows()])
def test_published_rows_and_twins_never_share_a_table(here):
    comparison = published.compare(here)
    headings = [heading for heading, _ in comparison.tables]
    assert [heading.split(" · ")[1] for heading in headings] == [
        *("published, real data", "published, real data"),
        "here, synthetic twin, not to be ranked with published numbers",
    ]
    *theirs, ours = (table for _, table in comparison.tables)
    assert len(ours) == (2 if isinstance(here, pd.DataFrame) else 1)
    assert set(theirs[0]["re-ranking"]) == {"none", "none known"} and set(theirs[1]["re-ranking"]) == {"unclear"}
    for text in (str(comparison), comparison._repr_html_()):
        assert all(heading in text for heading in headings) and "IDKL" in text and "Table 2 of the DEEN paper" in text


def test_scores_of_the_ledger_are_shown_in_per_cent():
    rows = ledger_rows(mAP=0.25, seed=1)
    ours = published.compare(rows).tables[-1][1]
    assert ours["mAP"].tolist() == [50, 25] and ours["seed"].tolist() == [0, 1]
    assert rows["mAP"].tolist() == [0.5, 0.25], "the rows themselves are left alone"
    failed = ledger_rows(**dict.fromkeys(METRICS, np.nan), error="it broke")
    assert len(published.compare(failed).tables[-1][1]) == 1


def test_real_results_are_compared_too_but_not_mixed_with_twins():
    real = result(is_twin=False)
    assert published.compare(real).tables[-1][0] == "sysu-all-1shot · here, real data · not re-ranked"
    for mixed in ([real, result()], {"a": real, "b": [result()]}, ledger_rows(source="real")):
        with pytest.raises(ValueError, match="some results are of synthetic twins and some of real data"):
            published.compare(mixed)
    for nothing in ([], {}, {"a": []}, ledger_rows().head(0)):
        with pytest.raises(ValueError, match="at least one"):
            published.compare(nothing)


def test_reranked_results_meet_reranked_rows():
    plain = protocols.get("regdb")
    here = [
        result(protocol, split) for protocol in (plain, plain.replace(reranking="k-reciprocal")) for split in (1, 2)
    ]
    tables = dict(published.compare(here).tables)
    kinds = [heading.split(" · ", 1)[1] for heading in tables]
    twin = "here, synthetic twin, not to be ranked with published numbers"
    assert kinds == [
        "published, real data · not re-ranked, as far as is known",
        "published, real data · unclear whether re-ranked",
        f"{twin} · not re-ranked",
        "published, real data · re-ranked, as far as is known",
        f"{twin} · re-ranked",
    ]
    reranked = tables["regdb-visible-infrared · published, real data · re-ranked, as far as is known"]
    assert reranked["method"].tolist() == ["CEIL"] and reranked["re-ranking"].tolist() == ["GCR"]
    assert tables[f"regdb-visible-infrared · {twin} · re-ranked"]["averaged over"].tolist() == ["2 of 10 splits"]


def test_directions_have_tables_of_their_own():
    directions = ("visible-infrared", "infrared-visible")
    here = [result(protocols.get("regdb", direction=direction), 1) for direction in directions]
    headings = [heading for heading, _ in published.compare(here).tables]
    assert [heading.split(" · ")[0] for heading in headings] == [
        f"regdb-{name}" for name in directions for _ in range(3)
    ]


def test_without_published_numbers_ours_stand_alone():
    ((heading, ours),) = published.compare(result(protocols.get("cufsf"))).tables
    assert heading.startswith("cufsf · here, synthetic twin") and len(ours) == 1
