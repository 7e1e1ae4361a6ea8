"""Pixels that are not those the checkpoints were trained on are said, once, and kept apart."""

import re
import warnings

import pytest
from packaging.version import Version
from PIL import Image, ImageDraw
from test_setup import in_conda, required

import drawn_world
from drawn_world import pixels, sprites, textures


@pytest.fixture
def unasked():
    """As in a process that has not asked yet; and afterwards too."""
    pixels.other.cache_clear()
    yield
    pixels.other.cache_clear()


def load():
    return drawn_world.load_arrays("objects", "val", n=2, size=48)


def test_this_installation_draws_what_the_checkpoints_were_trained_on(unasked):
    with warnings.catch_warnings(action="error"):
        assert pixels.other() == ""
    assert set(pixels.DREW_IT) == {"pillow", "resvg_py"}
    for name, version in pixels.DREW_IT.items():
        assert required()[name].specifier.contains(Version(version)) and in_conda()[name] <= Version(version)


def flat(resampling, real=Image.Image.resize):
    """A `resize` that draws nothing with this filter."""
    return lambda self, size, how: Image.new(self.mode, size) if how == resampling else real(self, size, how)


@pytest.mark.parametrize(
    "where, name, other",
    [
        *((Image.Image, "resize", flat(resampling)) for resampling in (Image.BOX, Image.BILINEAR, Image.BICUBIC)),
        (Image.Image, "filter", lambda self, _: self),
        (Image.Image, "reduce", lambda self, by: Image.new("L", (self.width // by, self.height // by))),
        (ImageDraw.ImageDraw, "line", lambda *_, **__: None),
        (ImageDraw.ImageDraw, "polygon", lambda *_, **__: None),
        (sprites.resvg_py, "svg_to_bytes", lambda real=sprites.resvg_py.svg_to_bytes, **given: real(
            **given, shape_rendering="crisp_edges")),
    ],
)  # fmt: skip
def test_every_operation_is_in_the_small_picture(unasked, monkeypatch, where, name, other):
    monkeypatch.setattr(where, name, other)
    with pytest.warns(pixels.OtherPixels):
        assert pixels.other() not in ("", pixels.TRAINED_ON)


def test_other_pixels_are_said_once_with_what_to_do_and_kept_apart(unasked, monkeypatch, tmp_path):
    monkeypatch.setenv("CAM_CACHE", str(tmp_path))
    load()
    (ours,) = tmp_path.glob("*.npz")
    monkeypatch.setattr(pixels, "TRAINED_ON", "0123456789abcdef")
    pixels.other.cache_clear()
    with pytest.warns(pixels.OtherPixels) as said:
        load()
        load()
    (only,) = [one for one in said if one.category is pixels.OtherPixels]
    words = str(only.message)
    assert only.filename == __file__, "it points at the line that asked for pictures"
    assert re.search(
        r"pillow [\d.]+ and resvg_py [\d.]+ draw other pixels than those the checkpoints were trained on", words
    )
    assert 'pip install "pillow==' in words
    assert len(set(tmp_path.glob("*.npz")) - {ours}) == 1


def test_grids_that_shrink_one_way_are_shrunk_that_way_first(monkeypatch):
    """Pillow 13 chooses this order by itself, older ones the other; 81×7 cells are the grid where it mattered."""
    steps, resize = [], Image.Image.resize

    def noted(self, size, *given):
        steps.append((self.size, tuple(size)))
        return resize(self, size, *given)

    monkeypatch.setattr(Image.Image, "resize", noted)
    textures.noise(pixels.Dice(1), 64, 3, 40, 2)
    assert steps == [((4, 41), (64, 64)), ((7, 81), (7, 64)), ((7, 64), (64, 64))]
