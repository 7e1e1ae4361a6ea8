"""COCO: what boxes, masks and words become, the choice of photographs, and files that cannot be trusted."""

import json

import numpy as np
import pytest
import torch
from dataset_trees import coco_files, coco_tree, opened, picture_bytes, put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import photo_sets
from photo_sets.outlines import draw_outlines, read_outline

pytestmark = pytest.mark.filterwarnings("ignore:.*problem:UserWarning")


def rectangle(left, top, right, bottom, size=(30, 40)):
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def test_boxes_masks_words_licence_and_source(tmp_path):
    ds = photo_sets.open("coco", coco_tree(tmp_path))
    assert repr(ds) == "coco (val): 3 pictures, 2 classes, masks for 2 of 3 objects, no problems"
    assert ds.classes == ds.object_names == ["cat", "laptop"]
    assert ds.labels.tolist() == [[1, 1], [1, 1], [0, 0]] and ds.labels.dtype == torch.float32
    assert [boxes.tolist() for boxes in ds.boxes] == [[[5, 5, 15, 15], [20.25, 10, 24.25, 18]], [[0, 0, 10, 30]], []]
    assert [kinds.tolist() for kinds in ds.objects] == [[0, 1], [1], []]
    assert [has.tolist() for has in ds.has_mask] == [[True, False], [True], []]
    assert torch.equal(ds.masks[0], torch.stack([rectangle(5, 5, 15, 15), rectangle(0, 0, 0, 0)]))
    assert torch.equal(ds.masks[1], rectangle(0, 0, 10, 30)[None])
    assert ds.masks[2].shape == (0, 30, 40)
    # where an object is whose outline is not known: the box without a mask, the crowd
    assert torch.equal(ds.ignore[0], rectangle(20, 10, 24, 18))
    assert torch.equal(ds.ignore[1], rectangle(20, 0, 40, 30)) and not ds.ignore[2].any()
    assert ds.captions[1] == ["a laptop", "a bench"]
    assert ds.licences == ["licence 1, http://licence/1"] + 2 * ["licence 4, http://licence/4"]
    assert ds.sources[2] == "http://flickr/3.jpg"


def test_masks_and_boxes_are_stretched_with_the_picture(tmp_path):
    ds = photo_sets.open("coco", coco_tree(tmp_path), size=(60, 40))
    assert torch.equal(ds.masks[0][0], rectangle(5, 10, 15, 30, (60, 40)))
    assert ds.boxes[0][0].tolist() == [5, 10, 15, 30] and ds.ignore[1].shape == (60, 40)


def test_photographs_are_chosen_by_words_and_by_licence(tmp_path):
    coco_tree(tmp_path)
    names = {k: str(tmp_path / "val2017" / f"{k:012d}.jpg") for k in (1, 2, 3)}
    for options, found in [
        ({"words": "laptop"}, [1]),  # two of three captions; one of two is not enough
        ({"words": "CAT"}, [1]),
        ({"words": lambda captions: any("laptop" in text for text in captions)}, [1, 2]),
        ({"licence": "free"}, [2, 3]),
        ({"licence": "free", "words": lambda captions: len(captions) == 1}, [3]),
        ({}, [1, 2, 3]),
    ]:
        assert photo_sets.open("coco", tmp_path, **options).paths == [names[k] for k in found]
    with pytest.raises(ValueError, match=r"no photograph of val2017 has words='tiger' and licence=None"):
        photo_sets.open("coco", tmp_path, words="tiger")
    with pytest.raises(ValueError, match="expected licence \"free\" or None, got 'paid'"):
        photo_sets.open("coco", tmp_path, licence="paid")


def test_a_photograph_turned_by_exif_has_boxes_and_no_masks(tmp_path):
    coco_tree(tmp_path)
    exif = bytes.fromhex("4578696600004d4d002a00000008000101120003000000010006000000000000")
    put(tmp_path / "val2017" / f"{1:012d}.jpg", picture_bytes(exif=exif))
    ds, found = opened(tmp_path, "coco")
    assert ds.sizes[0] == (40, 30) and ds.boxes[0].shape == (2, 4) and not ds.has_mask[0].any()
    assert found["val2017/000000000001.jpg"][0][1] == "boxes turned with the picture"


# -- outlines -----------------------------------------------------------------------------------------------------


