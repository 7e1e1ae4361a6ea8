"""Dense layers as convolutions: the same scores at the training size, a grid of them on larger pictures."""

import pytest
import torch
from tiny_networks import pictures
from torch import nn
from torchvision import models

from cam_helpers import CamModel, gap_network
from cam_helpers.networks import blobs, caffe_alexnet, fully_convolutional


def small_vgg():
    """torchvision's VGG with its 7×7 grid as a chain, thin enough for a test."""
    features = models.vgg.make_layers([4, "M", 4, "M", 4, "M", 4, "M", 512, "M"])
    classifier = nn.Sequential(nn.Linear(512 * 49, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 6))
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(7), nn.Flatten(), classifier)


def two_by_two():
    """A pooling to a grid, half as large as what it reads."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 4, 4),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d((2, 2)),
        nn.Flatten(),
        nn.Linear(16, 6),
        nn.BatchNorm1d(6),
    )


@pytest.mark.parametrize(
    ("build", "size", "larger", "grid"),
    [
        (two_by_two, 16, 32, 3),
        (small_vgg, 224, 224 + 64, 3),
        (lambda: caffe_alexnet(6), 227, 451, 8),
        (lambda: gap_network("course_dense", 6), 64, 96, 3),
        (lambda: gap_network("course_dense", 6), 128, 128 + 32, 2),
    ],
    ids=["pooling", "vgg", "caffe", "course 64", "course 128"],
)
def test_the_scores_at_the_training_size_and_a_grid_beyond(build, size, larger, grid):
    torch.manual_seed(0)
    network = build().eval()
    images = pictures(2, size).sigmoid()
    convolutional = fully_convolutional(network, size)
    assert not any(isinstance(m, (nn.Linear, nn.Flatten)) for m in convolutional.modules())
    assert sum(p.numel() for p in convolutional.parameters()) == sum(p.numel() for p in network.parameters())
    with torch.no_grad():
        scores = network(images)
        assert (scores[0] - scores[1]).abs().max() > 1e-5
        torch.testing.assert_close(convolutional(images).flatten(1), scores, rtol=1e-4, atol=1e-6)
        assert convolutional(pictures(1, larger).sigmoid()).shape == (1, 6, grid, grid)


def test_the_first_place_of_the_grid_has_the_scores_of_the_first_window():
    """Without padding in between, a place of the grid is the network on a crop."""
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2))
    network = nn.Sequential(trunk, nn.Flatten(), nn.Linear(4 * 7 * 7, 5), nn.ReLU(), nn.Linear(5, 3, bias=False)).eval()
    images = pictures(2, 24)
    grid = fully_convolutional(network, size=16)(images)
    assert grid.shape == (2, 3, 5, 5)
    for y in range(5):
        for x in range(5):
            crop = images[..., 2 * y : 2 * y + 16, 2 * x : 2 * x + 16]
            torch.testing.assert_close(grid[..., y, x], network(crop))


def test_blobs_of_the_converted_caffe_network_are_the_list_of_the_slides():
    with torch.device("meta"):
        network = fully_convolutional(caffe_alexnet())
    assert list(blobs(network, torch.zeros(1, 3, 451, 451, device="meta")).items()) == [
        ("data", (1, 3, 451, 451)), ("conv1", (1, 96, 111, 111)), ("pool1", (1, 96, 55, 55)),
        ("norm1", (1, 96, 55, 55)), ("conv2", (1, 256, 55, 55)), ("pool2", (1, 256, 27, 27)),
        ("norm2", (1, 256, 27, 27)), ("conv3", (1, 384, 27, 27)), ("conv4", (1, 384, 27, 27)),
        ("conv5", (1, 256, 27, 27)), ("pool5", (1, 256, 13, 13)), ("fc6-conv", (1, 4096, 8, 8)),
        ("fc7-conv", (1, 4096, 8, 8)), ("fc8-conv", (1, 1000, 8, 8)), ("prob", (1, 1000, 8, 8)),
    ]  # fmt: skip


@pytest.mark.parametrize("pool", ["avg", "max", "sum"])
@pytest.mark.parametrize("name", ["course", "course_nin", "squeezenet1_1"])
def test_without_its_pooling_a_gap_network_gives_the_maps_and_the_bias(name, pool):
    torch.manual_seed(0)
    network = gap_network(name, 4, pool).eval()
    images = pictures(2, 96).sigmoid()
    cams = CamModel(network)(images)
    expected = cams.maps() + (cams.local_bias if cams.head_first else cams.bias)[:, None, None]
    grid = fully_convolutional(network)(images)
    torch.testing.assert_close(grid, expected.relu() if cams.rectified else expected)
    if pool == "avg":
        torch.testing.assert_close(grid.mean((2, 3)), network(images))


def test_the_network_is_left_as_it_was():
    network = gap_network("course_dense", 3)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    converted = fully_convolutional(network)
    with torch.no_grad():
        for parameter in converted.parameters():
            parameter.zero_()
    assert network.training and all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


GLOBAL = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("network", "size", "message"),
    [
        (models.resnet18, None, "expected a chain of layers.*ResNet.*gap_network"),
        (caffe_alexnet, 300, r"layer '0' reads 9216 numbers.*\(256, 9, 9\).*size="),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), *GLOBAL), 32, "global pooling"),
        (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(5), nn.Flatten(), nn.Linear(75, 2)), 32, "pools 32×32 .* to 5×5"),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.LayerNorm(4), nn.Linear(4, 2)), 8,
            r"layer '2' \(LayerNorm\) cannot be moved over a grid",
        ),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(6, 2)), 8, r"layer '1' reads 6 numbers.*\(4, 6, 6\)"),
    ],
    ids=["resnet", "another size", "hidden layers", "unequal", "norm", "not flat"],
)  # fmt: skip
def test_what_cannot_be_converted_is_named(network, size, message):
    with torch.device("meta"):
        network = network()
    with pytest.raises(ValueError, match=message):
        fully_convolutional(network, size)
