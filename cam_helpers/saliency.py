"""Rivals of class activation maps, through captum and torchcam with one signature (lesson 06; paper, Table 2).

Every function returns maps of the given classes, on the pictures' device: (N,H,W) where the method looks at pixels,
(N,h,w) where it looks at features. Values are in the method's own units, not normalised.

The class score S_c is what the network returns, in eval mode: before a softmax. Weights, `.grad`, modes, hooks and the
state of the random numbers are left as they were. The course's networks also take uint8.
Raises ValueError, TypeError or IndexError for pictures, scores or classes of another form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from captum.attr import LayerActivation, LayerGradCam, LayerGradientXActivation, NoiseTunnel, Saliency
from torch import Tensor, nn
from torchcam import methods

from .maps import NotCamCompatible, Split, eval_mode, select_classes
from .networks.small import Pixels
from .occlusion import hidden, mean_over_windows, window_corners

__all__ = ["grad_cam", "grad_cam_plus_plus", "input_gradient", "layer_cam", "occlusion", "score_cam", "smooth_gradient"]


def _batchwise(method: Callable) -> Callable:
    """Check the arguments and call the method on a few pictures at a time, in a state that it can leave as it was."""

    @wraps(method)
    def maps(network: nn.Module, images: Tensor, classes, *, batch: int = 32, **options) -> Tensor:
        with eval_mode(network), torch.enable_grad():
            images, classes = _checked(network, images, classes)
            parts = zip(images.split(batch), classes.split(batch), strict=True)
            try:
                return torch.cat([method(network, *part, **options).detach() for part in parts])
            except NotCamCompatible as error:
                raise NotCamCompatible(f"{error}: give layer=, the module whose output is looked at") from error

    return maps


@_batchwise
def input_gradient(network: nn.Module, images: Tensor, classes) -> Tensor:
    """|∂S_c/∂x|, of the three colours the largest -> (N,H,W), score per unit of input (uint8 counts as 0–1).

    Simonyan, Vedaldi, Zisserman, ICLR workshop 2014, section 3: "Backprop" in the paper's Tables 2 and 3.

    Args:
        network: gives class scores (N,C)
        images: (N,3,H,W), as the network takes them
        classes: an int for all pictures, or an (N,) tensor of ints, one per picture
        batch: pictures at a time
    """
    return Saliency(network).attribute(images, target=classes).amax(1)


@_batchwise
def smooth_gradient(network: nn.Module, images: Tensor, classes, *, samples=16, noise=0.1) -> Tensor:
    """SmoothGrad: the mean gradient of `samples` noisy copies, then as `input_gradient` -> (N,H,W).

    Smilkov et al. 2017. Arguments as `input_gradient`, and

        samples: how many copies
        noise: its standard deviation, in units of the input
    """
    options = {"nt_samples": samples, "nt_samples_batch_size": 1, "stdevs": float(noise), "abs": False}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return NoiseTunnel(Saliency(network)).attribute(images, target=classes, **options).abs().amax(1)


@_batchwise
def occlusion(network: nn.Module, images: Tensor, classes, *, window=32, stride=16) -> Tensor:
    """How much the score falls when a square is painted over -> (N,H,W), signed: mean over the windows on each pixel.

    The paint is each picture's mean colour. One forward pass per window. Zeiler and Fergus 2014, section 4.2.
    Arguments as `input_gradient`, and

        window: side of the square in pixels
        stride: pixels from one window to the next, at most window
    """
    corners, paint = window_corners(images.shape[2:], window, stride), images.mean((2, 3), keepdim=True)
    with torch.no_grad():
        before = network(images).gather(1, classes[:, None])
        painted = (network(hidden(images, corner, window, paint)) for corner in corners)
        falls = torch.cat([before - scores.gather(1, classes[:, None]) for scores in painted], 1)
    return mean_over_windows(falls, corners, window, images.shape[2:])


@_batchwise
def grad_cam(network: nn.Module, images: Tensor, classes, *, layer=None) -> Tensor:
    """relu(Σ_k α_k f_k), α_k the mean gradient of the score by channel k -> (N,h,w), never negative.

    On a network with average pooling it is relu(class activation map) / (h·w). Selvaraju et al., ICCV 2017, section 3.
    Arguments as `input_gradient`, and

        layer: the module whose output is looked at. None finds the features that enter the global pooling, as CamModel
            does; for a network without an exact map, which has none (NotCamCompatible), name one: layer=network.trunk
    """
    network, place = _with_place(network, layer)
    return LayerGradCam(network, place).attribute(images, target=classes, relu_attributions=True)[:, 0]


@_batchwise
def grad_cam_plus_plus(network: nn.Module, images: Tensor, classes, *, layer=None) -> Tensor:
    """relu(Σ_k α_k f_k), α_k = Σ_xy relu(g)/(2 + g·Σ f_k), g the gradient at each place -> (N,h,w), never negative.

    On a network with average pooling α_k = relu(w_k)/(2 + w_k·mean f_k). Chattopadhay et al., WACV 2018, equation 19.
    Arguments as `grad_cam`.
    """
    network, place = _with_place(network, layer)
    # Of its pieces: torchcam 0.5 leaves the division out, pytorch-grad-cam adds 1e-6 to squares that are smaller.
    g = LayerGradientXActivation(network, place, multiply_by_inputs=False).attribute(images, target=classes)
    f = LayerActivation(network, place).attribute(images)
    alpha = (g.relu() / (2 + g * f.sum((2, 3), keepdim=True))).sum((2, 3), keepdim=True)
    return (alpha * f).sum(1).relu()


@_batchwise
def layer_cam(network: nn.Module, images: Tensor, classes, *, layer=None) -> Tensor:
    """relu(Σ_k relu(∂S_c/∂f_k)·f_k): every place has weights of its own -> (N,h,w), never negative.

    With average pooling: the class activation map without its negative weights, / (h·w). Jiang et al., TIP 2021.
    Arguments as `grad_cam`.
    """
    return _torchcam(methods.LayerCAM, network, images, classes, layer)


@_batchwise
def score_cam(network: nn.Module, images: Tensor, classes, *, layer=None) -> Tensor:
    """relu(Σ_k α_k f_k), α the softmax over channels of the score of the picture seen through f_k -> (N,h,w).

    No gradient, but one forward pass per channel. Wang et al., CVPR workshop 2020. Arguments as `grad_cam`.
    """
    return _torchcam(methods.ScoreCAM, network, images.detach(), classes, layer)


def _torchcam(method, network: nn.Module, images: Tensor, classes: Tensor, layer) -> Tensor:
    network, place = _with_place(network, layer)
    with method(network, target_layer=place) as extractor:
        return extractor(classes.tolist(), network(images), normalized=False)[0]


def _with_place(network: nn.Module, layer: nn.Module | None) -> tuple[nn.Module, nn.Module]:
    """-> a network and the module in it to hook: its layer, or the place in a `Split` that the features pass."""
    if layer is not None:
        return network, layer
    split = Split(network)
    return split, split.place


def _checked(network: nn.Module, images: Tensor, classes) -> tuple[Tensor, Tensor]:
    """-> pictures as floats that a gradient can reach (frozen networks have no other), and a class for each."""
    if not isinstance(images, Tensor) or images.ndim != 4 or not len(images):
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"images must be a tensor (N,3,H,W) with at least one picture, got {got}")
    if not images.is_floating_point():
        if images.dtype != torch.uint8 or not any(isinstance(module, Pixels) for module in network.modules()):
            raise TypeError(f"this network does not take {images.dtype}: give what its weights.transforms() return")
        images = images / 255
    with torch.no_grad():
        scores = network(images[:1])
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        raise ValueError("the network must return one score per class, (N,C)")
    chosen, per_picture = select_classes(classes, len(images), scores.shape[1])
    if not per_picture:
        if chosen is None or len(chosen) != 1:
            raise ValueError("classes must be an int, or an (N,) tensor with one class per picture")
        chosen = torch.tensor(chosen * len(images))
    return images.detach().clone().requires_grad_(), chosen.to(images.device)
