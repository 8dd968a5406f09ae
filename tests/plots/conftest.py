"""Fixtures for the tests of figures."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def runs() -> pd.DataFrame:
    """Scores of two variants in three seeds each, as rows of the ledger: 0.3 and 0.4 on average."""
    spread = np.array([-0.01, 0.0, 0.01])
    return pd.DataFrame(
        {
            "variant": np.repeat(["baseline", "full"], 3),
            "seed": [0, 1, 2] * 2,
            "rank-1": np.concatenate([0.3 + spread, 0.4 + spread]),
            "mAP": np.concatenate([0.35 + spread, 0.45 + spread]),
        }
    )


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")
