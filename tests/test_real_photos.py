"""On real photographs with real weights: the map of the dog lies on the dog, and any picture file goes all the way."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from cam_helpers import CamModel
from cam_helpers.images import read_picture
from cam_helpers.networks import pretrained

# The two animals of photos/both.png (224×224), as one would draw their boxes by eye: xyxy. The boxes overlap a little
# (the dog sits behind the cat); the faces, at which most maps point, are far apart.
DOG, CAT = (77, 14, 165, 148), (45, 119, 200, 224)
BULL_MASTIFF, TABBY = 243, 281  # what the networks call this bulldog; 245 would be the French one
DOGS = range(151, 269)
WHOLE = [224, 256, 320, 448]  # sides at which the whole picture is looked at, not cropped


@pytest.fixture(scope="module")
def networks(test_data):
    """name -> (wrapped network, its weights)"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(test_data / "torch_home"))
        patch.setenv("CAM_OFFLINE", "1")
        patch.setattr(torch.hub, "_hub_dir", None)
        found = {name: pretrained(name) for name in ("mobilenet_v2", "squeezenet1_1", "efficientnet_lite0")}
    return {name: (CamModel(network), weights) for name, (network, weights) in found.items()}


@pytest.fixture(scope="module")
def both(test_data):
    return read_picture(test_data / "photos" / "both.png")


def peak(heat, crop=0.0):
    """The middle of the hottest cell of a map (h,w), in pixels of the picture. crop: the part cut off at each edge."""
    (y, x), (h, w) = divmod(int(heat.argmax()), heat.shape[1]), heat.shape
    return [224 * (crop + (1 - 2 * crop) * (i + 0.5) / n) for i, n in ((x, w), (y, h))]


def inside(point, box, slack=0.0):
    (x, y), (x1, y1, x2, y2) = point, box
    return x1 - slack <= x < x2 + slack and y1 - slack <= y < y2 + slack


def cams_of_whole(networks, name, both, side):
    model, weights = networks[name]
    cams = model(weights.transforms(resize_size=side, crop_size=side)(both)[None])
    assert cams.identity_error() <= 1e-4
    return cams


@pytest.mark.parametrize("side", WHOLE)
@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_lite0"])
def test_the_maxima_lie_on_the_dog_and_on_the_cat(networks, name, both, side):
    dog, cat = cams_of_whole(networks, name, both, side).maps([BULL_MASTIFF, TABBY])[0]
    assert inside(peak(dog), DOG)
    assert inside(peak(cat), CAT)


@pytest.mark.parametrize("side", WHOLE)
def test_squeezenet_finds_the_dog_and_what_speaks_for_a_cat_rather_than_a_dog(networks, both, side):
    """Cat and dog share parts (lecture 14:20): in most sizes this network's tabby map is highest on the dog's face,
    which it takes for a cat's too. What speaks for the cat *rather than* the dog, the difference, is on the cat."""
    dog, cat = cams_of_whole(networks, "squeezenet1_1", both, side).maps([BULL_MASTIFF, TABBY])[0]
    assert inside(peak(dog), DOG)
    assert inside(peak(cat - dog), CAT)


def test_with_the_weights_own_transforms_the_hottest_cells_touch_the_animals(networks, both):
    """256 pixels, the middle 224 of them: one of the 7×7 cells is 28 pixels wide in the picture, the slack its half."""
    model, weights = networks["mobilenet_v2"]
    cams = model(weights.transforms()(both)[None])
    dog, cat = cams.maps([BULL_MASTIFF, TABBY])[0]
    assert cams.logits.argmax() == BULL_MASTIFF and cams.identity_error() <= 1e-4
    assert inside(peak(dog, crop=1 / 16), DOG, slack=14)
    assert inside(peak(cat, crop=1 / 16), CAT)


# -- files of all kinds, all the way ------------------------------------------------------------------------------


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me by 90° to the right"
    return saved(photo.rotate(90, expand=True), "PNG", exif=exif)


def deep(photo):
    return saved(Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257), "PNG")


FILES = {  # -> (bytes, the picture whose scores it must have, or None where the colours are only about the same)
    "RGBA": lambda photo: (saved(photo.convert("RGBA"), "PNG"), photo),
    "turned by EXIF": lambda photo: (turned(photo), photo),
    "grey": lambda photo: (saved(photo.convert("L"), "PNG"), photo.convert("L").convert("RGB")),
    "16-bit grey": lambda photo: (deep(photo), photo.convert("L").convert("RGB")),
    "palette": lambda photo: (saved(photo.quantize(256), "GIF"), photo.quantize(256).convert("RGB")),
    "CMYK JPEG": lambda photo: (saved(photo.convert("CMYK"), "JPEG", quality=95), None),
}


@pytest.mark.parametrize("kind", FILES)
def test_any_picture_file_goes_all_the_way_to_the_maps(networks, test_data, kind):
    data, twin = FILES[kind](Image.open(test_data / "photos" / "both.png").convert("RGB"))
    model, weights = networks["mobilenet_v2"]
    cams = model(weights.transforms()(read_picture(data))[None])
    assert cams.maps([BULL_MASTIFF], size=(224, 224)).shape == (1, 1, 224, 224) and cams.identity_error() <= 1e-4
    assert int(cams.logits.argmax()) in DOGS
    if twin is not None:
        expected = model(weights.transforms()(read_picture(twin))[None])
        torch.testing.assert_close(cams.logits, expected.logits, rtol=1e-4, atol=1e-4)
