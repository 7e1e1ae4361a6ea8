"""Which networks have an exact map, which are refused and why, and that all of them are left as they were."""

import copy

import pytest
import torch
from tiny_networks import Tiny, pictures, random_network, tiny_network
from torch import nn
from torch.nn import functional as F
from torchvision import models

from cam_helpers import CamModel, NotCamCompatible

EXACT = {  # name -> where the features come from
    "resnet18": "layer4.1.relu",
    "resnext50_32x4d": "layer4.2.relu",
    "mobilenet_v2": "features.18.2",
    "efficientnet_b0": "features.8.2",
    "googlenet": "inception5b",
    "inception_v3": "Mixed_7c",
    "shufflenet_v2_x1_0": "conv5.2",
    "regnet_y_400mf": "trunk_output.block4",
    "densenet121": "relu",
    "squeezenet1_1": "features.12",
}
SIZE = {"inception_v3": 128}  # the smallest power of two with more than one place left


@pytest.fixture(scope="module", params=EXACT)
def network(request):
    size = SIZE.get(request.param, 64)
    return request.param, random_network(request.param, size), pictures(2, size)


def test_the_identity_holds_on_torchvision_networks(network):
    name, model, images = network
    wrapped = CamModel(model)
    cams = wrapped(images)
    logits = model(images)
    assert torch.equal(cams.logits, logits)
    assert cams.identity_error() <= 1e-4
    assert f"features '{EXACT[name]}" in repr(wrapped)
    # the check would be empty if all pictures, classes or places had the same scores
    largest = logits.abs().max()
    assert (logits[0] - logits[1]).abs().max() > 0.05 * largest and logits.std(1).min() > 0.05 * largest
    assert cams.maps().std((2, 3)).max() > 0.05 * largest and cams.features[0, 0].numel() > 1


@pytest.mark.parametrize(
    ("name", "layer", "remedy"),
    [
        ("alexnet", r"'classifier\.5' \(ReLU\) stands between the pooling and the class scores", "nn.Linear after the"),
        ("vgg16", r"'classifier\.4' \(ReLU\).*behind 'classifier\.3' \(Linear\)", "nn.AdaptiveAvgPool2d.*train"),
        ("convnext_tiny", r"'classifier\.0' \(LayerNorm2d\) normalises after the pooling", "use Grad-CAM"),
        ("vit_b_16", r"'encoder\.ln' \(LayerNorm\) hands one of its tokens", "Average all tokens"),
        ("mobilenet_v3_small", r"'classifier\.1' \(Hardswish\) stands between", "train that head"),
    ],
)
def test_networks_without_an_exact_map_are_refused_and_the_layer_is_named(name, layer, remedy):
    with torch.device("meta"):  # the graph is enough: no weights to fill
        model = models.get_model(name).eval()
    with pytest.raises(NotCamCompatible, match=f"{type(model).__name__} has no exact .*layer {layer}.*{remedy}"):
        CamModel(model)
    assert issubclass(NotCamCompatible, ValueError)


@pytest.mark.parametrize(("name", "outputs"), [("googlenet", 3), ("inception_v3", 2)])
def test_auxiliary_heads_in_train_mode_are_refused(name, outputs):
    model = random_network(name, 128)
    wrapped = CamModel(model)
    model.train()
    words = rf"is in train mode, where it returns {outputs} outputs \(auxiliary heads\).*call model\.eval\(\) first"
    with pytest.raises(NotCamCompatible, match=words):
        CamModel(model)
    with pytest.raises(NotCamCompatible, match=words):
        wrapped(pictures(2, 128))
    assert CamModel(model.eval())(pictures(2, 128)).identity_error() <= 1e-4


# -- one way of writing it after another --------------------------------------------------------------------------


def linear(pool):
    return lambda net, f: net.head(pool(net, f).flatten(1))


