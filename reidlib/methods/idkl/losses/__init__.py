"""Losses of IDKL: what is distilled from specific into shared features, and what is aligned between modalities.

Ren and Zhang, "Implicit Discriminative Knowledge Learning for Visible-Infrared Person Re-Identification", CVPR 2024.
The alignments, ``tgsa`` and ``csa``, have two presets:

* ``"paper"``: graphs and classes are aligned by identity, so that no term depends on the order of the rows; numbers of
  images may differ between identities and between modalities, and an identity that one modality does not show is left
  out where both are needed. Documented (abstract and captions of figures 2 and 3): what is aligned with what, and that
  TGSA aligns three affinity matrices, a–a, b–b and a–b. Reconstructed (ours): the equations.
* ``"released"``: the arithmetic of the released code, which pairs rows by their position. Documented (released code).
  It is defined for rows ordered by identity: the visible rows and the infrared rows show the same identities in the
  same order, equally many of each; whether the modalities alternate or follow one another is all the same. Other
  orders give other values.

SKL is :func:`reidlib.losses.symmetric_kl`: no temperature, and neither side is detached (documented: released code);
pass ``specific.detach()`` for a teacher that does not learn from its student. Every term is one unweighted scalar.
:mod:`reidlib.methods.idkl.losses.reference` holds the same definitions as plain loops.
"""

# ruff: noqa: F401 (what is imported here is what the package offers)

from reidlib.methods.idkl.losses.distillation import PRESETS, csa, tgsa
from reidlib.methods.idkl.losses.released import Weights, released_weights
from reidlib.methods.idkl.losses.streams import confusion_labels, purifier, purifier_hinges
