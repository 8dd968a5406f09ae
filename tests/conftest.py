"""Fixtures for all tests. Folders of single rooms have their own conftest beside their tests."""

import os
from pathlib import Path

import hypothesis
import matplotlib
import pytest

matplotlib.use("agg")
# The same examples on every machine and no time limit: a test that fails, fails everywhere.
hypothesis.settings.register_profile("reidlib", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("reidlib")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the clone under test."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def ci_twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The twin of SYSU-MM01 in the ``ci`` profile, rendered once per session for all workers. Read only."""
    from reidlib.synthetic import twins

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # what the workers share
    return twins.ensure("sysu", "ci", folder / "ci-twin" / "sysu", progress=False)


@pytest.fixture
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for everything the library writes; no data sets, profile or other folders from outside."""
    for name in ("REIDLIB_CACHE", "REIDLIB_BUILD", "REIDLIB_DATA", "REIDLIB_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REIDLIB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
