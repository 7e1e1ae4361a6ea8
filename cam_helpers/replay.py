"""Repeat the end of a recorded forward pass with other values, and see what the class scores answer."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from .recording import Recording, Ref, tensors

__all__ = ["REDUCE", "Candidate", "Replay", "Unrepeatable", "other_dimension"]

REDUCE = {"avg": torch.mean, "sum": torch.sum, "max": torch.amax}


class Unrepeatable(Exception):
    """The steps depend on the values in a way that they do not tell."""


class Replay:
    """The steps of a record after a number, with other values in place of one of its tensors.

    Args:
        record: of a forward pass
        after: the number of the step after which it goes on
        ref: the tensor whose values are replaced
        kind: the precision of the network's own numbers; None: as they are
        invented: random numbers stand for them: what is so then is so for any weights (and some have no values)
    """

    def __init__(
        self, record: Recording, after: int, ref: Ref, kind: torch.dtype | None = None, invented: bool = False
    ):
        self.steps, self.ref, self.kind, self.invented = record.steps[after + 1 :], ref, kind, invented
        self._constants: dict[int, Tensor] = {}

    def __call__(self, values: Tensor) -> dict[Ref, Tensor | None]:
        """-> what becomes of every tensor that depends on the values; None where other ways from the pictures join."""
        with torch.autocast(values.device.type, enabled=False):  # its casts are steps themselves
            return self._repeat(values)

    def _repeat(self, values: Tensor) -> dict[Ref, Tensor | None]:
        found: dict[Ref, Tensor | None] = {self.ref: values.clone() if self.kind else values}
        for step in self.steps:
            inputs = [ref in found and found[ref] is not None for ref in step.inputs]
            if all(inputs):
                if step.name == "_local_scalar_dense" and found[step.inputs[0]].dtype != torch.bool:
                    raise Unrepeatable("reads a number out of a tensor and goes on with it in Python")
                self._new = step.func._schema.is_mutable  # what is written into is written anew each time
                args, kwargs = (self._fill(part, found, values.device) for part in (step.args, step.kwargs))
                found.update(zip(step.outs, tensors(step.func(*args, **kwargs)), strict=True))
            elif any(ref in found for ref in step.inputs):
                found.update(dict.fromkeys(step.outs))
        return found

    def _fill(self, value, found: dict, device: torch.device):
        if type(value) is Ref:
            return found[value]
        if type(value) in (tuple, list):
            return type(value)(self._fill(x, found, device) for x in value)
        if type(value) is dict:
            return {name: self._fill(x, found, device) for name, x in value.items()}
        if not self.kind:
            return value
        if isinstance(value, Tensor):
            if self._new or id(value) not in self._constants:
                self._constants[id(value)] = self._constant(value, device)
            return self._constants[id(value)]
        if isinstance(value, torch.dtype):
            return self.kind if value.is_floating_point else value
        return device if isinstance(value, torch.device) else value

    def _constant(self, value: Tensor, device: torch.device) -> Tensor:
        kind = self.kind if value.is_floating_point() else value.dtype
        if self.invented and value.is_floating_point():
            seed = torch.Generator("cpu").manual_seed(len(self._constants))
            return (torch.rand(value.shape, dtype=kind, generator=seed, device="cpu") + 0.5).to(device)
        return (
            torch.zeros(value.shape, dtype=kind, device=device)
            if value.is_meta
            else value.detach().to(device, kind, copy=self._new)
        )


class Candidate:
    """A tensor of the record that may be the features, and what becomes of later ones when its values change.

    Args:
        record: of a forward pass
        scores: the class scores in it
        number: of the step that made the tensor
        tensor: (N,…), one dimension of units, the others places
        places: which dimensions are places
        kind: torch.float or torch.double, the precision of the replay
        invented: as in `Replay`
    """

    def __init__(self, record: Recording, scores: Ref, number: int, tensor: Tensor, places: tuple, kind, invented):
        self.scores, self.number, self.places, self.ref = scores, number, places, record.ref(tensor)
        self.shape, self.units_at = tuple(tensor.shape), other_dimension(places, tensor.ndim)
        self.n, self.units, self.cells = len(tensor), self.shape[self.units_at], prod(self.shape[d] for d in places)
        self.device = torch.device("cpu") if tensor.device.type in ("meta", "mps") else tensor.device
        self.replay = Replay(record, number, self.ref, kind, invented or tensor.is_meta)
        self.rounding = {torch.float: (1e-2, 1e-5), torch.double: (1e-7, 1e-12)}[kind]

        # Any values; the same mean, or maximum, everywhere; and values equal at all places, large and small
        random = torch.Generator("cpu").manual_seed(0)
        self.any = torch.randn(self.shape, generator=random, dtype=kind, device="cpu").to(self.device)
        one, other = torch.randn(2, self.n, self.units, generator=random, dtype=kind, device="cpu")
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
        """Up to rounding.

        Args:
            a: one tensor
            b: the other, of the same shape
            size: the change that was made; a share of it may differ
            offset: what it was added to; a smaller share of it may differ
        """
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
        for some in torch.eye(self.units, dtype=torch.double, device="cpu").split(self.n):
            values = torch.cat((some, some.new_zeros(self.n - len(some), self.units)))
            answer = self.replay(self.everywhere(values))[self.scores].reshape(self.n, -1)
            columns.append((answer - bias)[: len(some)])
        return torch.cat(columns).t(), bias[0]


def other_dimension(places: tuple[int, ...], dimensions: int) -> int:
    """The dimension of the units."""
    return next(d for d in range(1, dimensions) if d not in places)
