"""Lessons 12 and 13: maps of numbers, when a map is exact, and whether it shows what a network used.

The lessons' own functions are tested too, taken from their cells.
"""

import ast
import copy

import numpy as np
import pytest
import torch
from lessons import LESSONS, code_cells, read
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

import drawn_world
from cam_helpers import CamModel, networks, scores
from cam_helpers.maps import NotCamCompatible, class_activation_maps
from cam_helpers.probes import LinearProbe, gap_features, ridge
from photo_sets import faithful


@pytest.fixture(scope="module")
def lesson():
    """The functions and classes of both lessons, without what their cells run."""
    space = {"torch": torch, "F": F}
    for path in [path for path in LESSONS if path.stem[:2] in ("12", "13")]:
        found = [node for cell in code_cells(read(path)) for node in ast.parse(cell.source).body]
        found = [node for node in found if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        exec(compile(ast.Module(found, []), str(path), "exec"), space)
    return space


def test_a_layer_norm_after_pooling_has_an_exact_map_for_each_picture_alone(lesson):
    """CamModel refuses it. With this picture's deviation in the weights: mean of the map + a constant for all."""
    torch.manual_seed(0)
    norm, linear = nn.LayerNorm(8, eps=0), nn.Linear(8, 5)
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), norm, linear).eval()
    images = torch.rand(4, 3, 12, 12)
    with pytest.raises(NotCamCompatible):
        CamModel(network)(images)
    with torch.no_grad():
        f, constant = network[:2](images), linear(norm.bias)
        for features, score in zip(f, network(images), strict=True):
            sigma = features.mean((1, 2)).std(correction=0)
            weight = lesson["folded"](linear.weight, norm.weight, sigma)
            found = class_activation_maps(features[None], weight)[0].mean((1, 2)) + constant
            torch.testing.assert_close(found, score, rtol=1e-4, atol=1e-5)
            assert not torch.allclose(lesson["folded"](linear.weight, norm.weight, sigma * 2), weight)


def test_the_lessons_tokens_lie_where_their_patches_do(lesson):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, nhead=2, dim_feedforward=32, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).eval()
    lesson |= {"patches": nn.Conv2d(3, 16, 8, stride=8), "encoder": encoder}
    images = torch.rand(3, 3, 128, 128)
    with torch.no_grad():
        tokens, patches = lesson["tokens"](images), lesson["patches"](images)
        assert tokens.shape == (3, 16, 16, 16)
        one = encoder(patches.flatten(2).transpose(1, 2))[:, 16 * 5 + 2]  # rows and columns are not exchanged
        torch.testing.assert_close(tokens[:, :, 5, 2], one)


def test_a_transformer_that_reads_one_extra_token_has_no_map():
    sizes = {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}
    with pytest.raises(NotCamCompatible):
        CamModel(VisionTransformer(**sizes, num_classes=5).eval())(torch.rand(3, 3, 32, 32))


def test_the_maps_of_a_ridge_add_up_to_its_answers():
    torch.manual_seed(0)
    features, numbers = torch.rand(30, 6, 4, 4), torch.rand(30, 2)
    means = features.mean((2, 3)) * torch.tensor([1, 10, 0.1, 1, 1, 1])  # units of different sizes
    features = features * torch.tensor([1, 10, 0.1, 1, 1, 1])[:, None, None]
    weight, bias = ridge(means, numbers)
    found = class_activation_maps(features, weight).mean((2, 3)) + bias
    torch.testing.assert_close(found, means @ weight.T + bias, rtol=1e-4, atol=1e-5)
    weight, bias = ridge(means, 3 * means[:, 1] - means[:, 4] + 2)  # a number that the units know
    torch.testing.assert_close((means @ weight.T + bias)[:, 0], 3 * means[:, 1] - means[:, 4] + 2, rtol=1e-2, atol=1e-2)


class Corner(nn.Module):
    """Looks at one of 4×4 cells only: its score falls and rises with that cell."""

    def forward(self, x):
        return torch.stack([20 * (x[:, 0, :8, :8].mean((1, 2)) - x[:, 0].mean((1, 2))), x[:, 0, 0, 0] * 0], 1)


def test_deletion_and_insertion_know_a_right_map_from_a_wrong_one():
    """Under the right map the probability falls at once and rises at once; turned round, neither."""
    images = torch.full((2, 3, 32, 32), 0.2)
    images[:, :, :8, :8] = 1
    right, labels = torch.zeros(2, 4, 4), torch.zeros(2).long()
    right[:, 0, 0] = 1
    curves = scores.deletion_and_insertion(Corner(), images, labels, {"right": right, "wrong": -right}, cells=4)
    assert curves["right"].shape == (2, len(scores.SHARES), 2)
    found = {name: scores.faithfulness(curve) for name, curve in curves.items()}
    assert (found["right"] > 0.3).all() and (found["wrong"] < -0.1).all()
    whole, bare = curves["right"][0, 0], curves["right"][0, -1]
    torch.testing.assert_close(whole, Corner()(images).softmax(1)[:, 0])
    for curve in curves.values():  # both games begin and end with the whole picture and the paint
        assert torch.equal(curve[0, [0, -1]], torch.stack([whole, bare]))
        assert torch.equal(curve[1, [0, -1]], torch.stack([bare, whole]))


