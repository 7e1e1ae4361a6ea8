"""Your own pictures: a folder per class, with PASCAL VOC boxes if there are any."""

import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from .annotations import Annotation
from .archives import SUFFIXES, unpack
from .base import Listing, Record
from .checking import MissingData, Problems, printable

SPLITS = ("all", "train", "val", "test")
ANNOTATION_FOLDERS = {"annotations", "annotation", "xml", "xmls"}
PICTURE_FOLDERS = {"images", "image", "jpegimages"}
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx"}  # what other systems leave behind; hidden files likewise


def imagefolder(root: Path, split: str) -> Listing:
    """Open a folder of pictures, or a zip or tar archive of one (unpacked beside it).

    root/cat/*.jpg, root/dog/*.png …               the folder's name is the class
    root/train/cat/*.jpg, root/val/cat/*.jpg …     the same, already divided
    root/images/cat/*.jpg, root/images/train/cat … the same, one floor down
    root/*.jpg or root/images/*.jpg, all with XML  the class is the name of the largest object

    Annotations (PASCAL VOC XML with the picture's name) lie beside the pictures or in an `annotations` folder. In a
    picture of one class, boxes of another class are left out and listed. split "train", "val" or "test" takes the
    folder of that name; without such folders three, one and one of every five pictures of each class, by name.
    """
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
    return list_folders("imagefolder", root, split, problems)


def list_folders(
    name: str, root: Path, split: str, problems: Problems, titles: dict[str, str] | None = None
) -> Listing:
    """List the pictures below a folder, with their classes and annotations.

    Args:
        name: of the set
        root: the folder
        split: one of SPLITS
        problems: found so far
        titles: what to call the classes instead of their folders' names
    """
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
    listing = _Files(root, tops, classes)  # of all splits: annotations may be shared
    pictures = listing.pictures
    if ready and split != "all":
        pictures = [(c, path) for c, path in pictures if path.startswith(os.path.join(base / split, ""))]
    in_a_heap = {c.lower() for c in classes} <= PICTURE_FOLDERS
    records = [Record(path, None if in_a_heap else classes.index(c)) for c, path in pictures]
    if listing.annotated:
        for record, (c, _) in zip(records, pictures, strict=True):
            listing.annotate(record, c)
        if in_a_heap:
            classes = _classes_from_boxes(records)
        for record in records:
            record.annotation = record.annotation or Annotation()
            _keep_own_boxes(record, classes)
    elif in_a_heap:
        classes = [root.name]
        for record in records:
            record.label = 0
    if not ready and split != "all":
        records = divide(records, {"train": (2, 3, 4), "val": (0,), "test": (1,)}[split])
    for orphan in listing.orphans():
        problems.add(orphan, "belongs to no picture", "file left out")
    return Listing(name, split, [(titles or {}).get(c, c) for c in classes], problems, records)


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


class _Files:
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

    def annotate(self, record: Record, name: str) -> None:
        """Read the annotation of a picture of class `name`; if there is none, that is listed."""
        otherwise = "picture left out: its class is unknown" if record.label is None else "picture used without boxes"
        anyones = self._found.get((None, _stem(record.path)))
        found = self._found.get((name, _stem(record.path)), anyones)
        if found and (found != anyones or self._count[None, _stem(record.path)] == 1):
            record.read_annotation(found, otherwise)
        else:
            what = "shares its annotation with a picture of the same name" if found else "has no annotation"
            record.problems.append((record.path, what, otherwise))

    def orphans(self) -> list[str]:
        return sorted(self._odd + [path for key, path in self._found.items() if key not in self._count])


def _classes_from_boxes(records: list[Record]) -> list[str]:
    """Pictures in one heap: their class is what their annotation calls the largest object. Returns the classes."""
    names = {}
    for record in records:
        objects = record.annotation.objects if record.annotation else []
        if objects:
            areas = [abs((x2 - x1) * (y2 - y1)) for x1, y1, x2, y2 in (item.corners for item in objects)]
            names[record.path] = objects[np.nan_to_num(areas, nan=-1).argmax()].name
        elif record.annotation:
            reason = "its annotation has no object"
            record.problems.append((record.path, reason, "picture left out: its class is unknown"))
    classes = sorted(set(names.values()))
    for record in records:
        record.label = classes.index(names[record.path]) if record.path in names else None
    return classes


def _keep_own_boxes(record: Record, classes: list[str]) -> None:
    """Boxes of the picture's own class; all of them if none carries the name of any class (folders named n02510455)."""
    objects = record.annotation.objects
    known = {_plain(c): c for c in classes}
    if record.label is None or not any(_plain(item.name) in known for item in objects):
        return
    own = [item for item in objects if known.get(_plain(item.name)) == classes[record.label]]
    for other in sorted({item.name for item in objects} - {item.name for item in own}):
        reason = f"has boxes of {other!r}, its class is {classes[record.label]!r}"
        record.problems.append((record.path, reason, "boxes left out"))
    record.annotation.objects = own


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ").strip()


def _classes(top: Path) -> list[str]:
    inside = [p for p in top.iterdir() if p.is_dir()] if top.is_dir() else []
    return sorted(p.name for p in inside if not _is_system_file(p.name) and not _holds_annotations(p))


def _files(folder: Path, deep: bool = True) -> list[str]:
    """All files below a folder, without hidden and system files, in a fixed order."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if deep and not _is_system_file(f))
        found += [os.path.join(place, f) for f in sorted(files) if not _is_system_file(f)]
    return found


def _named_like_a_picture(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in Image.registered_extensions()


def _is_system_file(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def _holds_annotations(folder: Path) -> bool:
    return folder.name.lower() in ANNOTATION_FOLDERS


def _is_xml(path: str) -> bool:
    return path.lower().endswith(".xml")


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
