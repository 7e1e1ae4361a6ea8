"""Side by side: several classes in one picture, one class in several pictures, several networks on one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import ipywidgets as widgets

from .parts import App, ClassBox
from .render import describe, draw, montage, png
from .scene import Scene, Source
from .state import View

__all__ = ["compare_classes", "compare_networks", "compare_pictures"]


class Comparison(App):
    """A row of panels (caption, view, scene), made by a subclass; with scale "shared" all have one scale."""

    columns = 5
    fields = ("style", "colours", "scale", "rule")

    def __init__(self, view: View, controls: Sequence[widgets.Widget], folder: str | Path):
        super().__init__(view, folder)
        look = widgets.Box([self.choice(name) for name in self.fields], layout={"flex_flow": "row wrap"})
        parts = [*controls, look, self.numbers("opacity", "threshold")]
        self.children = [*parts, self.message, self.image, self.text, self.saver()]

    def panels(self) -> list[tuple[str, View, Scene]]:
        raise NotImplementedError

    def draw(self) -> tuple[bytes, str]:
        panels = self.panels()
        limit = None
        if self.view.scale == "shared":
            maps = [scene.map(view) for _, view, scene in panels]
            limit = max((m.abs() if self.view.style == "signed" else m).max().item() for m in maps)
        scale = "One colour scale for all." if limit is not None else "Each on a colour scale of its own."
        sheet = montage([draw(v, s, limit) for _, v, s in panels], [caption for caption, _, _ in panels], self.columns)
        return png(sheet), " ".join([*(describe(view, scene) for _, view, scene in panels), scale])


def _caption(scene: Scene, c: int, first: str = "") -> str:
    return f"{first or scene.classes[c]}  {100 * scene.probabilities[c]:.0f} %"


class Classes(Comparison):
    def __init__(self, source: Source, labels: Sequence[int | str], picture: str, view: View, folder):
        self.source = source
        self.boxes = [ClassBox(source.classes, f"class {i + 1}") for i in range(5)]
        for box, label in zip(self.boxes, labels, strict=False):
            box.value = box.names[box.find(str(label))]
        super().__init__(view.but(picture=picture or next(iter(source.pictures), "")), [], folder)
        for box in self.boxes:
            box.observe(lambda _: self.act(self.update), "value")
        self.children = [self.choice("picture", list(source.pictures)), *self.boxes, *self.children]
        self.update.now()

    def panels(self):
        scene = self.source.scene(self.view.picture)
        labels = [box.find(box.value) for box in self.boxes if box.value.strip()]
        labels = labels or [i for i, _ in scene.top(5)]
        return [(_caption(scene, c), self.view.but(label=c), scene) for c in labels]


class Pictures(Comparison):
    def __init__(self, source: Source, label: int | str | None, view: View, folder):
        self.source = source
        super().__init__(view, [], folder)
        self.view = view.but(label=None if label is None else ClassBox(source.classes).find(str(label)))
        self.children = [self.class_box(lambda: source), *self.children]
        self.update.now()

    def panels(self):
        scenes = list(map(self.source.scene, self.source.pictures))
        c = scenes[0].label(self.view)
        scenes.sort(key=lambda scene: -scene.cams.logits[0, c].item())
        return [(_caption(scene, c, scene.name), self.view.but(label=c), scene) for scene in scenes]


class Networks(Comparison):
    def __init__(self, sources: Mapping[str, Source], picture: str, view: View, folder):
        self.sources, first = dict(sources), next(iter(sources.values()))
        super().__init__(view.but(picture=picture or next(iter(first.pictures), "")), [], folder)
        self.children = [self.choice("picture", list(first.pictures)), self.class_box(lambda: first), *self.children]
        self.update.now()

    def panels(self):
        scenes = {name: source.scene(self.view.picture) for name, source in self.sources.items()}
        first = next(iter(scenes.values()))
        wanted = first.classes[first.label(self.view)]
        panels = []
        for name, scene in scenes.items():
            if wanted not in scene.classes:
                raise ValueError(f"{name} has no class called {wanted!r}")
            c = scene.classes.index(wanted)
            panels.append((f"{name}: {_caption(scene, c)}", self.view.but(label=c), scene))
        return panels


def compare_classes(source: Source, labels=(), picture="", view: View | None = None, folder="explored") -> App:
    """Two to five classes in one picture (lecture 14:20); labels: indices or names, none: the five likeliest."""
    return Classes(source, labels, picture, view or View(), folder)


def compare_pictures(source: Source, label=None, view: View | None = None, folder="explored") -> App:
    """One class in all pictures of the source, highest score first (Zhou et al., Figure 3). label: an index, a name,
    or None for what the first picture shows. The source should keep as many pictures as it has."""
    return Pictures(source, label, view or View(), folder)


def compare_networks(sources: Mapping[str, Source], picture="", view: View | None = None, folder="explored") -> App:
    """The same class by several networks {name: Source} that share pictures and class names."""
    return Networks(sources, picture, view or View(), folder)
