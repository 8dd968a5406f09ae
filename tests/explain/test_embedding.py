import builtins
import sys

import numpy as np
import pytest

from reidlib.explain import project


@pytest.mark.slow
def test_clusters_stay_together_and_the_seed_decides():
    generator = np.random.default_rng(0)
    centres = 10 * generator.standard_normal((3, 64))
    labels = np.repeat(np.arange(3), 30)
    features = centres[labels] + generator.standard_normal((90, 64))
    points = project(features, seed=1)
    assert points.shape == (90, 2)
    means = np.stack([points[labels == k].mean(0) for k in range(3)])
    nearest = np.linalg.norm(points[:, None] - means, axis=2).argmin(1)
    assert (nearest == labels).all()
    np.testing.assert_array_equal(points, project(features, seed=1))


def test_without_umap_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without_umap(name, *arguments, **options):
        if name == "umap":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "umap", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_umap)
    with pytest.raises(ImportError, match="pip install"):
        project(np.zeros((4, 3)))
