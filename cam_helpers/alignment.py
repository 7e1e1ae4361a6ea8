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

# the pixel of a layer's first cell, the pixels from one cell to the next, and how far a cell sees to each side
Place = tuple[float, float, float]


def centres(record: Recording, features: Ref, grid: tuple[int, int]) -> tuple[tuple[Tensor, ...], tuple[float, ...]]:
    """Where the cells look, in pixels of the picture; the first pixel is 0 -> their middles and how far they reach.

    The middles are rows (h,) and columns (w,); up and down, and left and right of its middle, a cell sees so many
    pixels. Where branches that join disagree the middle is their mean, and the reach the largest. After an operation
    whose cells are not known (tokens, windows of attention, enlarging) the cells divide the picture evenly, and each
    may see all of it.
    """
    places: dict[Ref, list[Place]] = {Ref(0): [(0.0, 1.0, 0.0), (0.0, 1.0, 0.0)]}
    for step in record.steps:
        for out in step.outs:
            if len(record.shapes[out]) == 4:
                places[out] = _after(record, step, record.shapes[out][2:], places)
    sides = record.shapes[0][2:]
    found = places.get(features) if record.shapes[features][2:] == grid else None
    found = found or [_even(side, cells) for side, cells in zip(sides, grid, strict=True)]
    middles = [first + step * torch.arange(n, device="cpu") for (first, step, _), n in zip(found, grid, strict=True)]
    return tuple(middles), tuple(reach for *_, reach in found)


def _after(record: Recording, step: Step, sides: tuple[int, int], places: dict[Ref, list[Place]]) -> list[Place]:
    source = step.inputs[0]
    if step.name in ("convolution", "avg_pool2d", "max_pool2d_with_indices") and source in places:
        kernel, stride, padding, dilation = _window(step)
        return [
            (first + size * (d * (k - 1) / 2 - p), size * s, reach + size * d * (k - 1) / 2)
            for (first, size, reach), k, s, p, d in zip(places[source], kernel, stride, padding, dilation, strict=True)
        ]
    if step.name.endswith(("pad_nd", "pad2d")) and source in places and len(step.args[1]) <= 4:
        left, top = step.args[1][0], (*step.args[1], 0, 0)[2]
        return [
            (first - size * before, size, reach)
            for (first, size, reach), before in zip(places[source], (top, left), strict=True)
        ]
    if step.name == "slice" and source in places:
        _, dim, start, _, every = (*step.args, *(0, None, None, 1)[len(step.args) - 1 :])[:5]
        moved = list(places[source])
        if dim >= 2:
            first, size, reach = moved[dim - 2]
            moved[dim - 2] = first + size * (start or 0), size * every, reach
        return moved
    joined = [places[ref] for ref in step.inputs if ref in places and record.shapes[ref][2:] == sides]
    if not joined:
        return [_even(side, cells) for side, cells in zip(record.shapes[0][2:], sides, strict=True)]
    axes = [zip(*axis, strict=True) for axis in zip(*joined, strict=True)]
    return [(sum(first) / len(joined), sum(step) / len(joined), max(reach)) for first, step, reach in axes]


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
    return (side / cells - 1) / 2, side / cells, side


def resize_at(maps: Tensor, centres: tuple[Tensor, Tensor], picture: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Each cell at its centre, bilinear between the centres; outside them, the nearest cell's value -> (N,C,H,W).

    Args:
        maps: (N,C,h,w)
        centres: rows (h,) and columns (w,) in pixels of the picture, see `centres`
        picture: (height, width) of what the network saw
        size: (H, W) to which the picture is resized
    """
    for dim, (middles, side, wanted) in enumerate(zip(centres, picture, size, strict=True), 2):
        pixels = (torch.arange(wanted, device=maps.device) + 0.5) * side / wanted - 0.5
        step = float(middles[-1] - middles[0]) / max(len(middles) - 1, 1)
        cell = ((pixels - float(middles[0])) / (step or 1)).clamp(0, len(middles) - 1)
        low = cell.floor().long()
        part = (cell - low).to(maps.dtype).unflatten(0, (-1, 1) if dim == 2 else (1, -1))
        maps = maps.index_select(dim, low).lerp(maps.index_select(dim, (low + 1).clamp(max=len(middles) - 1)), part)
    return maps
