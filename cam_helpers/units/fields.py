"""Receptive fields: the pixels that a unit can see, and those that it does see."""

from __future__ import annotations

from bisect import bisect_left
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from ..maps import CamModel, NotCamCompatible


class _Any(Tensor):
    """Numbers that a network's first layer need not check."""


def theoretical_field(
    model: CamModel | nn.Module, size: tuple[int, int], place: tuple[int, int] | None = None, unit: int | None = None
) -> tuple[int, int, int, int]:
    """The pixels that can change the features at one place: a box (x1, y1, x2, y2), x2 and y2 exclusive.

    size (H,W) of the picture; place: row and column among the features (None: the middle one); unit: None takes all.
    Found by looking how far NaN, which no layer can undo, spreads through a copy of the network in double precision:
    right for every architecture, padding and branches included. A box that ends at the border is cut off there.
    """
    cams = CamModel(deepcopy(model.model if isinstance(model, CamModel) else model).cpu().double().eval())
    units = slice(None) if unit is None else unit

    def features(picture: Tensor) -> Tensor:
        return cams(picture.as_subclass(_Any)).features.as_subclass(Tensor)[0, units]

    shape = features(torch.zeros(1, 3, *size, dtype=torch.double)).shape[-2:]
    row, column = place or (shape[0] // 2, shape[1] // 2)

    def first(axis: int, backwards: bool) -> int:
        def reached(i: int) -> bool:
            picture = torch.zeros(1, 3, *size, dtype=torch.double)
            start = size[axis] - 1 - i if backwards else 0
            picture.narrow(2 + axis, start, i + 1).fill_(torch.nan)
            return bool(features(picture)[..., row, column].isnan().any())

        return bisect_left(range(size[axis]), True, key=reached)

    return first(1, False), first(0, False), size[1] - first(1, True), size[0] - first(0, True)


class Field(NamedTuple):
    """map (H,W): mean change of the activation when a window hides the pixel; the unit's place is in the middle.
    side: of the square as large as what is above the threshold. box: the theoretical field of a place in the middle."""

    map: Tensor
    side: float
    box: tuple[int, int, int, int]


def receptive_field(
    model: CamModel | nn.Module, images: Tensor, unit: int, window=11, stride=3, threshold=0.5, batch=256, box=None
) -> Field:
    """The field a unit really has, from the pictures that excite it most: a small window hides one spot after another.

    images (N,3,H,W): the unit's top pictures, as the network takes them. The window, in the picture's mean colour,
    moves over each; |change| at the place of the unit's maximum is kept, as a mean over the windows on a pixel; the
    maps are shifted so that this place is in the middle, and averaged. threshold: 0.5 of the maximum finds just the
    square when the unit is the mean over a square. box: `theoretical_field(model, (H, W))`, if it is known already.

    Only windows that touch the theoretical field are tried, on the part of the picture that the place can see: the
    others change nothing. Raises ValueError for windows that do not fit. Zhou et al., ICLR 2015, section 3.2.
    """
    size = tuple(images.shape[2:])
    if not 0 < stride <= window <= min(size):
        raise ValueError(f"stride ≤ window ≤ side of the picture, got {stride}, {window}, {size}")
    cams = model if isinstance(model, CamModel) else CamModel(model)
    box = theoretical_field(cams, size) if box is None else tuple(box)
    features = cams(images).features[:, unit].float()
    grid = features.shape[1:]
    steps = [side // places for side, places in zip(size, grid, strict=True)]
    reach = [  # of a place, from its first pixel; all of the picture where it is cut off or the places do not fit
        (low - (places // 2) * step, high - (places // 2) * step)
        if low > 0 and high < side and side % places == 0
        else (-side, side)
        for low, high, side, places, step in zip((box[1], box[0]), (box[3], box[2]), size, grid, steps, strict=True)
    ]
    total, counts = torch.zeros(2, 2 * size[0], 2 * size[1], dtype=torch.double)
    for image, heat in zip(tqdm(images, leave=False, disable=len(images) < 2), features, strict=True):
        at = divmod(int(heat.argmax()), grid[1])
        places = list(zip(at, steps, reach, size, strict=True))
        seen = [(max(0, p * step + a), min(side, p * step + b)) for p, step, (a, b), side in places]
        change, covered = _hide(cams, image, unit, at, heat[at], seen, steps, window, stride, batch)
        middle = [p * step + (a + b) // 2 for p, step, (a, b), _ in places]
        y, x = size[0] - middle[0], size[1] - middle[1]
        total[y : y + size[0], x : x + size[1]] += change
        counts[y : y + size[0], x : x + size[1]] += covered
    y, x = size[0] // 2, size[1] // 2
    found = (total / counts.clamp_min(1))[y : y + size[0], x : x + size[1]].float()
    above = (found > threshold * found.max()).sum().item()
    return Field(found, above**0.5, box)


def _hide(cams, image, unit, at, clean, seen, steps, window, stride, batch) -> tuple[Tensor, Tensor]:
    """-> (H,W) change, mean over the windows on each pixel, and where there was a window."""
    size = tuple(image.shape[1:])
    fill = image.float().mean((1, 2), keepdim=True).to(image.dtype)
    corners = [torch.arange(0, side - window + 1, stride) for side in size]
    tried = [(c < high) & (c + window > low) for c, (low, high) in zip(corners, seen, strict=True)]
    cut = [(low // s * s, min(side, -(-high // s) * s)) for (low, high), s, side in zip(seen, steps, size, strict=True)]
    part = image[:, cut[0][0] : cut[0][1], cut[1][0] : cut[1][1]]
    row, column = (p - low // s for p, (low, _), s in zip(at, cut, steps, strict=True))
    try:
        same = torch.isclose(cams(part[None]).features[0, unit, row, column].float(), clean, rtol=1e-3, atol=1e-5)
    except NotCamCompatible:  # a pooling of fixed size
        same = False
    if not same:
        part, cut, (row, column) = image, [(0, size[0]), (0, size[1])], at
    inside = [
        (torch.arange(*edges) >= c[:, None]) & (torch.arange(*edges) < c[:, None] + window)
        for c, edges in zip((c[t] for c, t in zip(corners, tried, strict=True)), cut, strict=True)
    ]
    pairs = torch.cartesian_prod(*(torch.arange(len(i)) for i in inside))
    changes = []
    for rows, columns in zip(*(p.split(batch) for p in pairs.T), strict=True):
        hidden = (inside[0][rows][:, :, None] & inside[1][columns][:, None]).to(image.device)
        activations = cams(torch.where(hidden[:, None], fill, part)).features[:, unit, row, column]
        changes.append((activations.float() - clean).abs().cpu())
    values = torch.zeros(len(corners[0]), len(corners[1]))
    values[tried[0][:, None] & tried[1]] = torch.cat(changes)
    square = torch.ones(1, 1, window, window)
    change, number = (
        F.conv_transpose2d(v[None, None], square, stride=stride)[0, 0] for v in (values, torch.ones_like(values))
    )
    edge = (0, size[1] - change.shape[1], 0, size[0] - change.shape[0])
    return F.pad(change / number.clamp_min(1), edge), F.pad((number > 0).float(), edge)
