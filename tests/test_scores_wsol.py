"""protocol="wsol" against the common protocol's arithmetic, written straight down with OpenCV: the same numbers."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cam_helpers import scores

# -- the reference: one map, one threshold, one contour at a time ---------------------------------------------------


def scaled(heat):
    heat = heat.astype(float)
    if heat.min() == heat.max():
        return np.zeros_like(heat)
    heat = heat - heat.min()
    return heat / heat.max()


def contour_boxes(heat, threshold, every):
    """-> inclusive (x0, y0, x1, y1) of the largest contour, or of every one."""
    height, width = heat.shape
    grey = (heat * 255).astype(np.uint8)
    _, white = cv2.threshold(grey, int(threshold * grey.max()), 255, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(white, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return [(0, 0, 0, 0)]
    found = []
    for contour in contours if every else [max(contours, key=cv2.contourArea)]:
        x, y, w, h = cv2.boundingRect(contour)
        found.append((x, y, min(x + w, width - 1), min(y + h, height - 1)))
    return found


def inclusive_iou(a, b):
    shared = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1) * max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    area = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return shared / (sum(area) - shared)


def reference_curve(maps, truth, iou, steps, every):
    """-> (T,): the number of right pictures at each threshold."""
    right = np.zeros(steps, int)
    for heat, boxes in zip(maps, truth, strict=True):
        heat = scaled(heat)
        for t, threshold in enumerate(np.arange(0, 1, 1 / steps)[:steps]):
            found = contour_boxes(heat, threshold, every)
            right[t] += max(inclusive_iou(a, b) for a in found for b in boxes) >= iou
    return right


# -- maps of every kind ---------------------------------------------------------------------------------------------


def smooth(rng, size):
    return ndimage.gaussian_filter(rng.normal(size=size), rng.uniform(0.5, 4))


KINDS = {
    "smooth": smooth,
    "upsampled": lambda rng, size: ndimage.zoom(rng.normal(size=(5, 5)), np.array(size) / 5, order=1),
    "few levels": lambda rng, size: rng.integers(0, 4, size),
    "specks": lambda rng, size: (rng.random(size) < 0.2).astype(float),
    "rings": lambda rng, size: np.sin(np.hypot(*np.indices(size)) * rng.uniform(0.5, 2)),
    "noise": lambda rng, size: rng.normal(size=size),
    "negative": lambda rng, size: -1 - smooth(rng, size) ** 2,
    "constant": lambda rng, size: np.full(size, rng.integers(-1, 2)),
    "several blobs": lambda rng, size: smooth(rng, size).clip(0) ** 2,
}


def pictures(kind, seed, n=4):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 26, 2)) if kind != "upsampled" else (25, 20)
    maps = np.stack([KINDS[kind](rng, size) for _ in range(n)]).astype(np.float32)
    corners = [np.sort(rng.integers(0, np.array(size)[::-1], (rng.integers(1, 4), 2, 2)), axis=1) for _ in range(n)]
    return maps, [c.reshape(-1, 4) for c in corners]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10**6), st.sampled_from([7, 100]), st.booleans())
def test_the_curves_equal_those_of_the_common_protocol(kind, seed, steps, every):
    maps, truth = pictures(kind, seed)
    sweep = scores.BoxSweep(steps, (0.1, 0.5), "all" if every else "largest", protocol="wsol", keep=True)
    curve = sweep.update(torch.from_numpy(maps), [torch.from_numpy(b) for b in truth]).compute().curve
    for row, iou in zip(curve, (0.1, 0.5), strict=True):
        np.testing.assert_array_equal((row * len(maps)).round(), reference_curve(maps, truth, iou, steps, every))


def test_the_grid_of_thresholds_is_theirs():
    for steps in (10, 100, 1000):
        np.testing.assert_array_equal(scores.BoxSweep(steps, protocol="wsol").grid, np.arange(0, 1, 1 / steps))


def reference_precision(maps, masks, ignore):
    """Two histograms and the sum under the curve, in the order of the common protocol."""
    edges = np.append(np.arange(0, 1, 0.001), [1.0, 2.0, 3.0])
    true, false = np.zeros(1002), np.zeros(1002)
    for heat, mask, skipped in zip(maps, masks, ignore, strict=True):
        heat, kind = scaled(heat), mask + 255 * (skipped & ~mask)
        true += np.histogram(heat[kind == 1], bins=edges)[0]
        false += np.histogram(heat[kind == 0], bins=edges)[0]
    tp, fp = true[::-1].cumsum(), false[::-1].cumsum()
    found = (tp + fp) > 0
    precision = np.divide(tp, tp + fp, where=found, out=np.zeros(1002))
    return (precision[1:] * np.diff(tp / tp[-1]))[found[1:]].sum()


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10**6))
def test_pixel_average_precision_equals_that_of_the_common_protocol(kind, seed):
    maps, _ = pictures(kind, seed)
    masks, ignore = np.random.default_rng(seed).random((2, *maps.shape)) < 0.3
    masks[0, 0, 0] = True
    found = scores.pixel_average_precision(*map(torch.from_numpy, (maps, masks, ignore)))
    assert found == pytest.approx(reference_precision(maps, masks, ignore), abs=1e-12)


def test_where_the_protocols_differ():
    """A box that ends one pixel late, corners that belong to it, and the first pixel as the box of nothing."""
    heat = torch.zeros(1, 10, 10)
    heat[0, 2:6, 2:6] = 1
    exact = [torch.tensor([[2.0, 2, 6, 6]])]  # x2 and y2 exclusive
    inclusive = [torch.tensor([[2.0, 2, 5, 5]])]
    assert scores.gt_known_accuracy(heat, exact, iou=1) == 1
    assert scores.gt_known_accuracy(heat, inclusive, iou=0.65, normalize="minmax", protocol="wsol") == 0
    assert scores.gt_known_accuracy(heat, inclusive, iou=0.64, normalize="minmax", protocol="wsol") == 1  # 16 of 25
    first = [torch.tensor([[0.0, 0, 0, 0]])]
    assert scores.gt_known_accuracy(heat * 0, first, normalize="minmax", protocol="wsol") == 1
    assert scores.gt_known_accuracy(heat * 0, [torch.tensor([[0.0, 0, 1, 1]])]) == 0
