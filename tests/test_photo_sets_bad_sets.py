"""Bad files in every known set: what is usable is used, the rest is listed."""

import numpy as np
import pytest
from dataset_trees import (
    BOMB,
    ade_tree,
    imagenette_tree,
    map_png,
    opened,
    pets_tree,
    picture_bytes,
    put,
    trimap,
    voc_tree,
    voc_xml,
)

import photo_sets

pytestmark = pytest.mark.filterwarnings("ignore:.*problem:UserWarning")


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
    assert found["images/Abyssinian_2.jpg"] == [("is missing", "picture left out")]
    assert found["annotations/trimaps/Abyssinian_3.png"][0][0] == "is missing"
    assert "20×20" in found["annotations/trimaps/Abyssinian_4.png"][0][0]
    assert ds.ignore[0].all() and ds.masks[0].shape == (0, 30, 40) and ds.boxes[0].shape == (0, 4)


def test_bad_voc(tmp_path):
    base = voc_tree(tmp_path)
    put(base / "Annotations" / "000001.xml", voc_xml(("dragon", 1, 1, 5, 5), ("cat", 1, 1, 5, 5)))
    put(base / "ImageSets" / "Main" / "trainval.txt", "000001\n000002\n000009\n\n../../000001\n")
    put(base / "Annotations" / "000002.xml", BOMB)
    ds, found = opened(tmp_path, "voc2007")
    assert len(ds) == 2 and ds.labels.sum() == 2 and len(ds.boxes[0]) == 1
    assert "'dragon'" in found["Annotations/000001.xml"][0][0]
    assert found["Annotations/000009.xml"] == [("is missing", "picture left out: its classes are unknown")]
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
    assert len(ds) == 2 and ds.masks[0].shape == (0, 30, 40) and ds.masks[1].any() and len(found) == 5
    assert found["images/training/ADE_train_00000002.jpg"] == [("is missing", "picture left out")]
    assert ds.object_names[6] == "object 7"


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
        photo_sets.open("ilsvrc_csv", tmp_path)
