"""The same network, faster, for looking at many pictures.

>>> features = gap_features(CamModel(fast(network)), photos)
"""

from __future__ import annotations

import copy
import time
from collections import Counter
from contextlib import nullcontext
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..devices import fast_precision, half_precision
from ..maps import CamModel
from ..recording import Recording
from .resolution import blank, run_in_eval
from .small import conv

__all__ = ["Fast", "fast", "fast_cams"]

_NORMS = ("BatchNorm2d", "BatchNormAct2d")  # torch's, and timm's, whose children come after it


class Fast(nn.Module):
    """What `fast` makes: `network`, and how its pictures are laid out and computed with."""

    def __init__(self, network: nn.Module, layout: torch.memory_format, low: bool):
        super().__init__()
        self.network, self.layout, self.low = network.to(memory_format=layout), layout, low

    def forward(self, images: Tensor):
        with half_precision(images.device) if self.low else nullcontext():
            return self.network(images.contiguous(memory_format=self.layout))


def fast(network: nn.Module, low_precision: bool = True, size: int = 224) -> Fast:
    """A copy of the network for looking at many pictures: the same answers, sooner, on the device where it is.

    Numbers of a pixel lie side by side in memory (channels last). low_precision=True: half precision, where a short
    measurement, once a process, finds it faster on this machine; logits are then right to a few per cent. Otherwise
    float32, where each batch normalisation goes into the convolution before it, and logits agree to rounding. (In half
    precision it would cost accuracy: it is the rounded bias that does.) size: side of pictures that the network takes;
    where it cannot be followed with such pictures, its normalisations stay. For training keep the network itself.
    """
    device = next(network.parameters(), torch.empty(0)).device
    low = low_precision and fast_precision(device) != "no"  # is there any?
    layout, low = _fastest(device, torch.get_num_threads(), low)
    network = copy.deepcopy(network).eval()
    if not low:
        _fold(network, size)
    return Fast(network, layout, low)


def fast_cams(model: CamModel | nn.Module) -> CamModel:
    """A CamModel as it is; a network in float32, faster."""
    return model if isinstance(model, CamModel) else CamModel(fast(model, low_precision=False))


def _fold(network: nn.Module, size: int) -> None:
    """Every batch norm that alone reads the result of a convolution becomes part of it, in place."""
    try:
        picture = blank(network, size)
        with Recording(picture) as record:
            run_in_eval(network, picture)
    except (RuntimeError, AssertionError, ValueError):  # for example a size of its own
        return
    names = {module: name for name, module in network.named_modules()}
    steps = [step for step in record.steps if step.outs]
    readers = Counter(ref for step in steps for ref in step.inputs)
    calls = Counter(step.module for step in steps if step.name == "convolution" or "batch_norm" in step.name)
    made = {step.outs[0]: step for step in steps if step.name == "convolution"}
    for step in steps:
        norm, before = step.module, made.get(step.inputs[0])
        if before is None or "batch_norm" not in step.name or type(norm).__name__ not in _NORMS:
            continue
        layer = before.module
        own = getattr(layer, "weight", None) is before.args[1] and norm.running_mean is not None
        once = readers[step.inputs[0]] == calls[layer] == calls[norm] == 1
        if not own or not once or any(m._forward_hooks or m._forward_pre_hooks for m in (layer, norm)):
            continue
        numbers = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        layer.weight, layer.bias = fuse_conv_bn_weights(layer.weight, layer.bias, *numbers)
        network.set_submodule(names[norm], nn.Sequential(*norm.children()))


@cache
def _fastest(device: torch.device, threads: int, low: bool) -> tuple[torch.memory_format, bool]:
    """-> channels last unless four layers are slower by a fifth; half precision where they are faster by one."""
    with torch.random.fork_rng(devices=[]):
        layers = [conv(3, 32, 3, 2), conv(32, 96, 1), nn.Conv2d(96, 96, 3, padding=1, groups=96), conv(96, 32, 1)]
        network, images = nn.Sequential(*layers).to(device).eval(), torch.rand(8, 3, 224, 224).to(device)
    plain, last, half = (torch.contiguous_format, False), (torch.channels_last, False), (torch.channels_last, True)
    seconds = dict.fromkeys((plain, last, half), float("inf"))
    with torch.no_grad():
        # in turn, the best of each: the first round warms up, and the machine may have other work. Pictures as large
        # as real ones: with smaller ones, which fit into the processor's cache, either layout can win
        for way in 4 * [plain, last, half]:
            run = Fast(network, *way)
            start = time.perf_counter()
            run(images).sum().item()  # waits for a GPU
            seconds[way] = min(seconds[way], time.perf_counter() - start)
    best = plain if 1.2 * seconds[plain] < seconds[last] else last
    return half if low and 1.2 * seconds[half] < seconds[best] else best
