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

from cam_helpers import drawing
from cam_helpers.images import read_picture
from cam_helpers.maps import CamModel, Cams, class_activation_maps

from .settings import Settings

__all__ = ["ForwardedPicture", "Source", "largest", "shrunk", "unique"]

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
    def grey(self) -> Image.Image:
        return drawing.grey(self.photo)

    @cached_property
    def probabilities(self) -> Tensor:
        """(C,), by softmax."""
        return self.cams.logits[0].float().softmax(0)

    def top(self, count: int = 5) -> list[tuple[int, float]]:
        """The most probable classes, (index, probability)."""
        best = self.probabilities.topk(min(count, len(self.probabilities)))
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))

    def class_index(self, settings: Settings) -> int:
        """The class that is shown. Raises ValueError where the network has no such class or unit."""
        classes, units = self.cams.weight.shape
        if settings.label is not None and settings.label >= classes:
            raise ValueError(f"class {settings.label} does not exist: the network has {classes}, from 0 on")
        unit = max([*settings.off, settings.unit or 0])
        if unit >= units:
            raise ValueError(f"unit {unit} does not exist: the network has {units}, from 0 on")
        return self.top(1)[0][0] if settings.label is None else settings.label

    def focus(self, settings: Settings) -> Cams:
        """The `Cams` of the shown class alone (C is 1), with its weights changed as the settings say."""
        c = self.class_index(settings)
        weight = _changed(self.cams.weight[c : c + 1], settings.weights).clone()
        weight[:, list(settings.off)] = 0  # a unit without weight counts as switched off

        biases = {"bias": self.cams.bias, "local_bias": self.cams.local_bias}
        biases = {name: bias if bias is None else bias[c : c + 1] for name, bias in biases.items()}
        return replace(self.cams, logits=self.cams.logits[:, c : c + 1], weight=weight, **biases)

    def map(self, settings: Settings) -> Tensor:
        """(h,w) at mapping resolution, signed: the class's map, or the unit's features."""
        focus = self.focus(settings)
        heat = focus.maps()[0, 0] if settings.unit is None else focus.features[0, settings.unit].float()
        return heat.nan_to_num(0, 0, 0)

    def shares(self, settings: Settings) -> Tensor:
        """w_k^c·F^k: what each unit adds to the score of the shown class, (K,); lecture 12:10."""
        pool = {"avg": torch.mean, "sum": torch.sum, "max": torch.amax}[self.cams.pool]
        pooled = pool(self.cams.features.float(), dim=(2, 3))[0]
        return pooled * self.focus(replace(settings, off=())).weight[0]


class Source:
    """A network, the names of its classes, and pictures; keeps the last few forwarded pictures.

    Args:
        model: what `CamModel` wraps, or a CamModel
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
        self.model = model if isinstance(model, CamModel) else CamModel(model)
        self.classes, self.transform, self.show = list(classes), transform, show
        self.side = side or getattr(transform, "crop_size", [224])[0]
        if not isinstance(pictures, Mapping):
            names = [Path(p).stem if isinstance(p, (str, Path)) else "picture" for p in pictures]
            pictures = dict(zip(unique(names), pictures, strict=True))
        # a stream is read now: it cannot be read again
        self.pictures = {name: p if isinstance(p, (str, Path)) else _read(p) for name, p in pictures.items()}
        self.truth = dict(truth or {})
        self._kept = lru_cache(maxsize=keep)(self._forward)

    def with_pictures(self, pictures: Mapping) -> Source:
        """The same network with other pictures, {name: picture}, all of which are kept."""
        return Source(self.model, self.classes, pictures, self.transform, self.side, show=self.show, keep=len(pictures))

    def add(self, name: str, picture) -> str:
        """Take in another picture -> its name, made unique. Raises PictureError or OSError when it cannot be read."""
        name = unique([*self.pictures, name])[-1]
        self.pictures[name] = _read(picture)
        return name

    def forward(self, name: str = "") -> ForwardedPicture:
        """The picture after its forward pass ("": the first one); from memory when it is one of the last `keep`."""
        name = name or next(iter(self.pictures), "")
        return self._kept(name, *self.content(name))

    def content(self, name: str) -> tuple:
        """Under what a picture is kept: itself, since a name can get another one; a file also by its time and length.

        Raises ValueError where there is no such name, OSError where there is no such file.
        """
        if name not in self.pictures:
            raise ValueError(f"there is no picture called {name!r}")
        picture = self.pictures[name]
        found = None if isinstance(picture, Tensor) else Path(picture).stat()
        return picture, found and (found.st_mtime_ns, found.st_ctime_ns, found.st_size)

    def thumbnail(self, name: str) -> Image.Image:
        photo = v2.functional.to_pil_image(_read(self.pictures[name]))
        photo.thumbnail((72, 72))
        return photo

    def _forward(self, name: str, picture, *_) -> ForwardedPicture:
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
def largest(picture: ForwardedPicture, weights: str) -> tuple[float, float]:
    """The largest value and the largest absolute value in the maps of *all* classes, at mapping resolution."""
    weight = _changed(picture.cams.weight.float(), weights)
    maps = class_activation_maps(picture.cams.features.float(), weight).nan_to_num(0, 0, 0)
    return maps.max().item(), maps.abs().max().item()


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
