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

from .recording import Recording, Ref, Replay, Step, Unrepeatable

__all__ = ["REDUCE", "Head", "NotCamCompatible", "find_head", "find_scores", "fingerprint", "layer_name"]

REDUCE = {"avg": torch.mean, "sum": torch.sum, "max": torch.amax}
_REDUCTIONS = {"mean", "sum", "amax", "max"}
_POOLS = {"avg_pool2d", "max_pool2d_with_indices", "_adaptive_avg_pool2d", "adaptive_max_pool2d"}
_NORMS = {"native_layer_norm", "native_group_norm", "linalg_vector_norm", "_fused_rms_norm"}
_UNITS_FIRST = _POOLS | {"convolution", "native_batch_norm", "cudnn_batch_norm", "native_group_norm"}
_TAKES_ONE = {"select", "slice", "index", "index_select", "gather"}
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

    def features(self, record: Recording) -> Tensor:
        """(N,K,h,w)"""
        features = record.grids()[self.age][1]
        return features.movedim(_other(self.places, features.ndim), 1).flatten(2).unflatten(2, self.grid)

    def replay(self, record: Recording, features: Tensor) -> dict[Ref, Tensor | None]:
        """What the network does after its features, repeated with others in their place, (N,K,h,w)."""
        step, tensor = record.grids()[self.age]
        places = [tensor.shape[d] for d in self.places]
        values = features.flatten(2).unflatten(2, places).movedim(1, _other(self.places, tensor.ndim))
        return Replay(record, step, record.ref(tensor))(values)

    def weight_and_bias(self, record: Recording, scores: Ref) -> tuple[Tensor, Tensor | None]:
        """(C,K) and (C,) or None, as they are now."""
        if self.layer is not None:
            _, weight, bias = _last_layer(record.steps[self.layer])
            return weight.detach(), None if bias is None else bias.detach()
        step, tensor = record.grids()[self.age]
        weight, bias = _Candidate(record, scores, step, tensor, self.places, torch.double, False).affine_map()
        kind = tensor.dtype if tensor.dtype == torch.double else torch.float
        return weight.to(tensor.device, kind), bias.to(tensor.device, kind) if bias.any() else None

    def describe(self, record: Recording, model: nn.Module) -> str:
        """features 'layer4.1.relu' (ReLU) → avg pooling → head 'fc' (Linear)"""
        head = "of several layers" if self.layer is None else layer_name(model, record.steps[self.layer])
        steps = [f"{self.pool} pooling", f"head {head}"][:: -1 if self.head_first else 1]
        left_out = [f"without '{step.name.strip('_')}'" for step in record.steps[-1:] if step.name in _PROBABILITIES]
        return " → ".join(
            [f"features {layer_name(model, record.steps[record.grids()[self.age][0]])}", *steps, *left_out]
        )


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


def _head(record: Recording, age: int, candidate: _Candidate, grid: tuple[int, int], pool: str) -> Head:
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
            return Head(ages[0], (2, 3), grid, kind, number - len(record.steps), True, rectified)
    return Head(age, candidate.places, grid, pool)


def find_scores(record: Recording, returned, output: str | int | None, model: nn.Module) -> Ref:
    """The class scores, before a softmax or sigmoid, in what the network returned. Raises NotCamCompatible."""
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


