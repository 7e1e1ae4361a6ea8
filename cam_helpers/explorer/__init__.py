"""Explore class activation maps: any class, any picture, any frame (lesson 04)."""

from .app import Explorer
from .compare import Classes, Networks, Pictures
from .readout import Reader, read_out
from .render import describe, identity, render
from .scene import Scene, Source
from .state import View
from .video import Film, read_frames
from .why import Why

__all__ = [
    "Classes",
    "Explorer",
    "Film",
    "Networks",
    "Pictures",
    "Reader",
    "Scene",
    "Source",
    "View",
    "Why",
    "describe",
    "identity",
    "read_frames",
    "read_out",
    "render",
]
