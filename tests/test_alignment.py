"""Where the cells of a map look, and maps that lie there."""

import pytest
import torch
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from timm.layers import Conv2dSame
from tiny_networks import Tiny, pictures, tiny_network
from torch import nn
from torch.nn import functional as F
from torchvision import models

from cam_helpers import CamModel, Cams


def centres_of(layers, side, channels=1):
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 2)).eval()
    return CamModel(model)(torch.rand(1, 1, side, side + 3)), nn.Sequential(*layers)


def test_three_layers_by_hand():
    """Kernel 3, stride 2, padding 1: cell i at 2i. Then kernel 2, stride 2: between 2·2i and 2·(2i + 1), at 4i + 1.
    Then kernel 3, stride 2, dilation 2, no padding: two of these cells further on, 8 pixels: 8i + 9."""
    layers = [nn.Conv2d(1, 1, 3, 2, 1), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, 2, dilation=2)]
    cams, _ = centres_of(layers, 45)
    assert cams.centres[0].tolist() == [9, 17, 25, 33] and cams.centres[1].tolist() == [9, 17, 25, 33]
    assert cams.reach == (10, 10)  # 1 pixel to each side, then half of 2, then 2 cells of 4


@pytest.mark.parametrize(("name", "first", "stride"), [("resnet18", 0, 32), ("mobilenet_v2", 0, 32),
                                                       ("squeezenet1_1", 15, 16)])  # fmt: skip
def test_torchvisions_networks_look_at_the_upper_left_of_their_cells(name, first, stride):
    with torch.device("meta"):
        rows, columns = CamModel(models.get_model(name).eval())(torch.empty(1, 3, 224, 192)).centres
    assert (rows == first + stride * torch.arange(len(rows))).all() and len(columns) < len(rows)
    assert (columns == rows[: len(columns)]).all()


@st.composite
def chains(draw):
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        padding = draw(st.integers(0, min(kernel) // 2))
        kind = draw(st.sampled_from(["convolution", "as in TensorFlow", "pooling", "pad"]))
        if kind == "convolution":
            layers.append(nn.Conv2d(1, 1, kernel, stride, padding, dilation))
            nn.init.ones_(layers[-1].weight)
        elif kind == "as in TensorFlow":  # padding "same" depends on the picture's size
            layers.append(Conv2dSame(1, 1, kernel, stride, dilation=dilation))
            nn.init.ones_(layers[-1].weight)
        elif kind == "pooling":
            layers.append(nn.AvgPool2d(kernel, stride, padding))
        else:
            layers.append(nn.ZeroPad2d((1, 0, 2, 1)))
    return layers


@settings(deadline=None, max_examples=60)
@given(chains(), st.integers(64, 80))
def test_the_centre_is_the_centroid_of_the_gradient_and_the_reach_its_extent(layers, side):
    try:
        nn.Sequential(*layers)(torch.zeros(1, 1, side, side + 3))
    except RuntimeError:
        reject()  # strides and windows leave nothing of the picture
    cams, trunk = centres_of(layers, side)
    picture = torch.zeros(1, 1, side, side + 3, requires_grad=True)
    out = trunk(picture)
    row, column = out.shape[2] // 2, out.shape[3] // 2
    (gradient,) = torch.autograd.grad(out[0, 0, row, column], picture)
    assume(
        not torch.cat([gradient[0, 0, [0, -1]].flatten(), gradient[0, 0, :, [0, -1]].flatten()]).any()
    )  # not cut off
    masses = gradient[0, 0].sum(1), gradient[0, 0].sum(0)
    for centres, reach, cell, mass in zip(cams.centres, cams.reach, (row, column), masses, strict=True):
        middle = (mass * torch.arange(len(mass))).sum() / mass.sum()
        assert float(centres[cell]) == pytest.approx(float(middle), abs=1e-3)
        seen = mass.nonzero().flatten()[[0, -1]].tolist()
        assert seen == pytest.approx([float(centres[cell]) - reach, float(centres[cell]) + reach])


def test_branches_that_disagree_are_averaged_and_tokens_divide_the_picture():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(3, 8, 1, 2)

        def forward(self, x):
            return self.left(x) + self.right(x)[:, :, :-1, :-1]

    branches = Tiny(lambda net, f: net.head(f.mean((2, 3)))).eval()
    branches.body = Two()
    assert CamModel(branches)(pictures(1, 12)).centres[0].tolist() == [0.5, 2.5, 4.5, 6.5, 8.5]
    tokens = Tiny(lambda net, f: net.head(net.norm(f.flatten(2).transpose(1, 2)).mean(1)), norm=nn.LayerNorm(8)).eval()
    tokens.body = nn.Conv2d(3, 8, 4, 4)
    assert CamModel(tokens)(pictures(1, 12)).centres[0].tolist() == [1.5, 5.5, 9.5]


def test_aligned_maps_have_their_cells_at_the_centres():
    model = Tiny(lambda net, f: net.head(f.mean((2, 3)))).eval()
    model.body = nn.Conv2d(3, 8, 3, 4, 1)
    cams = CamModel(model)(pictures(2, 16))
    small, large = cams.maps([0, 1]), cams.maps([0, 1], size=(16, 16), aligned=True)
    assert cams.centres[0].tolist() == [0, 4, 8, 12]
    torch.testing.assert_close(large[..., ::4, ::4], small)
    torch.testing.assert_close(large[..., 2, 4], (small[..., 0, 1] + small[..., 1, 1]) / 2)
    torch.testing.assert_close(large[..., 14, 12], small[..., 3, 3])  # outside, the nearest
    halves = F.avg_pool2d(cams.maps([0, 1], size=(32, 32), aligned=True), 2)  # of each pixel
    torch.testing.assert_close(halves[..., 5:7, 5:7], large[..., 5:7, 5:7])


def test_where_cells_divide_the_picture_evenly_alignment_changes_nothing():
    model = Tiny(lambda net, f: net.head(f.mean((2, 3)))).eval()
    model.body = nn.Conv2d(3, 8, 4, 4)
    cams = CamModel(model)(pictures(2, 16))
    torch.testing.assert_close(cams.maps(size=(40, 24), aligned=True), cams.maps(size=(40, 24)), atol=1e-5, rtol=1e-5)


def test_alignment_needs_a_size_and_centres():
    cams = CamModel(tiny_network())(pictures(2, 12))
    with pytest.raises(ValueError, match=r"need size=\(H, W\)"):
        cams.maps(aligned=True)
    with pytest.raises(ValueError, match="Cams from a CamModel"):
        Cams(cams.logits, cams.features, cams.weight).maps(size=(12, 12), aligned=True)
