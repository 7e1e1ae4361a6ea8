"""The paper's family and its small twins: shapes, exact maps, sizes, and whose weights they have."""

import pytest
import torch
from tiny_networks import lively, pictures, weights_file
from torch import nn
from torchvision import models

import cam_helpers
from cam_helpers import CamModel, NotCamCompatible, gap_network
from cam_helpers.images import read_picture
from cam_helpers.networks import NAMES, WeightsUnavailable, blobs, caffe_alexnet, pretrained
from cam_helpers.networks.small import Pixels, Residual

MAPS = {  # features (K,h,w) at the network's picture size: the paper's section 3.1, the released layouts, the designs
    "alexnet": (1024, 13, 13), "alexnet_star": (512, 13, 13), "vgg16": (1024, 14, 14), "googlenet": (1024, 14, 14),
    "nin": (1024, 6, 6), "resnet18": (512, 7, 7), "resnet50": (2048, 7, 7), "mobilenet_v2": (1280, 7, 7),
    "squeezenet1_1": (512, 13, 13), "alexnet_places205": (512, 11, 11), "course": (128, 16, 16),
    "course_star": (128, 16, 16), "course_inception": (256, 16, 16), "course_nin": (128, 16, 16),
    "efficientnet_lite0": (1280, 7, 7),
}  # fmt: skip
COURSE = [name for name in NAMES if name.startswith("course")]
NORMALISING = [*COURSE, "efficientnet_lite0"]  # inside: they take uint8
FULL = ("avg", "max", "sum")
POOLS = dict.fromkeys(("mobilenet_v2", "squeezenet1_1", "alexnet_places205", *COURSE), FULL)  # the others: "avg"
SLOW = dict.fromkeys(("vgg16", "googlenet", "resnet50", "mobilenet_v2", "efficientnet_lite0"), pytest.mark.slow)


def on_meta(name, *args, **options):
    """The network's shapes without its numbers."""
    with torch.device("meta"):
        return gap_network(name, *args, **options)


def blank(name, n=2, size=None):
    size = size or NAMES[name]
    kind = torch.uint8 if name in NORMALISING else torch.float32
    return torch.zeros(n, 3, size, size, device="meta", dtype=kind)


def drawn(n=2, size=64):
    return (pictures(n, size) * 40 + 128).clamp(0, 255).to(torch.uint8)


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_every_network_is_listed_here():
    assert set(NAMES) == {*MAPS, "course_dense"}
    assert cam_helpers.gap_network is gap_network and "gap_network" in cam_helpers.__all__


@pytest.mark.parametrize("name", MAPS)
def test_the_maps_have_the_resolution_of_the_paper(name):
    cams = CamModel(on_meta(name, 7))(blank(name))
    assert cams.features.shape == (2, *MAPS[name]) and cams.maps().shape == (2, 7, *MAPS[name][1:])
    assert cams.logits.shape == (2, 7)


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in MAPS])
def test_logits_are_what_the_maps_give_back(name):
    for pool in POOLS.get(name, FULL if name in SLOW else ("avg",)):
        torch.manual_seed(3)
        size = 64 if name in COURSE else 96
        images = drawn(2, size) if name in NORMALISING else pictures(2, size)
        model = gap_network(name, 5, pool)
        if not any(isinstance(m, nn.BatchNorm2d) for m in model.modules()):
            for layer in model.modules():  # the first weights of a deep network without norms let the signal die
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        lively(model, images)
        wrapped = CamModel(model)
        cams = wrapped(images)
        assert cams.pool == pool and cams.identity_error() <= 1e-4
        assert torch.equal(cams.logits, model(images)) and cams.head_first == (
            name in ("nin", "squeezenet1_1", "course_nin")
        )
        assert cams.rectified == cams.head_first
        # empty, if nothing but the bias reached the scores
        assert (cams.logits[0] - cams.logits[1]).abs().max() > 0.01 * cams.logits.abs().max()
        if name in NORMALISING:
            torch.testing.assert_close(wrapped(images / 255).logits, cams.logits)


def test_sum_is_mean_times_places():
    average, total = (gap_network("course", 3, pool).eval() for pool in ("avg", "sum"))
    total.load_state_dict(average.state_dict())
    bias = average.head.bias
    torch.testing.assert_close(total(drawn()) - bias, 256 * (average(drawn()) - bias))


def test_the_dense_twin_has_no_exact_map():
    model = gap_network("course_dense", 4)
    assert model(drawn()).shape == model(drawn(size=128)).shape == (2, 4)
    with pytest.raises(NotCamCompatible, match=r"'dense\.\d' .*(stands between|gives every place)"):
        CamModel(model)(drawn())


def parameters_of(name, last):
    """Parameters of torchvision's network up to and with the module `last`, counted in its own order."""
    with torch.device("meta"):
        model = models.get_model(name, **({"init_weights": False} if name == "googlenet" else {}))
    names = [n for n, _ in model.named_parameters()]
    end = max(i for i, n in enumerate(names) if n.startswith(last))
    return sum(p.numel() for n, p in list(model.named_parameters())[: end + 1] if not n.startswith("aux"))


