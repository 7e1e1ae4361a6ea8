"""Bad data: what is usable is used, every problem is listed once with file and reason, and nothing breaks later."""

import os
import struct
import zlib

import pytest
from dataset_trees import (
    BOMB,
    class_folders,
    opened,
    picture_bytes,
    put,
    voc_xml,
)
from PIL import Image

import photo_sets
from cam_helpers.images import PictureError
from photo_sets.checking import inspect_picture

pytestmark = pytest.mark.filterwarnings("ignore:.*problem:UserWarning")

STEALER = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY s SYSTEM "file:///etc/hostname">]>
<annotation><object><name>&s;</name></object></annotation>"""


def with_xml(root, xml, picture=None):
    """One class, one good annotated picture and one whose annotation is under test."""
    class_folders(root, ("cat",), 1)
    put(root / "cat" / "cat0.xml", voc_xml(("cat", 1, 1, 10, 10)))
    put(root / "cat" / "odd.jpg", picture or picture_bytes())
    put(root / "cat" / "odd.xml", xml)
    ds, found = opened(root)
    assert len(ds) == 2 and ds.boxes[0].tolist() == [[0, 0, 10, 10]]
    return ds.boxes[1].tolist(), found


def test_bad_pictures_are_left_out_and_listed(tmp_path):
    class_folders(tmp_path)
    whole = picture_bytes(400, 300)
    huge = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    header = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + huge + struct.pack(">I", zlib.crc32(b"IHDR" + huge))
    )
    bad = {
        "cat/truncated.jpg": (whole[: len(whole) // 2], "cut off"),
        "cat/cut.png": (picture_bytes(kind="PNG")[:900], "cut off"),
        "cat/empty.jpg": (b"", "empty"),
        "dog/page.jpg": (b"<html>403 Forbidden</html>", "not a picture"),
        "dog/notes.txt": (b"two dogs", "not a picture"),
        "dog/huge.png": (header + struct.pack(">I", 9) + b"IDAT", "limit"),
    }
    for name, (data, _) in bad.items():
        put(tmp_path / name, data)
    for litter in ("cat/.DS_Store", "cat/Thumbs.db", "__MACOSX/cat/._cat0.jpg", ".git/cat.jpg"):
        put(tmp_path / litter, b"x")
    ds, found = opened(tmp_path)
    assert len(ds) == 6 and ds.classes == ["cat", "dog"] and set(found) == set(bad)
    for name, (_, words) in bad.items():
        ((reason, action),) = found[name]
        assert any(word in reason for word in words.split("|")) and action == "picture left out"
        assert str(tmp_path) not in reason


def test_without_the_check_a_cut_off_picture_raises_when_it_is_used(tmp_path):
    class_folders(tmp_path, ("cat",), 1)
    whole = picture_bytes(400, 300)
    put(tmp_path / "cat" / "z.jpg", whole[: len(whole) // 2])
    ds = photo_sets.open("imagefolder", tmp_path, check=False)
    assert len(ds) == 2 and ds.sizes[1] == (300, 400)
    with pytest.raises(PictureError, match=r"z\.jpg.*cut off"):
        ds[1]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_the_quick_look_sees_what_the_reader_sees(tmp_path, part):
    for options in ({}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}):
        whole = picture_bytes(200, 150, **options)
        path = put(tmp_path / "p.jpg", whole)
        assert inspect_picture(path).size == (150, 200) and inspect_picture(path).note == ""
        with pytest.raises(PictureError):
            inspect_picture(put(path, whole[: int(len(whole) * part)]))


def test_odd_pictures_are_used(tmp_path):
    class_folders(tmp_path, ("cat",), 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    odd = {
        "grey.jpg": picture_bytes(mode="L"),
        "rgba.png": picture_bytes(kind="PNG", mode="RGBA"),
        "palette.gif": picture_bytes(kind="GIF", mode="P"),
        "cmyk.jpg": picture_bytes(mode="CMYK"),
        "turned.jpg": picture_bytes(exif=exif),
        "UPPER.JPG": picture_bytes(),
        "really_png.jpg": picture_bytes(kind="PNG"),
        "no_extension": picture_bytes(),
    }
    for name, data in odd.items():
        put(tmp_path / "cat" / name, data)
    ds, found = opened(tmp_path)
    assert len(ds) == 9
    sizes = dict(zip(map(os.path.basename, ds.paths), ds.sizes, strict=True))
    assert sizes.pop("turned.jpg") == (40, 30) and set(sizes.values()) == {(30, 40)}
    assert found == {
        "cat/really_png.jpg": [("holds PNG, which its name does not say", "picture used")],
        "cat/no_extension": [("holds JPEG, which its name does not say", "picture used")],
    }


def test_names_that_are_not_utf8(tmp_path):
    root = os.fsencode(tmp_path)
    try:
        put(root + b"/caf\xe9/th\xe9.jpg", picture_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    put(root + b"/caf\xe9/th\xe9.xml", voc_xml(("x", 1, 1, 5, 5)))
    put(root + "/größe/<b>&amp;.jpg".encode(), picture_bytes())
    put(root + "/größe/<b>&amp;.xml".encode(), "no xml")
    ds, found = opened(tmp_path)
    assert ds.classes == ["caf\\xe9", "größe"] and len(ds) == 2 and len(ds.boxes[0]) == 1
    assert found["caf\\xe9/th\\xe9.jpg"] == [("its name is not UTF-8", "picture used")]
    for text in (repr(ds), ds.report().to_string(), ds._repr_html_(), str(ds.problems)):
        text.encode("utf-8")  # can be shown anywhere
    assert "größe/&lt;b&gt;&amp;amp;.xml" in ds._repr_html_()  # and a name is no markup
    assert "2 pictures, 2 classes, 2 problems" in ds._repr_html_()


@pytest.mark.parametrize(
    ("box", "expected", "reason", "action"),
    [
        ((5, 5, 5, 20), [], "no area", "left out"),
        ((5, 5, 5, 5), [], "no area", "left out"),
        ((20, 25, 5, 6), [[4, 5, 20, 25]], "inverted", "exchanged"),
        ((30, 20, 70, 90), [[29, 19, 40, 30]], "reaches out", "cut"),
        ((-9, -9, 8, 8), [[0, 0, 8, 8]], "reaches out", "cut"),
        ((100, 100, 120, 130), [], "outside", "left out"),
        (("nan", 1, 5, 5), [], "no number", "left out"),
        (("left", 1, 5, 5), [], "no number", "left out"),
        (("1e300", 1, 5, 5), [], "no number", "left out"),
        (("", "", "", ""), [], "no number", "left out"),
    ],
)
def test_bad_boxes(tmp_path, box, expected, reason, action):
    boxes, found = with_xml(tmp_path, voc_xml(("cat", *box), ("cat", 2, 3, 12, 13)))
    assert boxes == [*expected, [1, 2, 12, 13]]  # the good one stays
    ((said, done),) = found["cat/odd.jpg"]
    assert reason in said and action in done and "box 1" in said


def test_a_box_that_counts_from_zero_is_not_a_mistake(tmp_path):
    boxes, found = with_xml(tmp_path, voc_xml(("cat", 0, 0, 40, 30)))
    assert boxes == [[0, 0, 40, 30]] and not found


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (BOMB, "entities"),
        (STEALER, "entities"),
        ("<annotation><object>", "well-formed"),
        ("", "well-formed"),
        (b"\xff\xfe\x00junk", "well-formed"),
        (b"<annotation><object><name>caf\xe9</name></object></annotation>", "well-formed"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "well-formed"),
        ("<kml><object/></kml>", "root is <kml>"),
        ("<annotation>" + " " * 10_000_001 + "</annotation>", "10 MB"),
    ],
)
def test_bad_xml_costs_the_boxes_and_not_the_picture(tmp_path, xml, reason):
    boxes, found = with_xml(tmp_path, xml)
    assert boxes == []
    ((said, action),) = found["cat/odd.xml"]
    assert reason in said and action == "picture used without boxes"


def test_declared_sizes(tmp_path):
    whole = (1, 1, 40, 30)
    boxes, found = with_xml(tmp_path / "zero", voc_xml(("cat", *whole), size=(0, 0)))
    assert boxes == [[0, 0, 40, 30]] and found["cat/odd.jpg"][0][1] == "boxes used as they are"
    boxes, found = with_xml(tmp_path / "none", voc_xml(("cat", *whole), size=None))
    assert boxes == [[0, 0, 40, 30]] and not found
    boxes, found = with_xml(tmp_path / "twice", voc_xml(("cat", 21, 21, 80, 60), size=(80, 60)))
    assert boxes == [[10, 10, 40, 30]] and found["cat/odd.jpg"][0][1] == "boxes scaled with the picture"
    boxes, found = with_xml(tmp_path / "other", voc_xml(("cat", *whole), size=(99, 30)))
    assert boxes == [] and found["cat/odd.jpg"] == [
        ("its annotation: is for a picture of 99×30, it is 40×30", "boxes left out")
    ]


def test_boxes_drawn_on_a_photo_before_it_was_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored 40×30, shown 30×40: the stored left edge is the upper edge
    boxes, found = with_xml(tmp_path, voc_xml(("cat", 1, 1, 10, 30)), picture_bytes(exif=exif))
    assert boxes == [[0, 0, 30, 10]] and found["cat/odd.jpg"][0][1] == "boxes turned with the picture"


def test_missing_orphaned_shared_and_foreign_annotations(tmp_path):
    class_folders(tmp_path, ("cat", "dog"), 2)
    put(tmp_path / "annotations" / "cat0.xml", voc_xml(("cat", 1, 1, 9, 9), ("dog", 5, 5, 20, 20)))
    put(tmp_path / "annotations" / "nobody.xml", voc_xml(("cat", 1, 1, 9, 9)))
    put(tmp_path / "annotations" / "classes.txt", "cat\ndog")
    for name in ("cat", "dog"):
        put(tmp_path / name / "same.jpg", picture_bytes())
    put(tmp_path / "annotations" / "same.xml", voc_xml(("cat", 1, 1, 9, 9)))
    put(tmp_path / "stray.jpg", picture_bytes())
    ds, found = opened(tmp_path)
    assert len(ds) == 6 and ds.boxes[0].tolist() == [[0, 0, 9, 9]] and sum(map(len, ds.boxes)) == 1
    without = "picture used without boxes"
    shared = ("shares its annotation with a picture of the same name", without)
    assert found == {
        "cat/cat0.jpg": [("has boxes of 'dog', its class is 'cat'", "boxes left out")],
        "cat/cat1.jpg": [("has no annotation", without)],
        "dog/dog0.jpg": [("has no annotation", without)],
        "dog/dog1.jpg": [("has no annotation", without)],
        "cat/same.jpg": [shared],
        "dog/same.jpg": [shared],
        "annotations/nobody.xml": [("belongs to no picture", "file left out")],
        "annotations/classes.txt": [("belongs to no picture", "file left out")],
        "stray.jpg": [("lies in no folder of pictures", "file left out")],
    }


def test_empty_classes_keep_their_number(tmp_path):
    class_folders(tmp_path, ("ape", "cow"))
    (tmp_path / "bee").mkdir()
    put(tmp_path / "dab" / "bad.jpg", b"x")
    ds, found = opened(tmp_path)
    assert ds.classes == ["ape", "bee", "cow", "dab"] and ds.labels.tolist() == [0, 0, 0, 2, 2, 2]
    assert found["bee"] == found["dab"] == [("this class has no usable picture", "class kept, empty")]


def test_nothing_usable_is_an_error_with_the_reasons(tmp_path):
    with pytest.raises(photo_sets.MissingData, match="no picture file at all"):
        photo_sets.open("imagefolder", tmp_path)
    put(tmp_path / "cat" / "a.jpg", b"x")
    with pytest.raises(photo_sets.MissingData, match=r"cat/a\.jpg: it is not a picture"):
        photo_sets.open("imagefolder", tmp_path)


def test_the_reader_is_told_once(tmp_path):
    class_folders(tmp_path, ("cat",), 1)
    put(tmp_path / "cat" / "bad.jpg", b"x")
    with pytest.warns(UserWarning) as caught:
        ds = photo_sets.open("imagefolder", tmp_path)
    assert len(caught) == 1 and "1 problem, see .report()" in str(caught[0].message)
    assert list(ds.report().columns) == ["file", "reason", "action"] and "bad.jpg" in ds._repr_html_()
