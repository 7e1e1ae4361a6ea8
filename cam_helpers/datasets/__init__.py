"""Real pictures, opened in the same form as the annotated world.

ds = datasets.open("pets", "~/data", "test", download=True)
image, target = ds[0]        # uint8 (3, H, W); label, boxes, mask …
ds                           # how many pictures, and everything that was wrong with the files
"""

import warnings

from . import ade20k, folder
from .ade20k import ade20k_scenes
from .archives import unpack
from .base import RealDataset
from .folder import imagefolder
from .ilsvrc import ilsvrc_csv
from .known import imagenette, pets, voc2007
from .problems import MissingData, Problem

__all__ = ["FORMATS", "MissingData", "Problem", "RealDataset", "open", "unpack"]

# name → what opens it, its splits (the first is the default)
FORMATS = {
    "pets": (pets, ("trainval", "test", "train", "val")),
    "imagenette": (imagenette, ("train", "val")),
    "voc2007": (voc2007, ("trainval", "test", "train", "val")),
    "imagefolder": (imagefolder, folder.SPLITS),
    "ade20k_scenes": (ade20k_scenes, ade20k.SPLITS),
    "ilsvrc_csv": (ilsvrc_csv, ("val",)),
}


def open(name: str, root, split: str | None = None, **options) -> RealDataset:
    """Open a set of real pictures: every file is looked at once, what cannot be used is listed in `.problems`.

    name     "pets", "imagenette", "voc2007", "imagefolder", "ade20k_scenes" or "ilsvrc_csv"
    root     the folder that holds the data (for a download: that will hold them)
    split    None takes the first of FORMATS[name][1]
    options  n=200 opens that many, always the same; check=False trusts file headers (quick, but a file that was cut off
             raises PictureError when it is used); download=True fetches what is missing; others: see the set's function

    Raises MissingData (with where to get it) when the data are not there or none can be used, ValueError for an unknown
    name or split. Warns once, with the number of problems, if there are any.
    """
    if name not in FORMATS:
        raise ValueError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    opener, splits = FORMATS[name]
    split = split or splits[0]
    if split not in splits:
        raise ValueError(f"{name} has no split {split!r}; it has {', '.join(splits)}")
    dataset = opener(root, split, **options)
    if dataset.problems:
        warnings.warn(repr(dataset), stacklevel=2)
    return dataset
