"""Find, in any classifier's graph, the tensor that enters the global pooling and the linear head after it.

The walk goes backwards from the class scores. Tracing (torch.fx) avoids what hooks trip over: operations without a
module (DenseNet's ReLU, ShuffleNet's mean), in-place changes, and the guess which layer "the last one" is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from .pooling import Pool, global_pool, is_pooling, node_name


class NotCamCompatible(ValueError):
    """The network's class score is not a pooled linear map of its features, so it has no exact class activation map."""


@dataclass(frozen=True)
class Head:
    name: str
    weight_of: Callable[[], Tensor]
    bias_of: Callable[[], Tensor | None]
    is_convolution: bool

    def parameters(self) -> tuple[Tensor, Tensor | None]:
        """weight (C,K) and bias (C,) or None, as they are now."""
        bias = self.bias_of()
        return self.weight_of().detach().flatten(1), None if bias is None else bias.detach()


@dataclass(frozen=True)
class Traced:
    model: nn.Module
    graph: fx.Graph  # images -> (features, logits)
    features: fx.Node
    pool: Pool
    head: Head
    head_first: bool  # the head stands before the pooling (SqueezeNet, Network in Network)
    rectified: bool  # with a ReLU in between

    @property
    def features_name(self) -> str:
        return node_name(self.features)

    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """-> features (N,K,h,w) and logits (N,C). Raises NotCamCompatible when a fixed window does not fit."""
        return _Runner(self).run(images)


class _Runner(fx.Interpreter):
    """Runs the graph on the live network: weights loaded, moved or cast after the tracing are seen."""

    def __init__(self, traced: Traced):
        super().__init__(traced.model, graph=traced.graph)
        self.extra_traceback = False  # torch's own message, without the graph
        self.traced = traced

    def run_node(self, node: fx.Node):
        value = super().run_node(node)
        if node is self.traced.features:
            kernel, size = self.traced.pool.kernel, tuple(value.shape[2:])
            if kernel is not None and kernel != size:
                raise NotCamCompatible(
                    f"pooling '{self.traced.pool.name}' looks at {kernel[0]}×{kernel[1]} places and the features have "
                    f"{size[0]}×{size[1]}: use pictures of the training size, or nn.AdaptiveAvgPool2d(1)"
                )
        return value


def trace(model: nn.Module, outputs_only: bool = False) -> Traced | int:
    """Trace a classifier that is in the mode it will run in. Raises NotCamCompatible.

    outputs_only: return the number of tensors the network returns, and look no further.
    """
    walk = _Walk(model)
    return walk.outputs if outputs_only else walk.back()


class _Tracer(fx.Tracer):
    """Sees through modules as far as it can; one that cannot be traced stays a box in the graph."""

    def is_leaf_module(self, m: nn.Module, name: str) -> bool:
        return isinstance(m, nn.LayerNorm) or _is(m, nn.Linear, nn.Conv2d) or super().is_leaf_module(m, name)

    def call_module(self, m, forward, args, kwargs):
        before, depth = len(self.graph.nodes), len(self.module_stack)
        try:
            # m.forward instead of m: a reader's hooks are not for our proxies
            return super().call_module(m, m.forward, args, kwargs)
        except Exception:
            for node in reversed(list(self.graph.nodes)[before:]):
                self.graph.erase_node(node)
            while len(self.module_stack) > depth:  # fx leaves a failed module on it, and then its parent fails too
                self.module_stack.popitem()
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


