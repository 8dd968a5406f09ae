"""Which files a run computes with."""

from pathlib import Path

import pytest

from reidlib import models, provenance
from reidlib.data.registry import READERS


def covered(method: str = "baseline", dataset: str = "sysu") -> set[str]:
    return {file.relative_to(provenance.PACKAGE).as_posix() for file in provenance.source_files(method, dataset)}


def test_what_decides_the_numbers_is_covered() -> None:
    wanted = {"training.py", "validation.py"}
    wanted |= {f"models/{name}.py" for name in ("base", "baseline", "backbone", "heads", "imagenet")}
    wanted |= {f"data/{name}.py" for name in ("sysu", "dataset", "cache", "decode", "sampler", "augment")}
    wanted |= {f"synthetic/{name}.py" for name in ("sysu", "people", "raycast", "body", "identity", "scene", "places")}
    wanted |= {"losses/triplet.py"}
    assert wanted <= covered()


def test_doors_registries_and_what_only_looks_are_not() -> None:
    names = covered()
    assert not any(name.endswith("__init__.py") or name.startswith(("evaluation/", "plots/")) for name in names)
    assert not names & {"data/registry.py", "synthetic/twins.py", "losses/circle.py", "runs.py", "recipes/recipe.py"}


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
    "name, changes", [("models/heads.py", True), ("losses/circle.py", False), ("ledger.py", False)]
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
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\n# a word more\n")
    assert (provenance.code_digest("baseline", "sysu") != before) is changes


def test_a_model_is_followed_to_what_it_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    class Foreign(models.ReIDModel):
        """Of a notebook: no file of this package stands behind it."""

    monkeypatch.setitem(models.MODELS, "foreign", Foreign)
    assert "models/baseline.py" not in covered("foreign") and "data/sysu.py" in covered("foreign")


@pytest.mark.parametrize(
    "method, dataset, message", [("x", "sysu", "unknown method 'x'"), ("baseline", "y", "data set")]
)
def test_unknown_names_are_refused(method: str, dataset: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        provenance.code_digest(method, dataset)
