"""What a picture of the explorer shows, as one small immutable object."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHOICES", "Settings"]

CHOICES = {
    "style": ("heat", "signed", "contour", "dim", "grid", "map"),
    "colours": ("inferno", "magma", "viridis", "cividis"),  # perceptually uniform ones only
    "scale": ("own", "shared"),
    "rule": ("largest", "all"),
    "weights": ("as trained", "softmax", "positive"),
}


@dataclass(frozen=True)
class Settings:
    """What is shown of which picture, and how; a widget saves it beside the picture, as JSON.

    Args:
        picture: its name; "" is the first one
        label: a class index; None follows the prediction
        style: "heat" over the grey picture, "signed" heat, "contour" at the threshold, "dim" (everything below the
            threshold darkened, lecture 19:43), the "grid" of cells at mapping resolution, or the "map" alone
        opacity: of the heat, the contour or the darkness, 0 to 1
        colours: a colour map, for "heat", "grid" and "map"
        scale: each class on its "own", or one "shared" by all classes
        threshold: a fraction of the map's maximum, 0 to 1
        rule: which regions get a box, as in `boxes_from_maps`
        weights: of the last layer: "as trained", their "softmax" over the units, or their "positive" part
        off: the units that are switched off
        unit: show this unit's features instead of the class's map

    Raises:
        ValueError: a field has a value that it cannot have
    """

    picture: str = ""
    label: int | None = None
    style: str = "heat"
    opacity: float = 0.75
    colours: str = "inferno"
    scale: str = "own"
    threshold: float = 0.2
    rule: str = "largest"
    weights: str = "as trained"
    off: tuple[int, ...] = ()
    unit: int | None = None

    def __post_init__(self):
        for name, options in CHOICES.items():
            if getattr(self, name) not in options:
                raise ValueError(f"expected {name} to be one of {', '.join(options)}, got {getattr(self, name)!r}")
        for name in ("opacity", "threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"expected {name} from 0 to 1, got {getattr(self, name)}")
        for index in (self.label, self.unit, *self.off):
            if index is not None and (not isinstance(index, int) or index < 0):
                raise ValueError(f"expected label, unit and off to be whole numbers from 0 on, got {index!r}")
        object.__setattr__(self, "off", tuple(sorted(set(self.off))))
