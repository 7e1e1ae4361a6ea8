"""Sets that torchvision knows how to fetch (download, checksum, progress bar): pets, Imagenette, VOC 2007.

Only the download: the files are then read here, because one bad line or file makes torchvision's classes fail as a
whole. On clean data both see the same pictures and labels (tested).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from torchvision import datasets as torchvision_sets
from torchvision.models.segmentation import FCN_ResNet50_Weights

from .annotations import Annotation, read_or_list
from .base import RealDataset, Record, absolute, some
from .folder import divide, open_folders
from .problems import MissingData, Problems

VOC_CLASSES = FCN_ResNet50_Weights.DEFAULT.meta["categories"][1:]  # without the background
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
TRIMAP = {"masks": partial(np.equal, 1), "ignore": partial(np.isin, test_elements=(1, 2), invert=True)}


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
    published = split if split == "test" else "trainval"
    root = absolute(root)
    folder = root / "oxford-iiit-pet"
    notes = folder / "annotations"
    provide(
        f"datasets.open('pets', {str(root)!r}, {split!r}, download=True)",
        [notes / f"{published}.txt", folder / "images"],
        download and partial(torchvision_sets.OxfordIIITPet, root, published, download=True),
        f"images.tar.gz and annotations.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/pets/, unpacked in {folder}",
        root,
    )
    problems = Problems(folder)
    form = r"([^\s/\\]+)\s+0*([1-9]\d*)(?:\s.*)?"
    lists, names = {}, {}
    for part in ("trainval", "test"):  # both, for the names of all classes
        own = problems if part == published else Problems(folder)
        lines = read_lines(notes / f"{part}.txt", form, "a name and a class number", own)
        lists[part] = [(name, int(number) - 1) for name, number in lines]
        for name, label in lists[part]:
            names.setdefault(label, name.rpartition("_")[0].replace("_", " ").title())
    records = [
        Record(str(folder / "images" / f"{name}.jpg"), label, mask=str(notes / "trimaps" / f"{name}.png"))
        for name, label in lists[published]
    ]
    if split != published:
        records = divide(records, (0,) if split == "val" else (1, 2, 3, 4))
    records = some(records, n)
    if boxes == "head":
        for record in records:
            xml = notes / "xmls" / Path(record.path).with_suffix(".xml").name
            found = read_or_list(xml, record.path, problems, "picture used without boxes")
            record.annotation = found or Annotation()
    classes = [names.get(i, f"class {i}") for i in range(max(names, default=-1) + 1)]
    how = {"check": check, "layers": TRIMAP, "mask_boxes": boxes == "body", "whole": n is None}
    return RealDataset("pets", split, classes, problems, records, **how)


def imagenette(root, split="train", *, size="320px", download=False, check=True, n=None) -> RealDataset:
    """Imagenette: ten ImageNet classes, easy to tell apart; no boxes.

    size  of the shorter side: "160px" (0.1 GB), "320px" (0.3 GB), "full" (1.5 GB).
    """
    root = absolute(root)
    folder = root / {"full": "imagenette2", "320px": "imagenette2-320", "160px": "imagenette2-160"}[size]
    provide(
        f"datasets.open('imagenette', {str(root)!r}, {split!r}, size={size!r}, download=True)",
        [folder / split],
        download and partial(torchvision_sets.Imagenette, root, split, size, download=True),
        f"{folder.name}.tgz from https://github.com/fastai/imagenette, unpacked in {root}",
        root,
    )
    return open_folders("imagenette", folder, split, Problems(folder), check=check, n=n, titles=IMAGENETTE_CLASSES)


def voc2007(root, split="trainval", *, download=False, check=True, n=None) -> RealDataset:
    """PASCAL VOC 2007: 20 classes, several to a picture (labels are 0/1), all objects with boxes; 0.4 GB a download.

    split  "train", "val", "trainval" or "test". Objects marked as difficult count; `difficult` tells which they are.
    """
    root = absolute(root)
    folder = root / "VOCdevkit" / "VOC2007"
    listed = folder / "ImageSets" / "Main" / f"{split}.txt"
    provide(
        f"datasets.open('voc2007', {str(root)!r}, {split!r}, download=True)",
        [listed],
        download and partial(torchvision_sets.VOCDetection, root, "2007", split, download=True),
        f"the development kit's archives from http://host.robots.ox.ac.uk/pascal/VOC/voc2007/, unpacked in {root}",
        root,
    )
    problems = Problems(folder)
    records = []
    lines = read_lines(listed, r"(\S+).*", "a name", problems)
    for name in some([Path(words[0]).name for words in lines], n):
        picture, xml = str(folder / "JPEGImages" / f"{name}.jpg"), folder / "Annotations" / f"{name}.xml"
        annotation = read_or_list(xml, picture, problems, "picture left out: its classes are unknown")
        if annotation is None:
            continue
        found = {thing.name for thing in annotation.things}
        for other in sorted(found - set(VOC_CLASSES)):
            problems.add(xml, f"has an object {other!r}, which is none of the 20 classes", "box left out")
        annotation.things = [thing for thing in annotation.things if thing.name in VOC_CLASSES]
        records.append(Record(picture, [int(c in found) for c in VOC_CLASSES], annotation))
    return RealDataset("voc2007", split, VOC_CLASSES, problems, records, check=check)


def provide(call: str, needed: list[Path], fetch: Callable | bool, source: str, root: Path) -> None:
    """Make sure that the files are there: now, by download (`fetch`, or False), or by saying how to get them."""

    def missing():
        return [path for path in needed if not path.exists()]

    if not missing():
        return
    if not fetch:
        raise MissingData(f"{missing()[0]} is missing. Download with {call}, or by hand: {source}")
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # torchvision waits for ever on a network that does not answer
    try:
        root.mkdir(parents=True, exist_ok=True)
        fetch()
    except Exception as error:
        if missing():
            raise MissingData(f"the download failed ({error}). Try again, or by hand: {source}") from error
        # it is all there: what torchvision does not like about it is listed below, file by file
    finally:
        socket.setdefaulttimeout(patience)
    if missing():
        raise MissingData(f"{missing()[0]} is still missing: move away what is in {root} and download again")


def read_lines(path: Path, pattern: str, what: str, problems: Problems) -> Iterator[tuple[str, ...]]:
    """The groups of `pattern` in every line that has its form; what other lines there are is listed."""
    lines = path.read_text("utf-8", "surrogateescape").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        if found := re.fullmatch(pattern, line.strip()):
            yield found.groups()
        elif line.strip():
            problems.add(path, f"line {number} is not {what}", "line left out")
