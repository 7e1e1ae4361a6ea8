"""Folders as people have them: every layout gives its classes and splits, and no file is dropped without a word."""

import os
from collections import Counter

import pytest
from dataset_trees import opened, picture_bytes, put, voc_xml
from hypothesis import given, settings
from hypothesis import strategies as st

import photo_sets

pytestmark = pytest.mark.filterwarnings("ignore:.*problem:UserWarning")
SPLITS = ("train", "val", "test")


def tree(root, *names):
    for k, name in enumerate(names):
        put(root / name, voc_xml((name.split("/")[-2], 1, 1, 9, 9)) if name.endswith("xml") else picture_bytes(seed=k))


def classes_of(ds):
    return dict(Counter(ds.classes[k] for k in ds.labels.tolist()))


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (["wrapper/cat/a.jpg", "wrapper/dog/b.jpg"], {"cat": 1, "dog": 1}),
        (["a/b/c/cat/a.jpg", "a/b/c/dog/b.jpg", "__MACOSX/x.jpg"], {"cat": 1, "dog": 1}),
        (["my pets/images/cat/a.jpg", "my pets/images/dog/b.jpg"], {"cat": 1, "dog": 1}),
        (["wrapper/cat/a.jpg"], {"cat": 1}),
        (["wrapper/train/cat/a.jpg", "wrapper/Validation/cat/b.jpg"], {"cat": 2}),
        (["cat/a.jpg", "cat/2020/b.jpg"], {"cat": 2}),
        (["train/a.jpg", "bus/b.jpg"], {"train": 1, "bus": 1}),  # a vehicle, not a split
    ],
)
def test_wrappers_are_passed_over(tmp_path, files, classes):
    tree(tmp_path, *files)
    ds = photo_sets.open("imagefolder", tmp_path)
    assert classes_of(ds) == classes and not ds.problems


@pytest.mark.parametrize(
    "names", [("train", "valid", "test"), ("Train", "Val", "TEST"), ("training", "validation", "testing")]
)
@pytest.mark.parametrize("inner", ["cat/", "images/cat/", "images/"])
def test_splits_by_their_common_names(tmp_path, names, inner):
    for k, name in enumerate(names):
        tree(tmp_path, *(f"{name}/{inner}{k}{n}.jpg" for n in range(k + 1)))
    if "cat" not in inner:  # a heap of pictures in each split: the boxes tell the class, in all splits alike
        for k, name in enumerate(names):
            for n in range(k + 1):
                put(tmp_path / name / "annotations" / f"{k}{n}.xml", voc_xml((("dog", "cat")[n % 2], 1, 1, 9, 9)))
    if inner != "images/cat/":
        for k, split in enumerate(SPLITS):
            ds = photo_sets.open("imagefolder", tmp_path, split)
            assert len(ds) == k + 1 and not [p for p in ds.problems if "empty" not in p.action]
            assert ds.classes == (["cat"] if "cat" in inner else ["cat", "dog"])
    assert len(photo_sets.open("imagefolder", tmp_path)) == 6


def test_what_lies_beside_the_splits_is_listed(tmp_path):
    tree(tmp_path, "train/steam/a.jpg", "bus/b.jpg", "car/c.jpg", "d.jpg")
    for name in ("README.md", "LICENSE", "labels.csv"):
        put(tmp_path / name, "x")
    ds, found = opened(tmp_path)
    assert classes_of(ds) == {"steam": 1}
    reason = ("lies in none of the folders train", "file left out")
    assert found["bus/b.jpg"] == found["car/c.jpg"] == found["d.jpg"] == [reason]
    assert set(found) == {"bus/b.jpg", "car/c.jpg", "d.jpg", "labels.csv"}


