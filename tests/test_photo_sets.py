"""Every format on a small tree in its exact layout: the same pictures, labels, boxes and masks as were written."""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
import torchvision
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
from torchvision.ops import masks_to_boxes

import photo_sets
from cam_helpers.images import read_picture


def check_form(ds):
    """What every set promises: lists of one length, lazy pictures, items of a picture and its label."""
    count = len(ds)
    assert count == len(ds.paths) == len(ds.labels) == len(ds.sizes) == len(ds.images) > 0
    assert ds.labels.dtype == (torch.long if ds.labels.ndim == 1 else torch.float)
    assert all(isinstance(name, str) for name in ds.classes)
    for i in range(count):
        image, label = ds[i]
        assert image.dtype == torch.uint8 and image.shape == (3, *ds.sizes[i])
        assert torch.equal(image, read_picture(ds.paths[i])) and torch.equal(image, ds.images[i])
        assert torch.equal(label, ds.labels[i])
        if ds.boxes is not None:
            assert ds.boxes[i].dtype == torch.float32 and ds.boxes[i].shape == (len(ds.objects[i]), 4)
            assert ds.objects[i].dtype == torch.long and all(ds.object_names[k] for k in ds.objects[i])
        if ds.masks is not None:
            assert ds.masks[i].dtype == torch.bool and ds.masks[i].shape == (len(ds.boxes[i]), *ds.sizes[i])
    assert torch.equal(ds[-1][0], ds[count - 1][0]) and torch.equal(ds.images[:1][0], ds.images[0])
    assert len(list(ds.images)) == count
    with pytest.raises(IndexError):
        ds[count]
    assert torch.equal(pickle.loads(pickle.dumps(ds))[0][0], ds[0][0])  # it travels to worker processes


def test_pets_as_torchvision_reads_them(tmp_path):
    pets_tree(tmp_path)
    for split in ("trainval", "test"):
        ds = photo_sets.open("pets", tmp_path, split)
        theirs = torchvision.datasets.OxfordIIITPet(tmp_path, split)
        check_form(ds)
        assert [os.fspath(p) for p in theirs._images] == ds.paths
        assert theirs._labels == ds.labels.tolist() and theirs.classes == ds.classes
        assert not ds.problems and ds.report().empty
    written = trimap((2, 5, 22, 25))
    i = [os.path.basename(p) for p in photo_sets.open("pets", tmp_path).paths].index("Abyssinian_2.jpg")
    ds = photo_sets.open("pets", tmp_path, "trainval")
    assert np.array_equal(ds.masks[i], [written == 1]) and np.array_equal(ds.ignore[i], written == 3)
    assert ds.boxes[i].tolist() == [[2, 5, 22, 25]] and ds.objects[i].tolist() == [0]


def test_pets_train_and_val_divide_trainval(tmp_path):
    pets_tree(tmp_path)
    parts = {s: photo_sets.open("pets", tmp_path, s) for s in ("train", "val", "trainval")}
    assert sorted(parts["train"].paths + parts["val"].paths) == sorted(parts["trainval"].paths)
    assert parts["val"].labels.bincount().tolist() == [1, 1] and parts["train"].classes == parts["val"].classes


@pytest.mark.parametrize(("size", "folder"), [("320px", "imagenette2-320"), ("full", "imagenette2")])
def test_imagenette_as_torchvision_reads_it(tmp_path, size, folder):
    imagenette_tree(tmp_path, folder)
    ds = photo_sets.open("imagenette", tmp_path, "val", variant=size)
    theirs = torchvision.datasets.Imagenette(tmp_path, "val", size)
    check_form(ds)
    assert [(p, y) for p, y in theirs._samples] == list(zip(ds.paths, ds.labels.tolist(), strict=True))
    assert ds.classes == [names[0] for names in theirs.classes] == ["tench", "English springer"]
    assert ds.boxes is None and ds.masks is None


def test_the_ten_imagenette_names_are_torchvisions():
    theirs = {wnid: names[0] for wnid, names in torchvision.datasets.Imagenette._WNID_TO_CLASS.items()}
    assert theirs == photo_sets.torchvision_sets.IMAGENETTE_CLASSES


