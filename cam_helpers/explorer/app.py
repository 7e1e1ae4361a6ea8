"""The explorer: any class in any picture, seen in any way."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import ipywidgets as widgets
from torch import nn

from ..images import PictureError
from ..maps import CamModel, NotCamCompatible
from .parts import WIDE, App, Bars, Gallery, Line, log
from .render import describe, identity, render
from .scene import Source
from .state import View

__all__ = ["Explorer", "explore"]

LARGEST_FILE = 50_000_000  # bytes


def explore(model: nn.Module | CamModel, classes: Sequence[str], pictures, transform=None, side: int | None = None,
            truth=None, view: View | None = None, folder: str | Path = "explored") -> widgets.Widget:  # fmt: skip
    """A widget to look at class activation maps with: picture, class, style, threshold and boxes.

    model … truth as in `Source`. view: what to show first. folder: where "save" puts pictures and settings. A network
    without exact maps gives a widget that says why.
    """
    try:
        return Explorer(Source(model, classes, pictures, transform, side, truth), view, folder)
    except NotCamCompatible as error:
        log.info("%s", error)
        line = Line()
        line.say(str(error), error=True)
        return line


class Explorer(App):
    """`explore` for one source, or for several networks {name: Source} that look at the same pictures."""

    def __init__(
        self, sources: Source | Mapping[str, Source], view: View | None = None, folder: str | Path = "explored"
    ):
        self.sources = {"": sources} if isinstance(sources, Source) else dict(sources)
        first = next(iter(self.sources))
        source = self.sources[first]
        super().__init__(view or View(), folder)
        self.view = self.view.but(
            picture=self.view.picture or next(iter(source.pictures), ""), network=self.view.network or first
        )
        if self.view.network not in self.sources:
            raise ValueError(f"there is no network called {self.view.network!r}")
        self._good = self.view
        self.gallery = Gallery(source, lambda name: self.act(lambda: self.set(picture=name)))
        self.upload = widgets.FileUpload(accept="image/*", description="upload a picture")
        self.upload.layout.width = "auto"
        self.upload.observe(lambda change: change["new"] and self.act(self._take, change["new"][0]), "value")
        self.upload.observe(lambda _: self.message.say("the browser could not read that file", error=True), "error")
        self.path = widgets.Text(description="or a path", placeholder="photos/dog.jpg", continuous_update=False)
        self.path.observe(lambda change: change["new"] and self.act(self._open, change["new"]), "value")
        self.network = self.choice("network", list(self.sources))
        self.bars = Bars(lambda i: self.act(lambda: self.set(label=self.scene().top()[i][0], unit=None)))
        self.search = self.class_box(lambda: self.source)
        self.follow = self.bind(
            widgets.Checkbox(description="follow the prediction", indent=False),
            lambda view: view.label is None,
            lambda on: self.set(label=None if on else self.scene().label(self.view)),
        )
        look = [self.choice(name) for name in ("style", "colours", "scale", "rule", "weights")]
        heading = [widgets.HTML(f"<b>{text}</b>") for text in ("Picture", "Predictions", "View")]
        networks = [self.network] if len(self.sources) > 1 else []
        asked = [heading[0], self.gallery, self.upload, self.path, *networks]
        asked += [heading[1], self.bars, self.search, self.follow, heading[2], *look]
        left = widgets.VBox([*asked, self.numbers("opacity", "threshold"), self.saver()], layout={"width": "440px"})
        right = widgets.VBox([self.message, self.image, self.text], layout={"flex": "1 1 320px", "min_width": "280px"})
        self.children = [widgets.Box([left, right], layout=widgets.Layout(display="flex", flex_flow="row wrap"))]
        self.text.layout = WIDE
        self._update()

    @property
    def source(self) -> Source:
        return self.sources[self.view.network]

    def scene(self):
        return self.source.scene(self.view.picture)

    def set(self, **changes) -> None:
        new = changes.get("network", self.view.network)
        if new != self.view.network and self.view.label is not None:  # another network numbers its classes otherwise
            name, names = self.source.classes[self.view.label], self.sources[new].classes
            changes.setdefault("label", names.index(name) if name in names else None)
            changes.setdefault("off", ())
        super().set(**changes)

    def sync(self) -> None:
        self.search.know(self.source.classes)
        super().sync()

    def draw(self) -> tuple[bytes, str]:
        view, scene = self.view, self.scene()
        data = render(view, scene)
        c = scene.label(view)
        words = [f"Probability {100 * scene.probabilities[c]:.2g} %."] if view.unit is None else []
        if view.off or view.weights != "as trained":
            words.append(identity(view, scene))
        self.gallery.show(view.picture)
        top = scene.top()
        self.bars.show([f"{scene.classes[i]}  {100 * p:.0f} %" for i, p in top], [p for _, p in top])
        return data, " ".join([describe(view, scene), *words]).strip()

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
