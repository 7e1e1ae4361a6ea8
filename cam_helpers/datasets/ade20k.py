"""ADE20K for scene parsing: a scene name and the objects' masks for every picture."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from torchvision.datasets.utils import download_url

from .archives import unpack
from .base import RealDataset, Record, assemble, some
from .known import absolute, provide
from .problems import Problems

URL = "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip"
SHA1 = "219e1696abb36c8ba3a3afe7fb2f4b4606a897c7"
SPLITS = {"training": "training", "validation": "validation", "train": "training", "val": "validation"}


def ade20k_scenes(root, split="training", *, download=False, check=True, n=None) -> RealDataset:
    """ADE20K's SceneParsing archive (0.9 GB): ADEChallengeData2016.zip in `root`, packed or unpacked.

    split    "training" ("train") or "validation" ("val")
    labels   the scene (sceneCategories.txt); classes are all scenes of both splits
    masks    uint8 (H, W): 0 = nothing named, k = object_classes[k]; object_classes[0] is "other"
    """
    root = absolute(root)
    folder = root if (root / "sceneCategories.txt").exists() else root / "ADEChallengeData2016"
    archive = root / "ADEChallengeData2016.zip"
    part = SPLITS[split]
    problems = Problems(folder)
    if not folder.exists() and archive.exists():
        problems += unpack(archive, folder)
    provide(
        root,
        [folder / "sceneCategories.txt", folder / "images" / part],
        download,
        lambda: _fetch(root, archive, folder, problems),
        f"datasets.open('ade20k_scenes', {str(root)!r}, {split!r}, download=True)",
        f"{URL}, unpacked in {root}",
    )
    scenes = {}
    for number, line in enumerate(_lines(folder / "sceneCategories.txt"), 1):
        words = line.split()
        if len(words) == 2:
            scenes[words[0]] = words[1]
        elif words:
            problems.add(folder / "sceneCategories.txt", f"line {number} is not a picture and a scene", "line left out")
    classes = sorted(set(scenes.values()))
    number = {name: i for i, name in enumerate(classes)}
    records = []
    for picture in sorted(p for p in (folder / "images" / part).iterdir() if not p.name.startswith(".")):
        if picture.stem not in scenes:
            problems.add(picture, "has no scene in sceneCategories.txt", "picture left out")
            continue
        mask = folder / "annotations" / part / f"{picture.stem}.png"
        records.append(Record(str(picture), number[scenes[picture.stem]], mask=str(mask)))
    present = {Path(r.path).stem for r in records}
    prefix = {"training": "ADE_train", "validation": "ADE_val"}[part]
    for name in sorted(s for s in set(scenes) - present if s.startswith(prefix)):
        problems.add(folder / "images" / part / f"{name}.jpg", "is listed and not there", "picture left out")
    dataset = RealDataset("ade20k_scenes", split, [c.replace("_", " ") for c in classes], problems)
    dataset.object_classes = _objects(folder / "objectInfo150.txt", problems)
    return assemble(dataset, some(records, n), check=check, has_boxes=False, decode_mask=_as_it_is, whole=False)


def _as_it_is(numbers: np.ndarray) -> dict[str, np.ndarray]:
    return {"masks": numbers}


def _objects(path: Path, problems: Problems) -> list[str]:
    """The 150 names: the last column, between tabs, of the lines that begin with a number."""
    names = ["other"] + [f"object {k}" for k in range(1, 151)]
    rows = [line.split("\t") for line in _lines(path)] if path.exists() else []
    known = {int(row[0]): row[-1].strip() for row in rows if len(row) > 1 and row[0].strip().isdecimal()}
    for k in set(known) & set(range(1, 151)):
        names[k] = known[k]
    if not known:
        problems.add(path, "is missing or has no table of names", "objects go without names")
    return names


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8", "backslashreplace").splitlines()


def _fetch(root: Path, archive: Path, folder: Path, problems: Problems) -> None:
    if not archive.exists():
        download_url(URL, str(root), archive.name)
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha1").hexdigest()
        if found != SHA1:
            archive.unlink()
            raise ValueError(f"the archive came damaged (SHA-1 {found})")
    problems += unpack(archive, folder)