_SAME_MODULES = (nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)
_SAME_FUNCTIONS = {torch.flatten, torch.squeeze, torch.reshape}
_DROPOUTS = {F.dropout, F.dropout2d, F.alpha_dropout}
_SAME_METHODS = {"flatten", "squeeze", "view", "reshape", "contiguous", "float"}
_SOFTMAX = {F.softmax, F.log_softmax, torch.softmax, torch.log_softmax, "softmax", "log_softmax"}
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
        if isinstance(self.result, fx.Node) and hasattr(self.result.target, "_fields"):  # a named tuple
            self.result = (*self.result.args, *self.result.kwargs.values())

    @property
    def outputs(self) -> int:
        return 1 if isinstance(self.result, fx.Node) else len(self.result)

    def back(self) -> Traced:
        if not isinstance(self.result, fx.Node):
            what = "a dictionary" if isinstance(self.result, dict) else f"{self.outputs} outputs"
            raise NotCamCompatible(f"{type(self.model).__name__} returns {what} instead of one score per class")
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
        if head is None or not head.is_convolution:
            raise self.complaint(node)
        return self.traced(self.undropped(node.args[0]), logits, pool, head, head_first=True, rectified=rectified)

    def traced(self, features: fx.Node, logits: fx.Node, pool: Pool, head: Head, **how) -> Traced:
        output = next(n for n in self.graph.nodes if n.op == "output")
        output.args = ((features, logits),)
        live, todo = set(), [output]
        while todo:  # what neither features nor logits need is not run
            node = todo.pop()
            if node not in live:
                live.add(node)
                todo.extend(node.all_input_nodes)
        for node in reversed(self.graph.nodes):
            if node not in live and node.op != "placeholder":
                self.graph.erase_node(node)
        return Traced(self.model, self.graph, features, pool, head, **how)

    # -- one step at a time -------------------------------------------------------------------------------------

    def module(self, node: fx.Node) -> nn.Module | None:
        return self.model.get_submodule(node.target) if node.op == "call_module" else None

    def without_softmax(self, node: fx.Node) -> fx.Node:
        softmax = isinstance(self.module(node), (nn.Softmax, nn.LogSoftmax)) or node.target in _SOFTMAX
        return node.args[0] if softmax else node

    def skip(self, node: fx.Node) -> fx.Node:
        """Step back over what leaves the numbers as they are in eval mode."""
        while self.is_same(node) and node.args and isinstance(node.args[0], fx.Node):
            node = node.args[0]
        return node

    def is_same(self, node: fx.Node) -> bool:
        if node.target is operator.getitem:  # f.mean((2, 3), keepdim=True)[:, :, 0, 0]
            return node.args[1] in ((slice(None), slice(None), 0, 0), (Ellipsis, 0, 0))
        same = node.target in _SAME_FUNCTIONS | _SAME_METHODS or isinstance(self.module(node), _SAME_MODULES)
        return same or self.is_dropout(node)

    def is_dropout(self, node: fx.Node) -> bool:
        if node.target in _DROPOUTS:  # F.dropout(x) without training=self.training drops in eval mode too
            return (node.args[2] if len(node.args) > 2 else node.kwargs.get("training", True)) is False
        return isinstance(self.module(node), (nn.Identity, nn.Dropout, nn.Dropout2d))

    def undropped(self, node: fx.Node) -> fx.Node:
        """Before a dropout, which does nothing in eval mode: the layer a reader would name."""
        while self.is_dropout(node):
            node = node.args[0]
        return node

    def head(self, node: fx.Node) -> Head | None:
        module = self.module(node)
        if module is not None and _is(module, nn.Linear):
            return self.module_head(node, False)
        if module is not None and _is(module, nn.Conv2d):
            one_by_one = (1, 1) == tuple(module.kernel_size) == tuple(module.stride)
            if one_by_one and module.groups == 1 and module.padding in ((0, 0), 0, "valid", "same"):
                return self.module_head(node, True)
        if node.target is F.linear:
            names = dict(zip(("input", "weight", "bias"), node.args, strict=False)) | node.kwargs
            weight, bias = names["weight"], names.get("bias")
            if weight.op == "get_attr" and (bias is None or bias.op == "get_attr"):
                fetch = operator.attrgetter(weight.target)
                offset = operator.attrgetter(bias.target) if bias is not None else lambda model: None
                return Head(weight.target, lambda: fetch(self.model), lambda: offset(self.model), False)
        return None

    def module_head(self, node: fx.Node, is_convolution: bool) -> Head:
        layer = operator.attrgetter(node.target)  # looked up at every call: layers may be exchanged
        return Head(node.target, lambda: layer(self.model).weight, lambda: layer(self.model).bias, is_convolution)

    def pool(self, node: fx.Node) -> tuple[Pool, fx.Node] | None:
        return global_pool(node, self.module)

    def is_relu(self, node: fx.Node) -> bool:
        return isinstance(self.module(node), nn.ReLU) or node.target in _RELU_FUNCTIONS or node.target == "relu"

    # -- saying why not -----------------------------------------------------------------------------------------

    def complaint(self, node: fx.Node) -> NotCamCompatible:
        advice = (
            "Put nn.AdaptiveAvgPool2d(1), nn.Flatten() and one nn.Linear after the last convolution, as gap_network "
            "does, and train that head"
        )
        beside = self.company(node)
        if node.target is operator.getitem and isinstance(node.args[0], fx.Node):
            node, beside = node.args[0], ""
            why = "hands one of its tokens to the class scores instead of a pooled map"
            advice = "Average all tokens and train one nn.Linear after them"
        elif isinstance(self.module(node), (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d)):
            why = "normalises after the pooling, with a scale that depends on the whole picture"
        elif is_pooling(node, self.module):
            why = "keeps a grid of places instead of pooling over the whole picture"
        else:
            why = "stands between the pooling and the class scores"
        return NotCamCompatible(
            f"{type(self.model).__name__} has no exact class activation map: layer '{node_name(node)}' "
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
            if self.pool(node) or is_pooling(node, self.module) or isinstance(self.module(node), nn.Conv2d):
                break
            if node.op == "call_module":
                found.append(f"'{node_name(node)}' ({_kind(node, self.module(node))})")
        return f" (behind {', '.join(found[:4])})" if found else ""


def _is(module: nn.Module, *kinds: type) -> bool:
    """An instance that computes what its class does: a subclass may bring another forward."""
    return any(isinstance(module, kind) and type(module).forward is kind.forward for kind in kinds)


def _kind(node: fx.Node, module: nn.Module | None) -> str:
    return type(module).__name__ if module is not None else getattr(node.target, "__name__", str(node.target))
