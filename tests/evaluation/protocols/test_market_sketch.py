"""Market-Sketch-1K's protocols on a small tree of empty files."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reidlib.data
from reidlib.evaluation import pair_distances, protocols, rank, retrieve, score
from reidlib.twins import market_sketch as twin

SINGLE, MULTI = protocols.get("market-sketch-1k"), protocols.get("market-sketch-1k", queries="multi")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root, plan = tmp_path_factory.mktemp("market") / "MaSk1K", twin.plan("ci")
    for folder in ("photo/train", "photo/query", *plan.folders):
        (root / folder).mkdir(parents=True)
    for path in plan.images:
        (root / path).touch()
    return reidlib.data.open("market-sketch-1k", root)


@pytest.fixture
def embeddings(dataset):
    return torch.randn(len(dataset), 6, generator=torch.Generator().manual_seed(0)) * torch.linspace(
        0.1, 9, len(dataset)
    ).unsqueeze(1)


def test_single_query(dataset):
    [trial] = SINGLE.trials(dataset)
    np.testing.assert_array_equal(trial.query_rows, dataset.rows("test", modality=1))
    np.testing.assert_array_equal(trial.gallery_rows, dataset.rows("test", modality=0))
    assert trial.query_parts is None
    assert SINGLE.exclude(dataset.frame.iloc[trial.query_rows], dataset.frame.iloc[trial.gallery_rows]) is None


def test_artist_subsets(dataset):
    for artists in ("A", "FB"):
        [trial] = protocols.get("market-sketch-1k", artists=artists).trials(dataset)
        query = dataset.frame.iloc[trial.query_rows]
        assert set(query["artist"]) == set(artists) and set(query["split"]) == {"test"}
        drawn = dataset.frame[(dataset.frame["split"] == "test") & dataset.frame["artist"].isin(list(artists))]
        assert len(query) == len(drawn)
        np.testing.assert_array_equal(trial.gallery_rows, dataset.rows("test", modality=0))


def test_multi_query_takes_all_sketches_of_a_person(dataset):
    protocol = protocols.get("market-sketch-1k", queries="multi", artists="ACF")
    [trial] = protocol.trials(dataset)
    frame = dataset.frame
    sketches = frame[(frame["split"] == "test") & frame["artist"].isin(list("ACF"))]
    assert len(trial.query_rows) == len(trial.query_parts) == sketches["pid"].nunique() == 24
    for first, part in zip(trial.query_rows, trial.query_parts, strict=True):
        assert part[0] == first
        assert sketches.index[sketches["pid"] == frame["pid"][first]].tolist() == part.tolist()
    assert max(map(len, trial.query_parts)) == 3
    np.testing.assert_array_equal(
        trial.rows,
        np.sort(np.concatenate([sketches.index.to_numpy(), trial.gallery_rows])),
        "all sketches are embedded",
    )


def test_fused_queries_by_hand(dataset, embeddings):
    [trial] = MULTI.trials(dataset)
    pids = dataset.frame["pid"].to_numpy()
    fused = torch.stack(
        [F.normalize(F.normalize(embeddings[part], dim=1).mean(0), dim=0) for part in trial.query_parts]
    )
    distances = 1 - fused @ F.normalize(embeddings[trial.gallery_rows], dim=1).T
    expected = rank(distances, pids[trial.query_rows], pids[trial.gallery_rows])
    result = score(embeddings, dataset, MULTI)
    assert result.mean == pytest.approx(expected.metrics)
    assert result.trials[0].query_pids.tolist() == sorted(set(pids[dataset.rows("test", modality=1)]))
    assert result.mean != score(embeddings, dataset, SINGLE).mean
    before = embeddings.clone()
    score(embeddings, dataset, MULTI)
    assert torch.equal(before, embeddings), "what was given is left alone"


def test_fused_queries_do_not_depend_on_the_length_of_embeddings(dataset, embeddings):
    scaled = embeddings * torch.rand(len(embeddings), 1, generator=torch.Generator().manual_seed(1)).add(0.1)
    assert score(scaled, dataset, MULTI).mean == pytest.approx(score(embeddings, dataset, MULTI).mean)


def test_ranked_lists_follow_fused_queries(dataset, embeddings):
    test = dataset.rows("test")
    result, lists = score(embeddings, dataset, MULTI), retrieve(embeddings[test], dataset, MULTI, depth=5)
    assert lists.query_rows.tolist() == MULTI.trials(dataset)[0].query_rows.tolist()
    np.testing.assert_array_equal(lists.first_match, result.trials[0].ranking.first_match_rank)
    same, other = pair_distances(embeddings[test], dataset, MULTI)
    assert len(same) + len(other) == 24 * len(dataset.rows("test", modality=0))


def test_a_sketch_that_is_not_finite_is_named(dataset, embeddings):
    [trial] = MULTI.trials(dataset)
    embeddings[trial.query_parts[3][-1]] = torch.nan
    with pytest.raises(ValueError, match="1 of 24 query embeddings hold NaN"):
        score(embeddings, dataset, MULTI)


@pytest.mark.parametrize("protocol", [SINGLE, MULTI], ids=str)
def test_oracle_finds_everybody(dataset, protocol):
    one_hot = F.one_hot(torch.from_numpy(dataset.frame["pid"].to_numpy(copy=True)))
    assert set(score(one_hot, dataset, protocol).mean.values()) == {1.0}


@pytest.mark.parametrize("protocol", [SINGLE, MULTI], ids=str)
def test_random_distances_match_chance(dataset, protocol):
    """With m of G photos right, the first place is right m / G of the time."""
    [trial] = protocol.trials(dataset)
    pids, rng = dataset.frame["pid"].to_numpy(), np.random.default_rng(0)
    query, gallery = pids[trial.query_rows], pids[trial.gallery_rows]
    first = [rank(rng.random((len(query), len(gallery))), query, gallery).cmc[1] for _ in range(200)]
    share = (query[:, None] == gallery).mean()
    assert np.mean(first) == pytest.approx(share, abs=4 * np.std(first) / np.sqrt(200))


def test_names_and_records():
    assert SINGLE.name == "market-sketch-1k-single-ABCDEF"
    protocol = protocols.get("market-sketch-1k", queries="multi", artists="FA")
    assert protocol.name == "market-sketch-1k-multi-AF" and protocol.artists == "AF"
    assert protocol == protocols.get("market-sketch-1k", queries="multi", artists="AF") != SINGLE
    assert protocols.from_dict(protocol.to_dict()) == protocol


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queries": "both"}, "queries='both' is unknown; known: 'single', 'multi'"),
        ({"artists": "AG"}, "letters ABCDEF, each once, got 'AG'"),
        ({"artists": ""}, "letters ABCDEF, each once, got ''"),
        ({"artists": "B", "queries": "multi"}, "queries='multi' needs two or more artists, got 'B'"),
    ],
)
def test_unknown_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        protocols.get("market-sketch-1k", **options)


def test_a_tree_without_queries_or_gallery(dataset):
    frame = dataset.frame
    photos = frame[frame["artist"] == ""]
    sketches = frame[(frame["artist"] != "") | (frame["split"] == "train")]
    for part, role in ((photos, "sketch by ABCDEF"), (sketches, "photo")):
        lacking = reidlib.data.ReIDDataset(dataset.name, dataset.root, part, dataset.reader)
        with pytest.raises(ValueError, match=f"no {role} of a test identity for market-sketch-1k-multi"):
            MULTI.trials(lacking)
