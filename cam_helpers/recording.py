"""Write down what a network does with its pictures.

The forward pass that is read is the one that runs: patched methods, hooks, branches and in-place changes included.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Recording", "Ref", "Step", "flat", "layer_name", "tensors"]


class Ref(int):
    """The number of a tensor that depends on the pictures; the pictures themselves are Ref(0)."""


class Step(NamedTuple):
    """One ATen operation. A Ref stands for each tensor that depends on the pictures; others are there themselves."""

    func: OpOverload
    args: tuple
    kwargs: dict
    outs: tuple[Ref, ...]
    module: nn.Module | None  # the one whose forward called it

    @property
    def name(self) -> str:
        """Such as "relu", for aten.relu.default and aten.relu_.default."""
        return self.func._schema.name.removeprefix("aten::").rstrip("_")

    @property
    def inputs(self) -> list[Ref]:
        return [x for x in flat((self.args, tuple(self.kwargs.values()))) if type(x) is Ref]


class Recording(TorchDispatchMode):
    """Inside `with Recording(images) as record:`, record.steps lists what is done with the pictures.

    Of what the operations give, only the end is kept alive.

    Args:
        images: the tensor that the network is called with; what depends on it is recorded
        grids: keep everything from so many tensors before the end that may have places, (N,·,·,·) or (N,·,·)
        skipped: how many of these to forget at once, where it is known how many come before the end: the pass then
            takes the memory that it takes alone
        modules: steps know whose forward called them, which takes a little time
    """

    UNKNOWN = Ref(-1)  # what the network had before, once something of the pictures was written into it

    def __init__(self, images: Tensor, grids: int = 0, skipped: int = 0, modules: bool = True):
        super().__init__()
        self._modules, self._depends = modules, False
        self.steps: list[Step] = []
        self.shapes: list[torch.Size] = []  # by Ref
        self._end: deque[tuple[int, Tensor]] = deque()  # (number of the step, what it gave); -1: the pictures
        self._wanted, self._kept, self._skipped = grids, 0, skipped
        self.passed = 0  # tensors that may have places, so far
        self._refs: dict[int, tuple[weakref.ref, Ref]] = {}
        self._written: set[int] = set()
        self._number(images)
        self._keep(-1, images)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self._depends = False
        seen = self._symbols(args), {name: self._symbols(value) for name, value in kwargs.items()}
        depends = self._depends
        output = func(*args, **kwargs)
        if depends:
            if func._schema.is_mutable:
                given = flat((seen[0], tuple(seen[1].values())))
                self._written |= {x.untyped_storage()._cdata for x in given if isinstance(x, Tensor)}
            given = tensors(output)
            outs = tuple([self._number(tensor) for tensor in given])
            self.steps.append(Step(func, *seen, outs, _caller() if self._modules else None))
            for tensor in given:
                self._keep(len(self.steps) - 1, tensor)
        return output

    def ref(self, tensor: Tensor) -> Ref | None:
        """None where a tensor does not depend on the pictures."""
        known = self._refs.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def value(self, ref: Ref) -> Tensor:
        """Raises StopIteration where it was not kept."""
        return next(tensor for _, tensor in reversed(self._end) if self.ref(tensor) == ref)

    def grids(self) -> list[tuple[int, Tensor]]:
        """What was kept and may have places, the latest first: (number of the step, tensor)."""
        return [entry for entry in reversed(self._end) if self._is_grid(entry[1])]

    def maker(self, ref: Ref, before: int | None = None) -> int:
        """The last step, of all or of those before one, that made or changed a tensor; -1 for the pictures."""
        last = len(self.steps) if before is None else before
        return next((number for number in range(last - 1, -1, -1) if ref in self.steps[number].outs), -1)

    def _keep(self, number: int, tensor: Tensor) -> None:
        is_grid = self._is_grid(tensor)
        self.passed += is_grid
        if self.passed <= self._skipped:
            return
        self._end.append((number, tensor))
        self._kept += is_grid
        while self._kept > self._wanted:
            self._kept -= self._is_grid(self._end.popleft()[1])

    def _number(self, tensor: Tensor) -> Ref:
        ref = self.ref(tensor)
        if ref is None:
            ref = Ref(len(self.shapes))
            self.shapes.append(tensor.shape)
            self._refs[id(tensor)] = weakref.ref(tensor), ref
        return ref

    def _symbols(self, value):
        if isinstance(value, Tensor):
            ref = self.ref(value)
            if ref is None and self._written and value.untyped_storage()._cdata in self._written:
                ref = self.UNKNOWN
            if ref is None:
                return value
            self._depends = True
            return ref
        if type(value) is tuple:
            return tuple([self._symbols(x) for x in value])
        return [self._symbols(x) for x in value] if type(value) is list else value

    def _is_grid(self, tensor: Tensor) -> bool:
        return tensor.ndim in (3, 4) and tensor.is_floating_point() and len(tensor) == self.shapes[0][0]


def layer_name(model: nn.Module, step: Step) -> str:
    """'classifier.5' (ReLU); of an operation that has no module to itself, 'block.add'."""
    name = next((name for name, module in model.named_modules() if module is step.module), "")
    if name and not any(step.module.children()):
        return f"'{name}' ({type(step.module).__name__})"
    return f"'{name}.{step.name}'" if name else f"'{step.name}'"


def flat(value) -> list:
    return [x for part in value for x in flat(part)] if isinstance(value, tuple | list) else [value]


def tensors(value) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [x for x in flat(value) if isinstance(x, Tensor)]


def _caller() -> nn.Module | None:
    """The module whose forward is running, from Python's call stack."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code is not nn.Module._call_impl.__code__:
        frame = frame.f_back
    return frame and frame.f_locals["self"]
