"""How other people write a box, and how it becomes ours: xyxy in pixels, x2 and y2 exclusive.

"Exclusive" means that a box around the single pixel in column 3, row 5 is (3, 5, 4, 6): width is x2 − x1, and
`mask[y1:y2, x1:x2]` cuts it out. Every function takes and returns boxes (…, 4), as a tensor or anything that becomes
one, and has its inverse beside it. None of them rounds.
"""

import torch
from torchvision.ops import box_convert

ROTATED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


def from_inclusive(boxes, origin: int = 0) -> torch.Tensor:
    """Corners that both belong to the box, the first pixel counted as `origin` (PASCAL VOC and MATLAB: 1) → ours."""
    return _tensor(boxes) + _tensor([-origin, -origin, 1 - origin, 1 - origin])


def to_inclusive(boxes, origin: int = 0) -> torch.Tensor:
    """Ours → corners that both belong to the box."""
    return _tensor(boxes) - _tensor([-origin, -origin, 1 - origin, 1 - origin])


def from_xywh(boxes) -> torch.Tensor:
    """Left, top, width, height (COCO) → ours."""
    return box_convert(_tensor(boxes), "xywh", "xyxy")


def to_xywh(boxes) -> torch.Tensor:
    """Ours → left, top, width, height."""
    return box_convert(_tensor(boxes), "xyxy", "xywh")


def from_rchw(boxes) -> torch.Tensor:
    """First row, first column, height, width (matrix order) → ours."""
    return from_xywh(_tensor(boxes)[..., [1, 0, 3, 2]])


def to_rchw(boxes) -> torch.Tensor:
    """Ours → first row, first column, height, width."""
    return to_xywh(boxes)[..., [1, 0, 3, 2]]


def scale_boxes(boxes, old: tuple[int, int], new: tuple[int, int]) -> torch.Tensor:
    """Boxes of a picture of size `old` (H, W) in the same picture stretched to size `new` (H, W)."""
    y, x = new[0] / old[0], new[1] / old[1]
    return _tensor(boxes) * _tensor([x, y, x, y])


def turn_boxes(boxes, orientation: int, size: tuple[int, int]) -> torch.Tensor:
    """Boxes drawn on the pixels as stored, in the picture turned upright by its EXIF orientation (1–8).

    size  (H, W) of the stored picture. The inverse of 6 is 8 with the size of the turned picture; the others undo
    themselves.
    """
    height, width = size
    x1, y1, x2, y2 = _tensor(boxes).unbind(-1)
    if orientation in (2, 3, 7, 8):  # left and right change places
        x1, x2 = width - x2, width - x1
    if orientation in (3, 4, 6, 7):  # top and bottom change places
        y1, y2 = height - y2, height - y1
    if orientation in ROTATED:
        x1, y1, x2, y2 = y1, x1, y2, x2
    return torch.stack([x1, y1, x2, y2], -1)


def _tensor(boxes) -> torch.Tensor:
    double = getattr(boxes, "dtype", None) == torch.float64
    return torch.as_tensor(boxes, dtype=torch.float64 if double else torch.float32)
