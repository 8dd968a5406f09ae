"""Data: a real tree on disk becomes a tidy frame, a byte cache and batches of indices.

``open`` reads the tree of a published data set, ``from_folders`` and ``from_table`` what is one's own;
``dataset.check()`` says what is missing; ``dataset.images(height, width)`` decodes once; ``PKSampler`` draws
balanced batches; ``Augmentation`` changes them on the device. ``Subsample`` leaves images of one modality out.
"""

# ruff: noqa: F401 (what is imported here is what the package offers)

from reidlib.data.augment import Augmentation, normalise
from reidlib.data.cache import ImageCache
from reidlib.data.dataset import Reader, ReIDDataset
from reidlib.data.divisions import own_split
from reidlib.data.opening import from_folders, from_table
from reidlib.data.registry import names, open, open_available, register
from reidlib.data.report import CheckReport, Problem
from reidlib.data.sampler import PKSampler
from reidlib.data.subsample import Subsample
