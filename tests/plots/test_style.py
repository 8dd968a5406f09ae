"""The look that all figures share: colours that can be told apart, captions that say where numbers are from."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from scipy.stats import ttest_1samp

from reidlib import methods, plots
from reidlib.experiments.uncertainty import half_width
from reidlib.plots import style

# What people without red cones see of linear red, green and blue (Viénot, Brettel and Mollon, 1999).
PROTANOPIA = np.array([[0.1124, 0.8876, 0.0], [0.1124, 0.8876, 0.0], [0.0040, -0.0040, 1.0]])


def test_modalities_are_told_apart_without_colour():
    """Luminance of the two modality colours differs enough for grey print."""
    luma = [np.array([0.299, 0.587, 0.114]) @ to_rgb(colour) for colour in plots.MODALITY_COLOURS.values()]
    assert abs(luma[0] - luma[1]) > 0.05


METHOD_COLOURS = {name: plots.colour(name) for name in methods.names()}


@pytest.mark.parametrize("colours", [METHOD_COLOURS, plots.BRANCH_COLOURS], ids=["methods", "branches"])
def test_series_are_told_apart_without_red_cones(colours):
    seen = np.array([PROTANOPIA @ np.array(to_rgb(colour)) ** 2.2 for colour in colours.values()]).clip(0, 1) ** (
        1 / 2.2
    )
    apart = np.linalg.norm(seen[:, None] - seen, axis=-1)[np.triu_indices(len(seen), 1)]
    assert apart.min() > 0.15


def test_a_method_looks_the_same_in_every_company():
    assert style.looks(["grey thumbnail", "idkl"])["idkl"] == style.looks(["idkl", "maum", "baseline"])["idkl"]
    assert style.looks(["idkl"])["idkl"][0] == plots.colour("idkl")


def test_many_series_all_have_their_own_colour():
    names = ["baseline", "shared", *(f"variant {number}" for number in range(12))]
    looks = style.looks(names)
    assert list(looks) == names
    assert len({colour for colour, _ in looks.values()}) == len(names)


def test_a_long_caption_breaks_between_its_parts():
    figure = plt.figure(figsize=(3, 2))
    plots.caption(figure, "SYSU-MM01 (synthetic twin 1, cpu)", "", "sysu-all-1shot-official", "seed 0 · trial 1")
    lines = figure.get_supxlabel().splitlines()
    assert len(lines) > 1
    assert " · ".join(lines) == "SYSU-MM01 (synthetic twin 1, cpu) · sysu-all-1shot-official · seed 0 · trial 1"


def rows(**columns) -> pd.DataFrame:
    default = {"dataset": "sysu", "source": "twin 1", "profile": "screen", "protocol": "all", "seed": [2, 0]}
    return pd.DataFrame(default | {"split": pd.array([None, None], dtype="Int64")} | columns)


def test_a_caption_from_the_ledger_names_data_protocol_and_seeds():
    assert plots.ledger_caption(rows()) == "SYSU-MM01 (synthetic twin 1, screen) · all · seeds 0, 2"
    assert plots.ledger_caption(rows(source="real")).startswith("SYSU-MM01 (real, screen)")
    assert plots.ledger_caption(rows(split=[3, 1])).endswith("all · splits 1, 3 · seeds 0, 2")
    assert plots.ledger_caption(rows(split=[3, 3], seed=[0, 0])).endswith("all · split 3 · seed 0")
    with pytest.raises(ValueError, match="one protocol"):
        plots.ledger_caption(rows(protocol=["all", "indoor"]))


def test_interval_is_that_of_students_t():
    values = [0.1, 0.3, 0.35, 0.2]
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    assert half_width(values) == pytest.approx((high - low) / 2)
    assert np.isnan(half_width([0.1]))


def test_a_table_without_a_column_or_row_is_refused():
    with pytest.raises(ValueError, match=r"lacks the column\(s\) \['cmc'\]"):
        plots.cmc_curves(pd.DataFrame({"model": ["a"], "rank": [1], "trial": [0]}), "caption")
    with pytest.raises(ValueError, match="no rows"):
        plots.cmc_curves(pd.DataFrame(columns=["model", "rank", "trial", "cmc"]), "caption")


def test_seeds_of_a_caption_name_the_series_that_have_others():
    table = pd.DataFrame({"method": ["baseline"] * 3 + ["maum"] * 3 + ["x"], "seed": [0, 1, 2, 2, 1, 0, 5]})
    assert plots.seeds(table, "method") == "seeds 0, 1, 2 · x: 5"
    assert plots.seeds(table[table["method"] == "x"], "method") == "seed 5"
    assert plots.seeds(table.iloc[[0, 3, 4, 5]], "method") == "seeds 0, 1, 2 · baseline: 0"
