"""Explore class activation maps: any class, any picture, any frame (lesson 04)."""

from .compare import Classes, Pictures
from .render import describe, identity, point, render
from .settings import Settings
from .single import Explorer, Why, read_out
from .source import ForwardedPicture, Source
from .video import Film, read_frames
from .widgets import sliders

__all__ = ["Classes", "Explorer", "Film", "ForwardedPicture", "Pictures", "Settings", "Source", "Why", "describe",
           "identity", "point", "read_frames", "read_out", "render", "sliders"]  # fmt: skip
