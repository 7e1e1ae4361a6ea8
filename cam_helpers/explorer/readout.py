"""What a scene network says about a picture, in the style of the Places demo: indoor or outdoor, the likeliest scenes,
their attributes, and the region that informs the top one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .desk import App
from .render import describe, percent, render
from .scene import Scene, Source
from .state import View

__all__ = ["Probe", "Reader", "fit_probe", "read_out"]


@dataclass(frozen=True, eq=False)
class Probe:
    """One linear yes-or-no per attribute on the pooled features: weight (A,K), bias (A,)."""

    names: Sequence[str]
    weight: Tensor
    bias: Tensor

    def probabilities(self, features: Tensor) -> Tensor:
        """features (N,K,h,w) -> (N,A)."""
        return torch.sigmoid(features.float().mean((2, 3)) @ self.weight.T + self.bias)


def fit_probe(features: Tensor, attributes: Tensor, names: Sequence[str]) -> Probe:
    """Logistic regression for each attribute on features frozen and averaged over the picture.

    features (N,K,h,w) or (N,K), attributes (N,A) of 0 and 1. An attribute that all pictures have, or none, is predicted
    always, or never. Raises ValueError when the shapes do not fit.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    pooled = (features.float().mean((2, 3)) if features.ndim == 4 else features.float()).numpy()
    if attributes.shape != (len(pooled), len(names)):
        raise ValueError(f"attributes are (N,A) = {(len(pooled), len(names))}, got {tuple(attributes.shape)}")
    scaler = StandardScaler().fit(pooled)
    scaled, rows, biases = scaler.transform(pooled), [], []
    for column in attributes.bool().numpy().T:
        if column.all() or not column.any():
            rows.append(torch.zeros(pooled.shape[1]))
            biases.append(20.0 if column.all() else -20.0)
            continue
        model = LogisticRegression(max_iter=1000).fit(scaled, column)
        row = model.coef_[0] / scaler.scale_  # back to features as they are
        rows.append(torch.from_numpy(row).float())
        biases.append(float(model.intercept_[0] - row @ scaler.mean_))
    return Probe(list(names), torch.stack(rows), torch.tensor(biases))


@dataclass(frozen=True)
class ReadOut:
    """indoor: the probability of all indoor scenes. scenes, attributes: (name, probability), likeliest first."""

    indoor: float
    scenes: list[tuple[str, float]]
    attributes: list[tuple[str, float]]

    def __str__(self) -> str:
        kind, part = ("indoor", self.indoor) if self.indoor >= 0.5 else ("outdoor", 1 - self.indoor)
        scenes, attributes = (
            ", ".join(f"{n.replace('_', ' ')} ({percent(p)})" for n, p in rows)
            for rows in (self.scenes, self.attributes)
        )
        return f"Type: {kind} ({percent(part)}).\nScenes: {scenes}.\nAttributes: {attributes or 'none'}."


def read_out(scene: Scene, indoor: Sequence[bool], probe: Probe | None = None, count: int = 5) -> ReadOut:
    """indoor: for each class, whether it is an indoor scene. Raises ValueError when there is not one for each."""
    if len(indoor) != len(scene.classes):
        raise ValueError(f"indoor says yes or no for each of {len(scene.classes)} classes, got {len(indoor)}")
    inside = scene.probabilities[torch.as_tensor(indoor, dtype=torch.bool)].sum().item()
    attributes = []
    if probe is not None:
        p = probe.probabilities(scene.cams.features)[0]
        best = p.topk(min(count, len(p)))
        attributes = [
            (probe.names[i], v) for i, v in zip(best.indices.tolist(), best.values.tolist(), strict=True) if v >= 0.5
        ]
    likely = [(scene.classes[i], p) for i, p in scene.top(count)]
    return ReadOut(inside, [row for row in likely if row[1] >= 0.01] or likely[:1], attributes)


class Reader(App):
    """The read-out as a widget, with the region that informs the top scene left bright."""

    def __init__(
        self, source: Source, indoor: Sequence[bool], probe: Probe | None = None, folder: str | Path = "explored"
    ):
        super().__init__(source, View(style="dim", threshold=0.4), folder)
        self.indoor, self.probe = indoor, probe
        asked = [self.choice("picture", list(source.pictures)), self.choice("style")]
        self.lay(*asked, under=[self.numbers("threshold")])

    def draw(self) -> tuple[bytes, str]:
        said = read_out(self.scene(), self.indoor, self.probe)
        return render(self.view, self.scene()), f"{said}\nInformative region of {describe(self.view, self.scene())}"
