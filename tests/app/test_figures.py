"""Every committed figure can be drawn again from what is committed, and is the same picture."""

import itertools
import json
import re
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reidlib import plots
from reidlib.app import figures
from reidlib.methods.baseline.plots import baseline_diagram
from reidlib.plots import drawing

FOLDER = Path(__file__).resolve().parent.parent.parent / "figures"
NAMES = sorted(path.stem for path in FOLDER.glob("*.png"))


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


SHIFTS = sorted(itertools.product(range(-2, 3), repeat=2), key=lambda shift: abs(shift[0]) + abs(shift[1]))


def difference(one: Path, other: Path) -> tuple[float, float]:
    """Mean grey levels between two pictures, and the share of their blocks that are more than 24 levels apart.

    Blocks are of 4 × 4 pixels. Another version of matplotlib may move a figure by a pixel or two, so the best of all
    such shifts counts; another processor may round a rendered pixel otherwise. A size that differs by more is another
    picture.
    """
    pictures = [np.asarray(Image.open(path).convert("L"), np.int16) for path in (one, other)]
    heights, widths = zip(*(picture.shape for picture in pictures), strict=True)
    if max(np.ptp(heights), np.ptp(widths)) > 2:
        return np.inf, 1.0
    rows, columns = min(heights) // 4 - 1, min(widths) // 4 - 1
    found = []
    for down, right in SHIFTS:
        parts = [
            picture[2 + sign * down :, 2 + sign * right :][: 4 * rows, : 4 * columns]
            for picture, sign in zip(pictures, (0, 1), strict=True)
        ]
        apart = np.abs((parts[0] - parts[1]).reshape(rows, 4, columns, 4).mean((1, 3)))
        found.append((float(apart.mean()), float((apart > 24).mean())))
        if found[-1][0] < 0.1:
            break
    return min(found)


def same(one: Path, other: Path) -> bool:
    mean, share = difference(one, other)
    return mean < 0.25 and share < 0.002


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


@pytest.mark.parametrize(
    ("name", "where", "column", "change"),
    [
        ("matchers", "matcher == '8-row profile'", "rank-1", lambda score: 1.3 * score),  # a bar
        ("baseline_cmc", "model == 'baseline' and rank == 1", "cmc", lambda share: 1.08 * share),  # a point of a curve
        ("baseline_ingredients", "variant == 'full' and seed == 1", "mAP", lambda score: 1.08 * score),  # one run
        ("baseline_failures", "query == 1 and rank == 3", "path", lambda path: "cam4/0006/0007.jpg"),  # one image
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_picture_is_told_apart(name, where, column, change, tmp_path, isolated_home):
    """The comparison above is worth something: one thing that moved is seen."""
    for file in FOLDER.glob(f"{name}.*"):
        shutil.copy(file, tmp_path)
    table = drawing.read_origin(name, tmp_path).table
    chosen = table.query(where).index
    assert len(chosen)
    table.loc[chosen, column] = table.loc[chosen, column].map(change)
    table.to_csv(tmp_path / f"{name}.csv", index=False)
    path = plots.save(figures.redraw(name, tmp_path), name, tmp_path)
    assert not same(path, FOLDER / f"{name}.png"), difference(path, FOLDER / f"{name}.png")


def test_a_picture_that_moved_by_a_pixel_is_the_same(tmp_path):
    with Image.open(FOLDER / "baseline_cmc.png") as image:
        moved = Image.new("RGB", (image.width + 1, image.height), "white")
        moved.paste(image.convert("RGB"), (1, -1))
    moved.save(tmp_path / "moved.png")
    assert same(tmp_path / "moved.png", FOLDER / "baseline_cmc.png")


def test_switches_words_and_gaps_survive_the_way_through_a_file(tmp_path):
    scores = pd.DataFrame(
        {"variant": ["none", "none", "full", "full"], "seed": [0, 1] * 2, "on": [False] * 2 + [True] * 2}
    )
    scores = scores.assign(**{"rank-1": [0.1, 0.2, 0.3, np.nan], "mAP": [0.1, 0.2, 0.3, 0.4]})
    pairs = pd.DataFrame({"comparison": "a", "split": pd.NA, "seed": [0, 1], "difference": [0.1, -0.2]})
    drawn = {
        "ladder": plots.ladder(scores, "caption", components=["on"]),
        "comparison": plots.comparison(pairs.assign(low=-0.3, high=0.2, verdict="undecided"), "caption", margin=0.01),
    }
    for name, figure in drawn.items():
        path = plots.save(figure, name, tmp_path)
        assert same(path, plots.save(figures.redraw(name, tmp_path), f"{name}-again", tmp_path))


def test_the_folder_holds_figures_with_their_origin_and_nothing_else():
    assert NAMES
    allowed = {"README.md"} | {f"{name}.{ending}" for name in NAMES for ending in ("png", "csv", "json")}
    assert {path.name for path in FOLDER.iterdir() if not path.name.startswith(".")} <= allowed
    for name in NAMES:
        record = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert record["function"] in plots.drawings()
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
    plots.save(baseline_diagram(), "diagram", tmp_path)
    file = tmp_path / "diagram.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"arguments": {"colour": "red"}}))
    with pytest.raises(TypeError, match="colour"):
        figures.redraw("diagram", tmp_path)
