"""The explorer: any class in any picture, seen in any way."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import ipywidgets as widgets

from ..images import PictureError
from .desk import App
from .parts import Bars, Gallery
from .render import describe, identity, percent, render
from .scene import Source
from .state import View

__all__ = ["Explorer"]

LARGEST_FILE = 50_000_000  # bytes


class Explorer(App):
    """Picture, class, style, threshold and boxes, for one source or several networks {name: Source} that look at the
    same pictures. view: what to show first. folder: where "save" puts pictures and settings.
    """

    def __init__(
        self, sources: Source | Mapping[str, Source], view: View | None = None, folder: str | Path = "explored"
    ):
        self.sources = {"": sources} if isinstance(sources, Source) else dict(sources)
        name = (view and view.network) or next(iter(self.sources))
        if name not in self.sources:
            raise ValueError(f"there is no network called {name!r}")
        super().__init__(self.sources[name], (view or View()).but(network=name), folder)
        self.gallery = Gallery(self.source, lambda name: self.act(lambda: self.set(picture=name)))
        # `make lab` takes more; Jupyter's own limit closes the connection before anything here could say so
        words = "upload a picture of up to 7 MB"
        self.upload = widgets.FileUpload(accept="image/*", description=words, layout={"width": "auto"})
        self.upload.observe(lambda change: change["new"] and self.act(self._take, change["new"][0]), "value")
        self.upload.observe(lambda _: self.message.say("the browser could not read that file", error=True), "error")
        self.path = widgets.Text(description="or any path", placeholder="photos/dog.jpg", continuous_update=False)
        self.path.observe(lambda change: change["new"] and self.act(self._open, change["new"]), "value")
        self.network = self.choice("network", list(self.sources))
        self.bars = Bars(lambda i: self.act(lambda: self.set(label=self.scene().top()[i][0], unit=None)))
        self.search, self.follow = self.class_box(), self.follower()
        heading = [widgets.HTML(f"<b>{text}</b>") for text in ("Picture", "Class", "View")]
        networks = [self.network] if len(self.sources) > 1 else []
        asked = [heading[0], self.gallery, self.upload, self.path, *networks]
        asked += [heading[1], self.bars, self.search, self.follow, heading[2]]
        look = self.choices("style", "colours", "scale", "rule", "weights")
        self.lay(*asked, look, under=[self.numbers("threshold", "opacity")])

    def set(self, **changes) -> None:
        new = changes.get("network", self.view.network)
        if new != self.view.network and self.view.label is not None:  # another network numbers its classes otherwise
            name, names = self.source.classes[self.view.label], self.sources[new].classes
            changes.setdefault("label", names.index(name) if name in names else None)
            changes.setdefault("off", ())
        super().set(**changes)

    def sync(self) -> None:
        self.source = self.sources[self.view.network]
        self.search.know(self.source.classes)
        super().sync()

    def draw(self) -> tuple[bytes, str]:
        self.source = self.sources[self.view.network]
        view, scene = self.view, self.scene()
        data = render(view, scene)
        c = scene.label(view)
        words = [f"Probability {percent(scene.probabilities[c])}."] if view.unit is None else []
        if view.off or view.weights != "as trained":
            words.append(identity(view, scene))
        self.gallery.show(view.picture)
        top = scene.top()
        self.bars.show([f"{scene.classes[i]}  {percent(p)}" for i, p in top], [p for _, p in top])
        return data, " ".join([describe(view, scene), *words])

    def _open(self, path: str) -> None:
        place = Path(path.strip()).expanduser()
        self._show(place.stem, place)

    def _take(self, file: Mapping) -> None:
        self.upload.value = ()  # gives the memory back, and lets the same file be chosen again
        if file["size"] > LARGEST_FILE:
            size, most = (f"{n / 1e6:.0f} MB" for n in (file["size"], LARGEST_FILE))
            raise PictureError(f"{file['name']} has {size}, the limit is {most}: make it smaller")
        data = io.BytesIO(file["content"])
        data.name = file["name"]
        self._show(Path(file["name"]).stem, data)

    def _show(self, name: str, picture) -> None:
        name = self.source.add(name, picture)
        for other in self.sources.values():
            other.pictures.setdefault(name, self.source.pictures[name])
        self.set(picture=name)
