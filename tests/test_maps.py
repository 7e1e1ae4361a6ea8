"""The maps and what they promise: shapes, class selection, the identity, and errors that say what to do."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_networks import Tiny, pictures, tiny_network
from torch.nn import functional as F

from cam_helpers import CamModel, Cams, class_activation_maps


@pytest.fixture(scope="module")
def cams():
    return CamModel(tiny_network())(pictures(3, 12))


# -- the product --------------------------------------------------------------------------------------------------


def test_three_channels_worked_by_hand():
    # f_1: only the corner, f_2: the middle row, f_3: everything; class 0 = 2·f_1 − f_2 + 0.5·f_3, class 1 = f_2
    features = torch.tensor([[[[1.0, 0], [0, 0]], [[0, 0], [1, 1]], [[1, 1], [1, 1]]]])
    weight = torch.tensor([[2, -1, 0.5], [0, 1, 0]])
    maps = class_activation_maps(features, weight)
    assert maps.tolist() == [[[[2.5, 0.5], [-0.5, -0.5]], [[0, 0], [1, 1]]]]


@pytest.mark.parametrize(
    ("features", "weight", "words"),
    [
        ((2, 3, 4), (5, 3), r"features must be \(N,K,h,w\) and weight \(C,K\), got \(2, 3, 4\) and \(5, 3\)"),
        ((2, 3, 4, 4), (3,), r"got \(2, 3, 4, 4\) and \(3,\)"),
        ((2, 3, 4, 4), (5, 3, 1, 1), r"got \(2, 3, 4, 4\) and \(5, 3, 1, 1\)"),
        ((2, 3, 4, 4), (3, 5), "features have 3 units and weight has 5: take the features that enter the pooling"),
    ],
)
def test_features_and_weight_that_do_not_belong_together_are_refused(features, weight, words):
    with pytest.raises(ValueError, match=words):
        class_activation_maps(torch.zeros(features), torch.zeros(weight))


sizes = st.tuples(*[st.integers(1, 4)] * 5)


def numbers(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None, max_examples=50)
@given(sizes, st.integers(0, 999), st.floats(-3, 3), st.floats(-3, 3))
def test_maps_are_linear_in_the_features_and_in_the_weight(sizes, seed, a, b):
    n, k, h, w, c = sizes
    f, g = numbers(n, k, h, w, seed=seed), numbers(n, k, h, w, seed=seed + 1)
    u, v = numbers(c, k, seed=seed + 2), numbers(c, k, seed=seed + 3)
    M = class_activation_maps
    torch.testing.assert_close(M(a * f + b * g, u), a * M(f, u) + b * M(g, u))
    torch.testing.assert_close(M(f, a * u + b * v), a * M(f, u) + b * M(f, v))


@settings(deadline=None, max_examples=50)
@given(sizes, st.integers(0, 999), st.sampled_from(["avg", "sum", "max"]), st.booleans())
def test_the_identity_holds_for_any_features_weight_and_bias(sizes, seed, pool, with_bias):
    n, k, h, w, c = sizes
    features, weight = numbers(n, k, h, w, seed=seed), numbers(c, k, seed=seed + 1)
    bias = numbers(c, seed=seed + 2) if with_bias else None
    pooled = {"avg": features.mean((2, 3)), "sum": features.sum((2, 3)), "max": features.amax((2, 3))}[pool]
    cams = Cams(F.linear(pooled, weight, bias), features, weight, bias, pool)
    assert cams.identity_error() < 1e-10
    assert replace(cams, logits=cams.logits + 0.1 * cams.logits.abs().amax()).identity_error() > 0.05


@settings(deadline=None, max_examples=30)
@given(sizes, st.integers(0, 999), st.booleans())
def test_the_identity_holds_for_a_head_before_the_pooling(sizes, seed, rectified):
    n, k, h, w, c = sizes
    features, weight, bias = numbers(n, k, h, w, seed=seed), numbers(c, k, seed=seed + 1), numbers(c, seed=seed + 2)
    scores = F.conv2d(features, weight[:, :, None, None], bias)
    logits = (scores.relu() if rectified else scores).mean((2, 3))
    cams = Cams(logits, features, weight, None, "avg", head_first=True, local_bias=bias, rectified=rectified)
    assert cams.identity_error() < 1e-10


def test_no_pictures_have_no_error_and_no_maps():
    cams = CamModel(tiny_network())(pictures(2, 12)[:0])
    assert cams.maps().shape == (0, 5, 12, 12) and cams.identity_error() == 0


# -- which classes ------------------------------------------------------------------------------------------------


def test_all_classes_at_once_equal_one_class_at_a_time(cams):
    assert cams.maps().shape == (3, 5, 12, 12)
    torch.testing.assert_close(cams.maps(), torch.cat([cams.maps(c) for c in range(5)], dim=1))


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (3, [3]),
        (np.int64(3), [3]),
        (torch.tensor(3), [3]),
        (np.array(3), [3]),
        ([4, 0, 0], [4, 0, 0]),
        ((1, 2), [1, 2]),
        (range(1, 4), [1, 2, 3]),
        (np.array([2, 1], dtype=np.uint8), [2, 1]),
        ([np.int32(2), torch.tensor(1)], [2, 1]),
        ([], []),
    ],
    ids=repr,
)
def test_an_int_or_a_sequence_means_the_same_classes_for_every_picture(cams, classes, expected):
    torch.testing.assert_close(cams.maps(classes), cams.maps()[:, expected])


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_a_tensor_holds_one_class_per_picture(cams, dtype):
    chosen = cams.maps(torch.tensor([4, 0, 2], dtype=dtype))
    assert chosen.shape == (3, 1, 12, 12)
    torch.testing.assert_close(chosen[:, 0], cams.maps()[range(3), [4, 0, 2]])


@pytest.mark.parametrize(
    ("classes", "error", "words"),
    [
        (5, IndexError, "^class 5 does not exist: the network has 5 classes, 0 to 4$"),
        (-1, IndexError, "class -1 does not exist"),
        ([0, 7], IndexError, "class 7 does not exist"),
        (torch.tensor([0, 1, 9]), IndexError, "class 9 does not exist"),
        (True, TypeError, "^classes must be whole numbers, got True$"),
        ([torch.tensor(True)], TypeError, "classes must be whole numbers, got"),
        (np.bool_(False), TypeError, "classes must be whole numbers, got"),
        (1.0, TypeError, "classes must be whole numbers, got 1.0"),
        (torch.tensor(1.0), TypeError, "classes must be whole numbers, got 1.0"),
        ([None], TypeError, "classes must be whole numbers, got None"),
        (torch.tensor([0.0, 1, 2]), TypeError, r"classes must be whole numbers, got a tensor of torch\.float32"),
        (torch.tensor([True, False, True]), TypeError, r"got a tensor of torch\.bool"),
        ("tabby", TypeError, "classes must be indices, got the name 'tabby': look it up in the list of names"),
        (["tabby"], TypeError, "got 'tabby'"),
        (torch.tensor([0, 1]), ValueError, "holds one class per picture: 3 pictures, 2 classes. .* give a list"),
        (torch.tensor([[0], [1], [2]]), (TypeError, ValueError), "classes"),
    ],
    ids=repr,
)
def test_classes_that_cannot_be_meant_are_refused(cams, classes, error, words):
    with pytest.raises(error, match=words):
        cams.maps(classes)


def test_size_resizes_bilinearly_between_cell_centres(cams):
    small = cams.maps([1, 2])
    large = cams.maps([1, 2], size=(24, 36))
    assert large.shape == (3, 2, 24, 36)
    torch.testing.assert_close(large, F.interpolate(small, (24, 36), mode="bilinear", align_corners=False))
    assert torch.equal(cams.maps([1, 2], size=(12, 12)), small)
    assert cams.maps([], size=(24, 36)).shape == (3, 0, 24, 36)


# -- signed, unnormalised, copied ---------------------------------------------------------------------------------


def test_maps_are_signed_and_in_the_units_of_the_logits(cams):
    assert cams.maps().min() < 0 < cams.maps().max()
    torch.testing.assert_close(cams.maps().mean((2, 3)) + cams.bias, cams.logits)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_cams_can_be_copied_and_pickled(cams, copied):
    other = copied(cams)
    assert torch.equal(other.maps(), cams.maps()) and other.identity_error() == cams.identity_error()


@pytest.mark.parametrize("part", ["weight", "features", "bias", "logits"])
def test_the_identity_error_notices_any_tampered_part(cams, part):
    assert cams.identity_error() < 1e-5
    assert replace(cams, **{part: getattr(cams, part) + 0.5}).identity_error() > 0.05


def test_float64_is_exact_to_float64():
    cams = CamModel(tiny_network().double())(pictures(2, 12).double())
    assert cams.maps().dtype == torch.float64 and cams.identity_error() < 1e-14


def test_bfloat16_autocast_gives_float32_maps():
    images, model = pictures(2, 12), tiny_network()
    with torch.autocast("cpu", torch.bfloat16):
        cams = CamModel(model)(images)
    assert cams.logits.dtype == torch.bfloat16 and cams.maps().dtype == torch.float32
    assert 1e-6 < cams.identity_error() < 0.05
    torch.testing.assert_close(cams.maps(), CamModel(model)(images).maps(), rtol=0.1, atol=0.05)


# -- pictures that cannot be used ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (lambda x: x[0], ValueError, r"^images must be \(N,3,H,W\), got \(3, 12, 12\): add the batch dimension, imag"),
        (lambda x: x[None], ValueError, r"^images must be \(N,3,H,W\), got \(1, 2, 3, 12, 12\)$"),
        (lambda x: x.numpy(), TypeError, r"must be a tensor \(N,3,H,W\), got ndarray: weights.transforms\(\)\(image\)"),
        (lambda x: [x], TypeError, "must be a tensor .* got list"),
        (lambda x: None, TypeError, "must be a tensor .* got NoneType"),
        (
            lambda x: x.double(),
            TypeError,
            r"images are torch.float64 and the network's weights torch.float32: images",
        ),
        (lambda x: x.half(), TypeError, r"images are torch.float16 .*: images.to\(torch.float32\)"),
        (lambda x: (x > 0).byte(), TypeError, r"does not take torch.uint8 pictures: give it what its weights' transf"),
        (lambda x: x.long(), TypeError, "does not take torch.int64 pictures"),
        (lambda x: x.to("meta"), ValueError, r"images are on meta and the network on cpu: images.to\('cpu'\)"),
    ],
)
def test_pictures_that_cannot_be_used_are_refused_with_the_remedy(bad, error, words):
    with pytest.raises(error, match=words):
        CamModel(tiny_network())(bad(pictures(2, 12)))


def test_something_that_is_no_network_is_refused():
    with pytest.raises(TypeError, match=r"CamModel wraps a torch\.nn\.Module, got function"):
        CamModel(lambda images: images)


def test_whole_numbers_are_fine_where_the_network_scales_them_itself():
    images = (pictures(2, 12).sigmoid() * 255).byte()
    model = Tiny(lambda net, f: net.head(f.mean((2, 3)))).eval()
    model.body.insert(0, Scale())
    cams = CamModel(model)(images)
    assert cams.identity_error() < 1e-5 and torch.equal(cams.logits, model(images))


class Scale(torch.nn.Module):
    def forward(self, images):
        return images.float() / 255
