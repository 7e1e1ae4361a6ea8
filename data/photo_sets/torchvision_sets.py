"""Sets that torchvision can download (with checksum and progress bar): pets, Imagenette, VOC 2007.

Only the download: the files are then read here, because one bad line or file makes torchvision's classes fail as a
whole. On clean data both give the same pictures and labels (tested).
"""

import re
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from torchvision import datasets as torchvision_sets
from torchvision.models.segmentation import FCN_ResNet50_Weights

from cam_helpers.files import offline

from .base import Listing, Record
from .checking import MissingData, Problems
from .folder import divide, list_folders

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


def pets(root: Path, split: str, *, download: bool = False) -> Listing:
    """Oxford-IIIT Pet: 37 breeds, a mask of every animal, 0.8 GB.

    split  "trainval" or "test" as published; "train" and "val" are four and one of every five of trainval.

    masks are True on the animal (1 in the published trimap), boxes are their extent, ignore is True on the animal's
    blurred outline (3).
    """
    published = split if split == "test" else "trainval"
    folder = root / "oxford-iiit-pet"
    notes = folder / "annotations"
    source = "images.tar.gz and annotations.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/pets/"
    fetch = partial(torchvision_sets.OxfordIIITPet, root, published, download=True) if download else None
    provide(root, [notes / f"{published}.txt", folder / "images"], fetch, f"{source}, unpacked in {folder}")
    problems, names, records = Problems(folder), {}, []
    for part in ("trainval", "test"):  # both, for the names of all classes
        own = problems if part == published else Problems(folder)
        form = r"([^\s/\\]+)\s+0*([1-9]\d*)(?:\s.*)?"
        for name, number in read_lines(notes / f"{part}.txt", form, "a name and a class number", own):
            label = int(number) - 1
            names.setdefault(label, name.rpartition("_")[0].replace("_", " ").title())
            if part == published:
                mask = str(notes / "trimaps" / f"{name}.png")
                records.append(Record(str(folder / "images" / f"{name}.jpg"), label, mask=mask))
    if split != published:
        records = divide(records, (0,) if split == "val" else (1, 2, 3, 4))
    classes = [names.get(i, f"class {i}") for i in range(max(names, default=-1) + 1)]
    return Listing("pets", split, classes, problems, records, object_numbers=(1,), ignored=(0, 3))


def imagenette(root: Path, split: str, *, variant: str = "320px", download: bool = False) -> Listing:
    """Imagenette: ten ImageNet classes, easy to tell apart; no boxes.

    Args:
        root: folder of the set
        split: "train" or "val"
        variant: the published length of the shorter side: "160px" (0.1 GB), "320px" (0.3 GB), "full" (1.5 GB)
        download: fetch it where it is missing
    """
    folder = root / {"full": "imagenette2", "320px": "imagenette2-320", "160px": "imagenette2-160"}[variant]
    source = f"{folder.name}.tgz from https://github.com/fastai/imagenette, unpacked in {root}"
    fetch = partial(torchvision_sets.Imagenette, root, split, variant, download=True) if download else None
    provide(root, [folder / split], fetch, source)
    return list_folders("imagenette", folder, split, Problems(folder), IMAGENETTE_CLASSES)


def voc2007(root: Path, split: str, *, download: bool = False) -> Listing:
    """PASCAL VOC 2007: 20 classes, several to a picture (labels are 0/1), all objects with boxes; 0.4 GB a download.

    split  "train", "val", "trainval" or "test". Objects marked as difficult count like the others.
    """
    folder = root / "VOCdevkit" / "VOC2007"
    listed = folder / "ImageSets" / "Main" / f"{split}.txt"
    source = f"the development kit's archives from http://host.robots.ox.ac.uk/pascal/VOC/voc2007/, unpacked in {root}"
    fetch = partial(torchvision_sets.VOCDetection, root, "2007", split, download=True) if download else None
    provide(root, [listed], fetch, source)
    problems, records = Problems(folder), []
    for (line,) in read_lines(listed, r"(\S+).*", "a name", problems):
        name = Path(line).name
        record, xml = Record(str(folder / "JPEGImages" / f"{name}.jpg")), folder / "Annotations" / f"{name}.xml"
        records.append(record)
        record.read_annotation(xml, "picture left out: its classes are unknown")
        if record.annotation is None:
            continue
        found = {item.name for item in record.annotation.objects}
        for other in sorted(found - set(VOC_CLASSES)):
            reason = f"has an object {other!r}, which is none of the 20 classes"
            record.problems.append((xml, reason, "box left out"))
        record.annotation.objects = [item for item in record.annotation.objects if item.name in VOC_CLASSES]
        record.label = [int(name in found) for name in VOC_CLASSES]
    return Listing("voc2007", split, VOC_CLASSES, problems, records)


def provide(root: Path, needed: list[Path], fetch: Callable | None, source: str, online: bool = True) -> None:
    """Make sure that the files of a set are there.

    Args:
        root: folder that is made for a download
        needed: files and folders that must exist
        fetch: downloads them; None: nobody asked for it
        source: where they can be had by hand
        online: `fetch` needs the network

    Raises:
        MissingData: something is missing, and how to get it; with CAM_OFFLINE nothing is downloaded
    """
    missing = [path for path in needed if not path.exists()]
    if not missing:
        return
    if not fetch or (online and offline()):
        remedy = "CAM_OFFLINE is set: unset it" if fetch else "Open the set with download=True"
        raise MissingData(f"{missing[0]} is missing. {remedy}, or get it by hand: {source}")
    reason, timeout = f"{missing[0]} is still missing", socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # torchvision waits for ever on a network that does not answer
    try:
        root.mkdir(parents=True, exist_ok=True)
        fetch()
    except Exception as error:  # if everything is there nevertheless, what is wrong with it is listed file by file
        reason = error
    finally:
        socket.setdefaulttimeout(timeout)
    if not all(path.exists() for path in needed):
        raise MissingData(f"the download failed ({reason}). Try again, or get it by hand: {source}")


def read_lines(path: Path, pattern: str, what: str, problems: Problems) -> Iterator[tuple[str, ...]]:
    """The groups of a pattern in every line that has its form; what other lines there are is listed.

    Args:
        path: a text file; one that is not there has no lines
        pattern: a regular expression for a whole line
        what: what a line should be, for the list
        problems: the list
    """
    lines = path.read_text("utf-8-sig", "surrogateescape").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        if found := re.fullmatch(pattern, line.strip()):
            yield found.groups()
        elif line.strip():
            problems.add(path, f"line {number} is not {what}", "line left out")
