"""protocol="wsol" against the common protocol's arithmetic, written straight down with OpenCV: the same numbers."""

import cv2
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cam_helpers import scores

# -- the reference: one map, one threshold, one contour at a time ---------------------------------------------------


def scaled(heat):
    heat = heat.astype(np.float32)
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


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10**6), st.sampled_from([7, 100]), st.booleans())
def test_the_curves_equal_those_of_the_common_protocol(kind, seed, steps, every):
    maps, truth = pictures(kind, seed)
    sweep = scores.BoxSweep(steps, (0.1, 0.5), "all" if every else "largest", protocol="wsol", keep=True)
    curve = sweep.update(torch.from_numpy(maps), [torch.from_numpy(b) for b in truth]).compute().curve
    for row, iou in zip(curve, (0.1, 0.5), strict=True):
        np.testing.assert_array_equal((row * len(maps)).round(), reference_curve(maps, truth, iou, steps, every))
