"""The numbers behind figures are those of the data set, the ranking, the maps."""

import numpy as np
import pandas as pd
import pytest

from reidlib.data import ReIDDataset
from reidlib.data.registry import READERS
from reidlib.evaluation import protocols, retrieve, score
from reidlib.plots import tables


def invented(rows: list[tuple], columns=("pid", "camid", "modality"), **more) -> ReIDDataset:
    """A data set of test images without files."""
    frame = pd.DataFrame(rows, columns=list(columns)).assign(split="test", **more)
    frame["path"] = [f"{number:04d}.jpg" for number in range(len(frame))]
    return ReIDDataset("sysu", "nowhere", frame, READERS["sysu"])


def test_a_sheet_has_a_place_for_each_camera_visible_ones_first(imageless):
    table = tables.sheet(imageless)
    assert table["pid"].drop_duplicates().tolist() == [6, 10]
    first = table[table["pid"] == 6]
    assert first["place"].tolist() == list(range(6))
    assert first["camid"].tolist() == [1, 2, 4, 5, 3, 6]
    assert first["view"].iloc[0] == "camera 1"
    assert tables.sheet(imageless, [2, 1])["pid"].drop_duplicates().tolist() == [2, 1]
    assert set(tables.sheet(imageless, identities=1)["pid"]) == {6}
    with pytest.raises(ValueError, match="holds no identity 77"):
        tables.sheet(imageless, [6, 77])


