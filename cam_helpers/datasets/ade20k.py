"""ADE20K for scene parsing: a scene name and the objects' masks for every picture."""

from __future__ import annotations

import hashlib
import re
from functools import partial
from pathlib import Path

import numpy as np
from torchvision.datasets.utils import download_url

from .archives import unpack
from .base import RealDataset, Record, absolute, some
from .known import provide, read_lines
from .problems import Problems

URL = "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip"
SHA1 = "219e1696abb36c8ba3a3afe7fb2f4b4606a897c7"
SPLITS = ("training", "validation", "train", "val")


def ade20k_scenes(root, split="training", *, download=False, check=True, n=None) -> RealDataset:
    """ADE20K's SceneParsing archive (0.9 GB): ADEChallengeData2016.zip in `root`, packed or unpacked.

    split    "training" ("train") or "validation" ("val")
    labels   the scene (sceneCategories.txt); classes are all scenes of both splits
    masks    uint8 (H, W): 0 = nothing named, k = object_classes[k]; object_classes[0] is "other"
    """
    root = absolute(root)
    folder = root if (root / "sceneCategories.txt").exists() else root / "ADEChallengeData2016"
    archive = root / "ADEChallengeData2016.zip"
    part, prefix = ("training", "ADE_train") if split.startswith("train") else ("validation", "ADE_val")
    listed, images = folder / "sceneCategories.txt", folder / "images" / part
    problems = Problems(folder)
    if not folder.exists() and archive.exists():
        problems += unpack(archive, folder)
    provide(
        f"datasets.open('ade20k_scenes', {str(root)!r}, {split!r}, download=True)",
        [listed, images],
        download and partial(_fetch, archive, folder, problems),
        f"{URL}, unpacked in {root}",
        root,
    )
    scenes = dict(read_lines(listed, r"(\S+)\s+(\S+)", "a picture and a scene", problems))
    classes = sorted(set(scenes.values()))
    records = []
    for picture in sorted(p for p in images.iterdir() if not p.name.startswith(".")):
        if picture.stem in scenes:
            mask = folder / "annotations" / part / f"{picture.stem}.png"
            records.append(Record(str(picture), classes.index(scenes[picture.stem]), mask=str(mask)))
        else:
            problems.add(picture, "has no scene in sceneCategories.txt", "picture left out")
    present = {Path(r.path).stem for r in records}
    for name in sorted(s for s in set(scenes) - present if s.startswith(prefix)):
        problems.add(images / f"{name}.jpg", "is listed and not there", "picture left out")
    objects = _objects(folder / "objectInfo150.txt", problems)
    classes, layers = [c.replace("_", " ") for c in classes], {"masks": np.asarray}
    how = {"check": check, "layers": layers, "whole": False}
    dataset = RealDataset("ade20k_scenes", split, classes, problems, some(records, n), **how)
    dataset.object_classes = objects
    return dataset


def _objects(path: Path, problems: Problems) -> list[str]:
    """The 150 names: the last column, between tabs, of the lines that begin with a number."""
    text = path.read_text("utf-8", "backslashreplace") if path.exists() else ""
    known = {int(k): name.strip() for k, name in re.findall(r"^ *(\d+) *\t(?:.*\t)?(.*)$", text, re.MULTILINE)}
    if not known:
        problems.add(path, "is missing or has no table of names", "objects go without names")
    return ["other"] + [known.get(k, f"object {k}") for k in range(1, 151)]


def _fetch(archive: Path, folder: Path, problems: Problems) -> None:
    if not archive.exists():
        download_url(URL, str(archive.parent), archive.name)
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha1").hexdigest()
        if found != SHA1:
            archive.unlink()
            raise ValueError(f"the archive came damaged (SHA-1 {found})")
    problems += unpack(archive, folder)
