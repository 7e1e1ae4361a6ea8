"""Figures, looked at pixel by pixel: what is laid over the picture, where boxes lie, and the text that goes with it."""

import base64
import io
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.colors import to_rgb, to_rgba
from PIL import Image
from traitlets.config import Config

from cam_helpers import pictures

GREY = np.full((8, 8, 3), 200, np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
RAMP = np.linspace(-1, 3, 64, dtype=np.float32).reshape(8, 8)


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


# -- what a picture may be ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        NOISE,
        torch.from_numpy(NOISE).permute(2, 0, 1),
        torch.from_numpy(NOISE).permute(2, 0, 1) / 255,
        (NOISE / 255).astype(np.float64),
        Image.fromarray(NOISE),
        Image.fromarray(NOISE).convert("RGBA"),
    ],
    ids=lambda image: f"{type(image).__name__} {getattr(image, 'dtype', getattr(image, 'mode', ''))}",
)
def test_every_form_of_a_picture_shows_the_same_pixels(image):
    shown = pictures.picture(image).images[0].get_array()
    assert np.array_equal(shown, NOISE)


@pytest.mark.parametrize("image", [NOISE[..., 0], NOISE[..., :1], torch.from_numpy(NOISE[..., 0])[None]])
def test_grey_is_shown_in_three_equal_channels(image):
    assert np.array_equal(pictures.picture(image).images[0].get_array(), np.repeat(NOISE[..., :1], 3, axis=2))


def test_a_palette_picture_shows_its_colours_and_a_bfloat16_one_its_values():
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    assert pictures.picture(palette).images[0].get_array()[0, 0].tolist() == [0, 255, 0]
    half = torch.full((3, 4, 4), 0.5, dtype=torch.bfloat16)
    assert (pictures.picture(half).images[0].get_array() == 128).all()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((2, 3, 8, 8)), r"one RGB picture.* got \(2, 3, 8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"got \(8, 8, 4\)"),
        (np.zeros(8), r"got \(8,\)"),
        (torch.full((3, 8, 8), -0.1), r"float from 0 to 1, got float32 from -0.1 to .* before the network's"),
        (torch.full((3, 8, 8), 200.0), r"float from 0 to 1, got float32 from .* to 200"),
        (NOISE.astype(np.int64), r"float from 0 to 1, got int64"),
        (NOISE > 9, r"float from 0 to 1, got bool"),
        (np.full((8, 8, 3), np.nan), r"float from 0 to 1, got float64 from nan"),
    ],
)
def test_what_is_no_picture_is_refused(image, words):
    for draw in (
        pictures.picture,
        lambda image: pictures.overlay(image, RAMP),
        lambda image: pictures.dim(image, RAMP),
    ):
        with pytest.raises(ValueError, match=words):
            draw(image)


# -- the map over the picture -------------------------------------------------------------------------------------


def test_an_overlay_is_clearer_where_the_map_is_higher():
    heatmap = np.zeros((8, 8))
    heatmap[2, 5] = 4.0
    laid = pictures.overlay(GREY, heatmap, strength=0.8)
    nothing, full = (np.array(plt.get_cmap("inferno")(level)[:3]) * 255 for level in (0.0, 1.0))
    assert laid.dtype == np.uint8 and laid.shape == (8, 8, 3)
    np.testing.assert_allclose(laid[2, 5], 0.2 * 200 + 0.8 * full, atol=1)
    np.testing.assert_allclose(laid[0, 0], 0.8 * 200 + 0.2 * nothing, atol=1)  # a quarter of the strength
    assert (np.delete(laid.reshape(64, 3), 2 * 8 + 5, axis=0) == laid[0, 0]).all()


def test_without_strength_the_picture_is_left_in_grey():
    grey = np.broadcast_to(NOISE.mean(2, keepdims=True), NOISE.shape)
    np.testing.assert_allclose(pictures.overlay(NOISE, RAMP, strength=0), grey, atol=1)


def test_fit_gives_whole_cells_around_the_middle():
    fitted = pictures.fit(
        torch.arange(300 * 451, dtype=torch.int32).reshape(1, 300, 451).to(torch.uint8).expand(3, -1, -1)
    )
    assert fitted.shape == (3, 224, 320) and fitted.dtype == torch.uint8
    assert pictures.fit(torch.zeros(3, 96, 48, dtype=torch.uint8), side=48, cell=4).shape == (3, 96, 48)


