"""Sets that torchvision knows how to fetch (download, checksum, progress bar): pets, Imagenette, VOC 2007.

Only the download: the files are then read here, because one bad line or file makes torchvision's classes fail as a
whole. On clean data both see the same pictures and labels (tested).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
from torchvision import datasets as torchvision_sets

from .annotations import Annotation, AnnotationError, read_voc_xml
from .base import RealDataset, Record, assemble, some
from .folder import divide
from .problems import MissingData, Problems

# fmt: off
VOC_CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]
# fmt: on
IMAGENETTE_CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def pets(root, split="trainval", *, boxes="body", download=False, check=True, n=None) -> RealDataset:
    """Oxford-IIIT Pet: 37 breeds, a mask of every animal, 0.8 GB.

    split  "trainval" or "test" as published; "train" and "val" are four and one of every five of trainval.
    boxes  "body": the extent of the mask. "head": the published head boxes (XML; most of trainval, none of test).

    masks are True on the animal (1 in the published trimap), ignore is True on its blurred outline (3).
    """
    if boxes not in ("body", "head"):
        raise ValueError(f'boxes must be "body" or "head", not {boxes!r}')
    if (split, boxes) == ("test", "head"):
        raise ValueError('head boxes were published for trainval only: take boxes="body", or another split')
    root = absolute(root)
    published = split if split == "test" else "trainval"
    folder = root / "oxford-iiit-pet"
    listed = folder / "annotations" / f"{published}.txt"
    provide(
        root,
        [listed, folder / "images"],
        download,
        lambda: torchvision_sets.OxfordIIITPet(root, published, download=True),
        f"datasets.open('pets', {str(root)!r}, {split!r}, download=True)",
        f"images.tar.gz and annotations.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/pets/, unpacked in {folder}",
    )
    problems = Problems(folder)
    names: dict[int, str] = {}
    records = []
    for path in (folder / "annotations" / f"{s}.txt" for s in ("trainval", "test")):
        for name, number in _pairs(path, problems if path == listed else None):
            names.setdefault(number - 1, " ".join(word.title() for word in name.split("_")[:-1]))
            if path == listed:
                mask = folder / "annotations" / "trimaps" / f"{name}.png"
                records.append(Record(str(folder / "images" / f"{name}.jpg"), number - 1, mask=str(mask)))
    if split in ("train", "val"):
        records = divide(records, (0,) if split == "val" else (1, 2, 3, 4))
    records = some(records, n)
    if boxes == "head":
        for record in records:
            xml = folder / "annotations" / "xmls" / Path(record.path).with_suffix(".xml").name
            record.annotation = read_or_list(xml, record.path, problems, "picture used without boxes")
    classes = [names.get(i, f"class {i}") for i in range(max(names, default=-1) + 1)]
    dataset = RealDataset("pets", split, classes, problems)
    return assemble(
        dataset,
        records,
        check=check,
        has_boxes=True,
        decode_mask=_trimap,
        boxes_from_mask=boxes == "body",
        whole=n is None,
    )


def _trimap(numbers: np.ndarray) -> dict[str, np.ndarray]:
    return {"masks": numbers == 1, "ignore": (numbers != 1) & (numbers != 2)}


def imagenette(root, split="train", *, size="320px", download=False, check=True, n=None) -> RealDataset:
    """Imagenette: ten ImageNet classes, easy to tell apart; no boxes.

    size  of the shorter side: "160px" (0.1 GB), "320px" (0.3 GB), "full" (1.5 GB).
    """
    root = absolute(root)
    folder = root / {"full": "imagenette2", "320px": "imagenette2-320", "160px": "imagenette2-160"}[size]
    provide(
        root,
        [folder / split],
        download,
        lambda: torchvision_sets.Imagenette(root, split, size, download=True),
        f"datasets.open('imagenette', {str(root)!r}, {split!r}, size={size!r}, download=True)",
        f"{folder.name}.tgz from https://github.com/fastai/imagenette, unpacked in {root}",
    )
    problems = Problems(folder)
    parts = [folder / s for s in ("train", "val") if (folder / s).is_dir()]  # so that both count the classes alike
    found = sorted({entry.name for part in parts for entry in os.scandir(part) if entry.is_dir()})
    records = [
        Record(os.path.join(place, file), found.index(wnid))
        for wnid in found
        for place, _, files in sorted(os.walk(folder / split / wnid))
        for file in sorted(files)
        if not file.startswith(".")
    ]
    dataset = RealDataset("imagenette", split, [IMAGENETTE_CLASSES.get(w, w) for w in found], problems)
    return assemble(dataset, some(records, n), check=check, has_boxes=False, whole=n is None)


def voc2007(root, split="trainval", *, download=False, check=True, n=None) -> RealDataset:
    """PASCAL VOC 2007: 20 classes, several to a picture (labels are 0/1), all objects with boxes; 0.4 GB a download.

    split  "train", "val", "trainval" or "test". Objects marked as difficult count; `difficult` tells which they are.
    """
    root = absolute(root)
    folder = root / "VOCdevkit" / "VOC2007"
    listed = folder / "ImageSets" / "Main" / f"{split}.txt"
    provide(
        root,
        [listed],
        download,
        lambda: torchvision_sets.VOCDetection(root, "2007", split, download=True),
        f"datasets.open('voc2007', {str(root)!r}, {split!r}, download=True)",
        f"the development kit's archives from http://host.robots.ox.ac.uk/pascal/VOC/voc2007/, unpacked in {root}",
    )
    problems = Problems(folder)
    records = []
    lines = listed.read_text("utf-8", "surrogateescape").splitlines()
    for name in some([os.path.basename(line.split()[0]) for line in lines if line.strip()], n):
        picture = str(folder / "JPEGImages" / f"{name}.jpg")
        xml = folder / "Annotations" / f"{name}.xml"
        annotation = read_or_list(xml, picture, problems, "picture left out: its classes are unknown")
        if annotation is None:
            continue
        for other in sorted(set(annotation.names) - set(VOC_CLASSES)):
            problems.add(xml, f"has an object {other!r}, which is none of the 20 classes", "box left out")
        annotation = annotation.only([i for i, thing in enumerate(annotation.names) if thing in VOC_CLASSES])
        owners = [VOC_CLASSES.index(thing) for thing in annotation.names]
        records.append(Record(picture, [int(c in owners) for c in range(20)], annotation, owners))
    dataset = RealDataset("voc2007", split, list(VOC_CLASSES), problems)
    return assemble(dataset, records, check=check, has_boxes=True)


def read_or_list(xml: Path, picture: str, problems: Problems, action: str) -> Annotation | None:
    """The annotation, or None and a line in the list of problems."""
    try:
        return read_voc_xml(xml)
    except FileNotFoundError:
        problems.add(picture, "has no annotation", action)
    except (AnnotationError, OSError) as error:
        problems.add(xml, error, action)
    return None


def provide(root: Path, needed: list[Path], download: bool, fetch: Callable, call: str, source: str) -> None:
    """Make sure that the files are there: now, by download, or by saying how to get them."""
    if all(path.exists() for path in needed):
        return
    if not download:
        missing = next(path for path in needed if not path.exists())
        raise MissingData(f"{missing} is missing. Download with {call}, or by hand: {source}")
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # torchvision waits for ever on a network that does not answer
    try:
        root.mkdir(parents=True, exist_ok=True)
        fetch()
    except Exception as error:
        if not all(path.exists() for path in needed):
            raise MissingData(f"the download failed ({error}). Try again, or by hand: {source}") from error
        # it is all there: what torchvision does not like about it is listed below, file by file
    finally:
        socket.setdefaulttimeout(patience)
    if missing := [str(path) for path in needed if not path.exists()]:
        raise MissingData(f"{missing[0]} is still missing: move away what is in {root} and download again")


def _pairs(path: Path, problems: Problems | None):
    """(name, number) of the first two words of every line that has them."""
    if not path.exists():
        return
    for number, line in enumerate(path.read_text("utf-8", "surrogateescape").splitlines(), 1):
        words = line.split()
        if len(words) >= 2 and words[1].isdecimal() and int(words[1]) > 0 and os.sep not in words[0]:
            yield words[0], int(words[1])
        elif words and problems is not None:
            problems.add(path, f"line {number} is not a name and a class number", "line left out")


def absolute(root) -> Path:
    return Path(root).expanduser().absolute()
