"""`reidlib trials`, and the figures and tables that are written from trials."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from reidlib.app import cli, figures, regime
from reidlib.experiments import trials
from tests.experiments.test_trials import write

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for k in range(4):
        write(tmp_path / "trials.csv", (f"trial {k}", 0, 0.3 + k / 100, f"a{k}"), **{"validation mAP": 0.5 + k / 50})
    return tmp_path / "trials.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "figures").mkdir()
    shutil.copy(ROOT / "figures" / "README.md", tmp_path / "figures")
    return tmp_path / "figures"


def test_figures_are_drawn_where_there_are_rows_and_else_it_is_said(file, folder) -> None:
    lines = regime.figures(folder, file)
    assert lines[0].startswith("regime_trials.png: ") and lines[2].startswith("regime_agreement.png: ")
    assert lines[1].startswith("regime_lengths: not drawn, ")
    names = {path.name for path in folder.glob("regime_*")}
    assert {f"regime_{name}.{end}" for name in ("trials", "agreement") for end in ("png", "csv", "json")} == names
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert (
        "| [regime_trials](regime_trials.png) | " in readme and "`agreement`" in readme and "lengths.png" not in readme
    )


def test_a_figure_keeps_its_resolution_when_it_is_drawn_again(file, folder) -> None:
    from reidlib import plots

    regime.figures(folder, file)
    again = plots.save(figures.redraw("regime_trials", folder), "again", folder)
    with Image.open(folder / "regime_trials.png") as first, Image.open(again) as second:
        assert first.size == second.size and round(first.info["dpi"][0]) == round(second.info["dpi"][0]) == 200
    record = folder / "regime_trials.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"dpi": 0}))
    with pytest.raises(ValueError, match=r"regime_trials\.json .*'dpi' must be a whole number from 1 to 600"):
        figures.redraw("regime_trials", folder)


def test_the_tables_of_the_page_are_written_from_rows(file) -> None:
    assert "| sysu, screen | runs | validation identities, development twin | 4 | 1.00 (" in regime.agreement(file)
    assert "* baseline-trials: 4 trials, not 12." in regime.departures(file)
    assert "No trial is published yet." in regime.departures(file.with_name("none.csv"))


def test_a_page_without_its_place_is_refused(file) -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        regime._filled("nothing", regime.block(file))


def test_the_command_shows_and_publishes(own_ledger, monkeypatch, tmp_path, file, capsys) -> None:
    monkeypatch.setattr(trials, "PUBLISHED", tmp_path / "nothing.csv")
    assert cli.main(["trials"]) == 0 and "no trial is published yet" in capsys.readouterr().out
    assert cli.main(["trials", "publish"]) == 2 and "there is no ledger" in capsys.readouterr().err
    monkeypatch.setattr(trials, "PUBLISHED", file)
    assert cli.main(["trials"]) == 0
    shown = capsys.readouterr().out
    assert "trial 3" in shown and "not by the rule: baseline-trials: 4 trials, not 12." in shown