@pytest.mark.parametrize(
    ("name", "last", "extra", "units"),
    [
        ("alexnet", "features.10.", [(256, 1024)], 1024),
        ("alexnet_star", "features.10.", [(256, 512), (512, 512)], 512),
        ("vgg16", "features.28.", [(512, 1024)], 1024),
        ("googlenet", "inception4e.", [(832, 1024)], 1024),
        ("resnet18", "layer4.", [], 512),
        ("resnet50", "layer4.", [], 2048),
        ("mobilenet_v2", "features.18.", [], 1280),
        ("squeezenet1_1", "features.12.", [], 512),
    ],
)
def test_a_network_is_torchvisions_trunk_the_extra_convolutions_and_one_layer(name, last, extra, units):
    trunk = parameters_of(name.removesuffix("_star"), last)
    inserted = sum(9 * a * b + b for a, b in extra)
    assert count(on_meta(name, 1000)) == trunk + inserted + 1001 * units - units + 1000


def test_caffes_layouts_have_the_published_number_of_parameters():
    with torch.device("meta"):
        assert count(caffe_alexnet()) == 60_965_224  # CaffeNet
    assert count(on_meta("nin", 1000)) == 7_595_176  # the model zoo's NIN: a file of 29 MB


def test_blobs_of_the_released_places_network_are_the_list_of_the_slides():
    shapes = blobs(on_meta("alexnet_places205", 205), torch.zeros(10, 3, 227, 227, device="meta"))
    assert list(shapes.items()) == [
        ("data", (10, 3, 227, 227)), ("conv1", (10, 96, 55, 55)), ("pool1", (10, 96, 27, 27)),
        ("norm1", (10, 96, 27, 27)), ("conv2", (10, 256, 27, 27)), ("pool2", (10, 256, 13, 13)),
        ("norm2", (10, 256, 13, 13)), ("conv3", (10, 384, 13, 13)), ("conv4", (10, 384, 13, 13)),
        ("conv5", (10, 384, 13, 13)), ("pool5", (10, 384, 11, 11)), ("conv6", (10, 512, 11, 11)),
        ("conv7", (10, 512, 11, 11)), ("pool8_global", (10, 512, 1, 1)), ("fc9", (10, 205)), ("prob", (10, 205)),
    ]  # fmt: skip


def test_blobs_need_no_numbers_and_leave_the_network_as_it_was():
    model = gap_network("course", 4)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert blobs(model, torch.rand(2, 3, 64, 64))["fc9"] == (2, 4)
    assert model.training and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


# -- the course's own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COURSE)
def test_the_courses_networks_are_small_and_take_both_sizes(name):
    model = gap_network(name, 20)
    assert count(model) < 600_000
    loss = nn.functional.cross_entropy(model(drawn(size=128)), torch.tensor([1, 2]))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_residual_block_starts_as_nothing():
    x = torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(Residual(16)(x), x.relu())


def test_pixels_are_scaled_to_minus_one_to_one():
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    expected = torch.tensor([-1.0, -0.6, 1.0])
    torch.testing.assert_close(Pixels()(levels), expected)
    torch.testing.assert_close(Pixels()(levels / 255), expected)
    assert Pixels().double()(levels).dtype == torch.float64
    assert Pixels()(torch.zeros(0, 3, 8, 8)).shape == (0, 3, 8, 8)


@pytest.mark.parametrize(
    "bad", [torch.tensor([0.0, 2.64]), torch.tensor([-2.1, 0.5]), torch.tensor([3]), torch.tensor([0.5, torch.nan])]
)
def test_pictures_that_were_scaled_before_are_refused(bad):
    with pytest.raises(ValueError, match="expected uint8, or float from 0 to 1"):
        Pixels()(bad)


def test_pixels_compile_into_one_graph():
    network = torch.compile(Pixels(), backend="eager", fullgraph=True)
    torch.testing.assert_close(network(torch.tensor([0.0, 0.5, 1.0])), torch.tensor([-1.0, 0.0, 1.0]))


# -- resolution --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "resolution", "units"),
    [
        pytest.param(name, *expected, marks=SLOW.get(name, ()))
        for name, *expected in (
            ("resnet18", 28, 512), ("mobilenet_v2", 14, 1280), ("efficientnet_lite0", 14, 1280),
            ("alexnet", 25, 1024), ("squeezenet1_1", 25, 512),
            ("googlenet", 26, 1024), ("course", 32, 128), ("course", 16, 128),
        )
    ],
)  # fmt: skip
def test_the_resolution_is_the_one_asked_for(name, resolution, units):
    cams = CamModel(on_meta(name, 3, resolution=resolution))(blank(name))
    assert cams.features.shape == (2, units, resolution, resolution)


