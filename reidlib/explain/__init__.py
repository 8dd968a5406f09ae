"""Looking inside: embeddings brought down to two dimensions."""

from reidlib.explain.embedding import project

__all__ = ["project"]