def test_voc2007_as_torchvision_reads_it(tmp_path):
    voc_tree(tmp_path)
    for split in ("train", "val", "trainval", "test"):
        ds = photo_sets.open("voc2007", tmp_path, split)
        theirs = torchvision.datasets.VOCDetection(tmp_path, "2007", split)
        check_form(ds)
        assert ds.paths == theirs.images and ds.labels.shape == (len(theirs), 20)
    ds = photo_sets.open("voc2007", tmp_path)
    dog, person, car = (ds.classes.index(c) for c in ("dog", "person", "car"))
    assert ds.labels[0].nonzero().flatten().tolist() == [dog, person] and ds.labels[1].nonzero().tolist() == [[car]]
    assert ds.boxes[0].tolist() == [[2, 3, 20, 25], [9, 0, 40, 30]]
    assert ds.objects[0].tolist() == [dog, person]


@pytest.mark.parametrize("inside", [False, True])
def test_ade20k_scenes(tmp_path, inside):
    base = ade_tree(tmp_path)
    root = base if inside else tmp_path
    ds = photo_sets.open("ade20k_scenes", root, "training")
    check_form(ds)
    assert ds.classes == ["dining room", "street"] and ds.labels.tolist() == [0, 1, 0]
    assert ds.object_names[0] == "thing 1, alias 1" and len(ds.object_names) == 150
    expected = np.zeros((2, 30, 40), dtype=bool)
    expected[0, :, :20] = expected[1, 0, 39] = True
    assert ds.objects[1].tolist() == [1, 149] and np.array_equal(ds.masks[1], expected)
    assert ds.boxes[1].tolist() == [[0, 0, 20, 30], [39, 0, 40, 1]]
    assert not ds.problems and len(photo_sets.open("ade20k_scenes", root, "val")) == 2


def test_ade20k_scenes_from_the_archive(tmp_path):
    base = ade_tree(tmp_path / "made")
    (tmp_path / "root").mkdir()
    with zipfile.ZipFile(tmp_path / "root" / "ADEChallengeData2016.zip", "w") as archive:
        for file in sorted(base.rglob("*.*")):
            archive.write(file, os.path.join(base.name, file.relative_to(base)))
    assert len(photo_sets.open("ade20k_scenes", tmp_path / "root")) == 3


def test_imagefolder_as_torchvision_reads_it(tmp_path):
    class_folders(tmp_path, ("Zebra", "cat", "dog"))
    put(tmp_path / "cat" / "inner" / "deep.png", picture_bytes(kind="PNG"))
    ds = photo_sets.open("imagefolder", tmp_path)
    theirs = torchvision.datasets.ImageFolder(tmp_path)
    check_form(ds)
    assert ds.classes == theirs.classes and sorted(theirs.samples) == sorted(
        zip(ds.paths, ds.labels.tolist(), strict=True)
    )
    assert ds.boxes is None and not ds.problems


@pytest.mark.parametrize(
    "place", ["{c}/{s}.xml", "{c}/annotations/{s}.xml", "annotations/{c}/{s}.xml", "Annotations/{s}.xml"]
)
def test_imagefolder_finds_annotations(tmp_path, place):
    class_folders(tmp_path)
    for c in ("cat", "dog"):
        for k in range(3):
            put(tmp_path / place.format(c=c, s=f"{c}{k}"), voc_xml((c, k + 1, 2, 20, 21)))
    ds = photo_sets.open("imagefolder", tmp_path)
    check_form(ds)
    assert ds.classes == ["cat", "dog"] and not ds.problems
    assert [b.tolist() for b in ds.boxes[:3]] == [[[k, 1, 20, 21]] for k in range(3)]
    assert [k.tolist() for k in ds.objects] == [[0]] * 3 + [[1]] * 3


def test_imagefolder_ready_splits_count_their_classes_alike(tmp_path):
    class_folders(tmp_path / "train", ("ape", "bee", "cow"))
    class_folders(tmp_path / "val", ("bee", "cow"))
    ds = photo_sets.open("imagefolder", tmp_path, "train")
    assert ds.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    with pytest.warns(UserWarning, match="1 problem"):
        val = photo_sets.open("imagefolder", tmp_path, "val")
    assert val.classes == ds.classes and val.labels.tolist() == [1, 1, 1, 2, 2, 2]
    assert len(photo_sets.open("imagefolder", tmp_path, "all")) == 15
    with pytest.raises(ValueError, match="no folder for 'test'"):
        photo_sets.open("imagefolder", tmp_path, "test")


