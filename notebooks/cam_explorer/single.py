"""Widgets for one picture: explore it, ask why a class has its score, read what a scene network says about it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import ipywidgets
import torch
from PIL import Image

from cam_helpers.images import PictureError

from .base import ExplorerWidget
from .render import describe, draw, identity, percent
from .settings import Settings
from .source import ForwardedPicture, Source
from .widgets import Bars, Gallery

__all__ = ["Explorer", "Reader", "Why", "read_out"]

LARGEST_FILE = 50_000_000  # bytes
LISTED_UNITS = 10
LISTED_ROWS = 5  # scenes, and attributes, at most


class Explorer(ExplorerWidget):
    """Choose the picture, the class, the style, the threshold and the boxes. Arguments: see `ExplorerWidget`."""

    def __init__(self, source: Source, settings: Settings | None = None, folder: str | Path = "explored"):
        super().__init__(source, settings, folder)
        self.gallery = Gallery(source, lambda name: self.handle(lambda: self.set(picture=name)))
        # `make lab` takes more; Jupyter's own limit closes the connection before anything here could say so
        self.upload = ipywidgets.FileUpload(
            accept="image/*", description="upload a picture of up to 7 MB", layout={"width": "auto"}
        )
        self.upload.observe(lambda change: change["new"] and self.handle(self._uploaded, change["new"][0]), "value")
        self.upload.observe(lambda _: self.message.say("the browser could not read that file", error=True), "error")
        self.path = ipywidgets.Text(description="or any path", placeholder="photos/dog.jpg", continuous_update=False)
        self.path.observe(lambda change: change["new"] and self.handle(self._open, change["new"]), "value")
        self.bars = Bars(lambda i: self.handle(lambda: self.set(label=self.current().top()[i][0], unit=None)))
        self.arrange(
            ipywidgets.HTML("<b>Picture</b>"),
            self.gallery,
            self.upload,
            self.path,
            ipywidgets.HTML("<b>Class</b>"),
            self.bars,
            self.controls("label", "follow"),
            ipywidgets.HTML("<b>View</b>"),
            self.controls("style", "colours", "scale", "rule", "weights"),
            under=[self.controls("threshold", "opacity")],
        )

    def draw(self) -> tuple[Image.Image, str]:
        settings, picture = self.settings, self.current()
        text = describe(settings, picture)
        if settings.unit is None:
            text += f" Probability {percent(picture.probabilities[picture.class_index(settings)])}."
        if settings.off or settings.weights != "as trained":
            text += f" {identity(settings, picture)}"
        self.gallery.show(settings.picture)
        top = picture.top()
        self.bars.show([f"{picture.classes[i]}  {percent(p)}" for i, p in top], [p for _, p in top])
        return draw(settings, picture), text

    def _open(self, path: str) -> None:
        path = Path(path.strip()).expanduser()
        self._show_new(path.stem, path)

    def _uploaded(self, file: Mapping) -> None:
        self.upload.value = ()  # frees the memory, and lets the same file be chosen again
        if file["size"] > LARGEST_FILE:
            size, limit = (f"{n / 1e6:.0f} MB" for n in (file["size"], LARGEST_FILE))
            raise PictureError(f"{file['name']} has {size}, the limit is {limit}: make it smaller")
        data = io.BytesIO(file["content"])
        data.name = file["name"]
        self._show_new(Path(file["name"]).stem, data)

    def _show_new(self, name: str, picture) -> None:
        """A new picture is shown with what the network says about it: the class of the last one may not be in it."""
        self.set(picture=self.source.add(name, picture), label=None, unit=None)


class Why(ExplorerWidget):
    """The ten units whose w_k^c·F^k (lecture 12:10) weighs most in the class's score, for or against it.

    A click on a unit shows where it fires; a tick switches it off, and score and map change. With the softmax or the
    positive part of the weights the text says, in numbers, whether the map still adds up to the score. Arguments: see
    `ExplorerWidget`.
    """

    def __init__(self, source: Source, settings: Settings | None = None, folder: str | Path = "explored"):
        super().__init__(source, settings, folder)
        self.units: list[int] = []
        self.bars = Bars(lambda i: self.handle(lambda: self.set(unit=self.units[i])), signed=True)
        self.ticks = [self._tick(i) for i in range(LISTED_UNITS)]
        bars = ipywidgets.VBox([self.bars], layout={"width": "260px"})
        show_class = self.button("show the class's map", lambda: self.set(unit=None))
        switch_on = self.button("switch all units on", lambda: self.set(off=()))
        self.arrange(
            self.controls("picture", "label", "weights", "style", "colours"),
            ipywidgets.HBox([bars, ipywidgets.VBox(self.ticks)]),
            ipywidgets.HBox([show_class, switch_on]),
            under=[self.controls("threshold", "opacity")],
        )

    def _tick(self, i: int) -> ipywidgets.Checkbox:
        def switch(off: bool) -> None:
            others = set(self.settings.off) - {self.units[i]}
            self.set(off=tuple(others | {self.units[i]} if off else others))

        layout = {"width": "130px", "height": "28px", "margin": "2px"}  # as high as a bar
        box = ipywidgets.Checkbox(description="off", indent=False, layout=layout)
        return self.bind(f"off {i}", box, lambda s: i < len(self.units) and self.units[i] in s.off, switch)

    def draw(self) -> tuple[Image.Image, str]:
        settings, picture = self.settings, self.current()
        shares = picture.shares(settings)
        strongest = shares.abs().topk(min(LISTED_UNITS, len(shares))).indices.tolist()
        self.units = sorted(strongest, key=lambda unit: -shares[unit])
        listed = shares[self.units]
        largest = listed.abs().max().item() or 1.0
        texts = [f"unit {unit}: {share:+.3f}" for unit, share in zip(self.units, listed.tolist(), strict=True)]
        self.bars.show(texts, (listed / largest).tolist())
        for i, box in enumerate(self.ticks):
            box.disabled = i >= len(self.units)
            box.description = "–" if box.disabled else f"unit {self.units[i]} off"
        total = (
            f"The {len(listed)} units listed add {listed.sum():+.2f}, all others {shares.sum() - listed.sum():+.2f}."
        )
        return draw(settings, picture), "\n".join([describe(settings, picture), identity(settings, picture), total])


def read_out(picture: ForwardedPicture, indoor: Sequence[bool], probe, attributes: Sequence[str]) -> str:
    """Three lines: indoor or outdoor, the most probable scenes, and the attributes more probable than not.

    Args:
        picture: after its forward pass through the scene network
        indoor: for each class, whether it is an indoor scene
        probe: a fitted scikit-learn classifier of several labels, one yes or no per attribute, on the pooled features
        attributes: their names

    Raises:
        ValueError: `indoor` has not one answer per class
    """
    if len(indoor) != len(picture.classes):
        raise ValueError(
            f"expected indoor to be yes or no for each of {len(picture.classes)} classes, got {len(indoor)}"
        )
    inside = picture.probabilities[torch.as_tensor(indoor, dtype=torch.bool)].sum().item()
    kind, probability = ("indoor", inside) if inside >= 0.5 else ("outdoor", 1 - inside)

    scenes = [row for row in picture.top(LISTED_ROWS) if row[1] >= 0.01] or picture.top(1)
    scenes = [(picture.classes[i], probability) for i, probability in scenes]

    pooled = picture.cams.features.float().mean((2, 3)).numpy()
    found = zip(attributes, probe.predict_proba(pooled)[0].tolist(), strict=True)
    found = sorted((row for row in found if row[1] >= 0.5), key=lambda row: -row[1])[:LISTED_ROWS]
    return (
        f"Type: {kind} ({percent(probability)}).\nScenes: {_listed(scenes)}.\nAttributes: {_listed(found) or 'none'}."
    )


def _listed(rows: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} ({percent(probability)})" for name, probability in rows)


class Reader(ExplorerWidget):
    """`read_out` as a widget, with the region that informs the first scene left bright.

    Args:
        source: the scene network and its pictures
        indoor, probe, attributes: as in `read_out`
        folder: where "save" puts images and settings
    """

    def __init__(self, source: Source, indoor: Sequence[bool], probe, attributes: Sequence[str],
                 folder: str | Path = "explored"):  # fmt: skip
        super().__init__(source, Settings(style="dim", threshold=0.4), folder)
        self.questions = indoor, probe, attributes
        self.arrange(self.controls("picture", "style"), under=[self.controls("threshold")])

    def draw(self) -> tuple[Image.Image, str]:
        settings, picture = self.settings, self.current()
        text = f"{read_out(picture, *self.questions)}\nInformative region of {describe(settings, picture)}"
        return draw(settings, picture), text
