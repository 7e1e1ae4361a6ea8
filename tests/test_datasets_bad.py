"""Bad data: what is usable is used, every problem is listed once with file and reason, and nothing breaks later."""

import io
import os
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torch
from dataset_trees import (
    ade_tree,
    class_folders,
    imagenette_tree,
    map_png,
    pets_tree,
    picture_bytes,
    put,
    trimap,
    voc_tree,
    voc_xml,
)
from PIL import Image

from cam_helpers import datasets
from cam_helpers.datasets.checking import look_at
from cam_helpers.images import PictureError

pytestmark = pytest.mark.filterwarnings("ignore:.*problem:UserWarning")

BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation><object><name>&c;</name></object></annotation>"""
STEALER = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY s SYSTEM "file:///etc/hostname">]>
<annotation><object><name>&s;</name></object></annotation>"""


def opened(root, name="imagefolder", **options):
    """Open, use every part of every entry, and give the problems as {file: [(reason, action), …]}."""
    ds = datasets.open(name, root, **options)
    for i in range(len(ds)):
        image, target = ds[i]
        boxes = target.get("boxes", torch.zeros(0, 4))
        assert image.shape == (3, *ds.sizes[i]) and boxes.shape == (len(boxes), 4)
        height, width = ds.sizes[i]
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert len(set(ds.problems)) == len(ds.problems) == len(ds.report())
    found = {}
    for file, reason, action in ds.problems:
        assert file and reason and action
        found.setdefault(file, []).append((reason, action))
    return ds, found


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
    ds = datasets.open("imagefolder", tmp_path, check=False)
    assert len(ds) == 2 and ds.sizes[1] == (300, 400)
    with pytest.raises(PictureError, match=r"z\.jpg.*cut off"):
        ds[1]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_the_quick_look_sees_what_the_reader_sees(tmp_path, part):
    for options in ({}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}):
        whole = picture_bytes(200, 150, **options)
        path = put(tmp_path / "p.jpg", whole)
        assert look_at(path).size == (150, 200) and look_at(path).note == ""
        with pytest.raises(PictureError):
            look_at(put(path, whole[: int(len(whole) * part)]))


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
    with pytest.raises(datasets.MissingData, match="no picture file at all"):
        datasets.open("imagefolder", tmp_path)
    put(tmp_path / "cat" / "a.jpg", b"x")
    with pytest.raises(datasets.MissingData, match=r"cat/a\.jpg: it is not a picture"):
        datasets.open("imagefolder", tmp_path)


def hostile_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/a.jpg", picture_bytes())
        archive.writestr("../outside.txt", "x")
        archive.writestr("/tmp_absolute.txt", "x")
        archive.writestr("cat/../../outside.txt", "x")
        archive.writestr("..\\outside.txt", "x")
        link = zipfile.ZipInfo("cat/link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc")
        archive.writestr("cat/link/hosts2", "x")


def hostile_tar(path):
    with tarfile.open(path, "w:gz") as archive:

        def member(name, data=b"x", **kind):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in kind.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))

        member("cat/a.jpg", picture_bytes())
        member("../outside.txt")
        member("/tmp_absolute.txt")
        member("cat/../../outside.txt")
        member("cat/link", b"", type=tarfile.SYMTYPE, linkname="/etc")
        member("cat/pipe", b"", type=tarfile.FIFOTYPE)


@pytest.mark.parametrize(("name", "make", "refused"), [("p.zip", hostile_zip, 5), ("p.tar.gz", hostile_tar, 5)])
def test_archives_cannot_write_outside_their_folder(tmp_path, name, make, refused):
    place = tmp_path / "deep" / "place"
    place.mkdir(parents=True)
    make(place / name)
    ds = datasets.open("imagefolder", place / name)
    assert [os.path.relpath(p, place) for p in ds.paths] == ["p/cat/a.jpg"]
    left_out = [p for p in ds.problems if p.action == "member left out"]
    assert len(left_out) == refused and all("outside" in p.reason or "link" in p.reason for p in left_out)
    everything = {os.path.relpath(os.path.join(at, f), tmp_path) for at, _, files in os.walk(tmp_path) for f in files}
    assert everything - {"deep/place/p/cat/link/hosts2"} == {f"deep/place/{name}", "deep/place/p/cat/a.jpg"}
    assert not os.path.exists("/tmp_absolute.txt") and not any(
        os.path.islink(p) for p in (place / "p" / "cat").iterdir()
    )