def test_a_polygon_covers_the_pixels_whose_middle_it_holds():
    """A triangle with corners at pixel edges: (0,0), (8,0), (0,8) holds the middles with x + y < 8."""
    (mask,) = draw_outlines([read_outline([[0, 0, 8, 0, 0, 8]], (8, 8))], (8, 8), (8, 8))
    x = torch.arange(8) + 0.5
    inside, edge = x[:, None] + x < 8, x[:, None] + x == 8
    assert torch.equal(mask & ~edge, inside) and inside.sum() == 28


def packed(counts):
    """COCO's compressed text, as its specification has it: differences to the last but one, 5 bits a character."""
    text = ""
    for k, count in enumerate(counts):
        value = count - counts[k - 2] if k > 2 else count
        while True:
            digit, value = value & 31, value >> 5
            done = value == (-1 if digit & 16 else 0)
            text += chr(48 + digit + (0 if done else 32))
            if done:
                break
    return text


@settings(deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=12))
def test_runs_as_numbers_and_as_text_are_the_same_mask(counts):
    size = (sum(counts), 1)
    if not sum(counts):
        return
    expected = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size)
    for given_counts in (counts, packed(counts)):
        outline = read_outline({"size": list(size), "counts": given_counts}, size)
        assert np.array_equal(draw_outlines([outline], size, size)[0], expected)


def test_text_of_the_official_tool():
    """Written by pycocotools 2.0.11 for columns 2 to 4 of a 5×7 picture."""
    outline = read_outline({"size": [5, 7], "counts": ":?:"}, (5, 7))
    assert torch.equal(draw_outlines([outline], (5, 7), (5, 7))[0], rectangle(2, 0, 5, 5, (5, 7)))


HUGE = 10**400
JUNK = [
    5, "abc", [5], [[1, 2, 3]], [[1, 1, 2, 2]], [["a"] * 6], [[None] * 6], [[float("nan")] * 6], [[HUGE] * 6],
    [[[1, 2]]], [[float("inf")] * 6], {}, {"counts": [1200]}, {"size": [30, 40]}, {"size": [40, 30], "counts": [1200]},
    {"size": [30, 40], "counts": []}, {"size": [30, 40], "counts": [1199]}, {"size": [30, 40], "counts": [-1, 1201]},
    {"size": [30, 40], "counts": [2**62, 2**62, 2**62, 2**62, 1200]}, {"size": [30, 40], "counts": [HUGE]},
    {"size": [30, 40], "counts": "o" * 5000}, {"size": [30, 40], "counts": ""}, {"size": [30, 40], "counts": "é"},
    {"size": [30, 40], "counts": [[600, 600]]}, {"size": [30, 40], "counts": 1200}, {"size": None, "counts": [1200]},
]  # fmt: skip


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: str(junk)[:40])
def test_junk_for_an_outline_is_listed_and_the_box_is_kept(junk, tmp_path):
    assert read_outline(junk, (30, 40)) is None
    instances, captions = coco_files()
    instances["annotations"][0]["segmentation"] = junk
    ds, found = opened(coco_tree(tmp_path, (instances, captions)), "coco")
    assert len(ds) == 3 and not ds.has_mask[0].any() and ds.boxes[0].shape == (2, 4)
    if junk:  # nothing is no junk: it is how COCO says that there is no outline
        assert [action for _, action in found["val2017/000000000001.jpg"]] == ["object used without a mask"]


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_is_a_traceback(text):
    outline = read_outline({"size": [6, 7], "counts": text}, (6, 7))
    assert outline is None or draw_outlines([outline], (6, 7), (6, 7)).shape == (1, 6, 7)


# -- files that cannot be trusted ---------------------------------------------------------------------------------


