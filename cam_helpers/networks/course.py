"""Small networks for the world of the course at 64 and 128 pixels: the paper's family, scaled down."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

__all__ = ["TRUNKS", "Pixels", "conv", "course_trunk"]

# (kind, units, kernel, stride), one row a stage. Two strides of 2: the maps of a 64-pixel picture have 16×16 places.
_STEM = (("conv", 32, 5, 2), ("conv", 64, 3, 2))
_COURSE = (*_STEM, ("residual", 64, 3, 1), ("residual", 64, 3, 1), ("conv", 128, 3, 1))
_MLPCONV = (("conv", 64, 5, 2), *[("conv", 64, 1, 1)] * 2, ("conv", 128, 3, 2), *[("conv", 128, 1, 1)] * 2)
TRUNKS = {
    "course": _COURSE,
    "course_star": (*_STEM, ("conv", 64, 3, 1), ("conv", 128, 3, 1)),
    "course_inception": (*_STEM, ("inception", 128, 5, 1), ("inception", 256, 5, 1)),
    "course_nin": (*_MLPCONV, ("conv", 128, 3, 1), ("conv", 128, 1, 1)),
    "course_dense": _COURSE,
}


def course_trunk(name: str, norm: str = "batch") -> nn.Sequential:
    """Pixels and convolutions: (N,3,H,W) uint8, or float 0–1 -> features (N,K,H/4,W/4). norm: "batch" or "group"."""
    stages, units = OrderedDict(pixels=Pixels()), 3
    for number, (kind, wanted, kernel, stride) in enumerate(TRUNKS[name], 1):
        if kind == "conv":
            stage = conv(units, wanted, kernel, stride, norm)
        else:
            stage = {"residual": Residual, "inception": Inception}[kind](units, wanted, norm)
        stages[f"{kind}{number}"], units = stage, wanted
    return nn.Sequential(stages)


def conv(units: int, wanted: int, kernel: int = 3, stride: int = 1, norm: str = "batch") -> nn.Sequential:
    """Convolution, norm, ReLU: the side shrinks by the stride only."""
    layer = nn.Conv2d(units, wanted, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(OrderedDict(conv=layer, norm=_norm(wanted, norm), relu=nn.ReLU(inplace=True)))


def _norm(units: int, norm: str) -> nn.Module:
    return nn.BatchNorm2d(units) if norm == "batch" else nn.GroupNorm(8, units)


class Pixels(nn.Module):
    """Pictures as files have them -> numbers from -1 to 1: uint8, or float from 0 to 1, in any shape.

    Raises ValueError for other types, and for floats that were normalised before.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("middle", torch.tensor(127.5), persistent=False)  # goes where the network goes

    def forward(self, images: Tensor) -> Tensor:
        if images.dtype == torch.uint8:
            return images.to(self.middle.dtype) / self.middle - 1
        # a look at the numbers makes a GPU's host wait, at every step of a training; some tensors hold only a shape
        look = type(images) is Tensor and not (torch.compiler.is_compiling() or (self.training and not images.is_cpu))
        if not images.is_floating_point() or (look and images.numel() and not _within(images, -1, 2)):
            raise ValueError(f"give uint8, or float from 0 to 1: the network scales the pictures, got {images.dtype}")
        return images.to(self.middle.dtype) * 2 - 1


def _within(images: Tensor, low: float, high: float) -> bool:
    least, most = images.detach().aminmax()
    return bool((least >= low) & (most <= high))


class Residual(nn.Module):
    """x + f(x), where f starts as nothing: its last norm scales by 0 (He et al. 2016; Goyal et al. 2017)."""

    def __init__(self, units: int, wanted: int, norm: str):
        super().__init__()
        if units != wanted:
            raise ValueError(f"a residual block keeps its {units} units, asked for {wanted}")
        self.first, self.second = conv(units, units, norm=norm), conv(units, units, norm=norm)[:2]
        self.relu = nn.ReLU(inplace=True)
        nn.init.zeros_(self.second.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.second(self.first(x)))


class Inception(nn.Module):
    """Windows of 1, 3 and 5 places and a pooling, side by side (Szegedy et al. 2015)."""

    def __init__(self, units: int, wanted: int, norm: str):
        super().__init__()
        k = wanted // 16
        self.one = conv(units, 4 * k, 1, norm=norm)
        self.three = nn.Sequential(conv(units, 4 * k, 1, norm=norm), conv(4 * k, 8 * k, 3, norm=norm))
        self.five = nn.Sequential(conv(units, k, 1, norm=norm), conv(k, 2 * k, 5, norm=norm))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(units, 2 * k, 1, norm=norm))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)