def test_an_impossible_resolution_is_answered_with_the_possible_ones():
    with pytest.raises(ValueError, match=r"224 pixels .* 7, 14, 28, 56, 112, 224, got 15"):
        on_meta("resnet18", 3, resolution=15)


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        (("resnet",), {}, r"no network 'resnet', did you mean 'resnet\d+'\? there are alexnet, .*, course_dense$"),
        (("xyz",), {}, "no network 'xyz'; there are"),
        (("course", 3, "gap"), {}, "pool is one of avg, max, sum, got 'gap'"),
        (("course", 0), {}, "num_classes must be 1 or more, got 0"),
        (("course_dense", 3, "max"), {}, "course_dense has dense layers instead of a global pooling"),
        (("nin",), {"weights": "DEFAULT"}, "there are no pretrained weights for nin"),
        (("resnet18",), {"weights": "IMAGENET1K_V1"}, "weights for resnet18 are one of .*, got 'IMAGENET1K_V1'"),
        (("resnet18",), {"weights": models.ResNet50_Weights.DEFAULT}, "weights for resnet18 are one of ResNet18_W"),
    ],
)
def test_what_cannot_be_built_is_refused(args, options, message):
    with pytest.raises(ValueError, match=message):
        on_meta(*args, *(3,)[: 2 - len(args)], **options)


# -- trained weights ---------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(empty_home, no_network):
    """Writes random weights to where torchvision's would lie -> the network that has them."""

    def store(name, weights=None):
        options = {"init_weights": False} if name == "googlenet" else {}
        torch.manual_seed(4)
        model = models.get_model(name, **options)
        torch.save(model.state_dict(), weights_file(empty_home, weights or models.get_model_weights(name).DEFAULT))
        return model.eval()

    return store


@pytest.mark.parametrize(
    ("name", "finer"),
    [pytest.param("mobilenet_v2", 14, marks=pytest.mark.slow), ("squeezenet1_1", 25), ("resnet18", 28)],
)
def test_the_trained_head_is_kept_where_nothing_is_cut(stored, name, finer):
    twin, images = stored(name), pictures(2, 64)
    model = gap_network(name, 1000, weights="DEFAULT")
    assert not any(m.training for m in model.modules())
    assert torch.equal(model(images), twin(images))
    kept = gap_network(name, 1000, resolution=finer, weights="DEFAULT").head
    assert torch.equal(kept.weight, model.head.weight) and torch.equal(kept.bias, model.head.bias)


@pytest.mark.parametrize(
    "options",
    [{"num_classes": 10}, {"pool": "max"}],
    ids=lambda options: next(iter(options)),
)
def test_otherwise_the_head_is_new_and_the_trunk_trained(stored, options):
    twin = stored("mobilenet_v2")
    model = gap_network("mobilenet_v2", **{"num_classes": 1000, "weights": "DEFAULT", **options})
    last = twin.classifier[1].weight
    assert model.head.weight.shape != last.shape or not torch.equal(model.head.weight, last)
    trunk, trained = model.trunk.state_dict(), twin.features.state_dict()
    assert trunk and all(torch.equal(v, trained[k]) for k, v in trunk.items())


def test_older_weights_can_be_asked_for(stored, monkeypatch):
    monkeypatch.setenv("CAM_OFFLINE", "1")
    every = models.MobileNet_V2_Weights
    twin, images = stored("mobilenet_v2", every.IMAGENET1K_V1), pictures(2, 64)
    assert torch.equal(gap_network("mobilenet_v2", 1000, weights=every.IMAGENET1K_V1)(images), twin(images))
    with pytest.raises(WeightsUnavailable, match=r"No pretrained weights for mobilenet_v2"):
        gap_network("mobilenet_v2", 1000, weights=every.IMAGENET1K_V2)


def test_googlenets_weights_get_the_pictures_they_were_trained_on(stored):
    stored("googlenet")
    whole, _ = pretrained("googlenet")
    features = []
    whole.inception4e.register_forward_hook(lambda *call: features.append(call[2]))
    whole(pictures(2, 64))
    trunk = gap_network("googlenet", 1000, weights="DEFAULT").trunk
    torch.testing.assert_close(trunk(pictures(2, 64)), features[0])


def test_without_weights_it_says_so_at_once(empty_home, no_network, monkeypatch):
    monkeypatch.setenv("CAM_OFFLINE", "1")
    with pytest.raises(WeightsUnavailable, match="CAM_OFFLINE is set"):
        gap_network("vgg16", 10, weights="DEFAULT")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "resolution"), [("mobilenet_v2", 14), ("squeezenet1_1", 25)])
def test_dilated_real_weights_still_classify(test_data, monkeypatch, no_network, name, resolution):
    monkeypatch.setenv("TORCH_HOME", str(test_data / "torch_home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    network, weights = pretrained(name)
    fine = CamModel(gap_network(name, 1000, resolution=resolution, weights="DEFAULT"))
    prepare = weights.transforms()
    files = sorted((test_data / "imagenet_val260" / "images").iterdir())[::26]
    images = torch.stack([prepare(read_picture(file)) for file in files])
    cams = fine(images)
    assert cams.features.shape[2:] == (resolution, resolution) and cams.identity_error() <= 1e-4
    with torch.no_grad():
        same = network(images).argmax(1) == cams.logits.argmax(1)
    assert len(same) == 10 and same.float().mean() >= 0.7
