"""From a map to boxes, against a flood fill written the slow way, and at all the edges of the definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cam_helpers import boxes_from_maps
from cam_helpers.boxes import component_boxes, heuristic_boxes, region_above, scaled, value_range


def boxes(rows, threshold=0.2, rule="all"):
    """The boxes of one map, as tuples of whole numbers."""
    (found,) = boxes_from_maps(torch.as_tensor(rows)[None], threshold, rule)
    assert found.dtype == torch.float32 and found.shape[1:] == (4,)
    return [tuple(map(int, box)) for box in found]


def drawing(*rows):
    """'..##' -> zeros and ones."""
    return torch.tensor([[float(sign == "#") for sign in row] for row in rows])


def flood_fill(heat, threshold):
    """-> boxes of all regions: largest first, of equal ones the first in reading order."""
    height, width = heat.shape
    peak = heat.max()
    todo = {(y, x) for y in range(height) for x in range(width) if peak > 0 and heat[y, x] > threshold * peak}
    regions = []
    while todo:
        region, frontier = [], [min(todo)]
        todo.remove(frontier[0])
        while frontier:
            y, x = frontier.pop()
            region.append((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & todo
            todo -= near
            frontier += near
        regions.append(region)
    regions.sort(key=lambda region: (-len(region), min(region)))
    columns = [([y for y, _ in region], [x for _, x in region]) for region in regions]
    return [(min(xs), min(ys), max(xs) + 1, max(ys) + 1) for ys, xs in columns]


few_levels = arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-3, 4).map(float))
thresholds = st.sampled_from([0, 0.1, 0.2, 0.5, 0.75, 1])


@settings(deadline=None, max_examples=200)
@given(few_levels, thresholds)
def test_boxes_equal_those_of_a_flood_fill(heat, threshold):
    expected = flood_fill(heat, threshold)
    assert boxes(heat, threshold) == expected
    assert boxes(heat, threshold, "largest") == expected[:1]


@settings(deadline=None)
@given(few_levels, thresholds)
def test_boxes_lie_inside_the_picture_and_hold_at_least_one_pixel(heat, threshold):
    height, width = heat.shape
    for x1, y1, x2, y2 in boxes(heat, threshold):
        assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height


@settings(deadline=None)
@given(few_levels, thresholds, st.floats(1e-6, 1e6))
def test_boxes_do_not_change_with_the_scale_of_the_map(heat, threshold, scale):
    peak = heat.max()
    assume(not np.isclose(heat, threshold * peak, rtol=1e-9, atol=0).any() or math.log2(scale) % 1 == 0)
    assert boxes(heat * scale, threshold) == boxes(heat, threshold)
    assert boxes(heat * 2.0**-20, threshold) == boxes(heat, threshold)


@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 12)] * 4), st.floats(1e-3, 1e3), st.sampled_from(["largest", "all"]))
def test_the_box_of_a_rectangle_is_the_rectangle(corners, value, rule):
    x1, x2 = sorted(corners[:2])
    y1, y2 = sorted(corners[2:])
    assume(x1 < x2 and y1 < y2)
    heat = torch.zeros(12, 12)
    heat[y1:y2, x1:x2] = value
    assert boxes(heat, rule=rule) == [(x1, y1, x2, y2)]


def test_largest_counts_pixels_not_the_area_of_the_box():
    heat = drawing("#.....##", ".#....##", "..#...##", "...#..##")
    assert boxes(heat) == [(6, 0, 8, 4), (0, 0, 4, 4)]


def test_pixels_that_touch_at_a_corner_are_one_region():
    assert boxes(drawing("#..", ".#.", "..#")) == [(0, 0, 3, 3)]
    assert boxes(drawing("#..", "...", "..#")) == [(0, 0, 1, 1), (2, 2, 3, 3)]


def test_of_equal_regions_the_first_in_reading_order_comes_first():
    heat = drawing("...#", "#..#", "#...", "...#", "...#")
    assert boxes(heat) == [(3, 0, 4, 2), (0, 1, 1, 3), (3, 3, 4, 5)]
    assert boxes(heat, rule="largest") == [(3, 0, 4, 2)]


def test_each_map_is_thresholded_at_its_own_maximum():
    weak, strong = drawing("##..") * 0.01, drawing("...#") * 100
    found = boxes_from_maps(torch.stack([weak, strong]))
    assert [box.tolist() for box in found] == [[[0, 0, 2, 1]], [[3, 0, 4, 1]]]


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0, [(1, 0, 5, 1)]), (0.2, [(2, 0, 5, 1)]), (0.5, [(3, 0, 5, 1)]), (1, [])]
)
def test_a_pixel_has_to_be_above_the_threshold_not_at_it(threshold, expected):
    assert boxes([[0.0, 1, 2, 4, 5]], threshold) == expected  # 1 is exactly 20 % of the maximum


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0.0, 0], [0, 0]], []),
        ([[-2.0, -1], [-3, -1]], []),
        ([[3.0, 3], [3, 3]], [(0, 0, 2, 2)]),
        ([[math.nan, math.nan]], []),
        ([[math.inf, math.inf]], []),
        ([[-math.inf, -1.0]], []),
        ([[math.nan, 1.0, 0.0]], [(1, 0, 2, 1)]),
        ([[math.inf, 1.0, 0.0, 1.0]], [(1, 0, 2, 1), (3, 0, 4, 1)]),
        ([[1.0, math.nan, 1.0]], [(0, 0, 1, 1), (2, 0, 3, 1)]),
        ([[-math.inf, 1.0]], [(1, 0, 2, 1)]),
        ([[1e-40, 0.0]], [(0, 0, 1, 1)]),  # subnormal, but evidence
    ],
    ids=str,
)
def test_maps_without_evidence_have_no_box_and_what_is_no_number_is_no_evidence(rows, expected):
    assert boxes(rows) == expected
    assert boxes(rows, rule="largest") == expected[:1]


@pytest.mark.parametrize("shape", [(0, 5, 5), (3, 0, 5), (3, 5, 0), (0, 0, 0)])
def test_maps_without_pixels_have_no_boxes(shape):
    found = boxes_from_maps(torch.zeros(shape))
    assert [box.shape for box in found] == [(0, 4)] * shape[0]
    assert all(box.dtype == torch.float32 for box in found)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool]
)
def test_every_kind_of_number_is_understood(dtype):
    assert boxes((drawing("..##", "..##") * 3).to(dtype)) == [(2, 0, 4, 2)]


def test_the_input_is_not_changed_and_may_need_gradients():
    heat = torch.tensor([[[math.nan, 1.0, 0.0]]], requires_grad=True)
    before = heat.detach().clone()
    (found,) = boxes_from_maps(heat)
    assert not found.requires_grad and found.device == heat.device
    assert torch.equal(heat.detach().nan_to_num(7), before.nan_to_num(7))


@settings(deadline=None)
@given(few_levels, st.sampled_from([0.1, 0.3, 0.6]))
def test_minmax_counts_from_the_minimum(heat, threshold):
    """Whole numbers: moved to a minimum of zero, nothing is lost, and both normalizations are the same."""
    expected = flood_fill(heat - heat.min(), threshold)
    (found,) = boxes_from_maps(torch.as_tensor(heat)[None] - 7, threshold, "all", normalize="minmax")
    assert [tuple(map(int, b)) for b in found] == expected


def test_minmax_sees_no_evidence_in_a_constant_map_and_some_in_a_negative_one():
    assert boxes_from_maps(torch.ones(1, 3, 3), normalize="minmax")[0].shape == (0, 4)
    (found,) = boxes_from_maps(torch.tensor([[[-9.0, -1, math.nan, -math.inf]]]), normalize="minmax")
    assert found.tolist() == [[1, 0, 2, 1]]


def hill(*bumps, size=(120, 200)):
    """Blunt cones: (x, y, radius, height)."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in size), indexing="ij")
    cones = [(h * (1 - ((x - cx) ** 2 + (y - cy) ** 2).sqrt() / r)).clamp_min(0) for cx, cy, r, h in bumps]
    return torch.stack(cones).amax(0)


