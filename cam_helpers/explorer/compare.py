"""Side by side: several classes in one picture, one class in several pictures, several networks on one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import ipywidgets as widgets

from .desk import App
from .parts import ClassBox
from .render import describe, draw, montage, percent, png
from .scene import Scene, Source
from .state import View

__all__ = ["Classes", "Networks", "Pictures"]


class Comparison(App):
    """Panels (caption, view, scene), made by a subclass; with scale "shared" all have one scale."""

    columns = 3
    width = 280  # pixels of a panel: three lie beside each other in a notebook, and their words can be read

    def lay(self, *controls: widgets.Widget) -> None:
        look = [self.choices("style", "colours", "scale", "rule"), self.numbers("threshold", "opacity")]
        self.children = [*controls, *look, self.message, self.image, self.text, self.saver()]
        self.update.now()

    def panels(self) -> list[tuple[str, View, Scene]]:
        raise NotImplementedError

    def draw(self) -> tuple[bytes, str]:
        panels = [(caption, view, scene.shrunk(self.width)) for caption, view, scene in self.panels()]
        limit, said = None, "Each on a colour scale of its own."
        if self.view.scale == "shared":
            maps = [scene.map(view) for _, view, scene in panels]
            limit = max((m.abs() if self.view.style == "signed" else m).max().item() for m in maps)
            said = "One colour scale for all."
        images, lines = [], []
        for caption, view, scene in panels:
            images.append(draw(view, scene, limit))
            lines.append(describe(view, scene, caption))
        return png(montage(images, [caption for caption, _, _ in panels], self.columns)), "\n".join([*lines, said])


def _caption(scene: Scene, c: int, first: str = "") -> str:
    return f"{first or scene.classes[c]}, {percent(scene.probabilities[c])}"


class Classes(Comparison):
    """Up to five classes in one picture (lecture 14:20); labels: indices or names, none: the five likeliest."""

    def __init__(self, source: Source, labels: Sequence[int | str] = (), view: View | None = None,
                 folder: str | Path = "explored"):  # fmt: skip
        super().__init__(source, view, folder)
        self.boxes = [ClassBox(source.classes, f"class {i + 1}") for i in range(5)]
        for box, label in zip(self.boxes, labels, strict=False):
            box.value = box.names[box.find(str(label))]
        for box in self.boxes:
            box.layout.width, box.style.description_width = "210px", "60px"
            box.observe(lambda _: self.act(self.update), "value")
        picture = self.choice("picture", list(source.pictures))
        self.lay(widgets.Box([picture, *self.boxes], layout={"flex_flow": "row wrap"}))

    def panels(self):
        scene = self.scene()
        labels = [box.find(box.value) for box in self.boxes if box.value.strip()]
        labels = labels or [i for i, _ in scene.top(5)]
        return [(_caption(scene, c), self.view.but(label=c), scene) for c in labels]


class Pictures(Comparison):
    """One class in all pictures of the source, highest score first (Zhou et al., Figure 3). label: an index, a name, or
    None for what the first picture shows. The source should keep as many pictures as it has."""

    columns = 4
    width = 208

    def __init__(self, source: Source, label: int | str | None = None, view: View | None = None,
                 folder: str | Path = "explored"):  # fmt: skip
        super().__init__(source, view, folder)
        box = self.class_box()
        self.view = self.view.but(label=None if label is None else box.find(str(label)))
        self.lay(box)

    def panels(self):
        c = self.scene().label(self.view)
        scenes = sorted(map(self.source.scene, self.source.pictures), key=lambda scene: -scene.cams.logits[0, c].item())
        return [(_caption(scene, c, scene.name), self.view.but(label=c), scene) for scene in scenes]

    def draw(self):
        data, text = super().draw()
        word = self.source.classes[self.scene().label(self.view)]
        return data, f"{word} in {len(self.source.pictures)} pictures, highest score first:\n{text}"


class Networks(Comparison):
    """The same class by several networks {name: Source} that share pictures and class names."""

    def __init__(self, sources: Mapping[str, Source], view: View | None = None, folder: str | Path = "explored"):
        self.sources = dict(sources)
        super().__init__(next(iter(self.sources.values())), view, folder)
        self.lay(self.choice("picture", list(self.source.pictures)), self.class_box())

    def panels(self):
        wanted = self.source.classes[self.scene().label(self.view)]
        panels = []
        for name, source in self.sources.items():
            if wanted not in source.classes:
                raise ValueError(f"{name} has no class called {wanted!r}")
            c, scene = source.classes.index(wanted), source.scene(self.view.picture)
            panels.append((f"{name}: {_caption(scene, c)}", self.view.but(label=c), scene))
        return panels
