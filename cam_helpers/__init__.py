"""Class activation mapping: the small tested package behind the lessons."""

from .boxes import boxes_from_maps
from .maps import CamModel, Cams, NotCamCompatible, class_activation_maps
from .networks import gap_network

__all__ = ["CamModel", "Cams", "NotCamCompatible", "boxes_from_maps", "class_activation_maps", "gap_network"]
