"""Which networks have an exact map, which are refused and why, and that all of them are left as they were."""

import copy
import pickle
import weakref

import accelerate
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_networks import Tiny, lively, pictures, random_network, tiny_network
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
        ("alexnet", r"'classifier\.2' \(ReLU\) stands between the pooling and the class scores", "nn.Linear after the"),
        ("convnext_tiny", r"'classifier\.0' \(LayerNorm2d\) normalises after the pooling", "use Grad-CAM"),
        ("vit_b_16", r"'encoder\.ln' \(LayerNorm\) hands one of its tokens", "nn.AdaptiveAvgPool2d.*train"),
        ("mobilenet_v3_small", r"'classifier\.1' \(Hardswish\) stands between", "train that head"),
    ],
)
def test_networks_without_an_exact_map_are_refused_and_the_layer_is_named(name, layer, remedy):
    model = random_network(name, 224 if name == "vit_b_16" else 64)
    with pytest.raises(NotCamCompatible, match=f"{type(model).__name__} has no exact .*layer {layer}.*{remedy}"):
        CamModel(model)(pictures(2, 224 if name == "vit_b_16" else 64))
    assert issubclass(NotCamCompatible, ValueError)


def test_weights_without_values_are_enough_to_find_the_head():
    with torch.device("meta"):
        images, squeeze, vgg = torch.empty(2, 3, 96, 96), models.squeezenet1_1().eval(), models.vgg11().eval()
    cams = CamModel(squeeze)(images)
    assert cams.maps().shape == (2, 1000, 5, 5) and cams.head_first and cams.rectified
    with pytest.raises(NotCamCompatible, match="classifier"):
        CamModel(vgg)(images)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_in_train_mode_do_not_matter(name):
    """Pictures run through in eval mode, in which there are none."""
    model, images = random_network(name, 128), pictures(2, 128)
    logits = model(images)
    cams = CamModel(model.train())(images)
    assert torch.equal(cams.logits, logits) and cams.identity_error() <= 1e-4 and model.training


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