def test_links_to_folders_are_followed_once(tmp_path):
    root = tmp_path / "root"
    tree(root, "cat/a.jpg", "dog/b.jpg")
    tree(tmp_path / "elsewhere", "c.jpg", "deep/d.jpg")
    links = {"cat/more": tmp_path / "elsewhere", "dog/again": tmp_path / "elsewhere" / "deep", "dog/loop": root / "dog"}
    for name, target in ({**links, "cat/dogs": root / "dog", "dog/up": tmp_path}).items():
        (root / name).symlink_to(target, target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(root, target_is_directory=True)
    ds, found = opened(root)
    assert classes_of(ds) == {"cat": 3, "dog": 1}
    assert set(found) == {"cat/more/back", "dog/again", "dog/loop", "cat/dogs", "dog/up"}
    assert {action for ((_, action),) in found.values()} == {"link left out"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_listed(tmp_path):
    tree(tmp_path, "cat/a.jpg", "dog/b.jpg")
    (tmp_path / "dog").chmod(0)
    try:
        _, found = opened(tmp_path)
    finally:
        (tmp_path / "dog").chmod(0o755)
    assert ("folder left out") in found["dog"][0][1]


def test_boxes_of_others_are_left_out_if_the_set_names_its_classes(tmp_path):
    tree(tmp_path, "cat/a.jpg", "cat/b.jpg", "cat/a.xml")
    put(tmp_path / "cat" / "b.xml", voc_xml(("person", 1, 1, 9, 9)))
    ds, found = opened(tmp_path)
    assert [len(boxes) for boxes in ds.boxes] == [1, 0]
    assert found == {"cat/b.jpg": [("has boxes of 'person', its class is 'cat'", "boxes left out")]}
    put(tmp_path / "cat" / "a.xml", voc_xml(("person", 1, 1, 9, 9)))  # now no name is a class: names are not classes
    ds, found = opened(tmp_path)
    assert [len(boxes) for boxes in ds.boxes] == [1, 1] and not found


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.5, 0.75), (0, 0, 1, 1)])
def test_boxes_in_fractions_are_not_taken_for_pixels(tmp_path, box):
    tree(tmp_path, "cat/a.jpg")
    put(tmp_path / "cat" / "a.xml", voc_xml(("cat", *box)))
    ds, found = opened(tmp_path)
    ((reason, action),) = found["cat/a.jpg"]
    assert len(ds.boxes[0]) == 0 and "between 0 and 1" in reason and action == "box left out"


def test_annotations_of_the_same_name_are_not_mixed_up(tmp_path):
    """The nearest: in the same folder, else of the same class and split; where two would do, neither."""
    files = ("train/cat/1.jpg", "val/cat/1.jpg", "val/dog/1.jpg", "train/dog/1.jpg", "train/dog/old/1.jpg")
    tree(tmp_path, *files)
    for k, name in enumerate(("train/cat/1.xml", "annotations/val/cat/1.xml", "annotations/val/dog/1.xml"), 1):
        put(tmp_path / name, voc_xml((name.split("/")[-2], k, 1, 9, 9)))
    put(tmp_path / "annotations" / "dog" / "1.xml", voc_xml(("dog", 1, 1, 9, 9)))
    ds, found = opened(tmp_path)
    left = {
        os.path.relpath(path, tmp_path): boxes[:, 0].tolist() for path, boxes in zip(ds.paths, ds.boxes, strict=True)
    }
    assert left == dict(zip(files, ([0], [1], [2], [], []), strict=True))
    shared = [("shares its annotation with a picture of the same name", "picture used without boxes")]
    assert found == {"train/dog/1.jpg": shared, "train/dog/old/1.jpg": shared}


names = st.sampled_from(["cat", "dog", "Train", "valid", "test", "images", "annotations", "x", "Größe"])
files = st.sampled_from(["1.jpg", "2.JPG", "3.png", "1.xml", "2.XML", "notes.txt", "4", "bad.jpg"])


@settings(max_examples=200, deadline=None)
@given(st.sets(st.tuples(st.lists(names, max_size=4).map("/".join), files).map("/".join), min_size=1, max_size=12))
def test_every_file_is_accounted_for(tmp_path_factory, paths):
    """A picture of the set, the annotation of one, or listed: each exactly once. The box tells whose it is."""
    root = tmp_path_factory.mktemp("tree")
    paths = sorted(path.lstrip("/") for path in paths)
    for k, path in enumerate(paths):
        if path.lower().endswith("xml"):
            data = voc_xml(("thing", k + 1, 1, 20, 9))
        else:
            data = "x" if "notes" in path or "bad" in path else picture_bytes(kind="PNG" if "png" in path else "JPEG")
        put(root / path, data)
    if not any(path.split("/")[-1] in ("1.jpg", "2.JPG", "3.png", "4") for path in paths):
        with pytest.raises(photo_sets.MissingData):
            photo_sets.open("imagefolder", root)
        return
    try:
        ds = photo_sets.open("imagefolder", root)
    except photo_sets.MissingData:  # the only picture is a spare one in a folder of annotations, or has no class
        return
    used = [os.path.relpath(path, root) for path in ds.paths]
    used += [paths[int(box[0])] for boxes in ds.boxes or [] for box in boxes]
    left_out = ("picture left out", "file left out")
    listed = [problem.file for problem in ds.problems if problem.action.startswith(left_out)]
    shared = {os.path.splitext(problem.file)[0].split("/")[-1] for problem in ds.problems if "shares" in problem.reason}
    assert Counter(used + listed).most_common(1)[0][1] == 1
    for path in set(paths) - {*used, *listed}:
        assert path.lower().endswith(".xml") and os.path.splitext(path)[0].split("/")[-1] in shared
    assert {*used, *listed} <= set(paths)
