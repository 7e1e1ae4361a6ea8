"""One forward pass per picture: every later move reuses the features it left behind."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2

from ..images import read_picture
from ..maps import CamModel, Cams, class_activation_maps
from .state import View

__all__ = ["Scene", "Source", "unique"]


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture after its forward pass.

    photo: as shown, RGB. cams: of this one picture, on the CPU. truth: (labels (M,), boxes (M,4)), xyxy in pixels of
    `photo`, or None.
    """

    name: str
    photo: Image.Image
    cams: Cams
    classes: Sequence[str]
    truth: tuple[Tensor, Tensor] | None = None
    _limits: dict = field(default_factory=dict, repr=False)
    _small: dict = field(default_factory=dict, repr=False, init=False)

    @cached_property
    def grey(self) -> Image.Image:
        return self.photo.convert("L").convert("RGB")

    def shrunk(self, side: int) -> Scene:
        """The same with a smaller picture: `side` pixels on the longer side."""
        if side not in self._small:
            part = min(1.0, side / max(self.photo.size))
            truth = self.truth and (self.truth[0], self.truth[1] * part)
            photo = self.photo.resize([max(1, round(part * s)) for s in self.photo.size], Image.Resampling.LANCZOS)
            self._small[side] = replace(self, photo=photo, truth=truth)
        return self._small[side]

    @cached_property
    def probabilities(self) -> Tensor:
        """(C,), by softmax."""
        return self.cams.logits[0].float().softmax(0)

    def top(self, count: int = 5) -> list[tuple[int, float]]:
        """The likeliest classes, (index, probability)."""
        best = self.probabilities.topk(min(count, len(self.probabilities)))
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))

    def label(self, view: View) -> int:
        """The class that is shown. Raises ValueError where the network has no such class or unit."""
        classes, units = self.cams.weight.shape
        for name, index, count in [
            ("class", view.label, classes),
            *(("unit", k, units) for k in (*view.off, view.unit)),
        ]:
            if index is not None and index >= count:
                raise ValueError(f"{name} {index} does not exist: the network has {count}, 0 to {count - 1}")
        return self.top(1)[0][0] if view.label is None else view.label

    def focus(self, view: View) -> Cams:
        """The maps' parts of the class shown alone, with its weights changed as the view says: C is 1."""
        c = self.label(view)
        row = _changed(self.cams.weight[c : c + 1], view.weights).clone()
        row[:, list(view.off)] = 0  # a unit without weight is a unit that is silent
        rest = {
            k: None if v is None else v[c : c + 1] for k, v in vars(self.cams).items() if k in ("bias", "local_bias")
        }
        return replace(self.cams, logits=self.cams.logits[:, c : c + 1], weight=row, **rest)

    def map(self, view: View) -> Tensor:
        """(h,w) at mapping resolution, signed: the class's map, or the unit's features."""
        c = self.label(view)
        features = self.cams.features
        heat = self.focus(view.but(label=c)).maps()[0, 0] if view.unit is None else features[0, view.unit].float()
        return heat.nan_to_num(0, 0, 0)

    def limit(self, weights: str) -> tuple[float, float]:
        """The largest value and the largest absolute value in the maps of *all* classes, at mapping resolution."""
        if weights not in self._limits:
            features = self.cams.features.float()
            maps = class_activation_maps(features, _changed(self.cams.weight.float(), weights)).nan_to_num(0, 0, 0)
            self._limits[weights] = maps.max().item(), maps.abs().max().item()
        return self._limits[weights]

    def shares(self, view: View) -> Tensor:
        """w_k^c·F^k: what each unit adds to the score of the class shown, (K,); lecture 12:10."""
        reduce = {"avg": torch.mean, "sum": torch.sum, "max": torch.amax}[self.cams.pool]
        return reduce(self.cams.features.float(), dim=(2, 3))[0] * self.focus(view.but(off=())).weight[0]


