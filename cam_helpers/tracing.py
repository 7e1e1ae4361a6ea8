"""Find, in any classifier's graph, the tensor that enters the global pooling and the linear head after it.

The walk goes backwards from the class scores. Tracing (torch.fx) avoids what hooks trip over: operations without a
module (DenseNet's ReLU, ShuffleNet's mean), in-place changes, and the guess which layer "the last one" is.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F


class NotCamCompatible(ValueError):
    """The network's class score is not a pooled linear map of its features, so it has no exact class activation map."""


@dataclass(frozen=True)
class Pool:
    kind: str  # "avg", "sum" or "max"
    name: str
    kernel: tuple[int, int] | None  # None: global by construction; else right only for features of this size


@dataclass(frozen=True)
class Head:
    name: str
    module: nn.Module

    def parameters(self) -> tuple[Tensor, Tensor | None]:
        """weight (C,K) and bias (C,) or None, as they are now."""
        bias = self.module.bias
        return self.module.weight.detach().flatten(1), None if bias is None else bias.detach()


@dataclass(frozen=True)
class Traced:
    graph: fx.GraphModule  # images -> (features, logits)
    features_name: str
    pool: Pool
    head: Head
    head_first: bool  # the head stands before the pooling (SqueezeNet, Network in Network)
    rectified: bool  # with a ReLU in between

    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        # forward, not __call__: fx's wrapper prints the generated code to stderr on every error
        return self.graph.forward(images)


def trace(model: nn.Module, outputs_only: bool = False) -> Traced | int:
    """Trace a classifier that is in the mode it will run in. Raises NotCamCompatible.

    outputs_only: return the number of tensors the network returns, and look no further.
    """
    walk = _Walk(model)
    return walk.outputs if outputs_only else walk.back()


class _Tracer(fx.Tracer):
    """Sees through modules as far as it can; one that cannot be traced stays a box in the graph."""

    def is_leaf_module(self, m: nn.Module, name: str) -> bool:
        return isinstance(m, (nn.Linear, nn.Conv2d, nn.LayerNorm)) or super().is_leaf_module(m, name)

    def call_module(self, m, forward, args, kwargs):
        before = len(self.graph.nodes)
        try:
            # m.forward instead of m: a reader's hooks are not for our proxies
            return super().call_module(m, m.forward, args, kwargs)
        except Exception:
            for node in reversed(list(self.graph.nodes)[before:]):
                self.graph.erase_node(node)
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


_SAME_MODULES = (nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)
_SAME_FUNCTIONS = {torch.flatten, torch.squeeze, torch.reshape, F.dropout, F.dropout2d, F.alpha_dropout}
_SAME_METHODS = {"flatten", "squeeze", "view", "reshape", "contiguous", "float"}
_SOFTMAX = {F.softmax, F.log_softmax, torch.softmax, torch.log_softmax, "softmax", "log_softmax"}
_POOL_MODULES = {nn.AdaptiveAvgPool2d: "avg", nn.AvgPool2d: "avg", nn.AdaptiveMaxPool2d: "max", nn.MaxPool2d: "max"}
_ADAPTIVE = {F.adaptive_avg_pool2d: "avg", F.adaptive_max_pool2d: "max"}
_WINDOW = {F.avg_pool2d: "avg", F.max_pool2d: "max"}
_REDUCE = {torch.mean: "avg", torch.sum: "sum", torch.amax: "max"}
_REDUCE_METHODS = {"mean": "avg", "sum": "sum", "amax": "max"}
_RELU_FUNCTIONS = {F.relu, torch.relu}


