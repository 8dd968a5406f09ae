"""What losses check of their input."""

import pytest
import torch

from reidlib.losses._common import check_range


def test_labels_lie_between_zero_and_the_count():
    check_range("pids", torch.tensor([0, 4, 2]), 5, "rows of proxies")
    for labels in ([-1, 3], [0, 5]):
        with pytest.raises(
            ValueError, match=rf"^pids must be 0 to 4, rows of proxies, not {labels[0]} to {labels[1]}$"
        ):
            check_range("pids", torch.tensor(labels), 5, "rows of proxies")
