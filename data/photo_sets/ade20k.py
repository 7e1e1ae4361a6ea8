"""ADE20K for scene parsing: a scene name and the objects' masks for every picture."""

import hashlib
import re
from functools import partial
from pathlib import Path

from torchvision.datasets.utils import download_url

from .archives import unpack
from .base import Listing, Record
from .checking import Problems
from .torchvision_sets import provide, read_lines

URL = "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip"
SHA1 = "219e1696abb36c8ba3a3afe7fb2f4b4606a897c7"
SPLITS = ("training", "validation", "train", "val")


def ade20k_scenes(root: Path, split: str, *, download: bool = False) -> Listing:
    """ADE20K's SceneParsing archive (0.9 GB): ADEChallengeData2016.zip in `root`, packed or unpacked.

    split    "training" ("train") or "validation" ("val")
    labels   the scene (sceneCategories.txt); classes are all scenes of both splits
    masks    one for each of the 150 kinds in object_names (objectInfo150.txt) that the picture shows, all objects of a
             kind together; boxes are their extent
    """
    folder = root if (root / "sceneCategories.txt").exists() else root / "ADEChallengeData2016"
    archive = root / "ADEChallengeData2016.zip"
    part, prefix = ("training", "ADE_train") if split.startswith("train") else ("validation", "ADE_val")
    listed, images = folder / "sceneCategories.txt", folder / "images" / part
    problems = Problems(folder)
    fetch = partial(_fetch, archive, folder, problems) if download or archive.exists() else None
    provide(root, [listed, images], fetch, f"{URL}, unpacked in {root}", online=not archive.exists())
    scenes = dict(read_lines(listed, r"(\S+)\s+(\S+)", "a picture and a scene", problems))
    classes = sorted(set(scenes.values()))
    pictures = {path.stem: path for path in sorted(images.iterdir()) if not path.name.startswith(".")}
    records = []
    for name, path in pictures.items():
        if name in scenes:
            mask = folder / "annotations" / part / f"{name}.png"
            records.append(Record(str(path), classes.index(scenes[name]), mask=str(mask)))
        else:
            problems.add(path, "has no scene in sceneCategories.txt", "picture left out")
    for name in sorted(scenes):
        if name.startswith(prefix) and name not in pictures:
            problems.add(images / f"{name}.jpg", "is missing", "picture left out")
    classes, names = [name.replace("_", " ") for name in classes], _object_names(folder / "objectInfo150.txt", problems)
    kinds = {"object_names": names, "object_numbers": range(1, 151)}
    return Listing("ade20k_scenes", split, classes, problems, records, report_empty_classes=False, **kinds)


def _object_names(path: Path, problems: Problems) -> list[str]:
    """The 150 names: the last column, between tabs, of the lines that begin with a number."""
    text = path.read_text("utf-8", "backslashreplace") if path.exists() else ""
    names = {int(k): name.strip() for k, name in re.findall(r"^ *(\d+) *\t(?:.*\t)?(.*)$", text, re.MULTILINE)}
    if not names:
        problems.add(path, "is missing or has no table of names", "objects go without names")
    return [names.get(k, f"object {k}") for k in range(1, 151)]


def _fetch(archive: Path, folder: Path, problems: Problems) -> None:
    if not archive.exists():
        download_url(URL, str(archive.parent), archive.name)
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha1").hexdigest()
        if found != SHA1:
            archive.unlink()
            raise ValueError(f"the archive came damaged (SHA-1 {found})")
    problems += unpack(archive, folder)
