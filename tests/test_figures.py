"""Every committed figure can be drawn again from what is committed, and is the same picture."""

import json
import re
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from reidlib import figures, plots
from reidlib.plots import drawing

FOLDER = Path(__file__).resolve().parent.parent / "figures"
NAMES = sorted(path.stem for path in FOLDER.glob("*.png"))


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def coarse(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Grey levels of blocks of 4 × 4 pixels: letters and noise blur, lines, bars and images stay."""
    with Image.open(path) as image:
        image = image.convert("RGB") if size is None else image.convert("RGB").resize(size)
        return np.asarray(image.resize((image.width // 4, image.height // 4), Image.Resampling.BOX), float).mean(2)


def difference(one: Path, other: Path) -> tuple[float, float]:
    """Mean grey levels between two pictures, and the share of their blocks that are more than 24 levels apart.

    Another version of matplotlib may move a figure by a pixel or two, another processor may round a rendered pixel
    otherwise; more than that is another picture, infinitely far.
    """
    with Image.open(one) as a, Image.open(other) as b:
        size = a.size
        if max(abs(x - y) for x, y in zip(a.size, b.size, strict=True)) > 2:
            return np.inf, 1.0
    apart = np.abs(coarse(one) - coarse(other, size))
    return float(apart.mean()), float((apart > 24).mean())


def same(one: Path, other: Path) -> bool:
    mean, share = difference(one, other)
    return mean < 1.5 and share < 0.01


@pytest.mark.integration
@pytest.mark.parametrize("name", NAMES)
def test_every_committed_figure_is_redrawn(name, tmp_path, isolated_home):
    """In an empty home: no twin, no run, no build is at hand."""
    path = plots.save(figures.redraw(name, FOLDER), name, tmp_path)
    assert same(path, FOLDER / f"{name}.png"), difference(path, FOLDER / f"{name}.png")
    assert path.with_suffix(".json").read_text("utf-8") == (FOLDER / f"{name}.json").read_text("utf-8")
    csv = FOLDER / f"{name}.csv"
    assert path.with_suffix(".csv").exists() == csv.exists()
    if csv.exists():
        assert path.with_suffix(".csv").read_text("utf-8") == csv.read_text("utf-8")


def test_another_picture_is_told_apart(tmp_path):
    """The comparison above is worth something: one bar, curve or point that moved is seen."""
    for file in FOLDER.glob("matchers.*"):
        shutil.copy(file, tmp_path)
    table = drawing.read_origin("matchers", tmp_path).table
    table.loc[1, "rank-1"] *= 1.3
    table.to_csv(tmp_path / "matchers.csv", index=False)
    path = plots.save(figures.redraw("matchers", tmp_path), "other", tmp_path)
    assert not same(path, FOLDER / "matchers.png"), difference(path, FOLDER / "matchers.png")


def test_the_folder_holds_figures_with_their_origin_and_nothing_else():
    assert NAMES
    others = {"ledger.csv", "README.md"}
    allowed = others | {f"{name}.{ending}" for name in NAMES for ending in ("png", "csv", "json")}
    assert {path.name for path in FOLDER.iterdir() if not path.name.startswith(".")} <= allowed
    for name in NAMES:
        record = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert record["function"] in plots.DRAWINGS
        assert (record["data"] is not None) == (FOLDER / f"{name}.csv").exists()


def test_committed_photographs_are_rendered():
    """The agreements of the data sets forbid showing theirs."""
    for name in NAMES:
        photos = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["photos"]
        assert photos is None or photos["twin"] is not None, name


def test_the_map_of_figures_names_each_and_its_function():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w-]+)\.png\)", text))
    assert linked == set(NAMES)
    for name in NAMES:
        function = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["function"]
        (line,) = [line for line in text.splitlines() if f"]({name}.png)" in line]
        assert f"`{function}`" in line
    assert set(re.findall(r"`plots\.(\w+)`", text)) <= set(plots.__all__)


def test_redraw_all_writes_to_the_build_folder(isolated_home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REIDLIB_BUILD", str(tmp_path))
    before = {path: path.read_bytes() for path in FOLDER.glob("baseline_diagram.*")}
    (path,) = figures.redraw_all(["baseline_diagram"])
    assert path == tmp_path / "figures" / "baseline_diagram.png"
    assert "baseline_diagram.png" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in before} == before
    assert not plt.get_fignums()


def test_unknown_names_are_refused_before_anything_is_drawn(isolated_home, tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_BUILD", str(tmp_path / "build"))
    with pytest.raises(ValueError, match=r"unknown figure 'nobody'; choose from: .*baseline_cmc"):
        figures.redraw_all(["baseline_cmc", "nobody"])
    with pytest.raises(SystemExit, match="unknown figure"):
        figures.main(["nobody"])
    assert not (tmp_path / "build").exists()


def test_a_folder_without_figures_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="come with a clone"):
        figures.names(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"nobody\.json"):
        figures.redraw("nobody", tmp_path)


def test_arguments_that_the_function_does_not_take_are_named(tmp_path):
    plots.save(plots.baseline_diagram(), "diagram", tmp_path)
    file = tmp_path / "diagram.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"arguments": {"colour": "red"}}))
    with pytest.raises(TypeError, match="colour"):
        figures.redraw("diagram", tmp_path)
