"""Which files a run computes with."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from reidlib.data.registry import READERS, renderer
from reidlib.training import provenance


def covered(method: str = "baseline", dataset: str = "sysu") -> set[str]:
    return set(provenance.source_files(method, dataset))


def test_what_decides_the_numbers_is_covered() -> None:
    wanted = {"training/loop.py", "training/validation.py", "methods/baseline/model.py"}
    networks = ("base", "two_stream", "backbone", "heads", "trunks", "resnets", "weights", "fitting", "imagenet")
    wanted |= {f"networks/{name}.py" for name in networks}
    wanted |= {f"data/{name}.py" for name in ("sysu", "dataset", "cache", "decode", "sampler", "augment")}
    wanted |= {f"twins/{name}.py" for name in ("sysu", "people", "raycast", "body", "identity", "scene", "places")}
    wanted |= {"losses/triplet.py"}
    assert wanted <= covered()


def test_doors_registries_and_what_only_looks_are_not() -> None:
    names = covered()
    assert not any(name.endswith("__init__.py") or name.startswith(("evaluation/", "plots/")) for name in names)
    assert not names & {
        "data/registry.py",
        "twins/build.py",
        "losses/circle.py",
        "training/runs.py",
        "methods/registry.py",
    }


@pytest.mark.parametrize("dataset", READERS)
def test_the_twin_of_the_data_set_is_covered_and_no_other(dataset: str) -> None:
    modules = {name: Path(twin.__file__).name for name, twin in renderer().TWINS.items()}
    found = {name.removeprefix("twins/") for name in covered(dataset=dataset) if name.startswith("twins/")}
    assert found & set(modules.values()) == {modules[dataset]}


def source_of(dataset: str) -> str:
    """Name of the file of a data set's reader; two share a function, called with what they differ in."""
    read = READERS[dataset].read
    return Path(getattr(read, "func", read).__code__.co_filename).name


@pytest.mark.parametrize("dataset", READERS)
def test_other_data_sets_are_not_covered(dataset: str) -> None:
    own = source_of(dataset)
    assert f"data/{own}" in covered(dataset=dataset)
    others = {source_of(name) for name in READERS} - {own}
    assert not {f"data/{name}" for name in others} & covered(dataset=dataset)


@pytest.mark.parametrize(
    "name, changes", [("networks/heads.py", True), ("losses/circle.py", False), ("experiments/ledger.py", False)]
)
def test_the_digest_follows_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, changes: bool
) -> None:
    for file in provenance.PACKAGE.rglob("*.py"):
        copy = tmp_path / file.relative_to(provenance.PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    before = provenance.code_digest("baseline", "sysu")
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\nMORE = 1\n")
    assert (provenance.code_digest("baseline", "sysu") != before) is changes


def test_words_make_no_run_stale(tmp_path: Path) -> None:
    file = tmp_path / "said.py"

    def digest(text: str) -> str:
        file.write_text(text)
        return provenance._tree_digest(file.read_text())

    plain = digest("def f(x):\n    return x + 1\n")
    assert plain == digest('"""Words."""\n\n# more\ndef f(x):\n    """Adds one."""\n    return (x + 1)  # so\n')
    assert plain != digest("def f(x):\n    return x + 2\n")
    assert digest("!ls") != digest("!ls -l"), "text that is no Python counts as it is"


@pytest.mark.parametrize(
    "method, dataset, message", [("x", "sysu", "unknown method 'x'"), ("baseline", "Y", "data set")]
)
def test_unknown_names_are_refused(method: str, dataset: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        provenance.code_digest(method, dataset)


def test_packages_of_another_environment_on_the_path_are_installed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as those of a notebook server, of the system, or of a container: none of them is somebody's own code."""
    for folder in ("lib/site-packages", "dist-packages", "mine"):
        (package := tmp_path / folder / f"in_{folder[-4:].replace('-', '_')}").mkdir(parents=True)
        (package / "__init__.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path / folder)
    found = {name: provenance._is_installed(f"in_{name}") for name in ("ages", "mine")}
    assert found == {"ages": True, "mine": False}


def test_this_package_is_not_asked_what_others_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_is_installed", lambda top: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: pytest.fail(f"{name} was looked for"))
    assert covered() == set(provenance.source_files("baseline", "sysu"))


def test_data_of_ones_own_have_the_digest_of_what_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = covered(dataset="my-people")
    assert {"data/folders.py", "data/table.py", "data/own.py", "data/divisions.py"} <= own
    assert not any(name.startswith("twins/") for name in covered(dataset="scene")), "whatever it is called"
    file = tmp_path / "outside_reader.py"
    file.write_text("def read(root, split):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    reader = replace(READERS["sysu"], read=importlib.import_module("outside_reader").read)
    assert "outside_reader outside_reader.py" in provenance.source_files("baseline", "my-people", reader)
    assert provenance.source_files("baseline", "sysu", reader) == provenance.source_files("baseline", "sysu")
