"""Heads replaced by global average pooling and one linear layer (lesson 02; Zhou et al., sections 2 and 3.1)."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from torchvision import models, transforms

from .caffe import caffe_trunk, nin_trunk
from .published import LITE0, lite0
from .resolution import blank, run_in_eval, with_resolution
from .small import TRUNKS, conv, small_trunk
from .weights import pretrained

__all__ = ["NAMES", "Sum", "gap_network"]


class Sum(nn.Module):
    """Global sum pooling: (N,K,h,w) -> (N,K,1,1). The F^k of the paper's formula; the mean times h·w."""

    def forward(self, features: Tensor) -> Tensor:
        return features.sum((2, 3), keepdim=True)


POOLS = {"avg": lambda: nn.AdaptiveAvgPool2d(1), "max": lambda: nn.AdaptiveMaxPool2d(1), "sum": Sum}


@dataclass(frozen=True)
class Design:
    """How a network is built.

    size: side of its pictures, in pixels
    source, last: the published network its convolutions are from, and the stage at which they are cut
    trunk: makes the convolutions, where torchvision has none
    extra: units of the 3×3 convolutions between trunk and pooling, in `groups`
    head_first: the head stands before the pooling
    dense: units of a hidden layer instead of the pooling
    """

    size: int
    source: str | None = None
    last: str | None = None
    trunk: Callable[[], nn.Sequential] | None = None
    extra: tuple[int, ...] = ()
    groups: int = 1
    head_first: bool = False
    dense: int = 0


DESIGNS = {
    "alexnet": Design(224, "alexnet", "11", extra=(1024,)),
    "alexnet_star": Design(224, "alexnet", "11", extra=(512, 512)),
    "vgg16": Design(224, "vgg16", "29", extra=(1024,)),
    "googlenet": Design(224, "googlenet", "inception4e", extra=(1024,)),
    "nin": Design(224, trunk=nin_trunk, head_first=True),
    "resnet18": Design(224, "resnet18", "layer4"),
    "resnet50": Design(224, "resnet50", "layer4"),
    "mobilenet_v2": Design(224, "mobilenet_v2", "18"),
    "squeezenet1_1": Design(224, "squeezenet1_1", "12", head_first=True),
    LITE0: Design(224, LITE0),
    "alexnet_places205": Design(227, trunk=partial(caffe_trunk, 384, 1), extra=(512, 512), groups=2),
    "course": Design(64, trunk=partial(small_trunk, "course")),
    "course_star": Design(64, trunk=partial(small_trunk, "course_star"), extra=(128, 128)),
    "course_inception": Design(64, trunk=partial(small_trunk, "course_inception")),
    "course_nin": Design(64, trunk=partial(small_trunk, "course_nin"), head_first=True),
    "course_dense": Design(64, trunk=partial(small_trunk, "course_dense"), dense=128),
}
NAMES = {name: design.size for name, design in DESIGNS.items()}


