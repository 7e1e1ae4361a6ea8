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
from .course import TRUNKS, conv, course_trunk
from .resolution import blank, resolutions, shapes
from .weights import pretrained

__all__ = ["NAMES", "Sum", "gap_network"]


class Sum(nn.Module):
    """Global sum pooling: (N,K,h,w) -> (N,K,1,1). The F^k of the paper's formula; the mean times h·w."""

    def forward(self, features: Tensor) -> Tensor:
        return features.sum((2, 3), keepdim=True)


POOLS = {"avg": lambda: nn.AdaptiveAvgPool2d(1), "max": lambda: nn.AdaptiveMaxPool2d(1), "sum": Sum}


@dataclass(frozen=True)
class Design:
    """size: side of the pictures. trunk: makes the convolutions, from the torchvision network `source` if there is one.
    extra: units of the 3×3 convolutions between trunk and pooling, in `groups`. head_first: the head stands before the
    pooling. dense: units of a hidden layer instead of the pooling.
    """

    size: int
    trunk: Callable[..., nn.Sequential]
    source: str | None = None
    extra: tuple[int, ...] = ()
    groups: int = 1
    head_first: bool = False
    dense: int = 0


_IMAGENET = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))  # mean and deviation of red, green, blue


def _until(last: str) -> Callable[[nn.Module], nn.Sequential]:
    def cut(network: nn.Module) -> nn.Sequential:
        stages = OrderedDict(network.named_children())
        if getattr(network, "transform_input", False):  # GoogLeNet's weights were made for other means and scales
            mean, deviation = ([(0.5 - m) / d for m, d in _IMAGENET], [0.5 / d for _, d in _IMAGENET])
            stages = OrderedDict(rescale=transforms.Normalize(mean, deviation), **stages)
        return nn.Sequential(stages)[: list(stages).index(last) + 1]

    return cut


def _features(last: int | None = None) -> Callable[[nn.Module], nn.Sequential]:
    return lambda network: network.features[:last]


DESIGNS = {
    "alexnet": Design(224, _features(12), "alexnet", (1024,)),
    "alexnet_star": Design(224, _features(12), "alexnet", (512, 512)),
    "vgg16": Design(224, _features(30), "vgg16", (1024,)),
    "googlenet": Design(224, _until("inception4e"), "googlenet", (1024,)),
    "nin": Design(224, nin_trunk, head_first=True),
    "resnet18": Design(224, _until("layer4"), "resnet18"),
    "resnet50": Design(224, _until("layer4"), "resnet50"),
    "mobilenet_v2": Design(224, _features(), "mobilenet_v2"),
    "squeezenet1_1": Design(224, _features(), "squeezenet1_1", head_first=True),
    "alexnet_places205": Design(227, partial(caffe_trunk, 384, 1), extra=(512, 512), groups=2),
    "course": Design(64, partial(course_trunk, "course")),
    "course_star": Design(64, partial(course_trunk, "course_star"), extra=(128, 128)),
    "course_inception": Design(64, partial(course_trunk, "course_inception")),
    "course_nin": Design(64, partial(course_trunk, "course_nin"), head_first=True),
    "course_dense": Design(64, partial(course_trunk, "course_dense"), dense=128),
}
NAMES = {name: design.size for name, design in DESIGNS.items()}


