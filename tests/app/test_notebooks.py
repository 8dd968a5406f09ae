"""The driver that executes, publishes and labels notebooks, in a clone in miniature."""

import base64
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from reidlib.app import frontpage, notebooks, pages


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in miniature, without notebooks; figures and executed notebooks go to its ``build``."""
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/someone/somewhere"\n')
    (tmp_path / "README.md").write_text(f"before\n\n{pages.TABLE_BEGIN}\n{pages.TABLE_END}\n\nafter\n")
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    folders = {"REIDLIB_BUILD": str(tmp_path / "build"), "REIDLIB_RUNS": str(tmp_path / "runs")}
    for name, value in (folders | {"REIDLIB_PROFILE": "cpu", "MPLBACKEND": "agg"}).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def write(folder: Path, name: str, *sources: str) -> Path:
    """A notebook of a title and code cells in ``notebooks`` below a folder."""
    cells = [new_markdown_cell("# A title\n\nSome text."), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), path := folder / "notebooks" / f"{name}.ipynb")
    return path


def run(folder: Path, names: list[str] | None = None, **options: int) -> dict:
    """The executed notebooks of a folder by the names of their files."""
    return {page.stem: each for page, each in notebooks.run(notebooks.find(names, folder), folder, **options).items()}


def shown(page: nbformat.NotebookNode) -> str:
    """The value of the last cell."""
    return page.cells[-1].outputs[0].data["text/plain"]


@pytest.mark.integration
def test_run_executes_into_build_and_leaves_the_source_alone(clone: Path, capsys: pytest.CaptureFixture) -> None:
    source = write(
        clone,
        "01_first",
        "import os, pathlib, time\nassert 'inline' in os.environ['MPLBACKEND'], 'figures appear in the page'",
        "build = pathlib.Path(os.environ['REIDLIB_BUILD'])\nassert build.is_absolute()",
        "(build / 'figures').mkdir(parents=True)\n(build / 'figures' / 'one.csv').write_text('a');",
        "from tqdm import auto, tqdm\nfor _ in [*tqdm('a'), *auto.tqdm('a', disable=False)]: pass",
        "print(2 + 3, flush=True)\ntime.sleep(0.5)\nprint(6)",
    )
    before = source.read_bytes()
    run(clone)
    assert source.read_bytes() == before
    executed = nbformat.read(clone / "build" / "notebooks" / "01_first.ipynb", as_version=4)
    assert [cell.execution_count for cell in executed.cells if cell.cell_type == "code"] == [1, 2, 3, 4, 5]
    assert [output.text for cell in executed.cells[1:] for output in cell.outputs] == ["5\n6\n"]
    assert executed.metadata == pages.METADATA and not executed.cells[-1].metadata
    printed = capsys.readouterr().out
    assert re.search(r"01_first\.ipynb +begins\n.*01_first\.ipynb +\d+\.\d s\n", printed)
    assert "figures/one.csv" in printed


@pytest.mark.integration
@pytest.mark.parametrize(("source", "reason"), [("good / 0", "ZeroDivisionError"), ("os._exit(9)", "Kernel died")])
def test_run_stops_at_the_failing_notebook_and_names_the_cell(
    clone: Path, source: str, reason: str, capsys: pytest.CaptureFixture
) -> None:
    write(clone, "01_first", "import os\ngood = 1", source, "print('never')")
    write(clone, "02_second", "1")
    with pytest.raises(notebooks.NotebookError, match=r"01_first\.ipynb, cell 3 failed") as failure:
        run(clone)
    assert str(failure.value).count(f"\n{source}\n") == 1 and reason in str(failure.value)
    assert "02_second" not in capsys.readouterr().out


@pytest.mark.integration
def test_two_notebooks_at_once_give_what_one_after_the_other_gives(
    clone: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    waits = "import os, time\nassert any(os.path.exists('../second') or time.sleep(0.1) for _ in range(300))"
    write(clone, "01_first", waits, "1 + 1")  # ends after the second has begun
    write(clone, "02_second", "import os, pathlib\npathlib.Path('../second').touch()", "os.environ['OMP_NUM_THREADS']")
    executed = run(clone, workers=2)
    assert shown(executed["01_first"]) == "2"
    assert shown(executed["02_second"]) == repr(str(max(1, (os.cpu_count() or 1) // 2)))
    write(clone, "02_second", "1 / 0")
    with pytest.raises(notebooks.NotebookError, match=r"02_second\.ipynb, cell 2 failed(.|\n)*ZeroDivisionError"):
        run(clone, ["02_second"], workers=2)
    assert re.search(r"02_second\.ipynb +\d+\.\d s  FAILED\n", capsys.readouterr().out)


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_kernels_and_none_begins(clone: Path, number: signal.Signals) -> None:
    for name in ("first", "second", "third"):
        write(clone, name, f"import pathlib, time\npathlib.Path('../{name}').touch()\ntime.sleep(60)")
    code = "import signal, sys, pathlib\nfrom reidlib.app import notebooks as driver\n"
    code += "root = pathlib.Path(sys.argv[1])\n"
    code += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
    command = [sys.executable, "-c", code + "driver.run(driver.find(root=root), root, 2)", str(clone)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, **pipes, env=os.environ | {"PYTHONPATH": str(pages.ROOT)}) as driver:
        while driver.poll() is None and not ((clone / "first").exists() and (clone / "second").exists()):
            time.sleep(0.05)
        driver.send_signal(number)
        printed, _ = driver.communicate(timeout=30)  # the pipe is open as long as a kernel lives
    assert driver.returncode == -number, printed
    assert not (clone / "third").exists()


@pytest.mark.integration
def test_after_a_failure_what_runs_is_finished_and_nothing_begins(clone: Path) -> None:
    touch = "import pathlib, time\ntime.sleep({})\npathlib.Path('../{}').touch()"
    write(clone, "01_first", "1 / 0")
    for number, (name, seconds) in enumerate({"second": 2, "third": 0, "fourth": 0}.items(), 2):
        write(clone, f"{number:02d}_{name}", touch.format(seconds, name))
    with pytest.raises(notebooks.NotebookError, match="01_first"):
        run(clone, workers=2)
    assert (clone / "second").exists()
    assert not (clone / "third").exists() and not (clone / "fourth").exists()


@pytest.mark.integration
def test_publish_copies_outputs_and_figures(clone: Path) -> None:
    source = write(
        clone,
        "01_first",
        "from reidlib import paths\n(paths.build_folder() / 'figures').mkdir(parents=True)",
        "(paths.build_folder() / 'figures' / 'one.csv').write_text('a')",
    )
    solution = write(clone, "solutions/01_first", "2 + 2")
    notebooks.publish(root=clone)
    assert [shown(nbformat.read(path, as_version=4)) for path in (source, solution)] == ["1", "4"]
    assert (clone / "figures" / "one.csv").read_text() == "a"


@pytest.mark.integration
def test_publish_copies_nothing_if_a_page_is_unfit(clone: Path) -> None:
    texts = {"01_first": "print('fine')", "02_second": "import warnings\nwarnings.warn('odd')"}
    sources = [write(clone, *item) for item in texts.items()]
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
    value = {"output_type": "display_data", "data": {"text/plain": str(pages.ROOT)}, "metadata": {}}
    cells = [new_code_cell("", outputs=[nbformat.from_dict(output)]) for output in (stream, warning, error, value)]
    problems = notebooks.unfit(new_notebook(cells=[*cells, new_code_cell("1")]))
    assert [problem.split(":")[0] for problem in problems] == [
        "cell 1 shows a path of this machine",
        "cell 2 writes to stderr",
        "cell 3 ends in an error",
        "cell 4 shows a path of this machine",
    ]


def test_a_cell_to_complete_may_end_in_its_error_and_shows_one_line_of_it() -> None:
    error = {"output_type": "error", "ename": "NotImplementedError", "evalue": "your turn", "traceback": ["long", "er"]}
    cell = new_code_cell("", outputs=[nbformat.from_dict(error)], metadata={"tags": ["raises-exception"]})
    page = notebooks.tidy(new_notebook(cells=[cell]))
    assert page.cells[0].outputs[0].traceback == ["NotImplementedError: your turn"]
    assert page.cells[0].metadata == {"tags": ["raises-exception"]} and notebooks.unfit(page) == []
    page.cells[0].outputs[0].evalue = f"{Path.home()}/x"
    assert [problem.split(":")[0] for problem in notebooks.unfit(page)] == ["cell 1 shows a path of this machine"]


@pytest.mark.integration
def test_a_cell_to_complete_does_not_stop_the_page(clone: Path) -> None:
    path = write(clone, "01_first", "raise NotImplementedError('your turn')", "2 + 3")
    page = nbformat.read(path, as_version=4)
    page.cells[1].metadata["tags"] = ["raises-exception"]
    nbformat.write(page, path)
    assert shown(run(clone)["01_first"]) == "5"


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
    write(clone, "01_first", "1")
    assert notebooks.find(["01_first.ipynb"], clone) == notebooks.find(["01_first"], clone) == notebooks.find([], clone)
    with pytest.raises(notebooks.NotebookError, match=r"unknown notebook '02_second'.*01_first"):
        notebooks.find(["02_second"], clone)


def test_badges_are_written_once_and_follow_the_address(clone: Path) -> None:
    first = write(clone, "01_first", "x = 1")
    solution = write(clone, "solutions/01_first", "x = 1")
    lesson = '{"01_first": {"needs": "nothing", "seconds": {"cpu": 280, "gpu": 9}}}'
    (clone / "notebooks" / pages.LESSONS).write_text(lesson)
    for address in ("https://github.com/someone/somewhere", "https://github.com/else/where"):
        (clone / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{address}"\n')
        pages.label_all(clone)
        written = [path.read_bytes() for path in (first, solution, clone / "README.md")]
        pages.label_all(clone)
        assert [path.read_bytes() for path in (first, solution, clone / "README.md")] == written
    cells = nbformat.read(first, as_version=4).cells
    title, empty, badge, *rest = cells[0].source.splitlines()
    assert (title, empty, rest) == ("# A title", "", ["", "Some text."])
    assert "/else/where/blob/main/notebooks/01_first.ipynb" in badge
    assert [cell.source for cell in cells[1:]] == [pages.environment_cell(clone), "x = 1"]
    readme = (clone / "README.md").read_text()
    assert readme.startswith("before\n") and readme.endswith("after\n")
    assert f"| [01_first](notebooks/01_first.ipynb) | A title | nothing | 5 min | {badge} |" in readme
    assert "solutions" not in readme and "someone" not in readme


def test_badges_need_a_title_and_the_markers(clone: Path) -> None:
    path = write(clone, "01_first", "1")
    (clone / "README.md").write_text("nothing")
    with pytest.raises(ValueError, match=r"README\.md lacks the lines"):
        pages.label_all(clone)
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), path)
    with pytest.raises(notebooks.NotebookError, match="title"):
        pages.label_all(clone)


def test_command_line_ends_with_the_reason(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "publish", lambda names: notebooks.find(names, clone))
    with pytest.raises(SystemExit, match="no notebooks in"):
        notebooks.main(["publish"])
    monkeypatch.setattr(pages, "label_all", lambda: frontpage.insert(clone / "README.md", "begin\nend"))
    with pytest.raises(SystemExit, match=r"README\.md lacks the lines"):
        notebooks.main(["badges"])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("run --workers 0", "--workers is at least 1"),
        ("publish --workers 2", "--workers is at least 1, and for the verb run alone"),
        ("badges 01_data", "badges are written for all notebooks at once"),
        ("run --workers 1 99_nothing", "unknown notebook '99_nothing'"),  # names may stand behind options
    ],
)
def test_command_line_refuses(words: str, reason: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        notebooks.main(words.split())
    assert reason in f"{end.value} {capsys.readouterr().err}"
