"""Where the cells of a map look: the middles of their receptive fields, from the operations that ran (lesson 02).

Cell i of a layer with kernel k, stride s, padding p and dilation d lies, in cells of the layer before, at
s·i + d·(k − 1)/2 − p. So in torchvision's networks cell i of a stage with stride 32 lies at pixel 32·i: half a cell
left of and above where it lies on a map that is simply enlarged (32·i + 15.5).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .recording import Recording, Ref, Step

__all__ = ["centres", "resize_at"]

Place = tuple[float, float]  # the pixel of a layer's first cell, and the pixels from one cell to the next


def centres(record: Recording, features: Ref, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """-> (h,), (w,): the rows and columns of the picture at which the cells look, in pixels; the first pixel is 0.

    Where branches that join disagree it is their mean. After an operation whose cells are not known (tokens, windows of
    attention, enlarging) the cells divide the picture evenly.
    """
    places: dict[Ref, list[Place]] = {Ref(0): [(0.0, 1.0), (0.0, 1.0)]}
    for step in record.steps:
        for out in step.outs:
            if len(record.shapes[out]) == 4:
                places[out] = _after(record, step, record.shapes[out][2:], places)
    sides = record.shapes[0][2:]
    found = places.get(features) if record.shapes[features][2:] == grid else None
    found = found or [_even(side, cells) for side, cells in zip(sides, grid, strict=True)]
    rows, columns = (first + step * torch.arange(n, device="cpu") for (first, step), n in zip(found, grid, strict=True))
    return rows, columns


def _after(record: Recording, step: Step, sides: tuple[int, int], places: dict[Ref, list[Place]]) -> list[Place]:
    source = step.inputs[0]
    if step.name in ("convolution", "avg_pool2d", "max_pool2d_with_indices") and source in places:
        kernel, stride, padding, dilation = _window(step)
        return [
            (first + size * (d * (k - 1) / 2 - p), size * s)
            for (first, size), k, s, p, d in zip(places[source], kernel, stride, padding, dilation, strict=True)
        ]
    if step.name.endswith(("pad_nd", "pad2d")) and source in places and len(step.args[1]) <= 4:
        left, top = step.args[1][0], (*step.args[1], 0, 0)[2]
        return [
            (first - size * before, size) for (first, size), before in zip(places[source], (top, left), strict=True)
        ]
    if step.name == "slice" and source in places:
        _, dim, start, _, every = (*step.args, *(0, None, None, 1)[len(step.args) - 1 :])[:5]
        moved = list(places[source])
        if dim >= 2:
            first, size = moved[dim - 2]
            moved[dim - 2] = first + size * (start or 0), size * every
        return moved
    joined = [places[ref] for ref in step.inputs if ref in places and record.shapes[ref][2:] == sides]
    if not joined:
        return [_even(side, cells) for side, cells in zip(record.shapes[0][2:], sides, strict=True)]
    return [tuple(sum(part) / len(joined) for part in zip(*axis, strict=True)) for axis in zip(*joined, strict=True)]


def _window(step: Step) -> list[tuple[int, int]]:
    """kernel, stride, padding and dilation of a convolution or pooling, along both axes"""
    if step.name == "convolution":
        _, weight, _, stride, padding, dilation, *_ = step.args
        numbers = [weight.shape[2:], stride, padding, dilation]
    else:
        _, kernel, stride, padding, dilation = (*step.args, *([], 0, 1)[len(step.args) - 2 :])[:5]
        numbers = [kernel, stride or kernel, padding, dilation if step.name == "max_pool2d_with_indices" else 1]
    return [tuple(x) * (2 // len(x)) if isinstance(x, list | tuple) else (x, x) for x in numbers]


def _even(side: int, cells: int) -> Place:
    return (side / cells - 1) / 2, side / cells


def resize_at(maps: Tensor, centres: tuple[Tensor, Tensor], picture: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """(N,C,h,w) -> (N,C,H,W): each cell at its centre in a picture that is resized to `size`, bilinear between them;
    outside them, the nearest cell's value."""
    for dim, (middles, side, wanted) in enumerate(zip(centres, picture, size, strict=True), 2):
        pixels = (torch.arange(wanted, device=maps.device) + 0.5) * side / wanted - 0.5
        step = float(middles[-1] - middles[0]) / max(len(middles) - 1, 1)
        cell = ((pixels - float(middles[0])) / (step or 1)).clamp(0, len(middles) - 1)
        low = cell.floor().long()
        part = (cell - low).to(maps.dtype).unflatten(0, (-1, 1) if dim == 2 else (1, -1))
        maps = maps.index_select(dim, low).lerp(maps.index_select(dim, (low + 1).clamp(max=len(middles) - 1)), part)
    return maps
