"""Options of networks that are refused: the message names the value and what would do."""

import math

import pytest

from reidlib import methods


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("agw", {}, "unknown method 'agw'; choose one of: baseline"),
        ("baseline", {"num_ids": 0}, "num_ids must be an integer of at least 1, not 0"),
        ("baseline", {"num_ids": 2.5}, "num_ids .*2.5"),
        ("baseline", {"num_ids": True}, "num_ids .*True"),
        (
            "baseline",
            {"backbone": "resnet51"},
            "'resnet51'; choose one of: tiny, small, resnet18, .*mobilenet_v2, timm:<name>",
        ),
        (
            "baseline",
            {"parts": 6},
            "baseline has no option 'parts'; choose from: inert, .*triplet_on, weights",
        ),
        ("baseline", {"triplet": "soft"}, "'soft'; choose one of: batch-hard, weighted"),
        ("baseline", {"pool": "max"}, "'max'; choose one of: gem, average"),
        ("baseline", {"label_smoothing": 1.5}, "label_smoothing must be between 0 and 1, not 1.5"),
        ("maum", {"form": "arcface"}, "unknown form 'arcface'; choose one of: circle, amsoftmax, ce"),
        ("maum", {"triplet": "soft"}, "unknown triplet 'soft'; choose one of: None, batch-hard, weighted"),
        ("maum", {"memory_interval": 0}, "memory_interval must be a whole number from 1, not 0"),
        ("maum", {"memory_length": -1}, "memory_length must be a whole number from 0, not -1"),
        ("maum", {"part_width": 0}, "part_width must be a whole number from 1, not 0"),
        ("maum", {"stripes": True}, "stripes must be a whole number from 1, not True"),
        ("maum", {"memory": 4}, "maum has no option 'memory'; choose from: form, .*weights"),
        ("fienet", {"aggregation": "sum"}, "unknown aggregation 'sum'; choose one of: gated, two_step, one_shot"),
        ("fienet", {"interaction": "mean"}, "unknown interaction 'mean'; choose one of: none, gate, attention"),
        ("fienet", {"center": "igcl"}, "unknown center 'igcl'; choose one of: None, center_cluster, hetero_center, "),
        ("fienet", {"triplet": "soft"}, "unknown triplet 'soft'"),
        ("fienet", {"parts": 6}, "fienet has no option 'parts'; choose from: aggregation, .*weights"),
        ("idkl", {"preset": "official"}, "unknown preset 'official'; choose one of: paper, released"),
        ("idkl", {"confuser": "x"}, "unknown confuser 'x'; choose one of: pseudo-label, gradient-reversal, uniform"),
        ("idkl", {"margin": -0.1}, "margin must be a number from 0, not -0.1"),
        ("idkl", {"graph_alignment": math.inf}, "graph_alignment must be a number from 0, not inf"),
        ("idkl", {"purifier_margin": -1}, "purifier_margin must be a number from 0, not -1"),
        ("idkl", {"shared_from": 1}, "idkl has no option 'shared_from'; choose from: confuser, .*weights"),
        ("dalnet", {"auxiliary": "canny"}, "unknown auxiliary 'canny'; choose one of: dag, conv, xdog, sobel, grey"),
        ("dalnet", {"intra_metric": "x"}, "unknown intra_metric 'x'; choose one of: circle, batch-hard, weighted"),
        ("dalnet", {"triplet": "soft"}, "unknown triplet 'soft'; choose one of: None, batch-hard, weighted"),
        ("dalnet", {"label_smoothing": 2}, "label_smoothing must be between 0 and 1, not 2"),
        ("dalnet", {"stem": "shared"}, "dalnet has no option 'stem'; choose from: after_neck, attention, .*weights"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        methods.build(name, **{"num_ids": 5, "backbone": "tiny", **options})