@pytest.mark.parametrize(
    "silent", [np.zeros((8, 8)), -np.ones((8, 8)), np.full((8, 8), np.nan), np.full((2, 2), -np.inf), np.zeros((1, 1))]
)
def test_a_map_without_evidence_dims_the_whole_picture_evenly(silent):
    laid = pictures.overlay(NOISE, silent, strength=0.8)
    np.testing.assert_allclose(laid, np.broadcast_to(0.8 * NOISE.mean(2, keepdims=True), laid.shape), atol=2)


def test_max_clips_negative_evidence_and_minmax_shows_it():
    assert np.array_equal(pictures.overlay(NOISE, RAMP), pictures.overlay(NOISE, RAMP.clip(0)))
    minmax = pictures.overlay(NOISE, RAMP, normalize="minmax")
    assert not np.array_equal(minmax, pictures.overlay(NOISE, RAMP))
    assert np.array_equal(minmax, pictures.overlay(NOISE, RAMP - RAMP.min()))


def test_a_shared_limit_makes_colours_comparable():
    alone = pictures.overlay(NOISE, RAMP)
    assert np.array_equal(alone, pictures.overlay(NOISE, RAMP * 4))
    assert np.array_equal(pictures.overlay(NOISE, RAMP, limit=12), pictures.overlay(NOISE, RAMP / 4, limit=3))
    assert not np.array_equal(pictures.overlay(NOISE, RAMP, limit=12), alone)


def test_a_small_map_is_resized_bilinearly_and_a_bfloat16_one_is_fine():
    small = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    laid = pictures.overlay(GREY, small).astype(int)
    large = torch.nn.functional.interpolate(small[None, None], (8, 8), mode="bilinear")[0, 0]
    assert np.array_equal(laid, pictures.overlay(GREY, large))
    assert (laid == laid[:1]).all() and len(np.unique(laid[0, :, 0])) > 4  # rows equal, columns graded
    assert np.array_equal(pictures.overlay(GREY, small.bfloat16()), laid)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: pictures.overlay(GREY, np.zeros((3, 8, 8))), r"one map .*got \(3, 8, 8\).* maps\["),
        (lambda: pictures.dim(GREY, np.zeros((1, 8, 8))), r"one map .*got \(1, 8, 8\)"),
        (lambda: pictures.signed(np.zeros((5, 2, 2))), r"one map .*got \(5, 2, 2\)"),
        (lambda: pictures.overlay(GREY, RAMP, normalize="sum"), "'max' or 'minmax', got 'sum'"),
        (lambda: pictures.overlay(GREY, RAMP, strength=2), "strength .*from 0 to 1, got 2"),
        (lambda: pictures.dim(GREY, RAMP, darkness=-0.5), "darkness .*from 0 to 1, got -0.5"),
        (lambda: pictures.dim(GREY, np.ones((4, 8), bool)), r"size \(8, 8\), got \(4, 8\)"),
        (lambda: pictures.classes(GREY, np.zeros((2, 2, 2)), ["dog"]), "maps .*got"),
        (lambda: pictures.classes(GREY, RAMP, ["dog"] * 8), "maps .*got"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, words):
    with pytest.raises(ValueError, match=words):
        draw()


# -- the dimming mask ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_tensor", [False, True])
def test_a_mask_keeps_the_pixels_of_the_object_exactly(as_tensor):
    mask = np.zeros((8, 8), bool)
    mask[2:5, 3:7] = True
    dimmed = pictures.dim(NOISE, torch.from_numpy(mask) if as_tensor else mask, darkness=0.75)
    assert np.array_equal(dimmed[mask], NOISE[mask])
    assert np.array_equal(dimmed[~mask], (0.25 * NOISE[~mask]).round().astype(np.uint8))


def test_a_map_keeps_what_is_above_the_threshold_times_its_maximum():
    for threshold in (0.2, 0.6):
        kept = threshold * 3 < RAMP
        expected = pictures.dim(NOISE, kept)
        assert 0 < kept.sum() < 64
        assert np.array_equal(pictures.dim(NOISE, RAMP, threshold=threshold), expected)
    assert np.array_equal(pictures.dim(NOISE, -np.ones((2, 2)), darkness=1), NOISE * 0)


