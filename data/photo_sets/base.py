"""Real pictures in the form of the drawn ones: what is small is read at once, what is large when it is asked for."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import find_objects
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize
from tqdm.contrib.concurrent import thread_map

from cam_helpers.images import PictureError, read_picture

from .annotations import Annotation, AnnotationError, fit_boxes, read_voc_xml, scale_boxes
from .checking import ROTATED, MissingData, Problem, Problems, inspect_picture, printable, read_label_map
from .outlines import Outline, draw_outlines


@dataclass
class Record:
    """One picture as a format's reader found it. When it was looked at, `size` and what follows are known, too.

    label: class index; or 0/1 for every class; None: the picture is left out. mask: the file of its label picture.
    problems: (file, reason, action). boxes: None if the set has none; objects: indices into the set's object names.
    outlines: one for each object, None where it has only a box; None for sets without any. unknown: outlines of what
    has no mask, see `RealDataset.ignore`. facts: more about the picture, under the data set's names for it.
    """

    path: str
    label: int | list[int] | None = None
    annotation: Annotation | None = None
    mask: str | None = None
    problems: list[tuple] = field(default_factory=list)
    size: tuple[int, int] | None = None
    boxes: Tensor | None = None
    objects: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    outlines: list[Outline | None] | None = None
    unknown: list[Outline | None] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    def read_annotation(self, xml: str | Path, otherwise: str) -> None:
        """Read the picture's annotation; where that is impossible, list what is done `otherwise`."""
        try:
            self.annotation = read_voc_xml(xml)
        except (AnnotationError, OSError) as error:
            self.problems.append((xml, error, otherwise))


@dataclass
class Listing:
    """A set as a format's reader found it, before any picture is opened.

    object_numbers: the numbers in the label pictures that stand for objects, k for object_names[k - 1]; without
    object_names 1 is an object of the picture's class. ignored: the numbers of pixels that no score should count.
    fetch: gets the files of records that are not there.
    """

    name: str
    split: str
    classes: list[str]
    problems: Problems
    records: list[Record]
    object_names: list[str] | None = None
    object_numbers: Sequence[int] = ()
    ignored: Sequence[int] = ()
    report_empty_classes: bool = True
    fetch: Callable[[list[Record]], None] | None = None


class Lazy(Sequence):
    """Entries that are read when they are asked for; a slice gives them as one tensor, if they have one size."""

    def __init__(self, read: Callable[[int], Tensor], length: int):
        self._read, self._length = read, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return self._read(range(len(self))[index])
        entries = [self._read(i) for i in range(len(self))[index]]
        if len(sizes := {tuple(entry.shape) for entry in entries}) > 1:
            raise ValueError(f"expected entries of one size, got {sorted(sizes)[:2]} …. Open the set with size=224.")
        return torch.stack(entries)

    def union(self) -> Tensor:
        """bool (N,H,W) of masks (M,H,W): every pixel that belongs to a labelled object."""
        return torch.stack([masks.any(0) for masks in self])


