"""The notebooks as they are committed, and the driver that executes, publishes and labels them."""

import base64
import io
import os
import re
import statistics
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from reidlib.app import notebooks

ROOT = Path(__file__).resolve().parent.parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
MEGABYTE = 1_000_000

lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
pages = pytest.mark.parametrize("path", [*LESSONS, *SOLUTIONS], ids=lambda path: f"{path.parent.name}/{path.stem}")


def code_cells(path: Path) -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def headings(path: Path) -> list[str]:
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    return re.findall(r"^## +(.+?) *$", text, re.MULTILINE)


# ---- what is committed


def test_there_are_notebooks_and_each_has_its_solutions() -> None:
    assert LESSONS
    assert [path.name for path in LESSONS] == [path.name for path in SOLUTIONS]


@lessons
def test_notebook_keeps_its_budget(path: Path) -> None:
    lines = [len(cell.source.splitlines()) for cell in code_cells(path)]
    assert len(lines) <= 45
    assert statistics.median(lines) <= 8
    assert max(lines) <= 40
    assert path.stat().st_size <= MEGABYTE


@lessons
def test_lesson_begins_with_environment_then_profile_and_ends_with_exercises(path: Path) -> None:
    first, second, *_ = code_cells(path)
    assert first.source == notebooks.environment_cell()
    assert "profiles.get(" in second.source, "the second code cell sets paths and profile"
    assert headings(path)[-3:] == ["Summary", "Exercises", "References"]


@lessons
def test_lesson_has_checked_outputs(path: Path) -> None:
    checked = [cell for cell in code_cells(path) if re.search(r"^# NBVAL_CHECK_OUTPUT$", cell.source, re.MULTILINE)]
    assert len(checked) >= 2
    assert all(cell.outputs for cell in checked), "a checked cell must show something"


@pages
def test_committed_outputs_are_complete_and_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), "not executed top to bottom in one go: make publish"
    assert notebooks.unfit(notebook) == []


# What reads like a measurement: 53.4, +5.45, 1.5e-3; 12 %, 12 per cent, 3 points.
MEASURED = re.compile(
    r"(?<![\w.])[+−-]?(?:\d[\d,]*\.\d+(?:e[+-]?\d+)?(?![\w.]*\w)|\d[\d,]*\s*(?:%|per cent|points?\b))"
)
# Settings that are named in words: no result of a run.
SETTINGS = ("95 % interval", "λ (0.3, 1 and 3)", "shares of 0.7, 0.4 and 0.2", "margins from 0 to 0.5")


def measured_numbers(text: str) -> list[str]:
    """What looks like a result in the prose of a cell: outside code, equations, addresses, settings, references."""
    text, _, _ = text.partition("## References")
    for span in (r"```.*?```", r"`[^`]*`", r"\$\$.*?\$\$", r"\$[^$]*\$", r"\]\([^)]*\)"):
        text = re.sub(span, " ", text, flags=re.DOTALL)
    for setting in SETTINGS:
        text = re.sub(re.escape(setting).replace(r"\ ", r"\s+"), " ", text)
    return [found.group() for found in MEASURED.finditer(text)]