# -- axes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "scale"),
    [({}, (0, 3)), ({"normalize": "minmax"}, (-1, 3)), ({"limit": 10}, (0, 10))],
    ids=["max", "minmax", "limit"],
)
def test_the_colour_bar_of_a_heat_map_is_in_the_units_of_the_map(how, scale):
    ax = pictures.heat(GREY, RAMP, title="tabby", **how)
    (bar,) = ax.child_axes
    assert bar.get_ylim() == pytest.approx(scale)
    assert ax.get_title() == "tabby" and not ax.axison
    assert np.array_equal(ax.images[0].get_array(), pictures.overlay(GREY, RAMP, **how))


def test_a_heat_map_can_go_without_its_bar_and_into_given_axes():
    fig, ax = plt.subplots()
    assert pictures.heat(GREY, RAMP, ax, bar=False) is ax
    assert fig.axes == [ax]


@pytest.mark.parametrize(
    ("heatmap", "limit", "expected"),
    [
        (RAMP, None, 3),
        (-RAMP, None, 3),
        (RAMP, 7, 7),
        (np.zeros((2, 2)), None, 1),
        (np.array([[np.nan, -2], [1, 0]]), None, 2),
    ],
)
def test_a_signed_map_is_centred_on_zero(heatmap, limit, expected):
    (image,) = pictures.signed(heatmap, limit=limit).images
    assert image.norm(np.array([-expected, 0, expected])).tolist() == [0, 0.5, 1]
    against, silent, for_it = (image.cmap(level)[:3] for level in (0.1, 0.5, 0.9))
    assert for_it[0] > 2 * for_it[2] and against[2] > 2 * against[0]  # red for, blue against
    assert min(silent) > 0.9


def test_a_signed_map_can_write_its_numbers():
    ax = pictures.signed(torch.tensor([[1.0, -2.5], [0.125, 0.0]]), values=True)
    assert [text.get_text() for text in ax.texts] == ["1", "-2.5", "0.125", "0"]
    assert [text.get_position() for text in ax.texts] == [(0, 0), (1, 0), (0, 1), (1, 1)]


def rendered(image, side=200):
    """Axes that fill a figure of side×side pixels, and a function that draws them."""
    fig = plt.figure(figsize=(side / 100, side / 100), dpi=100)
    ax = pictures.picture(image, fig.add_axes((0, 0, 1, 1)))

    def draw():
        fig.canvas.draw()
        return np.asarray(fig.canvas.buffer_rgba())[..., :3].astype(int)

    return ax, draw


def test_boxes_lie_on_the_pixels_they_name():
    ax, draw = rendered(np.zeros((10, 10, 3), np.uint8))  # 20 screen pixels per pixel
    pictures.boxes(ax, torch.tensor([[2.0, 3, 6, 8]]), colour="#00ff00")
    green = (np.abs(draw() - (0, 255, 0)) < 60).all(axis=2)
    ys, xs = np.nonzero(green)
    assert np.allclose([xs.min(), xs.max() + 1, ys.min(), ys.max() + 1], [40, 120, 60, 160], atol=2)
    assert not green[64:156, 44:116].any()  # a frame, not a filled box


def test_several_boxes_have_colours_and_labels_of_their_own():
    ax, _ = rendered(GREY)
    found = [[0, 0, 4, 4], [2, 2, 8, 8]]
    assert pictures.boxes(ax, found, ["dog", "cat"]) is ax
    frames = [patch for patch in ax.patches if patch.get_edgecolor()[:3] != (0, 0, 0)]
    assert [(f.get_x(), f.get_y(), f.get_width(), f.get_height()) for f in frames] == [
        (-0.5, -0.5, 4, 4),
        (1.5, 1.5, 6, 6),
    ]
    assert frames[0].get_edgecolor() != frames[1].get_edgecolor()
    assert [text.get_text() for text in ax.texts] == ["dog", "cat"]
    assert pictures.boxes(ax, np.zeros((0, 4))) is ax and len(ax.patches) == 4


def test_one_colour_for_all_boxes():
    ax = pictures.boxes(pictures.picture(GREY), [[0, 0, 4, 4], [2, 2, 8, 8]], colour="red")
    assert [patch.get_edgecolor()[:3] for patch in ax.patches[1::2]] == [to_rgb("red")] * 2


