"""What accuracy costs, and where claims stand."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from reidlib import plots
from reidlib.experiments import judge
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


def finding(part: str, verdict: str, *numbers: float, direction: str = "more", smallest: float = 1.0) -> dict:
    difference, low, high = numbers or (np.nan,) * 3
    head = {"part": part, "statement": f"what {part} says", "verdict": verdict, "direction": direction}
    return head | {"smallest": smallest, "difference": difference, "low": low, "high": high}


def test_claims_are_drawn_in_smallest_effects_turned_to_the_claim() -> None:
    lines = [
        finding("M1a", "supported", -4.0, -6.0, -2.0, direction="less", smallest=2.0),
        finding("M2a", "not supported", -3.0, -5.5, -0.5),
        finding("M2b", "supported", 90.0, 89.0, 91.0),
        finding("M3a", "undecided", 1.0, np.nan, np.nan),
        finding("F1a", "instrument cannot tell", 0.5, 0.2, 0.8),
        finding("F1b", "deviated", 0.5, 0.2, 0.8),
        finding("F2a", "no runs yet"),
    ]
    (axis,) = plots.claims(pd.DataFrame(lines), "caption").axes
    points = [line for line in axis.lines if len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in points] == pytest.approx([2, -3, LIMIT, 1, 0.5, 0.5])
    assert [line.get_marker() for line in points] == ["o", "X", ">", "D", "v", "s"]
    assert [line.get_ydata()[0] for line in points] == list(range(6))
    bars = [sorted(line.get_xdata()) for line in axis.lines if line.get_linewidth() == 1.6 and line not in points]
    assert bars == [pytest.approx(each) for each in ([1, 3], [-LIMIT, -0.5], [LIMIT, LIMIT], [0.2, 0.8], [0.2, 0.8])]
    words = [(text.get_text(), to_hex(text.get_color()).upper()) for text in axis.texts]
    assert words == [(line["verdict"], WORDS[line["verdict"]][0].upper()) for line in lines]
    shown = [label.get_text() for label in axis.get_yticklabels()]
    assert shown == [f"{line['part']}  what {line['part']} says" for line in lines]


def test_every_word_has_a_look() -> None:
    assert tuple(WORDS) == judge.WORDS


def test_calibration_shows_every_kind_of_interval_line_by_line() -> None:
    rows = {
        "run": [0.2, 1.0],
        "identity": [0.1, 0.0],
        "rest": [0.7, 0.0],
        "plain": [0.99, 0.83],
        "one rule": [0.96, 0.95],
    }
    figure = plots.calibration(pd.DataFrame(rows), "caption")
    points = {line.get_label(): list(line.get_xdata()) for line in figure.axes[0].lines if len(line.get_xdata()) == 2}
    assert points["plain"] == pytest.approx([83, 99]) and points["one rule"] == pytest.approx([95, 96]), (
        "by what is left, the least first"
    )
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == ["1.00 · 0.00 · 0.00", "0.20 · 0.10 · 0.70"]
