"""Finer maps from the same weights: strides replaced by dilation; and the shapes inside a network."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, fx, nn
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.nn import functional as F

from ..maps import eval_mode
from ..pooling import node_name
from ..tracing import _Tracer
from .course import Pixels

__all__ = ["blank", "dilate", "probe", "resolutions", "shapes"]

_WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
_OTHERS = (nn.ConvTranspose2d, nn.Upsample, nn.LPPool2d, nn.FractionalMaxPool2d)
_FUNCTIONS = {F.conv2d, torch.conv2d, F.max_pool2d, torch.max_pool2d, F.avg_pool2d, F.interpolate, F.conv_transpose2d}


def dilate(network: nn.Module, output_stride: int) -> nn.Module:
    """A copy of the network in which no layer is coarser than `output_stride` pixels; the weights are the same.

    A convolution or pooling that would go beyond loses its stride, and those after it look at places as many times
    further apart (à trous). So at every place that the strided network has, the features are what they were, except
    near the border, where padding is read; new places lie between them. Works on anything torch.fx can trace: a whole
    classifier, or its convolutions. output_stride: 1, 2, 4 …, in pixels of the picture.
    Raises ValueError, naming the layer, where a stride does not divide or an average pooling would need dilation.
    Holschneider et al. 1989; Chen et al. (DeepLab) 2015. Lecture notes: "atrous convolutions".
    """
    if output_stride < 1:
        raise ValueError(f"output_stride must be 1 or more, got {output_stride}")
    network, made = copy.deepcopy(network), {}
    for name, layer, before, after in list(_windows(network)):
        beyond = after > output_stride
        if beyond and (after % output_stride or (output_stride % before and before % output_stride)):
            raise ValueError(
                f"layer '{name}' goes from a stride of {before} to {after} pixels: {output_stride} does not fit between"
            )
        plan = (output_stride // before or 1, before // output_stride or 1) if beyond else (after // before, 1)
        if layer not in made:
            made[layer] = plan, _spread(layer, *plan) if beyond else layer
        if made[layer][0] != plan:
            raise ValueError(f"layer '{name}' is used at several strides: give each place a layer of its own")
        network.set_submodule(name, made[layer][1])
    return network


def _windows(network: nn.Module) -> Iterator[tuple[str, nn.Module, int, int]]:
    """Every convolution and pooling: its name, itself, and the strides in pixels of what enters and leaves it."""
    strides: dict[fx.Node, int] = {}
    for node in _Tracer().trace(network).nodes:
        layer = network.get_submodule(node.target) if node.op == "call_module" else None
        before = max((strides[source] for source in node.all_input_nodes), default=1)
        strides[node] = before
        if isinstance(layer, _WINDOWS):
            stride = set(_pair(layer.stride))
            if len(stride) > 1:
                raise ValueError(f"layer '{node.target}' has a stride of its own along each side")
            strides[node] = before * stride.pop()
            yield node.target, layer, before, strides[node]
        elif node.target in _FUNCTIONS or _holds_windows(layer):
            raise ValueError(f"the stride of '{node_name(node)}' cannot be replaced by dilation")


def _holds_windows(layer: nn.Module | None) -> bool:
    return layer is not None and any(isinstance(m, _WINDOWS + _OTHERS) for m in layer.modules())


def _spread(layer: nn.Module, stride: int, factor: int) -> nn.Module:
    """The layer with this stride, its window `factor` times wider."""
    layer.stride = (stride, stride)
    if factor == 1 or set(_pair(layer.kernel_size)) == {1}:
        return layer
    if isinstance(layer, nn.AvgPool2d):
        raise ValueError(f"{layer} would need dilation, which average pooling has not: choose a larger output_stride")
    layer.dilation = tuple(d * factor for d in _pair(layer.dilation))
    if isinstance(layer, nn.Conv2d):
        if not isinstance(layer.padding, str):
            layer.padding = tuple(p * factor for p in layer.padding)
        layer._reversed_padding_repeated_twice = [p * factor for p in layer._reversed_padding_repeated_twice]
        return layer
    (y, x), layer.padding = _pair(layer.padding), 0  # a pooling pads by half of its undilated window at most
    edge = nn.ConstantPad2d((x * factor, x * factor, y * factor, y * factor), -torch.inf)
    return nn.Sequential(edge, layer) if x or y else layer


def resolutions(trunk: nn.Module, size: int) -> Iterator[tuple[int, nn.Module]]:
    """The mapping resolutions a trunk can be dilated to, coarsest first: (side, dilated copy)."""
    for stride in sorted({1, *(after for *_, after in _windows(trunk))}, reverse=True):
        try:
            finer = dilate(trunk, stride)
        except ValueError:  # an average pooling, or a stride of 3 in between
            continue
        yield probe(finer, blank(finer, size)).shape[-1], finer


def shapes(stages: Iterable[tuple[str, nn.Module]], images: Tensor) -> dict[str, tuple[int, ...]]:
    """name -> shape of what each stage of a chain gives. Nothing is computed; the pictures lend their shape."""
    found = {}
    if not isinstance(images, FakeTensor):
        images = FakeTensorMode(allow_non_fake_inputs=True).from_tensor(images)
    for name, stage in stages:
        images = probe(stage, images)
        found[name] = tuple(images.shape)
    return found


def blank(network: nn.Module, size: int) -> Tensor:
    """A picture that has a shape and no numbers (a FakeTensor), of the kind the network takes: (1,3,size,size)."""
    like = next(network.parameters(), torch.empty(0))
    kind = torch.uint8 if any(isinstance(m, Pixels) for m in network.modules()) else like.dtype
    picture = torch.empty(1, 3, size, size, dtype=kind, device=like.device)
    return FakeTensorMode(allow_non_fake_inputs=True).from_tensor(picture)


def probe(stage: nn.Module, x: Tensor) -> Tensor:
    """stage(x) without leaving a trace: in train mode a BatchNorm would count the batch."""
    with torch.no_grad(), eval_mode(stage):
        return stage(x)


def _pair(value) -> tuple[int, int]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
