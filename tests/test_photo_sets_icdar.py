"""ICDAR 2015: what words, outlines and tiles become, and files that cannot be trusted."""

import pytest
import torch
from dataset_trees import icdar_tree, opened, picture_bytes, put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import photo_sets
from photo_sets.icdar2015 import tiles

pytestmark = pytest.mark.filterwarnings("ignore:.*problem:UserWarning")


def rectangle(left, top, right, bottom, size=(30, 40)):
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def test_words_outlines_and_what_is_not_legible(tmp_path):
    ds = photo_sets.open("icdar2015", icdar_tree(tmp_path))
    assert repr(ds) == "icdar2015 (test): 3 pictures, 1 classes, masks for 2 of 2 objects, no problems"
    assert [path[-10:] for path in ds.paths] == ["/img_1.jpg", "/img_2.jpg", "img_10.jpg"]
    assert ds.labels.tolist() == [[1], [0], [0]] and ds.classes == ds.object_names == ["text"]
    assert ds.words == [["Exit", "a, b"], [], []]
    assert [boxes.tolist() for boxes in ds.boxes] == [[[5, 5, 15, 15], [19, 10, 30, 18]], [], []]
    assert torch.equal(ds.masks[0][0], rectangle(5, 5, 15, 15)) and 50 < ds.masks[0][1].sum() < 70  # slanting: 60
    assert torch.equal(ds.ignore[0], rectangle(30, 20, 40, 30))
    assert torch.equal(ds.ignore[1], rectangle(0, 0, 10, 10)) and not ds.ignore[2].any()
    big = photo_sets.open("icdar2015", tmp_path, size=(60, 40))
    assert torch.equal(big.masks[0][0], rectangle(5, 10, 15, 30, (60, 40)))


@pytest.mark.parametrize(
    ("split", "folders"),
    [
        ("train", ("ch4_training_images", "ch4_training_localization_transcription_gt")),
        ("train", ("images", "gt")),
        ("test", ("images", "gt")),
    ],
)
def test_the_folders_of_the_archives_or_plain_ones(split, folders, tmp_path):
    assert len(photo_sets.open("icdar2015", icdar_tree(tmp_path, folders), split)) == 3


def test_missing_data_name_folders_archives_and_source(tmp_path):
    with pytest.raises(photo_sets.MissingData, match=r"expected .*images and .*gt: get ch4_test_images.zip and .*ch=4"):
        photo_sets.open("icdar2015", tmp_path)


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("5,5,15,5,15,15,5", "line left out"),
        ("5,5,15,5,15,15,5,15,", "line left out"),
        ("word", "line left out"),
        ("a,5,15,5,15,15,5,15,word", "word left out"),
        ("nan,5,15,5,15,15,5,15,###", "word left out"),
        (f"{'9' * 5000},5,15,5,15,15,5,15,word", "word left out"),
        ("5,5,5,5,5,5,5,5,word", "box left out"),
        ("100,100,110,100,110,110,100,110,word", "box left out"),
        ("30,10,50,10,50,20,30,20,word", "box cut at the edge"),
        ("-5,-5,5,-5,5,5,-5,5,word", "box cut at the edge"),
    ],
    ids=lambda text: text[:30],
)
def test_lines_that_are_not_as_they_should_be(line, action, tmp_path):
    path = icdar_tree(tmp_path) / "Challenge4_Test_Task1_GT" / "gt_img_2.txt"
    put(path, "5,5,15,5,15,15,5,15,good\n" + line)
    ds, found = opened(tmp_path, "icdar2015")
    assert len(ds) == 3 and [a for problems in found.values() for _, a in problems] == [action]
    assert ds.words[1] == ["good"] + ["word"] * (action == "box cut at the edge")
    assert len(ds.masks[1]) == len(ds.boxes[1]) == len(ds.words[1])


