"""ICDAR 2015, incidental scene text: photographs of streets and shops, four corners and the writing of every word.

photos = photo_sets.open("icdar2015", "~/data/icdar2015", "test")
parts = tiles(photos)                       # squares of the same photographs, with and without words
parts.images[0], parts.labels[0], parts.masks[0]
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .annotations import AnnotatedObject, Annotation, number
from .base import Lazy, Listing, RealDataset, Record
from .checking import MissingData, Problems, printable
from .outlines import read_outline
from .torchvision_sets import read_lines

SPLITS = ("test", "train")
FOLDERS = {  # the names of the published archives, without .zip
    "test": ("ch4_test_images", "Challenge4_Test_Task1_GT"),
    "train": ("ch4_training_images", "ch4_training_localization_transcription_gt"),
}


def icdar2015(root: Path, split: str) -> Listing:
    """ICDAR 2015 challenge 4 (incidental scene text), its archives unpacked in root; nothing is downloaded.

    test   root/ch4_test_images/img_1.jpg, root/Challenge4_Test_Task1_GT/gt_img_1.txt
    train  root/ch4_training_images/img_1.jpg, root/ch4_training_localization_transcription_gt/gt_img_1.txt
    Or root/images and root/gt with the same files, whichever split they are.

    labels are 1 where a word can be read. boxes, masks and `words` (what is written) are those of legible words; where
    the annotators could not read it ("###"), the outline is in `ignore`. See `tiles` for parts of the photographs.
    """
    folders = [root / name for name in FOLDERS[split]]
    if not folders[0].is_dir():
        folders = [root / "images", root / "gt"]
    images, notes = folders
    if not images.is_dir() or not notes.is_dir():
        archives = " and ".join(f"{name}.zip" for name in FOLDERS[split])
        raise MissingData(
            f"expected {images} and {notes}: get {archives} from https://rrc.cvc.uab.es/?ch=4 (free, after "
            f"registration) and unpack each into a folder of its name in {root}"
        )
    problems, records = Problems(root), []
    for path in sorted(images.glob("[!.]*"), key=lambda path: (len(path.name), path.name)):
        record = Record(str(path), outlines=[], facts={"words": []})
        records.append(record)
        _read_words(record, notes / f"gt_{path.stem}.txt", problems)
    used = {f"gt_{Path(record.path).stem}.txt" for record in records}
    for path in sorted(notes.glob("[!.]*")):
        if path.name not in used:
            problems.add(path, "belongs to no picture", "file not used")
    return Listing("icdar2015", split, ["text"], problems, records)


def _read_words(record: Record, path: Path, problems: Problems) -> None:
    """The words of one picture: x1,y1,x2,y2,x3,y3,x4,y4,word in each line."""
    form, record.annotation = r"((?:[^,]*,){8})(.+)", Annotation(exclusive=True)
    try:
        path.stat()  # a file that is missing is no empty one
        lines = list(read_lines(path, form, "eight numbers and a word", problems))
    except OSError as error:
        record.problems.append((path, error, "picture left out: its words are unknown"))
        return
    for corners, word in lines:
        corners = [number(text) for text in corners.split(",")[:8]]
        outline = read_outline([corners], (1, 1))
        if outline is None:
            record.problems.append((path, f"a corner of {printable(word)!r} is no number", "word left out"))
        elif word == "###":  # not legible
            record.unknown.append(outline)
        else:
            box = [min(corners[::2]), min(corners[1::2]), max(corners[::2]), max(corners[1::2])]
            record.annotation.objects.append(AnnotatedObject("text", box, outline, printable(word)))
    record.label = [int(bool(record.annotation.objects))]


class Tiles(NamedTuple):
    """Squares cut from photographs, N of them.

    images, masks, ignore: read when asked for: uint8 (3,side,side); bool (side,side), the pixels of legible words, and
    those of writing that is not legible. labels: int64 (N,), 1 with a word, 0 without any writing. photo: int64 (N,),
    which photograph; corner: int64 (N,2), x and y of the tile's upper left pixel in it.
    """

    images: Lazy
    masks: Lazy
    ignore: Lazy
    labels: Tensor
    photo: Tensor
    corner: Tensor


def tiles(photos: RealDataset, side: int = 320, least: float = 0.005) -> Tiles:
    """Cut each photograph into squares of `side` pixels that reach from edge to edge and overlap as little as they can.

    The squares with and without words then come from the same photographs, so that no camera and no place tells them
    apart. A tile has a word where `least` of its pixels are of legible words, and none where no pixel is of any
    writing; what is in between is left out. Raises ValueError for photographs smaller than a tile.
    """
    found = []
    for i, (height, width) in enumerate(photos.sizes):
        if min(height, width) < side:
            raise ValueError(f"expected photographs of {side} pixels or more, got {width}×{height}: {photos.paths[i]}")
        legible, other = photos.masks[i].any(0), photos.ignore[i]
        for y in _starts(height, side):
            for x in _starts(width, side):
                share = legible[y : y + side, x : x + side].float().mean()
                if share >= least or not (share or other[y : y + side, x : x + side].any()):
                    found.append((int(share > 0), i, x, y))
    table = torch.tensor(found).reshape(-1, 4)

    def cut(read):
        """The tiles of what `read` gives for a photograph."""
        read = lru_cache(1)(read)  # the tiles of a photograph follow each other

        def tile(k):
            _, i, x, y = table[k].tolist()
            return read(i)[..., y : y + side, x : x + side].clone()

        return Lazy(tile, len(table))

    parts = cut(photos.images.__getitem__), cut(lambda i: photos.masks[i].any(0)), cut(photos.ignore.__getitem__)
    return Tiles(*parts, table[:, 0], table[:, 1], table[:, 2:])


def _starts(length: int, side: int) -> list[int]:
    """Where the fewest pieces of `side` pixels begin that cover `length`."""
    return torch.linspace(0, length - side, -(-length // side)).round().int().tolist()
