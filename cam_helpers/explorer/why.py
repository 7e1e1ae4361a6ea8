"""Why this score: the units that add most to it, one by one, with some of them switched off, or with other weights."""

from __future__ import annotations

from pathlib import Path

import ipywidgets as widgets

from .desk import App
from .parts import Bars
from .render import describe, identity, render
from .scene import Source
from .state import View

__all__ = ["Why"]


class Why(App):
    """The `count` units whose w_k^c·F^k (lecture 12:10) weighs most in the class's score, for or against it.

    A click on a unit shows where it fires; a tick switches it off, and score and map change. With the softmax or the
    positive part of the weights the text says, in numbers, whether the map still adds up to the score.
    """

    def __init__(self, source: Source, view: View | None = None, folder: str | Path = "explored", count: int = 10):
        super().__init__(source, view, folder)
        self.count, self.units = count, []
        self.bars = Bars(lambda i: self.act(lambda: self.set(unit=self.units[i])), signed=True)
        self.ticks = [self._tick(i) for i in range(count)]
        rows = widgets.HBox([widgets.VBox([self.bars], layout={"width": "260px"}), widgets.VBox(self.ticks)])
        back = self.button("show the class's map", lambda: self.set(unit=None))
        fresh = self.button("switch all units on", lambda: self.set(off=()))
        asked = [self.choice("picture", list(source.pictures)), self.class_box()]
        asked += [self.choices("weights", "style", "colours"), rows, widgets.HBox([back, fresh])]
        self.lay(*asked, under=[self.numbers("threshold", "opacity")])

    def _tick(self, i: int) -> widgets.Checkbox:
        def put(off: bool) -> None:
            others = set(self.view.off) - {self.units[i]}
            self.set(off=tuple(others | {self.units[i]} if off else others))

        look = {"width": "130px", "height": "28px", "margin": "2px"}  # as high as a bar
        box = widgets.Checkbox(description="off", indent=False, layout=look)
        return self.bind(box, lambda view: i < len(self.units) and self.units[i] in view.off, put)

    def draw(self) -> tuple[bytes, str]:
        view, scene = self.view, self.scene()
        data, text = render(view, scene), f"{describe(view, scene)}\n{identity(view, scene)}"
        shares = scene.shares(view)
        strongest = shares.abs().topk(min(self.count, len(shares))).indices.tolist()
        self.units = sorted(strongest, key=lambda k: -shares[k])
        values = [shares[k].item() for k in self.units]
        most = max(map(abs, values)) or 1.0
        self.bars.show(
            [f"unit {k}: {v:+.3f}" for k, v in zip(self.units, values, strict=True)], [v / most for v in values]
        )
        for i, box in enumerate(self.ticks):
            box.description = f"unit {self.units[i]} off" if i < len(self.units) else "–"
            box.disabled = i >= len(self.units)
        rest = shares.sum().item() - sum(values)
        return data, f"{text}\nThe {len(values)} units listed add {sum(values):+.2f}, all others {rest:+.2f}."
