"""Receptive fields: the pixels that a unit can see, and those that it does see."""

from __future__ import annotations

from bisect import bisect_left
from copy import deepcopy

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..maps import CamModel, NotCamCompatible
from ..networks import fast_cams
from ..occlusion import hidden, mean_over_windows, window_corners


def theoretical_field(
    model: CamModel | nn.Module, size: tuple[int, int], place: tuple[int, int] | None = None
) -> tuple[int, int, int, int]:
    """The pixels that can change the features at one place: a box (x1, y1, x2, y2), x2 and y2 exclusive.

    size (H,W) of the picture; place: row and column among the features (None: the middle one). Found by looking how far
    NaN, which no layer can undo, spreads through a copy of the network in double precision: right for every
    architecture, padding and branches included. A box that ends at the border is cut off there.
    """
    cams = CamModel(deepcopy(model.model if isinstance(model, CamModel) else model).cpu().double().eval())

    def features(picture: Tensor) -> Tensor:
        # the course's networks check the range of plain tensors, which NaN is not in
        return cams(nn.Parameter(picture, requires_grad=False)).features[0]

    rows, columns = features(torch.zeros(1, 3, *size, dtype=torch.double)).shape[-2:]
    row, column = place or (rows // 2, columns // 2)

    def first(axis: int, backwards: bool) -> int:
        """How many rows (or columns) from one side do not reach the place."""

        def reached(i: int) -> bool:
            picture = torch.zeros(1, 3, *size, dtype=torch.double)
            start = size[axis] - 1 - i if backwards else 0
            picture.narrow(2 + axis, start, i + 1).fill_(torch.nan)
            return bool(features(picture)[:, row, column].isnan().any())

        return bisect_left(range(size[axis]), True, key=reached)

    return first(1, False), first(0, False), size[1] - first(1, True), size[0] - first(0, True)


def receptive_field(
    model: CamModel | nn.Module, images: Tensor, unit: int, window=11, stride=3, batch=256, box=None
) -> Tensor:
    """The field a unit really has, from the pictures that excite it most: a small window hides one spot after another.

    The window, in the picture's mean colour, moves over each picture; |change| at the place of the unit's maximum is
    kept, as a mean over the windows on a pixel; the maps are shifted so that this place is in the middle, and averaged.
    Only windows that touch the theoretical field are tried, on the part of the picture that the place can see: the
    others change nothing. Zhou et al., ICLR 2015, section 3.2.

    Args:
        model: a CamModel, or a network that it can wrap
        images: (N,3,H,W), the unit's top pictures, as the network takes them
        unit: which channel of the features
        window, stride: of the hiding square, in pixels
        batch: windows in one forward pass
        box: `theoretical_field(model, (H, W))`, if it is known already

    Returns:
        (H,W), mean change of the activation when a window hides the pixel; the unit's place is in the middle

    Raises:
        ValueError: windows that do not fit
    """
    size = tuple(images.shape[2:])
    corners = window_corners(size, window, stride)
    cams = fast_cams(model)
    box = theoretical_field(cams, size) if box is None else tuple(box)
    features = cams(images).features[:, unit].float()
    total, count = torch.zeros(2, 2 * size[0], 2 * size[1], dtype=torch.double)
    for image, heat in zip(tqdm(images, leave=False, disable=len(images) < 2), features, strict=True):
        place = divmod(int(heat.argmax()), heat.shape[1])
        rows = _seen(place[0], heat.shape[0], size[0], box[1], box[3])
        columns = _seen(place[1], heat.shape[1], size[1], box[0], box[2])
        # The change with each window; those that do not touch the field change nothing
        low, high = torch.tensor([rows[:2], columns[:2]]).T
        touching = ((corners < high) & (corners + window > low)).all(1)
        part, cut, at = _visible(cams, image, heat, unit, place, (rows, columns))
        paint = image.float().mean((1, 2), keepdim=True).to(image.dtype)
        changes = torch.zeros(1, len(corners))
        near = corners[touching] - torch.tensor(cut)
        found = []
        for chunk in near.split(batch):
            pictures = torch.cat([hidden(part[None], corner, window, paint) for corner in chunk])
            found.append((cams(pictures).features[:, unit, at[0], at[1]].float() - heat[place]).abs().cpu())
        changes[0, touching] = torch.cat(found)
        # Shifted: the place in the middle of a picture twice as large
        y, x = size[0] - rows[2], size[1] - columns[2]
        total[y : y + size[0], x : x + size[1]] += mean_over_windows(changes, corners, window, size)[0]
        count[y : y + size[0], x : x + size[1]] += 1
    y, x = size[0] // 2, size[1] // 2
    return (total / count.clamp_min(1))[y : y + size[0], x : x + size[1]].float()


def _seen(place: int, places: int, side: int, low: int, high: int) -> tuple[int, int, int]:
    """-> along one axis: the first pixel that the place can see, the end of those, and the pixel in the middle of them.

    low, high: of the middle place. It is all of the picture where that field is cut off, or the places do not fit.
    """
    step = side // places
    if low == 0 or high == side or side % places:
        return 0, side, place * step
    shift = (place - places // 2) * step
    return max(0, low + shift), min(side, high + shift), (low + high) // 2 + shift


def _visible(
    cams: CamModel, image: Tensor, heat: Tensor, unit: int, place: tuple[int, int], seen
) -> tuple[Tensor, tuple[int, int], tuple[int, int]]:
    """-> the part of the picture that the place can see, cut at whole places; its upper left; the place in it."""
    steps = [side // places for side, places in zip(image.shape[1:], heat.shape, strict=True)]
    top, left = (low // step * step for (low, *_), step in zip(seen, steps, strict=True))
    bottom, right = (-(-high // step) * step for (_, high, _), step in zip(seen, steps, strict=True))
    part, at = image[:, top:bottom, left:right], (place[0] - top // steps[0], place[1] - left // steps[1])
    try:
        same = torch.isclose(cams(part[None]).features[0, unit][at].float(), heat[place], rtol=1e-3, atol=1e-5)
    except (NotCamCompatible, RuntimeError):  # a pooling of fixed size
        same = False
    return (part, (top, left), at) if same else (image, (0, 0), place)
