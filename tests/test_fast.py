"""The fast pass: the same answers as the plain one, and only what is faster on this machine."""

import contextlib
import time

import pytest
import timm
import torch
from tiny_networks import Tiny, lively, pictures, random_network
from torch import nn
from torch.nn.functional import interpolate
from torchvision.transforms import v2

import photo_sets
from cam_helpers import CamModel, gap_network, scores
from cam_helpers.networks import fast, fast_cams
from cam_helpers.probes import gap_features

HALF, FLOAT = (torch.channels_last, True), (torch.channels_last, False)


@pytest.fixture
def way(monkeypatch):
    """Choose instead of measuring."""

    def choose(layout, low):
        monkeypatch.setattr("cam_helpers.networks.speed._fastest", lambda *about: (layout, low))

    return choose


def norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


NETWORKS = {  # -> batch norms that no convolution stands before
    "resnet18": 0, "mobilenet_v2": 0, "shufflenet_v2_x0_5": 0, "timm/tf_efficientnetv2_b0": 0, "course": 0,
    "densenet121": 62, "timm/resnetv2_50": 17, "timm/swin_tiny_patch4_window7_224": 0, "timm/levit_128s": 0,
}  # fmt: skip


@pytest.mark.parametrize(("name", "left"), NETWORKS.items())
def test_folded_norms_change_nothing_but_rounding(name, left, way):
    way(*FLOAT)
    torch.manual_seed(1)
    images = pictures(2, 224 if "/" in name else 64).sigmoid().double()
    if name == "course":
        network = lively(gap_network("course", 5).double(), images)
    else:
        network = timm.create_model(name[5:]) if "/" in name else random_network(name)
        network = lively(network.double(), images)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    quick, before = fast(network), norms(network)
    assert norms(quick) == left and (before > left or not before)
    with torch.no_grad():
        expected = network(images)
        torch.testing.assert_close(quick(images), expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))
    assert norms(network) == before and all(torch.equal(network.state_dict()[key], state[key]) for key in state)


def test_maps_and_centres_are_those_of_the_network(lite0, way):
    way(*FLOAT)
    images = pictures(2, 96).sigmoid()
    plain, quick = CamModel(lite0[0])(images), CamModel(fast(lite0[0]))(images)
    assert quick.identity_error() <= 1e-5
    torch.testing.assert_close(quick.maps([3, 7]), plain.maps([3, 7]), rtol=1e-4, atol=1e-4)
    assert all(map(torch.equal, quick.centres, plain.centres))
    torch.testing.assert_close(gap_features(lite0[0], images), plain.features.mean((2, 3)), rtol=1e-4, atol=1e-4)
    wrapped = CamModel(lite0[0])
    assert fast_cams(wrapped) is wrapped


def two_norms_read_one_convolution(net, f):
    return net.head((net.left(f) + net.right(f)).mean((2, 3)))


def one_convolution_used_twice(net, f):
    return net.head(net.left(net.conv(f)).mean((2, 3)) + net.right(net.conv(f.flip(1))).mean((2, 3)))


def a_weight_made_of_others(net, f):
    return net.head(net.left(net.normed(f)).mean((2, 3)))


def a_hook_in_between(net, f):
    return net.head(net.left(net.hooked(f)).mean((2, 3)))


def something_else_in_between(net, f):
    return net.head(net.left(net.conv(f).relu_()).mean((2, 3)))


TAILS = [
    two_norms_read_one_convolution, one_convolution_used_twice, a_weight_made_of_others, a_hook_in_between,
    something_else_in_between,
]  # fmt: skip


@pytest.mark.parametrize("tail", TAILS)
def test_a_norm_that_cannot_be_folded_stays(tail, way):
    way(*FLOAT)
    hooked = nn.Conv2d(8, 8, 3)
    hooked.register_forward_hook(lambda module, given, out: out * 2)
    layers = {
        "left": nn.BatchNorm2d(8), "right": nn.BatchNorm2d(8), "conv": nn.Conv2d(8, 8, 3), "hooked": hooked,
        "normed": nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3)),
    }  # fmt: skip
    network = Tiny(tail, **layers)
    if tail is two_norms_read_one_convolution:
        network.body = nn.Conv2d(3, 8, 3)
    lively(network, pictures(2, 32))
    with torch.no_grad():
        torch.testing.assert_close(fast(network)(pictures(2, 32)), network(pictures(2, 32)), rtol=1e-4, atol=1e-5)
    assert not isinstance(fast(network).network.left, nn.Sequential)


def test_a_network_for_other_pictures_keeps_its_norms(way):
    way(*FLOAT)
    network = Tiny(lambda net, f: net.head(f.flatten(1)), head=nn.Linear(8 * 10 * 10, 3)).eval()
    assert norms(fast(network)) == 1 and norms(fast(network, size=10)) == 0


def test_half_precision_is_taken_only_where_it_is_measured_to_be_faster(lite0, monkeypatch):
    made = []

    @contextlib.contextmanager
    def slow(device):
        made.append(device)
        time.sleep(0.05)
        yield

    monkeypatch.setattr("cam_helpers.networks.speed._fastest", fast.__globals__["_fastest"].__wrapped__)  # not cached
    monkeypatch.setattr("cam_helpers.networks.speed.fast_precision", lambda device: "bf16")
    monkeypatch.setattr("cam_helpers.networks.speed.half_precision", slow)
    seed = torch.random.get_rng_state()
    quick = fast(lite0[0])
    assert made and not quick.low and norms(quick) == 0
    assert torch.equal(seed, torch.random.get_rng_state())
    monkeypatch.setattr("cam_helpers.networks.speed.fast_precision", lambda device: "no")
    monkeypatch.setattr("cam_helpers.networks.speed.half_precision", lambda device: contextlib.nullcontext())
    assert not fast(lite0[0]).low  # there is none, whatever the noise of the measurement


@pytest.mark.slow
@pytest.mark.parametrize(("way_of", "top1", "points"), [(FLOAT, 1.0, 0.0), (HALF, 0.995, 0.5)])
def test_on_photos_it_says_what_the_plain_pass_says(test_data, lite0, way, way_of, top1, points):
    way(*way_of)
    photos = photo_sets.open("ilsvrc_csv", test_data / "imagenet_val260", check=False)
    pictures = v2.functional.resize(photos.images[:], [224, 224])
    found = []
    for model in (CamModel(lite0[0]), CamModel(fast(lite0[0]))):
        logits, maps = [], []
        for x, c in zip(pictures.split(26), photos.labels.split(26), strict=True):
            cams = model(x)
            logits.append(cams.logits.float())
            maps.append(interpolate(cams.maps(c), photos.images[:1].shape[2:], mode="bilinear")[:, 0])
        found.append((torch.cat(logits), 100 * scores.gt_known_accuracy(torch.cat(maps), photos.boxes)))
    (plain, boxes), (quick, quick_boxes) = found
    assert (plain.argmax(1) == quick.argmax(1)).float().mean() >= top1
    assert abs(float(boxes) - float(quick_boxes)) <= points
    assert (quick - plain).norm() / plain.norm() <= (0.05 if way_of is HALF else 1e-5)
