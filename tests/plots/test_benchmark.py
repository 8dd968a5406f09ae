"""What accuracy costs, and where claims stand."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from reidlib import plots
from reidlib.plots.benchmark import LIMIT, WORDS


@pytest.fixture
def scores() -> pd.DataFrame:
    columns = {"model": ["baseline", "baseline, 9 epochs", "FIENet"], "method": ["baseline", "baseline", "fienet"]}
    numbers = {"mAP": [0.4, 0.45, 0.5], "mAP std": [0.01, np.nan, 0.02], "parameters": [1e6, 1e6, 2e6]}
    return pd.DataFrame(columns | numbers | {"time_ratio": [1.0, 1.1, np.nan]})


def test_accuracy_stands_against_parameters_and_time(scores: pd.DataFrame) -> None:
    figure = plots.accuracy_cost(scores, "caption")
    parameters, steps = figure.axes
    points = [container.lines[0].get_xydata().tolist()[0] for container in parameters.containers]
    assert points == [pytest.approx(point) for point in ([1, 40], [1, 45], [2, 50])]
    assert [container.lines[0].get_xdata()[0] for container in steps.containers][:2] == [1.0, 1.1]
    assert np.isnan(steps.containers[2].lines[0].get_xdata()[0])
    low, high = parameters.containers[2].lines[2][0].get_segments()[0][:, 1]
    assert (high - low) / 2 == pytest.approx(2)
    lines = [container.lines[0] for container in parameters.containers]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 3
    assert lines[2].get_color() == plots.colour("fienet")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == scores["model"].tolist()
    assert "standard deviation" in figure.get_supxlabel()
    single = plots.accuracy_cost(scores.assign(**{"mAP std": np.nan}), "caption").get_supxlabel()
    assert "one run each" in single and "deviation" not in single


def finding(claim: str, verdict: str, *numbers: float, word: str = "", wanted: int = 1, decides: bool = True) -> dict:
    difference, low, high = numbers or (np.nan,) * 3
    head = {"claim": claim, "paper": "MAUM", "verdict": verdict, "word": word or verdict, "wanted": wanted}
    return head | {"decides": decides, "difference": difference, "low": low, "high": high}


def test_claims_are_drawn_by_their_strength_for_the_claim() -> None:
    lines = [
        finding("M1", "supported", -4.0, -6.0, -2.0, wanted=-1),  # twice the way to zero, in the wanted direction
        finding("M1", "supported", 9.0, 8.0, 10.0, decides=False),
        finding("M2", "not supported", -3.0, -5.0, -0.5),
        finding("M2", "not supported", 90.0, 89.0, 91.0, word="supported"),
        finding("M3", "undecided", 1.0, np.nan, np.nan),
        finding("F1", "no runs yet", 1.0, 0.5, 1.5, word="supported", decides=False),
        finding("F2", "no runs yet"),
    ]
    (axis,) = plots.claims(pd.DataFrame(lines), "caption").axes
    points = [line for line in axis.lines if line.get_marker() != "None"]
    assert [line.get_xdata()[0] for line in points] == pytest.approx([2, -3 / 2.5, LIMIT, 0])
    assert [line.get_marker() for line in points] == ["o", "X", ">", "D"]
    assert [round(line.get_ydata()[0]) for line in points] == [0, 1, 1, 2]
    words = [(text.get_text(), to_hex(text.get_color()).upper()) for text in axis.texts]
    verdicts = ("supported", "not supported", "undecided", "no runs yet", "no runs yet")
    assert words == [(word, WORDS[word][0].upper()) for word in verdicts]
    shown = [label.get_text() for label in axis.get_yticklabels()]
    assert shown == [f"MAUM  {name}" for name in ("M1", "M2", "M3", "F1", "F2")]


def test_an_interval_without_width_is_as_strong_as_can_be() -> None:
    lines = [finding("M1", "supported", 1.0, 1.0, 1.0), finding("M2", "undecided", 0.0, 0.0, 0.0)]
    (axis,) = plots.claims(pd.DataFrame(lines), "caption").axes
    assert [line.get_xdata()[0] for line in axis.lines if line.get_marker() != "None"] == [LIMIT, 0]
