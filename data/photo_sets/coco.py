"""COCO 2017: boxes, outlines and names of objects, captions, licence and source of every photograph."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cam_helpers.images import MAX_PIXELS

from .annotations import AnnotatedObject, Annotation, number
from .base import Listing, Record
from .checking import MissingData, Problems
from .downloads import fetch_members, fetch_photos
from .outlines import read_outline
from .torchvision_sets import provide

SERVER = "http://images.cocodataset.org"
SPLITS = ("val", "train")
FREE = ("4", "5", "7", "8")  # attribution, the same with share-alike, no known restrictions, works of the US government


def coco(root: Path, split: str, *, words=None, licence: str | None = None, download: bool = False) -> Listing:
    """COCO 2017 in its published layout: root/val2017/*.jpg, root/annotations/instances_val2017.json and captions_….

    labels are 0/1 for each of the 80 categories. A mask is given for the objects that have an outline (`has_mask` says
    which); the boxes of the others, and groups of objects that are not told apart ("crowd"), are in `ignore`.

    Args:
        root: folder of the set
        split: "train" or "val"
        words: only photographs whose captions say so: a phrase or a function, see `cam_helpers.probes.caption_labels`
        licence: "free" leaves out photographs that may not be used commercially, or not be changed
        download: fetch what is missing: the two files, a few MB out of an archive of 0.2 GB, and the photographs that
            are asked for (with `n`, `words` and `licence`), about 0.2 MB each
    """
    if licence not in (None, "free"):
        raise ValueError(f'expected licence "free" or None, got {licence!r}')
    folder = root / f"{split}2017"
    files = [root / "annotations" / f"{kind}_{split}2017.json" for kind in ("instances", "captions")]
    source = f"annotations_trainval2017.zip and {split}2017.zip from https://cocodataset.org, unpacked in {root}"
    fetch = partial(fetch_members, f"{SERVER}/annotations/annotations_trainval2017.zip", files)
    provide(root, files if download else [*files, folder], fetch if download else None, source)

    problems = Problems(root)
    instances, captions = (Notes(path, problems) for path in files)
    licences = {
        str(e["id"]): f"{e['name']}, {e['url']}" for e in instances.entries("licenses", id=int, name=str, url=str)
    }
    records = _photographs(instances, folder, licences)
    classes = _add_objects(instances, records)
    for entry in captions.entries("annotations", image_id=int, caption=str):
        if entry["image_id"] in records:
            records[entry["image_id"]].facts["captions"].append(entry["caption"].strip())
    for name in sorted({path.name for path in folder.glob("[!.]*")} - {Path(r.path).name for r in records.values()}):
        problems.add(folder / name, f"is not listed in {files[0].name}", "picture left out")

    free = [licences[k] for k in FREE if k in licences]
    chosen = [record for record in records.values() if licence is None or record.facts["licences"] in free]
    if words is not None:
        from cam_helpers.probes import caption_labels  # here: scikit-learn takes a second to import

        said = caption_labels([record.facts["captions"] for record in chosen], words)
        chosen = [record for record, yes in zip(chosen, said, strict=True) if yes]
    if records and not chosen:
        raise ValueError(f"no photograph of {split}2017 has words={words!r} and licence={licence!r}: ask for others")
    fetch = partial(fetch_photos, f"{SERVER}/{folder.name}") if download else None
    return Listing("coco", split, classes, problems, chosen, fetch=fetch)


class Notes:
    """One of the two files. Raises MissingData when it is damaged."""

    def __init__(self, path: Path, problems: Problems):
        self.path, self.problems = path, problems
        try:
            self.lists = dict(json.loads(path.read_bytes()))
        except (TypeError, ValueError, RecursionError) as error:
            raise MissingData(f"{path} is damaged ({error}): delete it, and open with download=True") from error

    def entries(self, key: str, **form: type) -> Iterator[dict]:
        """The entries of a list that have these fields, of these types; the others are listed."""
        found = self.lists.get(key)
        for k, entry in enumerate(found if isinstance(found, list) else [found]):
            # "is": true and false are no numbers here
            if isinstance(entry, dict) and all(type(entry.get(field)) is kind for field, kind in form.items()):
                yield entry
            else:
                self.problems.add(self.path, f"{key}[{k}] has not {', '.join(form)} as it should", "entry left out")


def _photographs(instances: Notes, folder: Path, licences: dict[str, str]) -> dict[int, Record]:
    """A record for each photograph that is listed as it should be, by its number."""
    records, names = {}, set()
    for entry in instances.entries("images", id=int, file_name=str, height=int, width=int):
        k, name, size = entry["id"], entry["file_name"], (entry["height"], entry["width"])
        # a name in the folder itself, on every system; what no file name can hold is not printable
        plain = name.isprintable() and not set(name) & set("/\\:") and name.strip(". ")
        if not plain or min(size) < 1 or size[0] * size[1] > MAX_PIXELS or k in records or name in names:
            reason = f"image {k} ({name!r}, {size[1]}×{size[0]}) has an impossible name or size, or is double"
            instances.problems.add(instances.path, reason, "entry left out")
            continue
        names.add(name)
        licence, address = licences.get(str(entry.get("license")), ""), str(entry.get("flickr_url", ""))
        facts = {"captions": [], "licences": licence, "sources": address}
        annotation = Annotation(size=size, exclusive=True)
        records[k] = Record(str(folder / name), annotation=annotation, outlines=[], facts=facts)
    return records


def _add_objects(instances: Notes, records: dict[int, Record]) -> list[str]:
    """Every object goes to its record -> the classes."""
    names = {entry["id"]: entry["name"] for entry in instances.entries("categories", id=int, name=str)}
    classes = list(dict.fromkeys(names.values()))
    for record in records.values():
        record.label = [0] * len(classes)
    for k, entry in enumerate(instances.entries("annotations", image_id=int, category_id=int, bbox=list)):
        record, name = records.get(entry["image_id"]), names.get(entry["category_id"])
        if record is None or name is None or len(entry["bbox"]) != 4:
            reason = f"object {k} has an unknown image or category, or a box that is not four numbers"
            instances.problems.add(instances.path, reason, "object left out")
            continue
        record.label[classes.index(name)] = 1
        given = entry.get("segmentation")
        outline = read_outline(given, record.annotation.size) if given else None
        if given and outline is None:
            reason = f"the outline of object {k} is neither polygons x, y, x, y, … nor runs that fill the picture"
            record.problems.append((record.path, reason, "object used without a mask"))
        x, y, width, height = map(number, entry["bbox"])
        right, bottom = x + width, y + height
        if entry.get("iscrowd") or outline is None:
            whole_box = read_outline([[x, y, right, y, right, bottom, x, bottom]], record.annotation.size)
            record.unknown.append(whole_box if outline is None else outline)
        if not entry.get("iscrowd"):
            record.annotation.objects.append(AnnotatedObject(name, [x, y, right, bottom], outline))
    return classes
