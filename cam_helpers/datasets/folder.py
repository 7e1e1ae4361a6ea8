"""Your own pictures: a folder per class, with PASCAL VOC boxes if there are any."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from PIL import Image

from .annotations import Annotation, AnnotationError, read_voc_xml
from .archives import SUFFIXES, unpack
from .base import RealDataset, Record, assemble, some
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
    root = Path(root).expanduser().absolute()
    problems = Problems(root)
    suffix = next((s for s in SUFFIXES if root.name.lower().endswith(s)), "")
    if suffix and root.is_file():
        archive, root = root, root.with_name(root.name[: -len(suffix)])
        problems = Problems(root)
        if not root.exists():
            problems += unpack(archive, root)
    if not root.is_dir():
        raise MissingData(
            f"there is no folder {printable(str(root))}: give the folder that holds one folder of pictures per class"
        )
    base = root
    if len(found := _classes(root)) == 1 and found[0].lower() in PICTURE_FOLDERS and _classes(root / found[0]):
        base = root / found[0]
    ready = [s for s in SPLITS[1:] if any(_classes(base / s))]
    if ready and split != "all" and split not in ready:
        raise ValueError(f"{printable(str(root))} has no folder for {split!r}; it has {', '.join(ready)}")
    tops = [base / s for s in ready] or [base]
    classes = sorted({c for top in tops for c in _classes(top)})
    flat = not classes or {c.lower() for c in classes} <= PICTURE_FOLDERS
    for stray in _files(base, deep=False) if classes else []:
        if _named_like_a_picture(stray):  # a licence or a list may lie here
            problems.add(stray, "lies in no folder of pictures", "file left out")
    dataset = RealDataset("imagefolder", split, [], problems)
    listing = _Listing(root, tops, classes)  # of all splits: annotations may be shared
    if ready and split != "all":
        own = os.path.join(base / split, "")
        listing.pictures = [(name, path) for name, path in listing.pictures if path.startswith(own)]
    if flat:
        records, names = _flat_records(listing, root.name, problems)
    else:
        records = [Record(path, classes.index(name)) for name, path in listing.pictures]
        names = classes
    if not ready and split != "all":
        share = {"train": (2, 3, 4), "val": (0,), "test": (1,)}[split]
        records = divide(records, share)
    records = some(records, n)
    if not flat:
        for record in records:
            _annotate(record, listing, classes, problems)
    for orphan in listing.orphans():
        problems.add(orphan, "belongs to no picture", "file left out")
    dataset.classes = [printable(name) for name in names]
    return assemble(dataset, records, check=check, has_boxes=listing.annotated, whole=n is None)


def divide(records: list[Record], share: tuple[int, ...], out_of: int = 5) -> list[Record]:
    """A fixed part of every class: the pictures are shuffled by the hash of their name and dealt like cards.

    share: which of the `out_of` hands to keep. Two shares without a common hand have no common picture.
    """

    def key(record):
        return hashlib.sha256(os.fsencode(os.path.basename(record.path))).digest(), record.path

    dealt, kept = {}, set()
    for record in sorted(records, key=key):
        place = dealt[record.label] = dealt.get(record.label, -1) + 1
        if place % out_of in share:
            kept.add(record.path)
    return [record for record in records if record.path in kept]


class _Listing:
    """All files of a folder: pictures with their class, and annotations by the pictures they may belong to."""

    def __init__(self, root: Path, tops: list[Path], classes: list[str]):
        self.pictures, self._beside, self._shared, self._odd = [], {}, {}, []
        self._pairs, self._count = set(), {}  # pictures with the same name, whatever their class
        for top in tops:
            for name in classes or [""]:
                for path in _files(top / name):
                    self._sort_in(name, path)
        for folder in sorted({f for place in {root, *tops} for f in place.iterdir() if _holds_annotations(f)}):
            for path in _files(folder):
                stem, inner = _stem(path), os.path.relpath(os.path.dirname(path), folder)
                if not path.lower().endswith(".xml"):
                    self._odd.append(path)
                elif inner in classes:
                    self._beside.setdefault((inner, stem), path)
                else:
                    self._shared.setdefault(stem, path)

    def _sort_in(self, name: str, path: str) -> None:
        if path.lower().endswith(".xml"):
            self._beside[name, _stem(path)] = path
        elif _holds_annotations(Path(path).parent):
            self._odd.append(path)
        else:
            self.pictures.append((name, path))
            self._pairs.add((name, _stem(path)))
            self._count[_stem(path)] = self._count.get(_stem(path), 0) + 1

    @property
    def annotated(self) -> bool:
        return bool(self._beside or self._shared)

    def annotation_of(self, name: str, path: str) -> str | None:
        """The annotation's path, "" if several pictures claim it, None if there is none."""
        stem = _stem(path)
        found = self._beside.get((name, stem)) or self._shared.get(stem)
        return "" if found and found == self._shared.get(stem) and self._count[stem] > 1 else found

    def orphans(self) -> list[str]:
        lonely = [p for pair, p in self._beside.items() if pair not in self._pairs]
        return sorted(self._odd + lonely + [p for stem, p in self._shared.items() if stem not in self._count])


