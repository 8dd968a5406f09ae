import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `tiny` and `drawn` lie beside the tests


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests share decoded images, in a folder of their own."""
    monkeypatch.setenv("REIDLIB_CACHE", str(cache))


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")
