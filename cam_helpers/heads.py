"""Find, in a recorded forward pass, the features whose pooled values give the class scores by an affine map.

Everything after a candidate is repeated with other values in its place. It is the right one if then (1) the scores
depend on nothing but the mean (or maximum) of each unit over the places, and (2) they are affine in it. Weight and bias
are those of the last layer where it reads just these means; otherwise they are what the repeated operations answer to
one unit after another: exact, whatever the head is made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt, prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .recording import Recording, Ref, Step, layer_name
from .replay import REDUCE, Candidate, Replay, Unrepeatable, other_dimension

__all__ = ["Head", "NotCamCompatible", "find_head", "find_scores", "fingerprint"]

_REDUCTIONS = {"mean", "sum", "amax", "max"}
_POOLS = {"avg_pool2d", "max_pool2d_with_indices", "_adaptive_avg_pool2d", "adaptive_max_pool2d"}
_NORMS = {"native_layer_norm", "native_group_norm", "linalg_vector_norm", "_fused_rms_norm"}
_UNITS_FIRST = _POOLS | {"convolution", "native_batch_norm", "cudnn_batch_norm", "native_group_norm"}
_UNITS_LAST = {"native_layer_norm", "_fused_rms_norm"}
_TAKES_ONE = {"select", "slice", "index", "index_select", "gather", "split", "split_with_sizes"}
_RESHAPES = {"view", "_unsafe_view", "squeeze", "unsqueeze", "transpose", "permute"}
_VIEWS = _RESHAPES | {"select", "slice", "_to_copy", "clone", "detach", "alias"}
_PROBABILITIES = {"_softmax", "_log_softmax", "sigmoid", "log_sigmoid_forward"}


class NotCamCompatible(ValueError):
    """The network's class score is not a pooled linear map of its features, so it has no exact class activation map."""