class Source:
    """A network, the names of its classes, and pictures; keeps what the network said about the last few of them.

    model: whatever `CamModel` accepts (or one). pictures: {name: picture} or a sequence; a picture is what
    `read_picture` reads, or a uint8 tensor (3,H,W). transform: a torchvision preset (`weights.transforms()`), of which
    only the normalisation is used, or any function from the picture as the network is to see it, uint8 (3,h,w), to its
    input; it must not crop, for the map is laid over all of the picture. None: floats from 0 to 1. side: the shorter
    side at which the network sees pictures (None: the preset's, or 224). truth: {name: (labels (M,), boxes (M,4))} in
    pixels of the picture given. show: pixels of the longer side shown.

    Raises NotCamCompatible, as `CamModel` does.
    """

    def __init__(self, model: nn.Module | CamModel, classes: Sequence[str], pictures, transform: Callable | None = None,
                 side: int | None = None, truth: Mapping | None = None, show: int = 512, keep: int = 8):  # fmt: skip
        self.model = model if isinstance(model, CamModel) else CamModel(model)
        self.classes, self.transform, self.show, self.keep = list(classes), transform, show, keep
        self.side = side or getattr(transform, "crop_size", [224])[0]
        if not isinstance(pictures, Mapping):
            names = [
                p.stem if isinstance(p, Path) else Path(p).stem if isinstance(p, str) else "picture" for p in pictures
            ]
            pictures = dict(zip(unique(names), pictures, strict=True))
        self.pictures, self.truth = dict(pictures), dict(truth or {})
        self._scenes: OrderedDict[str, Scene] = OrderedDict()

    def add(self, name: str, picture) -> str:
        """Take in another picture -> its name, made unique. Raises PictureError or OSError when it cannot be read."""
        picture = picture if isinstance(picture, Tensor) else read_picture(picture)
        name = unique([*self.pictures, name])[-1]
        self.pictures[name] = picture
        return name

    def scene(self, name: str = "") -> Scene:
        """The picture's scene ("": the first picture); from memory when it is one of the last `keep`."""
        name = name or next(iter(self.pictures), "")
        if name not in self.pictures:
            raise ValueError(f"there is no picture called {name!r}")
        if name not in self._scenes:
            self._scenes[name] = next(self.look({name: self.pictures[name]}))
            while len(self._scenes) > self.keep:
                self._scenes.popitem(last=False)
        self._scenes.move_to_end(name)
        return self._scenes[name]

    def thumbnail(self, name: str, side: int = 72) -> Image.Image:
        photo = v2.functional.to_pil_image(_read(self.pictures[name]))
        photo.thumbnail((side, side))
        return photo

    def look(self, pictures: Mapping, batch: int = 16) -> Iterator[Scene]:
        """The scenes of {name: picture}, computed in batches of pictures of equal shape; nothing is kept."""
        framed = ((name, *_frame(_read(picture), self.side, self.show)) for name, picture in pictures.items())
        for _, group in groupby(framed, key=lambda item: item[1].shape):
            while part := list(islice(group, batch)):
                cams = self._forward(torch.stack([self._input(seen) for _, seen, _, _ in part]))
                for i, (name, _, photo, place) in enumerate(part):
                    labels, boxes = self.truth.get(name, (None, None))
                    truth = None if boxes is None else (torch.as_tensor(labels).reshape(-1), place(boxes))
                    one = replace(cams, logits=cams.logits[i : i + 1], features=cams.features[i : i + 1])
                    yield Scene(name, photo, one, self.classes, truth)

    def _input(self, seen: Tensor) -> Tensor:
        if self.transform is not None and not hasattr(self.transform, "mean"):
            return self.transform(seen)
        scaled = v2.functional.to_dtype(seen, torch.float32, scale=True)
        return (
            scaled
            if self.transform is None
            else v2.functional.normalize(scaled, self.transform.mean, self.transform.std)
        )

    def _forward(self, images: Tensor) -> Cams:
        parameter = next(self.model.model.parameters(), images)
        cams = self.model(images.to(parameter.device, parameter.dtype if images.is_floating_point() else images.dtype))
        if cams.logits.shape[1] != len(self.classes):
            raise ValueError(
                f"the network scores {cams.logits.shape[1]} classes, and there are {len(self.classes)} names"
            )
        return replace(cams, **{k: v.cpu() for k, v in vars(cams).items() if isinstance(v, Tensor)})


def unique(names: Sequence[str]) -> list[str]:
    """Later bearers of a name get a number: crane, crane (2)."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result


def _changed(weight: Tensor, how: str) -> Tensor:
    if how == "as trained":
        return weight
    return weight.softmax(1) if how == "softmax" else weight.clamp_min(0)


def _read(picture) -> Tensor:
    return picture if isinstance(picture, Tensor) else read_picture(picture)


def _frame(photo: Tensor, side: int, show: int, cell: int = 32, longest: int = 3):
    """-> what the network sees uint8 (3,h,w), the same part as shown, and a function that takes boxes along.

    The network sees whole cells only, so that the map lies exactly over the picture, and at most `longest` times as
    much as a square, so that a picture of one row does not become a strip of millions of columns.
    """
    size = np.array(photo.shape[1:])
    scale = side / size.min()
    seen = np.maximum(np.minimum(np.round(size * scale), longest * side) // cell, 1).astype(int) * cell
    part = np.minimum(np.maximum(np.round(seen / max(scale, (seen / size).max())), 1), size).astype(int)
    top, left = (size - part) // 2
    crop = photo[:, top : top + part[0], left : left + part[1]]
    shown = np.maximum(np.round(part * (show / part.max())), 1).astype(int)

    def place(boxes) -> Tensor:
        y, x = shown / part
        moved = (torch.as_tensor(boxes).float().reshape(-1, 4) - torch.tensor([left, top] * 2)) * torch.tensor(
            [x, y] * 2
        )
        return torch.stack([moved[:, i].clamp(0, int(shown[1 - i % 2])) for i in range(4)], 1).float()

    bigger = v2.functional.to_pil_image(crop).resize((int(shown[1]), int(shown[0])), Image.Resampling.BICUBIC)
    return v2.functional.resize(crop, seen.tolist()), bigger, place
