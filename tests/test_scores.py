"""What is right and what is wrong, by hand; and what no change of scale, order or division may alter."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, top_k_accuracy_score
from torchvision.ops import box_iou

from cam_helpers import boxes_from_maps, scores
from cam_helpers.ranking import in_top_k
from cam_helpers.scores.overlap import ious


def some(seed, n=6, size=(12, 10)):
    """Lumpy maps, and true boxes that have something to do with them."""
    rng = np.random.default_rng(seed)
    maps = torch.nn.functional.interpolate(torch.from_numpy(rng.normal(size=(n, 1, 4, 4))), size, mode="bilinear")[:, 0]
    truth = [boxes_from_maps(heat[None], rng.uniform(0, 0.9), "all")[0][:2] for heat in maps]
    truth = [boxes if len(boxes) else box(2, 2, 9, 7) for boxes in truth]
    return maps, [boxes + torch.from_numpy(rng.integers(0, 2, boxes.shape)).cumsum(1) for boxes in truth]


def rectangle(x1, y1, x2, y2, size=(10, 10)):
    heat = torch.zeros(size)
    heat[y1:y2, x1:x2] = 1
    return heat


def box(*corners):
    return torch.tensor([corners], dtype=torch.float32)


seeds = st.integers(0, 10**6)
properties = settings(deadline=None, max_examples=10)

# -- overlap --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 4, 4), (0, 0, 4, 4), 1),
        ((0, 0, 4, 4), (2, 1, 6, 5), 6 / 26),  # 2·3 shared, 16 + 16 − 6 covered
        ((0, 0, 4, 4), (4, 0, 8, 4), 0),  # x2 is exclusive: they touch, and share nothing
        ((0, 0, 2, 2), (3, 3, 5, 5), 0),
        ((0, 0, 9, 9), (3, 3, 6, 6), 9 / 81),
        ((0, 0, 6, 6), (2, 0, 8, 6), 0.5),  # shifted by a third
    ],
)
def test_overlaps_by_hand(a, b, expected):
    assert ious(box(*a), box(*b)).item() == expected


some_box = st.tuples(*[st.integers(-50, 50)] * 2, *[st.integers(1, 60)] * 2).map(
    lambda b: box(b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@settings(deadline=None)
@given(some_box, some_box, st.integers(-9, 9), st.integers(-9, 9))
def test_overlap_is_symmetric_bounded_and_blind_to_place_and_scale(a, b, shift, power):
    overlap = ious(a, b).item()
    assert 0 <= overlap <= 1 and overlap == ious(b, a).item()
    assert (overlap == 1) == torch.equal(a, b)
    assert ious((a + shift) * 2.0**power, (b + shift) * 2.0**power).item() == overlap


# -- labels ---------------------------------------------------------------------------------------------------------


def test_classification_errors_equal_those_of_scikit_learn():
    logits, labels = torch.randn(200, 10, generator=torch.manual_seed(46)), torch.arange(200) % 10
    errors = scores.classification_error(logits, labels, topk=(1, 3, 5, 10, 12))
    for k in (1, 3, 5):
        assert errors[k] == pytest.approx(1 - top_k_accuracy_score(labels, logits, k=k))
        assert errors[k] == pytest.approx(1 - errors[k].hits.double().mean())
    assert errors[10] == errors[12] == 0


def test_a_tie_is_no_recognition():
    errors = scores.classification_error(torch.tensor([[1.0, 1, 0], [0, 0, 2]]), torch.tensor([0, 2]), (1, 2))
    assert errors == {1: 0.5, 2: 0}


def test_where_a_picture_holds_several_classes_one_of_them_is_enough():
    logits = torch.tensor([[3.0, 2, 1], [3, 3, 1], [1, 2, 3]])
    several = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert in_top_k(logits, several).tolist() == [True, False, False], "a tie, and no class at all"
    assert in_top_k(logits, several.float(), 2).tolist() == [True, True, False]
    assert in_top_k(logits, torch.tensor([1, 1, 2])).tolist() == [False, False, True]
    assert in_top_k(torch.tensor([[math.nan, 1.0], [1.0, math.nan]]), torch.tensor([0, 0])).tolist() == [False, False]


@pytest.mark.parametrize(
    ("logits", "labels", "topk", "words"),
    [
        (torch.zeros(3), torch.zeros(3), (1,), r"labels \(N,\), got \(3,\) and \(3,\)"),
        (torch.zeros(3, 2), torch.zeros(2), (1,), r"got \(3, 2\) and \(2,\)$"),
        (torch.tensor([[math.nan, 1]]), torch.tensor([1]), (1,), "logits hold NaN"),
        (torch.zeros(1, 2), torch.tensor([2]), (1,), "labels must be classes, 0 to 1"),
        (torch.zeros(1, 2), torch.tensor([-1]), (1,), "labels must be classes, 0 to 1"),
        (torch.zeros(1, 2), torch.tensor([1]), (0, 1), "at least 1, got 0"),
        (torch.zeros(0, 2), torch.zeros(0), (1,), "no pictures"),
    ],
)
def test_logits_that_cannot_be_meant(logits, labels, topk, words):
    with pytest.raises(ValueError, match=words):
        scores.classification_error(logits, labels, topk)


TRUE = torch.tensor([[0, 0, 4, 4], [6, 6, 10, 10]], dtype=torch.float32)


@pytest.mark.parametrize(
    ("boxes", "classes", "wrong"),
    [
        ([[0, 0, 4, 4]], [7], 0),
        ([[0, 0, 4, 4]], [8], 1),  # the right place under the wrong name
        ([[0, 0, 4, 2]], [7], 0),  # IoU exactly a half
        ([[0, 0, 4, 1.99]], [7], 1),
        ([[6, 6, 10, 10]], [7], 0),  # any true box will do
        ([[0, 0, 10, 10]], [7], 1),  # but not one box around both
        ([[0, 0, 4, 4], [2, 2, 9, 9]], [8, 7], 1),  # the right box and the right name, but not together
        ([[1, 1, 2, 2]] * 4 + [[0, 0, 4, 4]], [7] * 5, 0),  # the fifth
        ([], [], 1),
    ],
)
def test_localization_in_the_sense_of_ilsvrc(boxes, classes, wrong):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    assert scores.localization_error([boxes], [classes], [TRUE], torch.tensor([7])) == wrong


@properties
@given(seeds)
def test_five_boxes_never_do_worse_than_the_first_of_them_and_both_worse_than_their_labels(seed):
    rng = torch.Generator().manual_seed(seed)
    logits, labels = torch.randn(8, 6, generator=rng), torch.randint(6, (8,), generator=rng)
    corners = torch.randint(8, (8, 5, 2), generator=rng).float()
    boxes, classes = torch.cat([corners, corners + 3], 2), logits.argsort(1, descending=True)[:, :5]
    truth = list(boxes[:, :1] + torch.randint(-1, 2, (8, 1, 1), generator=rng))
    one = scores.localization_error(list(boxes[:, :1]), list(classes[:, :1]), truth, labels)
    five = scores.localization_error(list(boxes), list(classes), truth, labels)
    named = scores.classification_error(logits, labels)
    assert five <= one and named[1] <= one and named[5] <= five


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [7, 7]}, r"same pictures, got \[1, 1, 1, 2\]"),
        ({"boxes": [torch.zeros(6, 4)], "classes": [[7] * 6]}, r"up to 5, got \(6, 4\) and 6"),
        ({"classes": [[7, 7]]}, r"M classes.*got \(1, 4\) and 2"),
        ({"gt_boxes": [torch.zeros(0, 4)]}, r"picture 0 needs true boxes.*got \[\]"),
        ({"gt_boxes": [torch.zeros(4)]}, r"picture 0 needs true boxes.*got \[0.0, 0.0, 0.0, 0.0\]"),
        ({"gt_boxes": [box(4, 0, 0, 4)]}, r"x1 < x2.*got \[\[4.0, 0.0, 0.0, 4.0\]\]"),
        ({"iou": 0}, "IoU.*got 0"),
    ],
)
def test_labelled_boxes_that_cannot_be_meant(change, words):
    good = {"boxes": [box(0, 0, 4, 4)], "classes": [[7]], "gt_boxes": [TRUE], "labels": [7]}
    with pytest.raises(ValueError, match=words):
        scores.localization_error(**(good | change))


# -- maps and true boxes --------------------------------------------------------------------------------------------


def test_gt_known_by_hand():
    maps = torch.stack(
        [rectangle(0, 0, 4, 4), rectangle(0, 0, 4, 2), rectangle(0, 0, 4, 1), -rectangle(0, 0, 4, 4) - 1]
    )
    score = scores.gt_known_accuracy(maps, [TRUE] * 4)
    assert score == score.value == 0.5 and score.hits.tolist() == [True, True, False, False]
    assert score.threshold == 0.2


@properties
@given(seeds, st.sampled_from([0.0, 0.2, 0.55, 1.0]), st.sampled_from(["max", "minmax"]))
def test_every_threshold_scores_the_boxes_that_boxes_from_maps_gives(seed, threshold, normalize):
    maps, truth = some(seed)
    found = boxes_from_maps(maps, threshold, normalize=normalize)
    right = [bool(len(a) and (box_iou(a, b) >= 0.5).any()) for a, b in zip(found, truth, strict=True)]
    assert scores.gt_known_accuracy(maps, truth, threshold, normalize=normalize).hits.tolist() == right


@properties
@given(seeds, st.sampled_from(["max", "minmax"]), st.sampled_from(["largest", "all"]), st.sampled_from([8, 70]))
def test_the_sweep_equals_one_evaluation_per_threshold(seed, normalize, rule, steps):
    """70 thresholds grow a tree of regions, 8 and 1 label the map anew."""
    maps, truth = some(seed, n=3)
    curve = scores.BoxSweep(steps, 0.4, rule, normalize).update(maps, truth).compute().curve
    for t in range(seed % 7, steps, 7):
        assert curve[t] == scores.BoxSweep((t / steps,), 0.4, rule, normalize).update(maps, truth).compute()


@properties
@given(seeds, st.integers(-20, 20))
def test_the_scale_of_a_map_does_not_matter_and_a_shift_only_without_minimum(seed, power):
    maps, truth = some(seed)
    maps = (maps * 64).round()  # exact under scaling and shifting
    score = scores.gt_known_accuracy(maps, truth)
    assert torch.equal(scores.gt_known_accuracy(maps * 2.0**power, truth).hits, score.hits)
    v1 = scores.max_box_acc(maps, truth, thresholds=50)
    assert torch.equal(scores.max_box_acc(maps * 2.0**power - 512, truth, thresholds=50).curve, v1.curve)


@properties
@given(seeds)
def test_what_is_asked_for_more_strictly_is_reached_less_often(seed):
    maps, truth = some(seed)
    deltas = (0.1, 0.3, 0.5, 0.7, 1.0)
    curve = scores.BoxSweep(20, deltas).update(maps, truth).compute().curve
    assert (curve.diff(dim=0) <= 0).all()
    any_region = scores.max_box_acc_v2(maps, truth, deltas, thresholds=20)
    assert (any_region.curve >= curve).all()
    assert any_region.hits.shape == (6, 5) and any_region == pytest.approx(any_region.hits.double().mean())
    assert any_region == pytest.approx(any_region.curve.amax(1).mean()) and len(any_region.threshold) == 5
    with_more = [torch.cat([boxes, box(0, 0, 10, 12)]) for boxes in truth]
    assert (scores.BoxSweep(20, deltas).update(maps, with_more).compute().curve >= curve).all()


def test_the_oracle_is_an_upper_bound_and_the_held_out_threshold_is_chosen_elsewhere():
    maps, truth = some(46, n=60)
    for normalize in ("max", "minmax"):
        oracle = scores.max_box_acc(maps[:30], truth[:30], normalize=normalize)
        chosen = scores.best_threshold(maps[30:], truth[30:], normalize=normalize)
        held_out = scores.gt_known_accuracy(maps[:30], truth[:30], chosen, normalize=normalize)
        assert held_out <= oracle
        assert scores.gt_known_accuracy(maps[:30], truth[:30], oracle.threshold, normalize=normalize) == oracle
        assert oracle.curve[oracle.thresholds == oracle.threshold] == oracle == oracle.curve.max()
        assert oracle.hits.double().mean().item() == oracle.value


@properties
@given(seeds, st.permutations(range(6)), st.integers(0, 6))
def test_neither_order_nor_division_into_batches_matters(seed, order, cut):
    maps, truth = some(seed)
    expected = scores.BoxSweep(20, (0.3, 0.5), keep=True).update(maps, truth).compute()
    shuffled = scores.BoxSweep(20, (0.3, 0.5), keep=True).update(maps[order], [truth[i] for i in order]).compute()
    parts = scores.BoxSweep(20, (0.3, 0.5), keep=True).update(maps[:cut], truth[:cut]).update(maps[cut:], truth[cut:])
    streamed = parts.compute()
    assert streamed == expected == shuffled
    assert torch.equal(streamed.curve, expected.curve) and torch.equal(streamed.hits, expected.hits)
    assert torch.equal(shuffled.hits, expected.hits[order])


@pytest.mark.parametrize("side", [0.3, 0.6, 0.7])
def test_the_centred_box_is_that_box_under_every_threshold(side):
    maps = scores.centred_box(3, (40, 60), side)
    (found, *_) = boxes_from_maps(maps, 0.9, normalize="minmax")
    x, y = 30 * side, 20 * side
    torch.testing.assert_close(found, box(30 - x, 20 - y, 30 + x, 20 + y), atol=0.51, rtol=0)
    same, other = [found] * 2 + [box(0, 0, 1, 1)], [found] * 3
    assert scores.max_box_acc(maps, same, iou=0.99).curve.unique().tolist() == pytest.approx([2 / 3])
    assert scores.gt_known_accuracy(maps, other, 0.01) == 1


def test_the_centred_gaussian_gives_centred_boxes_of_every_size():
    maps = scores.centred_gaussian(1, (41, 61))
    sizes = []
    for t in (0.2, 0.5, 0.9):
        x1, y1, x2, y2 = boxes_from_maps(maps, t)[0][0].tolist()
        assert (x1 + x2, y1 + y2) == (61, 41)
        assert (x2 - x1) / 61 == pytest.approx((y2 - y1) / 41, abs=0.06)
        sizes.append(x2 - x1)
    assert 61 >= sizes[0] > sizes[1] > sizes[2] > 0
    with pytest.raises(ValueError, match=r"side.*got 0"):
        scores.centred_box(1, (4, 4), 0)


@pytest.mark.parametrize(
    ("maps", "truth", "how", "words"),
    [
        (torch.ones(5, 5), [TRUE], {}, r"maps must be \(N,H,W\), got \(5, 5\)"),
        (torch.ones(1, 5, 0), [TRUE], {}, r"must have pixels.*got \(1, 5, 0\)"),
        (torch.tensor([[[0.0]], [[math.nan]]]), [TRUE] * 2, {}, r"no NaN or infinite values, got \(2, 1, 1\)"),
        (torch.full((1, 2, 2), math.inf), [TRUE], {}, "no NaN or infinite"),
        (torch.ones(2, 5, 5), [TRUE], {}, "same pictures, got 2 and 1"),
        (torch.ones(1, 5, 5), [TRUE[:0]], {}, r"picture 0 needs true boxes.*got \[\]"),
        (torch.ones(1, 5, 5), TRUE[:1], {}, "picture 0 needs true boxes"),
        (torch.ones(0, 5, 5), [], {}, "no pictures"),
        (torch.ones(1, 5, 5), [TRUE], {"thresholds": 0, "protocol": "wsol"}, "thresholds.*got 0"),
        (torch.ones(1, 5, 5), [TRUE], {"thresholds": 0}, "thresholds.*got 0"),
        (torch.ones(1, 5, 5), [TRUE], {"thresholds": (0.5, 0.2)}, r"thresholds.*got \(0.5, 0.2\)"),
        (torch.ones(1, 5, 5), [TRUE], {"thresholds": (math.nan,)}, r"thresholds.*got \(nan,\)"),
        (torch.ones(1, 5, 5), [TRUE], {"iou": 1.5}, "IoU.*got 1.5"),
        (torch.ones(1, 5, 5), [TRUE], {"normalize": "sum"}, "normalize must be.*got 'sum'"),
        (torch.ones(1, 5, 5), [TRUE], {"protocol": "voc"}, "protocol must be.*got 'voc'"),
    ],
)
def test_maps_and_boxes_that_cannot_be_meant(maps, truth, how, words):
    with pytest.raises(ValueError, match=words):
        scores.max_box_acc(maps, truth, **how)
    with pytest.raises(ValueError, match=r"rule must be.*got 'first'"):
        scores.BoxSweep(rule="first")


# -- pixels ---------------------------------------------------------------------------------------------------------


@properties
@given(seeds)
def test_pixel_average_precision_equals_that_of_scikit_learn(seed):
    """On maps whose values are whole steps of its histogram, from 0 to 1."""
    rng = np.random.default_rng(seed)
    values, masks, ignore = rng.integers(0, 33, (3, 8, 9)), rng.random((3, 8, 9)) < 0.3, rng.random((3, 8, 9)) < 0.2
    values[:, 0, :2], masks[0, 0, 0] = (0, 32), True
    found = scores.pixel_average_precision(*map(torch.from_numpy, (values, masks, ignore)))
    counts = masks | ~ignore
    assert found == pytest.approx(average_precision_score(masks[counts], values[counts]))
    assert found.recall[-1] == pytest.approx(1) and found.precision[-1] == pytest.approx(masks[counts].mean())
    low, high = found.interval()
    assert 0 <= low <= high <= 1


def test_a_perfect_map_has_all_the_precision_and_an_ignored_pixel_no_say():
    masks = torch.stack([rectangle(2, 3, 6, 8), rectangle(0, 0, 3, 3)]).bool()
    assert scores.pixel_average_precision(masks.float(), masks) == 1
    wrong = masks | torch.stack([rectangle(0, 9, 10, 10)] * 2).bool()
    assert scores.pixel_average_precision(wrong.float(), masks) == pytest.approx(29 / 49)
    assert scores.pixel_average_precision(wrong.float(), masks, wrong) == 1  # true pixels count, ignored or not
    with pytest.raises(ValueError, match="no mask has a true pixel"):
        scores.pixel_average_precision(masks.float(), masks & False)
    with pytest.raises(ValueError, match=r"ignore.*got \(10, 10\) and \(2, 10, 10\)"):
        scores.pixel_average_precision(masks.float(), masks, masks[0])


@pytest.mark.parametrize(
    ("x", "y", "hit"),
    [
        (3, 3, True),
        (4, 3, False),  # x2 is exclusive
        (5, 6, False),
        (6, 9, True),  # x1 is not
        (9, 0, False),
    ],
)
def test_the_pointing_game(x, y, hit):
    score = scores.pointing_game(rectangle(x, y, x + 1, y + 1)[None] - 3, [TRUE])
    assert score == hit and score.hits.tolist() == [hit]


def test_the_pointing_game_with_masks_and_beside_them():
    masks = torch.zeros(2, 10, 10, dtype=torch.bool)
    masks[:, 4:6, 4:6] = True
    heat = torch.stack([rectangle(5, 5, 6, 6), rectangle(7, 4, 8, 5)])
    assert scores.pointing_game(heat, masks).hits.tolist() == [True, False]
    assert scores.pointing_game(heat, masks, beside=1).hits.tolist() == [True, False]
    assert scores.pointing_game(heat, masks, beside=2).hits.tolist() == [True, True]
    assert scores.pointing_game(torch.ones(2, 10, 10), masks | True) == 0  # a constant map points nowhere


def test_a_constant_map_points_nowhere():
    assert scores.pointing_game(torch.ones(1, 10, 10), [TRUE * 10]) == 0
    half = [torch.tensor([[0.6, 0.6, 3.0, 3.0]])]  # the first pixel's centre is outside
    assert scores.pointing_game(rectangle(0, 0, 1, 1)[None], half) == 0
    assert scores.pointing_game(rectangle(1, 1, 2, 2)[None], half) == 1


# -- intervals ------------------------------------------------------------------------------------------------------


def test_the_interval_of_a_proportion_is_the_binomial_one():
    hits = torch.arange(400) < 140
    low, high = scores.interval(hits)
    spread = 1.96 * math.sqrt(0.35 * 0.65 / 400)
    assert (low, high) == (pytest.approx(0.35 - spread, abs=0.008), pytest.approx(0.35 + spread, abs=0.008))
    assert scores.interval(hits) == (low, high) != scores.interval(hits, seed=1)
    narrow = scores.interval(hits, level=0.5)
    assert low < narrow[0] < 0.35 < narrow[1] < high


def test_intervals_hold_what_they_promise():
    """Of 100 samples of 60 pictures about 95 % give an interval around the truth, 0.7."""
    samples = torch.rand(100, 60, generator=torch.manual_seed(46)) < 0.7
    held = sum(low <= 0.7 <= high for low, high in map(scores.interval, samples))
    assert 88 <= held <= 99


def test_a_paired_comparison_sees_what_separate_intervals_hide():
    first = torch.arange(200) % 2 == 0
    second = first & (torch.arange(200) % 10 != 0)  # 20 of 100 hits lost, nothing gained
    difference, low, high = scores.paired_difference(first, second)
    assert difference == pytest.approx(0.1) and 0.05 < low < 0.1 < high < 0.15
    assert scores.interval(first)[0] < scores.interval(second)[1]  # the separate ones overlap
    assert scores.paired_difference(first, first) == (0, 0, 0)
    assert scores.paired_difference(second, first)[1:] == pytest.approx((-high, -low))


def test_scores_are_numbers_with_intervals_and_errors_point_the_other_way():
    logits, labels = torch.randn(300, 3, generator=torch.manual_seed(46)), torch.zeros(300).long()
    error = scores.classification_error(logits, labels)[1]
    low, high = error.interval()
    assert low < error < high and f"{error:.0%}" == f"{float(error):.0%}"
    hit_low, hit_high = scores.interval(error.hits)
    assert (low, high) == pytest.approx((1 - hit_high, 1 - hit_low))
    again = pickle.loads(pickle.dumps(error))
    assert again == error and again.interval() == (low, high)


def test_the_interval_of_an_oracle_chooses_its_threshold_in_every_draw():
    maps, truth = some(46, n=40)
    oracle = scores.max_box_acc(maps, truth, thresholds=30)
    assert scores.interval(oracle)[0] >= scores.interval(oracle.hits)[0]
    assert scores.interval(oracle)[1] >= scores.interval(oracle.hits)[1]
    assert scores.interval(oracle) != scores.interval(oracle.hits)


EVERY_SCORE = {
    "GT-known": scores.gt_known_accuracy,
    "MaxBoxAcc": lambda maps, truth: scores.max_box_acc(maps, truth, thresholds=20),
    "MaxBoxAccV2": lambda maps, truth: scores.max_box_acc_v2(maps, truth, thresholds=20),
    "PxAP": lambda maps, truth: scores.pixel_average_precision(maps, maps.roll(1, 2) > 0),
    "pointing game": scores.pointing_game,
    "classification": lambda maps, truth: scores.classification_error(maps[:, 0], torch.arange(40) % 10, (3,))[3],
    "localization": lambda maps, truth: scores.localization_error(
        boxes_from_maps(maps, rule="largest"), [[7] * len(b) for b in boxes_from_maps(maps)], truth, [7] * 40
    ),
}


@pytest.mark.parametrize("score", EVERY_SCORE.values(), ids=EVERY_SCORE.keys())
def test_every_score_has_an_interval_and_a_paired_one(score):
    maps, truth = some(46, n=40)
    one, other = score(maps, truth), score(maps + maps.flip(2), truth)
    low, high = one.interval()
    assert low < one < high
    difference, low, high = scores.paired_difference(one, other)
    assert difference == pytest.approx(one - other) and low < difference < high


def test_memory_does_not_grow_with_the_pictures():
    def size(batches):
        sweep = scores.BoxSweep()
        for seed in range(batches):
            sweep.update(*some(seed, n=5))
        return len(pickle.dumps(sweep))

    assert abs(size(40) - size(1)) < 20  # a large number takes a few bytes more than a small one
    with pytest.raises(ValueError, match=r"did not keep.*keep=True"):
        scores.BoxSweep().update(*some(0)).compute().interval()


def test_a_proportion_counts_what_is_right_or_what_is_wrong():
    right, wrong = scores.proportion([True, False, True, True]), scores.proportion([1, 0, 1, 1], errors=True)
    assert (right, wrong) == (0.75, 0.25) and right.hits.tolist() == wrong.hits.tolist() == [True, False, True, True]
    assert wrong.interval() == pytest.approx([1 - end for end in right.interval()[::-1]])


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda: scores.interval(torch.zeros(0)), r"hits must be \(N,\).*got \(0,\)"),
        (lambda: scores.interval(torch.zeros(3, 2)), r"hits must be \(N,\).*got \(3, 2\)"),
        (lambda: scores.interval([True], level=95), "level is a part of 1.*got 95"),
        (lambda: scores.paired_difference([1], [1, 0]), "same pictures, got 1 and 2"),
    ],
)
def test_what_has_no_interval(run, words):
    with pytest.raises(ValueError, match=words):
        run()
