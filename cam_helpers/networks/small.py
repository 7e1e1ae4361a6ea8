"""Small networks for the drawn world at 64 and 128 pixels: the paper's family, scaled down."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

__all__ = ["TRUNKS", "Pixels", "conv", "small_trunk"]


class Pixels(nn.Module):
    """Scale pictures as files hold them to numbers from -1 to 1: uint8, or float from 0 to 1, in any shape.

    Raises ValueError for other types, and for floats that were normalised before.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("middle", torch.tensor(127.5), persistent=False)  # goes where the network goes

    def forward(self, images: Tensor) -> Tensor:
        if images.dtype == torch.uint8:
            return images.to(self.middle.dtype) / self.middle - 1
        # looking at the numbers makes a GPU wait at every step of a training; some tensors hold only a shape
        look = type(images) is Tensor and not (torch.compiler.is_compiling() or (self.training and not images.is_cpu))
        if not images.is_floating_point() or (look and images.numel() and not _within(images, -1, 2)):
            raise ValueError(
                f"expected uint8, or float from 0 to 1, got {images.dtype}. Do not scale the pictures: the network does"
            )
        return images.to(self.middle.dtype) * 2 - 1


def _within(images: Tensor, low: float, high: float) -> bool:
    least, most = images.detach().aminmax()
    return bool((least >= low) & (most <= high))


def conv(units_in: int, units: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; padded so that only the stride makes the maps smaller.

    Args:
        units_in: channels of what comes in
        units: channels of what goes out
        kernel: side of the kernel, odd
        stride: cells from one place of the kernel to the next
    """
    layer = nn.Conv2d(units_in, units, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(OrderedDict(conv=layer, norm=nn.BatchNorm2d(units), relu=nn.ReLU(inplace=True)))


class Residual(nn.Module):
    """x + f(x), where f starts as zero: the scale of its last norm is 0 (He et al. 2016; Goyal et al. 2017)."""

    def __init__(self, units: int):
        super().__init__()
        self.first, self.second = conv(units, units), conv(units, units)[:2]
        self.relu = nn.ReLU(inplace=True)
        nn.init.zeros_(self.second.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.second(self.first(x)))


class Inception(nn.Module):
    """Windows of 1, 3 and 5 places and a pooling, side by side (Szegedy et al. 2015)."""

    def __init__(self, units_in: int, units: int):
        super().__init__()
        k = units // 16
        self.one = conv(units_in, 4 * k, 1)
        self.three = nn.Sequential(conv(units_in, 4 * k, 1), conv(4 * k, 8 * k, 3))
        self.five = nn.Sequential(conv(units_in, k, 1), conv(k, 2 * k, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(units_in, 2 * k, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


def _stem() -> list[nn.Module]:
    """Two strides of 2: the maps of a 64-pixel picture have 16×16 places."""
    return [conv(3, 32, 5, 2), conv(32, 64, 3, 2)]


def _mlpconv(units_in: int, units: int, kernel: int, stride: int = 1, ones: int = 2) -> list[nn.Module]:
    """A convolution and 1×1 convolutions after it (Lin et al. 2014)."""
    return [conv(units_in, units, kernel, stride), *[conv(units, units, 1) for _ in range(ones)]]


TRUNKS = {
    "course": lambda: [*_stem(), Residual(64), Residual(64), conv(64, 128)],
    "course_star": lambda: [*_stem(), conv(64, 64), conv(64, 128)],
    "course_inception": lambda: [*_stem(), Inception(64, 128), Inception(128, 256)],
    "course_nin": lambda: [*_mlpconv(3, 64, 5, 2), *_mlpconv(64, 128, 3, 2), *_mlpconv(128, 128, 3, ones=1)],
}
TRUNKS["course_dense"] = TRUNKS["course"]


def small_trunk(name: str) -> nn.Sequential:
    """Pixels and convolutions: (N,3,H,W) uint8, or float from 0 to 1 -> features (N,K,H/4,W/4). name: one of TRUNKS."""
    stages = OrderedDict(pixels=Pixels())
    for number, stage in enumerate(TRUNKS[name](), 1):
        kind = type(stage).__name__.lower() if isinstance(stage, Residual | Inception) else "conv"
        stages[f"{kind}{number}"] = stage
    return nn.Sequential(stages)
