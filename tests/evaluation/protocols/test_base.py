"""What every protocol offers: flip averaging and re-ranking as options that are off by default and never go unnamed."""

import dataclasses
import json

import numpy as np
import pytest

from reidlib.evaluation import protocols

EVERY = pytest.mark.parametrize("name", protocols.PROTOCOLS)


@EVERY
def test_plain_by_default_and_so_named(name):
    protocol = protocols.get(name)
    assert (protocol.flip, protocol.reranking, protocol.reranking_label) == (False, "none", "none")
    assert protocol.name == protocol.stem and protocol.parameters == {}
    assert not {"k1", "k2", "lam"} & protocol.to_dict().keys(), "as records were written before there was re-ranking"


@EVERY
def test_every_option_is_part_of_the_name_and_of_the_record(name):
    plain = protocols.get(name)
    others = [
        plain.replace(flip=True),
        plain.replace(reranking="k-reciprocal"),
        plain.replace(reranking="k-reciprocal-queries"),
        plain.replace(reranking="k-reciprocal", k1=30),
        plain.replace(reranking="k-reciprocal", k2=5, flip=True),
        plain.replace(reranking="k-reciprocal", lam=0.25),
    ]
    assert len({protocol.name for protocol in [plain, *others]}) == len({plain, *others}) == 7
    for protocol in others:
        assert protocol.name.startswith(f"{plain.name}-") and str(protocol) == protocol.name
        assert protocols.from_dict(protocol.to_dict()) == protocol
        assert protocol.replace(flip=False, reranking="none") == plain
    assert others[1].name == f"{plain.name}-k-reciprocal-20-6-0.3"
    assert others[4].name == f"{plain.name}-flip-k-reciprocal-20-5-0.3"
    assert others[1].to_dict() == plain.to_dict() | {"reranking": "k-reciprocal", "k1": 20, "k2": 6, "lam": 0.3}


@EVERY
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reranking": "k_reciprocal"}, "reranking='k_reciprocal' is unknown; known: 'none', 'k-reciprocal', 'k-rec"),
        ({"flip": "yes"}, "flip='yes' is unknown; known: False, True"),
        ({"k1": 30}, "k1=30 is a parameter of re-ranking, which is off; choose 'k-reciprocal' or"),
        ({"reranking": "k-reciprocal", "k1": 0}, "k1 must be an integer of 1 or more, got 0"),
        ({"reranking": "k-reciprocal", "lam": 3}, "lam must be a number from 0 to 1, got 3"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        protocols.get(name, **options)


@pytest.mark.parametrize(
    ("name", "odd", "plain"),
    [
        ("regdb", {"flip": np.True_}, {"flip": True}),
        ("regdb", {"flip": 1}, {"flip": True}),
        ("llcm", {"num_trials": np.int64(3)}, {"num_trials": 3}),
        ("llcm", {"num_trials": 2.0}, {"num_trials": 2}),
        ("sysu", {"num_trials": True, "shots": np.int64(10)}, {"num_trials": 1, "shots": 10}),
    ],
)
def test_numbers_of_other_types_become_those_a_file_can_hold(name, odd, plain):
    protocol, expected = protocols.get(name, **odd), protocols.get(name, **plain)
    assert protocol.name == expected.name
    assert json.dumps(protocol.to_dict()) == json.dumps(expected.to_dict())


def test_label_names_algorithm_parameters_and_pool():
    label = protocols.get("sysu", reranking="k-reciprocal", k1=30).reranking_label
    assert label == "k-reciprocal (k1=30, k2=6, λ=0.3, neighbours: queries and gallery)"
    assert "neighbours: queries only" in protocols.get("sysu", reranking="k-reciprocal-queries").reranking_label


def test_equal_parameters_are_equal_protocols():
    plain = protocols.get("sysu")
    spelled = dataclasses.replace(plain, reranking="k-reciprocal", k1=20, k2=6, lam=0.3)
    assert spelled == plain.replace(reranking="k-reciprocal") and hash(spelled) != hash(plain)
    whole, real = (plain.replace(reranking="k-reciprocal", lam=lam) for lam in (1, 1.0))
    assert whole == real and whole.name == real.name
