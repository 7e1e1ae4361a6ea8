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

from cam_explorer import ForwardedPicture, Settings, Source, describe, identity, point, render
from cam_explorer.render import draw, photo_png
from cam_explorer.settings import CHOICES
from cam_explorer.source import unique
from cam_helpers import Cams, pictures
from cam_helpers.units import theoretical_field

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
    against=st.none() | indices,
    opacity=st.floats(0, 1),
    threshold=st.floats(0, 1),
    off=st.sets(indices).map(tuple),
    unit=st.none() | indices,
    cell=st.none() | st.tuples(indices, indices),
    **{name: st.sampled_from(options) for name, options in CHOICES.items()},
)


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"style": "jet"}, "style .* heat, signed, dim, grid, map, got 'jet'"),
        ({"style": []}, r"style .* got \[\]"),
        ({"opacity": 2}, "opacity from 0 to 1, got 2"),
        ({"threshold": float("nan")}, "threshold from 0 to 1, got nan"),
        ({"label": -1}, "classes.* got -1"),
        ({"against": -1}, "classes.* got -1"),
        ({"unit": 1.0}, "units.* got 1.0"),
        ({"off": [0, "1"]}, "units.* got '1'"),
        ({"cell": (0, -2)}, "cells.* got -2"),
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
def test_heat_lies_over_the_coloured_photo_and_leaves_it_clear_where_there_is_no_evidence(opacity):
    """The opacity of a level is twice the level, at most 1, times the settings'."""
    shown = pixels(render(Settings(opacity=opacity, threshold=1), hand_made(corner())))
    photo, (level, alpha) = np.array([90, 120, 150]), (round(255 * 0.5 / 30), opacity * 2 * 0.5 / 30)
    assert (shown[100, 100] == photo).all()  # an opacity of 0 at the value 0
    colour = [np.array(colormaps["inferno"](value)[:3]) * 255 for value in (255, level)]
    assert abs(shown[10, 10] - ((1 - opacity) * photo + opacity * colour[0])).max() <= 2
    assert abs(shown[14, 44] - ((1 - alpha) * photo + alpha * colour[1])).max() <= 4


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


def test_a_shared_scale_is_that_of_the_first_word():
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


def test_the_scale_stays_while_units_are_switched_off():
    """Two units with 8 in one corner each; without the first, the second has the colours that it had."""
    picture = hand_made(torch.stack([2 * corner(), corner(3, 3)]), weight=[[1.0, 1.0], [0.0, 0.0]])
    before, after = (pixels(render(Settings(style="map", threshold=1, off=off), picture)) for off in ((), (0,)))
    assert (before[60:SIDE, 60:] == after[60:SIDE, 60:]).all() and (before[:30, :30] != after[:30, :30]).any()


def test_the_rule_says_which_regions_get_a_box():
    values = corner()
    values[3, 1:] = 8.0
    picture = hand_made(values)
    largest, every = (
        boxes_drawn(Settings(style="map", threshold=0.5, rule=rule), picture) for rule in ("largest", "all")
    )
    assert not largest[:60, :60].any() and largest[60:].any()
    assert every[:60, :60].any() and (every[60:] == largest[60:]).all()


def test_a_difference_has_a_ring_where_it_peaks_and_no_box():
    picture = hand_made(corner(1, 2), truth=(torch.tensor([0]), torch.tensor([[0.0, 0.0, 9.0, 9.0]])))
    settings = Settings(label=0, against=1, style="signed", opacity=0)
    ringed = (pixels(render(settings, picture))[:SIDE] != [90, 120, 150]).any(2).nonzero()
    assert [round(at.mean()) for at in ringed] == pytest.approx([45, 75], abs=1)  # the middle of that cell
    assert describe(settings, picture) == (
        "cat minus dog: the lead is +1.00; most for the first at the centre (ring), for the second at the upper left."
    )
    # the class's map and its score, twice, since the dog's are their negatives
    assert torch.equal(picture.map(settings), 2 * picture.map(Settings(label=0)))
    assert picture.focus(settings).rebuilt().item() == 2 * picture.cams.logits[0, 0].item()


def test_the_photo_shows_every_true_box_and_says_whose():
    truth = (torch.tensor([0, 1]), torch.tensor([[10.0, 10.0, 50.0, 50.0], [60.0, 60.0, 100.0, 100.0]]))
    data, text = photo_png(hand_made(corner(), truth=truth))
    shown = pixels(data)
    assert text == "hand made; true (yellow): cat, dog"
    assert all((shown[at, at] == ImageColor.getrgb(pictures.TRUE)).all() for at in (12, 62))
    assert photo_png(hand_made(corner()))[1] == "hand made"


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


