"""Side by side: several classes in one picture, or one class in several pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import ipywidgets
from PIL import Image

from .base import ExplorerWidget
from .render import describe, draw, montage, percent, shared_limit
from .settings import Settings
from .source import ForwardedPicture, Source, shrunk
from .widgets import ClassBox

__all__ = ["Classes", "Pictures"]

Panel = tuple[str, int, ForwardedPicture]  # title, class index, picture


class Comparison(ExplorerWidget):
    """Several panels in one image; with scale "shared" all have one colour scale."""

    beside = False
    columns = 5
    width = 206  # pixels of a panel: five fit side by side in a notebook, and their words can be read

    def panels(self) -> list[Panel]:
        raise NotImplementedError

    def draw(self) -> tuple[Image.Image, str]:
        captions, shown = [], []
        for title, c, picture in self.panels():
            captions.append(f"{title}: {picture.cams.logits[0, c]:.2f} ({percent(picture.probabilities[c])})")
            shown.append((replace(self.settings, label=c), shrunk(picture, self.width)))
        shared = self.settings.scale == "shared"
        limit = shared_limit(shown) if shared else None
        lines = [describe(*panel, caption) for panel, caption in zip(shown, captions, strict=True)]
        lines.append("One colour scale for all." if shared else "Each on a colour scale of its own.")
        return montage([draw(*panel, limit) for panel in shown], captions, self.columns), "\n".join(lines)


class Classes(Comparison):
    """Up to five classes in one picture, in a row (lecture 14:20).

    Args:
        source: the network and its pictures
        labels: class indices or names; none: the five most probable
        settings: what to show first
    """

    ask = ("picture",)

    def __init__(self, source: Source, labels: Sequence[int | str] = (), settings: Settings | None = None):
        super().__init__(source, settings)
        self.boxes = [ClassBox(source.classes, f"{i + 1}") for i in range(5)]
        for box, label in zip(self.boxes, labels, strict=False):
            box.value = box.names[box.find(str(label))]
        for box in self.boxes:
            box.layout, box.style.description_width = {"flex": "1 1 0", "min_width": "0"}, "14px"
            box.observe(lambda _: self.handle(self.update), "value")
        self.arrange(ipywidgets.Label("five classes:"), ipywidgets.Box(self.boxes, layout={"width": "100%"}))

    def panels(self) -> list[Panel]:
        picture = self.current()
        labels = [box.find(box.value) for box in self.boxes if box.value.strip()]
        labels = labels or [c for c, _ in picture.top(5)]
        return [(picture.classes[c], c, picture) for c in labels]


class Pictures(Comparison):
    """One class in all pictures of the source, highest score first (Zhou et al., Figure 3).

    Args:
        source: the network and its pictures; it should keep as many as it has
        settings: what to show first; without a label, what the first picture shows
    """

    ask = ("label",)
    columns = 6
    width = 170

    def __init__(self, source: Source, settings: Settings | None = None):
        super().__init__(source, settings)
        self.arrange()

    def panels(self) -> list[Panel]:
        c = self.current().class_index(self.settings)
        pictures = [self.source.forward(name) for name in self.source.pictures]
        pictures.sort(key=lambda picture: -picture.cams.logits[0, c].item())
        return [(picture.name, c, picture) for picture in pictures]

    def draw(self) -> tuple[Image.Image, str]:
        panels = [f"{name} {picture.cams.logits[0, c]:.2f}" for name, c, picture in self.panels()]
        name = self.source.classes[self.current().class_index(self.settings)]
        return super().draw()[0], f"Score of {name}, highest first: {', '.join(panels)}."
