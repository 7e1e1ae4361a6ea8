"""Finer maps from the same weights: strides replaced by dilation."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from ..maps import eval_mode
from ..recording import Recording, Ref, layer_name
from .small import Pixels

__all__ = ["blank", "dilate", "run_in_eval", "with_resolution"]

_WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
_WINDOW_OPERATIONS = ("convolution", "max_pool2d", "avg_pool2d", "fractional_max_pool2d", "upsample")


def dilate(network: nn.Module, output_stride: int) -> nn.Module:
    """A copy of the network with the same weights, in which no layer is coarser than `output_stride` pixels.

    A convolution or pooling that would go beyond loses its stride, and those after it look at places as many times
    further apart (à trous). So at every place that the strided network has, the features are what they were, except
    near the border, where padding is read; new places lie between them. (Which ones are old is for the centres to say:
    TensorFlow's padding "same", timm's Conv2dSame, shifts them with the picture's size.) Works on a whole classifier,
    or its convolutions, that takes pictures of 224 pixels. output_stride: 1, 2, 4 …, in pixels of the picture.
    Raises ValueError, naming the layer, where a stride does not divide or an average pooling would need dilation.
    Holschneider et al. 1989; Chen et al. (DeepLab) 2015. Lecture notes: "atrous convolutions".
    """
    if output_stride < 1:
        raise ValueError(f"output_stride must be 1 or more, got {output_stride}")
    network = copy.deepcopy(network)
    changed = {}  # layer -> its new stride and dilation, and the layer that has them
    for name, layer, before, after in list(_windows(network)):
        new_before, new_after = min(before, output_stride), min(after, output_stride)
        if before % new_before or after % new_after or new_after % new_before:
            raise ValueError(
                f"layer '{name}' goes from a stride of {before} to {after} pixels: {output_stride} does not fit between"
            )
        plan = (new_after // new_before, before // new_before)
        if layer not in changed:
            changed[layer] = plan, _spread(layer, *plan)
        if changed[layer][0] != plan:
            raise ValueError(f"layer '{name}' is used at several strides: give each place a layer of its own")
        network.set_submodule(name, changed[layer][1])
    return network


def with_resolution(trunk: nn.Module, size: int, resolution: int) -> nn.Module:
    """The trunk, dilated so that its maps of pictures of `size` pixels have this side.

    Raises ValueError, with the sides that are possible, where that cannot be.
    """
    sides = []
    for stride in sorted({1, *(after for *_, after in _windows(trunk))}, reverse=True):
        try:
            finer = dilate(trunk, stride)
        except ValueError:  # an average pooling, or a stride of 3 in between
            continue
        side = run_in_eval(finer, blank(finer, size)).shape[-1]
        if side == resolution:
            return finer
        sides.append(str(side))
    raise ValueError(f"resolution for pictures of {size} pixels is one of {', '.join(sides)}, got {resolution}")


def blank(network: nn.Module, size: int) -> Tensor:
    """A picture (1,3,size,size) as the network takes them, with a shape but no numbers (a FakeTensor).

    It has as many channels as the first convolution reads.
    """
    like = next(network.parameters(), torch.empty(0))
    dtype = torch.uint8 if any(isinstance(m, Pixels) for m in network.modules()) else like.dtype
    channels = next((m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d)), 3)
    picture = torch.empty(1, channels, size, size, dtype=dtype, device=like.device)
    return FakeTensorMode(allow_non_fake_inputs=True).from_tensor(picture)


def run_in_eval(stage: nn.Module, x: Tensor) -> Tensor:
    """stage(x) in eval mode; in train mode a BatchNorm would count the batch."""
    with torch.no_grad(), eval_mode(stage):
        return stage(x)


def _windows(network: nn.Module) -> Iterator[tuple[str, nn.Module, int, int]]:
    """Every convolution and pooling: its name, itself, and the strides in pixels of what enters and leaves it."""
    picture, names = blank(network, 224), {module: name for name, module in network.named_modules()}
    with Recording(picture) as record:
        run_in_eval(network, picture)
    strides: dict[Ref, int] = {}
    for step in record.steps:
        before = max(strides.get(ref, 1) for ref in step.inputs)
        strides.update(dict.fromkeys(step.outs, before))
        if not step.name.startswith(_WINDOW_OPERATIONS):
            continue
        layer = step.module
        if not isinstance(layer, _WINDOWS):
            raise ValueError(f"the stride of {layer_name(network, step)} cannot be replaced by dilation")
        stride, other = _pair(layer.stride)
        if stride != other:
            raise ValueError(f"layer '{names[layer]}' has a stride of its own along each side")
        strides.update(dict.fromkeys(step.outs, before * stride))
        yield names[layer], layer, before, before * stride


def _spread(layer: nn.Module, stride: int, dilation: int) -> nn.Module:
    """The layer with this stride, its window `dilation` times wider."""
    layer.stride = (stride, stride)
    if dilation == 1 or _pair(layer.kernel_size) == (1, 1):
        return layer
    if isinstance(layer, nn.AvgPool2d):
        raise ValueError(f"{layer} would need dilation, and average pooling has none. Choose a larger output_stride")
    layer.dilation = tuple(d * dilation for d in _pair(layer.dilation))
    if isinstance(layer, nn.Conv2d):
        if not isinstance(layer.padding, str):
            layer.padding = tuple(p * dilation for p in layer.padding)
        layer._reversed_padding_repeated_twice = [p * dilation for p in layer._reversed_padding_repeated_twice]
        return layer
    # a max pooling pads by half of its undilated window at most: pad before it
    y, x = (p * dilation for p in _pair(layer.padding))
    layer.padding = 0
    return nn.Sequential(nn.ConstantPad2d((x, x, y, y), -torch.inf), layer) if x or y else layer


def _pair(value) -> tuple[int, int]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
