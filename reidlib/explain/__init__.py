"""Looking inside: which places of an image count (Grad-CAM), what a branch knows (probes), and where images lie (UMAP).

Everything works on ``model.branches``. Truth (masks, factors) is known for synthetic twins only; there, scores say
whether a map lies on the person and whether a branch holds a factor, beside controls that know nothing.
"""

# ruff: noqa: F401 (what is imported here is what the package offers)

from reidlib.explain.by_identity import centred_cams, focus_by_identity, knowledge_by_identity, modality_by_identity
from reidlib.explain.cam import Cams, cams, grad_cam
from reidlib.explain.common import common_table, correlations
from reidlib.explain.cues import CUES, camera_table, cue_table
from reidlib.explain.embedding import branch_embeddings, embedding_table, project, sample_rows
from reidlib.explain.failures import failure_table, missed_queries, query_conditions
from reidlib.explain.focus import focus_differences, focus_rows, focus_table, focus_values
from reidlib.explain.knowledge import knowledge_scores, knowledge_table, knowledge_values
from reidlib.explain.localisation import centred_gaussian, energy_inside, localisation_table, parts_covered, pointing
from reidlib.explain.occlusion import hidden_cosines, occlusion_maps
from reidlib.explain.probes import ProbeResult, TooFewIdentities, probe, probe_identity, probe_table
from reidlib.explain.regions import matched_pairs, region_drops, region_maps
from reidlib.explain.stages import stage_embeddings, stage_table
from reidlib.explain.targets import Targets, retrieval_targets
from reidlib.explain.truth import factors, masks