ENDS = {
    "module": lambda net, scores: net.softmax(scores),
    "method": lambda net, scores: scores.softmax(1),
    "function": lambda net, scores: F.log_softmax(scores, dim=1),
    "sigmoid": lambda net, scores: scores.sigmoid(),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_softmax_or_sigmoid_at_the_end_is_left_out_of_the_logits(end):
    plain = tiny_network()
    model = Tiny(lambda net, f: ENDS[end](net, net.head(f.mean((2, 3)))), softmax=nn.Softmax(1)).eval()
    model.load_state_dict(plain.state_dict())
    wrapped = CamModel(model)
    cams = wrapped(pictures(2, 12))
    assert torch.equal(cams.logits, plain(pictures(2, 12))) and cams.identity_error() < 1e-5
    assert repr(wrapped).endswith("without 'sigmoid'" if end == "sigmoid" else "softmax'")


def kept(net, f):
    """The means, written into memory that was there before."""
    memory = torch.zeros(len(f), 8)
    memory[:] = f.mean((2, 3))
    return net.head(memory)


def into(net, f):
    return torch.addmm(net.head.bias, f.mean((2, 3)), net.head.weight.t(), out=torch.zeros(len(f), 5))


HEADS = {  # name -> (tail, layers): the scores are affine in the means of the features
    "two linear layers": (linear(lambda net, f: net.hidden(f.mean((2, 3)))), {"hidden": nn.Linear(8, 8)}),
    "batch normalisation": (linear(lambda net, f: net.norm(f.mean((2, 3)))), {"norm": nn.BatchNorm1d(8)}),
    "two heads": (
        lambda net, f: (net.head(f.mean((2, 3))) + net.other(f.mean((2, 3)))) / 2,
        {"other": nn.Linear(8, 5)},
    ),
    "normalised weights": (lambda net, f: F.linear(f.mean((2, 3)), F.normalize(net.head.weight), net.head.bias), {}),
    "a temperature": (lambda net, f: net.head(f.mean((2, 3))) / 0.07, {}),
    "a mean of means": (lambda net, f: net.head(f.mean(2).mean(2)), {}),
    "another divisor": (linear(lambda net, f: net.pool(f)), {"pool": nn.AvgPool2d(12, divisor_override=7)}),
    "half a pooling": (linear(lambda net, f: F.avg_pool2d(f, f.size(2))), {}),
    "leaky ReLU": (lambda net, f: F.leaky_relu(net.head(f)).mean((2, 3)), {"head": nn.Conv2d(8, 5, 1)}),
    "3×3 convolution as head": (lambda net, f: net.head(f).mean((2, 3)), {"head": nn.Conv2d(8, 5, 3)}),
    "strided head": (lambda net, f: net.head(f).mean((2, 3)), {"head": nn.Conv2d(8, 5, 1, stride=2)}),
    "grouped head": (lambda net, f: net.head(f).sum((2, 3)), {"head": nn.Conv2d(8, 4, 1, groups=2)}),
    "tokens": (lambda net, f: net.head(f.flatten(2).transpose(1, 2).mean(1)), {}),
    "normalised tokens": (
        lambda net, f: net.head(net.norm(f.flatten(2).transpose(1, 2)).mean(1)),
        {"norm": nn.LayerNorm(8)},
    ),
    "units last": (lambda net, f: net.head(net.norm(f.permute(0, 2, 3, 1)).mean((1, 2))), {"norm": nn.LayerNorm(8)}),
    "a single logit": (lambda net, f: net.head(f.mean((2, 3))), {"head": nn.Linear(8, 1)}),
    "squeeze(1)": (lambda net, f: net.head(f.mean((2, 3))).squeeze(1), {"head": nn.Linear(8, 1)}),
    "[:, 0]": (lambda net, f: net.head(f.mean((2, 3)))[:, 0], {}),
    "1×1 scores": (lambda net, f: net.head(F.adaptive_avg_pool2d(f, 1)), {"head": nn.Conv2d(8, 5, 1)}),
    "a branch on the picture": (
        lambda net, f: net.head(f.mean((2, 3))) if f.sum() > 0 else net.head(f.amax((2, 3))),
        {},
    ),
    "the other branch": (lambda net, f: net.head(f.mean((2, 3))) if f.sum() < 0 else net.head(f.amax((2, 3))), {}),
    "memory": (kept, {}),
    "out=": (into, {}),
    "a dictionary": (lambda net, f: {"logits": net.head(f.mean((2, 3))), "features": f}, {}),
}


def real_scores(model, images):
    """What the network itself says, (N,C)."""
    with torch.no_grad():
        scores = model.eval()(images)
    scores = scores["logits"] if isinstance(scores, dict) else scores
    return scores.reshape(len(images), -1)


def hold(model, images):
    """The maps give back what the network itself says; -> Cams."""
    scores = real_scores(model, images)
    cams = CamModel(model)(images)
    assert torch.equal(cams.logits, scores)
    torch.testing.assert_close(cams.rebuilt(), scores, rtol=0, atol=1e-5 * float(scores.abs().max()) + 1e-12)
    return cams


@pytest.mark.parametrize("how", HEADS)
def test_whatever_the_head_is_made_of_the_maps_give_back_the_scores(how):
    tail, layers = HEADS[how]
    cams = hold(Tiny(tail, **copy.deepcopy(layers)), pictures(3, 12))
    expected = {"3×3 convolution as head": (10, 10), "strided head": (6, 6)}.get(how, (12, 12))
    assert cams.features.shape[2:] == expected
    again = CamModel(Tiny(tail, **copy.deepcopy(layers)).eval())
    again(pictures(3, 12))
    if how != "another divisor":  # its window has one size
        assert again(pictures(2, 16)).identity_error() < 1e-5  # pictures of another size


def test_the_features_of_tokens_lie_on_their_grid():
    tail, layers = HEADS["normalised tokens"]
    model = Tiny(tail, **layers).eval()
    images = F.interpolate(pictures(2, 12), (8, 12))
    with torch.no_grad():
        expected = model.norm(model.body(images).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(hold(model, images).features, expected)


class CosineHead(nn.Linear):
    def forward(self, pooled):
        return F.linear(F.normalize(pooled), F.normalize(self.weight))


REFUSED = {  # name -> (tail, layers, the reason)
    "activation after pooling": (linear(lambda net, f: F.relu(f.mean((2, 3)) - 0.5)), {}, "'relu' .*is not linear"),
    "normalisation after pooling": (
        linear(lambda net, f: net.norm(f.mean((2, 3)))),
        {"norm": nn.LayerNorm(8)},
        r"'norm' \(LayerNorm\) normalises after the pooling",
    ),
    "no pooling": (
        lambda net, f: net.head(f.flatten(1)),
        {"head": nn.Linear(8 * 144, 5)},
        "'head' .*gives every place",
    ),
    "pooling of one axis": (linear(lambda net, f: f.mean(2)), {"head": nn.Linear(96, 5)}, "'head' .*gives every place"),
    "pooling over channels": (linear(lambda net, f: f.mean((1, 2))), {"head": nn.Linear(12, 5)}, "'mean' puts"),
    "one axis after another": (lambda net, f: net.head(f.mean(1).mean(1)), {"head": nn.Linear(12, 5)}, "'mean' puts"),
    "channels of a row": (lambda net, f: net.head(f.flatten(2).mean(1)), {"head": nn.Linear(144, 5)}, "'mean' puts"),
    "a grid of places": (
        linear(lambda net, f: net.pool(f)),
        {"pool": nn.AdaptiveAvgPool2d(2), "head": nn.Linear(32, 5)},
        "'pool' .*pools a part|'head' .*gives every place",
    ),
    "one token": (lambda net, f: net.head(f.flatten(2)[:, :, 0]), {}, r"'body\.2' \(ReLU\) hands one of its tokens"),
    "a head with its own forward": (linear(lambda net, f: f.mean((2, 3))), {"head": CosineHead(8, 5)}, "normalises"),
    "dropout that never ends": (linear(lambda net, f: F.dropout(f.mean((2, 3)))), {}, "draws random numbers"),
    "mean and maximum": (linear(lambda net, f: f.mean((2, 3)) + f.amax((2, 3))), {}, "'add' puts the places together"),
    "generalised mean": (linear(lambda net, f: (f + 1).pow(3).mean((2, 3)).pow(1 / 3)), {}, "'pow' .*is not linear"),
    "a part beside it": (
        lambda net, f: net.head(f.mean((2, 3))) + f.amax((2, 3))[:, :5],
        {},
        "puts the places together",
    ),
    "the other pictures": (linear(lambda net, f: f.mean((2, 3)) - f.mean((0, 2, 3))), {}, "'sub' "),
    "a scale from the features": (lambda net, f: net.head(f.mean((2, 3))) / f.abs().amax(), {}, "is not linear"),
    "the same in Python": (lambda net, f: net.head(f.mean((2, 3))) / f.max().item(), {}, "goes on with it in Python"),
    "another library": (lambda net, f: torch.from_numpy(f.mean((2, 3)).numpy()), {}, "other means than PyTorch's"),
    "two outputs": (lambda net, f: (net.head(f.mean((2, 3))), f), {}, r"returns 2 outputs .*output=0\) or another"),
    "named outputs": (lambda net, f: {"scores": net.head(f.mean((2, 3)))}, {}, r"1 outputs .*output='scores'\)"),
    "scores of places": (lambda net, f: net.head(f), {"head": nn.Conv2d(8, 5, 1)}, r"returns \(2, 5, 12, 12\)"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_scores_that_are_no_pooled_linear_map_are_refused_with_the_reason(how):
    tail, layers, reason = REFUSED[how]
    with pytest.raises(NotCamCompatible, match=reason):
        CamModel(Tiny(tail, **copy.deepcopy(layers)).eval())(pictures(2, 12))


def test_one_of_several_outputs_can_be_chosen():
    plain = tiny_network()
    model = Tiny(lambda net, f: (f, net.head(f.mean((2, 3))))).eval()
    assert torch.equal(CamModel(model, output=1)(pictures(2, 12)).logits, plain(pictures(2, 12)))
    model = Tiny(lambda net, f: {"f": f, "scores": net.head(f.mean((2, 3)))}).eval()
    assert torch.equal(CamModel(model, output="scores")(pictures(2, 12)).logits, plain(pictures(2, 12)))


def test_scores_of_a_single_picture_may_have_lost_their_first_dimension():
    model = Tiny(lambda net, f: net.head(F.adaptive_avg_pool2d(f, 1).squeeze())).eval()
    assert hold(model, pictures(1, 12)).logits.shape == (1, 5)


def test_a_pooling_window_that_does_not_cover_the_picture_is_refused():
    wide = F.interpolate(pictures(2, 12), (12, 24))
    model = Tiny(lambda net, f: net.head(F.avg_pool2d(f, f.size(2))).flatten(1), head=nn.Conv2d(8, 5, 1)).eval()
    hold(model, pictures(2, 12))
    with pytest.raises(NotCamCompatible, match="'avg_pool2d' pools a part of the places"):
        CamModel(model)(wide)
    fixed = CamModel(Tiny(linear(lambda net, f: net.pool(f)), pool=nn.AvgPool2d(10)).eval())
    assert fixed(pictures(2, 10)).identity_error() < 1e-5
    with pytest.raises(NotCamCompatible, match=r"'pool' \(AvgPool2d\) pools a part of the places"):
        fixed(pictures(2, 16))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):  # the network's own words
        fixed(pictures(2, 20))


# -- the network that runs ----------------------------------------------------------------------------------------


def patched(model):
    forward = model.forward
    model.forward = lambda x: forward(3 * x + 1)
    return model


def hooked(layer):
    def change(model):
        model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: 2 * output + 1)
        return model

    return change


class Optional(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images, mean=None, return_features=False):
        if mean is not None:
            images = images - mean
        return self.network.body(images) if return_features else self.network(images)


def offloaded(model):
    return accelerate.cpu_offload(model, torch.device("cpu"))


CHANGES = {
    "patched": patched,
    "hook on a layer": hooked("head"),
    "hook on a block": hooked("body"),
    "hook on the root": hooked(""),
    "defaults": Optional,
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "spread over devices": nn.DataParallel,
    "offloaded": offloaded,
    "traced": lambda model: torch.jit.trace(model, pictures(2, 12)),
    "in a Sequential": nn.Sequential,
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("how", CHANGES)
def test_what_is_read_is_what_runs(how):
    model = CHANGES[how](tiny_network())
    cams = hold(model, pictures(2, 12))
    same = torch.equal(cams.logits, tiny_network()(pictures(2, 12)))
    assert same == (how not in ("patched", "hook on a layer", "hook on a block", "hook on the root"))


def test_a_copy_is_independent_and_pickles():
    wrapped, images = CamModel(random_network("squeezenet1_1")), pictures(2)
    before = wrapped(images)
    twin = copy.deepcopy(wrapped)
    twin.model.classifier[1].weight.data.zero_()
    assert not twin(images).maps().any() and torch.equal(wrapped(images).maps(), before.maps())
    assert torch.equal(pickle.loads(pickle.dumps(wrapped))(images).maps(), before.maps())


def test_a_head_of_several_layers_follows_its_weights():
    tail, layers = HEADS["two heads"]
    model, images = Tiny(tail, **copy.deepcopy(layers)).eval(), pictures(3, 12)
    wrapped = CamModel(model)
    for _ in range(2):
        assert torch.equal(wrapped(images).logits, real_scores(model, images))
        assert wrapped(images).identity_error() < 1e-5
        with torch.no_grad():
            model.other.weight += 1


def test_a_head_that_only_looked_like_one_layer_is_looked_at_again():
    """A gate of ones can not be seen, until it has learnt something."""
    images = pictures(3, 12)
    first = Tiny(lambda net, f: (net.gate * net.head(f).relu()).mean((2, 3)), head=nn.Conv2d(8, 5, 1))
    for model in (first, Tiny(lambda net, f: net.head(net.gate * f.mean((2, 3))))):
        model.gate = nn.Parameter(torch.ones(1))
        wrapped = CamModel(model.eval())
        assert wrapped(images).identity_error() < 1e-5
        model.gate.data += 1
        assert (
            torch.equal(wrapped(images).logits, real_scores(model, images)) and wrapped(images).identity_error() < 1e-5
        )


def test_the_pictures_may_be_the_features():
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)).eval()
    assert torch.equal(hold(model, pictures(2, 12)).features, pictures(2, 12))


@pytest.mark.parametrize("size", [12, 1])
def test_pictures_with_one_place_left(size):
    """Pooling and its result cannot be told by their numbers then."""
    assert hold(tiny_network(), pictures(2, size)).features.shape == (2, 8, size, size)
    head = nn.Conv2d(8, 5, 1)
    model = Tiny(lambda net, f: F.adaptive_avg_pool2d(net.head(f).relu(), 1).flatten(1), head=head)
    cams = hold(model, pictures(2, size))
    assert cams.head_first and cams.rectified and cams.features.shape == (2, 8, size, size)


# -- any small classifier -----------------------------------------------------------------------------------------

POOLINGS = {
    "avg": lambda f: f.mean((2, 3)),
    "sum": lambda f: f.flatten(2).sum(2),
    "max": lambda f: F.adaptive_max_pool2d(f, 1).flatten(1),
    "mean of means": lambda f: f.mean(3).mean(2),
    "window": lambda f: F.avg_pool2d(f, f.shape[2:]).flatten(1),
    "both": lambda f: f.mean((2, 3)) + f.amax((2, 3)),
    "grid": lambda f: F.adaptive_avg_pool2d(f, (1, 2)).mean(3).flatten(1),
    "corner": lambda f: f[:, :, 0, 0],
    "channels": lambda f: f.mean((2, 3)) * f.mean((1, 2, 3))[:, None],
}
LAYERS = {
    "nothing": lambda units: nn.Identity(),
    "relu": lambda units: nn.ReLU(inplace=True),
    "batch norm": lambda units: nn.BatchNorm1d(units),
    "layer norm": lambda units: nn.LayerNorm(units),
    "linear": lambda units: nn.Linear(units, units),
    "dropout": lambda units: nn.Dropout(0.5),
    "hardswish": lambda units: nn.Hardswish(inplace=True),
}


@st.composite
def classifiers(draw):
    torch.manual_seed(draw(st.integers(0, 10**6)))
    units, channels = draw(st.integers(2, 6)), 3
    body = []
    for _ in range(draw(st.integers(1, 3))):
        kernel, stride = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2]))
        body += [nn.Conv2d(channels, units, kernel, stride, kernel // 2), nn.BatchNorm2d(units)]
        body.append(draw(st.sampled_from([nn.ReLU(inplace=True), nn.SiLU(), nn.Identity(), nn.MaxPool2d(3, 1, 1)])))
        channels = units
    pool = POOLINGS[draw(st.sampled_from(sorted(POOLINGS)))]
    between = [LAYERS[name](units) for name in draw(st.lists(st.sampled_from(sorted(LAYERS)), max_size=2))]
    head = nn.Linear(units, draw(st.integers(1, 4)), bias=draw(st.booleans()))
    end = draw(st.sampled_from([lambda s: s, lambda s: s / 3 - 1, lambda s: s.relu(), lambda s: s.squeeze(1)]))
    model = Tiny(lambda net, f: end(net.head(net.between(pool(f)))), head, between=nn.Sequential(*between))
    model.body = nn.Sequential(*body)
    if draw(st.booleans()):
        module = draw(st.sampled_from(["body", "head", "between", ""]))
        model.get_submodule(module).register_forward_hook(lambda *parts: 0.5 * parts[2] + 1)
    model = draw(st.sampled_from([lambda m: m, nn.Sequential, Optional, patched]))(model)
    return lively(model, pictures(2, 24)), pictures(draw(st.integers(1, 3)), draw(st.sampled_from([17, 24])), 5)


def check_any(classifier):
    model, images = classifier
    scores = real_scores(model, images)
    try:
        cams = CamModel(model)(images)
    except NotCamCompatible:
        return
    assert torch.equal(cams.logits, scores)
    assert (cams.rebuilt() - scores).abs().max() <= 1e-4 * scores.abs().max() + 1e-6


any_classifier = given(classifiers())
test_any_classifier_is_right_or_refused = settings(deadline=None, max_examples=40)(any_classifier(check_any))
test_any_of_300_classifiers = pytest.mark.slow(settings(deadline=None, max_examples=300)(any_classifier(check_any)))


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
        CamModel(Tiny(lambda net, f: net.head(f.mean((2, 3))) ** 2).train())(pictures(2, 12))
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


class Watched(nn.Module):
    """Notes whether what its first layer gives is still alive when the second one has run."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)])
        self.head, self.alive = nn.Linear(8, 4), []

    def forward(self, x):
        x = self.layers[0](x)
        first = weakref.ref(x)
        x = self.layers[1](x)
        self.alive.append(first() is not None)
        return self.head(self.layers[2](x).mean((2, 3), keepdim=True).flatten(1))


def test_only_the_features_are_kept_alive_from_the_second_call_on():
    model = Watched().eval()
    wrapped = CamModel(model)
    for size in (12, 12, 12, 16):
        assert wrapped(pictures(2, size)).identity_error() < 1e-5
    assert model.alive[0] and not any(model.alive[1:])


class Deeper(Watched):
    """Has fewer layers for small pictures."""

    def forward(self, x):
        for layer in self.layers[: 1 if x.shape[-1] < 16 else 3]:
            x = layer(x)
        return self.head(x.mean((2, 3)))


def test_a_shorter_pass_than_the_last_one_is_recorded_anew():
    wrapped = CamModel(Deeper().eval())
    for size in (16, 12, 16, 12):
        cams = wrapped(pictures(2, size))
        assert cams.identity_error() < 1e-5 and cams.features.shape[-1] == 10