def test_the_released_rule_by_hand():
    """A cone of radius 60: above 20/255 a disk of radius 55.3; its edge of 55.3·10.5/255 = 2.3 pixels is cut off."""
    (loose, tight), none = boxes_from_maps(torch.stack([hill((100, 60, 60, 1)), -hill((9, 9, 9, 1))]), rule="released")
    assert len(none) == 0
    for box, level in ((loose, 20), (tight, 100)):
        radius = 60 * (1 - level / 255) * (1 - 10.5 / 255)
        expected = torch.tensor([100 - radius, 60 - radius, 101 + radius, 61 + radius])
        torch.testing.assert_close(box, expected, atol=1.1, rtol=0)
    # the region above 110 shares more than half of the area of the one above 100: one box for both


def test_the_released_rule_keeps_what_lies_apart():
    (found,) = boxes_from_maps(hill((50, 60, 40, 1), (150, 60, 20, 0.9))[None], rule="released")
    middles = ((found[:, :2] + found[:, 2:]) / 2).round()
    assert {tuple(m) for m in middles.int().tolist()} == {(50, 60), (150, 60)} and len(found) == 4
    sizes = (found[:, 2:] - found[:, :2]).prod(1)
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)


@pytest.mark.parametrize("heat", [torch.ones(1, 8, 9), torch.full((1, 8, 9), 3.0)])
def test_the_released_rule_takes_a_map_without_edge_as_it_is(heat):
    assert boxes_from_maps(heat, rule="released")[0].tolist() == [[0, 0, 9, 8]]