def test_damaged_and_swollen_archives_leave_nothing_behind(tmp_path):
    hostile_tar(tmp_path / "whole.tar.gz")
    data = (tmp_path / "whole.tar.gz").read_bytes()
    for name, content in {"cut.tar.gz": data[: len(data) // 2], "no.zip": b"not an archive"}.items():
        put(tmp_path / name, content)
        with pytest.raises(ValueError, match="cannot be unpacked"):
            datasets.unpack(tmp_path / name, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "big.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
    with pytest.raises(ValueError, match="more than"):
        datasets.unpack(tmp_path / "big.zip", tmp_path / "out", max_bytes=9_000_000)
    with pytest.raises(FileExistsError):
        datasets.unpack(tmp_path / "big.zip", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.zip", "cut.tar.gz", "no.zip", "whole.tar.gz"]


def test_bad_pets(tmp_path):
    base = pets_tree(tmp_path)
    marks = base / "annotations" / "trimaps"
    put(base / "images" / "Abyssinian_1.jpg", picture_bytes()[:200])
    (base / "images" / "Abyssinian_2.jpg").unlink()
    (marks / "Abyssinian_3.png").unlink()
    put(marks / "Abyssinian_4.png", map_png(trimap((1, 1, 5, 5), 20, 20)))
    put(marks / "Abyssinian_5.png", map_png(np.full((30, 40), 2)))
    put(marks / "yorkshire_terrier_1.png", b"x")
    put(marks / "yorkshire_terrier_2.png", picture_bytes(kind="PNG"))
    with open(base / "annotations" / "trainval.txt", "ab") as file:
        file.write(b"no_number x 1 1\n\nAbyssinian_1\n")
    ds, found = opened(tmp_path, "pets")
    assert len(ds) == 8 and len(found) == 8
    assert "line 11" in found["annotations/trainval.txt"][0][0] and len(found["annotations/trainval.txt"]) == 2
    assert found["images/Abyssinian_2.jpg"] == [("is listed and not there", "picture left out")]
    assert found["annotations/trimaps/Abyssinian_3.png"][0][0] == "is missing"
    assert "20×20" in found["annotations/trimaps/Abyssinian_4.png"][0][0]
    assert ds.ignore[0].all() and not ds.masks[0].any() and ds.boxes[0].shape == (0, 4)


def test_bad_voc(tmp_path):
    base = voc_tree(tmp_path)
    put(base / "Annotations" / "000001.xml", voc_xml(("dragon", 1, 1, 5, 5), ("cat", 1, 1, 5, 5)))
    put(base / "ImageSets" / "Main" / "trainval.txt", "000001\n000002\n000009\n\n../../000001\n")
    put(base / "Annotations" / "000002.xml", BOMB)
    ds, found = opened(tmp_path, "voc2007")
    assert len(ds) == 2 and ds.labels.sum() == 2 and len(ds.boxes[0]) == 1
    assert "'dragon'" in found["Annotations/000001.xml"][0][0]
    assert found["JPEGImages/000009.jpg"] == [("has no annotation", "picture left out: its classes are unknown")]
    assert found["Annotations/000002.xml"][0][1] == "picture left out: its classes are unknown"


def test_bad_imagenette(tmp_path):
    base = imagenette_tree(tmp_path)
    for file in (base / "train" / "n01440764").iterdir():
        file.unlink()
    put(base / "train" / "n02102040" / "named.png", picture_bytes())
    ds, found = opened(tmp_path, "imagenette")
    assert ds.classes == ["tench", "English springer"] and ds.labels.tolist() == [1, 1, 1, 1]
    assert set(found) == {"tench", "train/n02102040/named.png"}


def test_bad_ade20k(tmp_path):
    base = ade_tree(tmp_path)
    (base / "annotations" / "training" / "ADE_train_00000001.png").unlink()
    (base / "images" / "training" / "ADE_train_00000002.jpg").unlink()
    put(base / "images" / "training" / "unknown.jpg", picture_bytes())
    (base / "objectInfo150.txt").unlink()
    with open(base / "sceneCategories.txt", "ab") as file:
        file.write(b"only_one_word\n")
    ds, found = opened(tmp_path, "ade20k_scenes")
    assert len(ds) == 2 and not ds.masks[0].any() and ds.masks[1].any() and len(found) == 5
    assert found["images/training/ADE_train_00000002.jpg"] == [("is listed and not there", "picture left out")]
    assert ds.object_classes[7] == "object 7"


def test_bad_csv(tmp_path):
    for name in "ab":
        put(tmp_path / "images" / f"{name}.jpg", picture_bytes())
    rows = [
        "a.jpg,1,40,30,1,1,5,5",
        "a.jpg,1,40,30,9,9,9,20",  # no area
        "a.jpg,2,40,30,1,1,5,5",  # another class
        "a.jpg,1,forty,30,1,1,5,5",
        "a.jpg,1,0,30,1,1,5,5",
        "../../x.jpg,1,40,30,1,1,5,5",
        "c.jpg,1,40,30,1,1,5,5",  # no such picture
        "a.jpg",
        "b.jpg,1000,40,30,1,1,5,5",
    ]
    table = put(tmp_path / "boxes.csv", "\ufeffimage,class_index,orig_w,orig_h,x0,y0,x1,y1\n" + "\n".join(rows))
    ds, found = opened(tmp_path, "ilsvrc_csv")
    assert len(ds) == 1 and ds.boxes[0].tolist() == [[1, 1, 6, 6]]
    assert len(found["boxes.csv"]) == 6 and set(found) == {"boxes.csv", "images/a.jpg", "images/b.jpg", "images/c.jpg"}
    put(table, "picture,x\n")
    with pytest.raises(ValueError, match="no column image"):
        datasets.open("ilsvrc_csv", tmp_path)


def test_the_reader_is_told_once(tmp_path):
    class_folders(tmp_path, ("cat",), 1)
    put(tmp_path / "cat" / "bad.jpg", b"x")
    with pytest.warns(UserWarning) as caught:
        ds = datasets.open("imagefolder", tmp_path)
    assert len(caught) == 1 and "1 problem, see .report()" in str(caught[0].message)
    assert list(ds.report().columns) == ["file", "reason", "action"] and "bad.jpg" in ds._repr_html_()
