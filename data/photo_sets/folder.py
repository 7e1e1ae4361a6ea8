"""Your own pictures: a folder per class, with PASCAL VOC boxes if there are any."""

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .annotations import Annotation
from .archives import SUFFIXES, unpack_once
from .base import Listing, Record
from .checking import MissingData, Problems, printable

SPLITS = ("all", "train", "val", "test")
SPLIT_NAMES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"} | {s: s for s in SPLITS[1:]}
ANNOTATION_FOLDERS = {"annotations", "annotation", "xml", "xmls"}
PICTURE_FOLDERS = {"images", "image", "jpegimages"}
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx"}  # what other systems leave behind; hidden files likewise
NOTES = re.compile(r"licen[cs]e|copying|notice|readme|citation|noisy_imagenette", re.IGNORECASE)
CLASS_UNKNOWN = "picture left out: its class is unknown"


def imagefolder(root: Path, split: str) -> Listing:
    """Open a folder of pictures, or a zip or tar archive of one (unpacked beside it).

    root/cat/*.jpg, root/dog/*.png …               the folder's name is the class
    root/train/cat/*.jpg, root/val/cat/*.jpg …     the same, already divided (also Training, valid, validation …)
    root/*.jpg or root/images/*.jpg, all with XML  the class is the name of the largest object
    root/a/cat/*.jpg, root/a/b/train/cat/*.jpg …   a lone folder around the others is passed over

    Annotations (PASCAL VOC XML with the picture's name) lie beside the pictures or in an `annotations` folder. In a
    picture of one class, boxes of another class are left out and listed, unless no box of the set has the name of a
    class. split "train", "val" or "test" takes the folder of that name; without such folders three, one and one of
    every five pictures of each class, by name.

    Every file is a picture of the set, an annotation of one, or listed in `.problems`; but for hidden files, those that
    systems leave behind, and notes beside the folders (README, LICENSE).
    """
    suffix, found = next((s for s in SUFFIXES if root.name.lower().endswith(s)), ""), []
    if suffix and root.is_file():
        archive, root = root, root.with_name(root.name[: -len(suffix)])
        found = unpack_once(archive, root)
    if not root.is_dir():
        wanted = "give the folder that holds one folder of pictures per class"
        raise MissingData(f"there is no folder {printable(str(root))}: {wanted}")
    return list_folders("imagefolder", root, split, Problems(root, found))


def list_folders(name: str, root: Path, split: str, problems: Problems, titles: dict | None = None) -> Listing:
    """List the pictures below a folder, with their classes and annotations.

    Args:
        name: of the set
        root: the folder
        split: one of SPLITS
        problems: found so far
        titles: what to call the classes instead of their folders' names
    """
    files, folders = _walk(root, problems)
    split_of = _find_tops(files, folders)
    splits = sorted(set(split_of.values()) - {"all"})
    if splits and split not in ("all", *splits):
        raise ValueError(f"{printable(str(root))} has no folder for {split!r}; it has {', '.join(splits)}")
    class_folders = [folder for folder in folders if folder.parent in split_of]
    classes = sorted({folder.name for folder in class_folders})
    unsorted = {name.lower() for name in classes} <= PICTURE_FOLDERS

    # every file is a picture below one of the tops, an annotation, or a problem
    records, chosen, annotations = {}, [], []
    outside = f"lies in none of the folders {', '.join(splits)}" if splits else "lies in no folder of pictures"
    for path in files:
        top = next((folder for folder in path.parents if folder in split_of), None)
        if path.suffix.lower() == ".xml":
            annotations.append(path)
        elif any(map(_holds_annotations, path.parents)):
            problems.add(root / path, "belongs to no picture", "file left out")
        elif top is not None and (path.parent != top or not class_folders):
            label = None if unsorted else classes.index(path.relative_to(top).parts[0])
            records[path] = Record(str(root / path), label)
            if split == "all" or split_of[top] in ("all", split):
                chosen.append(records[path])
        elif not NOTES.match(path.name):
            problems.add(root / path, outside, "file left out")

    if annotations:
        for path in _annotate(records, root, annotations, {*classes, *(top.name for top in split_of)}):
            problems.add(root / path, "belongs to no picture", "file left out")
        if unsorted:
            classes = _classes_from_boxes(list(records.values()))
        _keep_own_boxes([record for record in records.values() if record.label is not None], classes)
    elif unsorted:
        classes = [(root / next(iter(split_of))).name]
        for record in chosen:
            record.label = 0
    if not splits and split != "all":
        chosen = divide(chosen, {"train": (2, 3, 4), "val": (0,), "test": (1,)}[split])
    return Listing(name, split, [(titles or {}).get(c, c) for c in classes], problems, chosen)


def divide(records: list[Record], share: tuple[int, ...], out_of: int = 5) -> list[Record]:
    """A fixed part of every class: its pictures, in the order of a hash of their names, go to `out_of` parts in turn.

    share: which parts to keep. Two shares without a common part have no common picture.
    """

    def shuffled(record: Record) -> tuple[bytes, str]:
        return hashlib.sha256(os.fsencode(os.path.basename(record.path))).digest(), record.path

    seen, kept = Counter(), set()
    for record in sorted(records, key=shuffled):
        if seen[record.label] % out_of in share:
            kept.add(record.path)
        seen[record.label] += 1
    return [record for record in records if record.path in kept]


