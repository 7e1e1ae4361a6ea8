"""Real pictures in the form of the world's sets: what is small is read at once, what is large when asked for."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset
from torchvision.ops import masks_to_boxes
from tqdm.contrib.concurrent import thread_map

from ..images import PictureError, read_picture
from .annotations import Annotation, Thing, fit_boxes
from .checking import look_at, read_index_map
from .conventions import from_inclusive
from .problems import MissingData, Problem, printable


@dataclass
class Record:
    """One picture as a format's reader found it: nothing opened yet but the annotation (None: the set has no boxes).

    label: class index, also of all boxes; or 0/1 for every class, then the boxes' names tell their classes.
    """

    path: str
    label: int | list[int]
    annotation: Annotation | None = None
    mask: str | None = None


class Lazy(Sequence):
    """A list whose entries are made when they are asked for."""

    def __init__(self, make: Callable[[int], object], length: int):
        self._make, self._length = make, length

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self._make(i) for i in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(f"{index} is outside a list of {self._length}")
        return self._make(int(index) % self._length)


class RealDataset(Dataset):
    """Real pictures with labels, and boxes and masks where the set has them. `ds[i]` is (image, target).

    classes      list of str
    paths        list of str, one a picture
    sizes        list of (H, W), upright
    labels       long (N,), or 0/1 (N, C) where a picture has several
    boxes        list of float32 (M, 4), xyxy in pixels, x2/y2 exclusive; None if the set has no boxes
    box_classes  list of long (M,); None likewise
    difficult    list of bool (M,): objects that VOC marks as hard to see; None elsewhere
    images       lazy: uint8 (3, H, W) in RGB
    masks        lazy: bool (H, W), or uint8 (H, W) of object numbers; None if the set has none
    ignore       lazy: bool (H, W), pixels that no score should count; None if the set has none
    problems     list of Problem(file, reason, action); `report()` is the same as a table

    target: a dict with "label", "path", and "boxes", "box_classes", "mask", "ignore" where the set has them.
    """

    boxes = box_classes = difficult = masks = ignore = None

    def __init__(self, name, split, classes, problems, records, *, check, layers=None, mask_boxes=False, whole=True):
        """Look at every picture once, leave out and list what cannot be used, and keep the rest.

        problems         Problems found so far; records: list of Record
        check            False reads headers only (see `look_at`)
        layers           what the numbers of a label picture mean: {"masks": function of uint8 (H, W), "ignore": …}
        mask_boxes       the box is the extent of the mask
        whole            a class without a picture is worth a line in the list of problems
        """
        self.name, self.split, self.problems = name, split, problems
        self.classes = [printable(c) for c in classes]
        self.paths, self.sizes, self._mask_files = [], [], []
        labels, boxes, box_classes, difficult = [], [], [], []
        layer = layers["masks"] if layers and (check or mask_boxes) else None
        look = partial(_examine, check=check, layer=layer, extent=mask_boxes)
        bar = {"desc": "checking pictures", "unit": "file", "leave": False, "disable": len(records) < 500}
        for record, found in zip(records, thread_map(look, records, **bar), strict=True):
            for file, reason, action in found.wrong:
                problems.add(file, reason, action)
            if not found.usable:
                continue
            self.paths.append(record.path)
            self.sizes.append(found.size)
            self._mask_files.append(found.mask)
            labels.append(record.label)
            boxes.append(found.boxes)
            if isinstance(record.label, int):
                box_classes.append(torch.full((len(found.boxes),), record.label))
            else:
                box_classes.append(torch.tensor([classes.index(t.name) for t in found.things], dtype=torch.long))
                difficult.append(torch.tensor([t.difficult for t in found.things], dtype=torch.bool))
        if not labels:
            why = "; ".join(f"{p.file}: {p.reason}" for p in problems[:3]) or "there is no picture file at all"
            raise MissingData(f"no usable picture in {printable(problems.root)} ({why})")
        self.labels = torch.tensor(labels, dtype=torch.long)
        if mask_boxes or any(record.annotation is not None for record in records):
            self.boxes, self.box_classes, self.difficult = boxes, box_classes, difficult or None
        for key, layer in (layers or {}).items():
            setattr(self, key, Lazy(partial(self._read_layer, layer), len(self)))
        if whole and self.labels.ndim == 1:
            for missing in sorted(set(range(len(classes))) - set(labels)):
                problems.add(self.classes[missing], "this class has no usable picture", "class kept, empty")

    @property
    def images(self) -> Lazy:
        return Lazy(lambda i: read_picture(self.paths[i]), len(self))

    def _read_layer(self, layer: Callable, index: int) -> torch.Tensor:
        file, size = self._mask_files[index], self.sizes[index]
        # without a usable file number 0 everywhere: nothing is known about any pixel
        return torch.from_numpy(layer(read_index_map(file, size) if file else np.zeros(size, np.uint8)))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict]:
        image = self.images[index]
        target = {"label": self.labels[index], "path": self.paths[index]}
        for key in ("boxes", "box_classes", "difficult", "masks", "ignore"):
            if (values := getattr(self, key)) is not None:
                target[key.replace("masks", "mask")] = values[index]
        return image, target

    def report(self) -> pd.DataFrame:
        """Every problem that was found: file, reason, action. Empty when all is well."""
        return pd.DataFrame(list(self.problems), columns=list(Problem._fields))

    def __repr__(self) -> str:
        found = len(self.problems)
        tail = f"{found} problem{'s' * (found != 1)}, see .report()" if found else "no problems"
        return f"{self.name} ({self.split}): {len(self)} pictures, {len(self.classes)} classes, {tail}"

    def _repr_html_(self) -> str:
        if not self.problems:
            return f"<p>{self!r}</p>"
        with pd.option_context("display.max_colwidth", None):
            shown = self.report().head(50).to_html(index=False)  # which escapes what a file's name may hold
        more = f"<p>… and {len(self.problems) - 50} more in .report()</p>" if len(self.problems) > 50 else ""
        return f"<p>{self!r}</p>{shown}{more}"


def absolute(root: str | os.PathLike) -> Path:
    return Path(root).expanduser().absolute()


def some(items: list, n: int | None) -> list:
    """`n` of the items (None: all), chosen at random but always the same, in their old order."""
    if n is None or n >= len(items):
        return items
    return [items[i] for i in sorted(random.Random(46).sample(range(len(items)), n))]


class _Found(NamedTuple):
    """What looking at one picture told; wrong: (file, reason, action) of every problem."""

    wrong: list[tuple]
    usable: bool = False
    size: tuple[int, int] = (0, 0)
    boxes: torch.Tensor | None = None
    things: Sequence[Thing] = ()
    mask: str | None = None


def _examine(record: Record, check: bool, layer: Callable | None, extent: bool) -> _Found:
    """Look at the picture, its boxes, and its mask if `layer` makes one; extent: the box is drawn around the mask."""
    path, mask_file, things, wrong = record.path, record.mask, [], []
    try:
        look = look_at(path, check)
    except (PictureError, OSError) as error:
        reason = "is listed and not there" if isinstance(error, FileNotFoundError) else error
        return _Found([(path, reason, "picture left out")])
    if printable(path) != path:
        wrong.append((path, "its name is not UTF-8", "picture used"))
    if look.note:
        wrong.append((path, look.note, "picture used"))
    boxes = torch.zeros(0, 4)
    try:
        mask = None if layer is None else torch.from_numpy(layer(read_index_map(mask_file, look.size)))
        if extent and not mask.any():
            raise PictureError("marks no object")
        if extent:
            boxes = from_inclusive(masks_to_boxes(mask[None]))
    except (PictureError, OSError) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else error
        wrong.append((mask_file, reason, "picture used, all of its mask ignored or unlabelled"))
        mask_file = None
    if record.annotation is not None:
        boxes, things, misfits = fit_boxes(record.annotation, look)
        wrong += [(path, f"its annotation: {reason}", action) for reason, action in misfits]
    return _Found(wrong, True, look.size, boxes, things, mask_file)