@pages
def test_prose_holds_no_measured_number(path: Path) -> None:
    """Numbers are computed in a cell or read from the ledger or the published table, so that they stay in step."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    assert not [(number, cell[:60]) for cell in cells for number in measured_numbers(cell)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FIENet reaches 53.4 here", ["53.4"]),
        ("a gain of +5.45, or −0.8.", ["+5.45", "−0.8"]),
        ("in 12 % of all cases, 30 per cent, 3 points", ["12 %", "30 per cent", "3 points"]),
        ("| MAUM | 71.68 | 1,234.5 |", ["71.68", "1,234.5"]),
        ("`weight=0.1`, $\\rho = 0.7$ and\n$$x = 0.5,\\quad y = 12\\%$$", []),
        ("small runs tried λ (0.3, 1\nand 3), on 128×64 images, 3 seeds, notebook 02, section 7.", []),
        ("[page](https://doi.org/10.1109/TPAMI.2021.3054775)", []),
        ("Two points, a few per cent, MAUM 2.0.1, 1,800 / 200", []),
        ("text\n## References\n* pages 12.5 to 20", []),
    ],
)
def test_measured_numbers_are_told_from_settings(text: str, found: list[str]) -> None:
    assert measured_numbers(text) == found


def test_badges_cells_and_table_are_in_step(tmp_path: Path) -> None:
    for path in [*LESSONS, *SOLUTIONS, ROOT / "README.md", ROOT / "pyproject.toml"]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    notebooks.badges(tmp_path)
    for path in [*LESSONS, *SOLUTIONS, ROOT / "README.md"]:
        assert (tmp_path / path.relative_to(ROOT)).read_text() == path.read_text(), f"{path.name}: make badges"


# ---- the environment cell


def run_environment_cell(monkeypatch: pytest.MonkeyPatch, *, colab: bool) -> list[list[str]]:
    commands = []
    monkeypatch.setattr("subprocess.run", lambda command, **_: commands.append(command))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in ("reidlib", "ttach") else object())
    if colab:
        monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    exec(notebooks.environment_cell(), {})
    return commands


def test_environment_cell_does_nothing_on_a_prepared_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_environment_cell(monkeypatch, colab=False) == []


def test_environment_cell_on_colab_installs_what_is_missing_and_no_dependencies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (command,) = run_environment_cell(monkeypatch, colab=True)
    assert "--no-deps" in command
    assert command[-2:] == [f"git+{notebooks.repository()}", "ttach"]


# ---- the driver


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in miniature, without notebooks; figures and executed notebooks go to its ``build``."""
    for name, text in {
        "pyproject.toml": '[project.urls]\nRepository = "https://github.com/someone/somewhere"\n',
        "README.md": f"before\n\n{notebooks.TABLE_BEGIN}\n{notebooks.TABLE_END}\n\nafter\n",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    for name in ("REIDLIB_PROFILE", "REIDLIB_BUILD", "TQDM_DISABLE", "MPLBACKEND", "PYTHONPATH"):
        monkeypatch.setenv(name, "")  # remembered, so that what the driver sets does not outlive the test
    monkeypatch.setenv("REIDLIB_PROFILE", "cpu")
    monkeypatch.setenv("REIDLIB_BUILD", str(tmp_path / "build"))
    monkeypatch.setenv("REIDLIB_RUNS", str(tmp_path / "runs"))
    return tmp_path


def write(path: Path, *sources: str) -> Path:
    cells = [new_markdown_cell("# A title\n\nSome text."), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.mark.integration
def test_run_executes_into_build_and_leaves_the_source_alone(clone: Path, capsys: pytest.CaptureFixture) -> None:
    source = write(
        clone / "notebooks" / "01_first.ipynb",
        "import os, pathlib\nbuild = pathlib.Path(os.environ['REIDLIB_BUILD'])\nassert build.is_absolute()",
        "(build / 'figures').mkdir(parents=True)\n(build / 'figures' / 'one.csv').write_text('a');",
        "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass\nprint(2 + 3)",
    )
    before = source.read_bytes()
    notebooks.run(notebooks.find(root=clone), clone)
    assert source.read_bytes() == before
    executed = nbformat.read(clone / "build" / "notebooks" / "01_first.ipynb", as_version=4)
    assert [cell.execution_count for cell in executed.cells if cell.cell_type == "code"] == [1, 2, 3]
    assert [output.text for output in executed.cells[-1].outputs] == ["5\n"]
    assert set(executed.metadata) == {"kernelspec", "language_info"} and not executed.cells[-1].metadata
    printed = capsys.readouterr().out
    assert re.search(r"01_first\.ipynb +\d+\.\d s\n", printed)
    assert "figures/one.csv" in printed


@pytest.mark.integration
def test_run_stops_at_the_failing_notebook_and_names_the_cell(clone: Path, capsys: pytest.CaptureFixture) -> None:
    write(clone / "notebooks" / "01_first.ipynb", "good = 1", "good / 0", "print('never')")
    write(clone / "notebooks" / "02_second.ipynb", "1")
    with pytest.raises(notebooks.NotebookError, match=r"01_first\.ipynb, cell 3 failed(.|\n)*ZeroDivisionError"):
        notebooks.run(notebooks.find(root=clone), clone)
    assert "02_second" not in capsys.readouterr().out


@pytest.mark.integration
def test_two_notebooks_at_once_give_what_one_after_the_other_gives(
    clone: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # so that it is put back
    monkeypatch.delenv("OMP_NUM_THREADS")
    waits = "import pathlib, time\nwhile not pathlib.Path('../{}').exists(): time.sleep(0.05)"
    write(clone / "notebooks" / "01_first.ipynb", waits.format("second"), "1 + 1")  # ends after the second has begun
    write(clone / "notebooks" / "02_second.ipynb", "import os, pathlib\npathlib.Path('../second').touch()", "2 + 2")
    executed = notebooks.run(notebooks.find(root=clone), clone, workers=2)
    values = {path.stem: page.cells[-1].outputs[0].data["text/plain"] for path, page in executed.items()}
    assert values == {"01_first": "2", "02_second": "4"}
    assert os.environ["OMP_NUM_THREADS"] == str(max(1, (os.cpu_count() or 1) // 2))
    write(clone / "notebooks" / "02_second.ipynb", "1 / 0")
    with pytest.raises(notebooks.NotebookError, match=r"02_second\.ipynb, cell 2 failed(.|\n)*ZeroDivisionError"):
        notebooks.run(notebooks.find(["02_second"], root=clone), clone, workers=2)
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.integration
def test_after_a_failure_what_runs_is_finished_and_nothing_begins(clone: Path) -> None:
    touch = "import pathlib, time\ntime.sleep({})\npathlib.Path('../{}').touch()"
    write(clone / "notebooks" / "01_first.ipynb", "1 / 0")
    for number, (name, seconds) in enumerate({"second": 2, "third": 0, "fourth": 0}.items(), 2):
        write(clone / "notebooks" / f"{number:02d}_{name}.ipynb", touch.format(seconds, name))
    with pytest.raises(notebooks.NotebookError, match="01_first"):
        notebooks.run(notebooks.find(root=clone), clone, workers=2)
    assert (clone / "second").exists()
    assert not (clone / "third").exists() and not (clone / "fourth").exists()


@pytest.mark.parametrize("words", [["run", "--workers", "0"], ["publish", "--workers", "2"]])
def test_workers_are_at_least_one_and_for_run_alone(words: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        notebooks.main(words)
    assert "--workers is at least 1" in capsys.readouterr().err


@pytest.mark.integration
def test_run_reports_a_kernel_that_dies(clone: Path) -> None:
    write(clone / "notebooks" / "01_first.ipynb", "import os", "os._exit(9)")
    with pytest.raises(notebooks.NotebookError, match=r"01_first\.ipynb, cell 3 failed"):
        notebooks.run(notebooks.find(root=clone), clone)


@pytest.mark.integration
def test_publish_copies_outputs_and_figures(clone: Path) -> None:
    source = write(
        clone / "notebooks" / "01_first.ipynb",
        "from reidlib import paths\n(paths.build_folder() / 'figures').mkdir(parents=True)",
        "(paths.build_folder() / 'figures' / 'one.csv').write_text('a')",
    )
    solution = write(clone / "notebooks" / "solutions" / "01_first.ipynb", "2 + 2")
    notebooks.publish(root=clone)
    assert nbformat.read(source, as_version=4).cells[-1].outputs[0].data["text/plain"] == "1"
    assert nbformat.read(solution, as_version=4).cells[-1].outputs[0].data["text/plain"] == "4"
    assert (clone / "figures" / "one.csv").read_text() == "a"


@pytest.mark.integration
def test_publish_copies_nothing_if_a_page_is_unfit(clone: Path) -> None:
    sources = [
        write(clone / "notebooks" / "01_first.ipynb", "print('fine')"),
        write(clone / "notebooks" / "02_second.ipynb", "import warnings\nwarnings.warn('odd')"),
    ]
    before = [source.read_bytes() for source in sources]
    with pytest.raises(notebooks.NotebookError, match=r"02_second\.ipynb: cell 2 writes to stderr"):
        notebooks.publish(root=clone)
    assert [source.read_bytes() for source in sources] == before


def test_publish_refuses_the_profile_for_tests(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REIDLIB_PROFILE", "ci")
    with pytest.raises(notebooks.NotebookError, match="numbers mean nothing"):
        notebooks.publish(root=clone)


def test_unfit_names_errors_warnings_and_paths_of_this_machine() -> None:
    stream = {"output_type": "stream", "name": "stdout", "text": f"read {Path.home()}/x"}
    warning = {"output_type": "stream", "name": "stderr", "text": "careful\nmore"}
    error = {"output_type": "error", "ename": "KeyError", "evalue": "1", "traceback": []}
    shown = {"output_type": "display_data", "data": {"text/plain": str(ROOT)}, "metadata": {}}
    cells = [new_code_cell("", outputs=[nbformat.from_dict(output)]) for output in (stream, warning, error, shown)]
    problems = notebooks.unfit(new_notebook(cells=[*cells, new_code_cell("1")]))
    assert [problem.split(":")[0] for problem in problems] == [
        "cell 1 shows a path of this machine",
        "cell 2 writes to stderr",
        "cell 3 ends in an error",
        "cell 4 shows a path of this machine",
    ]


def test_sheets_of_photographs_become_jpeg_and_line_drawings_keep_their_main_colours() -> None:
    def png(pixels: np.ndarray) -> dict:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        return {"image/png": base64.b64encode(stream.getvalue()).decode()}

    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    shades = np.arange(300 * 300 * 3, dtype=np.uint32).reshape(300, 300, 3) % 251 // 50 * 50
    small = noise[:150, :150]  # as many colours as a photograph, and not worth a change
    few = noise // 16 * 16  # a photograph of few colours
    outputs = [new_output("display_data", data=png(pixels)) for pixels in (noise, shades.astype(np.uint8), small, few)]
    notebook = notebooks.tidy(new_notebook(cells=[new_code_cell("show()", outputs=outputs)]))
    photograph, drawing, stays, of_few = (output.data for output in notebook.cells[0].outputs)
    assert list(photograph) == list(of_few) == ["image/jpeg"] and stays == png(small)
    assert list(drawing) == ["image/png"]
    with Image.open(io.BytesIO(base64.b64decode(drawing["image/png"]))) as image:
        assert image.mode == "P" and (np.asarray(image.convert("RGB")) == shades).all()
    with Image.open(io.BytesIO(base64.b64decode(photograph["image/jpeg"]))) as image:
        assert image.size == (300, 300)


def test_unknown_names_and_empty_folders_are_errors(clone: Path) -> None:
    with pytest.raises(notebooks.NotebookError, match="no notebooks in"):
        notebooks.find(root=clone)
    write(clone / "notebooks" / "01_first.ipynb", "1")
    assert notebooks.find(["01_first.ipynb"], clone) == notebooks.find(["01_first"], clone) == notebooks.find([], clone)
    with pytest.raises(notebooks.NotebookError, match=r"unknown notebook '02_second'.*01_first"):
        notebooks.find(["02_second"], clone)


def test_badges_are_written_once_and_follow_the_address(clone: Path) -> None:
    first = write(clone / "notebooks" / "01_first.ipynb", "x = 1")
    solution = write(clone / "notebooks" / "solutions" / "01_first.ipynb", "x = 1")
    for address in ("https://github.com/someone/somewhere", "https://github.com/else/where"):
        (clone / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{address}"\n')
        notebooks.badges(clone)
        written = [path.read_bytes() for path in (first, solution, clone / "README.md")]
        notebooks.badges(clone)
        assert [path.read_bytes() for path in (first, solution, clone / "README.md")] == written
    cells = nbformat.read(first, as_version=4).cells
    title, empty, badge, *rest = cells[0].source.splitlines()
    assert (title, empty, rest) == ("# A title", "", ["", "Some text."])
    assert "/else/where/blob/main/notebooks/01_first.ipynb" in badge
    assert [cell.source for cell in cells[1:]] == [notebooks.environment_cell(clone), "x = 1"]
    readme = (clone / "README.md").read_text()
    assert readme.startswith("before\n") and readme.endswith("after\n")
    assert f"| [01_first](notebooks/01_first.ipynb) | A title | {badge} |" in readme
    assert "solutions" not in readme and "someone" not in readme


def test_badges_need_a_title_and_the_markers(clone: Path) -> None:
    path = write(clone / "notebooks" / "01_first.ipynb", "1")
    (clone / "README.md").write_text("nothing")
    with pytest.raises(notebooks.NotebookError, match="README"):
        notebooks.badges(clone)
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), path)
    with pytest.raises(notebooks.NotebookError, match="title"):
        notebooks.badges(clone)


def test_command_line_ends_with_the_reason(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "publish", lambda names: notebooks.find(names, clone))
    with pytest.raises(SystemExit, match="no notebooks in"):
        notebooks.main(["publish"])


def test_names_may_stand_behind_options(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="unknown notebook '99_nothing'"):
        notebooks.main(["run", "--workers", "1", "99_nothing"])
