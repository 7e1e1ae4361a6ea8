"""Other people's boxes and ours: by hand, by mask, and turned or stretched with the picture."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from photo_sets.annotations import from_inclusive, scale_boxes, turn_boxes

corner = st.integers(0, 60)
side = st.integers(1, 40)
box = st.tuples(corner, corner, side, side).map(
    lambda b: torch.tensor([[b[0], b[1], b[0] + b[2], b[1] + b[3]]]).float()
)


@given(box, st.sampled_from([0, 1]))
def test_inclusive_corners_name_the_first_and_the_last_pixel(ours, origin):
    mask = torch.zeros(100, 100, dtype=torch.bool)
    x1, y1, x2, y2 = ours[0].int().tolist()
    mask[y1:y2, x1:x2] = True
    rows, columns = mask.any(1).nonzero().flatten() + origin, mask.any(0).nonzero().flatten() + origin
    theirs = torch.stack([columns[0], rows[0], columns[-1], rows[-1]]).float()
    assert torch.equal(from_inclusive(theirs[None], origin), ours)
    assert from_inclusive(torch.zeros(0, 4), origin).shape == (0, 4)


@given(box, st.integers(5, 8))
def test_turned_boxes_are_where_the_turned_pixels_are(ours, orientation):
    stored = np.zeros((110, 130), np.uint8)
    x1, y1, x2, y2 = ours[0].int().tolist()
    stored[y1:y2, x1:x2] = 255
    picture = Image.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(picture))
    a, b, c, d = turn_boxes(ours, orientation, stored.shape)[0].int().tolist()
    assert (upright[b:d, a:c] == 255).all() and (upright == 255).sum() == (c - a) * (d - b)


@given(box)
def test_scaling_goes_by_height_and_width(ours):
    assert scale_boxes(torch.tensor([[10.0, 10, 20, 20]]), (100, 50), (200, 25)).tolist() == [[5, 20, 10, 40]]
    scaled = scale_boxes(ours, (64, 32), (128, 8))
    assert type(scaled) is torch.Tensor and torch.equal(scale_boxes(scaled, (128, 8), (64, 32)), ours)
