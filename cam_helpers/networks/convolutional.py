"""Dense layers read as convolutions: one pass over a large picture gives a grid of scores (lesson 02; the slides)."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Iterable

from torch import Tensor, nn
from torchvision import models

from .course import Pixels
from .gap import Sum
from .resolution import blank, probe

__all__ = ["fully_convolutional"]

_ANYWHERE = (nn.ReLU, nn.Dropout, nn.Identity, nn.Softmax)  # after a dense layer: treat every place alike
_ADAPTIVE = {nn.AdaptiveAvgPool2d: nn.AvgPool2d, nn.AdaptiveMaxPool2d: nn.MaxPool2d}
_CHANGING = (nn.Linear, nn.Flatten, Sum, *_ADAPTIVE)


def fully_convolutional(network: nn.Module, size: int | None = None) -> nn.Sequential:
    """A copy with the same weights and convolutions only: (N,3,H,W) -> a grid of scores (N,C,h,w).

    network: torchvision's AlexNet or VGG, or a chain (nn.Sequential): `caffe_alexnet`, those of `gap_network`, yours.
    The first dense layer becomes a convolution with a window as large as the grid it read, the others 1×1; stages that
    held them are called "…-conv", as in Caffe. At the training size the one place of the grid has the network's scores.
    A *global* pooling is dropped: the grid is then the class activation maps plus the bias, one map per class.
    size: side of the pictures the network was trained on; None: 64 for the course's networks, else 224.
    Raises ValueError, naming the layer, for what cannot be moved over a larger picture.
    Long, Shelhamer, Darrell 2015, section 3.1.
    """
    if isinstance(network, (models.AlexNet, models.VGG)):
        chain = {"features": network.features, "avgpool": network.avgpool, "flatten": nn.Flatten()}
        chain["classifier"] = network.classifier
    elif type(network).forward is nn.Sequential.forward:
        chain = dict(network.named_children())
    else:
        raise ValueError(
            f"{type(network).__name__} is not a chain of layers: give an nn.Sequential, torchvision's AlexNet or VGG, "
            "or gap_network(...), which has the same convolutions in a chain"
        )
    kinds = [type(m) for m in network.modules()]
    if kinds.count(nn.Linear) > 1 and any(isinstance(m, Sum) or _one(m) for m in network.modules()):
        raise ValueError("a global pooling with several dense layers behind it: their scores are no sum over places")
    size = size or (64 if Pixels in kinds else 224)
    return _convert(chain.items(), blank(network, size), None, "-conv")[0]


Grid = tuple[int, int, int] | None  # what a flattened vector was, (K,h,w); None: it is not flat yet


def _convert(
    chain: Iterable[tuple[str, nn.Module]], x: Tensor, grid: Grid, suffix: str = ""
) -> tuple[nn.Sequential, Tensor, Grid]:
    """x goes through the network as it was; it has a shape and no numbers."""
    stages = OrderedDict()
    for name, layer in chain:
        if type(layer).forward is nn.Sequential.forward and any(isinstance(m, _CHANGING) for m in layer.modules()):
            dense = any(isinstance(m, nn.Linear) for m in layer.modules())
            stages[name + suffix * dense], x, grid = _convert(layer.named_children(), x, grid)
            continue
        if isinstance(layer, nn.Linear):
            stages[name + suffix] = _convolution(layer, name, grid, x)
            grid = (layer.out_features, 1, 1)
        elif grid is not None and type(layer) is nn.BatchNorm1d:
            stages[name] = _everywhere(layer)
        elif grid is not None:
            if not isinstance(layer, _ANYWHERE):
                raise ValueError(f"layer '{name}' ({type(layer).__name__}) cannot be moved over a grid of places")
            stages[name] = copy.deepcopy(layer)
        elif isinstance(layer, nn.Flatten):
            grid = tuple(x.shape[1:])
        elif isinstance(layer, (*_ADAPTIVE, Sum)):
            stages |= _window(layer, name, x)
        else:
            stages[name] = copy.deepcopy(layer)
        x = probe(layer, x)
    return nn.Sequential(stages), x, grid


def _everywhere(norm: nn.BatchNorm1d) -> nn.BatchNorm2d:
    """The same scales and shifts at every place."""
    norm2d = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    norm2d.load_state_dict(norm.state_dict())
    return norm2d.train(norm.training)


def _one(layer: nn.Module) -> bool:
    return isinstance(layer, tuple(_ADAPTIVE)) and layer.output_size in (1, (1, 1))


def _window(layer: nn.Module, name: str, before: Tensor) -> dict[str, nn.Module]:
    """What an adaptive pooling does at the training size, as a window. Nothing is left of one that is global."""
    (h, w), (y, x) = before.shape[2:], probe(layer, before).shape[2:]
    if (y, x) in ((1, 1), (h, w)):
        return {}
    if h % y or w % x:
        raise ValueError(f"layer '{name}' ({type(layer).__name__}) pools {h}×{w} places unequally to {y}×{x}")
    return {name: _ADAPTIVE[type(layer)]((h // y, w // x))}


def _convolution(linear: nn.Linear, name: str, grid: Grid, x: Tensor) -> nn.Conv2d:
    if grid is None or linear.in_features != math.prod(grid):
        raise ValueError(
            f"layer '{name}' reads {linear.in_features} numbers, and pictures of this size give {tuple(x.shape[1:])}: "
            "give size=, the side of the pictures it was trained on"
        )
    convolution = nn.Conv2d(grid[0], linear.out_features, grid[1:], bias=linear.bias is not None, device="meta")
    convolution.weight = nn.Parameter(linear.weight.detach().clone().view(-1, *grid))
    if linear.bias is not None:
        convolution.bias = nn.Parameter(linear.bias.detach().clone())
    return convolution
