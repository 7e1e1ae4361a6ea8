"""One form for drawn and real pictures: what takes the one takes the other, without a branch."""

import pytest
import torch
from dataset_trees import ade_tree, coco_tree, icdar_tree, imagenette_tree, pets_tree, put, voc_tree, voc_xml
from tiny_training import network, same
from torch.utils.data import DataLoader

import drawn_world
import photo_sets
from cam_helpers import scores, training
from cam_helpers.probes import gap_features
from cam_helpers.statistics import Annotated

SIDE = 48


def annotated_folder(root):
    imagenette_tree(root)
    for path in (root / "imagenette2-320" / "train").rglob("*.JPEG"):
        put(path.with_suffix(".xml"), voc_xml((path.parent.name, 1, 1, 20, 21)))
    return photo_sets.open("imagefolder", root / "imagenette2-320", "train", size=SIDE)


def tree(make, name):
    def opened(root):
        make(root)
        return photo_sets.open(name, root, size=SIDE)

    return opened


KINDS = {
    "drawn objects": lambda _: drawn_world.load("objects", "val", n=6, size=SIDE),
    "drawn scenes": lambda _: drawn_world.load("scenes", "val", n=6, size=SIDE),
    "drawn clips": lambda _: drawn_world.load("video", "val", n=1, size=SIDE),
    "pets": tree(pets_tree, "pets"),
    "voc2007": tree(voc_tree, "voc2007"),
    "imagenette": tree(imagenette_tree, "imagenette"),
    "ade20k_scenes": tree(ade_tree, "ade20k_scenes"),
    "coco": tree(coco_tree, "coco"),
    "icdar2015": tree(icdar_tree, "icdar2015"),
    "imagefolder": annotated_folder,
}


@pytest.fixture(scope="module", params=KINDS)
def data(request, tmp_path_factory):
    return KINDS[request.param](tmp_path_factory.mktemp("set"))


def test_items_attributes_and_shapes(data):
    n = len(data)
    assert n == len(data.images) == len(data.labels) and all(isinstance(name, str) for name in data.classes)
    assert data.labels.dtype == (torch.int64 if data.labels.ndim == 1 else torch.float32)
    assert data.labels.ndim == 1 or data.labels.shape == (n, len(data.classes))
    image, label = data[n - 1]
    assert torch.equal(image, data.images[n - 1]) and torch.equal(label, data.labels[n - 1])
    assert data.images[:2].shape == (2, 3, SIDE, SIDE) and data.images[0].dtype == torch.uint8
    if data.boxes is not None:
        for boxes, objects in zip(data.boxes, data.objects, strict=True):
            assert boxes.dtype == torch.float32 and boxes.shape == (len(objects), 4) and objects.dtype == torch.int64
            assert all(isinstance(data.object_names[k], str) for k in objects)
    if data.masks is not None:
        for masks, boxes in zip(data.masks, data.boxes, strict=True):
            assert masks.dtype == torch.bool and masks.shape == (len(boxes), SIDE, SIDE)
        assert data.masks.union().shape == (n, SIDE, SIDE)


def test_training_and_features(data):
    before = network(classes=len(data.classes))
    recipe = training.Recipe(size=SIDE, epochs=1, batch=2, growing=(1, 0), precision="no")
    run = training.fit(network(classes=len(data.classes)), data, recipe, val=data)
    assert len(run.rows) == 1 and not same(run.network, before)
    assert gap_features(run.network, data).shape == (len(data), 8)
    images, labels = next(iter(DataLoader(data, 2)))
    assert images.shape == (2, 3, SIDE, SIDE) and torch.equal(labels, data.labels[:2])


def test_scores_and_statistics(data):
    maps = torch.rand(len(data), SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    labelled = [i for i, boxes in enumerate(data.boxes or []) if len(boxes)]
    if labelled:
        found = scores.max_box_acc(maps[labelled], [data.boxes[i] for i in labelled])
        assert 0 <= found.value <= 1
    if data.masks is not None:
        assert 0 <= scores.pixel_average_precision(maps, data.masks.union()) <= 1
        for image, kinds, _, i in Annotated(data) if data.labels.ndim == 1 else ():  # it takes one label a picture
            assert image.shape == (3, SIDE, SIDE) and torch.equal(kinds[0] >= 0, data.masks[i].any(0))
            assert set(kinds.unique().tolist()) - {-1} <= set(data.objects[i].tolist())
