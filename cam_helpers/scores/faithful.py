"""Deletion and insertion: does a map show what the network used? (lesson 13; Petsiuk, Das, Saenko, BMVC 2018)"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

SHARES = (0, 1 / 8, 1 / 4, 1 / 2, 1)  # of the squares


def deletion_and_insertion(
    network: Callable, images: Tensor, labels: Tensor, maps: Mapping[str, Tensor], cells: int = 7, paint=None
) -> dict[str, Tensor]:
    """The labels' probabilities while the hottest squares are painted over, and while only they are shown.

    Args:
        network: images -> class scores (n,C), before a softmax
        images, labels: (N,3,H,W) as the network takes them, (N,), on the network's device
        maps: name -> maps (N,h,w) of any size; only the order of their squares counts
        cells: squares a side
        paint: (N,3,H,W), what is seen where a picture is taken away; None: each picture's mean colour

    Returns:
        name -> (2,S,N): deletion and insertion, with SHARES of the squares painted over or shown
    """

    def ask(pictures):
        told = torch.cat([network(part).float().softmax(1) for part in pictures.split(16)])
        return told.gather(1, labels[:, None])[:, 0].cpu()

    if paint is None:
        paint = images.float().mean((2, 3), keepdim=True).to(images.dtype).expand_as(images)
    curves = {}
    with torch.no_grad():
        whole, bare = ask(images), ask(paint)
        for name, heat in maps.items():
            hottest_first = F.adaptive_avg_pool2d(heat[:, None], cells).flatten(1).argsort(1, descending=True)
            rank = hottest_first.argsort(1).unflatten(1, (1, cells, cells)).to(images.device)
            curves[name] = []
            for show, first, last in ((False, whole, bare), (True, bare, whole)):
                hot = ((rank < share * cells**2).float() for share in SHARES[1:-1])
                hot = (F.interpolate(squares, images.shape[2:]) > 0.5 for squares in hot)
                between = [ask(torch.where(squares == show, images, paint)) for squares in hot]
                curves[name].append(torch.stack([first, *between, last]))
    return {name: torch.stack(pair) for name, pair in curves.items()}


def faithfulness(curves: Tensor) -> Tensor:
    """(2,S,N) of `deletion_and_insertion` -> mean height of insertion minus that of deletion, (N,), from −1 to 1.

    Squares in random order give about 0 (with so few SHARES the curves are read coarsely).
    """
    deletion, insertion = torch.trapezoid(curves, torch.tensor(SHARES), dim=1)
    return insertion - deletion
