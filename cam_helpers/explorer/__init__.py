"""Explore class activation maps: any class, any picture, any frame (lesson 04)."""

from .app import Explorer
from .compare import Classes, Networks, Pictures
from .readout import Probe, Reader, fit_probe, read_out
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
    "Probe",
    "Reader",
    "Scene",
    "Source",
    "View",
    "Why",
    "describe",
    "fit_probe",
    "identity",
    "read_frames",
    "read_out",
    "render",
]
