"""Every benchmark runs, at toy size; what it prints at full size is for people."""

import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reidlib import paths

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
TINY = ["--height", "32", "--width", "16"]
# Benchmark → arguments, and what its last lines say.
TOYS = {
    "bench_data": (["--images", "8", "--batch", "4", "--pairs", "1"], r"augmentation.* × *\n$"),
    "bench_idkl": (["--backbone", "tiny", *TINY, "--batch", "8", "--pairs", "1", "--skip-memory"], r"× the parameters"),
    "bench_losses": (["--rows", "16", "--dimensions", "8", "--repeats", "1"], r"circle: .* times faster"),
    "bench_methods": (
        ["--backbone", "tiny", *TINY, "--identities", "2", "--images", "2", "--num-ids", "5", "--pairs", "1"],
        r"dalnet: .* median ratio",
    ),
    "bench_rank": (["--identities", "4", "--pairs", "1"], r"mask .* times faster"),
    "bench_render": (["--images", "4", "--repeats", "1"], r"1 ray a pixel .* images/s"),
    "bench_reranking": (
        ["--identities", "6", "--dimensions", "16", "--pairs", "1", "--memory-items", "0"],
        r"queries .* largest difference",
    ),
    "bench_step": (["--backbones", "tiny", *TINY, "--batch", "8", "--pairs", "1"], r"bfloat16 .* times faster"),
    "bench_training": (["--profile", "ci", "--steps", "1", "--device", "cpu"], r"a step takes .* as long"),
    "gpu": (
        ["--device", "cpu", "--toy", "--methods", "baseline", "--notebooks"],
        r"error: none\nskipped: train and look: baseline, fp16; waits: baseline",
    ),
}
OTHERS = ["rank_reference", "reranking_reference"]  # counterparts, which the tests of the library call
OTHERS += ["mutants", "real_crops"]  # see `test_mutants`, `training.test_real_crops`


def test_every_benchmark_has_a_toy() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted([*TOYS, *OTHERS])


@pytest.mark.parametrize("name", TOYS)
def test_it_runs(
    name: str, twin: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    twin("sysu")  # rendered before its folder is looked for by way of this very function
    monkeypatch.setattr(paths, "twin_folder", twin)
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    arguments, says = TOYS[name]
    written = ["--out", str(tmp_path / "gpu.json")] if name == "gpu" else []
    importlib.import_module(name).main([*arguments, *written])
    assert re.search(says, capsys.readouterr().out)


def test_a_part_that_fails_leaves_its_error_and_the_next_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The script for GPUs, with parts of this test's own."""
    monkeypatch.syspath_prepend(str(FOLDER))
    gpu = importlib.import_module("gpu")
    planned = [("one", 0, lambda: 1 / 0), ("two", 0, lambda: {"x": 1}), ("long", 9e9, dict)]
    monkeypatch.setattr(gpu, "parts", lambda *_: planned)
    out = tmp_path / "new" / "gpu.json"
    assert gpu.main(["--device", "cpu", "--out", str(out)]) == 1
    found = json.loads(out.read_text())["parts"]
    assert found["one"]["error"] == "ZeroDivisionError: division by zero" and found["two"]["result"] == {"x": 1}
    assert found["long"]["skipped"].startswith("no time")
    assert "error: one\nskipped: long" in capsys.readouterr().out


def test_a_cell_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script for GPUs goes through notebooks without Jupyter."""
    monkeypatch.syspath_prepend(str(FOLDER))
    gpu = importlib.import_module("gpu")
    sources = ["x = 1", "%matplotlib inline\nx += 1", "assert x == 2", "x.numpy()"]
    cells = [{"cell_type": "code", "metadata": {}, "source": [source]} for source in sources]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "page.ipynb").write_text(json.dumps({"cells": cells}))
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    with pytest.raises(RuntimeError, match=r"^cell 3: AttributeError: 'int' object has no attribute 'numpy'$"):
        gpu.notebook("page", 60)