@settings(deadline=None, max_examples=30)
@given(few_levels)
def test_released_boxes_share_at_most_half_of_the_larger_one(heat):
    (found,) = boxes_from_maps(torch.as_tensor(heat)[None], rule="released")
    assert bool(len(found)) == (heat.max() > 0)
    for i, a in enumerate(found):
        for b in found[:i]:
            shared = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp_min(0).prod()
            assert shared <= (b[2:] - b[:2]).prod() * 0.5 or (b[2:] - b[:2]).prod() < 2


def test_the_five_boxes_of_table_3():
    one, two, three = hill((50, 60, 40, 1)), hill((150, 60, 30, 1)), hill((100, 60, 50, 1))
    maps, classes = torch.stack([one, two, three, one])[None], torch.tensor([[7, 3, 5, 1]])
    (boxes,), (names,) = heuristic_boxes(maps, classes)
    assert names.tolist() == [7, 7, 3, 3, 5]
    loose_and_tight = [boxes_from_maps(m[None], rule="released")[0][:2] for m in (one, two, three)]
    assert torch.equal(boxes, torch.cat([*loose_and_tight[:2], loose_and_tight[2][:1]]))
    (boxes,), (names,) = heuristic_boxes(torch.stack([one, -two, three])[None], classes[:, :3])
    assert names.tolist() == [7, 7, 5] and len(boxes) == 3
    with pytest.raises(ValueError, match=r"got \(1, 2, 120, 200\), \(1, 4\)"):
        heuristic_boxes(maps[:, :2], classes)


