"""ImageNet pictures with their boxes in one CSV file."""

import csv
from pathlib import Path

from torchvision.models import ResNet18_Weights

from .annotations import AnnotatedObject, Annotation
from .base import Listing, Record
from .checking import MissingData, Problems

COLUMNS = ("image", "class_index", "orig_w", "orig_h", "x0", "y0", "x1", "y1")


def ilsvrc_csv(root: Path, split: str) -> Listing:
    """Pictures in root/images (or root), boxes in root/boxes.csv: one row a box, with a header. Nothing is downloaded.

    image            file name
    class_index      0–999 in torchvision's order, the same in all rows of a picture
    orig_w, orig_h   size of the picture on which the boxes were drawn
    x0, y0, x1, y1   left, top, right, bottom there, first pixel 0, right and bottom inside the box
    Other columns are not used (wnid, class_name; x0_227 … are the same boxes in pictures warped to 227 pixels).

    The pictures may have been resized, also out of proportion: boxes are scaled from orig_w×orig_h to what is there.
    """
    table = root / "boxes.csv"
    if not table.exists():
        raise MissingData(
            f"{table} is missing: ImageNet may not be passed on; get the validation pictures and their boxes from "
            f"https://image-net.org and write one row a box, with the columns {', '.join(COLUMNS)}"
        )
    folder = root / "images" if (root / "images").is_dir() else root
    problems = Problems(root)
    classes = ResNet18_Weights.DEFAULT.meta["categories"]
    records: dict[str, Record] = {}
    with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file)
        if missing := [c for c in COLUMNS if c not in (rows.fieldnames or [])]:
            raise ValueError(f"{table} has no column {', '.join(missing)}: the first line must name the columns")
        for row in rows:
            try:
                _add(row, folder, len(classes), records)
            except (TypeError, ValueError) as error:
                problems.add(table, f"line {rows.line_num} cannot be used ({error})", "row left out")
    unlisted = {p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")} - set(records)
    for name in sorted(unlisted - {table.name, "README.md"}):
        problems.add(folder / name, "has no row in boxes.csv", "picture left out: its class is unknown")
    return Listing("ilsvrc_csv", split, classes, problems, list(records.values()), report_empty_classes=False)


def _add(row: dict, folder: Path, class_count: int, records: dict[str, Record]) -> None:
    name, label, size = row["image"], int(row["class_index"]), (int(row["orig_h"]), int(row["orig_w"]))
    corners = [float(row[c]) for c in ("x0", "y0", "x1", "y1")]
    if not 0 <= label < class_count or min(size) < 1 or Path(name).name != name:
        raise ValueError("an impossible class, size or file name")
    new = Record(str(folder / name), label, Annotation(size=size, origin=0, stretched=True))
    record = records.setdefault(name, new)
    if label != record.label or size != record.annotation.size:
        raise ValueError(f"another class or size for {name} than the line before")
    record.annotation.objects.append(AnnotatedObject(row.get("class_name") or "", corners))
