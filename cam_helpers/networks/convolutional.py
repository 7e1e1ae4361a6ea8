"""Dense layers read as convolutions: one pass over a large picture gives a grid of scores (lesson 02; the slides)."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict

from torch import Tensor, nn

from .gap import Sum
from .resolution import blank, run_in_eval
from .small import Pixels

__all__ = ["fully_convolutional"]

_ANYWHERE = (nn.ReLU, nn.Dropout, nn.Identity, nn.Softmax)  # after a dense layer: they treat every place alike
_ADAPTIVE = {nn.AdaptiveAvgPool2d: nn.AvgPool2d, nn.AdaptiveMaxPool2d: nn.MaxPool2d}


def fully_convolutional(network: nn.Module, size: int | None = None) -> nn.Sequential:
    """A copy with the same weights and convolutions only: (N,3,H,W) -> a grid of scores (N,C,h,w).

    network: a chain of layers (nn.Sequential): `caffe_alexnet`, those of `gap_network`, yours.
    The first dense layer becomes a convolution with a window as large as the grid it read, the others 1×1; stages that
    held them are called "…-conv", as in Caffe. At the training size the one place of the grid has the network's scores.
    A *global* pooling is dropped: the grid is then the class activation maps plus the bias, one map per class.
    size: side of the pictures the network was trained on; None: 64 for the course's networks, else 224.
    Raises ValueError, naming the layer, for what cannot be moved over a larger picture.
    Long, Shelhamer, Darrell 2015, section 3.1.
    """
    if not _is_chain(network):
        raise ValueError(
            f"expected a chain of layers (nn.Sequential), got {type(network).__name__}. "
            "gap_network(...) gives one with torchvision's convolutions"
        )
    if _dense_layers(network) > 1 and any(_is_global(m) for m in network.modules()):
        raise ValueError("a global pooling with several dense layers behind it: their scores are no sum over places")
    size = size or (64 if any(isinstance(m, Pixels) for m in network.modules()) else 224)
    return _convert(network, blank(network, size), False, "-conv")[0]


def _convert(chain: nn.Sequential, x: Tensor, flat: bool, suffix: str = "") -> tuple[nn.Sequential, Tensor, bool]:
    """-> the chain of convolutions, what it gives for x, and whether the network has flattened x by now.

    x (1,K,h,w) has a shape and no numbers. Here it stays a grid of places. suffix: for the names of dense stages.
    """
    stages = OrderedDict()
    for old_name, layer in chain.named_children():
        name = old_name + suffix if _dense_layers(layer) else old_name
        if _is_chain(layer):
            stages[name], x, flat = _convert(layer, x, flat)
            continue
        if isinstance(layer, nn.Flatten):
            flat = True
            continue
        if _is_global(layer):
            continue
        if isinstance(layer, nn.Linear):
            stages[name] = _convolution(layer, old_name, x)
        elif isinstance(layer, nn.BatchNorm1d):
            stages[name] = _batch_norm(layer)
        elif isinstance(layer, tuple(_ADAPTIVE)):
            stages[name] = _window(layer, name, x)
        elif flat and not isinstance(layer, _ANYWHERE):
            raise ValueError(f"layer '{name}' ({type(layer).__name__}) cannot be moved over a grid of places")
        else:
            stages[name] = copy.deepcopy(layer)
        x = run_in_eval(stages[name], x)
    return nn.Sequential(stages), x, flat


def _is_chain(layer: nn.Module) -> bool:
    return type(layer).forward is nn.Sequential.forward


def _dense_layers(network: nn.Module) -> int:
    return sum(isinstance(m, nn.Linear) for m in network.modules())


def _is_global(layer: nn.Module) -> bool:
    return isinstance(layer, Sum) or (isinstance(layer, tuple(_ADAPTIVE)) and layer.output_size in (1, (1, 1)))


def _batch_norm(norm: nn.BatchNorm1d) -> nn.BatchNorm2d:
    """The same scales and shifts at every place."""
    norm2d = nn.BatchNorm2d(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats, device="meta"
    )
    norm2d.load_state_dict(copy.deepcopy(norm).state_dict(), assign=True)
    return norm2d.train(norm.training)


def _window(layer: nn.Module, name: str, x: Tensor) -> nn.Module:
    """What an adaptive pooling does at the training size, as a window."""
    (h, w), (rows, columns) = x.shape[2:], run_in_eval(layer, x).shape[2:]
    if h % rows or w % columns:
        raise ValueError(f"layer '{name}' ({type(layer).__name__}) pools {h}×{w} places unequally to {rows}×{columns}")
    return _ADAPTIVE[type(layer)]((h // rows, w // columns))


def _convolution(linear: nn.Linear, name: str, x: Tensor) -> nn.Conv2d:
    """The dense layer as a convolution whose window is all of x; 1×1 where it reads one number per unit."""
    units, *grid = x.shape[1:]
    window = (1, 1) if linear.in_features == units else tuple(grid)
    if linear.in_features != units * math.prod(window):
        raise ValueError(
            f"layer '{name}' reads {linear.in_features} numbers, and pictures of this size give {tuple(x.shape[1:])}: "
            "give size=, the side of the pictures it was trained on"
        )
    convolution = nn.Conv2d(units, linear.out_features, window, bias=linear.bias is not None, device="meta")
    weights = copy.deepcopy(linear).state_dict()
    weights["weight"] = weights["weight"].view(-1, units, *window)
    convolution.load_state_dict(weights, assign=True)
    return convolution
