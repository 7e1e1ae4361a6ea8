"""What the explorer shows, without a browser: settings, forwarded pictures, images by value, sentences."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from matplotlib import colormaps
from PIL import Image, ImageColor
from tiny_networks import Counted, blobs, tiny_network
from torchvision import models
from torchvision.transforms.v2 import functional as F

from cam_explorer import ForwardedPicture, Settings, Source, describe, identity, render
from cam_explorer.render import draw
from cam_explorer.settings import CHOICES
from cam_explorer.source import unique
from cam_helpers import Cams, pictures

SIDE = 120


def hand_made(values, classes=("cat", "dog"), truth=None, weight=None):
    """A picture whose features are written by hand: unit 0 counts for the cat, minus it for the dog; a grey picture."""
    features = torch.as_tensor(values, dtype=torch.float32)
    features = features[None, None] if features.ndim == 2 else features[None]
    weight = torch.tensor([[1.0], [-1.0]]) if weight is None else torch.tensor(weight)
    logits = features.mean((2, 3)) @ weight.T
    photo = Image.new("RGB", (SIDE, SIDE), (90, 120, 150))
    return ForwardedPicture("hand made", photo, Cams(logits, features, weight), list(classes), truth)


def corner(row=0, column=0, cells=4):
    values = torch.zeros(cells, cells)
    values[row, column] = 8.0
    return values


def pixels(data):
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG" and image.mode == "RGB"
    return np.asarray(image).astype(int)


# -- settings -----------------------------------------------------------------------------------------------------

indices = st.integers(0, 1)
any_settings = st.builds(
    Settings,
    picture=st.text(max_size=20),
    label=st.none() | indices,
    opacity=st.floats(0, 1),
    threshold=st.floats(0, 1),
    off=st.sets(indices).map(tuple),
    unit=st.none() | indices,
    **{name: st.sampled_from(options) for name, options in CHOICES.items()},
)


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"style": "jet"}, "style .* heat, signed, contour, dim, grid, map, got 'jet'"),
        ({"colours": "jet"}, "colours .* inferno, magma, viridis, cividis, got 'jet'"),
        ({"style": []}, r"style .* got \[\]"),
        ({"opacity": 2}, "opacity from 0 to 1, got 2"),
        ({"threshold": float("nan")}, "threshold from 0 to 1, got nan"),
        ({"label": -1}, "label.* got -1"),
        ({"unit": 1.0}, "unit.* got 1.0"),
        ({"off": [0, "1"]}, "off .*got '1'"),
    ],
)
def test_values_that_settings_cannot_have_are_refused(values, cause):
    with pytest.raises(ValueError, match=cause):
        Settings(**values)


def test_units_switched_off_are_a_set_in_order():
    assert Settings(off=[5, 1, 5]).off == (1, 5)
    assert hash(Settings(off=[1, 5])) == hash(Settings(off=(5, 1)))


# -- rendering, by value ------------------------------------------------------------------------------------------


def test_the_map_alone_shows_the_colour_of_each_value():
    """4×4 cells on 120 pixels: the middle of cell (0, 0) is pixel 15, where the map has its maximum, 8."""
    shown = pixels(render(Settings(style="map", threshold=1), hand_made(corner())))
    ends = [(np.array(colormaps["inferno"](level)[:3]) * 255).round() for level in (255, 0)]
    assert shown.shape[:2] == (SIDE + 26, SIDE)
    assert abs(shown[10, 10] - ends[0]).max() <= 1  # half a cell from the edge the maximum is constant
    assert abs(shown[100, 100] - ends[1]).max() <= 1
    middle = shown[14, 44]  # pixel centre 44.5 is 29.5 of 30 pixels from the first cell's centre to the second's
    assert abs(middle - (np.array(colormaps["inferno"](round(255 * 0.5 / 30))[:3]) * 255)).max() <= 4


@pytest.mark.parametrize("opacity", [0.0, 0.4, 1.0])
def test_heat_is_the_overlay_of_the_figures(opacity):
    torch.manual_seed(0)
    picture = hand_made(torch.randn(5, 5))
    shown = pixels(render(Settings(label=0, opacity=opacity, threshold=1), picture))[:SIDE]
    grey = np.asarray(picture.photo)
    expected = pictures.overlay(grey, picture.map(Settings(label=0)), strength=opacity).astype(int)
    assert abs(shown - expected).max() <= 5  # of 255: levels and alphas have 8 bits


def test_without_opacity_the_picture_is_as_it_was():
    picture = hand_made(corner())
    for style in ("dim", "contour"):
        assert (pixels(render(Settings(style=style, opacity=0, threshold=1), picture))[:SIDE] == [90, 120, 150]).all()


def test_dimming_keeps_what_is_above_the_threshold():
    shown = pixels(render(Settings(style="dim", opacity=0.5, threshold=0.5), hand_made(corner())))
    assert (shown[15, 15] == [90, 120, 150]).all() and (shown[100, 100] == [45, 60, 75]).all()


def test_the_grid_shows_the_cells_as_they_are():
    shown = pixels(render(Settings(style="grid", opacity=1, threshold=1), hand_made(corner())))
    assert (shown[:29, :29] == shown[0, 0]).all() and (shown[32:SIDE, 32:] == shown[100, 100]).all()


def test_signed_heat_is_red_for_and_blue_against():
    values = corner()
    values[3, 3] = -8
    for label, (first, last) in ((0, (0, 2)), (1, (2, 0))):  # channels: red, blue
        shown = pixels(render(Settings(label=label, style="signed", opacity=1, threshold=1), hand_made(values)))
        assert shown[8, 8, first] > shown[8, 8, last] + 50 and shown[112, 112, last] > shown[112, 112, first] + 50


def test_a_shared_scale_is_that_of_all_classes():
    """Three classes with weights 1, 4, 2: on the shared scale the first has a quarter of the colours, own: all."""
    picture = hand_made(corner(), "abc", weight=[[1.0], [4.0], [2.0]])
    full, quarter = ((np.array(colormaps["inferno"](level)[:3]) * 255).round() for level in (255, 64))
    settings = Settings(label=0, style="map", threshold=1)
    assert abs(pixels(render(settings, picture))[10, 10] - full).max() <= 1
    assert abs(pixels(render(replace(settings, scale="shared"), picture))[10, 10] - quarter).max() <= 3
    assert abs(pixels(render(settings, picture, limit=32.0))[10, 10] - quarter).max() <= 3
    own, shared = (np.asarray(draw(replace(settings, scale=s), picture))[SIDE:] for s in ("own", "shared"))
    assert (own != shared).any()  # the legend says which


def boxes_drawn(settings, picture):
    """Where the picture with boxes differs from the same picture without any (threshold 1)."""
    with_boxes, without = (pixels(render(v, picture))[:SIDE] for v in (settings, replace(settings, threshold=1)))
    return (with_boxes != without).any(2)


def test_the_largest_region_has_the_strong_box_and_the_others_a_faint_one():
    values = corner()
    values[3, 1:] = 8.0
    picture = hand_made(values)
    largest, every = (
        boxes_drawn(Settings(style="map", threshold=0.5, rule=rule), picture) for rule in ("largest", "all")
    )
    assert largest[:60, :60].any() and largest[60:].any()
    assert every[:60, :60].sum() > 3 * largest[:60, :60].sum()  # five pixels wide instead of one
    assert (every[60:] == largest[60:]).all()


def test_the_true_box_is_drawn_for_its_own_class_only():
    truth = (torch.tensor([0]), torch.tensor([[60.0, 60.0, 100.0, 100.0]]))
    known, unknown = hand_made(corner(), truth=truth), hand_made(corner())
    for label, drawn in ((0, True), (1, False)):
        a, b = (pixels(render(Settings(label=label, style="map"), picture)) for picture in (known, unknown))
        assert (a != b).any() == drawn
    assert (pixels(render(Settings(style="map"), known))[60, 60:100] == ImageColor.getrgb(pictures.TRUE)).all()


# -- sentences ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [
        (0, 0, "upper left"),
        (0, 4, "top"),
        (0, 8, "upper right"),
        (4, 0, "left"),
        (4, 4, "centre"),
        (8, 8, "lower right"),
    ],
)
def test_the_sentence_says_where(row, column, place):
    assert describe(Settings(), hand_made(corner(row, column, 9))).startswith(
        f"cat: strongest at the {place}, box covers "
    )


def test_the_sentence_says_how_much_and_how_well():
    """Half of the picture, columns 0–1 of 4: at a threshold of 50 % the box ends half way to the silent cells."""
    values = torch.zeros(4, 4)
    values[:, :2] = 3.0
    truth = (torch.tensor([0]), torch.tensor([[0.0, 0.0, 30.0, 120.0]]))
    picture = hand_made(values, truth=truth)
    expected = "cat: strongest at the upper left, box covers 50 % of the picture, IoU 0.50 with the true box (yellow)."
    assert describe(Settings(threshold=0.5), picture) == expected
    expected = "dog: no evidence anywhere, the map has no positive value, so there is no box."
    assert describe(Settings(label=1), picture) == expected
    assert describe(Settings(unit=0, threshold=0.5), picture).startswith(
        "unit 0: strongest at the upper left, box covers 50 %"
    )


def test_the_sentence_counts_what_the_rule_leaves_out():
    values = corner()
    values[3, 2:] = 8.0
    picture = hand_made(values)
    assert describe(Settings(threshold=0.5), picture).endswith("(smaller regions left out: 1).")
    assert ", 2 boxes, the largest covers " in describe(Settings(threshold=0.5, rule="all"), picture)


def test_the_identity_holds_as_trained_and_breaks_with_other_weights():
    features = torch.stack([corner(), corner(3, 3)])
    picture = hand_made(features, weight=[[1.0, -2.0], [3.0, 3.0]])
    assert identity(Settings(label=0), picture) == (
        "The map adds up to -0.50, the score is -0.50: the identity holds (difference 0)."
    )
    # positive: 1·0.5 + 0·0.5; softmax of (1, −2): 0.953 + 0.047 = 1, times 0.5
    for weights, words in (
        ("positive", "With the positive weights only"),
        ("softmax", "With the softmax of the weights"),
    ):
        assert identity(Settings(label=0, weights=weights), picture) == (
            f"{words} the map adds up to 0.50, the score is -0.50: the identity is broken (difference 1)."
        )
    assert "the identity holds" in identity(Settings(label=1, weights="positive"), picture)  # nothing was negative
    assert identity(Settings(label=0, off=(1,)), picture) == "Without unit 1 the score is 0.50 instead of -0.50."
    assert identity(Settings(label=0, off=(0, 1)), picture) == "Without units 0, 1 the score is 0.00 instead of -0.50."


# -- forwarded pictures and sources ---------------------------------------------------------------------------------


def blob_source(n=3, size=(64, 96), classes=5, **how):
    names = [f"c{i}" for i in range(classes)]
    return Source(tiny_network(classes), names, blobs(n, size), side=64, **how)


def test_one_forward_pass_per_picture_whatever_is_looked_at():
    wrapped = Counted(tiny_network())
    source = Source(wrapped, [f"c{i}" for i in range(5)], blobs(3), side=64, keep=2)
    names = list(source.pictures)
    assert names == ["picture", "picture (2)", "picture (3)"]
    for label in range(5):
        for style in CHOICES["style"]:
            render(Settings(label=label, style=style, scale="shared"), source.forward(names[0]))
    assert wrapped.calls == [1]
    source.forward(names[1])
    source.forward(names[0])
    assert wrapped.calls == [1, 1]
    source.forward(names[2])  # the second goes
    source.forward(names[0])
    assert wrapped.calls == [1, 1, 1]
    source.forward(names[1])
    assert wrapped.calls == [1, 1, 1, 1]


name_lists = st.lists(st.sampled_from(["dog", "dog (2)", "dog (2) (2)", "dog (3)", "cat", ""]) | st.text(max_size=3))


@given(name_lists)
def test_made_up_names_are_those_of_nobody_else(names):
    made = unique(names)
    assert len(set(made)) == len(names)
    for i, (name, own) in enumerate(zip(names, made, strict=True)):
        assert own == name if name not in names[:i] else re.fullmatch(rf"{re.escape(name)} \(\d+\)", own, re.DOTALL)


def test_three_pictures_whose_names_collide_are_three_pictures(tmp_path):
    images = blobs(3, (64, 64))
    paths = [tmp_path / "a" / "dog.png", tmp_path / "b" / "dog.png", tmp_path / "b" / "dog (2).png"]
    for path, image in zip(paths, images, strict=True):
        path.parent.mkdir(exist_ok=True)
        F.to_pil_image(image).save(path)
    source = Source(tiny_network(), list("abcde"), paths, side=64)
    assert list(source.pictures) == ["dog", "dog (3)", "dog (2)"]
    shown = [source.forward(name).cams.logits for name in source.pictures]
    torch.testing.assert_close(torch.cat(shown), tiny_network()(torch.stack(images) / 255).detach())


def test_a_name_with_another_picture_is_another_picture(tmp_path):
    images = blobs(4, (64, 64))
    expected = tiny_network()(torch.stack(images) / 255).detach()
    F.to_pil_image(images[2]).save(tmp_path / "a.png")
    source = Source(tiny_network(), list("abcde"), {"tensor": images[0], "file": tmp_path / "a.png"}, side=64)
    for name, i in (("tensor", 0), ("file", 2)):
        torch.testing.assert_close(source.forward(name).cams.logits[0], expected[i])
        assert source.forward(name) is source.forward(name)
    source.pictures["tensor"] = images[1]
    F.to_pil_image(images[3]).save(tmp_path / "a.png")
    for name, i in (("tensor", 1), ("file", 3)):
        torch.testing.assert_close(source.forward(name).cams.logits[0], expected[i])


def test_a_stream_is_read_once():
    buffer = io.BytesIO()
    F.to_pil_image(blobs(1, (64, 64))[0]).save(buffer, "PNG")
    source = Source(tiny_network(), list("abcde"), {"stream": buffer}, side=64)
    buffer.close()
    assert source.forward().photo.size == source.thumbnail("stream").resize((512, 512)).size


@pytest.mark.parametrize("as_function", [False, True])
def test_a_preset_or_a_function_makes_the_input_of_the_network(as_function):
    preset = models.ResNet18_Weights.DEFAULT.transforms()
    images = torch.stack(blobs(1, (64, 64)))
    normalized = F.normalize(images / 255, preset.mean, preset.std)
    transform = (lambda seen: F.normalize(seen / 255, preset.mean, preset.std)) if as_function else preset
    source = Source(tiny_network(), list("abcde"), [images[0]], transform, side=64)
    torch.testing.assert_close(source.forward().cams.logits, tiny_network()(normalized).detach())


def test_a_map_lies_where_the_object_lies():
    """A white square on black, a 'network' that counts white: picture, box and map agree to the cell."""
    photo = torch.zeros(3, 100, 200, dtype=torch.uint8)
    photo[:, 20:60, 140:180] = 255

    class White(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 1, 8, 8, bias=False)
            self.head = torch.nn.Linear(1, 1, bias=False)
            torch.nn.init.constant_(self.conv.weight, 1 / 192)
            torch.nn.init.ones_(self.head.weight)

        def forward(self, x):
            return self.head(self.conv(x).mean((2, 3)))

    truth = {"square": ([0], [[140, 20, 180, 60]])}
    picture = Source(White(), ["white"], {"square": photo}, side=96, truth=truth).forward()
    assert picture.photo.size == (512, 256) and picture.cams.features.shape[2:] == (12, 24)
    x1, y1, x2, y2 = picture.truth[1][0].tolist()
    assert np.asarray(picture.photo)[int(y1) + 5 : int(y2) - 5, int(x1) + 5 : int(x2) - 5].min() > 250
    assert float(describe(Settings(threshold=0.5), picture).split("IoU ")[1].split()[0]) > 0.8


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (3000, 2), (33, 500), (48, 48), (700, 300)])
def test_pictures_of_any_shape_are_framed(size):
    photo = torch.zeros(3, *size, dtype=torch.uint8)
    picture = Source(tiny_network(), list("abcde"), {"x": photo}, side=64).forward()
    h, w = picture.cams.features.shape[2:]
    assert h % 32 == w % 32 == 0 and max(h, w) <= 192 and max(picture.photo.size) == 512
    assert render(Settings(), picture)[:4] == b"\x89PNG"


def test_what_does_not_exist_is_refused_in_words():
    source = blob_source()
    with pytest.raises(ValueError, match="there is no picture called 'x'"):
        source.forward("x")
    picture = source.forward()
    missing = {
        Settings(label=5): "class 5 .* has 5",
        Settings(unit=8): "unit 8 .* has 8",
        Settings(off=(1, 9)): "unit 9",
    }
    for settings, cause in missing.items():
        with pytest.raises(ValueError, match=cause):
            render(settings, picture)
    with pytest.raises(ValueError, match=r"5 class names.* got 2"):
        Source(tiny_network(), ["a", "b"], blobs(1), side=64).forward()


@pytest.fixture(scope="module")
def forwarded():
    """Average pooling, and a head before the pooling with a ReLU (SqueezeNet); a map that is not a number anywhere."""
    torch.manual_seed(0)
    squeezed = Source(models.squeezenet1_1(num_classes=2).eval(), ["a", "b"], blobs(1), side=64, show=64).forward()
    nan = hand_made(torch.full((2, 2, 2), float("nan")), weight=[[1.0, 2.0], [0.0, -1.0]])
    return [
        blob_source(1, classes=2, show=64).forward(),
        squeezed,
        nan,
        hand_made(torch.zeros(2, 3, 3), weight=[[1.0, 2.0]] * 2),
    ]


@given(settings=any_settings, which=st.integers(0, 3), limit=st.none() | st.floats(0.0, 1e6))
@hypothesis_settings(max_examples=60, deadline=None)
def test_any_settings_of_any_picture_can_be_drawn_and_described(forwarded, settings, which, limit):
    picture = forwarded[which]
    shown = pixels(render(settings, picture, limit))
    assert shown.shape == (picture.photo.height + 26, picture.photo.width, 3)
    text = describe(settings, picture)
    assert text.endswith(".") and "nan" not in text
    assert identity(settings, picture)
