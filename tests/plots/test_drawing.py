"""Figures are saved with what they were drawn from, and what is read back is checked."""

import json
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from reidlib import paths, plots
from reidlib.methods.baseline.plots import baseline_diagram
from reidlib.plots import drawing

TABLE = pd.DataFrame({"matcher": ["none", "b"], "rank-1": [0.123456789, 0.2], "chance": 0.05})


def test_save_writes_the_figure_its_numbers_and_its_origin(isolated_home, tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_BUILD", str(tmp_path / "out"))
    path = plots.save(plots.matcher_bars(TABLE, caption="from a · b"), "bars")
    assert path == tmp_path / "out" / "figures" / "bars.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.with_suffix(".csv").read_text() == "matcher,rank-1,chance\nnone,0.123457,0.05\nb,0.2,0.05\n"
    origin = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    expected = {"function": "matcher_bars", "data": "bars.csv", "photos": None, "arguments": {"caption": "from a · b"}}
    assert origin == expected


def test_a_figure_without_a_table_leaves_no_csv(tmp_path):
    path = plots.save(baseline_diagram(), "diagram", tmp_path)
    assert not path.with_suffix(".csv").exists()
    origin = drawing.read_origin("diagram", tmp_path)
    assert (origin.function, origin.arguments, origin.table) == ("baseline_diagram", {}, None)


def test_what_is_read_back_is_what_was_saved(tmp_path):
    plots.save(plots.matcher_bars(TABLE, "caption"), "bars", tmp_path)
    pd.testing.assert_frame_equal(drawing.read_origin("bars", tmp_path).table, TABLE.round(6), check_dtype=False)


def test_the_table_is_that_of_the_drawing_whatever_happens_to_it_later(tmp_path):
    table = TABLE.copy()
    figure = plots.matcher_bars(table, "caption")
    table["rank-1"] = 0.9
    plots.save(figure, "bars", tmp_path)
    assert drawing.read_origin("bars", tmp_path).table["rank-1"].tolist() == pytest.approx([0.123457, 0.2])


def test_numbers_of_numpy_are_written_and_objects_refused(tmp_path, runs):
    table = runs.assign(weight=[0.0, 0.5, 1.0] * 2)
    plots.save(plots.sensitivity(table, "caption", default=np.float64(0.5)), "curve", tmp_path)
    assert drawing.read_origin("curve", tmp_path).arguments["default"] == 0.5
    figure = plots.sensitivity(table, "caption", metrics={"mAP"})  # a set
    with pytest.raises(TypeError, match="JSON"):
        plots.save(figure, "bars", tmp_path)
    assert not list(tmp_path.glob("bars.*"))


def test_a_folder_that_cannot_be_written_in_is_named_with_the_variable(isolated_home, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("REIDLIB_BUILD", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"cannot write in .*file.figures .*set REIDLIB_BUILD to a folder that is"):
        plots.save(baseline_diagram(), "diagram")
    monkeypatch.setattr(paths.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match=r"no space left for .*diagram\.json: it takes .* MB"):
        plots.save(baseline_diagram(), "diagram", tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["file"], "all of a figure is written, or nothing"


@pytest.mark.parametrize("content", [b"", b"\xff\xfea,b", b'a,"b\n', b"a\n1,2\n1,2,3\n"])
def test_a_damaged_table_is_named(tmp_path, content):
    plots.save(plots.matcher_bars(TABLE, "caption"), "bars", tmp_path)
    (tmp_path / "bars.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"bars\.csv is not the table of a figure"):
        drawing.read_origin("bars", tmp_path)
    (tmp_path / "bars.csv").unlink(), os.mkfifo(tmp_path / "bars.csv")
    with pytest.raises(ValueError, match=r"bars\.csv is not a regular file"):
        drawing.read_origin("bars", tmp_path)


def test_save_refuses_figures_and_names_that_could_not_be_redrawn(tmp_path):
    with pytest.raises(ValueError, match="savefig"):
        plots.save(plt.figure(), "own", tmp_path)
    for name in ("", "../up", "a/b", ".hidden", "a b"):
        with pytest.raises(ValueError, match="name for a figure"):
            plots.save(baseline_diagram(), name, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"function": "system"}, "'system' draws no figure"),
        ({"function": "redraw"}, "draws no figure"),
        ({"data": "../ledger.csv"}, "'data' must be null or 'bars.csv'"),
        ({"arguments": ["caption"]}, "does not say what"),
        ({"photos": {"dataset": "sysu"}}, "does not say what"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_damaged_origin_is_refused(tmp_path, change, message):
    plots.save(plots.matcher_bars(TABLE, "caption"), "bars", tmp_path)
    file = tmp_path / "bars.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        drawing.read_origin("bars", tmp_path)
    file.write_text('{"function": "matcher_bars"')
    with pytest.raises(ValueError, match="does not say what"):
        drawing.read_origin("bars", tmp_path)
