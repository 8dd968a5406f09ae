"""Fixtures for the tests of instruments."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests share decoded images, in a folder of their own."""
    monkeypatch.setenv("REIDLIB_CACHE", str(cache))
