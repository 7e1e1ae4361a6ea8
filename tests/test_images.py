"""One reader for every picture: what the pixels must be, and what is refused with which words."""

import contextlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from cam_helpers.images import PictureError, read_picture


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_claiming(width, height):
    """A tiny PNG file whose header claims any size."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    idat = chunk(b"IDAT", zlib.compress(b"\0" * 64))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + idat + chunk(b"IEND", b"")


@pytest.fixture
def photo():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))


def test_rgb_pixels_are_unchanged(photo):
    image = read_picture(encoded(photo))
    assert image.dtype == torch.uint8 and image.shape == (3, 40, 60) and image.is_contiguous()
    assert np.array_equal(image.permute(1, 2, 0), np.asarray(photo))


@pytest.mark.parametrize("how", ["str", "path", "bytes", "bytearray", "buffer", "file", "unseekable", "pil"])
def test_every_kind_of_source_gives_the_same_picture(photo, tmp_path, how):
    path = tmp_path / "père.jpg"  # PNG bytes under a wrong extension: the content decides
    path.write_bytes(encoded(photo))
    data = path.read_bytes()

    class Stream:
        def read(self, n=-1):
            return data

    source = {
        "str": str(path),
        "path": path,
        "bytes": data,
        "bytearray": bytearray(data),
        "buffer": io.BytesIO(data),
        "file": path.open("rb"),
        "unseekable": Stream(),
        "pil": photo,
    }[how]
    assert torch.equal(read_picture(source), read_picture(encoded(photo)))
    if how in ("buffer", "file"):
        assert not source.closed  # it belongs to the caller
        source.close()


def test_grey_and_transparency():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = read_picture(encoded(Image.fromarray(grey)))
    assert all(np.array_equal(channel, grey) for channel in image)
    la = Image.new("LA", (3, 2), (0, 0))
    la.putpixel((1, 1), (40, 255))
    image = read_picture(encoded(la))
    assert image[:, 0, 0].tolist() == [255] * 3 and image[:, 1, 1].tolist() == [40] * 3
    rgba = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    rgba.putpixel((1, 0), (0, 0, 255, 51))  # a fifth of blue over white
    assert read_picture(encoded(rgba)).permute(1, 2, 0).tolist() == [[[255, 255, 255], [204, 204, 255]]]
    assert read_picture(encoded(Image.new("1", (4, 4), 1))).min() == 255


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_palette_with_transparency_is_laid_on_white(transparency):
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.putpixel((1, 0), 1)
    image = read_picture(encoded(picture, transparency=transparency))
    assert image[:, 0, 0].tolist() == [255] * 3 and image[:, 0, 1].tolist() == [0, 255, 0]
    assert read_picture(encoded(picture))[:, 0, 0].tolist() == [255, 0, 0]  # and an opaque one keeps its colour


def test_cmyk_jpeg_becomes_rgb():
    picture = Image.new("CMYK", (32, 32), (0, 255, 255, 0))  # full magenta and yellow: red
    red, green, blue = read_picture(encoded(picture, "JPEG", quality=95))[:, 16, 16].tolist()
    assert red > 245 and green < 10 and blue < 10


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_by_their_range_not_clipped(kind):
    deep = np.array([[0, 257, 25700, 65535]], dtype=np.uint16)
    for values in (deep, deep[:, :2]):  # the same scale whatever the brightest pixel
        image = read_picture(encoded(Image.fromarray(values), kind))
        assert image[0].tolist() == [[0, 1, 100, 255][: values.shape[1]]]


def test_big_endian_16_bits_and_32_bit_integers():
    little = encoded(Image.fromarray(np.array([[257, 25700]], dtype=np.uint16)), "TIFF")
    tags = {256: 2, 257: 1, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 4}
    entries = b"".join(
        struct.pack(">HHII" if t == 273 else ">HHIHxx", t, 4 if t == 273 else 3, 1, v) for t, v in tags.items()
    )
    big = (
        b"MM\0*"
        + struct.pack(">I", 12)
        + struct.pack(">HH", 257, 25700)
        + struct.pack(">H", len(tags))
        + entries
        + bytes(4)
    )
    assert read_picture(big).tolist() == read_picture(little).tolist() == [[[1, 100]]] * 3
    assert read_picture(Image.fromarray(np.array([[-5, 95]], dtype=np.int32)))[0].tolist() == [[0, 255]]


def test_float_pictures():
    unit = np.array([[0, 0.2, 1.0]], dtype=np.float32)
    assert read_picture(encoded(Image.fromarray(unit), "TIFF"))[0].tolist() == [[0, 51, 255]]
    wide = np.array([[-1000, np.nan, 1000]], dtype=np.float32)  # a scan in its own units
    assert read_picture(encoded(Image.fromarray(wide), "TIFF"))[0].tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations(orientation, mode):
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    stored = {  # how a camera that writes this tag has laid the pixels down
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).T,
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    pixels = stored.astype(np.uint16) * 257 if mode == "I;16" else stored
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture.convert("RGB") if mode == "RGB" else picture, exif=exif)
    assert read_picture(data)[0].tolist() == upright.tolist()


def test_broken_exif_does_not_lose_the_picture(photo):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read_picture(encoded(photo, "JPEG", exif=b"Exif\0\0II*\0\xff\xff")).shape == (3, 40, 60)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"<html>404 not found</html>", "not a picture.*JPEG or PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),  # would start another program
        (png_claiming(60000, 60000), "limit.*make it smaller"),
        (png_claiming(8000, 8000), r"8000×8000.*50,000,000.*max_pixels"),
        (png_claiming(0, 5), "damaged|no pixels|not a picture"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_refused_with_a_reason(data, words, strict):
    with warnings.catch_warnings():
        warnings.simplefilter("error" if strict else "default")
        with pytest.raises(PictureError, match=words):
            read_picture(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP"])
def test_cut_off_files_are_refused_and_named(photo, kind, tmp_path):
    path = tmp_path / "cut.bin"
    whole = encoded(photo, kind)
    path.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(PictureError, match=r"cut\.bin.*(cut off|not a picture)"):
        read_picture(path)


def test_damaged_bytes_raise_nothing_but_picture_error(photo):
    rng = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "TIFF", "GIF", "WEBP"):
        whole = np.frombuffer(encoded(photo, kind), np.uint8)
        for _ in range(40):
            broken = whole.copy()
            broken[rng.integers(0, len(broken), 8)] = rng.integers(0, 256, 8)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with contextlib.suppress(PictureError):
                    assert read_picture(broken.tobytes()).shape[0] == 3


def test_the_limit_can_be_chosen(photo):
    with pytest.raises(PictureError, match="60×40"):
        read_picture(photo, max_pixels=2399)
    assert read_picture(photo, max_pixels=2400).shape == (3, 40, 60)


def test_a_missing_file_and_a_wrong_type_say_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_picture(tmp_path / "nowhere.png")
    with pytest.raises(TypeError, match="got int"):
        read_picture(3)
