"""What a person sees of a run, and float16 that does not train."""

import re
import sys

import pytest
import torch

from reidlib.console import progress
from reidlib.training import devices
from reidlib.training.history import History, Scaler

ROW = {"epoch": 3, "step": 36, "loss": 2.345, "seconds": 9.0, "images_per_second": 10.0}


@pytest.fixture
def small() -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
    weight = torch.nn.Parameter(torch.ones(1))
    return weight, torch.optim.SGD([weight], lr=0.1)


def test_where_nobody_watches_there_is_a_line_an_epoch(fit, capsys) -> None:
    fit(epochs=2, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all("\r" not in line for line in lines)
    assert (
        lines[1].startswith("baseline on sysu: epoch 2/2, loss ") and ", mAP " in lines[1] and lines[1].endswith(" s")
    )
    assert len(lines[1]) < 80
    fit("quiet", epochs=2, progress=False)
    assert not capsys.readouterr().err


def test_a_bar_has_room_for_itself(fit, capsys, monkeypatch) -> None:
    """A terminal of 80 columns: name, bar, and epoch, loss and mAP; no loss term by term."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown, bar = [], progress.bar

    def watched(*arguments, **options):
        shown.append(bar(*arguments, **{**options, "delay": 0, "mininterval": 0, "ncols": 80}))
        return shown[-1]

    monkeypatch.setattr(progress, "bar", watched)
    fit(epochs=2, progress=True)
    text = str(shown[0])
    assert text.startswith("baseline on sysu: 100%|███") and len(text) <= 80
    assert re.search(r", epoch 2/2, loss \d+\.\d\d, mAP \d+\.\d %$", text), text
    assert not [line for line in capsys.readouterr().err.splitlines() if line.endswith(" s")], "a bar, and no lines"


def test_float16_that_overflows_at_every_step_is_an_error(small) -> None:
    weight, optimizer = small
    scaler = Scaler(torch.device("cpu"), optimizer, enabled=True)
    for step in range(16):
        scaler.step(weight.sum() * float("inf") if step else weight.sum() * 1e38 * 1e5)
    assert scaler.row() == {"loss_scale": 1.0, "skipped_steps": 16} and weight.item() == 1
    scaler.step(weight.sum() * float("inf"))
    with pytest.raises(FloatingPointError, match=r"loss scale of float16 fell to 0\.5: gradients are not finite"):
        scaler.row()


def test_steps_left_out_are_counted(small) -> None:
    weight, optimizer = small
    scaler = Scaler(torch.device("cpu"), optimizer, enabled=True)
    for factor in (float("inf"), 1.0, 1.0, float("inf")):
        scaler.step(weight.sum() * factor)
    assert scaler.row() == {"loss_scale": 65536 / 4, "skipped_steps": 2}
    assert scaler.row()["skipped_steps"] == 0 and weight.item() == pytest.approx(0.8)
    plain = Scaler(torch.device("cpu"), optimizer, enabled=False)
    plain.step(weight.sum())
    assert plain.row() == {} and plain.state_dict() == {}


def test_a_run_without_a_single_step_is_an_error(recipe) -> None:
    rows = [{**ROW, "step": 4, "skipped_steps": 4}, {**ROW, "step": 7, "skipped_steps": 3}]
    history = History(rows, 12, devices.Distributed(torch.device("cpu"), 0, 1), recipe, 3, shown=False)
    with pytest.raises(FloatingPointError, match="none of 7 steps was taken"):
        history.require_steps()
    rows[1]["skipped_steps"] = 2
    history.require_steps()


@pytest.mark.slow
def test_float16_is_in_the_history(fit) -> None:
    history = fit(epochs=2, amp="fp16").history
    assert (history["loss_scale"] >= 1).all() and history["skipped_steps"].sum() < 24
    assert "loss_scale" not in fit("float32", epochs=1, amp="off").history


class Clock:
    """Seconds that pass when they are told to; and a bar that keeps what is written behind it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now, self.steps, self.texts = 100.0, 0, []
        monkeypatch.setattr("reidlib.training.history.time.perf_counter", lambda: self.now)
        monkeypatch.setattr(progress, "bar", lambda **_: self)

    def update(self) -> None:
        self.steps += 1

    def set_postfix_str(self, text: str, refresh: bool) -> None:
        assert not refresh, "a bar is drawn when it is time to, not at every row"
        self.texts.append(text)


def test_rows_and_words_of_an_epoch(recipe, small, monkeypatch) -> None:
    """25 steps of half a second in two processes, after one epoch of ten seconds: a row for three steps, and a last."""
    clock, scaler = Clock(monkeypatch), Scaler(torch.device("cpu"), small[1], enabled=False)
    team = devices.Distributed(torch.device("cpu"), 0, 2)
    history = History([{**ROW, "epoch": 1, "step": 25, "seconds": 10.0}], 25, team, recipe, 2, shown=False)
    history.begin(1)
    for step in range(25):
        clock.now += 0.5
        terms = {"id": torch.tensor(float(step)), "triplet": torch.tensor(1.0)}
        history.add(step, 0.1, 8, torch.tensor(step + 1.0), terms, scaler)
    rows = history.rows[1:]
    assert [row["step"] for row in rows] == [28, 31, 34, 37, 40, 43, 46, 49, 50] and clock.steps == 25
    assert [row["loss.id"] for row in rows] == [1, 4, 7, 10, 13, 16, 19, 22, 24]
    assert {row["images_per_second"] for row in rows} == {32.0} and {row["epoch"] for row in rows} == {2}
    assert [row["seconds"] for row in rows] == [10 + 0.5 * (row["step"] - 25) for row in rows]
    clock.now += 2
    assert history.end({"rank-1": 0.5, "mAP": 0.25}, {}) == (
        "epoch 2: loss 25.000, id 24.000, triplet 1.000, validation rank-1 50.0 %, validation mAP 25.0 %, "
        "32 images/s, 24 s"
    )
    assert clock.texts[-2:] == ["epoch 2/2, loss 25.00", "epoch 2/2, loss 25.00, mAP 25.0 %"]


def test_a_value_that_is_not_finite_is_named_with_its_step(recipe, small, monkeypatch) -> None:
    Clock(monkeypatch)
    scaler, cpu = Scaler(torch.device("cpu"), small[1], enabled=False), devices.Distributed(torch.device("cpu"), 0, 1)
    history = History([], 25, cpu, recipe, 2, shown=False)
    history.begin(1)
    history.add(3, 0.1, 8, torch.tensor(1.0), {"id": torch.tensor(1.0)}, scaler)
    history.add(4, 0.1, 8, torch.tensor(float("nan")), {"id": torch.tensor(float("nan"))}, scaler)
    with pytest.raises(FloatingPointError, match=r"^loss\.id is nan at step 30 \(epoch 2\), learning rate 0\.1; lower"):
        history.add(5, 0.1, 8, torch.tensor(1.0), {"id": torch.tensor(1.0)}, scaler)