@dataclass(frozen=True)
class Head:
    """How the scores come from the features. It holds for every record whose last operations are the same."""

    age: int  # of the features: how many grids were made after them
    places: tuple[int, ...]  # the dimensions of the features that are places
    grid: tuple[int, int]  # (h, w)
    pool: str  # "avg", "sum" or "max"
    layer: int | None = None  # the last layer: its step, counted from the end; None: a head of several layers
    head_first: bool = False  # the last layer stands before the pooling
    rectified: bool = False  # with a ReLU in between
    scores_age: int = 0  # then: of what is pooled

    def features(self, record: Recording) -> Tensor:
        """(N,K,h,w)"""
        features = record.grids()[self.age][1]
        return features.movedim(other_dimension(self.places, features.ndim), 1).flatten(2).unflatten(2, self.grid)

    def replay(self, record: Recording, features: Tensor) -> dict[Ref, Tensor | None]:
        """What the network does after its features, repeated with others in their place, (N,K,h,w)."""
        step, tensor = record.grids()[self.age]
        places = [tensor.shape[d] for d in self.places]
        values = features.flatten(2).unflatten(2, places).movedim(1, other_dimension(self.places, tensor.ndim))
        return Replay(record, step, record.ref(tensor))(values)

    def weight_and_bias(self, record: Recording, scores: Ref) -> tuple[Tensor, Tensor | None]:
        """(C,K) and (C,) or None, as they are now."""
        if self.layer is not None:
            _, weight, bias = _last_layer(record.steps[self.layer])
            return weight.detach(), None if bias is None else bias.detach()
        step, tensor = record.grids()[self.age]
        weight, bias = Candidate(record, scores, step, tensor, self.places, torch.double, False).affine_map()
        kind = tensor.dtype if tensor.dtype == torch.double else torch.float
        return weight.to(tensor.device, kind), bias.to(tensor.device, kind) if bias.any() else None

    def holds(self, record: Recording, logits: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
        """Do the maps give back the scores, up to what rounding can do?

        Args:
            record: of the forward pass
            logits: (N,C), the scores that the network returned in it
            weight: (C,K)
            bias: (C,); None: without
        """
        if self.head_first:
            places = record.grids()[self.scores_age][1]
            again, size = (REDUCE[self.pool](x, (2, 3)) for x in (places, places.abs()))
        else:
            pooled = REDUCE[self.pool](self.features(record), (2, 3)).to(weight.dtype)
            again = F.linear(pooled, weight, bias)
            size = F.linear(pooled.abs(), weight.abs(), None if bias is None else bias.abs())
        wrong = (again - logits).abs() > torch.finfo(logits.dtype).eps ** 0.5 * size
        return logits.is_meta or not bool(wrong.any())

    def describe(self, record: Recording, model: nn.Module) -> str:
        """features 'layer4.1.relu' (ReLU) → avg pooling → head 'fc' (Linear)"""
        head = "of several layers" if self.layer is None else layer_name(model, record.steps[self.layer])
        steps = [f"{self.pool} pooling", f"head {head}"][:: -1 if self.head_first else 1]
        left_out = [f"without '{step.name.strip('_')}'" for step in record.steps[-1:] if step.name in _PROBABILITIES]
        number = record.grids()[self.age][0]
        features = "the pictures" if number < 0 else layer_name(model, record.steps[number])
        return " → ".join([f"features {features}", *steps, *left_out])


def find_head(record: Recording, scores: Ref, model: nn.Module) -> Head:
    """Of all features that are right, the nearest to the scores.

    Raises NotCamCompatible, naming the layer and what it does, where none are.
    """
    refused = []
    for age, (number, tensor) in enumerate(record.grids()):
        layout = _layout(record, number, tensor)
        if layout is None:
            continue
        for kind in (torch.float, torch.double):  # most are refused at once, before large weights are copied
            candidate = _candidate(record, scores, number, tensor, layout[0], kind)
            pool = candidate and candidate.pool()
            if not pool:
                break
        if pool and layout[1] is None:
            raise NotCamCompatible(
                f"the scores of {type(model).__name__} come from a mean of {candidate.cells} tokens, which are no grid "
                "of rows and columns: leave the extra tokens out of the mean"
            )
        if pool:
            return _head(record, age, candidate, layout[1], pool)
        if candidate:
            refused.append(candidate)
            if not candidate.is_affine(scores):  # and so it is from every earlier tensor on
                break
    reasons = (_why_not(record, model, candidate) for candidate in refused)
    what = next(filter(None, reasons), "no layer's features alone carry all that reaches the scores")
    raise NotCamCompatible(
        f"{type(model).__name__} has no exact class activation map: {what}, so the score is not a sum over places. "
        "Put nn.AdaptiveAvgPool2d(1), nn.Flatten() and one nn.Linear after the last convolution, as gap_network does, "
        "and train that head, or use Grad-CAM, which needs no special head"
    )


def _head(record: Recording, age: int, candidate: Candidate, grid: tuple[int, int], pool: str) -> Head:
    found, scores = candidate.found["any"], candidate.found["any"][candidate.scores]
    pooled = {kind: reduce(candidate.any, candidate.places) for kind, reduce in REDUCE.items()}

    # One linear layer that reads the pooled features, and nothing but views after it
    for number in range(candidate.number + 1, len(record.steps)):
        step = record.steps[number]
        source, weight, _ = _last_layer(step)
        if weight is not None and found.get(source) is not None and _alike(found[step.outs[0]], scores):
            for kind, values in pooled.items():
                if _alike(found[source], values):
                    return Head(age, candidate.places, grid, kind, number - len(record.steps))

    # The pooled values are the scores: the layer stands before the pooling
    for kind, values in pooled.items():
        number, step = candidate.number, record.steps[candidate.number]
        rectified = step.name == "relu"
        if rectified:
            number = record.maker(step.inputs[0], number)
        source, weight, _ = _last_layer(record.steps[number])
        ages = [a for a, (made, tensor) in enumerate(record.grids()) if made < number and record.ref(tensor) == source]
        if _alike(values, scores) and weight is not None and ages:
            return Head(ages[0], (2, 3), grid, kind, number - len(record.steps), True, rectified, age)
    return Head(age, candidate.places, grid, pool)


def find_scores(record: Recording, returned, output: str | int | None, model: nn.Module) -> Ref:
    """The class scores, before a softmax or sigmoid, in what the network returned. Raises NotCamCompatible.

    Args:
        record: of the forward pass
        returned: what the network returned: a tensor, or several by name or number
        output: which of several; None: the only one, or "logits"
        model: the network, for messages
    """
    name, n = type(model).__name__, record.shapes[0][0]
    if output is not None:
        returned = returned[output]
    elif not isinstance(returned, Tensor):
        names = list(returned) if isinstance(returned, dict) else list(range(len(returned)))
        if not hasattr(returned, "logits") and "logits" not in names:
            raise NotCamCompatible(
                f"{name} returns {len(names)} outputs instead of one score per class: say which holds the scores, "
                f"CamModel(network, output={names[0]!r}) or another of {names}"
            )
        returned = returned["logits"] if "logits" in names else returned.logits
    ref, shape = record.ref(returned), tuple(returned.shape)
    if ref is None:
        raise NotCamCompatible(f"{name} makes its scores by other means than PyTorch's operations on the pictures")
    alone = len(shape) < 2 and n == 1  # of one picture: (C,) or a single number
    if not alone and (shape[0] != n or shape[2:] != (1,) * len(shape[2:])):
        raise NotCamCompatible(f"{name} returns {shape} for {n} pictures, and not one score per class, (N,C)")
    before = ref
    while (step := record.steps[record.maker(before)]).name in _VIEWS | _PROBABILITIES:
        before = step.inputs[0]
        if record.shapes[before].numel() != returned.numel():
            break
        if step.name in _PROBABILITIES:
            return before
    return ref


def fingerprint(record: Recording, age: int) -> tuple | None:
    """What is done after a grid: equal for two records where the same operations meet tensors of the same shapes."""
    if age >= len(record.grids()):
        return None
    number, tensor = record.grids()[age]
    first = record.ref(tensor)

    def plain(value):
        if type(value) is Ref:
            return "ref", value - first
        if isinstance(value, Tensor):
            return value.shape, value.dtype
        return tuple(map(plain, value)) if isinstance(value, tuple | list) else value

    done = [(step.func, plain(step.args), plain(tuple(step.kwargs.items()))) for step in record.steps[number + 1 :]]
    return tensor.shape, tensor.dtype, *done


def _candidate(record: Recording, scores: Ref, number: int, tensor: Tensor, places: tuple, kind) -> Candidate | None:
    """None where the scores do not depend on the tensor, or on others beside it. One place counts if it is pooled."""
    following = next((step for step in record.steps[number + 1 :] if record.ref(tensor) in step.inputs), None)
    pooled = following is not None and following.name in _REDUCTIONS | _POOLS
    if following is None or (prod(tensor.shape[d] for d in places) == 1 and not (pooled and tensor.ndim == 4)):
        return None
    try:
        for invented in (False, True):  # a head of zeros: look what it does with other weights
            candidate = Candidate(record, scores, number, tensor, places, kind, invented)
            if not candidate.reaches(scores):
                return None
            if candidate.matters():
                return candidate
    except Unrepeatable as error:
        raise NotCamCompatible(f"the network {error}: its scores cannot be followed back to its features") from None
    except (RuntimeError, NotImplementedError):
        return None
    return None


def _layout(record: Recording, number: int, tensor: Tensor) -> tuple[tuple[int, ...], tuple[int, int] | None] | None:
    """-> the dimensions of a tensor that are places, and the grid (h, w) that they are (None: no grid). None for a
    tensor that a pooling made, or that is another view of a grid: that one comes later."""
    n, *sides = tensor.shape
    if number < 0:  # the pictures
        return (2, 3), (*sides[1:],)
    step = record.steps[number]
    before = record.shapes[step.inputs[0]]
    if step.name in _REDUCTIONS or (step.name in _RESHAPES and len(before) in (3, 4) and before[0] == n):
        return None
    units_first = _units_first(record, number, tensor.shape)
    if len(sides) == 3:
        return ((1, 2), (*sides[:2],)) if units_first is False else ((2, 3), (*sides[1:],))
    units, cells = sides if units_first else sides[::-1]
    side = isqrt(cells)
    grid = (side, side) if side**2 == cells else None
    for _, a, b, c in (shape for shape in reversed(record.shapes) if len(shape) == 4):
        if min(b, c) > 1 and (a, b * c) == (units, cells):
            grid = b, c
            break
        if min(a, b) > 1 and (a * b, c) == (cells, units):
            grid = a, b
            break
    return (2,) if units_first else (1,), grid


def _units_first(record: Recording, number: int, shape: torch.Size) -> bool | None:
    """(N,K,…) rather than (N,…,K), as the last step says that gave that shape and knows its units."""
    for step in reversed(record.steps[: number + 1]):
        if step.outs and record.shapes[step.outs[0]] == shape:
            if step.name in _UNITS_FIRST:
                return True
            if step.name in _UNITS_LAST and len(step.args[1]) == 1:
                return False
            before = record.shapes[step.inputs[0]]
            if step.name in _RESHAPES and len(shape) == 3 and len(before) == 4 and before[1] == shape[1]:
                return _units_first(record, number, before)
    return None


def _last_layer(step: Step) -> tuple[Ref | None, Tensor | None, Tensor | None]:
    """-> what a linear layer or a 1×1 convolution reads, its weight (C,K) and its bias (C,)."""
    source, weight, bias = None, None, None
    if step.name == "addmm" and not step.kwargs:
        bias, source, weight = step.args
    elif step.name == "mm":
        source, weight = step.args
    elif step.name == "linear":
        source, weight, bias = (*step.args, None)[:3]
    elif step.name == "convolution":
        source, weight, bias, stride, padding, _, transposed, _, groups = step.args
        if transposed or any(padding) or not isinstance(weight, Tensor) or {*weight.shape[2:], *stride, groups} != {1}:
            return None, None, None
        weight = weight.flatten(1)
    if type(source) is not Ref or not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        return None, None, None
    return source, weight.t() if step.name in ("addmm", "mm") else weight, bias


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.numel() == b.numel() and torch.allclose(a.reshape(b.shape), b, rtol=1e-9)


# -- saying why not ---------------------------------------------------------------------------------------------------


def _why_not(record: Recording, model: nn.Module, candidate: Candidate) -> str | None:
    """What the first step does at which one of the two conditions ends."""
    for number in range(candidate.number + 1, len(record.steps)):
        step = record.steps[number]
        ref = step.outs[0] if step.outs else None
        changed = any(ref in later.outs for later in record.steps[number + 1 :])
        what = _breaks(record, step, candidate) if candidate.reaches(ref) and not changed else None
        if what:
            step = record.steps[candidate.number] if step.name in _TAKES_ONE else step
            return f"layer {layer_name(model, step)} {what}"
    return None


def _breaks(record: Recording, step: Step, candidate: Candidate) -> str | None:
    ref = step.outs[0]
    if not torch.equal(candidate.again[ref].nan_to_num(), candidate.found["any"][ref].nan_to_num()):
        return "draws random numbers, even in eval mode"
    if not candidate.is_affine(ref):
        if step.name in _NORMS:
            return "normalises after the pooling, with a scale that depends on the whole picture"
        return "stands between the pooling and the class scores and is not linear"
    if candidate.pools(ref):
        return None
    if step.name in _POOLS:
        return "pools a part of the places, not all of them"
    if step.name in _TAKES_ONE:
        return "hands one of its tokens to the class scores instead of their mean"
    if step.name in _VIEWS or len(record.shapes[ref]) > 2:
        return None
    if _last_layer(step)[1] is not None:
        return "gives every place weights of its own instead of pooling them"
    return "puts the places together in another way than by their mean, sum or maximum"
