"""Widgets for one picture: explore it, ask why a class has its score, read what a scene network says about it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ipywidgets
import torch
from PIL import Image

from cam_helpers.images import PictureError

from .base import ROW, ExplorerWidget
from .render import describe, draw, identity, percent, point
from .settings import Settings
from .source import ForwardedPicture, Source
from .widgets import Buttons

__all__ = ["Explorer", "Why", "read_out"]

LARGEST_FILE = 50_000_000  # bytes
LISTED_UNITS = 10
LISTED_ROWS = 5  # scenes, and attributes, at most


class Explorer(ExplorerWidget):
    """A picture in colour beside its map.

    Args:
        source, settings: see `ExplorerWidget`
        ask: what is on screen: settings ("picture", "label", "against", "cell", "threshold", …), and "upload"
        say: a picture -> what else to say about it
    """

    rest = ("picture", "label", *ExplorerWidget.rest)

    def __init__(self, source: Source, settings: Settings | None = None, ask: Sequence[str] = ("picture", "label"),
                 say: Callable[[ForwardedPicture], str] | None = None):  # fmt: skip
        super().__init__(source, settings, ask)
        self.say = say
        self.arrange()

    def draw(self) -> tuple[Image.Image, str]:
        settings, picture = self.settings, self.current()
        text = describe(settings, picture) if settings.cell is None else point(settings, picture)
        if settings.off or settings.weights != "as trained":
            text += f" {identity(settings, picture)}"
        if self.say is not None:
            text += f"\n{self.say(picture)}"
        return draw(settings, picture), text

    def _control(self, name: str) -> ipywidgets.Widget:
        if name != "upload":
            return super()._control(name)
        # `make lab` takes more; Jupyter's own limit closes the connection before anything here could say so
        self.upload = ipywidgets.FileUpload(
            accept="image/*", description="upload a picture of up to 7 MB", layout={"width": "auto"}
        )
        self.upload.observe(lambda change: None if self._syncing else self.handle(self._uploaded, change), "value")
        self.upload.observe(lambda _: self.message.say("the browser could not read that file", error=True), "error")
        return self.upload

    def _uploaded(self, change: Mapping) -> None:
        """Take in the file, and keep its name only: the memory is free, and the button counts all that were taken."""
        self._syncing, self.upload.value = True, change["old"]
        self._syncing = False
        file = change["new"][0]
        self._upload(file)
        self._syncing, self.upload.value = True, (*change["old"], {**file, "content": memoryview(b"")})
        self._syncing = False

    def _upload(self, file: Mapping) -> None:
        if file["size"] > LARGEST_FILE:
            size, limit = (f"{n / 1e6:.0f} MB" for n in (file["size"], LARGEST_FILE))
            raise PictureError(f"{file['name']} has {size}, the limit is {limit}: make it smaller")
        data = io.BytesIO(file["content"])
        data.name = file["name"]
        self._show_new(Path(file["name"]).stem, data)

    def _show_new(self, name: str, picture) -> None:
        """A new picture is shown with what the network says about it: the class of the last one may not be in it."""
        name = self.source.add(name, picture)
        self.set(picture=name, label=None, against=None, unit=None, off=())


class Why(ExplorerWidget):
    """The ten units whose w_k^c·F^k (lecture 12:10) weighs most in the class's score, for or against it.

    A click on a unit shows what it alone adds; a tick switches it off, and score, first words and map change, on the
    scale that the map had. With the softmax or the positive part of the weights the text says, in numbers, whether the
    map still adds up to the score. Arguments: see `ExplorerWidget`.
    """

    ask = ("weights",)
    rest = ("picture", "label", "style", "scale", "threshold", "opacity")

    def __init__(self, source: Source, settings: Settings | None = None):
        super().__init__(source, settings)
        self.units: list[int] = []
        self.bars = Buttons(lambda i: self.handle(lambda: self.set(unit=self.units[i])), width="190px")
        self.ticks = [self._tick(i) for i in range(LISTED_UNITS)]
        show_class = self.button("show the class's map", lambda: self.set(unit=None))
        switch_on = self.button("switch all units on", lambda: self.set(off=()))
        self.arrange(show_class, switch_on, self.bars, ipywidgets.Box(self.ticks, layout=ROW))

    def _tick(self, i: int) -> ipywidgets.Checkbox:
        def switch(off: bool) -> None:
            others = set(self.settings.off) - {self.units[i]}
            self.set(off=tuple(others | {self.units[i]} if off else others))

        box = ipywidgets.Checkbox(description="off", indent=False, layout={"width": "auto", "flex": "1 1 90px"})
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
            box.description = "–" if box.disabled else f"{self.units[i]} off"
        sentences = [describe(settings, picture), identity(settings, picture, self.units)]
        if settings.unit is not None:
            score = picture.focus(settings).logits.item()
            sentences[0] = (
                f"Unit {settings.unit} adds {shares[settings.unit]:+.2f} to the score {score:.2f} of "
                f"{picture.shown(settings)}; its map shows where."
            )
        return draw(settings, picture), "\n".join(sentences)


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