class _Walk:
    """The walk from the class scores back to the features of one network."""

    def __init__(self, model: nn.Module):
        self.model = model
        try:
            self.graph = _Tracer().trace(model)
        except Exception as error:
            raise NotCamCompatible(
                f"{type(model).__name__} cannot be traced ({type(error).__name__}: {error}). A forward pass that "
                "branches on the picture has to be split so that the branch comes before the network"
            ) from error
        self.result = next(n for n in self.graph.nodes if n.op == "output").args[0]

    @property
    def outputs(self) -> int:
        return 1 if isinstance(self.result, fx.Node) else len(self.result)

    def back(self) -> Traced:
        if not isinstance(self.result, fx.Node):
            raise NotCamCompatible(
                f"{type(self.model).__name__} returns {self.outputs} outputs instead of one score per class"
            )
        logits = self.without_softmax(self.result)
        last = self.skip(logits)
        head = self.head(last)
        if head is not None:
            end = self.skip(last.args[0])
            pooled = self.pool(end)
            if pooled is None:
                raise self.complaint(end)
            pool, features = pooled
            return self.traced(self.undropped(features), logits, pool, head, head_first=False, rectified=False)
        pooled = self.pool(last)
        if pooled is None:
            raise self.complaint(last)
        pool, node = pooled
        rectified = self.is_relu(node)
        node = self.skip(node.args[0] if rectified else node)
        head = self.head(node)
        if head is None or not isinstance(head.module, nn.Conv2d):
            raise self.complaint(node)
        return self.traced(self.undropped(node.args[0]), logits, pool, head, head_first=True, rectified=rectified)

    def traced(self, features: fx.Node, logits: fx.Node, pool: Pool, head: Head, **how) -> Traced:
        output = next(n for n in self.graph.nodes if n.op == "output")
        output.args = ((features, logits),)
        module = fx.GraphModule(self.model, self.graph)
        module.graph.eliminate_dead_code()
        module.recompile()
        return Traced(module, _name(features), pool, head, **how)

    # -- one step at a time -------------------------------------------------------------------------------------

    def module(self, node: fx.Node) -> nn.Module | None:
        return self.model.get_submodule(node.target) if node.op == "call_module" else None

    def without_softmax(self, node: fx.Node) -> fx.Node:
        softmax = isinstance(self.module(node), (nn.Softmax, nn.LogSoftmax)) or node.target in _SOFTMAX
        return node.args[0] if softmax else node

    def skip(self, node: fx.Node) -> fx.Node:
        """Step back over what leaves the numbers as they are in eval mode."""
        while isinstance(self.module(node), _SAME_MODULES) or node.target in _SAME_FUNCTIONS | _SAME_METHODS:
            if not node.args or not isinstance(node.args[0], fx.Node):
                break
            node = node.args[0]
        return node

    def undropped(self, node: fx.Node) -> fx.Node:
        """Before a dropout, which does nothing in eval mode: the layer a reader would name."""
        while isinstance(self.module(node), (nn.Identity, nn.Dropout, nn.Dropout2d)) or node.target is F.dropout:
            node = node.args[0]
        return node

    def head(self, node: fx.Node) -> Head | None:
        module = self.module(node)
        if isinstance(module, nn.Linear):
            return Head(node.target, module)
        if isinstance(module, nn.Conv2d):
            one_by_one = (1, 1) == tuple(module.kernel_size) == tuple(module.stride)
            if one_by_one and module.groups == 1 and module.padding in ((0, 0), 0, "valid", "same"):
                return Head(node.target, module)
        return None

    def pool(self, node: fx.Node) -> tuple[Pool, fx.Node] | None:
        """-> the global pooling at this node and the node of the features that enter it, or None."""
        module, size = self.module(node), None
        source = node.args[0] if node.args and isinstance(node.args[0], fx.Node) else node.kwargs.get("input")
        arg = node.args[1] if len(node.args) > 1 else None
        if type(module) in _POOL_MODULES:
            kind = _POOL_MODULES[type(module)]
            if isinstance(module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
                return (Pool(kind, node.target, None), source) if _pair(module.output_size) == (1, 1) else None
            if _pair(module.padding) != (0, 0):
                return None
            return Pool(kind, node.target, _pair(module.kernel_size)), source
        if node.op == "call_function" and node.target in _ADAPTIVE:
            size = arg if arg is not None else node.kwargs.get("output_size")
            return (Pool(_ADAPTIVE[node.target], _name(node), None), source) if _pair(size) == (1, 1) else None
        if node.op == "call_function" and node.target in _WINDOW:
            size = arg if arg is not None else node.kwargs.get("kernel_size")
            kernel = None if _has_node(size) else _pair(size)  # kernel_size=x.shape[2:] is global by construction
            return (Pool(_WINDOW[node.target], _name(node), kernel), source) if not node.kwargs.get("padding") else None
        table = {"call_function": _REDUCE, "call_method": _REDUCE_METHODS}.get(node.op, {})
        if node.target not in table:
            return None
        dim = arg if arg is not None else node.kwargs.get("dim", node.kwargs.get("axis"))
        dims = {dim} if isinstance(dim, int) else set(dim or ())
        pool = Pool(table[node.target], _name(node), None)
        if {d % 4 for d in dims} == {2, 3}:
            return pool, source
        if {d % 3 for d in dims} == {2} and self.flattens_places(source):
            return pool, source.args[0]
        return None

    def flattens_places(self, node: fx.Node) -> bool:
        if isinstance(self.module(node), nn.Flatten):
            return self.module(node).start_dim == 2 and self.module(node).end_dim == -1
        start = node.args[1:] if len(node.args) > 1 else (node.kwargs.get("start_dim"),)
        return (node.target in (torch.flatten, "flatten")) and tuple(start) in ((2,), (2, -1), (2, 3))

    def is_relu(self, node: fx.Node) -> bool:
        return isinstance(self.module(node), nn.ReLU) or node.target in _RELU_FUNCTIONS or node.target == "relu"

    # -- saying why not -----------------------------------------------------------------------------------------

    def complaint(self, node: fx.Node) -> NotCamCompatible:
        advice = (
            "Put nn.AdaptiveAvgPool2d(1), nn.Flatten() and one nn.Linear after the last convolution and train that head"
        )
        beside = self.company(node)
        if node.target is operator.getitem and isinstance(node.args[0], fx.Node):
            node, beside = node.args[0], ""
            why = "hands one of its tokens to the class scores instead of a pooled map"
            advice = "Average all tokens and train one nn.Linear after them"
        elif isinstance(self.module(node), (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d)):
            why = "normalises after the pooling, with a scale that depends on the whole picture"
        elif type(self.module(node)) in _POOL_MODULES or node.target in _ADAPTIVE:
            why = "keeps a grid of places instead of pooling over the whole picture"
        else:
            why = "stands between the pooling and the class scores"
        return NotCamCompatible(
            f"{type(self.model).__name__} has no exact class activation map: layer '{_name(node)}' "
            f"({_kind(node, self.module(node))}) {why}{beside}, so the score is not a sum over places. {advice}, "
            "or use Grad-CAM, which needs no special head"
        )

    def company(self, node: fx.Node) -> str:
        """The other layers with weights or kinks that stand beside it, back to the pooling."""
        found = []
        for _ in range(12):
            if not node.args or not isinstance(node.args[0], fx.Node):
                break
            node = self.skip(node.args[0])
            if self.pool(node) or type(self.module(node)) in _POOL_MODULES or isinstance(self.module(node), nn.Conv2d):
                break
            if node.op == "call_module":
                found.append(f"'{_name(node)}' ({_kind(node, self.module(node))})")
        return f" (behind {', '.join(found[:4])})" if found else ""


def _pair(size) -> tuple[int, int]:
    return tuple(size) if isinstance(size, (tuple, list)) else (size, size)


def _has_node(value) -> bool:
    return isinstance(value, fx.Node) or (isinstance(value, (tuple, list)) and any(map(_has_node, value)))


def _name(node: fx.Node) -> str:
    """The module's path; for an operation without a module, its name and the module it is written in."""
    if node.op == "call_module":
        return node.target
    inside = list(node.meta.get("nn_module_stack", {}))
    return f"{inside[-1]}.{node.name}" if inside and inside[-1] else node.name


def _kind(node: fx.Node, module: nn.Module | None) -> str:
    return type(module).__name__ if module is not None else getattr(node.target, "__name__", str(node.target))