def test_insertion_is_deletion_from_the_cold_end():
    torch.manual_seed(0)
    images, heat = torch.rand(3, 3, 16, 16), torch.rand(3, 4, 4)
    paint = torch.rand(3, 3, 16, 16)
    both = {"hot": heat, "cold": -heat}
    curves = scores.deletion_and_insertion(Corner(), images, torch.zeros(3).long(), both, cells=4, paint=paint)
    half = scores.SHARES.index(1 / 2)
    torch.testing.assert_close(curves["hot"][1, half], curves["cold"][0, half])
    torch.testing.assert_close(curves["hot"][0, half], curves["cold"][1, half])


def test_evidence_on_ones_own_half_and_on_a_mask():
    maps = -torch.ones(1, 2, 2, 6)  # two words, a frame of two photographs
    maps[0, 0, 0, 1], maps[0, 0, 1, 5], maps[0, 1, 1, 4] = 3, 1, 2
    share, peak = faithful.on_own_half(maps)
    assert share.item() == pytest.approx((3 / 4 + 1) / 2) and peak.item() == 1
    assert faithful.on_own_half(maps.flip(1))[0].item() == pytest.approx((1 / 4 + 0) / 2)
    inside = torch.zeros(2, 2, 2)
    inside[:, 0] = 1
    heat = torch.tensor([[[1.0, 1], [0, 0]], [[0, 1], [1, 1]]])
    assert faithful.higher_on(heat, inside).tolist() == [1, 0]


def test_the_peaks_distance_from_a_joint(lesson):
    maps = torch.zeros(1, 16, 16)
    maps[0, 2, 10] = 1  # row 2, column 10
    found = lesson["peak_to_joint"](maps, torch.tensor([[10.5 / 16, 2.5 / 16]]))
    torch.testing.assert_close(found, torch.zeros(1))
    found = lesson["peak_to_joint"](maps, torch.tensor([[10.5 / 16, 10.5 / 16]]))
    torch.testing.assert_close(found, torch.tensor([0.5]))


def test_painted_squares_find_what_a_network_looks_at(lesson):
    """The map by hand of lesson 13's second exercise, on a network that looks at one square of 7×7."""
    image, paint = torch.ones(3, 224, 224), torch.zeros(3, 224, 224)
    heat = lesson["falls"](image, paint, lambda pictures: pictures[:, 0, 64:96, 32:64].mean((1, 2)))
    assert heat[2, 1] == 1 and heat.sum() == 1


# -- sanity checks (Adebayo et al., NeurIPS 2018) ----------------------------------------------------------------------


def test_correlations_over_places_and_over_their_ranks():
    torch.manual_seed(0)
    a, b = torch.randn(2, 5, 3, 4).unbind(0)
    found = faithful.correlation(a, b)
    expected = [np.corrcoef(x.flatten(), y.flatten())[0, 1] for x, y in zip(a, b, strict=True)]
    torch.testing.assert_close(found.double(), torch.tensor(expected), atol=1e-5, rtol=0)
    torch.testing.assert_close(faithful.correlation(a, -a.exp(), ranks=True), -torch.ones(5))


def test_a_square_is_the_middle_of_a_picture():
    picture = torch.zeros(3, 40, 60, dtype=torch.uint8)
    picture[:, :, 10:50] = 200
    assert torch.equal(faithful.square(picture, 20), torch.full((3, 20, 20), 200, dtype=torch.uint8))


def test_the_map_changes_when_the_head_becomes_random():
    data = drawn_world.load("objects", "test", n=20, size=128)
    network = networks.load_checkpoint("objects-gap")[0]
    first = CamModel(network)(data.images).maps(data.labels)[:, 0]
    broken = copy.deepcopy(network)
    torch.manual_seed(0)
    broken.head.reset_parameters()
    assert torch.allclose(faithful.correlation(first, first * 3 + 1, ranks=True), torch.ones(20), atol=1e-4)
    again = CamModel(broken)(data.images).maps(data.labels)[:, 0]
    assert faithful.correlation(again, first, ranks=True).abs().mean() < 0.5


@pytest.mark.slow
def test_a_head_from_shuffled_labels_knows_no_words_and_points_less_at_the_object():
    learn = drawn_world.load("objects", "val", n=400, size=128)
    judge = drawn_world.load("objects", "test", n=300, size=128)
    network = CamModel(networks.load_checkpoint("generic-gap")[0])
    learnt = gap_features(network, learn.images)
    features = torch.cat([F.avg_pool2d(network(part).features, 2) for part in judge.images.split(50)])
    inside = F.adaptive_avg_pool2d(judge.masks.union()[:, None].float(), 16)[:, 0] > 0.5
    dealt = learn.labels[torch.randperm(len(learn), generator=torch.Generator().manual_seed(1))]
    words, points = {}, {}
    for name, labels in (("true", learn.labels), ("shuffled", dealt)):
        probe = LinearProbe(costs=[0.01]).fit(learnt, labels)
        words[name] = (probe.predict(features) == judge.labels).double().mean()
        peak = probe.maps(features, judge.labels).flatten(1).argmax(1, keepdim=True)
        points[name] = inside.flatten(1).gather(1, peak).double().mean()
    assert words["true"] > 0.7 and words["shuffled"] < 0.2
    assert points["true"] > points["shuffled"] + 0.1