def test_imagefolder_divides_every_class_and_never_shares_a_picture(tmp_path):
    class_folders(tmp_path, count=10)
    parts = {s: photo_sets.open("imagefolder", tmp_path, s) for s in ("train", "val", "test")}
    assert {s: ds.labels.bincount().tolist() for s, ds in parts.items()} == {
        "train": [6, 6],
        "val": [2, 2],
        "test": [2, 2],
    }
    assert len({path for ds in parts.values() for path in ds.paths}) == 20
    assert parts["val"].paths == photo_sets.open("imagefolder", tmp_path, "val").paths


def test_annotations_of_other_splits_are_no_orphans(tmp_path):
    for split, k in (("train", 1), ("val", 2)):
        put(tmp_path / split / "cat" / f"{k}.jpg", picture_bytes())
        put(tmp_path / "annotations" / f"{k}.xml", voc_xml(("cat", k, 1, 9, 9)))
    ds = photo_sets.open("imagefolder", tmp_path, "val")
    assert ds.boxes[0].tolist() == [[1, 0, 9, 9]] and len(ds) == 1 and not ds.problems


@pytest.mark.parametrize("inner", ["images", "images/train"])
def test_imagefolder_one_floor_down(tmp_path, inner):
    class_folders(tmp_path / inner)
    for c in ("cat", "dog"):
        for k in range(3):
            put(tmp_path / "annotations" / c / f"{c}{k}.xml", voc_xml((c, 1, 1, 20, 21)))
    ds = photo_sets.open("imagefolder", tmp_path, "train" if "train" in inner else "all")
    assert ds.classes == ["cat", "dog"] and len(ds) == 6 and sum(map(len, ds.boxes)) == 6 and not ds.problems


def test_a_heap_of_pictures_takes_its_classes_from_the_boxes(tmp_path):
    for k, things in enumerate([[("dog", 1, 1, 5, 5), ("cat", 5, 5, 30, 25)], [("dog", 3, 3, 30, 25)]]):
        put(tmp_path / "images" / f"{k}.jpg", picture_bytes(seed=k))
        put(tmp_path / "annotations" / f"{k}.xml", voc_xml(*things))
    put(tmp_path / "LICENSE", "MIT")
    with pytest.warns(UserWarning, match="1 problem"):
        ds = photo_sets.open("imagefolder", tmp_path)
    assert ds.classes == ["cat", "dog"] and ds.labels.tolist() == [0, 1]
    assert ds.boxes[0].tolist() == [[4, 4, 30, 25]]
    assert ds.problems[0].reason == "has boxes of 'dog', its class is 'cat'"


def test_a_heap_without_annotations_is_one_class(tmp_path):
    for k in range(2):
        put(tmp_path / "holiday" / f"{k}.jpg", picture_bytes(seed=k))
    ds = photo_sets.open("imagefolder", tmp_path / "holiday")
    assert ds.classes == ["holiday"] and len(ds) == 2 and ds.boxes is None


def test_boxes_named_otherwise_belong_to_the_folders_class(tmp_path):
    class_folders(tmp_path, ("n02510455",), 1)
    put(tmp_path / "n02510455" / "n025104550.xml", voc_xml(("giant panda", 1, 1, 9, 9)))
    ds = photo_sets.open("imagefolder", tmp_path)
    assert ds.boxes[0].tolist() == [[0, 0, 9, 9]] and not ds.problems


