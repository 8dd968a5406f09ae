"""Rendered people, and twins of the real data sets made of them.

>>> from reidlib.synthetic import SYSU_CAMERAS, render, sample_identity, sample_scene
>>> render(sample_identity(7), sample_scene(SYSU_CAMERAS[3], 7, 1)).image.shape
(128, 64, 3)
"""

from reidlib.synthetic.body import MATERIALS, PARTS
from reidlib.synthetic.identity import Identity, sample_identity
from reidlib.synthetic.people import Rendering, render
from reidlib.synthetic.scene import INFRARED, SYSU_CAMERAS, VISIBLE, Camera, Scene, sample_scene
from reidlib.synthetic.twins import MANIFEST, Truth, ensure, read_manifest, truth

__all__ = [
    "INFRARED",
    "MANIFEST",
    "MATERIALS",
    "PARTS",
    "SYSU_CAMERAS",
    "VISIBLE",
    "Camera",
    "Identity",
    "Rendering",
    "Scene",
    "Truth",
    "ensure",
    "read_manifest",
    "render",
    "sample_identity",
    "sample_scene",
    "truth",
]