def gap_network(
    name: str,
    num_classes: int,
    pool: str = "avg",
    resolution: int | None = None,
    weights: models.WeightsEnum | str | None = None,
) -> nn.Sequential:
    """A classifier with exact class activation maps: trunk → (extra) → pool → head.

    The paper's: alexnet, vgg16, googlenet are cut after conv5, conv5-3, inception4e (13×13, 14×14, 14×14 places) and
    get a 3×3 convolution with 1024 units; alexnet_star two with 512, as in the released `alexnetplusCAM`;
    alexnet_places205 is the released Caffe layout; nin ends in 1×1 convolution → ReLU → pooling as it is. resnet18,
    resnet50, mobilenet_v2, squeezenet1_1, efficientnet_lite0 have pooling and one linear layer already: no extra
    convolution. course and course_*: small ones for the drawn world, of 64 or 128 pixels; course_dense is what others
    are compared with and has no exact map. course… and efficientnet_lite0 take uint8, or float from 0 to 1. The dropout
    of torchvision's heads is left out.

    Args:
        name: one of NAMES, which also holds the side of each network's pictures
        num_classes: C, the number of scores
        pool: "avg", "max" or "sum"
        resolution: side of the maps, in places, for pictures of the design's size: strides become dilation, the
            weights stay. None: as designed
        weights: None, "DEFAULT", or a member of torchvision's enum: trained convolutions, and the trained last layer
            where nothing is cut, `num_classes` is theirs and pool is "avg"

    Returns:
        (N,3,H,W) -> logits (N,C); in eval mode if it has trained weights, else in train mode

    Raises:
        ValueError: an unknown name (the nearest is named), or an impossible resolution (the possible ones are)
        WeightsUnavailable: the weights are not on this machine and cannot be downloaded
    """
    if name not in DESIGNS:
        near = difflib.get_close_matches(str(name), DESIGNS, 1)
        hint = f", did you mean {near[0]!r}?" if near else ";"
        raise ValueError(f"no network {name!r}{hint} there are {', '.join(DESIGNS)}")
    if pool not in POOLS:
        raise ValueError(f"pool is one of {', '.join(POOLS)}, got {pool!r}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be 1 or more, got {num_classes}")
    design = DESIGNS[name]
    if design.dense and pool != "avg":
        raise ValueError(f"{name} has dense layers instead of a global pooling: leave pool as it is")
    trunk, trained_head = _trunk(name, design, weights)
    if resolution is not None:
        trunk = with_resolution(trunk, design.size, resolution)
    units = run_in_eval(trunk, blank(trunk, design.size)).shape[1]
    parts = OrderedDict(trunk=trunk)
    if design.extra:
        parts["extra"] = _extra(units, design, small=name in TRUNKS)
        units = design.extra[-1]
    end = OrderedDict(pool=POOLS[pool](), flatten=nn.Flatten())
    if design.dense:
        hidden, norm = nn.Linear(16 * units, design.dense), nn.BatchNorm1d(design.dense)  # without a norm no learning
        dense = nn.Sequential(hidden, norm, nn.ReLU(inplace=True), nn.Dropout())
        end, units = OrderedDict(pool=nn.AdaptiveMaxPool2d(4), flatten=nn.Flatten(), dense=dense), design.dense
    head = nn.Conv2d(units, num_classes, 1) if design.head_first else nn.Linear(units, num_classes)
    if trained_head is not None and pool == "avg" and trained_head.weight.shape == head.weight.shape:
        head = trained_head
    if design.head_first:
        network = nn.Sequential(OrderedDict(**parts, head=head, relu=nn.ReLU(inplace=True), **end))
    else:
        network = nn.Sequential(OrderedDict(**parts, **end, head=head))
    return network if weights is None else network.eval()


def _trunk(name: str, design: Design, weights) -> tuple[nn.Sequential, nn.Module | None]:
    """-> the convolutions, and the trained last layer where the network is used to its end."""
    if design.source is None:
        if weights is not None:
            raise ValueError(f"there are no pretrained weights for {name}: weights=None")
        return design.trunk(), None
    if design.source == LITE0:
        whole = lite0() if weights is None else pretrained(LITE0, weights=None if weights == "DEFAULT" else weights)[0]
        return whole.trunk, None if weights is None else whole.head
    if weights is None:
        options = {"aux_logits": False, "init_weights": True} if design.source == "googlenet" else {}
        return _cut(models.get_model(design.source, **options), design.last), None
    network, _ = pretrained(design.source, weights=None if weights == "DEFAULT" else weights)
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    return _cut(network, design.last), None if design.extra else layers[-1]


_IMAGENET = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))  # mean and deviation of red, green, blue


def _cut(network: nn.Module, last: str) -> nn.Sequential:
    """The stages of torchvision's network from the first to `last`."""
    stages = OrderedDict(getattr(network, "features", network).named_children())
    if getattr(network, "transform_input", False):  # GoogLeNet's weights were made for other means and scales
        means, deviations = [(0.5 - m) / d for m, d in _IMAGENET], [0.5 / d for _, d in _IMAGENET]
        stages = OrderedDict(rescale=transforms.Normalize(means, deviations), **stages)
    return nn.Sequential(stages)[: list(stages).index(last) + 1]


def _extra(units: int, design: Design, small: bool) -> nn.Sequential:
    """The 3×3 convolutions after the trunk, conv6, conv7 …; in our small networks with batch norm."""
    stages = OrderedDict()
    for number, wanted in enumerate(design.extra, 6):
        if small:
            stages[f"conv{number}"] = conv(units, wanted)
        else:
            layer = nn.Conv2d(units, wanted, 3, padding=1, groups=design.groups)
            stages[f"conv{number}"] = nn.Sequential(layer, nn.ReLU(inplace=True))
        units = wanted
    return nn.Sequential(stages)
