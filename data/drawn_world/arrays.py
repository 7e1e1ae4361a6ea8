"""Pictures as they are drawn, and packed into plain arrays as they are stored."""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image


@dataclass
class DrawnPicture:
    """One drawn picture (or one frame of a clip).

    image uint8 (size,size,3); instances uint8 (size,size): 0 ground, k the k-th object; parts uint8 (size,size): index
    into the task's part names; objects: the kind of each labelled object, the first ones of `instances`; extra: further
    values by name (labels, attributes …), one array or word per picture.
    """

    image: np.ndarray
    instances: np.ndarray
    parts: np.ndarray
    objects: list[int]
    extra: dict = field(default_factory=dict)


def pack(pictures: list[DrawnPicture]) -> dict[str, np.ndarray]:
    """Arrays for all pictures, stacked; objects and boxes follow one another, `counts` of them for each picture."""
    return {
        "images": np.stack([np.ascontiguousarray(p.image.transpose(2, 0, 1)) for p in pictures]),
        "instances": np.stack([p.instances for p in pictures]),
        "parts": np.stack([p.parts for p in pictures]),
        "counts": np.array([len(p.objects) for p in pictures], np.int64),
        "objects": np.array([k for p in pictures for k in p.objects], np.int64),
        "boxes": np.concatenate([boxes_of(p.instances, len(p.objects)) for p in pictures]),
        **{key: np.stack([np.asarray(p.extra[key]) for p in pictures]) for key in pictures[0].extra},
    }


def join(packed: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Several packs, one after the other."""
    return {key: np.concatenate([p[key] for p in packed]) for key in packed[0]}


def first(packed: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """A pack of the first n pictures, or clips, with memory of its own."""
    pictures = int((packed["clip"] < n).sum()) if "clip" in packed else n
    things = int(packed["counts"][:pictures].sum())
    return {key: a[: things if key in ("objects", "boxes") else pictures].copy() for key, a in packed.items()}


def boxes_of(instances: np.ndarray, count: int) -> np.ndarray:
    """The extent of objects 1…count: float32 (count,4) xyxy pixels, x2/y2 exclusive; zeros for one that is hidden."""
    found = [Image.fromarray(instances == k).getbbox() or (0, 0, 0, 0) for k in range(1, count + 1)]
    return np.array(found, np.float32).reshape(count, 4)
