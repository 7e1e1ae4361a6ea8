"""Maps that never looked at the picture: what every score has to beat."""

from __future__ import annotations

import torch
from torch import Tensor


def centred_box(n: int, size: tuple[int, int], side: float = 0.7) -> Tensor:
    """n equal maps (n,H,W): 1 inside a centred box whose sides are `side` of the picture's, 0 outside.

    Every threshold finds that box, about half of the picture at 0.7. Raises ValueError for a side outside 0 to 1.
    """
    if not 0 < side <= 1:
        raise ValueError(f"side is a part of the picture's side, above 0 up to 1, got {side}")
    heat = torch.zeros(size)
    margins = [round(length * (1 - side) / 2) for length in size]
    heat[margins[0] : size[0] - margins[0], margins[1] : size[1] - margins[1]] = 1
    return heat.expand(n, -1, -1)


def centred_gaussian(n: int, size: tuple[int, int]) -> Tensor:
    """n equal maps (n,H,W): a centred Gaussian, standard deviations a quarter of the picture's sides.

    Its threshold chooses the size of a centred box: the centre baseline of Choe et al. (CVPR 2020).
    """
    y, x = (torch.exp(-8 * ((torch.arange(length) + 0.5) / length - 0.5) ** 2) for length in size)
    return (y[:, None] * x).expand(n, -1, -1)
