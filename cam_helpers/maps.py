"""From the features and the weights of the last layer to one class activation map per class (lesson 01).

>>> cams = CamModel(network)(images)        # one forward pass, no backward
>>> cams.maps().shape                       # every class at once, signed and unnormalised
torch.Size([N, C, h, w])
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .alignment import centres, resize_at
from .heads import Head, NotCamCompatible, find_head, find_scores, fingerprint
from .recording import Recording, Ref
from .replay import REDUCE

MANY = 12  # tensors with places to look at where nothing is known of a network yet

__all__ = [
    "CamModel",
    "Cams",
    "NotCamCompatible",
    "Split",
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
    centres (h,), (w,): the middle rows and columns of what the cells can see, in pixels of the network's picture (H,W);
    reach: how many pixels they see up and down, and left and right of that.
    """

    logits: Tensor
    features: Tensor
    weight: Tensor
    bias: Tensor | None = None
    pool: str = "avg"
    head_first: bool = False
    local_bias: Tensor | None = field(default=None, repr=False)
    rectified: bool = False
    centres: tuple[Tensor, Tensor] | None = field(default=None, repr=False)
    picture: tuple[int, int] | None = None
    reach: tuple[float, float] | None = None

    def maps(self, classes=None, size: tuple[int, int] | None = None, aligned: bool = False) -> Tensor:
        """Signed, unnormalised class activation maps.

        classes: None (all C), an int, a sequence of ints (the same for every picture) -> (N,len,h,w), or an (N,)
        tensor of ints, one class per picture -> (N,1,h,w). size=(H,W) resizes bilinearly, as the paper does to lay
        the map over the picture: as if the cells divided it evenly, which is how the field scores maps. aligned=True
        puts each cell at its `centres`, in the middle of what it can see. Trained weights may look to one side of that,
        and aligned maps then point worse: measure (lesson 02). Raises IndexError for a class that does not exist,
        ValueError or TypeError for a selection of another form, ValueError for aligned maps without size or centres.
        """
        chosen, per_picture = select_classes(classes, *self.logits.shape)
        features = self.features.float() if self.features.dtype in (torch.half, torch.bfloat16) else self.features
        weight = self.weight.to(features.dtype)
        if per_picture:
            maps = torch.einsum("nkhw,nk->nhw", features, weight[chosen.to(weight.device)])[:, None]
        else:
            maps = class_activation_maps(features, weight if chosen is None else weight[chosen])
        if aligned and (size is None or self.centres is None):
            raise ValueError(
                "aligned maps need size=(H, W), and Cams from a CamModel, which knows where the cells look"
            )
        if size is None:
            return maps
        if aligned:
            return resize_at(maps, self.centres, self.picture, size)
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
        reduce = REDUCE[self.pool]
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

    The forward pass that runs is written down, and features and head are found in it: no layer has to be named, no hook
    is set, and what is patched, hooked or branched counts. A softmax or sigmoid at the end is left out: the logits are
    the scores before it. Of networks that are compiled or spread over devices, the one inside is taken.
    Pictures run through in eval mode, without gradients; modes, hooks, gradients and weights are left as they were.

    output: which of several outputs holds the class scores, a name or an index. None takes the tensor that the network
    returns, or what is named "logits" in it.
    """

    def __init__(self, model: nn.Module, output: str | int | None = None):
        if not isinstance(model, nn.Module):
            raise TypeError(f"CamModel wraps a torch.nn.Module, got {type(model).__name__}")
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        self.model, self.output = getattr(model, "_orig_mod", model), output
        self._heads: dict[tuple, Head] = {}  # by what is done after the features
        self._maps: dict[tuple, tuple] = {}  # of heads that are no single layer: state of the network, weight, bias
        self._places: dict[tuple, tuple] = {}
        self._grids, self._skipped, self._words = MANY, 0, "no pictures seen yet"

    def __repr__(self) -> str:
        return f"{type(self.model).__name__}: {self._words}"

    def __getstate__(self) -> dict:
        return {"model": self.model, "output": self.output}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)

    def __call__(self, images: Tensor) -> Cams:
        """images (N,3,H,W), scaled as the network expects (`weights.transforms()`) -> Cams.

        Raises NotCamCompatible, naming the layer, where the class scores are not a pooled linear map of one layer's
        features; ValueError for pictures of another rank or device, TypeError for another type.
        """
        _check_images(images)
        if not len(images):
            one = self(images.new_zeros(1, *images.shape[1:]))
            return replace(one, logits=one.logits[:0], features=one.features[:0])
        with torch.no_grad():
            for _ in range(2):
                record, scores, head = self.record(images)
                logits, features = record.value(scores).reshape(len(images), -1), head.features(record)
                weight, bias = self._weight_and_bias(record, scores, head)
                if head.holds(record, logits, weight, bias):
                    break
                self._heads.clear()  # other weights may have made another head of it: look again
                self._maps.clear()
            else:
                raise NotCamCompatible(
                    f"{type(self.model).__name__} changes its features after they were made, in a way that cannot be "
                    "followed: the maps do not give back the scores"
                )
        parts = (None, head.pool, True, bias, head.rectified) if head.head_first else (bias, head.pool)
        places, reach = self._centres(record, head)
        return Cams(logits, features, weight, *parts, centres=places, picture=tuple(images.shape[2:]), reach=reach)

    def record(self, images: Tensor) -> tuple[Recording, Ref, Head]:
        """One forward pass -> its record, the class scores in it, and how they come from the features."""
        while True:
            first = self._grids == MANY  # then steps have names
            record = Recording(images, self._grids, self._skipped, modules=first)
            with torch.no_grad(), eval_mode(self.model), _explained(self.model, images), record:
                returned = self.model(images)
            scores = find_scores(record, returned, self.output, self.model)
            head = self._heads.get(fingerprint(record, self._grids - 1))
            if head is not None:
                return record, scores, head
            try:
                head = find_head(record, scores, self.model)
            except NotCamCompatible:
                if self._grids == MANY:
                    raise
                self._grids, self._skipped = MANY, 0  # what was kept last time may not be enough
                continue
            if self._grids == MANY:
                self._words = head.describe(record, self.model)
            self._grids = head.age + 1
            self._skipped = record.passed - self._grids
            self._heads[fingerprint(record, head.age)] = head
            return record, scores, head

    def _centres(self, record: Recording, head: Head) -> tuple[tuple[Tensor, ...], tuple[float, ...]]:
        """They depend on the sizes alone."""
        key = record.shapes[0][2:], head.grid
        if key not in self._places:
            self._places[key] = centres(record, record.ref(record.grids()[head.age][1]), head.grid)
        return self._places[key]

    def _weight_and_bias(self, record: Recording, scores: Ref, head: Head) -> tuple[Tensor, Tensor | None]:
        """Those of a head of several layers are kept as long as no number of the network changes."""
        if head.layer is not None:
            return head.weight_and_bias(record, scores)
        key = fingerprint(record, head.age)
        state = [(x.data_ptr(), x._version) for x in (*self.model.parameters(), *self.model.buffers())]
        if self._maps.get(key, ())[:1] != (state,):
            self._maps[key] = state, *head.weight_and_bias(record, scores)
        return self._maps[key][1:]


class Split(nn.Module):
    """A network in two parts: its features (N,K,h,w), made without gradients, pass the module `place`; what the network
    does after them is repeated, and gradients flow through it. images (N,3,H,W) -> the class scores (N,C)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.cams, self.place = CamModel(model), nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        record, scores, head = self.cams.record(images)
        features = self.place(head.features(record).requires_grad_())
        return head.replay(record, features)[scores].reshape(len(images), -1)


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


def _check_images(images) -> None:
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images must be a tensor (N,3,H,W), got {type(images).__name__}: weights.transforms()(image)[None]"
        )
    if images.ndim != 4:
        hint = ": add the batch dimension, images[None]" if images.ndim == 3 else ""
        raise ValueError(f"images must be (N,3,H,W), got {tuple(images.shape)}{hint}")


@contextmanager
def _explained(model: nn.Module, images: Tensor):
    """Where a network does not take the pictures: is it their device, or their type?"""
    try:
        yield
    except RuntimeError as error:
        like = next(model.parameters(), images)
        if images.device != like.device:
            raise ValueError(
                f"images are on {images.device} and the network on {like.device}: images.to('{like.device}')"
            ) from error
        if not images.is_floating_point():
            raise TypeError(
                f"this network does not take {images.dtype} pictures: give it what its weights' transforms return, "
                "weights.transforms()(image)[None]"
            ) from error
        if images.dtype != like.dtype:
            raise TypeError(
                f"images are {images.dtype} and the network's weights {like.dtype}: images.to({like.dtype})"
            ) from error
        raise


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
