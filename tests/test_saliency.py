"""Rivals of class activation maps: what theory says, worked by hand, and other people's implementations."""

import warnings

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from tiny_networks import Tiny, pictures, random_network, tiny_network
from torch import nn
from torch.nn import functional as F

from cam_helpers import CamModel, NotCamCompatible, gap_network, saliency

METHODS = {name: getattr(saliency, name) for name in saliency.__all__}
OF_PIXELS = {"input_gradient", "smooth_gradient", "occlusion"}
CLASSES = torch.tensor([3, 0, 4])
SMALL = {"occlusion": {"window": 8, "stride": 8}, "smooth_gradient": {"samples": 2}}
every = pytest.mark.parametrize("name", METHODS)


def same(ours, theirs, rtol=1e-4):
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=1e-5 * float(theirs.abs().max()))


def linear_network(weight, bias=0.5):
    """S_c = Σ weight_c · x + bias."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(weight[0].numel(), len(weight)))
    with torch.no_grad():
        network[1].weight.copy_(weight.flatten(1))
        network[1].bias.fill_(bias)
    return network


# -- what theory says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tiny", "resnet18", "mobilenet_v2", "densenet121"])
def test_on_a_gap_network_the_gradient_family_is_the_map_or_a_part_of_it(name):
    model = tiny_network() if name == "tiny" else random_network(name, 64)
    images = pictures(3, 64)
    cams = CamModel(model)(images)
    maps, places = cams.maps(CLASSES)[:, 0], cams.features[0, 0].numel()
    weight = cams.weight[CLASSES][:, :, None, None]
    part = weight.relu() / (2 + weight * cams.features.mean((2, 3), keepdim=True))  # equation 19 of ++
    same(saliency.grad_cam(model, images, CLASSES), maps.relu() / places)
    same(saliency.layer_cam(model, images, CLASSES), (weight.relu() * cams.features).sum(1) / places)
    same(saliency.grad_cam_plus_plus(model, images, CLASSES), (part * cams.features).sum(1).relu())


def test_with_max_pooling_grad_cam_is_still_the_clipped_map_over_the_number_of_places():
    """The gradient of the maximum is 1 at one place: its mean is 1/(h·w) too."""
    model = Tiny(lambda net, f: net.head(F.adaptive_max_pool2d(f, 1).flatten(1))).eval()
    images = pictures(3, 16)
    same(saliency.grad_cam(model, images, CLASSES), CamModel(model)(images).maps(CLASSES)[:, 0].relu() / 16**2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), window=st.integers(1, 3))
def test_gradient_and_occlusion_of_a_linear_network_are_its_weights(seed, window):
    torch.manual_seed(seed)
    weight, images = torch.randn(2, 3, 6, 6), torch.rand(2, 3, 6, 6)
    network, classes = linear_network(weight), torch.tensor([1, 0])
    gradient = weight[classes].abs().amax(1)
    torch.testing.assert_close(saliency.input_gradient(network, images, classes), gradient)
    torch.testing.assert_close(saliency.smooth_gradient(network, images, classes, samples=2), gradient)
    found = saliency.occlusion(network, images, classes, window=window, stride=window)
    inside = (weight[classes] * (images - images.mean((2, 3), keepdim=True))).sum(1, keepdim=True)
    blocks = F.avg_pool2d(inside, window, divisor_override=1).repeat_interleave(window, 2).repeat_interleave(window, 3)
    torch.testing.assert_close(found, blocks[:, 0], rtol=1e-3, atol=1e-4)


def test_overlapping_windows_are_averaged_and_paint_is_the_mean_colour():
    """Four pixels in a row, weights 1, windows of two: falls of 2, 4 and 0 around the mean of 2."""
    picture = torch.tensor([2.0, 4.0, 4.0, -2.0]).expand(1, 3, 4, 4)
    network = linear_network(torch.ones(1, 3, 4, 4) / 12)  # the four rows and three colours count as one
    found = saliency.occlusion(network, picture, 0, window=4, stride=4)
    torch.testing.assert_close(found, torch.zeros(1, 4, 4), atol=1e-5, rtol=0)  # the mean for the picture: no change
    wide = picture.repeat_interleave(2, 3).repeat_interleave(2, 2)  # 8×8, pixels of 2×2
    network = linear_network(torch.ones(1, 3, 8, 8))
    found = saliency.occlusion(network, wide, 0, window=4, stride=2)
    falls = [sum((v - 2) * 2 for v in pair) * 4 * 3 for pair in ((2, 4), (4, 4), (4, -2))]
    expected = [falls[0], (falls[0] + falls[1]) / 2, (falls[1] + falls[2]) / 2, falls[2]]
    torch.testing.assert_close(found[0, 0, ::2], torch.tensor(expected), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (5, 3), (7, 2), (16, 16)])
def test_occlusion_is_captums(window, stride):
    """Windows that reach over the edge included."""
    model, images = tiny_network(), pictures(3, 16)
    shapes = {"sliding_window_shapes": (3, window, window), "strides": (3, stride, stride)}
    paint = images.mean((2, 3), keepdim=True).expand_as(images)
    expected = Occlusion(model).attribute(images, target=CLASSES, baselines=paint, **shapes)[:, 0]
    torch.testing.assert_close(saliency.occlusion(model, images, CLASSES, window=window, stride=stride), expected)


def test_score_cam_follows_its_equations():
    model, images = tiny_network(), pictures(2, 16).sigmoid()
    cams, classes = CamModel(model)(images), torch.tensor([1, 4])
    for i, c in enumerate(classes):
        f = cams.features[i]
        low, high = f.amin((1, 2), keepdim=True), f.amax((1, 2), keepdim=True)
        with torch.no_grad():
            scores = model(images[i] * ((f - low) / (high - low))[:, None])[:, c]
        alpha = scores.softmax(0)
        same(saliency.score_cam(model, images, classes)[i], (alpha[:, None, None] * f).sum(0).relu(), rtol=1e-3)


# -- other people's implementations -----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["resnet18", "course_dense"])
def example(request):
    """(network, pictures, the layer to tell the others, the layer to tell us). Scores are large: pytorch-grad-cam adds
    1e-6 to the squares of the gradients."""
    if request.param == "resnet18":
        model = random_network("resnet18", 64)
        head, layer, named = model.fc, model.layer4, None
    else:
        torch.manual_seed(0)
        model = gap_network("course_dense", 5).eval()  # without an exact map
        head, layer, named = model.head, model.trunk, model.trunk
    with torch.no_grad():
        head.weight *= 1000
    return model, pictures(3, 64).sigmoid(), layer, named


@pytest.mark.parametrize(
    ("ours", "theirs"), [("grad_cam", GradCAM), ("grad_cam_plus_plus", GradCAMPlusPlus), ("layer_cam", LayerCAM)]
)
def test_pytorch_grad_cam_draws_the_same_picture(example, ours, theirs):
    model, images, layer, named = example
    with theirs(model=model, target_layers=[layer]) as extractor:
        expected = extractor(images, targets=[ClassifierOutputTarget(int(c)) for c in CLASSES])
    maps = stretch(METHODS[ours](model, images, CLASSES, layer=named)[:, None])
    maps = stretch(F.interpolate(maps, (64, 64), mode="bilinear"))
    np.testing.assert_allclose(maps[:, 0], expected, atol=5e-3)


def stretch(maps):
    """To 0–1, each map by its own minimum and maximum."""
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    return (maps - low) / (high - low).clamp_min(1e-30)


def test_the_input_gradient_is_autograds(example):
    model, images, *_ = example
    leaf = images.clone().requires_grad_()
    model(leaf).gather(1, CLASSES[:, None]).sum().backward()
    model.zero_grad()
    same(saliency.input_gradient(model, images, CLASSES), leaf.grad.abs().amax(1))


def test_smooth_gradients_of_many_noisy_copies_average():
    """A square: its gradient 2x has noise of mean zero, which goes away; that of one copy does not."""
    square = type("Square", (nn.Module,), {"forward": lambda self, x: (x**2).sum((1, 2, 3))[:, None]})()
    images = torch.full((1, 3, 8, 8), 0.5)
    one, many = (saliency.smooth_gradient(square, images, 0, samples=n, noise=0.2) for n in (1, 256))
    assert (many - 1).abs().max() < 0.15 < (one - 1).abs().max()


# -- the form they share ----------------------------------------------------------------------------------------------


@every
def test_maps_are_batched_and_belong_to_their_class(name):
    model, images = tiny_network(), pictures(3, 16)
    options = SMALL.get(name, {})
    maps = METHODS[name](model, images, CLASSES, **options)
    assert maps.shape == (3, 16, 16) and maps.dtype == torch.float32 and not maps.requires_grad
    same(METHODS[name](model, images, CLASSES, batch=3, **options), maps)
    if name != "smooth_gradient":  # the noise is drawn batch by batch
        for i, c in enumerate(CLASSES):
            same(METHODS[name](model, images[i : i + 1], int(c), **options), maps[i : i + 1])
        same(METHODS[name](model, images, CLASSES, batch=2, **options), maps)
    assert (METHODS[name](model, images, 1, **options) - maps).abs().max() > 1e-4 * maps.abs().max()


@every
def test_the_network_is_left_as_it_was(name):
    model = tiny_network().train()
    model.head.requires_grad_(False)
    model.body[0].weight.grad = torch.ones_like(model.body[0].weight)
    seen = []
    model.body[2].register_forward_hook(lambda *_: seen.append(1))
    images = pictures(2, 16).requires_grad_()
    before, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        METHODS[name](model, images, 1, **SMALL.get(name, {}))
    assert all(m.training for m in model.modules()) and seen
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(model.body[0].weight.grad, torch.ones_like(model.body[0].weight)) and images.grad is None
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()] == [
        int(m is model.body[2]) for m in model.modules()
    ]
    assert torch.equal(torch.get_rng_state(), random)


@every
def test_frozen_networks_and_bytes(name):
    """Gradients need floats: the course's networks take bytes, and a frozen one has no parameter that asks for them."""
    network = gap_network("course", 5).eval().requires_grad_(False)
    images = (pictures(3, 32).sigmoid() * 255).to(torch.uint8)
    maps = METHODS[name](network, images, CLASSES, **SMALL.get(name, {}))
    same(METHODS[name](network, images / 255, CLASSES, **SMALL.get(name, {})), maps)
    assert maps.shape[1:] == ((32, 32) if name in OF_PIXELS else (8, 8)) and maps.abs().max() > 0


