"""Your own pictures: a folder per class, with PASCAL VOC boxes if there are any."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from .annotations import Annotation, read_or_list
from .archives import SUFFIXES, unpack
from .base import RealDataset, Record, absolute, some
from .problems import MissingData, Problems, printable

SPLITS = ("all", "train", "val", "test")
ANNOTATION_FOLDERS = {"annotations", "annotation", "xml", "xmls"}
PICTURE_FOLDERS = {"images", "image", "jpegimages"}
LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # what other systems leave behind; hidden files likewise


def imagefolder(root, split: str = "all", *, check: bool = True, n: int | None = None) -> RealDataset:
    """Open a folder of pictures, or a zip or tar archive of one (unpacked beside it).

    root/cat/*.jpg, root/dog/*.png …               the folder's name is the class
    root/train/cat/*.jpg, root/val/cat/*.jpg …     the same, already divided
    root/images/cat/*.jpg, root/images/train/cat … the same, one floor down
    root/*.jpg or root/images/*.jpg, all with XML  the class is the name of the largest object

    Annotations (PASCAL VOC XML with the picture's name) lie beside the pictures or in an `annotations` folder. In a
    picture of one class, boxes of another class are left out and listed. split "train", "val" or "test" takes the
    folder of that name; without such folders three, one and one of every five pictures of each class, by name.
    """
    root = absolute(root)
    archive, suffix = root, next((s for s in SUFFIXES if root.name.lower().endswith(s)), "")
    if suffix and archive.is_file():
        root = root.with_name(root.name[: -len(suffix)])
    problems = Problems(root)
    if archive != root and not root.exists():
        problems += unpack(archive, root)
    if not root.is_dir():
        raise MissingData(
            f"there is no folder {printable(str(root))}: give the folder that holds one folder of pictures per class"
        )
    return open_folders("imagefolder", root, split, problems, check=check, n=n)


def open_folders(name: str, root: Path, split: str, problems: Problems, *, check, n, titles=None) -> RealDataset:
    """`imagefolder` for a folder that is there; titles: what to call the classes instead of their folders' names."""
    base = root
    if len(found := _classes(root)) == 1 and found[0].lower() in PICTURE_FOLDERS and _classes(root / found[0]):
        base = root / found[0]
    ready = [s for s in SPLITS[1:] if any(_classes(base / s))]
    if ready and split not in ("all", *ready):
        raise ValueError(f"{printable(str(root))} has no folder for {split!r}; it has {', '.join(ready)}")
    tops = [base / s for s in ready] or [base]
    classes = sorted({c for top in tops for c in _classes(top)})
    for stray in _files(base, deep=False) if classes else []:
        if _named_like_a_picture(stray):  # a licence or a list may lie here
            problems.add(stray, "lies in no folder of pictures", "file left out")
    listing = _Listing(root, tops, classes)  # of all splits: annotations may be shared
    pictures = listing.pictures
    if ready and split != "all":
        pictures = [(c, path) for c, path in pictures if path.startswith(os.path.join(base / split, ""))]
    in_a_heap = {c.lower() for c in classes} <= PICTURE_FOLDERS
    if not in_a_heap:
        records = [Record(path, classes.index(c)) for c, path in pictures]
    elif listing.annotated:
        records, classes = _classes_from_boxes(listing, pictures, problems)
    else:
        records, classes = [Record(path, 0) for _, path in pictures], [root.name]
    if not ready and split != "all":
        records = divide(records, {"train": (2, 3, 4), "val": (0,), "test": (1,)}[split])
    records = some(records, n)
    if listing.annotated and not in_a_heap:
        for record in records:
            found = listing.read(classes[record.label], record.path, problems, "picture used without boxes")
            record.annotation = found or Annotation()
            _keep_own_boxes(record, classes, problems)
    for orphan in listing.orphans():
        problems.add(orphan, "belongs to no picture", "file left out")
    classes = [(titles or {}).get(c, c) for c in classes]
    return RealDataset(name, split, classes, problems, records, check=check, whole=n is None)


def divide(records: list[Record], share: tuple[int, ...], out_of: int = 5) -> list[Record]:
    """A fixed part of every class: the pictures are shuffled by the hash of their name and dealt like cards.

    share: which of the `out_of` hands to keep. Two shares without a common hand have no common picture.
    """

    def key(record):
        return hashlib.sha256(os.fsencode(os.path.basename(record.path))).digest(), record.path

    dealt, kept = Counter(), set()
    for record in sorted(records, key=key):
        if dealt[record.label] % out_of in share:
            kept.add(record.path)
        dealt[record.label] += 1
    return [record for record in records if record.path in kept]


class _Listing:
    """All files of a folder: pictures with their class, and annotations by the pictures they may belong to."""

    def __init__(self, root: Path, tops: list[Path], classes: list[str]):
        self.pictures, self._odd, self._found = [], [], {}  # found: (class, or None for any; stem) → annotation
        for name, path in ((c, path) for top in tops for c in classes or [""] for path in _files(top / c)):
            if _is_xml(path):
                self._found[name, _stem(path)] = path
            elif _holds_annotations(Path(path).parent):
                self._odd.append(path)
            else:
                self.pictures.append((name, path))
        for folder in sorted({f for place in {root, *tops} for f in place.iterdir() if _holds_annotations(f)}):
            for path in _files(folder):
                inner = os.path.relpath(os.path.dirname(path), folder)
                if _is_xml(path):
                    self._found.setdefault((inner if inner in classes else None, _stem(path)), path)
                else:
                    self._odd.append(path)
        self.annotated = bool(self._found)
        self._count = Counter((c, _stem(path)) for name, path in self.pictures for c in (name, None))

    def read(self, name: str, path: str, problems: Problems, action: str) -> Annotation | None:
        """The annotation of a picture of class `name`, or None and a line in the list of problems."""
        anyones = self._found.get((None, _stem(path)))
        found = self._found.get((name, _stem(path)), anyones)
        if found and (found != anyones or self._count[None, _stem(path)] == 1):
            return read_or_list(found, path, problems, action)
        what = "shares its annotation with a picture of the same name" if found else "has no annotation"
        what += "" if _named_like_a_picture(path) else " and no picture's extension"
        problems.add(path, what, action)
        return None

    def orphans(self) -> list[str]:
        return sorted(self._odd + [path for key, path in self._found.items() if key not in self._count])


def _classes_from_boxes(listing: _Listing, pictures: list, problems: Problems) -> tuple[list[Record], list[str]]:
    """Pictures in one heap: their class is what their annotation calls the largest object."""
    records, names, action = [], [], "picture left out: its class is unknown"
    for name, path in pictures:
        annotation = listing.read(name, path, problems, action)
        if annotation is not None and annotation.things:
            areas = [abs((x2 - x1) * (y2 - y1)) for x1, y1, x2, y2 in (t.corners for t in annotation.things)]
            names.append(annotation.things[np.nan_to_num(areas, nan=-1).argmax()].name)
            records.append(Record(path, 0, annotation))
        elif annotation is not None:
            problems.add(path, "its annotation has no object", action)
    classes = sorted(set(names))
    for record, name in zip(records, names, strict=True):
        record.label = classes.index(name)
        _keep_own_boxes(record, classes, problems)
    return records, classes


def _keep_own_boxes(record: Record, classes: list[str], problems: Problems) -> None:
    """Boxes of the picture's own class; all of them if none carries the name of any class (folders named n02510455)."""
    things = record.annotation.things
    known = {_plain(c): c for c in classes}
    if not any(_plain(t.name) in known for t in things):
        return
    own = [t for t in things if known.get(_plain(t.name)) == classes[record.label]]
    for other in sorted({t.name for t in things} - {t.name for t in own}):
        problems.add(record.path, f"has boxes of {other!r}, its class is {classes[record.label]!r}", "boxes left out")
    record.annotation.things = own


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ").strip()


def _classes(top: Path) -> list[str]:
    inside = [p for p in top.iterdir() if p.is_dir()] if top.is_dir() else []
    return sorted(p.name for p in inside if not _litter(p.name) and not _holds_annotations(p))


def _files(folder: Path, deep: bool = True) -> list[str]:
    """All files below a folder, litter left out, in a fixed order."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if deep and not _litter(f))
        found += [os.path.join(place, f) for f in sorted(files) if not _litter(f)]
    return found


def _named_like_a_picture(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in Image.registered_extensions()


def _litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in LITTER


def _holds_annotations(folder: Path) -> bool:
    return folder.name.lower() in ANNOTATION_FOLDERS


def _is_xml(path: str) -> bool:
    return path.lower().endswith(".xml")


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
