"""Strides replaced by dilation: at the places the strided network has, the features are the same."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tiny_networks import lively, pictures, random_network
from torch import nn
from torch.nn import functional as F
from torchvision import models

from cam_helpers import CamModel, gap_network
from cam_helpers.networks import dilate

NO_TRUNK = ("aux1", "aux2", "avgpool", "dropout", "fc")


def trunk_of(name):
    if name == "course":
        return lively(gap_network("course", 3), pictures(2, 64).sigmoid()).trunk
    model = random_network(name, 64)
    if hasattr(model, "features"):
        return model.features
    return nn.Sequential(*[part for key, part in model.named_children() if key not in NO_TRUNK])


@pytest.mark.parametrize(
    ("name", "stride", "finer", "edge"),  # edge: places at the right and lower border that see another padding
    [
        ("resnet18", 32, 8, 0), ("resnet50", 32, 8, 0), ("mobilenet_v2", 32, 16, 0), ("course", 4, 1, 0),
        ("squeezenet1_1", 16, 4, 4), ("googlenet", 32, 8, 4), ("alexnet", 32, 8, 2),
    ],
)  # fmt: skip
def test_at_the_old_places_the_features_are_the_same(name, stride, finer, edge):
    strided = trunk_of(name)
    images = pictures(1, 64 if name == "course" else 256).sigmoid()
    dilated = dilate(strided, finer)
    with torch.no_grad():
        before, after = strided(images), dilated(images)
    step = stride // finer
    seen = min(before.shape[-1], after.shape[-1] // step) - edge
    assert after.shape[-1] > 1.5 * before.shape[-1] and seen >= 2
    expected = before[..., :seen, :seen]
    assert expected.std() > 1e-3
    sampled = after[..., : seen * step : step, : seen * step : step]
    torch.testing.assert_close(sampled, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@st.composite
def layers(draw):
    """Convolutions (plain, in groups, dilated already, reflecting) and max poolings, with and without padding."""
    chain = []
    for _ in range(draw(st.integers(1, 4))):
        kernel, stride = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2]))
        padding = draw(st.integers(0, kernel // 2))
        if draw(st.booleans()):
            groups, dilation = draw(st.sampled_from([1, 4])), draw(st.integers(1, 2))
            mode = draw(st.sampled_from(["zeros", "reflect"]))
            chain.append(nn.Conv2d(4, 4, kernel, stride, padding, dilation, groups, padding_mode=mode))
        else:
            chain.append(nn.MaxPool2d(kernel, stride, padding, ceil_mode=draw(st.booleans())))
    return chain


@settings(deadline=None, max_examples=60)
@given(layers(), st.sampled_from([1, 2, 4]), st.integers(0, 99))
def test_any_chain_keeps_its_features(chain, finer, seed):
    torch.manual_seed(seed)
    strided = nn.Sequential(*chain).double()
    images = torch.randn(1, 4, 61, 61, dtype=torch.float64)
    dilated = dilate(strided, finer)
    stride, reach = 1, 0  # of one place: in pixels, and how far to the right of it the network looks
    for layer in chain:
        kernel, dilation = (v if isinstance(v, int) else v[0] for v in (layer.kernel_size, layer.dilation))
        reach += dilation * (kernel - 1) * stride
        stride *= layer.stride if isinstance(layer.stride, int) else layer.stride[0]
    step = max(1, stride // finer)
    seen = (61 - reach - stride) // stride
    assume(seen >= 1)
    with torch.no_grad():
        before, after = strided(images), dilated(images)
    sampled = after[..., ::step, ::step][..., :seen, :seen]
    torch.testing.assert_close(sampled, before[..., :seen, :seen])


def test_a_worked_example():
    """Every second number, then differences of neighbours; and both at every place."""
    take, difference = nn.Conv2d(1, 1, 1, 2, bias=False), nn.Conv2d(1, 1, (1, 2), bias=False)
    take.weight.data.fill_(1.0)
    difference.weight.data.copy_(torch.tensor([[-1.0, 1.0]])[None, None])
    row = torch.tensor([0.0, 1, 4, 9, 16, 25])[None, None, None]
    strided = nn.Sequential(take, difference)
    assert strided(row).flatten().tolist() == [4, 12]
    assert dilate(strided, 1)(row).flatten().tolist() == [4, 8, 12, 16]


def test_weights_and_keys_stay_and_the_network_is_a_copy():
    model = random_network("googlenet", 64)
    finer = dilate(model, 8)
    assert model.maxpool4.stride == 2 and finer.maxpool4 is not model.maxpool4
    before, after = model.state_dict(), finer.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[k], after[k]) for k in before)


def test_a_whole_torchvision_classifier_can_be_dilated():
    """torchvision's BasicBlock refuses dilation; its own switch gives the same network where there is one."""
    images = pictures(1, 128)
    cams = CamModel(dilate(random_network("resnet18", 64), 8))(images)
    assert cams.features.shape == (1, 512, 16, 16) and cams.identity_error() <= 1e-4
    own = models.resnet50(replace_stride_with_dilation=[False, True, True]).eval()
    plain = models.resnet50().eval()
    plain.load_state_dict(own.state_dict())
    ours = dilate(plain, 8)
    # torchvision dilates a stage's first block by the stage before, as we do
    torch.testing.assert_close(ours(images), own(images), rtol=1e-4, atol=1e-4)


def test_a_whole_course_network_can_be_dilated():
    """Its first module cannot be traced, and stands inside the trunk."""
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    strided = lively(gap_network("course", 3), images)
    finer = CamModel(dilate(strided, 2))(images).features
    assert finer.shape == (1, 128, 32, 32)
    torch.testing.assert_close(finer[..., ::2, ::2], CamModel(strided)(images).features)


class Functional(nn.Module):
    def forward(self, x):
        return F.max_pool2d(x, 2)


def shared_pool():
    pool = nn.MaxPool2d(2)
    return nn.Sequential(pool, nn.Conv2d(3, 3, 3), pool)


@pytest.mark.parametrize(
    ("network", "stride", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 3, 3)),
            3,
            "layer '1' goes from a stride of 2 to 6 pixels",
        ),
        (nn.Sequential(nn.Conv2d(3, 4, 3, 6)), 4, "layer '0' goes from a stride of 1 to 6 pixels: 4 does not fit"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.AvgPool2d(2)), 1, "AvgPool2d.* would need dilation"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, (2, 1))), 1, "layer '0' has a stride of its own along each side"),
        (nn.Sequential(Functional()), 1, r"the stride of '0' \(Functional\) cannot be replaced"),
        (nn.Sequential(nn.Upsample(scale_factor=2)), 1, r"the stride of '0' \(Upsample\) cannot be replaced"),
        (shared_pool(), 2, "layer '0' is used at several strides"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), 0, "output_stride must be 1 or more, got 0"),
    ],
)
def test_what_cannot_be_dilated_is_named(network, stride, message):
    with pytest.raises(ValueError, match=message):
        dilate(network, stride)


def test_an_average_pooling_may_lose_its_stride():
    network = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 3, 3, padding=1))
    images = torch.rand(1, 3, 12, 12)
    torch.testing.assert_close(dilate(network, 1)(images)[..., :8:2, :8:2], network(images)[..., :4, :4])


def test_a_layer_used_twice_at_one_stride_stays_one_layer():
    layer = nn.Conv2d(3, 3, 3, padding=1)
    finer = dilate(nn.Sequential(nn.MaxPool2d(2), layer, layer), 1)
    assert finer[1] is finer[2] and finer[1].dilation == (2, 2)
