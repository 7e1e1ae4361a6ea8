"""What a picture of the explorer shows, as one small immutable object that can be saved and made again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace

__all__ = ["CHOICES", "View"]

CHOICES = {
    "style": ("heat", "signed", "contour", "dim", "grid", "map"),
    "colours": ("inferno", "magma", "viridis", "cividis"),  # perceptually uniform ones only
    "scale": ("own", "shared"),
    "rule": ("largest", "all"),
    "weights": ("as trained", "softmax", "positive"),
}


@dataclass(frozen=True)
class View:
    """picture, network: their names ("": the first). label: a class index, None follows the prediction.

    style: "heat" over the grey picture, "signed" heat, "contour" at the threshold, "dim" (everything below the
    threshold darkened, lecture 19:43), the raw "grid" of the mapping resolution, the "map" alone. opacity, threshold:
    0–1, the latter a part of the map's maximum. scale: each class its "own", or one "shared" by all classes of the
    network. rule: as in `boxes_from_maps`. weights: "as trained", their "softmax" over the units, or their "positive"
    part. off: units switched off. unit: show this unit's features instead of the class's map.

    Raises ValueError, naming the field, for a value that it cannot have.
    """

    picture: str = ""
    network: str = ""
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
            _check(name, getattr(self, name) in options, f"one of {', '.join(options)}", getattr(self, name))
        for name in ("picture", "network"):
            _check(name, isinstance(getattr(self, name), str), "a name", getattr(self, name))
        for name in ("opacity", "threshold"):
            value = getattr(self, name)
            _check(name, type(value) in (int, float) and 0 <= value <= 1, "a number from 0 to 1", value)
        for name in ("label", "unit"):
            value = getattr(self, name)
            _check(name, value is None or _is_index(value), "a whole number from 0 on, or null", value)
        good = isinstance(self.off, (list, tuple)) and all(map(_is_index, self.off))
        _check("off", good, "a list of units, whole numbers from 0 on", self.off)
        object.__setattr__(self, "off", tuple(sorted(set(self.off))))

    def but(self, **changes) -> View:
        """The same view with other values in some fields."""
        return replace(self, **changes)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> View:
        """Fields that are not there have their default. Raises ValueError for what is no View."""
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ValueError(f"these settings are not JSON ({error})") from None
        if not isinstance(values, dict):
            raise ValueError(f"settings are one JSON object, got {type(values).__name__}")
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"settings have no {', '.join(unknown)}: they are {', '.join(known)}")
        return cls(**values)


def _is_index(value) -> bool:
    return type(value) is int and value >= 0


def _check(name: str, good: bool, wanted: str, got) -> None:
    if not good:
        raise ValueError(f"{name} is {wanted}, got {got!r}")
