"""One forward pass per picture: every later change reuses the features it left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from cam_helpers.images import read_picture
from cam_helpers.maps import REDUCE, CamModel, Cams
from cam_helpers.networks import fast_cams

from .settings import Settings

__all__ = ["ForwardedPicture", "Source", "shrunk", "unique"]

CELL = 32  # pixels: the network sees whole cells only, so that the map lies exactly over the picture
LONGEST = 3  # times the shorter side: a picture of one row does not become a strip of millions of columns


@dataclass(frozen=True, eq=False)
class ForwardedPicture:
    """One picture after its forward pass.

    photo: as shown, RGB. cams: of this one picture, on the CPU. truth: (labels (M,), boxes (M,4)), xyxy in pixels of
    `photo`, or None.
    """

    name: str
    photo: Image.Image
    cams: Cams
    classes: Sequence[str]
    truth: tuple[Tensor, Tensor] | None = None

    @cached_property
    def probabilities(self) -> Tensor:
        """(C,), by softmax."""
        return self.cams.logits[0].float().softmax(0)

    def top(self, count: int = 5) -> list[tuple[int, float]]:
        """The most probable classes, (index, probability)."""
        best = self.probabilities.topk(min(count, len(self.probabilities)))
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))

    def class_index(self, settings: Settings) -> int:
        """The class that is shown. Raises ValueError where the network has no such class, unit or cell."""
        (classes, units), cells = self.cams.weight.shape, self.cams.features.shape[2:]
        for label in (settings.label, settings.against):
            if label is not None and label >= classes:
                raise ValueError(f"class {label} does not exist: the network has {classes}, from 0 on")
        unit = max([*settings.off, settings.unit or 0])
        if unit >= units:
            raise ValueError(f"unit {unit} does not exist: the network has {units}, from 0 on")
        if any(at >= n for at, n in zip(settings.cell or (), cells, strict=False)):
            raise ValueError(f"cell {settings.cell} does not exist: the map has {cells[0]} rows, {cells[1]} columns")
        return self.top(1)[0][0] if settings.label is None else settings.label

    def shown(self, settings: Settings) -> str:
        """In words: the class, or one class minus another."""
        against = "" if settings.against is None else f" minus {self.classes[settings.against]}"
        return self.classes[self.class_index(settings)] + against

    def focus(self, settings: Settings) -> Cams:
        """The `Cams` of the shown class alone (C is 1), with its weights changed as the settings say."""
        chosen = [self.class_index(settings)] + [settings.against] * (settings.against is not None)

        def difference(rows: Tensor) -> Tensor:
            return rows[:1] if len(chosen) == 1 else rows[:1] - rows[1:]

        weight = difference(_changed(self.cams.weight[chosen], settings.weights)).clone()
        weight[:, list(settings.off)] = 0  # a unit without weight counts as switched off
        parts = {"bias": self.cams.bias, "local_bias": self.cams.local_bias}
        parts = {name: bias if bias is None else difference(bias[chosen]) for name, bias in parts.items()}
        return replace(self.cams, logits=difference(self.cams.logits[0, chosen])[None], weight=weight, **parts)

    def map(self, settings: Settings) -> Tensor:
        """(h,w) at mapping resolution, signed: the class's map, or what one unit adds to it, w_k^c·f_k."""
        if settings.unit is None:
            return self.focus(settings).maps()[0, 0].nan_to_num(0, 0, 0)
        weight = self.focus(replace(settings, off=())).weight[0, settings.unit]
        return (weight * self.cams.features[0, settings.unit].float()).nan_to_num(0, 0, 0)

    def shares(self, settings: Settings) -> Tensor:
        """w_k^c·F^k: what each unit adds to the score of the shown class, (K,); lecture 12:10."""
        pooled = REDUCE[self.cams.pool](self.cams.features.float(), dim=(2, 3))[0]
        return pooled * self.focus(replace(settings, off=())).weight[0]

    def first_words(self, settings: Settings, count: int = 3) -> list[tuple[int, float, float]]:
        """The highest classes, (index, score, probability), with weights and units as the settings say."""
        cams = self.cams
        if settings.off or settings.weights != "as trained":
            weight = _changed(cams.weight, settings.weights).clone()
            weight[:, list(settings.off)] = 0
            cams = replace(cams, logits=replace(cams, weight=weight).rebuilt())
        scores = cams.logits[0].float().nan_to_num(0, 0, 0)
        best = scores.topk(min(count, len(scores))).indices.tolist()
        return [(c, scores[c].item(), scores.softmax(0)[c].item()) for c in best]

    def cell_box(self, cell: tuple[int, int]) -> list[float]:
        """xyxy in pixels of `photo`: the cell, where the map is laid over all of the picture."""
        sizes = list(zip(cell[::-1], self.photo.size, self.cams.features.shape[:1:-1], strict=True))
        return [side * at / n for at, side, n in sizes] + [side * (at + 1) / n for at, side, n in sizes]

    def field_box(self, cell: tuple[int, int]) -> list[float]:
        """xyxy in pixels of `photo`: all that the cell can see, its theoretical receptive field."""
        cams = self.cams
        if cams.reach is None:  # not from a CamModel
            return [0, 0, *self.photo.size]
        middles = [float(centres[at]) for centres, at in zip(cams.centres, cell, strict=True)]
        sides = list(zip(middles, cams.reach, cams.picture, self.photo.size[::-1], strict=True))[::-1]
        ends = [max(0.0, middle - reach) * shown / side for middle, reach, side, shown in sides]
        return ends + [min(side, middle + reach + 1) * shown / side for middle, reach, side, shown in sides]