def test_without_an_exact_map_the_layer_has_to_be_named():
    network, images = gap_network("course_dense", 5).eval(), pictures(3, 64).sigmoid()
    with pytest.raises(NotCamCompatible, match=r"layer 'dense\.\d'.*give layer=, the module whose output is looked at"):
        saliency.grad_cam(network, images, CLASSES)
    assert saliency.grad_cam(network, images, CLASSES, layer=network.trunk).shape == (3, 16, 16)
    assert saliency.input_gradient(network, images, CLASSES).shape == (3, 64, 64)


BAD = {
    "no batch": (pictures(1, 16)[0], 1, ValueError, r"\(N,3,H,W\) with at least one picture, got \(3, 16, 16\)"),
    "no tensor": ([1], 1, ValueError, "got list"),
    "no picture": (pictures(1, 16)[:0], 1, ValueError, r"got \(0, 3, 16, 16\)"),
    "bytes": (pictures(1, 16).to(torch.uint8), 1, TypeError, "does not take torch.uint8"),
    "no class": (pictures(2, 16), None, ValueError, "an int, or an"),
    "several classes": (pictures(2, 16), [0, 1], ValueError, "an int, or an"),
    "an unknown class": (pictures(2, 16), 5, IndexError, "class 5 does not exist: the network has 5 classes"),
    "too few classes": (pictures(2, 16), torch.tensor([1]), ValueError, "2 pictures, 1 classes"),
    "half a class": (pictures(1, 16), torch.tensor([0.5]), TypeError, "whole numbers"),
}


@pytest.mark.parametrize("name", ["input_gradient", "grad_cam"])
@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(name, case):
    images, classes, error, text = BAD[case]
    with pytest.raises(error, match=text):
        METHODS[name](tiny_network(), images, classes)


def test_bad_networks_and_windows():
    with pytest.raises(ValueError, match=r"one score per class, \(N,C\)"):
        saliency.input_gradient(nn.Conv2d(3, 2, 1), pictures(1, 16), 0)
    for window, stride in ((17, 4), (4, 5), (4, 0)):
        with pytest.raises(ValueError, match=rf"window ≤ side of the picture, got {stride}, {window}, \(16, 16\)"):
            saliency.occlusion(tiny_network(), pictures(1, 16), 0, window=window, stride=stride)
