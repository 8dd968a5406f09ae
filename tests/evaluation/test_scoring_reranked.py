"""Scores of re-ranked distances: trial by trial, as by hand, and labelled wherever they are shown."""

import numpy as np
import pytest
import torch

from reidlib.evaluation import k_reciprocal, protocols, rank, report, score, scoring

PROTOCOL = protocols.get("sysu")
RERANKED = {"k-reciprocal": "all", "k-reciprocal-queries": "queries"}


def random_embeddings(dataset, seed=0):
    return torch.randn(len(dataset.frame), 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("reranking", RERANKED)
def test_reranking_equals_a_ranking_by_hand(small, reranking):
    """Every trial by itself; what the camera rule excludes is left out after re-ranking."""
    protocol = PROTOCOL.replace(reranking=reranking, k1=5, k2=3, lam=0.2)
    embeddings = random_embeddings(small)
    result = score(embeddings, small, protocol)
    embeddings = embeddings.numpy()
    pids, camids = (small.frame[name].to_numpy() for name in ("pid", "camid"))
    for trial, scored in zip(protocol.trials(small), result.trials, strict=True):
        query, gallery = trial.query_rows, trial.gallery_rows
        parameters = dict(k1=5, k2=3, lam=0.2, neighbours=RERANKED[reranking])
        distances = k_reciprocal(embeddings[query], embeddings[gallery], **parameters)
        exclude = (camids[query][:, None] == 3) & (camids[gallery] == 2)
        by_hand = rank(distances, pids[query], pids[gallery], exclude=exclude, distinct_ids=True)
        np.testing.assert_array_equal(scored.ranking.average_precision, by_hand.average_precision)
        assert scored.ranking.metrics == by_hand.metrics
    assert result.mean != score(embeddings, small, PROTOCOL).mean, "re-ranking makes a difference here"


def test_without_reranking_its_code_is_not_even_called(small, monkeypatch):
    embeddings = random_embeddings(small)
    before = score(embeddings, small, PROTOCOL)
    monkeypatch.setattr(scoring, "k_reciprocal", None)
    after = score(embeddings, small, PROTOCOL)
    assert str(before) == str(after) and before.protocol.to_dict() == after.protocol.to_dict()
    for ours, theirs in zip(before.trials, after.trials, strict=True):
        np.testing.assert_array_equal(ours.ranking.average_precision, theirs.ranking.average_precision)
        np.testing.assert_array_equal(ours.ranking.first_match_rank, theirs.ranking.first_match_rank)
    with pytest.raises(TypeError):
        score(embeddings, small, PROTOCOL.replace(reranking="k-reciprocal"))


def test_reranking_is_labelled_wherever_a_result_is_shown(small, tmp_path):
    protocol = PROTOCOL.replace(reranking="k-reciprocal-queries", k1=4)
    result = score(random_embeddings(small), small, protocol)
    label = "k-reciprocal (k1=4, k2=6, λ=0.3, neighbours: queries only)"
    assert result.reranking == "k-reciprocal-queries" and f"re-ranking: {label}" in str(result)
    assert "sysu-all-1shot-official-k-reciprocal-queries-4-6-0.3" in str(result)
    plain = score(random_embeddings(small), small, PROTOCOL)
    table = report({"plain": plain, "re-ranked": result})
    assert table["re-ranking"].tolist() == ["none", label]
    loaded = type(result).load(result.save(tmp_path / "result.json"))
    assert loaded.protocol == protocol and str(loaded) == str(result)


@pytest.mark.parametrize("reranking", RERANKED)
def test_reranking_keeps_oracle_chance_and_invalid_queries(small, stubs, reranking):
    def oracle(dataset):
        pids = torch.tensor(dataset.frame["pid"].to_numpy())
        return (pids[:, None] == pids.unique()).float()

    protocol = PROTOCOL.replace(reranking=reranking, num_trials=1)
    perfect = score(oracle(small), small, protocol)
    assert set(perfect.mean.values()) == {1.0} and perfect.trials[0].ranking.valid_queries == 21
    assert set(score(oracle(stubs), stubs, protocol).mean.values()) == {1.0}
    chance = score(torch.randn(len(stubs.frame), 32, generator=torch.Generator().manual_seed(0)), stubs, protocol)
    assert chance.trials[0].ranking.valid_queries == 3803
    assert 0.005 < chance.cmc[1] < 0.015 and 0.025 < chance.mean_average_precision < 0.035
    assert score(torch.ones(len(small.frame), 4), small, protocol).cmc[1] == 0, "collapsed embeddings find nobody"
