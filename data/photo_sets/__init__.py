"""Real pictures, opened in the same form as the drawn ones.

data = photo_sets.open("pets", "~/data", "test", size=224, download=True)
image, label = data[0]       # uint8 (3, 224, 224), and the class
data                         # how many pictures, and everything that was wrong with the files
"""

import json
import os
import warnings
from pathlib import Path

from . import ade20k, coco, folder, icdar2015
from .archives import unpack
from .base import RealDataset
from .checking import MissingData, Problem
from .ilsvrc import ilsvrc_csv
from .torchvision_sets import imagenette, pets, voc2007

__all__ = [
    "FORMATS", "MissingData", "Problem", "RealDataset", "at_hand", "boxes_in_words", "measured", "open", "unpack",
]  # fmt: skip

# name → what lists its pictures, its splits (the first is the default)
FORMATS = {
    "pets": (pets, ("trainval", "test", "train", "val")),
    "imagenette": (imagenette, ("train", "val")),
    "voc2007": (voc2007, ("trainval", "test", "train", "val")),
    "imagefolder": (folder.imagefolder, folder.SPLITS),
    "ade20k_scenes": (ade20k.ade20k_scenes, ade20k.SPLITS),
    "ilsvrc_csv": (ilsvrc_csv, ("val",)),
    "icdar2015": (icdar2015.icdar2015, icdar2015.SPLITS),
    "coco": (coco.coco, coco.SPLITS),
}


def open(name: str, root, split: str | None = None, *, n=None, size=None, check=True, **options) -> RealDataset:
    """Open a set of real pictures: every file is looked at once, what cannot be used is listed in `.problems`.

    Args:
        name: "pets", "imagenette", "voc2007", "imagefolder", "ade20k_scenes", "ilsvrc_csv", "icdar2015" or "coco"
        root: the folder that holds the data (for a download: that will hold them)
        split: None takes the first of FORMATS[name][1]
        n: open that many pictures, always the same ones; None: all
        size: side in pixels, or (H, W): pictures are stretched to it when they are read, and boxes and masks with
            them; None: every picture has its own size
        check: False trusts file headers (quick, but a file that was cut off raises PictureError when it is used)
        options: download=True fetches what is missing; others: see the function of the set, such as `imagefolder`

    Raises:
        MissingData: the data are not there, or none can be used; it says where to get them
        ValueError: an unknown name or split

    Warns once, with the number of problems, if there are any.
    """
    if name not in FORMATS:
        raise ValueError(f"expected one of {', '.join(FORMATS)}, got {name!r}")
    lister, splits = FORMATS[name]
    split = split or splits[0]
    if split not in splits:
        raise ValueError(f"expected a split of {name}, one of {', '.join(splits)}, got {split!r}")
    listing = lister(Path(root).expanduser().absolute(), split, **options)
    dataset = RealDataset(listing, n, (size, size) if isinstance(size, int) else size, check)
    if dataset.problems:
        warnings.warn(repr(dataset), stacklevel=2)
    return dataset


def at_hand(name: str, folder: str | None = None, **options) -> RealDataset | None:
    """The set in a folder of the one that CAM_TEST_DATA names, else of ~/data; None where there is no such folder.

    name, options: as in `open`, whose quick check of files this takes; folder: its name, None where it is `name`
    """
    root = Path(os.environ.get("CAM_TEST_DATA") or "~/data").expanduser() / (folder or name)
    return open(name, root, check=False, **options) if root.is_dir() else None


def measured(what: str = "boxes") -> dict:
    """What was measured on photographs that cannot be carried along, for readers without them; "about" says on which.

    "boxes": class activation maps on 260 ILSVRC photos, row → score → [value, low, high]. Rows "efficientnet_lite0"
    (`networks.pretrained()`), the same "…, dilated", "fixed box" in the middle, and for comparison "drawings" (300 of
    lesson 05) and "drawings, fixed box". Scores top1_error, top5_error, boxes_at_20, max_box_acc, peak_in_box: parts
    of 1 with 95 % bootstrap intervals. Made by `python tests/benchmarks/table_photos.py --json FILE`.

    "faithful": what lessons 12 and 13 measure with the functions of `photo_sets.faithful`, in parts "people", "softmax"
    and "deletion", name → [value, low, high]. Made by `python tests/benchmarks/table_faithful.py FILE`.

    "rivals": other methods and heads that learnt from boxes on the same photos, rows and scores as
    `python tests/benchmarks/table_rivals.py FILE` says, which makes them.
    """
    return json.loads((Path(__file__).with_name("measured") / f"{what}.json").read_text(encoding="utf-8"))


def boxes_in_words() -> str:
    """One line for lessons: of `measured`, the boxes that are right at 20 % of the maximum."""
    rows = measured()
    parts = [f"{rows[row]['boxes_at_20'][0]:.0%}" for row in ("efficientnet_lite0", "fixed box", "drawings")]
    return (
        f"boxes right at 20 %: photographs {parts[0]}, a fixed box in their middle {parts[1]}; drawings {parts[2]}, "
        f"a fixed box {rows['drawings, fixed box']['boxes_at_20'][0]:.0%}"
    )
