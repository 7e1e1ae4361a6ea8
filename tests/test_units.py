"""Units: the top pictures by brute force, fields that are known by hand, words and concepts that were planted."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_networks import with_group_norms
from torch import nn
from torch.nn import functional as F

import drawn_world
from cam_helpers import CamModel, gap_network
from cam_helpers.maps import resize
from cam_helpers.statistics import Annotated
from cam_helpers.units import (
    Dissection,
    TopPictures,
    activation_thresholds,
    bag_of_words,
    rank_units,
    receptive_field,
    switch_off,
    theoretical_field,
    unit_regions,
)

pytestmark = pytest.mark.usefixtures("fresh_cache")


# -- top pictures ----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), k=st.integers(1, 12), cut=st.integers(1, 8), few=st.booleans())
def test_the_top_pictures_are_those_of_sorting_them_all(seed, k, cut, few):
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(9, 4, 3, 5, generator=random)
    if few:  # many equal values
        features = features.round()
    found = TopPictures(k).update(features[:cut]).update(features[cut:])
    for unit in range(4):
        rows = []
        for key, maps in enumerate(features[:, unit]):
            flat = int((maps == maps.max()).flatten().nonzero()[0])
            rows.append((-maps.max().item(), key, [flat // 5, flat % 5]))
        rows = sorted(rows)[:k]
        assert found.values[unit].tolist() == [-value for value, *_ in rows]
        assert found.pictures[unit].tolist() == [key for _, key, _ in rows]
        assert found.places[unit].tolist() == [place for *_, place in rows]
    assert found.count == 9


def test_top_pictures_of_another_form():
    features = torch.zeros(2, 3, 4, 4)
    for wrong, text in (
        (lambda: TopPictures(0), "1 or more, got 0"),
        (lambda: TopPictures(2).update(features[0]), r"\(N,K,h,w\), got \(3, 4, 4\)"),
        (lambda: TopPictures(2).update(features).update(features[:, :2]), r"\(N,3,h,w\), got \(2, 2, 4, 4\)"),
    ):
        with pytest.raises(ValueError, match=text):
            wrong()


def test_a_region_is_above_a_share_of_the_maximum():
    maps = torch.tensor([[[1.0, 0.25], [0.26, -3.0]], [[-1.0, -2.0], [-1.0, 0.0]]])
    assert unit_regions(maps, (2, 2), 0.25).tolist() == [
        [[True, False], [True, False]],
        [[False, False], [False, False]],
    ]
    assert unit_regions(maps, (6, 8), 0.5).shape == (2, 6, 8)


# -- receptive fields ------------------------------------------------------------------------------------------------


def one_unit(kernel=9, stride=4, side=64):
    """A network whose only unit is the mean over a square of `kernel` pixels around every fourth pixel."""
    layer = nn.Conv2d(3, 1, kernel, stride, kernel // 2, bias=False)
    nn.init.constant_(layer.weight, 1 / (3 * kernel**2))
    return nn.Sequential(layer, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2)).eval()


def bright_spot(n, side, spots, radius=4):
    images = torch.full((n, 3, side, side), 0.1)
    for image, (y, x) in zip(images, spots, strict=True):
        image[:, max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = 1
    return images


@pytest.mark.parametrize(("kernel", "place", "box"), [(9, (8, 8), (28, 28, 37, 37)), (5, (0, 15), (58, 0, 63, 3))])
def test_the_theoretical_field_of_one_layer(kernel, place, box):
    assert theoretical_field(one_unit(kernel), (64, 64), place) == box


def test_the_theoretical_field_of_the_courses_network_is_what_its_layers_say():
    """5×5 and 3×3 with stride 2, then five 3×3 at a stride of 4: 5 + 2·2 + 5·2·4 = 49 pixels."""
    x1, y1, x2, y2 = theoretical_field(gap_network("course", 3), (128, 128))
    assert (x2 - x1, y2 - y1) == (49, 49) and (x1 + x2 - 1, y1 + y2 - 1) == (128, 128)


def test_group_norm_sees_the_whole_picture():
    assert theoretical_field(with_group_norms(gap_network("course", 3)), (64, 64)) == (0, 0, 64, 64)


@pytest.mark.parametrize("name", ["course", "course_star"])
def test_pixels_outside_the_field_change_nothing_and_those_at_its_edge_can(name):
    torch.manual_seed(0)
    network = gap_network(name, 3).eval()
    if name == "course":  # new residual blocks begin as nothing: as if they had been trained
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
    size = (128, 128)
    x1, y1, x2, y2 = theoretical_field(network, size, (16, 10))
    images = torch.rand(1, 3, *size)
    cams, place = CamModel(network), (slice(None), slice(None), 16, 10)
    before = cams(images).features[place]
    outside = torch.rand(1, 3, *size)
    outside[:, :, y1:y2, x1:x2] = images[:, :, y1:y2, x1:x2]
    torch.testing.assert_close(cams(outside).features[place], before)
    edge = images.clone()
    edge[:, :, y1, x1:x2] = 1 - edge[:, :, y1, x1:x2]
    assert not torch.equal(cams(edge).features[place], before)


@pytest.mark.parametrize("kernel", [9, 17])
def test_the_occluder_finds_the_square_that_a_unit_averages(kernel):
    """Away from the border; the pictures have their spots at different places, the map has it in the middle."""
    images = bright_spot(3, 64, [(32, 32), (24, 40), (40, 28)], radius=kernel // 2)
    field = receptive_field(one_unit(kernel), images, 0, window=5, stride=1)
    assert field.shape == (64, 64)
    ys, xs = (field > 0.5 * field.max()).nonzero().T  # the square, when the unit is the mean over a square
    assert abs(len(ys) ** 0.5 - kernel) <= 2
    assert abs(ys.float().mean() - 32) <= 1 and abs(xs.float().mean() - 32) <= 1
    seen = (field > 0).nonzero()
    assert (seen - 32).abs().max() <= kernel // 2 + 5, "a window that does not touch the field changes nothing"


def plain_loop(cams, image, unit, window, stride):
    """The definition: every window on the whole picture, one forward pass each; not shifted."""
    heat = cams(image[None]).features[0, unit]
    at, (h, w) = divmod(int(heat.argmax()), heat.shape[1]), image.shape[1:]
    total, count = torch.zeros(h, w), torch.zeros(h, w)
    for y in range(0, h - window + stride, stride):  # the last ones reach over the edge
        for x in range(0, w - window + stride, stride):
            hidden = image.clone()
            hidden[:, y : y + window, x : x + window] = image.float().mean((1, 2), keepdim=True).to(image.dtype)
            total[y : y + window, x : x + window] += (cams(hidden[None]).features[0, unit][at] - heat[at]).abs()
            count[y : y + window, x : x + window] += 1
    return total / count.clamp_min(1), at


@pytest.mark.parametrize("name", ["course", "course_nin", "group"])
def test_only_what_can_matter_is_computed_and_nothing_is_lost(name):
    torch.manual_seed(1)
    network = with_group_norms(gap_network("course", 3)) if name == "group" else gap_network(name, 3)
    network, image = network.eval(), torch.randint(0, 256, (3, 80, 80), dtype=torch.uint8)
    side, step = 80, 4
    cams = CamModel(network)
    expected, at = plain_loop(cams, image, 2, 11, 7)
    found = receptive_field(cams, image[None], 2, stride=7, batch=50)
    y, x = (side // 2 - p * step for p in at)
    shifted = F.pad(expected, (x, -x, y, -y))
    middle = slice(side // 4, 3 * side // 4)
    torch.testing.assert_close(found[middle, middle], shifted[middle, middle], rtol=1e-3, atol=1e-5)
    assert expected.max() > 0


def test_windows_that_do_not_fit():
    for wrong in ({"window": 65}, {"stride": 12}, {"stride": 0}):
        with pytest.raises(ValueError, match="stride ≤ window ≤ side"):
            receptive_field(one_unit(), torch.rand(1, 3, 64, 64), 0, **wrong)


# -- words -----------------------------------------------------------------------------------------------------------


def classifier(n=40, units=6, classes=3, seed=0):
    random = torch.Generator().manual_seed(seed)
    features = torch.rand(n, units, generator=random)
    return features, torch.arange(n) % classes, torch.randn(classes, units, generator=random), torch.randn(classes)


def test_units_are_ranked_by_weight_and_by_what_they_add():
    weight = torch.tensor([[3.0, 1.0, -2.0], [0.0, 0.0, 5.0]])
    assert rank_units(weight)[1].tolist() == [[0, 1, 2], [2, 0, 1]]
    features, labels = torch.tensor([[0.1, 4.0, 0.0], [0.3, 2.0, 1.0], [1.0, 1.0, 1.0]]), torch.tensor([0, 0, 1])
    values, units = rank_units(weight, features, labels)
    assert units[0].tolist() == [1, 0, 2]
    torch.testing.assert_close(values[0], torch.tensor([3.0, 0.6, -1.0]))
    with pytest.raises(ValueError, match="no picture of class 1"):
        rank_units(weight, features[:2], labels[:2])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_bag_of_words_and_a_missing_word_are_what_masking_the_weights_gives(seed):
    features, labels, weight, bias = classifier(seed=seed)
    _, units = rank_units(weight)
    hits = bag_of_words(features, labels, weight, bias, units, [0, 2, 6])
    masked = weight * torch.stack([torch.isin(torch.arange(6), chosen[:2]) for chosen in units])
    assert torch.equal(hits[1], (features @ masked.T + bias).argmax(1) == labels)
    assert torch.equal(hits[0], labels == bias.argmax())
    full = (features @ weight.T + bias).argmax(1) == labels
    assert torch.equal(hits[2], full)
    lost = switch_off(features, labels, weight, bias, batch=7)
    for unit in range(6):
        without = features.clone()
        without[:, unit] = 0
        right = (without @ weight.T + bias).argmax(1) == labels
        for c in range(3):
            here = labels == c
            fall = full[here].float().mean() - right[here].float().mean()
            assert lost[c, unit].item() == pytest.approx(fall.item(), abs=1e-6)


# -- dissection ------------------------------------------------------------------------------------------------------


def test_thresholds_are_the_quantile_over_all_places_of_all_pictures():
    torch.manual_seed(0)
    network, images = gap_network("course", 3).eval(), torch.randint(0, 256, (11, 3, 48, 48), dtype=torch.uint8)
    features = CamModel(network)(images).features
    values = features.transpose(0, 1).flatten(1)
    for quantile in (0.005, 0.03, 0.5):
        found = activation_thresholds(features, quantile)
        above = (values > found[:, None]).float().mean(1)
        assert (above <= quantile).all()
        alive = values.amax(1) > 0
        assert ((values >= found[:, None]).float().mean(1) > quantile)[alive].all(), "the smallest that keeps it"
    with pytest.raises(ValueError, match="between 0 and 1, got 1"):
        activation_thresholds(features, 1)


def test_a_planted_unit_gets_its_name_and_noise_gets_none():
    random = torch.Generator().manual_seed(0)
    layers = torch.full((30, 2, 32, 32), -1)
    for i in range(30):
        y, x = torch.randint(0, 4, (2,), generator=random) * 8
        layers[i, 0, y : y + 8, x : x + 8] = i % 3
        layers[i, 1, y : y + 4, x : x + 4] = 3
    features = torch.rand(30, 6, 8, 8, generator=random)
    for unit in range(4):
        of = (layers[:, 1] if unit == 3 else layers[:, 0]) == unit
        features[:, unit] = 0.1 * features[:, unit] + F.max_pool2d(of.float()[:, None], 4)[:, 0]
    features[:, 4] = features[:, 2] * 1.5  # a second unit for the same concept
    names = ["cat", "dog", "lamp", "part: ear"]
    found = Dissection(torch.tensor([0.5] * 5 + [0.99]), names).update(features, layers)
    best = found.best(bar=0.2)
    assert best["concept"].tolist()[:5] == ["cat", "dog", "lamp", "part: ear", "lamp"]
    assert best["detector"].tolist() == [True] * 5 + [False] and found.detectors(0.2) == 4
    halves = [Dissection(torch.tensor([0.5] * 5 + [0.99]), names).update(features[s::2], layers[s::2]) for s in (0, 1)]
    assert halves[0].merge(halves[1]).iou.equals(found.iou)
    active = resize(features, (32, 32))[:, 3] > 0.5
    of = layers[:, 1] == 3
    assert found.iou.loc[3, "part: ear"] == pytest.approx(((active & of).sum() / (active | of).sum()).item())
    with pytest.raises(ValueError, match="thresholds or the names"):
        found.merge(Dissection(torch.zeros(6), names))


def test_drawn_pictures_are_dissected_on_objects_and_parts():
    torch.manual_seed(0)
    data = drawn_world.load("objects", "val", n=12, size=48)
    notes = Annotated(data, parts=True)
    layers, features = torch.stack([kinds for _, kinds, _, _ in notes]), CamModel(gap_network("course", 3))(data.images)
    found = Dissection(activation_thresholds(features.features, 0.05), notes.names).update(features.features, layers)
    assert found.iou.shape == (128, len(data.object_names) + len(data.part_names) - 1)
    assert found.concept.sum() == 2 * 12 * 48 * 48 and 0 <= found.iou.min().min() <= found.iou.max().max() <= 1
    k = int(data.objects[0][0])
    assert found.concept[k] == sum((data.masks[i][data.objects[i] == k].sum()) for i in range(12))
