"""Recognise global pooling over places in a traced graph, in the ways people write it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional as F

ModuleOf = Callable[[fx.Node], nn.Module | None]


@dataclass(frozen=True)
class Pool:
    kind: str  # "avg", "sum" or "max"
    name: str
    kernel: tuple[int, int] | None  # None: global by construction; else right only for features of this size


_POOL_MODULES = {nn.AdaptiveAvgPool2d: "avg", nn.AvgPool2d: "avg", nn.AdaptiveMaxPool2d: "max", nn.MaxPool2d: "max"}
_ADAPTIVE = {F.adaptive_avg_pool2d: "avg", F.adaptive_max_pool2d: "max"}
_WINDOW = {F.avg_pool2d: "avg", F.max_pool2d: "max"}
_REDUCE = {torch.mean: "avg", torch.sum: "sum", torch.amax: "max"}
_REDUCE_METHODS = {"mean": "avg", "sum": "sum", "amax": "max"}


def global_pool(node: fx.Node, module_of: ModuleOf) -> tuple[Pool, fx.Node] | None:
    """-> the global pooling at this node and the node of the features that enter it, or None."""
    module, size = module_of(node), None
    source = node.args[0] if node.args and isinstance(node.args[0], fx.Node) else node.kwargs.get("input")
    arg = node.args[1] if len(node.args) > 1 else None
    if type(module) in _POOL_MODULES:
        kind = _POOL_MODULES[type(module)]
        if isinstance(module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
            return (Pool(kind, node.target, None), source) if _pair(module.output_size) == (1, 1) else None
        if _pair(module.padding) != (0, 0) or getattr(module, "divisor_override", None):
            return None
        return Pool(kind, node.target, _pair(module.kernel_size)), source
    if node.op == "call_function" and node.target in _ADAPTIVE:
        size = arg if arg is not None else node.kwargs.get("output_size")
        return (Pool(_ADAPTIVE[node.target], node_name(node), None), source) if _pair(size) == (1, 1) else None
    if node.op == "call_function" and node.target in _WINDOW:
        size = arg if arg is not None else node.kwargs.get("kernel_size")
        kernel = None if _has_node(size) else _pair(size)  # kernel_size=x.shape[2:] is global by construction
        if len(node.args) > 3 or node.kwargs.get("padding") or node.kwargs.get("divisor_override"):
            return None
        return Pool(_WINDOW[node.target], node_name(node), kernel), source
    if node.target in (operator.getitem, getattr) and node.args[1] in (0, "values"):  # f.flatten(2).max(-1)[0]
        return _reduction(source, module_of, "max") if source.target in (torch.max, "max") else None
    table = {"call_function": _REDUCE, "call_method": _REDUCE_METHODS}.get(node.op, {})
    return _reduction(node, module_of, table[node.target]) if node.target in table else None


def _reduction(node: fx.Node, module_of: ModuleOf, kind: str) -> tuple[Pool, fx.Node] | None:
    """A mean, sum or maximum over the two dimensions of places, written in one of the usual ways."""
    source, dims, pool = node.args[0], _dims(node), Pool(kind, node_name(node), None)
    if {d % 4 for d in dims} == {2, 3}:
        return pool, source
    if {d % 3 for d in dims} != {2}:
        return None
    if _flattens_places(source, module_of):
        return pool, source.args[0]
    if source.target == node.target and {d % 4 for d in _dims(source)} == {3}:  # f.mean(-1).mean(-1)
        return pool, source.args[0]
    return None


def _flattens_places(node: fx.Node, module_of: ModuleOf) -> bool:
    if isinstance(module_of(node), nn.Flatten):
        return module_of(node).start_dim == 2 and module_of(node).end_dim == -1
    if node.target in ("view", "reshape", torch.reshape):  # f.view(N, K, -1)
        shape = node.args[1:] if node.target != torch.reshape else node.args[1]
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return len(shape) == 3 and isinstance(shape[2], int) and shape[2] == -1
    start = node.args[1:] if len(node.args) > 1 else (node.kwargs.get("start_dim"),)
    return (node.target in (torch.flatten, "flatten")) and tuple(start) in ((2,), (2, -1), (2, 3))


def is_pooling(node: fx.Node, module_of: ModuleOf) -> bool:
    """A pooling of any kind, global or not."""
    return type(module_of(node)) in _POOL_MODULES or node.target in _ADAPTIVE or node.target in _WINDOW


def node_name(node: fx.Node) -> str:
    """The module's path; for an operation without a module, its name and the module it is written in."""
    if node.op == "call_module":
        return node.target
    inside = list(node.meta.get("nn_module_stack", {}))
    return f"{inside[-1]}.{node.name}" if inside and inside[-1] else node.name


def _dims(node: fx.Node) -> set[int]:
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", node.kwargs.get("axis"))
    return {dim} if isinstance(dim, int) else {d for d in dim or () if isinstance(d, int)}


def _pair(size) -> tuple[int, int]:
    return tuple(size) if isinstance(size, (tuple, list)) else (size, size)


def _has_node(value) -> bool:
    return isinstance(value, fx.Node) or (isinstance(value, (tuple, list)) and any(map(_has_node, value)))