class RealDataset(Dataset):
    """Real pictures in the form of the drawn ones. `data[i]` is `(image, label)`, both tensors.

    images        read when asked for: images[i] is uint8 (3,H,W), RGB; images[a:b] a tensor (n,3,H,W), for one size
    labels        int64 (N,) class indices; or float32 (N,C) 0/1 where a picture may hold several classes
    classes       the C class names
    boxes         list of N float32 (M,4): extent of each labelled object, xyxy pixels, x2/y2 exclusive
    masks         read when asked for: masks[i] is bool (M,H,W), the pixels of each labelled object; masks.union() is
                  bool (N,H,W), for one size
    objects       list of N int64 (M,): the kind of each object, an index into object_names
    object_names  the names of the kinds
    ignore        read when asked for: ignore[i] is bool (H,W), pixels that no score should count
    has_mask      list of N bool (M,), where some objects have a box and an empty mask only; their boxes are in `ignore`
    captions      list of N lists of sentences
    words         list of N lists of strings: what is written in each box
    licences, sources   lists of N strings: under what a photograph may be used, and the address it comes from
    All from `boxes` on are None where a set has no such thing. Besides: `paths`; `sizes`, (H, W) of each picture,
    upright; `problems`, a list of (file, reason, action), and `report()`, the same as a table.
    """

    boxes = masks = objects = object_names = ignore = has_mask = captions = words = licences = sources = None

    def __init__(self, listing: Listing, n: int | None = None, size: tuple[int, int] | None = None, check: bool = True):
        """Look at every picture once, leave out and list what cannot be used.

        Args:
            listing: what a set's folder holds, as its module found it
            n, size, check: see `photo_sets.open`
        """
        self.name, self.split, self.problems = listing.name, listing.split, listing.problems
        self.classes = [printable(name) for name in listing.classes]
        records = fixed_sample(listing.records, n)
        if listing.fetch:
            listing.fetch(records)
        bar = {"desc": "checking pictures", "unit": "file", "leave": False, "disable": len(records) < 500}
        thread_map(partial(_look_at, listing=listing, check=check), records, **bar)
        for problem in (problem for record in records for problem in record.problems):
            self.problems.add(*problem)
        self._records = used = [record for record in records if record.size]
        if not used:
            why = "; ".join(f"{p.file}: {p.reason}" for p in self.problems[:3]) or "there is no picture file at all"
            raise MissingData(f"no usable picture in {printable(self.problems.root)} ({why})")
        self.paths, self.sizes = [record.path for record in used], [size or record.size for record in used]
        self.labels = torch.tensor([record.label for record in used])
        if self.labels.ndim == 2:
            self.labels = self.labels.float()
        elif listing.report_empty_classes and n is None:
            for k in sorted(set(range(len(self.classes))) - set(self.labels.tolist())):
                self.problems.add(self.classes[k], "this class has no usable picture", "class kept, empty")
        if used[0].boxes is not None:
            self.object_names = listing.object_names or self.classes
            self.boxes = [scale_boxes(r.boxes, r.size, new) for r, new in zip(used, self.sizes, strict=True)]
            self.objects = [torch.tensor(record.objects, dtype=torch.long) for record in used]
        if listing.object_numbers:
            self.masks = Lazy(self._masks, len(used))
        if listing.ignored:
            self._ignored = torch.tensor(listing.ignored)
            self.ignore = Lazy(self._ignore, len(used))
        if used[0].outlines is not None:
            self.masks, self.ignore = Lazy(self._drawn_masks, len(used)), Lazy(self._not_drawn, len(used))
            self.has_mask = [torch.tensor([o is not None for o in r.outlines], dtype=torch.bool) for r in used]
        for name in used[0].facts:
            setattr(self, name, [record.facts[name] for record in used])

    @property
    def images(self) -> Lazy:
        return Lazy(self._image, len(self))

    def _image(self, index: int) -> Tensor:
        return resize(read_picture(self.paths[index]), list(self.sizes[index]))

    def _label_map(self, index: int) -> Tensor:
        record = self._records[index]
        # without a usable file number 0 everywhere: nothing is known about any pixel
        numbers = read_label_map(record.mask, record.size) if record.mask else np.zeros(record.size, np.uint8)
        return resize(torch.from_numpy(numbers)[None], list(self.sizes[index]), InterpolationMode.NEAREST_EXACT)[0]

    def _masks(self, index: int) -> Tensor:
        return self._label_map(index) == torch.tensor(self._records[index].numbers)[:, None, None]

    def _ignore(self, index: int) -> Tensor:
        return torch.isin(self._label_map(index), self._ignored)

    def _drawn_masks(self, index: int) -> Tensor:
        record = self._records[index]
        return draw_outlines(record.outlines, record.annotation.size, self.sizes[index])

    def _not_drawn(self, index: int) -> Tensor:
        record = self._records[index]
        unknown = draw_outlines(record.unknown, record.annotation.size, self.sizes[index]).any(0)
        return unknown & ~self.masks[index].any(0)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]

    def report(self) -> pd.DataFrame:
        """Every problem that was found: file, reason, action. Empty when all is well."""
        return pd.DataFrame(list(self.problems), columns=list(Problem._fields))

    def __repr__(self) -> str:
        found = len(self.problems)
        tail = f"{found} problem{'s' * (found != 1)}, see .report()" if found else "no problems"
        if self.has_mask is not None:
            tail = f"masks for {torch.cat(self.has_mask).sum()} of {sum(map(len, self.boxes))} objects, {tail}"
        return f"{self.name} ({self.split}): {len(self)} pictures, {len(self.classes)} classes, {tail}"

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", None, "display.max_rows", 50):
            table = self.report().to_html(index=False, max_rows=50) if self.problems else ""  # names are escaped
        return f"<p>{self!r}</p>{table}"


def fixed_sample(items: list, n: int | None) -> list:
    """`n` of the items (None: all), chosen at random but always the same, in their old order."""
    if n is None or n >= len(items):
        return items
    return [items[i] for i in sorted(random.Random(46).sample(range(len(items)), n))]


def _look_at(record: Record, listing: Listing, check: bool) -> None:
    """Measure a record's picture, its boxes and its mask; what is wrong with them goes to the record's problems."""
    path, problems = record.path, record.problems
    if record.label is None:
        return
    try:
        look = inspect_picture(path, check)
    except (PictureError, OSError) as error:
        problems.append((path, error, "picture left out"))
        return
    record.size = look.size
    if printable(path) != path:
        problems.append((path, "its name is not UTF-8", "picture used"))
    if look.note:
        problems.append((path, look.note, "picture used"))
    if record.annotation is not None:
        record.annotation.size = record.annotation.size or look.size
        record.boxes, objects, misfits = fit_boxes(record.annotation, look)
        problems += [(path, f"its annotation: {reason}", action) for reason, action in misfits]
        several = isinstance(record.label, list)
        record.objects = [listing.classes.index(item.name) if several else record.label for item in objects]
        if record.outlines is not None:
            turned = look.orientation in ROTATED and record.annotation.size != look.size
            record.outlines = [None if turned else item.outline for item in objects]
            record.unknown = [] if turned else record.unknown
        if "words" in record.facts:
            record.facts["words"] = [item.text for item in objects]
    if listing.object_numbers:
        try:
            # rows and columns of number 1, 2, …; or None
            regions = find_objects(read_label_map(record.mask, look.size))
            record.numbers = [k for k, region in enumerate(regions, 1) if region and k in listing.object_numbers]
            if not record.numbers:
                raise PictureError("marks no object")
        except (PictureError, OSError) as error:
            problems.append((record.mask, error, "picture used, all of its mask ignored or unlabelled"))
            record.mask = None
        found = [regions[k - 1] for k in record.numbers]
        record.boxes = torch.tensor([[x.start, y.start, x.stop, y.stop] for y, x in found]).float().reshape(-1, 4)
        record.objects = [k - 1 if listing.object_names else record.label for k in record.numbers]