def test_a_sheet_leaves_out_places_where_an_identity_was_not_seen_and_prefers_the_others():
    dataset = invented(
        [(pid, camid, camid // 3) for pid in (1, 2, 3) for camid in (1, 2, 3, 4) if (pid, camid) != (1, 2)]
    )
    assert tables.sheet(dataset, [1])["place"].tolist() == [0, 2, 3]
    assert tables.sheet(dataset, identities=2)["pid"].unique().tolist() == [2, 3]


def test_pairs_show_two_images_of_each_modality():
    dataset = invented([(pid, 1 + m, m) for pid in range(30) for m in (0, 1) for _ in range(10)])
    table = tables.sheet(dataset)
    assert table["pid"].nunique() == 10
    assert table.groupby("pid")["modality"].apply(list).iloc[0] == [0, 0, 1, 1]
    assert set(table["view"]) == {""}


def test_one_photograph_and_several_sketches():
    """A second place where most identities have a second image, not where a few do."""
    rows = [(pid, 1, 0) for pid in range(9)] + [(pid, 2, 1) for pid in range(9) for _ in range(1 + (pid > 2))]
    rows += [(0, 1, 0)]
    table = tables.sheet(invented(rows))
    assert table.groupby("place")["modality"].first().tolist() == [0, 1, 1]
    assert table.groupby("pid").size().tolist() == [2, 2, 2, 3, 3, 3, 3, 3, 3]


def test_sketches_have_a_place_for_each_artist():
    rows = [(pid, camid, 0, "") for pid in range(8) for camid in range(1, 7)]
    rows += [(pid, 7, 1, artist) for pid in range(8) for artist in "FBACDE" for _ in (0, 1)]
    table = tables.sheet(invented(rows, ("pid", "camid", "modality", "artist")))
    assert len(table) == 5 * 12
    assert table["view"].iloc[6:12].tolist() == [f"artist {name}" for name in "ABCDEF"]


def test_views_that_few_identities_share_have_no_place_of_their_own():
    """Two of five cameras and one of four artists each: two photographs, from two cameras, and a sketch."""
    rows = [(pid, 1 + (pid + k) % 5, 0, "") for pid in range(20) for k in (0, 0, 2)]
    rows += [(pid, 9, 1, "abcd"[pid % 4]) for pid in range(20)]
    table = tables.sheet(invented(rows, ("pid", "camid", "modality", "artist")))
    assert table["pid"].nunique() == 10
    assert table.groupby("pid")["place"].apply(list).tolist() == [[0, 1, 2]] * 10
    first = table[table["pid"] == 0]
    assert first["view"].tolist() == ["camera 1", "camera 3", "artist a"]


def test_a_sheet_never_holds_more_than_sixty_images():
    dataset = invented([(pid, camid, m) for pid in range(40) for m in (0, 1) for camid in range(1, 10)])
    table = tables.sheet(dataset, identities=40)
    assert table["place"].nunique() == 12
    assert len(table) == 60


@pytest.mark.integration
def test_a_ranked_list_holds_the_query_and_what_it_brings_up(dataset):
    protocol = protocols.get("sysu", num_trials=1)
    features = np.random.default_rng(0).standard_normal((len(dataset.rows("test")), 8))
    retrieval = retrieve(features, dataset, protocol)
    table = tables.ranked_list(dataset, retrieval, [5, 2], depth=3)
    assert table["query"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert table["rank"].tolist() == [0, 1, 2, 3] * 2
    rows = [retrieval.query_rows[2], *retrieval.gallery_rows[2, :3]]
    assert table["path"].tolist()[4:] == dataset.frame["path"].iloc[rows].tolist()
    assert table["correct"].iloc[5:].tolist() == retrieval.correct[2, :3].tolist()
    assert table["correct"].isna().tolist() == [True, False, False, False] * 2

    table = tables.cmc({"random": score(features, dataset, protocol)})
    assert table["rank"].tolist() == [1, 5, 10, 20]
    assert table["cmc"].is_monotonic_increasing


def test_a_short_gallery_gives_a_short_list(imageless):
    class Short:
        query_rows, gallery_rows = np.array([0]), np.array([[3, -1]])
        correct, distances = np.array([[True, False]]), np.array([[0.5, np.nan]])

    table = tables.ranked_list(imageless, Short, [0])
    assert table["path"].tolist() == imageless.frame["path"].iloc[[0, 3]].tolist()


def test_distances_are_shares_on_common_edges():
    values = np.linspace(0, 1, 600)
    table = tables.distances({"same": (values, values), "apart": (values / 4, 0.75 + values / 4)}, bins=20)
    assert table.groupby(["panel", "pair"])["share"].sum().tolist() == pytest.approx([1] * 4)
    assert table.groupby(["panel", "pair"])["left"].apply(tuple).nunique() == 1
    medians = table[table["panel"] == "apart"].groupby("pair")["median"].first()
    assert medians.to_dict() == pytest.approx({"same person": 0.125, "different person": 0.875})


def test_differences_of_registered_comparisons():
    class Registered:
        names, intervals = ("MAUM", "baseline"), {"mAP": (0.01, 0.03), "rank-1": (-0.01, 0.03)}
        pairs = pd.DataFrame(
            {"split": pd.NA, "seed": [0, 1], "mAP difference": [0.01, 0.03], "rank-1 difference": 0.01}
        )
        word_by = {"mAP": "better", "rank-1": "undecided"}.get

    table = tables.differences([Registered])
    assert table["comparison"].tolist() == ["MAUM − baseline"] * 2
    assert table["difference"].tolist() == [0.01, 0.03]
    assert table[["low", "high", "verdict"]].iloc[0].tolist() == [0.01, 0.03, "better"]
    assert tables.differences([Registered], "rank-1")["verdict"].tolist() == ["undecided"] * 2


def test_affinities_are_cosines_ordered_by_modality_and_identity():
    frame = pd.DataFrame({"pid": [2, 1, 1], "modality": [0, 1, 0]})
    features = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    table = tables.affinities({"a": features, "b": features}, frame)
    assert table[["pid", "modality"]].iloc[:3].to_numpy().tolist() == [[1, 0], [2, 0], [1, 1]]
    expected = [[1, 0.6, 0.8], [0.6, 1, 0], [0.8, 0, 1]]
    np.testing.assert_allclose(table.loc[table["panel"] == "b", ["0", "1", "2"]], expected, atol=1e-12)
    turned = tables.affinities({"a to b": (features, features[:, ::-1])}, frame)  # the second kind: axes swapped
    np.testing.assert_allclose(turned[["0", "1", "2"]], [[0.96, 0.8, 0.6], [0.8, 0, 1], [0.6, 1, 0]], atol=1e-12)


def test_attention_is_scaled_and_large_maps_are_averaged(imageless):
    maps = np.zeros((2, 48, 12))
    maps[0, 0, 0], maps[1] = 4.0, 2.0
    table = tables.attention(imageless.frame.iloc[[3, 5]], {"shared": maps}, {"shared": [0.25, 0.5]})
    assert table["path"].tolist() == imageless.frame["path"].iloc[[3, 5]].tolist()
    assert table[["height", "width"]].iloc[0].tolist() == [24, 12]
    values = table[[str(number) for number in range(24 * 12)]].to_numpy()
    assert values.max(1).tolist() == [1, 1]
    assert values.sum(1).tolist() == [1, 24 * 12]
    assert table["energy"].tolist() == [0.25, 0.5]
    with pytest.raises(ValueError, match="expected 1 maps"):
        tables.attention(imageless.frame.iloc[[3]], {"shared": maps})


@pytest.mark.integration
def test_part_tones_measure_each_test_identity(dataset):
    table = tables.part_tones(dataset, ["torso"])
    test = dataset.frame[dataset.frame["split"] == "test"]
    assert set(table["pid"]) <= set(test["pid"])
    assert len(table) > 0.8 * test["pid"].nunique()
    assert table[["visible", "infrared"]].to_numpy().min() >= 0


def test_the_gap_measures_pairs_of_four_kinds_from_two_cameras():
    """Persons at steps of 4 on one axis, modalities 3 apart on another, cameras of one modality 1 apart on a third."""
    table = pd.DataFrame([(pid, m, 2 * m + c) for pid in range(4) for m in (0, 1) for c in (0, 1)])
    table.columns = ["pid", "modality", "camid"]
    places = 4 * np.eye(4)[table["pid"]] / np.sqrt(2), 3 * table["modality"], table["camid"] % 2
    found = tables.gap({"space": np.column_stack(places), "half": np.column_stack(places) / 2}, table, pairs=40)
    medians = found.groupby(["space", "panel", "pair"])["median"].first()
    assert medians["space"].to_dict() == pytest.approx(medians["half"].to_dict()), "distances have no unit"
    unit = np.hypot(4, 1)
    assert medians["space", "same modality", "different person"] == pytest.approx(1)
    assert medians["space", "same modality", "same person"] == pytest.approx(1 / unit)
    assert 3 / unit <= medians["space", "across modalities", "same person"] <= np.hypot(3, 1) / unit + 1e-6
    assert found.groupby(["space", "panel", "pair"])["share"].sum().to_numpy() == pytest.approx(np.ones(8))


def sketches_and_photos(photos: int) -> ReIDDataset:
    """As many shoes, each with a photo and two sketches."""
    rows = [(pid, modality, modality) for pid in range(photos) for modality in (0, 1, 1)]
    frame = invented(rows).frame
    return ReIDDataset("shoe", "nowhere", frame, READERS["shoe"])


def half_right(photos: int) -> tuple[ReIDDataset, object]:
    """Every second shoe is found by both of its sketches, the others by none; and a result that says so."""
    dataset = sketches_and_photos(photos)
    pids, sketch = (dataset.frame[name].to_numpy() for name in ("pid", "modality"))
    wanted = np.where((sketch == 1) & (pids % 2 == 1), pids - 1, pids)
    return dataset, score(np.eye(photos, dtype=np.float32)[wanted], dataset, protocols.get("shoe"))


def ledger_rows(result, seeds: int, right: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of a ledger, and of identities: in each run all are right in a share of their two queries."""
    key = {"code": "c", "data": "d", "processes": 1, "protocol": result.protocol.name, "reranking": "none"}
    rows = pd.DataFrame([{"recipe": f"r{seed}", "seed": seed, **key} for seed in range(seeds)])
    pids = pd.DataFrame({"pid": np.unique(result.trials[0].query_pids), "queries": 2, "rank-1": right, "mAP": right})
    people = rows.drop(columns="seed").merge(pids, how="cross")
    return rows.assign(variant="DALNet", method="dalnet", dataset="shoe"), people


def test_scores_against_chance_have_intervals_over_identities_and_runs():
    _, result = half_right(40)
    table = tables.against_chance({"pixels": result}, *ledger_rows(result, seeds=3, right=0.75))
    assert table["model"].tolist() == ["pixels", "DALNet"] and table["runs"].tolist() == [1, 3]
    assert table["rank-1"].tolist() == pytest.approx([0.5, 0.75]) and set(table["dataset"]) == {"QMUL-ShoeV2"}
    assert table["chance"].tolist() == [1 / 40] * 2
    pixels, method = table.to_dict("records")
    assert pixels["low"] == pytest.approx(0.5 - 1.96 * 0.5 / 40**0.5, abs=0.03)
    assert pixels["high"] == pytest.approx(0.5 + 1.96 * 0.5 / 40**0.5, abs=0.03)
    assert (method["low"], method["high"]) == pytest.approx((0.75, 0.75))  # all identities and runs are alike


def test_scores_against_chance_are_of_one_protocol_and_complete():
    _, result = half_right(6)
    rows, identities = ledger_rows(result, seeds=2, right=1.0)
    with pytest.raises(ValueError, match="one data set and protocol"):
        tables.against_chance({"pixels": result}, rows.assign(dataset="chair"), identities)
    with pytest.raises(ValueError, match="one result or more"):
        tables.against_chance({}, rows, identities)
    with pytest.raises(ValueError, match=r"of 1 runs the scores .* are not known \(first: .*variant DALNet, seed 1\)"):
        tables.against_chance({"pixels": result}, rows, identities[identities["recipe"] == "r0"])