def test_the_sentence_counts_the_boxes():
    values = corner()
    values[3, 2:] = 8.0
    picture = hand_made(values)
    assert ", box covers " in describe(Settings(threshold=0.5), picture)
    assert ", 2 boxes, the largest covers " in describe(Settings(threshold=0.5, rule="all"), picture)


def test_the_score_is_a_sum_in_words():
    """Means 0.5 and 0.5: weights (1, -2) give -0.5; positive: 1·0.5 + 0; softmax of (1, -2): 0.953 + 0.047 = 1."""
    picture = hand_made(torch.stack([corner(), corner(3, 3)]), weight=[[1.0, -2.0], [3.0, 3.0]])
    assert identity(Settings(label=0), picture) == "The units add -0.50, the constant +0.00: -0.50, the score."
    assert identity(Settings(label=0), picture, [0]) == (
        "1 units add +0.50, the other 1 -1.00, the constant +0.00: -0.50, the score."
    )
    trained = "As trained, with all units, the score is -0.50."
    for changed in ({"weights": "positive"}, {"weights": "softmax"}, {"off": (1,)}):
        assert identity(Settings(label=0, **changed), picture) == (
            f"The units add +0.50, the constant +0.00: 0.50. {trained}"
        )
    assert identity(Settings(label=1, weights="positive"), picture).endswith(": 3.00, the score.")  # none was negative
    assert identity(Settings(label=0, off=(0, 1)), picture).startswith("The units add +0.00, the constant +0.00: 0.00.")


def test_a_unit_shows_what_it_adds():
    picture = hand_made(torch.stack([corner(), corner(3, 3)]), weight=[[1.0, -2.0], [3.0, 3.0]])
    assert torch.equal(picture.map(Settings(label=0, unit=1, off=(1,))), -2 * corner(3, 3))


def test_the_first_words_follow_the_units_that_are_on():
    picture = hand_made(torch.stack([corner(), corner(3, 3)]), weight=[[1.0, 3.0], [2.0, 0.0]])  # scores 2 and 1
    (first, score, part), (second, other, _) = picture.first_words(Settings())
    assert (first, score, second, other) == (0, 2.0, 1, 1.0) and part == pytest.approx(1 / (1 + np.exp(-1)))
    assert [row[:2] for row in picture.first_words(Settings(off=(1,)))] == [(1, 1.0), (0, 0.5)]


def test_a_cell_is_worth_its_part_of_the_score_and_is_made_of_units():
    """Cell (0, 0): 1·8 + 2·4 = 16, of 16 cells: 1 of the score 1·0.5 + 2·0.25 + 2·0.5 = 2."""
    values = torch.stack([corner(), corner() / 2 + corner(3, 3)])
    picture = hand_made(values, weight=[[1.0, 2.0], [0.0, 0.0]])
    assert point(Settings(label=0, cell=(0, 0)), picture, listed=1) == (
        "Row 0, column 0: +16.00 by 16 cells is +1.000 of the score 2.00 of cat (50.0 %). Made by unit 0 +8.00, "
        "the others +8.00. It can see 100 % of the picture (pink)."
    )
    assert picture.cell_box((1, 2)) == [60, 30, 90, 60]
    shown = pixels(render(Settings(label=0, cell=(1, 2), opacity=0), picture))
    assert (shown[32, 62:88] == 255).all() and (shown[45, 75] == [90, 120, 150]).all()


def test_what_a_cell_can_see_is_outlined():
    """`tiny_network`: measured with NaN, which no layer can undo, in `theoretical_field`."""
    picture = blob_source(1, (64, 64), show=64).forward()
    height, width = picture.cams.features.shape[2:]
    for cell in ((0, 0), (height // 2, width // 2), (height - 1, 0)):
        assert picture.field_box(cell) == list(theoretical_field(tiny_network(), (64, 64), cell))


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


def test_a_name_with_another_picture_is_another_picture():
    images = blobs(2, (64, 64))
    expected = tiny_network()(torch.stack(images) / 255).detach()
    source = Source(tiny_network(), list("abcde"), {"one": images[0]}, side=64)
    torch.testing.assert_close(source.forward("one").cams.logits[0], expected[0])
    assert source.forward("one") is source.forward("one")
    source.pictures["one"] = images[1]
    torch.testing.assert_close(source.forward("one").cams.logits[0], expected[1])


def test_a_stream_is_read_once():
    buffer = io.BytesIO()
    F.to_pil_image(blobs(1, (64, 64))[0]).save(buffer, "PNG")
    source = Source(tiny_network(), list("abcde"), {"stream": buffer}, side=64)
    buffer.close()
    assert source.forward().photo.size == (512, 512)


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
        Settings(against=5): "class 5",
        Settings(cell=(0, 99)): r"cell \(0, 99\) .* rows",
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
    assert identity(settings, picture) and picture.first_words(settings)
    assert settings.cell is None or point(settings, picture).startswith("Row ")