AVERAGE = {
    "module": (linear(lambda net, f: net.pool(f)), {"pool": nn.AdaptiveAvgPool2d(1)}),
    "module (1,1)": (linear(lambda net, f: net.pool(f)), {"pool": nn.AdaptiveAvgPool2d((1, 1))}),
    "window": (linear(lambda net, f: net.pool(f)), {"pool": nn.AvgPool2d(12)}),
    "function": (linear(lambda net, f: F.adaptive_avg_pool2d(f, 1)), {}),
    "shape": (linear(lambda net, f: F.avg_pool2d(f, f.shape[2:])), {}),
    "size": (linear(lambda net, f: F.avg_pool2d(f, kernel_size=f.size()[2:])), {}),
    "method": (linear(lambda net, f: f.mean((2, 3))), {}),
    "from the end": (linear(lambda net, f: f.mean(dim=[-1, -2], keepdim=True)), {}),
    "torch.mean": (linear(lambda net, f: torch.mean(f, dim=(2, 3))), {}),
    "flatten": (linear(lambda net, f: f.flatten(2).mean(-1)), {}),
    "torch.flatten": (linear(lambda net, f: torch.flatten(f, 2).mean(dim=2)), {}),
    "dropout": (linear(lambda net, f: net.drop(f.mean((2, 3)))), {"drop": nn.Dropout(0.5)}),
    "dropout before": (linear(lambda net, f: net.drop(f).mean((2, 3))), {"drop": nn.Dropout2d(0.5)}),
    "F.dropout": (linear(lambda net, f: F.dropout(f.mean((2, 3)), 0.5, net.training)), {}),
    "squeeze": (lambda net, f: net.head(F.adaptive_avg_pool2d(f, 1).squeeze(-1).squeeze(-1)), {}),
    "view": (lambda net, f: net.head(F.adaptive_avg_pool2d(f, 1).view(f.size(0), -1)), {}),
    "no bias": (linear(lambda net, f: f.mean((2, 3))), {"head": nn.Linear(8, 5, bias=False)}),
    "1×1 convolution": (
        lambda net, f: net.head(F.adaptive_avg_pool2d(f, 1)).flatten(1),
        {"head": nn.Conv2d(8, 5, 1)},
    ),
}
OTHER = {
    ("sum", "method"): (linear(lambda net, f: f.sum((2, 3))), {}),
    ("sum", "function"): (linear(lambda net, f: torch.sum(f, (2, 3))), {}),
    ("sum", "flatten"): (linear(lambda net, f: f.flatten(2).sum(-1)), {}),
    ("max", "module"): (linear(lambda net, f: net.pool(f)), {"pool": nn.AdaptiveMaxPool2d(1)}),
    ("max", "window"): (linear(lambda net, f: net.pool(f)), {"pool": nn.MaxPool2d(12)}),
    ("max", "function"): (linear(lambda net, f: F.adaptive_max_pool2d(f, 1)), {}),
    ("max", "shape"): (linear(lambda net, f: F.max_pool2d(f, f.shape[2:])), {}),
    ("max", "method"): (linear(lambda net, f: f.amax((2, 3))), {}),
    ("max", "flatten"): (linear(lambda net, f: f.flatten(2).amax(-1)), {}),
}
WAYS = {**{("avg", name): how for name, how in AVERAGE.items()}, **OTHER}


@pytest.mark.parametrize("way", WAYS, ids=" · ".join)
def test_every_way_of_writing_the_pooling_is_understood(way):
    tail, layers = WAYS[way]
    model = Tiny(tail, **copy.deepcopy(layers)).eval()
    images = pictures(3, 12)
    cams = CamModel(model)(images)
    assert cams.pool == way[0] and cams.maps().shape == (3, 5, 12, 12) and not cams.head_first
    assert torch.equal(cams.logits, model(images)) and cams.identity_error() < 1e-5
    assert (cams.bias is None) == (way[1] == "no bias")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize("pool", ["avg", "sum", "max"])
def test_a_head_before_the_pooling_adds_its_bias_at_every_place(pool, rectified, bias):
    reduce = {"avg": torch.mean, "sum": torch.sum, "max": torch.amax}[pool]
    between = nn.ReLU() if rectified else nn.Identity()
    head = nn.Conv2d(8, 5, 1, bias=bias)
    model = Tiny(lambda net, f: reduce(net.between(net.head(f)), dim=(2, 3)), head=head, between=between).eval()
    cams = CamModel(model)(pictures(3, 12))
    assert cams.head_first and cams.rectified == rectified and cams.pool == pool
    assert cams.bias is None and (cams.local_bias is not None) == bias
    assert torch.equal(cams.logits, model(pictures(3, 12))) and cams.identity_error() < 1e-5


