"""From the features and the weights of the last layer to one class activation map per class (lesson 01).

>>> cams = CamModel(network)(images)        # one forward pass, no backward
>>> cams.maps().shape                       # every class at once, signed and unnormalised
torch.Size([N, C, h, w])
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .tracing import NotCamCompatible, trace

__all__ = [
    "CamModel",
    "Cams",
    "NotCamCompatible",
    "class_activation_maps",
    "eval_mode",
    "resize",
    "select_classes",
]


def class_activation_maps(features: Tensor, weight: Tensor) -> Tensor:
    """M_c(x, y) = Σ_k w_k^c · f_k(x, y), for every picture and every class in one product.

    features (N,K,h,w), weight (C,K) -> maps (N,C,h,w): signed, unnormalised, without the bias.
    Raises ValueError when the ranks or the number of units K differ. Zhou et al., section 2; lecture 12:10.
    """
    if features.ndim != 4 or weight.ndim != 2:
        raise ValueError(
            f"features must be (N,K,h,w) and weight (C,K), got {tuple(features.shape)} and {tuple(weight.shape)}"
        )
    if features.shape[1] != weight.shape[1]:
        raise ValueError(
            f"features have {features.shape[1]} units and weight has {weight.shape[1]}: "
            "take the features that enter the pooling and the weight of the layer after it"
        )
    return torch.einsum("nkhw,ck->nchw", features, weight)


@dataclass(frozen=True, eq=False)
class Cams:
    """What one forward pass leaves behind: everything a class activation map is made of.

    logits (N,C) · features (N,K,h,w) · weight (C,K) · bias (C,), or None where no bias is added after the pooling.
    pool is "avg", "sum" or "max". A head that stands *before* the pooling (SqueezeNet, Network in Network) adds its
    bias at every place, and may cut negative evidence there: then bias is None and local_bias, rectified are set.
    """

    logits: Tensor
    features: Tensor
    weight: Tensor
    bias: Tensor | None = None
    pool: str = "avg"
    head_first: bool = False
    local_bias: Tensor | None = field(default=None, repr=False)
    rectified: bool = False

    def maps(self, classes=None, size: tuple[int, int] | None = None) -> Tensor:
        """Signed, unnormalised class activation maps.

        classes: None (all C), an int, a sequence of ints (the same for every picture) -> (N,len,h,w), or an (N,)
        tensor of ints, one class per picture -> (N,1,h,w). size=(H,W) resizes bilinearly, as the paper does to lay
        the map over the picture. Raises IndexError for a class that does not exist, ValueError or TypeError for a
        selection of another form.
        """
        chosen, per_picture = select_classes(classes, *self.logits.shape)
        features = self.features.float() if self.features.dtype in (torch.half, torch.bfloat16) else self.features
        weight = self.weight.to(features.dtype)
        if per_picture:
            maps = torch.einsum("nkhw,nk->nhw", features, weight[chosen.to(weight.device)])[:, None]
        else:
            maps = class_activation_maps(features, weight if chosen is None else weight[chosen])
        if size is None:
            return maps
        return resize(maps, size) if maps.numel() else maps.new_zeros((*maps.shape[:2], *size))

    def identity_error(self) -> float:
        """Largest difference between a logit and what the maps give back, relative to the picture's largest logit.

        average and sum pooling: pool(map) + bias. Max pooling: Σ_k w_k·max f_k + bias, each channel at its own place.
        Head before the pooling: pool(relu(map + local_bias)), the relu only where the network has one. About 1e-6
        in float32: an exact identity up to rounding.
        """
        if not self.logits.numel():
            return 0.0
        logits = self.logits.float() if self.logits.dtype in (torch.half, torch.bfloat16) else self.logits
        error = (self.rebuilt().to(logits.dtype) - logits).abs().amax(1)
        return (error / logits.abs().amax(1).clamp_min(torch.finfo(logits.dtype).tiny)).max().item()

    def rebuilt(self) -> Tensor:
        """The class scores as the maps give them back, (N,C): what `identity_error` compares with the logits."""
        reduce = {"avg": torch.mean, "sum": torch.sum, "max": torch.amax}[self.pool]
        if self.head_first:
            maps = self.maps()
            if self.local_bias is not None:
                maps = maps + self.local_bias[:, None, None]
            return reduce(maps.relu() if self.rectified else maps, dim=(2, 3))
        if self.pool == "max":
            scores = F.linear(self.features.amax((2, 3)), self.weight)
        else:
            scores = reduce(self.maps(), dim=(2, 3))
        return scores if self.bias is None else scores + self.bias


class CamModel:
    """Wrap an image classifier; call it with a batch of pictures to get its `Cams`.

    The network's graph is traced once to the tensor that enters the global pooling and to the linear head (Linear or
    1×1 convolution; average, sum or max pooling; dropout in between), so no layer has to be named and no hook is set.
    Pictures run through in eval mode, without gradients; modes, hooks, gradients and weights are left as they were.
    New weights are seen at once; after a change of the architecture, wrap the network again.

    Raises NotCamCompatible, naming the layer, where the class score is not a pooled linear map of the features.
    """

    def __init__(self, model: nn.Module):
        if not isinstance(model, nn.Module):
            raise TypeError(f"CamModel wraps a torch.nn.Module, got {type(model).__name__}")
        self.model = model
        self._single_output = False
        self._check_train_mode()
        with eval_mode(model):
            self._traced = trace(model)

    def __repr__(self) -> str:
        t = self._traced
        steps = [f"{t.pool.kind} pooling", f"head '{t.head.name}'"]
        steps = steps[::-1] if t.head_first else steps
        return f"{type(self.model).__name__}: features '{t.features_name}' → " + " → ".join(steps)

    def __call__(self, images: Tensor) -> Cams:
        """images (N,3,H,W), scaled as the network expects (`weights.transforms()`) -> Cams.

        Raises ValueError for another rank or device, TypeError for another type, NotCamCompatible when the pooling
        turns out not to be global at this picture size.
        """
        self._check_images(images)
        self._check_train_mode()
        t = self._traced
        with torch.no_grad(), eval_mode(self.model):
            try:
                features, logits = t.run(images)
            except RuntimeError as error:
                if images.is_floating_point():
                    raise
                raise TypeError(
                    f"this network does not take {images.dtype} pictures: give it what its weights' transforms return, "
                    "weights.transforms()(image)[None]"
                ) from error
            weight, bias = t.head.parameters()
        self._check_global(features, weight, logits)
        if t.head_first:
            return Cams(logits, features, weight, None, t.pool.kind, True, bias, t.rectified)
        return Cams(logits, features, weight, bias, t.pool.kind)

    def _check_train_mode(self) -> None:
        """Auxiliary heads (GoogLeNet, InceptionV3) make a network in train mode return several outputs."""
        if not self.model.training or self._single_output:
            return
        outputs = trace(self.model, outputs_only=True)
        if outputs != 1:
            raise NotCamCompatible(
                f"{type(self.model).__name__} is in train mode, where it returns {outputs} outputs (auxiliary heads) "
                "instead of one score per class: call model.eval() first"
            )
        self._single_output = True

    def _check_images(self, images: Tensor) -> None:
        if not isinstance(images, Tensor):
            raise TypeError(
                f"images must be a tensor (N,3,H,W), got {type(images).__name__}: weights.transforms()(image)[None]"
            )
        if images.ndim != 4:
            hint = ": add the batch dimension, images[None]" if images.ndim == 3 else ""
            raise ValueError(f"images must be (N,3,H,W), got {tuple(images.shape)}{hint}")
        parameter = next(self.model.parameters(), None)
        if parameter is None:
            return
        if images.device != parameter.device:
            raise ValueError(
                f"images are on {images.device} and the network on {parameter.device}: images.to('{parameter.device}')"
            )
        kind = images.device.type
        autocast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        if images.is_floating_point() and images.dtype != parameter.dtype and not autocast:
            raise TypeError(
                f"images are {images.dtype} and the network's weights {parameter.dtype}: images.to({parameter.dtype})"
            )

    def _check_global(self, features: Tensor, weight: Tensor, logits: Tensor) -> None:
        pool = self._traced.pool
        if features.ndim != 4 or logits.ndim != 2 or features.shape[1] != weight.shape[1]:
            raise NotCamCompatible(
                f"pooling '{pool.name}' turns features of {tuple(features.shape[1:])} into scores of "
                f"{tuple(logits.shape[1:])} through a head that reads {weight.shape[1]} numbers: it does not pool over "
                "the whole picture. Put nn.AdaptiveAvgPool2d(1) in its place and train the head again"
            )


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(N,C,h,w) -> (N,C,H,W), bilinear between the centres of the cells (align_corners=False), as in the paper."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def select_classes(classes, n: int, c: int) -> tuple[Tensor | list[int] | None, bool]:
    """-> (indices or None for all, True when there is one per picture)."""
    if classes is None:
        return None, False
    if isinstance(classes, Tensor) and classes.ndim > 1:
        raise ValueError(f"a tensor of classes is (N,), one class per picture, got {tuple(classes.shape)}")
    if isinstance(classes, Tensor) and classes.ndim == 1:
        if classes.dtype.is_floating_point or classes.dtype == torch.bool:
            raise TypeError(f"classes must be whole numbers, got a tensor of {classes.dtype}")
        if len(classes) != n:
            raise ValueError(
                f"a tensor of classes holds one class per picture: {n} pictures, {len(classes)} classes. "
                "For the same classes in every picture give a list"
            )
        values, per_picture = classes.tolist(), True
    else:
        if getattr(classes, "ndim", None) == 0:
            classes = classes.item()
        if isinstance(classes, (str, bytes)):
            raise TypeError(f"classes must be indices, got the name {classes!r}: look it up in the list of names")
        values = list(classes) if hasattr(classes, "__iter__") else [classes]
        values = [value.item() if isinstance(value, Tensor) and value.ndim == 0 else value for value in values]
        per_picture = False
    for value in values:
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"classes must be whole numbers, got {value!r}")
        if not 0 <= value < c:
            raise IndexError(f"class {value} does not exist: the network has {c} classes, 0 to {c - 1}")
    return (classes.long() if per_picture else [int(v) for v in values]), per_picture


@contextmanager
def eval_mode(model: nn.Module):
    """Eval mode inside; outside, every module has the mode it had."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