def test_panels_hold_pictures_maps_and_boxes_each_in_its_colour():
    photo, box = torch.zeros(3, 20, 30, dtype=torch.uint8), torch.tensor([[2.0, 3, 10, 12]])
    fig = pictures.panels([(photo, None, "a", None, box), (photo, torch.eye(4), "b", box, None)], columns=4)
    drawn = [[patch.get_edgecolor() for patch in ax.patches][1::2] for ax in fig.axes]
    assert drawn == [[to_rgba(pictures.TRUE)], [to_rgba(pictures.FOUND)]]
    assert [ax.get_title() for ax in fig.axes] == ["a", "b"] and "yellow" in fig.get_supxlabel()
    plain = pictures.panels([(photo, None, str(i), None, None) for i in range(5)], columns=3)
    assert len(plain.axes) == 6 and not plain.get_supxlabel()


@pytest.mark.parametrize("shared", [False, True])
def test_classes_side_by_side_on_one_scale_or_on_their_own(shared):
    maps = torch.stack([torch.from_numpy(RAMP), torch.from_numpy(RAMP) / 10])
    fig = pictures.classes(NOISE, maps, ["dog", "cat"], scores=[12.5, 0.25], shared=shared, columns=3)
    panels = [ax for ax in fig.axes if ax.images and ax.get_title()]
    assert [ax.get_title() for ax in panels] == ["the picture", "dog  12.5", "cat  0.25"]
    assert np.array_equal(panels[0].images[0].get_array(), NOISE)
    strong, weak = (panel.images[0].get_array() for panel in panels[1:])
    assert np.array_equal(strong, weak) != shared
    assert fig.get_supxlabel() == (
        "one colour scale for all classes" if shared else "each class on a colour scale of its own"
    )


# -- the text for those who cannot see it -------------------------------------------------------------------------


@pytest.fixture
def notebook(monkeypatch, tmp_path):
    """Enough of a notebook to catch what `display` sends."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = Config()
    config.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance(config=config)
    InteractiveShell.clear_instance()


ALT = 'Heat on the "dog" & < 5 % on the cat'


def shown(alt=ALT, **how):
    fig, ax = plt.subplots(figsize=(4, 3))
    pictures.heat(np.kron(NOISE, np.ones((8, 8, 1), np.uint8)), RAMP, ax)
    with capture_output() as captured:
        pictures.show(fig, alt, **how)
    return fig, captured.outputs


def test_show_stores_the_text_with_the_picture_and_closes_the_figure(notebook):
    fig, (image, text) = shown()
    assert image.metadata["image/png"]["alt"] == ALT and image.data["text/plain"] == ALT
    assert not plt.fignum_exists(fig.number)
    html = text.data["text/html"]
    assert "Heat on the &quot;dog&quot; &amp; &lt; 5 % on the cat" in html
    assert "display:none" not in html and "aria-hidden" not in html  # screen readers skip what is hidden
    json.dumps([image.data, image.metadata, text.data])  # a notebook can hold it


@pytest.mark.parametrize(("photos", "kind"), [(False, "png"), (True, "jpeg")])
def test_show_sends_a_small_image_of_the_size_of_the_figure(notebook, photos, kind):
    _, (image, _) = shown(photos=photos)
    data = base64.b64decode(image.data[f"image/{kind}"])
    picture = Image.open(io.BytesIO(data))
    assert picture.format == kind.upper() and len(data) < 60_000
    assert 280 < picture.width <= 420 and 210 < picture.height <= 320  # 4×3 inches, 100 pixels each
    assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50  # it shows something
    assert np.asarray(picture.convert("RGB"))[0, 0].min() == 255


@pytest.mark.parametrize("alt", ["", "   ", "heat map", "dog"])
def test_show_refuses_a_text_that_describes_nothing(notebook, alt):
    with pytest.raises(ValueError, match="expected alt to describe the figure"):
        shown(alt)


def test_rows_with_intervals_stand_in_order_and_a_tensor_gives_its_own():
    values = torch.tensor([0.0, 1, 1, 1] * 25)
    ax = pictures.intervals({"stored": (0.5, 0.4, 0.7), "measured": values}, "two rows")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["measured", "stored"]  # from below
    lines = [line.get_xdata() for line in ax.get_lines()]
    assert [list(line) for line in lines[2:4]] == [[0.4, 0.7], [0.5]]
    low, high = lines[0]
    assert low < 0.75 < high and lines[1] == [0.75]
    plt.close(ax.figure)
