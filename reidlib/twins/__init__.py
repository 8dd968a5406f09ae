"""Rendered people, and twins of the real data sets made of them.

>>> from reidlib.twins import SYSU_CAMERAS, render, sample_identity, sample_scene
>>> render(sample_identity(7), sample_scene(SYSU_CAMERAS[3], 7, 1)).image.shape
(128, 64, 3)
"""

from reidlib.twins import pretraining
from reidlib.twins.body import MATERIALS, PARTS
from reidlib.twins.build import TWINS, Truth, ensure, truth
from reidlib.twins.identity import Identity, luminance, sample_identity
from reidlib.twins.people import Rendering, render
from reidlib.twins.scene import INFRARED, SYSU_CAMERAS, VISIBLE, Camera, Scene, sample_scene

__all__ = [
    "INFRARED",
    "MATERIALS",
    "PARTS",
    "SYSU_CAMERAS",
    "TWINS",
    "VISIBLE",
    "Camera",
    "Identity",
    "Rendering",
    "Scene",
    "Truth",
    "ensure",
    "luminance",
    "pretraining",
    "render",
    "sample_identity",
    "sample_scene",
    "truth",
]