def _flat_records(listing: _Listing, folder: str, problems: Problems) -> tuple[list[Record], list[str]]:
    """Pictures in one heap: their class is what their annotation says, or the folder's name if none has any."""
    if not listing.annotated:
        return [Record(path, 0) for _, path in listing.pictures], [folder]
    records, names = [], []
    for name, path in listing.pictures:
        annotation = _read(listing.annotation_of(name, path), path, problems, "picture left out: its class is unknown")
        if annotation is not None and annotation.names:
            area = [abs((c[2] - c[0]) * (c[3] - c[1])) for c in annotation.corners]
            largest = max(range(len(area)), key=lambda i, area=area: area[i] if area[i] == area[i] else -1)
            names.append(annotation.names[largest])
            records.append(Record(path, 0, annotation))
        elif annotation is not None:
            problems.add(path, "its annotation has no object", "picture left out: its class is unknown")
    classes = sorted(set(names))
    for record, name in zip(records, names, strict=True):
        record.label = classes.index(name)
        _keep_own_boxes(record, classes, problems)
    return records, classes


def _annotate(record: Record, listing: _Listing, classes: list[str], problems: Problems) -> None:
    if listing.annotated:
        found = listing.annotation_of(classes[record.label], record.path)
        record.annotation = _read(found, record.path, problems, "picture used without boxes")
        if record.annotation is not None:
            _keep_own_boxes(record, classes, problems)


def _read(found: str | None, picture: str, problems: Problems, action: str) -> Annotation | None:
    if not found:
        what = "has no annotation" if found is None else "shares its annotation with a picture of the same name"
        what += "" if _named_like_a_picture(picture) else " and no picture's extension"
        problems.add(picture, what, action)
        return None
    try:
        return read_voc_xml(found)
    except (AnnotationError, OSError) as error:
        problems.add(found, error, action)
        return None


def _keep_own_boxes(record: Record, classes: list[str], problems: Problems) -> None:
    """Boxes of the picture's own class; all of them if none carries the name of any class (folders named n02510455)."""
    known = {_plain(c): c for c in classes}
    names = [known.get(_plain(n)) for n in record.annotation.names]
    if not any(names):
        return
    own = [i for i, name in enumerate(names) if name == classes[record.label]]
    for other in sorted({record.annotation.names[i] for i in range(len(names)) if i not in own}):
        problems.add(record.path, f"has boxes of {other!r}, its class is {classes[record.label]!r}", "boxes left out")
    record.annotation = record.annotation.only(own)


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ").strip()


def _classes(top: Path) -> list[str]:
    if not top.is_dir():
        return []
    inside = (e.name for e in os.scandir(top) if e.is_dir() and not _litter(e.name))
    return sorted(name for name in inside if name.lower() not in ANNOTATION_FOLDERS)


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


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
