"""Other people's boxes and ours: by hand, by mask, and back again."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from cam_helpers.datasets import conventions as c

corner = st.integers(0, 60)
side = st.integers(1, 40)
box = st.tuples(corner, corner, side, side).map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])
boxes = st.lists(box, min_size=1, max_size=5).map(lambda b: torch.tensor(b, dtype=torch.float32))


def test_one_pixel_in_every_convention():
    ours = [3, 5, 4, 6]  # column 3, row 5
    assert c.from_inclusive([3, 5, 3, 5]).tolist() == ours
    assert c.from_inclusive([4, 6, 4, 6], origin=1).tolist() == ours
    assert c.from_xywh([3, 5, 1, 1]).tolist() == ours
    assert c.from_rchw([5, 3, 1, 1]).tolist() == ours


def test_rows_come_first_in_rchw():
    assert c.from_rchw([2, 10, 4, 7]).tolist() == [10, 2, 17, 6]  # row 2, column 10, 4 high, 7 wide


@given(boxes)
def test_round_trips(ours):
    for there, back in (
        (c.to_xywh, c.from_xywh),
        (c.to_rchw, c.from_rchw),
        (c.to_inclusive, c.from_inclusive),
        (lambda b: c.to_inclusive(b, 1), lambda b: c.from_inclusive(b, 1)),
        (lambda b: c.scale_boxes(b, (64, 32), (128, 8)), lambda b: c.scale_boxes(b, (128, 8), (64, 32))),
    ):
        assert torch.equal(back(there(ours)), ours)


@given(box)
def test_the_conventions_agree_on_the_pixels(ours):
    mask = torch.zeros(100, 100, dtype=torch.bool)
    x1, y1, x2, y2 = ours
    mask[y1:y2, x1:x2] = True
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    first, last = (columns[0], rows[0]), (columns[-1], rows[-1])
    assert c.to_inclusive(ours).tolist() == [*first, *last]
    assert c.to_rchw(ours).tolist() == [rows[0], columns[0], len(rows), len(columns)]
    assert c.to_xywh(ours).tolist() == [columns[0], rows[0], len(columns), len(rows)]


@given(box, st.integers(1, 8))
def test_turned_boxes_are_where_the_turned_pixels_are(ours, orientation):
    stored = np.zeros((110, 130), np.uint8)
    x1, y1, x2, y2 = ours
    stored[y1:y2, x1:x2] = 255
    picture = Image.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(picture))
    a, b, cc, d = map(int, c.turn_boxes(ours, orientation, stored.shape).tolist())
    assert (upright[b:d, a:cc] == 255).all() and (upright == 255).sum() == (cc - a) * (d - b)


def test_scaling_goes_by_height_and_width():
    assert c.scale_boxes([10, 10, 20, 20], (100, 50), (200, 25)).tolist() == [5, 20, 10, 40]


@pytest.mark.parametrize("convert", [c.from_xywh, c.from_rchw, c.from_inclusive])
def test_empty_lists_and_double_precision_survive(convert):
    assert convert(torch.zeros(0, 4)).shape == (0, 4)
    assert convert(torch.zeros(2, 4, dtype=torch.float64)).dtype == torch.float64
