"""What a scene network says about a picture, in the style of the Places demo: indoor or outdoor, the likeliest scenes,
their attributes, and the region that informs the top one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .desk import App
from .render import describe, percent, render
from .scene import Scene, Source
from .state import View

__all__ = ["Reader", "read_out"]


@dataclass(frozen=True)
class ReadOut:
    """indoor: the probability of all indoor scenes. scenes, attributes: (name, probability), likeliest first."""

    indoor: float
    scenes: list[tuple[str, float]]
    attributes: list[tuple[str, float]]

    def __str__(self) -> str:
        kind, part = ("indoor", self.indoor) if self.indoor >= 0.5 else ("outdoor", 1 - self.indoor)
        lists = (self.scenes, self.attributes)
        scenes, attributes = (", ".join(f"{n.replace('_', ' ')} ({percent(p)})" for n, p in rows) for rows in lists)
        return f"Type: {kind} ({percent(part)}).\nScenes: {scenes}.\nAttributes: {attributes or 'none'}."


def read_out(
    scene: Scene, indoor: Sequence[bool], probe=None, attributes: Sequence[str] = (), count: int = 5
) -> ReadOut:
    """indoor: for each class, whether it is an indoor scene. probe: a fitted scikit-learn classifier of several labels
    (one yes or no per attribute) on the pooled features. Raises ValueError when indoor has not one answer per class."""
    if len(indoor) != len(scene.classes):
        raise ValueError(f"indoor says yes or no for each of {len(scene.classes)} classes, got {len(indoor)}")
    inside = scene.probabilities[torch.as_tensor(indoor, dtype=torch.bool)].sum().item()
    likely = [row for row in scene.top(count) if row[1] >= 0.01] or scene.top(1)
    found = []
    if probe is not None:
        p = probe.predict_proba(scene.cams.features.float().mean((2, 3)).numpy())[0].tolist()
        found = sorted(zip(attributes, p, strict=True), key=lambda row: -row[1])[:count]
    return ReadOut(inside, [(scene.classes[i], p) for i, p in likely], [row for row in found if row[1] >= 0.5])


class Reader(App):
    """`read_out` as a widget, with the region that informs the top scene left bright."""

    def __init__(
        self, source: Source, indoor: Sequence[bool], probe=None, attributes=(), folder: str | Path = "explored"
    ):
        super().__init__(source, View(style="dim", threshold=0.4), folder)
        self.asked = indoor, probe, attributes
        self.lay(self.choice("picture", list(source.pictures)), self.choice("style"), under=[self.numbers("threshold")])

    def draw(self) -> tuple[bytes, str]:
        view, scene = self.view, self.scene()
        return render(view, scene), f"{read_out(scene, *self.asked)}\nInformative region of {describe(view, scene)}"
