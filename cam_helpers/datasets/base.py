"""Real pictures in the form of the world's sets: what is small is read at once, what is large when asked for."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset
from torchvision.ops import masks_to_boxes
from tqdm.contrib.concurrent import thread_map

from ..images import PictureError, read_picture
from .annotations import Annotation, fit_boxes
from .checking import Look, look_at, read_index_map
from .conventions import from_inclusive
from .problems import MissingData, Problem, Problems, printable


@dataclass
class Record:
    """One picture as a format's reader found it: nothing opened yet but the annotation.

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

    boxes = box_classes = difficult = None

    def __init__(
        self,
        name: str,
        split: str,
        classes: list[str],
        problems: Problems,
        records: list[Record],
        *,
        check: bool,
        has_boxes: bool = False,
        layers: dict[str, Callable[[np.ndarray], np.ndarray]] | None = None,
        boxes_from_mask: bool = False,
        whole: bool = True,
    ):
        """Look at every picture once, leave out and list what cannot be used, and keep the rest.

        check            False reads headers only (see `look_at`)
        has_boxes        the set has boxes, even if one picture or another has none
        layers           what the numbers of a label picture mean: "masks" and "ignore", made from uint8 (H, W)
        boxes_from_mask  the box is the extent of the mask
        whole            a class without a picture is worth a line in the list of problems
        """
        self.name, self.split, self.problems = name, split, problems
        self.classes = [printable(c) for c in classes]
        self.paths, self.sizes, self._mask_files, self._layers = [], [], [], layers or {}
        labels, boxes, box_classes, difficult = [], [], [], []
        need_mask = bool(layers) and (check or boxes_from_mask)
        results = thread_map(
            partial(_examine, check=check, layer=self._layers["masks"] if need_mask else None, extent=boxes_from_mask),
            records,
            max_workers=min(8, (os.cpu_count() or 1) + 1),
            desc="checking pictures",
            unit="file",
            leave=False,
            disable=len(records) < 500,
        )
        for record, result in zip(records, results, strict=True):
            if isinstance(result, Exception):
                gone = isinstance(result, FileNotFoundError)
                problems.add(record.path, "is listed and not there" if gone else result, "picture left out")
                continue
            look, fitted, mask_error = result
            things = []
            if printable(record.path) != record.path:
                problems.add(record.path, "its name is not UTF-8", "picture used")
            if look.note:
                problems.add(record.path, look.note, "picture used")
            if mask_error:
                problems.add(record.mask, mask_error, "picture used, all of its mask ignored or unlabelled")
            if record.annotation is not None:
                fitted, things, wrong = fit_boxes(record.annotation, look)
                for reason, action in wrong:
                    problems.add(record.path, f"its annotation: {reason}", action)
            self.paths.append(record.path)
            self.sizes.append(look.size)
            self._mask_files.append(None if mask_error else record.mask)
            labels.append(record.label)
            boxes.append(fitted)
            if isinstance(record.label, int):
                box_classes.append(torch.full((len(fitted),), record.label))
            else:
                box_classes.append(torch.tensor([classes.index(t.name) for t in things], dtype=torch.long))
                difficult.append(torch.tensor([t.difficult for t in things], dtype=torch.bool))
        if not labels:
            why = "; ".join(f"{p.file}: {p.reason}" for p in problems[:3]) or "there is no picture file at all"
            raise MissingData(f"no usable picture in {printable(problems.root)} ({why})")
        self.labels = torch.tensor(labels, dtype=torch.long)
        if has_boxes:
            self.boxes, self.box_classes, self.difficult = boxes, box_classes, difficult or None
        if whole and self.labels.ndim == 1:
            for missing in sorted(set(range(len(classes))) - set(labels)):
                problems.add(self.classes[missing], "this class has no usable picture", "class kept, empty")

    @property
    def images(self) -> Lazy:
        return Lazy(lambda i: read_picture(self.paths[i]), len(self))

    @property
    def masks(self) -> Lazy | None:
        return self._lazy_layer("masks")

    @property
    def ignore(self) -> Lazy | None:
        return self._lazy_layer("ignore")

    def _lazy_layer(self, key: str) -> Lazy | None:
        return Lazy(partial(self._read_layer, self._layers[key]), len(self)) if key in self._layers else None

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


def some(items: list, n: int | None) -> list:
    """`n` of the items (None: all), chosen at random but always the same, in their old order."""
    if n is None or n >= len(items):
        return items
    return [items[i] for i in sorted(random.Random(46).sample(range(len(items)), n))]


def _examine(record: Record, check: bool, layer, extent: bool) -> tuple[Look, torch.Tensor, object] | Exception:
    """Look at the picture, the box around its mask (0 or 1) and what is wrong with the mask; an error is returned."""
    box, wrong = torch.zeros(0, 4), None
    try:
        look = look_at(record.path, check)
    except (PictureError, OSError) as error:
        return error
    try:
        mask = None if layer is None else torch.from_numpy(layer(read_index_map(record.mask, look.size)))
        if extent and mask.any():
            box = from_inclusive(masks_to_boxes(mask[None]))
        elif extent:
            wrong = "marks no object"
    except (PictureError, OSError) as error:
        wrong = "is missing" if isinstance(error, FileNotFoundError) else error
    return look, box, wrong