def gap_network(
    name: str,
    num_classes: int,
    pool: str = "avg",
    resolution: int | None = None,
    weights: models.WeightsEnum | str | None = None,
    *,
    by: str = "dilation",
    bias: bool = True,
    norm: str = "batch",
) -> nn.Sequential:
    """A classifier with exact class activation maps: trunk → (extra) → pool → head; with weights in eval mode.

    name: one of NAMES, which also holds the side of each network's pictures.

    The paper's: alexnet, vgg16, googlenet are cut after conv5, conv5-3, inception4e (13×13, 14×14, 14×14 places) and
    get a 3×3 convolution with 1024 units; alexnet_star two with 512, as in the released `alexnetplusCAM`;
    alexnet_places205 is the released Caffe layout; nin ends in 1×1 convolution → ReLU → pooling as it is. resnet18,
    resnet50, mobilenet_v2, squeezenet1_1 have pooling and one linear layer already: no extra convolution. course and
    course_*: small ones for the drawn world, which take uint8, or float 0–1, of 64 or 128 pixels; course_dense is what
    others are compared with and has no exact map. The dropout of torchvision's heads is left out.

    pool: "avg", "max" or "sum". weights: None, "DEFAULT", or a member of torchvision's enum: trained convolutions; the
    trained last layer too, where nothing is cut, `num_classes` is theirs, pool "avg" and bias True.
    resolution: side of the maps, in places, for pictures of the design's size; by="dilation" replaces strides and
    keeps the weights, by="cut" drops the stages after. bias: of the last layer; the paper has none.
    norm: "batch" or "group", in the course's networks.

    Raises ValueError for unknown names (with the nearest) and impossible resolutions (with the possible ones),
    WeightsUnavailable where weights are not to be had.
    """
    design = DESIGNS[_known(name, DESIGNS, "network")]
    _known(pool, POOLS, "pool"), _known(by, ("dilation", "cut"), "by"), _known(norm, ("batch", "group"), "norm")
    if num_classes < 1:
        raise ValueError(f"num_classes must be 1 or more, got {num_classes}")
    own = name in TRUNKS
    if norm != "batch" and not own:
        raise ValueError(f"{name} has its own norms: norm is a choice of {', '.join(TRUNKS)}")
    if design.dense and pool != "avg":
        raise ValueError(f"{name} has dense layers instead of a global pooling: leave pool as it is")
    trunk, trained = _trunk(name, design, weights, norm)
    trunk, units = _resolve(trunk, design.size, resolution, by)
    parts, end = {"trunk": trunk}, {"pool": POOLS[pool](), "flatten": nn.Flatten()}
    if design.extra:
        parts["extra"], units = _extra(units, design, norm if own else None)
    if design.dense:
        hidden = nn.Linear(16 * units, units := design.dense)
        scaled = nn.BatchNorm1d(units) if norm == "batch" else nn.GroupNorm(8, units)  # without one it does not learn
        layers = hidden, scaled, nn.ReLU(inplace=True), nn.Dropout()
        end |= {"pool": nn.AdaptiveMaxPool2d(4), "dense": nn.Sequential(*layers)}
    kind = partial(nn.Conv2d, kernel_size=1) if design.head_first else nn.Linear
    head = kind(units, num_classes, bias=bias)
    if trained is not None and bias and pool == "avg" and trained.weight.shape == head.weight.shape:
        head = trained  # the trunk is whole: with stages cut it has fewer units
    parts |= {"head": head, "relu": nn.ReLU(inplace=True), **end} if design.head_first else {**end, "head": head}
    network = nn.Sequential(OrderedDict(parts))
    return network if weights is None else network.eval()


def _trunk(name: str, design: Design, weights, norm: str) -> tuple[nn.Sequential, nn.Module | None]:
    """-> the convolutions, and the trained last layer where the network is used to its end."""
    if design.source is None:
        if weights is not None:
            raise ValueError(f"there are no pretrained weights for {name}: weights=None")
        return design.trunk(norm) if name in TRUNKS else design.trunk(), None
    if weights is None:
        options = {"aux_logits": False, "init_weights": True} if design.source == "googlenet" else {}
        return design.trunk(models.get_model(design.source, **options)), None
    if isinstance(weights, str) and weights != "DEFAULT":
        raise ValueError(f"weights is None, 'DEFAULT' or a member of torchvision's enum, got {weights!r}")
    network, _ = pretrained(design.source, weights=None if weights == "DEFAULT" else weights)
    last = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1]
    return design.trunk(network), None if design.extra else last


def _resolve(trunk: nn.Sequential, size: int, resolution: int | None, by: str) -> tuple[nn.Sequential, int]:
    """-> the trunk with maps of this side, and its units."""
    stages = [(units, side) for _, units, side, _ in shapes(trunk.named_children(), blank(trunk, size)).values()]
    if resolution in (None, stages[-1][1]):
        return trunk, stages[-1][0]
    possible = []
    if by == "cut":
        possible = sorted({side for _, side in stages} - {size})
        for last in reversed(range(len(stages))):
            if stages[last][1] == resolution != size:
                return trunk[: last + 1], stages[last][0]
    else:
        for side, finer in resolutions(trunk, size):
            if side == resolution:
                return finer, stages[-1][0]
            possible.append(side)
    raise ValueError(
        f"by={by!r} gives maps of side {', '.join(map(str, possible))} for pictures of {size} pixels, not {resolution}"
    )


def _extra(units: int, design: Design, norm: str | None) -> tuple[nn.Sequential, int]:
    stages = OrderedDict()
    for number, wanted in enumerate(design.extra, 6):
        if norm:
            stages[f"conv{number}"] = conv(units, wanted, norm=norm)
        else:
            layer = nn.Conv2d(units, wanted, 3, padding=1, groups=design.groups)
            stages[f"conv{number}"] = nn.Sequential(layer, nn.ReLU(inplace=True))
        units = wanted
    return nn.Sequential(stages), units


def _known(value: str, choices, what: str) -> str:
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, 1)
        raise ValueError(
            f"no {what} {value!r}{f', did you mean {near[0]!r}?' if near else ';'} there are {', '.join(choices)}"
        )
    return value
