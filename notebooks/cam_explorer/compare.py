"""Side by side: several classes in one picture, one class in several pictures, several networks on one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import ipywidgets
from PIL import Image

from .base import ROW_WRAP, ExplorerWidget
from .render import describe, draw, montage, percent, shared_limit
from .settings import Settings
from .source import ForwardedPicture, Source, shrunk
from .widgets import ClassBox

__all__ = ["Classes", "Networks", "Pictures"]

Panel = tuple[str, int, ForwardedPicture]  # title, class index, picture


class Comparison(ExplorerWidget):
    """Several panels in one image; with scale "shared" all have one colour scale."""

    two_columns = False
    columns = 3
    width = 280  # pixels of a panel: three fit side by side in a notebook, and their words can be read

    def arrange(self, *controls: ipywidgets.Widget) -> None:
        look = self.controls("style", "colours", "scale", "rule", "threshold", "opacity")
        super().arrange(*controls, look)

    def panels(self) -> list[Panel]:
        raise NotImplementedError

    def draw(self) -> tuple[Image.Image, str]:
        captions, shown = [], []
        for title, c, picture in self.panels():
            captions.append(f"{title}, {percent(picture.probabilities[c])}")
            shown.append((replace(self.settings, label=c), shrunk(picture, self.width)))
        shared = self.settings.scale == "shared"
        limit = shared_limit(shown) if shared else None
        lines = [describe(*panel, caption) for panel, caption in zip(shown, captions, strict=True)]
        lines.append("One colour scale for all." if shared else "Each on a colour scale of its own.")
        return montage([draw(*panel, limit) for panel in shown], captions, self.columns), "\n".join(lines)


class Classes(Comparison):
    """Up to five classes in one picture (lecture 14:20).

    Args:
        source: the network and its pictures
        labels: class indices or names; none: the five most probable
        settings: what to show first
        folder: where "save" puts images and settings
    """

    def __init__(self, source: Source, labels: Sequence[int | str] = (), settings: Settings | None = None,
                 folder: str | Path = "explored"):  # fmt: skip
        super().__init__(source, settings, folder)
        self.boxes = [ClassBox(source.classes, f"class {i + 1}") for i in range(5)]
        for box, label in zip(self.boxes, labels, strict=False):
            box.value = box.names[box.find(str(label))]
        for box in self.boxes:
            box.layout.width, box.style.description_width = "210px", "60px"
            box.observe(lambda _: self.handle(self.update), "value")
        self.arrange(ipywidgets.Box([self.controls("picture"), *self.boxes], layout=ROW_WRAP))

    def panels(self) -> list[Panel]:
        picture = self.current()
        labels = [box.find(box.value) for box in self.boxes if box.value.strip()]
        labels = labels or [c for c, _ in picture.top(5)]
        return [(picture.classes[c], c, picture) for c in labels]


class Pictures(Comparison):
    """One class in all pictures of the source, highest score first (Zhou et al., Figure 3).

    Args:
        source: the network and its pictures; it should keep as many as it has
        label: a class index or name; None: what the first picture shows
        settings: what to show first
        folder: where "save" puts images and settings
    """

    columns = 4
    width = 208

    def __init__(self, source: Source, label: int | str | None = None, settings: Settings | None = None,
                 folder: str | Path = "explored"):  # fmt: skip
        super().__init__(source, settings, folder)
        controls = self.controls("label")
        if label is not None:
            self.settings = replace(self.settings, label=self.control["label"].find(str(label)))
        self.arrange(controls)

    def panels(self) -> list[Panel]:
        c = self.current().class_index(self.settings)
        pictures = [self.source.forward(name) for name in self.source.pictures]
        pictures.sort(key=lambda picture: -picture.cams.logits[0, c].item())
        return [(picture.name, c, picture) for picture in pictures]

    def draw(self) -> tuple[Image.Image, str]:
        image, text = super().draw()
        name = self.source.classes[self.current().class_index(self.settings)]
        return image, f"{name} in {len(self.source.pictures)} pictures, highest score first:\n{text}"


class Networks(Comparison):
    """The same class by several networks.

    Args:
        sources: {name: Source}, with the same pictures and class names
        settings: what to show first
        folder: where "save" puts images and settings
    """

    def __init__(
        self, sources: Mapping[str, Source], settings: Settings | None = None, folder: str | Path = "explored"
    ):
        self.sources = dict(sources)
        super().__init__(next(iter(self.sources.values())), settings, folder)
        self.arrange(self.controls("picture", "label"))

    def panels(self) -> list[Panel]:
        name = self.source.classes[self.current().class_index(self.settings)]
        panels = []
        for network, source in self.sources.items():
            if name not in source.classes:
                raise ValueError(f"{network} has no class called {name!r}")
            panels.append((f"{network}: {name}", source.classes.index(name), source.forward(self.settings.picture)))
        return panels
