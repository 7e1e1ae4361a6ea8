"""What a picture of the explorer shows, as one small immutable object."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHOICES", "Settings"]

CHOICES = {
    "style": ("heat", "signed", "dim", "grid", "map"),
    "scale": ("own", "shared"),
    "rule": ("largest", "all"),
    "weights": ("as trained", "softmax", "positive"),
}


@dataclass(frozen=True)
class Settings:
    """What is shown of which picture, and how.

    Args:
        picture: its name; "" is the first one
        label: a class index; None follows the prediction
        against: another class, whose map is subtracted: why `label` and not this one?
        style: "heat" over the picture, "signed" heat, "dim" (everything below the threshold darkened, lecture 19:43),
            the "grid" of cells at mapping resolution, or the "map" alone
        opacity: of the heat or the darkness, 0 to 1
        scale: each class on its "own", or that of the picture's first word, "shared" by all classes
        threshold: a fraction of the map's maximum, 0 to 1
        rule: which regions get a box, as in `boxes_from_maps`
        weights: of the last layer: "as trained", their "softmax" over the units, or their "positive" part
        off: the units that are switched off
        unit: show only what this unit adds to the class's map
        cell: (row, column) of a cell that is pointed at, both from 0 on

    Raises:
        ValueError: a field has a value that it cannot have
    """

    picture: str = ""
    label: int | None = None
    against: int | None = None
    style: str = "heat"
    opacity: float = 0.75
    scale: str = "own"
    threshold: float = 0.2
    rule: str = "largest"
    weights: str = "as trained"
    off: tuple[int, ...] = ()
    unit: int | None = None
    cell: tuple[int, int] | None = None

    def __post_init__(self):
        for name, options in CHOICES.items():
            if getattr(self, name) not in options:
                raise ValueError(f"expected {name} to be one of {', '.join(options)}, got {getattr(self, name)!r}")
        for name in ("opacity", "threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"expected {name} from 0 to 1, got {getattr(self, name)}")
        for index in (self.label, self.against, self.unit, *self.off, *(self.cell or ())):
            if index is not None and (not isinstance(index, int) or index < 0):
                raise ValueError(f"expected whole numbers from 0 on for classes, units and cells, got {index!r}")
        object.__setattr__(self, "off", tuple(sorted(set(self.off))))
        object.__setattr__(self, "cell", self.cell and tuple(self.cell))