@pytest.mark.parametrize(
    "softmax",
    [
        lambda net, scores: net.softmax(scores),
        lambda net, scores: scores.softmax(1),
        lambda net, scores: F.log_softmax(scores, dim=1),
    ],
    ids=["module", "method", "function"],
)
def test_a_softmax_at_the_end_is_left_out_of_the_logits(softmax):
    plain = tiny_network()
    model = Tiny(lambda net, f: softmax(net, net.head(f.mean((2, 3)))), softmax=nn.Softmax(1)).eval()
    model.load_state_dict(plain.state_dict())
    cams = CamModel(model)(pictures(2, 12))
    assert torch.equal(cams.logits, plain(pictures(2, 12))) and cams.identity_error() < 1e-5


class CosineHead(nn.Linear):
    def forward(self, pooled):
        return F.linear(F.normalize(pooled), F.normalize(self.weight))


REFUSED = {
    "activation after pooling": (linear(lambda net, f: F.relu(f.mean((2, 3)) - 0.5)), {}),
    "two linear layers": (linear(lambda net, f: net.hidden(f.mean((2, 3)))), {"hidden": nn.Linear(8, 8)}),
    "normalisation after pooling": (linear(lambda net, f: net.norm(f.mean((2, 3)))), {"norm": nn.BatchNorm1d(8)}),
    "sigmoid at the end": (lambda net, f: net.head(f.mean((2, 3))).sigmoid(), {}),
    "no pooling": (lambda net, f: net.head(f.flatten(1)), {"head": nn.Linear(8 * 144, 5)}),
    "3×3 convolution as head": (lambda net, f: net.head(f).mean((2, 3)), {"head": nn.Conv2d(8, 5, 3)}),
    "strided head": (lambda net, f: net.head(f).mean((2, 3)), {"head": nn.Conv2d(8, 5, 1, stride=2)}),
    "grouped head": (lambda net, f: net.head(f).mean((2, 3)), {"head": nn.Conv2d(8, 4, 1, groups=2)}),
    "pooling of one axis": (linear(lambda net, f: f.mean(2)), {"head": nn.Linear(96, 5)}),
    "pooling over channels": (linear(lambda net, f: f.mean((1, 2))), {"head": nn.Linear(12, 5)}),
    "a grid of places": (
        linear(lambda net, f: net.pool(f)),
        {"pool": nn.AdaptiveAvgPool2d(2), "head": nn.Linear(32, 5)},
    ),
    "another divisor": (linear(lambda net, f: net.pool(f)), {"pool": nn.AvgPool2d(12, divisor_override=7)}),
    "another divisor, function": (linear(lambda net, f: F.avg_pool2d(f, 12, divisor_override=7)), {}),
    "a head with its own forward": (linear(lambda net, f: f.mean((2, 3))), {"head": CosineHead(8, 5)}),
    "dropout that never ends": (linear(lambda net, f: F.dropout(f.mean((2, 3)))), {}),
    "two outputs": (lambda net, f: (net.head(f.mean((2, 3))), f), {}),
    "a branch on the picture": (
        lambda net, f: net.head(f.mean((2, 3))) if f.sum() > 0 else net.head(f.amax((2, 3))),
        {},
    ),
}


@pytest.mark.parametrize("how", REFUSED)
def test_scores_that_are_no_pooled_linear_map_are_refused(how):
    tail, layers = REFUSED[how]
    with pytest.raises(NotCamCompatible):
        CamModel(Tiny(tail, **copy.deepcopy(layers)).eval())(pictures(2, 12))


@pytest.mark.parametrize("size", [8, 16, 20])
def test_a_pooling_window_of_another_size_than_the_features_is_refused(size):
    linear_head = Tiny(linear(lambda net, f: net.pool(f)), pool=nn.AvgPool2d(10)).eval()
    conv_head = Tiny(lambda net, f: net.head(net.pool(f)).flatten(1), pool=nn.AvgPool2d(10), head=nn.Conv2d(8, 5, 1))
    for model in (linear_head, conv_head.eval()):
        assert CamModel(model)(pictures(2, 10)).identity_error() < 1e-5
        with pytest.raises(NotCamCompatible, match=rf"pooling 'pool'.*(10×10 places.*{size}×{size}|AdaptiveAvgPool2d)"):
            CamModel(model)(pictures(2, size))