class _Candidate:
    """A tensor of the record that may be the features, and what becomes of later ones when its values change."""

    def __init__(self, record: Recording, scores: Ref, number: int, tensor: Tensor, places: tuple, kind, invented):
        self.scores, self.number, self.places, self.ref = scores, number, places, record.ref(tensor)
        self.shape, self.units_at = tuple(tensor.shape), _other(places, tensor.ndim)
        self.n, self.units, self.cells = len(tensor), self.shape[self.units_at], prod(self.shape[d] for d in places)
        self.device = torch.device("cpu") if tensor.device.type in ("meta", "mps") else tensor.device
        self.replay = Replay(record, number, self.ref, kind, invented or tensor.is_meta)
        self.rounding = {torch.float: (1e-2, 1e-5), torch.double: (1e-7, 1e-12)}[kind]

        # Any values; the same mean, or maximum, everywhere; and values equal at all places, large and small
        random = torch.Generator().manual_seed(0)
        self.any = torch.randn(self.shape, generator=random, dtype=kind).to(self.device)
        one, other = torch.randn(2, self.n, self.units, generator=random, dtype=kind)
        other[1:] = 0  # of the first picture alone
        other = 0.01 * other
        equal = {"zero": 0 * one, "one": one, "other": other, "both": one + other, "far": -100 * one}
        equal |= {pool: REDUCE[pool](self.any, places) for pool in ("avg", "max")}
        self.found = {name: self.replay(self.everywhere(values)) for name, values in equal.items()}
        self.found["any"] = self.replay(self.any)
        self.again = self.replay(self.any)

    def everywhere(self, values: Tensor) -> Tensor:
        """(N,K) -> the same at every place, in the shape of the candidate."""
        shape = [1] * len(self.shape)
        shape[0], shape[self.units_at] = values.shape
        return values.to(self.device).view(shape).expand(self.shape)

    def answers(self, ref: Ref) -> dict[str, Tensor]:
        rows = self.n if self.found["any"][ref].shape[:1] == (self.n,) else 1
        return {name: found[ref].reshape(rows, -1) for name, found in self.found.items()}

    def reaches(self, ref: Ref) -> bool:
        """A later tensor depends on the pictures through this one alone."""
        return self.found["any"].get(ref) is not None

    def matters(self) -> bool:
        a = self.answers(self.scores)
        return not torch.equal(a["one"], a["zero"])

    def is_affine(self, ref: Ref) -> bool:
        """Is a later tensor affine in the values, each picture's in its own?"""
        a = self.answers(ref)
        one, other = a["one"] - a["zero"], a["other"] - a["zero"]
        return (
            self.equal(a["both"] - a["one"], other, other, a["one"])
            and self.equal(a["far"] - a["zero"], -100 * one, 100 * one, a["zero"])
            and self.equal(other[1:], 0 * other[1:], other[:1], a["one"])
        )

    def equal(self, a: Tensor, b: Tensor, size: Tensor, offset: Tensor) -> bool:
        """Up to rounding: a share of the change, and of what it was added to."""
        if not a.numel():
            return True
        tolerance = self.rounding[0] * size.abs().max() + self.rounding[1] * offset.abs().max()
        return bool((a - b).abs().max() <= tolerance)

    def pools(self, ref: Ref) -> list[str]:
        """Does a later tensor depend on nothing but the mean, or nothing but the maximum, over the places?"""
        a = self.answers(ref)
        return [pool for pool in ("avg", "max") if self.equal(a[pool], a["any"], a["any"] - a["zero"], a["zero"])]

    def pool(self) -> str | None:
        """ "avg" or "max" where the scores are affine in the pooled values, and depend on nothing else."""
        return next(iter(self.pools(self.scores)), None) if self.is_affine(self.scores) else None

    def affine_map(self) -> tuple[Tensor, Tensor]:
        """-> (C,K), (C,): what the scores answer to one unit after another, as many at once as there are pictures."""
        bias, columns = self.answers(self.scores)["zero"], []
        for some in torch.eye(self.units, dtype=torch.double).split(self.n):
            values = torch.cat((some, torch.zeros(self.n - len(some), self.units)))
            answer = self.replay(self.everywhere(values))[self.scores].reshape(self.n, -1)
            columns.append((answer - bias)[: len(some)])
        return torch.cat(columns).t(), bias[0]


def _candidate(record: Recording, scores: Ref, number: int, tensor: Tensor, places: tuple, kind) -> _Candidate | None:
    """None where the scores do not depend on the tensor, or on others beside it. One place counts if it is pooled."""
    following = next((step for step in record.steps[number + 1 :] if record.ref(tensor) in step.inputs), None)
    if following is None or (prod(tensor.shape[d] for d in places) == 1 and following.name not in _REDUCTIONS | _POOLS):
        return None
    try:
        for invented in (False, True):  # a head of zeros: look what it does with other weights
            candidate = _Candidate(record, scores, number, tensor, places, kind, invented)
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
    """-> the dimensions of a tensor that are places, and the grid (h, w) that they are. None for one that was made by a
    pooling or is another view of a grid: that one comes later."""
    (n, *sides), step = tensor.shape, record.steps[number]
    before = record.shapes[step.inputs[0]]
    if step.name in _REDUCTIONS or (step.name in _RESHAPES and len(before) in (3, 4) and before[0] == n):
        return None
    if len(sides) == 3:
        units_last = False
        for step in reversed(record.steps[: number + 1]):  # what last made a tensor of that shape?
            if step.outs and record.shapes[step.outs[0]] == tensor.shape and step.name in _UNITS_FIRST | _NORMS:
                units_last = step.name not in _UNITS_FIRST and len(step.args[1]) == 1
                break
        return ((1, 2), (*sides[:2],)) if units_last else ((2, 3), (*sides[1:],))
    for _, a, b, c in (shape for shape in reversed(record.shapes) if len(shape) == 4 and shape[0] == n):
        if sides == [a, b * c] and min(b, c) > 1:
            return (2,), (b, c)
        if sides in ([b * c, a], [a * b, c]):
            return (1,), (b, c) if sides == [b * c, a] else (a, b)
    side = isqrt(sides[0])
    return (1,), (side, side) if side**2 == sides[0] else None


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


def _other(places: tuple[int, ...], dimensions: int) -> int:
    """The dimension of the units."""
    return next(d for d in range(1, dimensions) if d not in places)


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.numel() == b.numel() and torch.allclose(a.reshape(b.shape), b, rtol=1e-9)


# -- saying why not ---------------------------------------------------------------------------------------------------


def _why_not(record: Recording, model: nn.Module, candidate: _Candidate) -> str | None:
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


def _breaks(record: Recording, step: Step, candidate: _Candidate) -> str | None:
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


def layer_name(model: nn.Module, step: Step) -> str:
    """'classifier.5' (ReLU); of an operation that has no module to itself, 'block.add'."""
    name = next((name for name, module in model.named_modules() if module is step.module), "")
    if name and not any(step.module.children()):
        return f"'{name}' ({type(step.module).__name__})"
    return f"'{name}.{step.name}'" if name else f"'{step.name}'"