class Source:
    """A network, the names of its classes, and pictures; keeps the last few forwarded pictures.

    Args:
        model: a CamModel, or a network, of which the explorer takes a copy as it is now (`networks.fast`)
        classes: their names
        pictures: {name: picture} or a sequence; a picture is what `read_picture` reads, or a uint8 tensor (3,H,W)
        transform: a torchvision preset (`weights.transforms()`), of which only the normalisation is used, or any
            function from a picture, uint8 (3,h,w), to the network's input that does not crop (the map is laid over all
            of the picture); None: floats from 0 to 1
        side: the shorter side at which the network sees pictures; None: the preset's, or 224
        truth: {name: (labels (M,), boxes (M,4))} in pixels of the given picture
        show: the longer side of the shown picture, in pixels
        keep: how many forwarded pictures are kept

    Raises:
        NotCamCompatible: with the first picture, where the network has no exact class activation map
    """

    def __init__(self, model: nn.Module | CamModel, classes: Sequence[str], pictures, transform: Callable | None = None,
                 side: int | None = None, truth: Mapping | None = None, show: int = 512, keep: int = 8):  # fmt: skip
        self.model = fast_cams(model)
        self.classes, self.transform, self.show = list(classes), transform, show
        self.side = side or getattr(transform, "crop_size", [224])[0]
        if not isinstance(pictures, Mapping):
            names = [Path(p).stem if isinstance(p, (str, Path)) else "picture" for p in pictures]
            pictures = dict(zip(unique(names), pictures, strict=True))
        # a stream is read now: it cannot be read again
        self.pictures = {name: p if isinstance(p, (str, Path)) else _read(p) for name, p in pictures.items()}
        self.truth = dict(truth or {})
        self._kept = lru_cache(maxsize=keep)(self._forward)

    def with_pictures(self, pictures: Mapping, truth: Mapping | None = None) -> Source:
        """The same network with other pictures, {name: picture}, all of which are kept."""
        how = {"show": self.show, "keep": len(pictures)}
        return Source(self.model, self.classes, pictures, self.transform, self.side, truth, **how)

    def add(self, name: str, picture) -> str:
        """Take in another picture -> its name, made unique. Raises PictureError or OSError when it cannot be read."""
        name = unique([*self.pictures, name])[-1]
        self.pictures[name] = _read(picture)
        return name

    def forward(self, name: str = "") -> ForwardedPicture:
        """The picture after its forward pass ("": the first one); from memory when it is one of the last `keep`.

        Raises ValueError where there is no such name; PictureError or OSError when it cannot be read.
        """
        name = name or next(iter(self.pictures), "")
        if name not in self.pictures:
            raise ValueError(f"there is no picture called {name!r}")
        return self._kept(name, self.pictures[name])  # a name can get another picture

    def _forward(self, name: str, picture) -> ForwardedPicture:
        seen, photo, truth = self._frame(_read(picture), self.truth.get(name))
        cams = self.model(self._input(seen)[None].to(next(self.model.model.parameters())))
        if cams.logits.shape[1] != len(self.classes):
            raise ValueError(f"expected {cams.logits.shape[1]} class names, one per score, got {len(self.classes)}")
        cams = replace(cams, **{field: v.cpu() for field, v in vars(cams).items() if isinstance(v, Tensor)})
        return ForwardedPicture(name, photo, cams, self.classes, truth)

    def _frame(self, picture: Tensor, truth: tuple | None) -> tuple[Tensor, Image.Image, tuple[Tensor, Tensor] | None]:
        """-> what the network sees, uint8 (3,h,w); the same part as it is shown; the truth in its pixels."""
        size = np.array(picture.shape[1:])
        scale = self.side / size.min()
        seen = np.maximum(np.minimum(np.round(size * scale), LONGEST * self.side) // CELL, 1).astype(int) * CELL
        part = np.clip(np.round(seen / max(scale, (seen / size).max())), 1, size).astype(int)
        shown = np.maximum(np.round(part * (self.show / part.max())), 1).astype(int).tolist()
        crop = v2.functional.center_crop(picture, part.tolist())
        photo = v2.functional.to_pil_image(crop).resize(shown[::-1], Image.Resampling.BICUBIC)
        if truth is not None:
            labels, boxes = (torch.as_tensor(value) for value in truth)
            boxes = tv_tensors.BoundingBoxes(boxes.float().reshape(-1, 4), format="XYXY", canvas_size=tuple(size))
            boxes = v2.functional.resize(v2.functional.center_crop(boxes, part.tolist()), shown)
            truth = labels.reshape(-1), boxes.as_subclass(Tensor)
        return v2.functional.resize(crop, seen.tolist()), photo, truth

    def _input(self, seen: Tensor) -> Tensor:
        if self.transform is not None and not hasattr(self.transform, "mean"):
            return self.transform(seen)
        scaled = v2.functional.to_dtype(seen, torch.float32, scale=True)
        if self.transform is None:
            return scaled
        return v2.functional.normalize(scaled, self.transform.mean, self.transform.std)


@lru_cache(maxsize=64)
def shrunk(picture: ForwardedPicture, side: int) -> ForwardedPicture:
    """The same, shown smaller: `side` pixels on the longer side."""
    part = min(1.0, side / max(picture.photo.size))
    truth = picture.truth and (picture.truth[0], picture.truth[1] * part)
    size = [max(1, round(part * length)) for length in picture.photo.size]
    return replace(picture, photo=picture.photo.resize(size, Image.Resampling.LANCZOS), truth=truth)


def unique(names: Sequence[str]) -> list[str]:
    """Number repeated names by the first number that is free: crane, crane (2)."""
    taken, numbered = set(names), {}
    for name in names:
        if name in numbered:
            name = next(new for k in count(2) if (new := f"{name} ({k})") not in taken)
            taken.add(name)
        numbered[name] = None
    return list(numbered)


def _changed(weight: Tensor, how: str) -> Tensor:
    if how == "as trained":
        return weight
    return weight.softmax(1) if how == "softmax" else weight.clamp_min(0)


def _read(picture) -> Tensor:
    return picture if isinstance(picture, Tensor) else read_picture(picture)
