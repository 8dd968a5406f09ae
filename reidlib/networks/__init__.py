"""Networks: trunks, stems, heads, weights, the interface of every model, and the network that methods build on."""

from reidlib.networks.base import Outputs, ReIDModel
from reidlib.networks.exporting import export
from reidlib.networks.two_stream import TwoStream
from reidlib.networks.wrapped import wrap

__all__ = ["Outputs", "ReIDModel", "TwoStream", "export", "wrap"]
