"""Class activation mapping: the small tested package behind the lessons."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .boxes import boxes_from_maps
    from .maps import CamModel, Cams, NotCamCompatible, class_activation_maps
    from .networks import gap_network

__all__ = ["CamModel", "Cams", "NotCamCompatible", "boxes_from_maps", "class_activation_maps", "gap_network"]
_ROOMS = {"boxes_from_maps": ".boxes", "gap_network": ".networks"}


def __getattr__(name: str):
    """Looked up when asked for: the processes that draw the world need no torch, and it takes seconds to import."""
    if name in __all__:
        return getattr(import_module(_ROOMS.get(name, ".maps"), __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