@pytest.mark.parametrize(
    ("shape", "how", "words"),
    [
        ((5, 5), {}, r"\(5, 5\).*batch dimension"),
        ((2, 3, 5, 5), {}, r"\(2, 3, 5, 5\).*one map per picture"),
        ((5,), {}, r"\(N,H,W\), got \(5,\)"),
        ((1, 5, 5), {"threshold": 1.01}, "threshold.* 0 to 1, got 1.01"),
        ((1, 5, 5), {"threshold": -0.2}, "threshold.*got -0.2"),
        ((1, 5, 5), {"threshold": 20}, "threshold.*got 20"),
        ((1, 5, 5), {"threshold": math.nan}, "threshold.*got nan"),
        ((1, 5, 5), {"rule": "biggest"}, "rule.*got 'biggest'"),
        ((1, 5, 5), {"rule": None}, "rule.*got None"),
        ((1, 5, 5), {"normalize": "sum"}, "normalize.*got 'sum'"),
    ],
)
def test_what_cannot_be_meant_is_refused(shape, how, words):
    with pytest.raises(ValueError, match=words):
        boxes_from_maps(torch.ones(shape), **how)
    with pytest.raises(TypeError, match="got ndarray"):
        boxes_from_maps(np.ones((1, 5, 5)))


# -- what boxes, scores and figures share ---------------------------------------------------------------------------


def test_a_range_a_scale_and_a_region_by_hand():
    maps = torch.tensor([[[-2.0, 0.0, 1.0, 4.0]], [[-3.0, -1.0, -1.0, -2.0]], [[5.0, 5.0, 5.0, 5.0]]])
    inf, nan = math.inf, math.nan
    for normalize, low, high in (("max", [0, 0, 0], [4, -1, 5]), ("minmax", [-2, -3, 5], [4, -1, 5])):
        assert [end.flatten().tolist() for end in value_range(maps, normalize)] == [low, high]
        assert [end.shape for end in value_range(maps[None], normalize)] == [(1, 3, 1, 1)] * 2
    assert scaled(maps)[0].tolist() == [[-0.5, 0, 0.25, 1]] and scaled(maps)[1].tolist() == [[0] * 4]
    torch.testing.assert_close(scaled(maps, "minmax")[0], torch.tensor([[0, 1 / 3, 0.5, 1]]))
    assert scaled(maps, "minmax")[2].tolist() == [[0] * 4]
    assert region_above(maps, 0.25).tolist() == [[[False, False, False, True]], [[False] * 4], [[True] * 4]]
    assert region_above(maps, 0.25, "minmax").sum((1, 2)).tolist() == [3, 3, 0]
    broken = torch.tensor([[[nan, inf, -inf, 2.0, 1.0]], [[nan, nan, inf, inf, -inf]]])
    assert [end.flatten().tolist() for end in value_range(broken, "minmax")] == [[1, 0], [2, 0]]
    assert scaled(broken).tolist() == [[[0, 0, 0, 1, 0.5]], [[0] * 5]]
    assert region_above(broken, 0.2).tolist() == [[[False, False, False, True, True]], [[False] * 5]]
    assert [end.shape for end in value_range(maps[:, :, :0])] == [(3, 1, 1)] * 2


def test_components_touch_at_corners_or_only_at_edges_and_sum_up_weights():
    mask = drawing("#..#", ".#..", "...#").bool().numpy()
    found, pixels = component_boxes(mask)
    assert found.tolist() == [[0, 0, 2, 2], [3, 0, 4, 1], [3, 2, 4, 3]] and pixels.tolist() == [2, 1, 1]
    found, weights = component_boxes(mask, np.arange(12.0), connectivity=1)
    assert found.tolist() == [[0, 0, 1, 1], [3, 0, 4, 1], [1, 1, 2, 2], [3, 2, 4, 3]]
    assert weights.tolist() == [0, 3, 5, 11]


@pytest.mark.parametrize("rule", ["largest", "released"])
def test_maps_leave_their_device_before_they_become_double_precision(rule, monkeypatch):
    """As MPS needs it, which has no double precision."""
    order = []
    for name in ("cpu", "double"):
        real = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda self, name=name, real=real: order.append(name) or real(self))
    boxes_from_maps(torch.rand(1, 4, 4), rule=rule)
    assert order[:2] == ["cpu", "double"]