def test_ilsvrc_csv(tmp_path):
    put(tmp_path / "images" / "a.JPEG", picture_bytes(100, 100))
    put(tmp_path / "images" / "b.JPEG", picture_bytes(50, 25))
    head = "image,class_index,wnid,class_name,orig_w,orig_h,x0,y0,x1,y1,x0_227,y0_227,x1_227,y1_227\n"
    rows = "a.JPEG,472,n1,canoe,200,50,20,10,39,19,0,0,0,0\na.JPEG,472,n1,canoe,200,50,0,0,199,49,0,0,0,0\n"
    put(tmp_path / "boxes.csv", head + rows + "b.JPEG,0,n2,tench,50,25,1,2,3,4,0,0,0,0\n")
    ds = photo_sets.open("ilsvrc_csv", tmp_path)
    check_form(ds)
    assert len(ds.classes) == 1000 and ds.classes[0] == "tench" and ds.classes[472] == "canoe"
    assert ds.labels.tolist() == [472, 0] and not ds.problems
    assert ds.boxes[0].tolist() == [[10, 20, 20, 40], [0, 0, 100, 100]]  # half as wide, twice as high
    assert ds.boxes[1].tolist() == [[1, 2, 4, 5]]


def test_n_opens_a_fixed_part(tmp_path):
    class_folders(tmp_path, count=20)
    ds = photo_sets.open("imagefolder", tmp_path, n=7)
    assert len(ds) == 7 and ds.paths == photo_sets.open("imagefolder", tmp_path, n=7).paths == sorted(ds.paths)
    assert not ds.problems


def test_a_data_loader_reads_it_in_worker_processes(tmp_path):
    pets_tree(tmp_path)
    ds = photo_sets.open("pets", tmp_path)
    loader = torch.utils.data.DataLoader(ds, batch_size=None, num_workers=1, multiprocessing_context="fork")
    seen = list(loader)
    assert len(seen) == 10 and torch.equal(seen[3][0], ds.images[3]) and seen[3][1] == ds.labels[3]


def test_wrong_names_are_answered_with_the_right_ones(tmp_path):
    with pytest.raises(ValueError, match=r"one of pets.*coco, got 'cocoa'"):
        photo_sets.open("cocoa", tmp_path)
    with pytest.raises(ValueError, match=r"one of trainval.*got 'dev'"):
        photo_sets.open("pets", tmp_path, "dev")


def test_palette_label_pictures_give_their_numbers_not_their_colours(tmp_path):
    base = pets_tree(tmp_path)
    numbers = trimap((3, 3, 10, 9))
    put(base / "annotations" / "trimaps" / "Abyssinian_1.png", map_png(numbers, palette=[0, 0, 0, 9, 200, 7] * 10))
    ds = photo_sets.open("pets", tmp_path)
    assert ds.boxes[0].tolist() == [[3, 3, 10, 9]] and not ds.problems


@pytest.mark.parametrize("size", [20, (15, 10)])
def test_boxes_and_masks_are_stretched_with_the_pictures(tmp_path, size):
    """The trees' pictures are 40 wide and 30 high."""
    pets_tree(tmp_path)
    put(tmp_path / "oxford-iiit-pet" / "images" / "Abyssinian_2.jpg", picture_bytes(40, 30, seed=9))
    own, ds = (photo_sets.open("pets", tmp_path, size=s) for s in (None, size))
    height, width = (size, size) if isinstance(size, int) else size
    assert set(ds.sizes) == {(height, width)} and ds.images[:].shape == (10, 3, height, width)
    assert ds.masks.union().shape == ds.ignore[:].shape == (10, height, width)
    for i in range(len(ds)):
        stretched = torchvision.transforms.v2.functional.resize(own.images[i], [height, width])
        assert torch.equal(ds[i][0], stretched)
        assert torch.allclose(ds.boxes[i] * torch.tensor([40 / width, 30 / height] * 2), own.boxes[i])
        (mask,) = ds.masks[i]
        assert (masks_to_boxes(mask[None]) + torch.tensor([0, 0, 1, 1]) - ds.boxes[i]).abs().max() <= 1
    images, labels = next(iter(torch.utils.data.DataLoader(ds, 4)))
    assert images.shape == (4, 3, height, width) and torch.equal(labels, ds.labels[:4])


def test_pictures_of_several_sizes_need_a_size_to_be_stacked(tmp_path):
    class_folders(tmp_path, ("cat",), 2)
    put(tmp_path / "cat" / "z.jpg", picture_bytes(20, 20))
    ds = photo_sets.open("imagefolder", tmp_path)
    assert ds.images[:2].shape == (2, 3, 30, 40)
    with pytest.raises(ValueError, match=r"one size.*size=224"):
        ds.images[:]