# -- left as it was -----------------------------------------------------------------------------------------------


def state(model):
    """All that wrapping and calling must not change."""
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()],
        "needs gradient": [p.requires_grad for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone().tolist() for p in model.parameters()],
        "identities": [id(p) for p in model.parameters()],
        "grad mode": torch.is_grad_enabled(),
    }


@pytest.mark.parametrize("mode", ["eval", "train", "mixed"])
def test_the_network_is_left_as_it_was(mode):
    model = Tiny(lambda net, f: net.head(net.drop(f).mean((2, 3))), drop=nn.Dropout(0.5)).train(mode != "eval")
    if mode == "mixed":
        model.body[1].eval()
    model.body[0].weight.requires_grad_(False)
    model.head.bias.grad = torch.ones(5)
    model.body[0].register_forward_hook(lambda *_: None)
    before, weights = state(model), copy.deepcopy(model.state_dict())
    cams = CamModel(model)(pictures(2, 12))
    assert state(model) == before
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert not cams.logits.requires_grad and not cams.maps().requires_grad


def test_the_network_is_left_as_it_was_after_an_error():
    model = tiny_network().train()
    wrapped, before = CamModel(model), state(model)
    with pytest.raises(RuntimeError, match="channels"):
        wrapped(pictures(2, 12)[:, :1])
    with pytest.raises(NotCamCompatible):
        CamModel(Tiny(lambda net, f: net.head(f.mean((2, 3))).sigmoid()).train())
    assert state(model) == before


def test_maps_of_a_network_in_train_mode_are_those_of_eval_mode():
    model = Tiny(lambda net, f: net.head(net.drop(f).mean((2, 3))), drop=nn.Dropout(0.5)).eval()
    expected = CamModel(model)(pictures(2, 12))
    model.train()
    for wrapped in (CamModel(model), CamModel(model)):
        cams = wrapped(pictures(2, 12))
        assert torch.equal(cams.logits, expected.logits) and torch.equal(cams.maps(), expected.maps())


def test_wrapping_runs_nothing_and_a_call_runs_every_layer_once():
    model, calls = random_network("resnet18"), []
    leaves = [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    for module in leaves:
        module.register_forward_hook(lambda module, *_: calls.append(module))
    for module in model.modules():
        module.register_full_backward_hook(lambda *_: pytest.fail("a backward pass"))
    wrapped = CamModel(model)
    assert not calls
    wrapped(pictures(2)).maps()
    assert len(calls) == len(leaves) == len(set(calls))


class SelfNormalising(nn.Module):
    """Scales its pictures with buffers and one parameter of its own, as the networks of the lessons do."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.full((3, 1, 1), 0.3))
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, images):
        return self.network((images - self.mean) * self.gain)


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("build", [tiny_network, lambda **how: SelfNormalising(tiny_network(**how)).eval()])
def test_new_weights_are_seen_at_once(build, assign):
    model, images = build(), pictures(2, 12)
    wrapped = CamModel(model)
    old = wrapped(images).logits
    fresh = {name: tensor.clone() + 0.1 for name, tensor in build(seed=9).state_dict().items()}
    model.load_state_dict(fresh, assign=assign)
    cams = wrapped(images)
    assert torch.equal(cams.logits, model(images)) and cams.identity_error() < 1e-5
    assert not torch.allclose(cams.logits, old)


def test_a_network_moved_after_wrapping_is_moved_as_a_whole():
    model = SelfNormalising(tiny_network()).eval()
    wrapped = CamModel(model)
    model.double()
    model.mean += 1e-9  # less than float32 can hold
    images = pictures(2, 12).double()
    assert torch.equal(wrapped(images).logits, model(images))
    assert wrapped(images).identity_error() < 1e-14
    model.to("meta")
    assert wrapped(images.to("meta")).maps().device.type == "meta"
