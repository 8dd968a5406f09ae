"""High-dimensional features as points on a page."""

import warnings

import numpy as np
from sklearn.decomposition import PCA


def project(features: np.ndarray, *, components: int = 50, neighbours: int = 15, seed: int = 0) -> np.ndarray:
    """PCA, then UMAP: features (N, D) → coordinates (N, 2) float32.

    PCA to ``components`` dimensions first: it removes noise and most of the time UMAP would take. The same seed gives
    the same picture on one machine, not across operating systems; save the coordinates with the figure. Distances
    between clusters mean little in the result; neighbourhoods do (McInnes, Healy and Melville, 2018).

    Raises:
        ImportError: umap-learn is not installed; the message says how to install it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # umap warns about an optional package on import
            from umap import UMAP
    except ImportError as error:
        raise ImportError("umap-learn is needed for this figure: pip install 'reidlib[notebooks]'") from error
    features = np.asarray(features, np.float32)
    reduced = PCA(min(components, *features.shape), random_state=seed).fit_transform(features)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*n_jobs value.*")  # a seed forces one thread, which is meant
        return UMAP(n_neighbors=min(neighbours, len(features) - 1), random_state=seed).fit_transform(reduced)
