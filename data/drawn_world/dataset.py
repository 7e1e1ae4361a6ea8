"""`WorldDataset`: what `world.load` returns."""

import numpy as np
import torch
from torch.utils.data import Dataset


class WorldDataset(Dataset):
    """Drawn pictures with everything that is known about them. `data[i]` is `(image, label)`, both tensors.

    The item and the first seven attributes are those of real sets, too: what takes `photo_sets.open(…, size=…)` of
    cam_helpers takes this, and the other way round (there images and masks are read when asked for, and boxes, masks
    and objects are None where a set has none).

    images      uint8 (N,3,H,W), RGB
    labels      int64 (N,) class indices; or float32 (N,C) 0/1 where a picture may hold several classes
    classes     the C class names
    boxes       list of N float32 (M,4): extent of each labelled object, xyxy pixels, x2/y2 exclusive
    masks       masks[i] is bool (M,H,W): the visible pixels of each labelled object; masks.union() is bool (N,H,W)
    objects     list of N int64 (M,): the kind of each object, an index into object_names
    object_names  the names of the kinds
    parts       uint8 (N,H,W): the part at each pixel of a labelled object, an index into part_names (0: none)
    joints      float32 (N,J,2): x and y in pixels of the joints `joint_names` of a person (`actions`), hidden ones too;
                left and right are the person's own
    tool        int64 (N,): which of the picture's objects is the tool in use, -1 where there is none (`actions`)
    captions    list of N strings (`concepts`)
    lookalikes  pairs of classes that differ in one part only
    Further attributes a task has (`attributes`, `indoor`, `clip` …) are tensors of length N, or lists of words.
    """

    def __init__(self, arrays: dict[str, np.ndarray], recipe):
        arrays = dict(arrays)
        self.task, self.version = recipe.task, recipe["version"]
        self.classes = list(recipe["classes"])
        self.object_names, self.part_names = list(recipe["object_names"]), list(recipe["part_names"])
        self.lookalikes = [tuple(pair) for pair in recipe.get.get("lookalikes", [])]
        self.attribute_names = list(recipe.get.get("attribute_names", []))
        self.joint_names = list(recipe.get.get("joint_names", []))
        counts = arrays.pop("counts").tolist()
        self.boxes, self.objects = (list(torch.from_numpy(arrays.pop(k)).split(counts)) for k in ("boxes", "objects"))
        self.masks = Masks(torch.from_numpy(arrays["instances"]), counts)
        for name, values in arrays.items():  # images, labels, instances, parts and what else the task has
            setattr(self, name, values.tolist() if values.dtype.kind == "U" else torch.from_numpy(values))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]

    def __repr__(self) -> str:
        n, _, h, w = self.images.shape
        return f"WorldDataset({self.task}: {n} pictures of {w}×{h}, {len(self.classes)} classes)"


class Masks:
    """Object masks, made when they are looked at: storing them all apart would need a hundred times the memory."""

    def __init__(self, instances: torch.Tensor, counts: list[int]):
        self._instances, self._counts = instances, counts

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, index: int) -> torch.Tensor:
        """bool (M,H,W)."""
        number = torch.arange(1, self._counts[index] + 1, dtype=torch.uint8)
        return self._instances[index] == number[:, None, None]

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def union(self) -> torch.Tensor:
        """bool (N,H,W): every pixel that belongs to a labelled object."""
        return self._instances > 0
