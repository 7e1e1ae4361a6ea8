"""Lesson 12: where a map is exact and where it is not, and that it changes with the network and with the labels.

The lesson's own functions are tested, taken from its cells.
"""

import ast
import copy

import pytest
import torch
from lessons import LESSONS, code_cells, read
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

import drawn_world
from cam_helpers import CamModel, networks
from cam_helpers.maps import NotCamCompatible, class_activation_maps
from cam_helpers.probes import LinearProbe, gap_features


@pytest.fixture(scope="module")
def lesson():
    """The functions and classes of lesson 12, without what its cells run."""
    path = next(path for path in LESSONS if path.stem.startswith("12"))
    found = [node for cell in code_cells(read(path)) for node in ast.parse(cell.source).body]
    found = [node for node in found if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    space = {"torch": torch, "F": F, "VisionTransformer": VisionTransformer}
    exec(compile(ast.Module(found, []), str(path), "exec"), space)
    return space


def features_head_and_score(name, count=6):
    """A checkpoint on noise -> features, what comes after them, labels, what the features add to the labels' scores."""
    network = networks.load_checkpoint(name)[0].eval()
    images = torch.rand(count, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    head, labels = nn.Sequential(*list(network.children())[1:]), torch.arange(count)
    with torch.no_grad():
        f = network.trunk(images)
        return f, head, labels, (head(f) - head(torch.zeros_like(f))).gather(1, labels[:, None])[:, 0]


def test_grad_cam_by_hand_is_the_map_over_the_number_of_places_and_adds_up_to_the_score(lesson):
    f, head, labels, added = features_head_and_score("objects-gap")
    maps, _ = lesson["grad_cam"](head, f, labels)
    weight = head[-1].weight.detach()
    expected = class_activation_maps(f, weight)[torch.arange(len(f)), labels] / f[0, 0].numel()
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())
    torch.testing.assert_close(maps.sum((1, 2)), added, rtol=1e-4, atol=1e-4)


def test_on_a_dense_network_grad_cam_does_not_add_up(lesson):
    f, head, labels, added = features_head_and_score("objects-dense")
    maps, _ = lesson["grad_cam"](head, f, labels)
    assert ((maps.sum((1, 2)) - added).abs().mean() / added.abs().mean()) > 0.1


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


def test_averaged_tokens_have_an_exact_map_and_one_extra_token_has_none(lesson):
    torch.manual_seed(0)
    sizes = {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}
    vit = lesson["TokenAverage"](**sizes, num_classes=5).eval()
    nn.init.normal_(vit.heads.head.weight)
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        maps = class_activation_maps(vit.tokens(images), vit.heads.head.weight)
        torch.testing.assert_close(maps.mean((2, 3)) + vit.heads.head.bias, vit(images), rtol=1e-4, atol=1e-5)
        place = vit.tokens(images)[:, :, 1, 2]  # rows and columns are not exchanged
        torch.testing.assert_close(place, vit.encoder(torch.cat([vit.class_token.expand(3, -1, -1),
                                   vit._process_input(images)], 1))[:, 1 + 1 * 4 + 2])  # fmt: skip
    with pytest.raises(NotCamCompatible):
        CamModel(VisionTransformer(**sizes, num_classes=5).eval())(images)


def test_means_are_blind_to_a_mirror_and_centres_of_mass_are_not(lesson):
    lesson["SIDES"] = torch.arange(16) / 16 + 1 / 32
    f = torch.rand(2, 5, 16, 16)
    mirrored = lesson["centres"](f.flip(3))
    here = lesson["centres"](f)
    torch.testing.assert_close(mirrored[:, :5], here[:, :5])
    torch.testing.assert_close(mirrored[:, 5:10], 1 - here[:, 5:10], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mirrored[:, 10:], here[:, 10:])


def test_deletion_and_insertion_know_a_right_map_from_a_wrong_one(lesson):
    """A network that looks at one cell only: its map falls at once and rises at once; turned round, neither."""

    class Corner(nn.Module):
        def forward(self, x):
            return torch.stack(
                [20 * (x[:, 0, :8, :8] - x[:, 0].mean((1, 2))[:, None, None]).mean((1, 2)), x[:, 0, 0, 0] * 0], 1
            )

    images = torch.full((2, 3, 32, 32), 0.2)
    images[:, :, :8, :8] = 1
    right = torch.zeros(2, 4, 4)
    right[:, 0, 0] = 1
    lesson |= {"SHARES": [0, 1 / 16, 1 / 4, 1 / 2, 1], "device": "cpu"}
    curves = lesson["both_curves"](Corner(), images, torch.zeros(2).long(), {"right": right, "wrong": -right}, cells=4)
    assert curves["right"].shape == (2, 5, 2)
    found = {name: lesson["faithful"](curve) for name, curve in curves.items()}
    assert (found["right"] > 0.3).all() and (found["wrong"] < -0.1).all()


# -- sanity checks (Adebayo et al., NeurIPS 2018) ----------------------------------------------------------------------


def test_the_map_changes_when_the_head_becomes_random(lesson):
    data = drawn_world.load("objects", "test", n=20, size=128)
    network = networks.load_checkpoint("objects-gap")[0]
    first = CamModel(network)(data.images).maps(data.labels)[:, 0]
    broken = copy.deepcopy(network)
    torch.manual_seed(0)
    broken.head.reset_parameters()
    agree = lesson["agreement"]
    assert torch.allclose(agree(first, first * 3 + 1), torch.ones(20), atol=1e-4)
    assert agree(CamModel(broken)(data.images).maps(data.labels)[:, 0], first).mean() < 0.5


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
