"""What README and docs show is run as it stands there."""

import glob
import re
import shlex
from pathlib import Path

import pytest
from small_folders import write_folder

from reidlib.app import cli
from reidlib.explain import embedding


@pytest.fixture(autouse=True)
def here(isolated_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's folder of sixty images, in an empty place."""
    monkeypatch.setenv("REIDLIB_HOME", str(tmp_path))
    monkeypatch.setenv("REIDLIB_PROFILE", "ci")
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "people")
    assert len(list((tmp_path / "people").rglob("*.png"))) == 60
    return tmp_path


def shown(repository: Path, name: str) -> list[str]:
    pages = [repository / "README.md", *(repository / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    (block,) = re.findall(rf"<!-- {name} -->\n```\w*\n(.*?)```", text, re.DOTALL)
    return [line for line in block.splitlines() if line.strip()]


def without_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes half a minute to compile; `tests/explain` draw with it."""
    monkeypatch.setattr(embedding, "_project", lambda features, seed: features[:, :2])


def test_fifteen_lines_of_python(repository: Path, here: Path, monkeypatch, capsys) -> None:
    without_umap(monkeypatch)
    lines = shown(repository, "own data in Python")
    assert len(lines) <= 15
    names: dict = {}
    exec("\n".join(lines), names)
    assert names["run"].recipe.dataset == names["people"].name == "people"
    assert "people" in capsys.readouterr().out
    assert all((here / f"{name}.png").stat().st_size > 5000 for name in ("found", "embedding", "attention"))
    exec("\n".join(shown(repository, "own network")), names)
    assert names["cams"].maps.shape == (len(names["rows"]), 224, 224)


def test_four_commands(repository: Path, here: Path, monkeypatch, capsys) -> None:
    without_umap(monkeypatch)
    lines = shown(repository, "own data in commands")
    assert len(lines) <= 4
    for line in lines:
        words = shlex.split(line, comments=True)
        given = [found for word in words[1:] for found in (glob.glob(word) if "*" in word else [word])]
        assert cli.main(given) == 0, capsys.readouterr().err
    assert {"found-0.png", "found-0.csv", "drawn"} <= {file.name for file in here.iterdir()}
    assert {file.name for file in (here / "drawn").iterdir()} == {
        f"{name}.{kind}" for name in ("embedding", "attention") for kind in ("png", "csv", "json")
    }
    assert (here / "runs" / "ledger.csv").read_text(encoding="utf-8").count("people") >= 1


def test_six_lines_train_and_rank(repository: Path, ci_twin: Path, monkeypatch, capsys) -> None:
    from reidlib import data

    monkeypatch.setattr(data, "open_available", lambda name: data.open(name, root=ci_twin))
    lines = shown(repository, "train and rank")
    assert len(lines) == 6
    names: dict = {}
    exec("\n".join(lines), names)
    printed = capsys.readouterr().out
    assert names["run"].recipe.method == "fienet" and "rank-1" in printed and "mINP" in printed
    assert names["features"].shape[0] == len(names["people"].rows("test"))
