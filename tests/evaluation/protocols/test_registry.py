"""Finding protocols by name, and rebuilding them from what a result saved."""

import pytest

from reidlib.evaluation import protocols


def test_unknown_protocol_lists_the_known():
    with pytest.raises(ValueError, match="unknown protocol 'mars'; known: sysu, "):
        protocols.get("mars")


def test_unknown_option_lists_the_known():
    with pytest.raises(ValueError, match=r"'sysu' has no option shot, cmc_rule; known: .*search, shots, gallery"):
        protocols.get("sysu", shot=1, cmc_rule="images")


def test_a_protocol_does_not_take_another_data_set():
    regdb = type("Dataset", (), {"name": "regdb"})
    with pytest.raises(ValueError, match="'sysu-all-1shot-official' is for data set 'sysu', not for 'regdb'"):
        protocols.get("sysu").trials(regdb)


@pytest.mark.parametrize("options", [{}, {"search": "indoor", "shots": 10, "num_trials": 3}, {"gallery": "agw"}])
def test_record_round_trip(options):
    protocol = protocols.get("sysu", **options)
    assert protocols.from_dict(protocol.to_dict()) == protocol


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cmc_rule": "images"}, r"other rules \(cmc_rule\): cmc_rule='images' there, 'distinct identities' here"),
        ({"reranking": "fast"}, "reranking='fast' is unknown; known: 'none', 'k-reciprocal'"),
        ({"dataset": "mars"}, "unknown protocol 'mars'"),
        ({"shots": 7}, "shots=7 is unknown"),
        ({"new": 1}, "no option new"),
    ],
)
def test_record_of_other_rules_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        protocols.from_dict(protocols.get("sysu").to_dict() | change)


def test_incomplete_record_is_refused():
    record = protocols.get("sysu").to_dict()
    del record["tie_rule"]
    with pytest.raises(ValueError, match=r"other rules \(tie_rule\)"):
        protocols.from_dict(record)
