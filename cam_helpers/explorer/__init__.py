"""Explore class activation maps: any class, any picture, any frame (lesson 04)."""

from .app import Explorer, explore
from .compare import compare_classes, compare_networks, compare_pictures
from .readout import Probe, fit_probe, read_out, show_read_out
from .render import describe, identity, render
from .scene import Scene, Source
from .state import View
from .video import read_frames, watch
from .why import why

__all__ = [
    "Explorer",
    "Probe",
    "Scene",
    "Source",
    "View",
    "compare_classes",
    "compare_networks",
    "compare_pictures",
    "describe",
    "explore",
    "fit_probe",
    "identity",
    "read_frames",
    "read_out",
    "render",
    "show_read_out",
    "watch",
    "why",
]