def _walk(root: Path, problems: Problems) -> tuple[list[Path], list[Path]]:
    """All files, and all folders but those of annotations, below a folder: relative to it, in a fixed order.

    A link to a folder elsewhere is followed, once; a link into the same folder, or around it, is listed.
    """
    files, folders, real_root = [], [], root.resolve()
    visited = {real_root}

    def unreadable(error: OSError) -> None:
        problems.add(error.filename, error, "folder left out")

    for place, inside, names in os.walk(root, onerror=unreadable, followlinks=True):
        here = Path(place)
        files += [(here / name).relative_to(root) for name in sorted(names) if not _is_system_file(name)]
        subfolders, inside[:] = sorted(name for name in inside if not _is_system_file(name)), []
        for path in (here / name for name in subfolders):
            real = path.resolve()
            around = real.is_relative_to(real_root) or real_root.is_relative_to(real)
            if real in visited or (path.is_symlink() and around):
                problems.add(path, "links to a folder that is read already", "link left out")
            else:
                visited.add(real)
                inside.append(path.name)
                folders.append(path.relative_to(root))
    return files, [folder for folder in folders if not any(map(_holds_annotations, (folder, *folder.parents)))]


def _find_tops(files: list[Path], folders: list[Path]) -> dict[Path, str]:
    """The folders that hold the folders of classes, or pictures, each with its split ("all" if there are none)."""
    pictures = [path for path in files if path.suffix.lower() in Image.registered_extensions()]
    with_pictures = {path.parent for path in pictures}
    around_pictures = {folder for path in pictures for folder in path.parents}
    base = Path()
    while True:
        inner = [folder for folder in folders if folder.parent == base and folder in around_pictures]
        named = {folder: SPLIT_NAMES.get(folder.name.casefold()) for folder in inner}
        splits = {folder: split for folder, split in named.items() if split}
        if len(inner) != 1 or splits or with_pictures & {base, *inner}:
            break
        base = inner[0]  # a lone folder around the others is passed over
    # a class may be called "train", too: then it holds pictures, and other classes lie beside it
    divided = len(splits) == len(inner) or not with_pictures & set(splits)
    return splits if splits and divided else {base: "all"}


def _annotate(records: dict[Path, Record], root: Path, annotations: list[Path], names: set[str]) -> list[Path]:
    """Read the annotation of every picture, or list why there is none. Returns the annotations that have no picture.

    An annotation is that of the picture of its name in its folder, else of the only one that lies below the same
    folders, as far as these are classes or splits (`names`).
    """
    by_stem, beside = defaultdict(list), {(path.parent, path.stem) for path in records}
    for xml in annotations:
        by_stem[xml.stem].append(xml)
    owned = {}
    for path in records:
        found = [xml for xml in by_stem[path.stem] if xml.parent == path.parent]
        if not found:
            free = [xml for xml in by_stem[path.stem] if (xml.parent, xml.stem) not in beside]
            agreeing = {xml: len(names & set(xml.parts)) for xml in free if names & set(xml.parts) <= set(path.parts)}
            found = [xml for xml, count in agreeing.items() if count == max(agreeing.values())]
        if len(found) == 1:
            owned[path] = found[0]
    owners = Counter(owned.values())
    for path, record in records.items():
        otherwise = CLASS_UNKNOWN if record.label is None else "picture used without boxes"
        if path not in owned:
            record.problems.append((record.path, "has no annotation", otherwise))
        elif owners[owned[path]] > 1:
            record.problems.append((record.path, "shares its annotation with a picture of the same name", otherwise))
        else:
            record.read_annotation(root / owned[path], otherwise)
    return sorted(set(annotations) - set(owners))


def _classes_from_boxes(records: list[Record]) -> list[str]:
    """The class of a picture that lies in no class's folder is its largest object. Returns the classes."""
    names = {}
    for record in records:
        objects = record.annotation.objects if record.annotation else []
        if objects:
            areas = [abs((x2 - x1) * (y2 - y1)) for x1, y1, x2, y2 in (item.corners for item in objects)]
            names[record.path] = objects[np.nan_to_num(areas, nan=-1).argmax()].name
        elif record.annotation:
            record.problems.append((record.path, "its annotation has no object", CLASS_UNKNOWN))
    classes = sorted(set(names.values()))
    for record in records:
        record.label = classes.index(names[record.path]) if record.path in names else None
    return classes


def _keep_own_boxes(records: Sequence[Record], classes: list[str]) -> None:
    """Boxes of the picture's own class; all boxes if none in the set has the name of a class (folders n02510455 …)."""
    plain_classes = [_plain(name) for name in classes]
    names = {_plain(item.name) for record in records if record.annotation for item in record.annotation.objects}
    for record in records:
        objects = record.annotation.objects if record.annotation else []
        own = [item for item in objects if _plain(item.name) == plain_classes[record.label]]
        own = own if names & set(plain_classes) else objects
        for other in sorted({item.name for item in objects} - {item.name for item in own}):
            reason = f"has boxes of {other!r}, its class is {classes[record.label]!r}"
            record.problems.append((record.path, reason, "boxes left out"))
        record.annotation = record.annotation or Annotation()
        record.annotation.objects = own


def _plain(name: str) -> str:
    return re.sub("[-_ ]+", " ", name.casefold()).strip()


def _is_system_file(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def _holds_annotations(folder: Path) -> bool:
    return folder.name.lower() in ANNOTATION_FOLDERS
