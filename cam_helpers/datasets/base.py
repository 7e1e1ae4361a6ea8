"""Real pictures in the form of the world's sets: what is small is read at once, what is large when asked for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from ..images import read_picture
from .annotations import Annotation, fit_boxes
from .checking import look_at, look_at_all, read_index_map
from .problems import MissingData, Problems, printable


@dataclass
class Record:
    """One picture as a format's reader found it: nothing opened yet but the annotation.

    label: class index, or 0/1 for every class. box_classes: class index of every box in the annotation (None: label).
    """

    path: str
    label: int | list[int]
    annotation: Annotation | None = None
    box_classes: list[int] | None = None
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

    def __init__(self, name: str, split: str, classes: list[str], problems: Problems):
        self.name, self.split, self.classes, self.problems = name, split, classes, problems
        self.paths, self.sizes, self.labels = [], [], torch.zeros(0, dtype=torch.long)

    @property
    def images(self) -> Lazy:
        return Lazy(lambda i: read_picture(self.paths[i]), len(self))

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
        return self.problems.table()

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


def assemble(
    dataset: RealDataset,
    records: list[Record],
    *,
    check: bool,
    has_boxes: bool,
    decode_mask: Callable[[np.ndarray], dict[str, np.ndarray]] | None = None,
    boxes_from_mask: bool = False,
    whole: bool = True,
) -> RealDataset:
    """Look at every picture once, leave out and list what cannot be used, and fill the dataset with the rest.

    check            False reads headers only (see `look_at`)
    has_boxes        the set has boxes, even if one picture or another has none
    decode_mask      what a label picture's numbers mean: {"masks": …, "ignore": …}
    boxes_from_mask  the box is the extent of the mask
    whole            a class without a picture is worth a line in the list of problems
    """
    problems = dataset.problems
    read = decode_mask is not None and (check or boxes_from_mask)
    found = look_at_all(lambda record: _examine(record, check, decode_mask if read else None, boxes_from_mask), records)
    labels, boxes, box_classes, difficult, masks = [], [], [], [], []
    for record, result in zip(records, found, strict=True):
        if isinstance(result, Exception):
            gone = isinstance(result, FileNotFoundError)
            problems.add(record.path, "is listed and not there" if gone else result, "picture left out")
            continue
        look, extent, mask_error = result
        if printable(record.path) != record.path:
            problems.add(record.path, "its name is not UTF-8", "picture used")
        if look.note:
            problems.add(record.path, look.note, "picture used")
        if mask_error:
            problems.add(record.mask, mask_error, "picture used, all of its mask ignored or unlabelled")
        fitted, kept, hard = torch.zeros(0, 4), [], []
        if extent is not None:
            fitted, kept, hard = extent, range(len(extent)), [False]
        elif record.annotation is not None:
            hard = record.annotation.difficult
            fitted, kept, wrong = fit_boxes(record.annotation, look)
            for reason, action in wrong:
                problems.add(record.path, f"its annotation: {reason}", action)
        owners = record.box_classes or [record.label] * (max(kept, default=0) + 1)
        dataset.paths.append(record.path)
        dataset.sizes.append(look.size)
        labels.append(record.label)
        boxes.append(fitted)
        box_classes.append(torch.tensor([owners[k] for k in kept], dtype=torch.long))
        difficult.append(torch.tensor([hard[k] for k in kept], dtype=torch.bool))
        masks.append(None if mask_error else record.mask)
    if not labels:
        why = "; ".join(f"{p.file}: {p.reason}" for p in problems[:3]) or "there is no picture file at all"
        raise MissingData(f"no usable picture in {printable(str(problems.root))} ({why})")
    dataset.labels = torch.tensor(labels, dtype=torch.long)
    if has_boxes:
        dataset.boxes, dataset.box_classes = boxes, box_classes
        if dataset.labels.ndim == 2:
            dataset.difficult = difficult
    if decode_mask is not None:
        layers = decode_mask(np.zeros((1, 1), np.uint8))
        for key in layers:
            setattr(dataset, key, Lazy(_MaskReader(key, masks, dataset.sizes, decode_mask), len(masks)))
    if whole and dataset.labels.ndim == 1:
        for missing in sorted(set(range(len(dataset.classes))) - set(dataset.labels.tolist())):
            problems.add(dataset.classes[missing], "this class has no usable picture", "class kept, empty")
    return dataset


def some(items: list, n: int | None) -> list:
    """`n` of the items (None: all), chosen at random but always the same, in their old order."""
    if n is None or n >= len(items):
        return items
    return [items[i] for i in sorted(random.Random(46).sample(range(len(items)), n))]


def _examine(record: Record, decode: bool, decode_mask, boxes_from_mask: bool):
    """Look at the picture, its mask's extent (1 or 0 boxes) and what is wrong with the mask."""
    look = look_at(record.path, decode)
    if decode_mask is None:
        return look, None, None
    try:
        mask = decode_mask(read_index_map(record.mask, look.size))["masks"]
    except (ValueError, OSError, TypeError) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else error
        return look, torch.zeros(0, 4) if boxes_from_mask else None, reason
    if not boxes_from_mask:
        return look, None, None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return look, torch.zeros(0, 4), "marks no object"
    extent = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    return look, torch.tensor([[float(v) for v in extent]]), None


@dataclass
class _MaskReader:
    """Makes mask number i; a class of its own so that the dataset can travel to worker processes."""

    key: str
    files: list
    sizes: list
    decode: Callable

    def __call__(self, index: int) -> torch.Tensor:
        if self.files[index] is None:  # number 0: nothing is known about any pixel
            numbers = np.zeros(self.sizes[index], np.uint8)
        else:
            numbers = read_index_map(self.files[index], self.sizes[index])
        return torch.from_numpy(self.decode(numbers)[self.key])
