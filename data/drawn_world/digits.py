"""Handwritten digits in cluttered pictures: a tiny world that scikit-learn carries and a laptop learns in seconds.

Every picture holds one whole digit, the label, somewhere among scraps of others, on a mottled ground. Its box is known,
so a map can be measured, and the position says nothing about the class.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset
from torchvision.ops import masks_to_boxes

__all__ = ["CLASSES", "ClutteredDigits", "load"]

CLASSES = tuple("0123456789")
_PARTS = {"train": slice(0, 1100), "val": slice(1100, 1400), "test": slice(1400, None)}  # no hand is in two splits


@dataclass(frozen=True, eq=False)
class ClutteredDigits(Dataset):
    """images uint8 (N,3,H,W) · labels (N,) · boxes: N tensors (1,4), xyxy in pixels · masks bool (N,H,W) · classes."""

    images: Tensor
    labels: Tensor
    boxes: list[Tensor]
    masks: Tensor
    classes: tuple[str, ...] = CLASSES

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.images[i], int(self.labels[i])


def load(split: str = "train", n: int = 1000, size: int = 48, seed: int = 46, scraps: int = 4) -> ClutteredDigits:
    """Draw pictures, each with one digit and pieces of other digits.

    The splits share no scanned digit and no random stream. Same arguments, same pictures. Raises ValueError for an
    unknown split or a size under 32 pixels.

    Args:
        split: "train", "val" or "test"
        n: how many
        size: side in pixels
        seed: another seed draws other pictures
        scraps: pieces of other digits in each
    """
    if split not in _PARTS:
        raise ValueError(f"split must be one of {', '.join(_PARTS)}, got {split!r}")
    if size < 32:
        raise ValueError(f"size must be at least 32 pixels, got {size}: the digit would not be readable")
    scans, names = load_digits(return_X_y=True)
    scans = scans[_PARTS[split]].reshape(-1, 8, 8).astype(np.float32) / 16
    names = names[_PARTS[split]]
    random = np.random.default_rng([seed, list(_PARTS).index(split)])
    images, masks = np.empty((n, size, size, 3), np.uint8), np.zeros((n, size, size), bool)
    chosen = random.integers(len(scans), size=n)
    for i, digit in enumerate(chosen):
        canvas = _ground(random, size)
        for scan in scans[random.integers(len(scans), size=scraps)]:
            y, x = random.integers(0, 5, size=2)  # a quarter of a digit
            _paste(canvas, scan[y : y + 4, x : x + 4], random.integers(size // 6, size // 4), random)
        masks[i] = _paste(canvas, scans[digit], random.integers(size * 2 // 5, size * 11 // 20), random)
        images[i] = (canvas.clip(0, 1) * 255).round()
    boxes = masks_to_boxes(torch.from_numpy(masks)) + torch.tensor([0, 0, 1, 1])  # theirs end at the last pixel
    return ClutteredDigits(
        torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(names[chosen].astype(np.int64)),
        list(boxes[:, None]),
        torch.from_numpy(masks),
    )


def _ground(random: np.random.Generator, size: int) -> np.ndarray:
    """A mottled ground: coarse and fine noise around a random tone."""
    coarse = _resize(random.uniform(-0.12, 0.12, (6, 6, 3)).astype(np.float32), size)
    fine = random.uniform(-0.05, 0.05, (size, size, 1)).astype(np.float32)
    return random.uniform(0.1, 0.5, 3).astype(np.float32) + coarse + fine


def _paste(canvas: np.ndarray, scan: np.ndarray, side: int, random: np.random.Generator) -> np.ndarray:
    """Lay a scan of `side` pixels anywhere on the canvas, in a light random colour -> the mask of what it covers."""
    size, side = len(canvas), int(side)
    ink = _resize(scan[..., None], side)[..., 0].clip(0, 1)
    y, x = random.integers(0, size - side + 1, size=2)
    place = canvas[y : y + side, x : x + side]
    place += ink[..., None] * (random.uniform(0.65, 1.0, 3).astype(np.float32) - place)
    mask = np.zeros((size, size), bool)
    mask[y : y + side, x : x + side] = ink > 0.3
    return mask


def _resize(array: np.ndarray, side: int) -> np.ndarray:
    tensor = torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None]
    return F.interpolate(tensor, size=(side, side), mode="bicubic", align_corners=False)[0].permute(1, 2, 0).numpy()