def test_every_picture_and_every_file_is_used_or_listed(tmp_path):
    photos, notes = (icdar_tree(tmp_path) / name for name in ("ch4_test_images", "Challenge4_Test_Task1_GT"))
    put(photos / "img_3.jpg", picture_bytes())  # no words
    put(photos / "img_4.jpg", picture_bytes()[:300])
    put(notes / "gt_img_4.txt", "")
    put(photos / "img_5.jpg", picture_bytes())
    (notes / "gt_img_5.txt").mkdir()
    put(notes / "gt_img_6.txt", "")
    put(notes / "gt_img_10.txt", b"5,5,15,5,15,15,5,15,caf\xe9\n")
    ds, found = opened(tmp_path, "icdar2015")
    assert len(ds) == 3 and ds.words[2] == ["caf\\xe9"]
    assert {file.split("/")[1]: problems[0][1] for file, problems in found.items()} == {
        "gt_img_3.txt": "picture left out: its words are unknown",
        "img_4.jpg": "picture left out",
        "gt_img_5.txt": "picture left out: its words are unknown",
        "gt_img_6.txt": "file not used",
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(data=st.binary(max_size=80) | st.text("0123456789,.-#e\n\ufeff", max_size=80).map(str.encode))
def test_anything_in_the_place_of_a_list_of_words(data, tmp_path):
    put(icdar_tree(tmp_path) / "Challenge4_Test_Task1_GT" / "gt_img_1.txt", data)
    ds, _ = opened(tmp_path, "icdar2015")
    assert len(ds) == 3 and len(ds.words[0]) == len(ds.boxes[0]) == len(ds.masks[0])
    assert ds.ignore[0].shape == ds.sizes[0]


def test_a_photograph_turned_by_exif(tmp_path):
    """Corners are those of the picture as everybody sees it: upright."""
    exif = bytes.fromhex("4578696600004d4d002a00000008000101120003000000010006000000000000")
    put(icdar_tree(tmp_path) / "ch4_test_images" / "img_1.jpg", picture_bytes(exif=exif))
    ds, _ = opened(tmp_path, "icdar2015")
    assert ds.sizes[0] == (40, 30) and ds.masks[0].shape[1:] == (40, 30)


# -- tiles --------------------------------------------------------------------------------------------------------


def test_tiles_reach_from_edge_to_edge_and_say_what_they_hold(tmp_path):
    ds = photo_sets.open("icdar2015", icdar_tree(tmp_path))
    parts = tiles(ds, side=20, least=0.1)
    # 40 wide: at 0 and 20; 30 high: at 0 and 10. Of img_1: the slanting word covers 12 % of two tiles, the lower of
    # which holds something illegible, too; of img_2 one tile is left out, as its writing is not legible
    assert parts.corner[parts.photo == 0].tolist() == [[0, 0], [20, 0], [0, 10], [20, 10]]
    assert parts.labels[parts.photo == 0].tolist() == [1, 1, 1, 1]
    assert parts.corner[parts.photo == 1].tolist() == [[20, 0], [0, 10], [20, 10]]
    assert parts.labels[parts.photo > 0].sum() == 0 and (parts.photo == 2).sum() == 4
    for k in range(len(parts.labels)):
        i, (x, y) = parts.photo[k], parts.corner[k].tolist()
        assert torch.equal(parts.images[k], ds.images[i][:, y : y + 20, x : x + 20])
        assert torch.equal(parts.masks[k], ds.masks[i].any(0)[y : y + 20, x : x + 20])
        assert torch.equal(parts.ignore[k], ds.ignore[i][y : y + 20, x : x + 20])
        assert bool(parts.masks[k].float().mean() >= 0.1) == bool(parts.labels[k])


def test_a_word_of_which_too_little_is_seen_makes_no_tile(tmp_path):
    ds = photo_sets.open("icdar2015", icdar_tree(tmp_path))
    parts = tiles(ds, side=20, least=0.5)
    assert parts.labels.sum() == 0 and (parts.photo == 0).sum() == 0


def test_tiles_of_a_photograph_that_is_too_small(tmp_path):
    ds = photo_sets.open("icdar2015", icdar_tree(tmp_path))
    with pytest.raises(ValueError, match=r"expected photographs of 320 pixels or more, got 40×30: .*img_1.jpg"):
        tiles(ds)