def test_every_listed_photograph_is_a_picture_or_a_problem(tmp_path):
    instances, captions = coco_files()
    good = instances["images"][0]
    bad = [
        None, 5, [], {}, {"id": 9}, good | {"id": "9"}, good | {"id": 1.5},
        *({**good, "id": 10 + k, "file_name": name} for k, name in enumerate(
            ("../../../etc/passwd", "/etc/passwd", "..", ".", "", "a/b.jpg", "a\\b.jpg", "c:d.jpg", "a\0", "\ud800")
        )),
        *({**good, "id": 30 + k, "file_name": f"s{k}.jpg", "height": height} for k, height in enumerate(
            (0, -30, HUGE, 10**9, "30", None, 30.0, True)
        )),
        good | {"file_name": "same_number.jpg"}, good | {"id": 50},
        {**good, "id": 60, "file_name": "missing.jpg"}, {**good, "id": 61, "file_name": "cut.jpg"},
        {**good, "id": 62, "file_name": f"{'long' * 100}.jpg"}, {**good, "id": 63, "file_name": "other.jpg"},
    ]  # fmt: skip
    instances["images"] += bad
    coco_tree(tmp_path, (instances, captions))
    put(tmp_path / "val2017" / "cut.jpg", picture_bytes()[:300])
    put(tmp_path / "val2017" / "other.jpg", b"no picture")
    put(tmp_path / "val2017" / "unlisted.jpg", picture_bytes())
    ds, found = opened(tmp_path, "coco")
    assert len(ds) == 3 and len(ds) + len(ds.problems) == len(instances["images"]) + 1
    assert found["val2017/unlisted.jpg"] == [("is not listed in instances_val2017.json", "picture left out")]
    assert found["val2017/missing.jpg"] == [("is missing", "picture left out")]
    assert all(path.startswith(str(tmp_path / "val2017")) for path in ds.paths)


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ({"bbox": [5, 5, -2, 10]}, "corners exchanged"),
        ({"bbox": [5, 5, 0, 10]}, "box left out"),
        ({"bbox": [5, 5, HUGE, 10]}, "box left out"),
        ({"bbox": [float("nan"), 5, 10, 10]}, "box left out"),
        ({"bbox": [100, 100, 10, 10]}, "box left out"),
        ({"bbox": [30, 5, 20, 10]}, "box cut at the edge"),
        ({"bbox": [None, "x", [], {}]}, "box left out"),
        ({"bbox": [1, 2, 3]}, "object left out"),
        ({"bbox": None}, "entry left out"),
        ({"bbox": []}, "object left out"),
        ({"category_id": 8}, "object left out"),
        ({"category_id": [7]}, "entry left out"),
        ({"image_id": 99}, "object left out"),
        ({"image_id": None}, "entry left out"),
    ],
    ids=str,
)
def test_objects_that_are_not_as_they_should_be(change, action, tmp_path):
    instances, captions = coco_files()
    instances["annotations"][0] |= change
    ds, found = opened(coco_tree(tmp_path, (instances, captions)), "coco")
    assert len(ds) == 3 and [a for problems in found.values() for _, a in problems] == [action]
    assert len(ds.boxes[0]) == len(ds.masks[0]) == (2 if action in ("corners exchanged", "box cut at the edge") else 1)
    assert ds.ignore[0].shape == (30, 40)


@pytest.mark.parametrize("key", ["images", "annotations", "categories", "licenses"])
@pytest.mark.parametrize("value", [None, 5, {}, "text"])
def test_a_list_that_is_none(key, value, tmp_path):
    instances, captions = coco_files()
    instances[key] = value
    coco_tree(tmp_path, (instances, captions))
    if key == "images":
        with pytest.raises(photo_sets.MissingData, match=r"images\[0\] has not id"):
            photo_sets.open("coco", tmp_path)
    else:
        ds, found = opened(tmp_path, "coco")
        assert len(ds) == 3 and "annotations/instances_val2017.json" in found


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "5", "null", "[" * 100_000, '{"images": 1' + "0" * 5000 + "}"])
def test_a_file_that_is_no_json_of_this_kind(content, tmp_path):
    coco_tree(tmp_path)
    for name in ("instances_val2017.json", "captions_val2017.json"):
        before = (tmp_path / "annotations" / name).read_bytes()
        put(tmp_path / "annotations" / name, content)
        with pytest.raises(photo_sets.MissingData, match=rf"{name} is damaged .*delete it"):
            photo_sets.open("coco", tmp_path)
        put(tmp_path / "annotations" / name, before)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "bbox", "size", "counts"]), inner)
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
def test_anything_in_the_place_of_anything(data, tmp_path):
    """Three values somewhere in the two files are replaced: no error but MissingData, every photo is accounted for."""
    files = coco_files()
    for _ in range(3):
        place = data.draw(st.sampled_from(files))
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and place[key] and data.draw(st.integers(0, 4)):
                place = place[key]
                continue
            place[key] = data.draw(anything)
            break
    coco_tree(tmp_path, files)
    listed = files[0].get("images")
    try:
        ds, _ = opened(tmp_path, "coco")
    except photo_sets.MissingData:
        return
    for i in range(len(ds)):
        assert len(ds.masks[i]) == len(ds.boxes[i]) and ds.ignore[i].shape == ds.sizes[i]
    assert len(ds) + len(ds.problems) >= len(listed) if isinstance(listed, list) else ds.problems
    json.dumps([list(problem) for problem in ds.problems])
