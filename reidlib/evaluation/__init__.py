"""Evaluation: distances become rankings, rankings become results that carry the rules they were scored by.

``rank`` is the functional core. ``protocols.get`` names the rules of a data set, ``evaluate`` runs a model through
them, ``score`` does the same from embeddings, and ``report`` puts several results in one table; ``published`` holds the
numbers of others to compare with. ``k_reciprocal`` re-ranks, where a protocol says so. ``embed_images`` and ``search``
need no data set: files become features, and a feature finds its nearest ones. ``read_features`` reads what others made.
"""

# ruff: noqa: F401 (what is imported here is what the package offers)

from reidlib.evaluation import protocols, published
from reidlib.evaluation.features import Features, read_features
from reidlib.evaluation.pictures import Found, embed_images, images_in, search
from reidlib.evaluation.ranking import RankResult, rank
from reidlib.evaluation.reranking import k_reciprocal
from reidlib.evaluation.results import EvaluationResult, TrialResult, report
from reidlib.evaluation.retrieval import Retrieval, pair_distances, retrieve
from reidlib.evaluation.scoring import cosine_distances, embed, evaluate, score
from reidlib.evaluation.seen import TrainedOn, trained_on
