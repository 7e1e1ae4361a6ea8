"""Small trees in the exact layout of each data set, and the ways in which files go bad."""

import io
import json
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import photo_sets

BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation><object><name>&c;</name></object></annotation>"""


def picture_bytes(width=40, height=30, kind="JPEG", seed=0, mode="RGB", **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def put(path, data):
    """Write text or bytes, folders included; a str or bytes path."""
    os.makedirs(os.path.dirname(os.fspath(path)), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return path


def voc_xml(*objects, size=(40, 30), folder="any", name="any.jpg"):
    """PASCAL VOC XML; object: (name, xmin, ymin, xmax, ymax[, difficult]); size: (width, height) or None."""
    told = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    body = "".join(
        f"<object><name>{o[0]}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>{o[5] if len(o) > 5 else 0}</difficult><bndbox><xmin>{o[1]}</xmin><ymin>{o[2]}</ymin>"
        f"<xmax>{o[3]}</xmax><ymax>{o[4]}</ymax></bndbox></object>"
        for o in objects
    )
    return f"<annotation><folder>{folder}</folder><filename>{name}</filename>{told}{body}</annotation>"


def map_png(numbers, palette=None):
    picture = Image.fromarray(np.asarray(numbers, dtype=np.uint8))
    if palette:
        picture.putpalette(palette)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def trimap(box, width=40, height=30):
    """1 in the box (xyxy, exclusive), 3 on a rim of one pixel around it, 2 elsewhere."""
    numbers = np.full((height, width), 2)
    x1, y1, x2, y2 = box
    numbers[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = 3
    numbers[y1:y2, x1:x2] = 1
    return numbers


def pets_tree(root):
    base = Path(root) / "oxford-iiit-pet"
    breeds = {"Abyssinian": (1, 1), "yorkshire_terrier": (2, 2)}
    lists = {"trainval": [], "test": []}
    for breed, (number, species) in breeds.items():
        for k in range(1, 7):
            name = f"{breed}_{k}"
            put(base / "images" / f"{name}.jpg", picture_bytes(seed=k))
            put(base / "annotations" / "trimaps" / f"{name}.png", map_png(trimap((k, 5, 20 + k, 25))))
            lists["trainval" if k < 6 else "test"].append(f"{name} {number} {species} {k}")
            if k < 6:
                xml = voc_xml(("cat", k + 1, 6, k + 10, 15))
                put(base / "annotations" / "xmls" / f"{name}.xml", xml)
    for split, lines in lists.items():
        put(base / "annotations" / f"{split}.txt", "\n".join(lines) + "\n")
    return base


def imagenette_tree(root, folder="imagenette2-320"):
    base = Path(root) / folder
    for split, count in (("train", 3), ("val", 2)):
        for wnid in ("n01440764", "n02102040"):
            for k in range(count):
                put(base / split / wnid / f"{wnid}_{k}.JPEG", picture_bytes(seed=k))
    return base


def voc_tree(root):
    base = Path(root) / "VOCdevkit" / "VOC2007"
    objects = {
        "000001": [("dog", 3, 4, 20, 25), ("person", 10, 1, 40, 30)],
        "000002": [("car", 5, 5, 15, 15, 1), ("car", 20, 5, 30, 15)],
        "000003": [("sheep", 1, 1, 10, 10)],
    }
    for name, things in objects.items():
        put(base / "JPEGImages" / f"{name}.jpg", picture_bytes())
        put(base / "Annotations" / f"{name}.xml", voc_xml(*things, folder="VOC2007", name=f"{name}.jpg"))
    for split, names in {"train": ["000001"], "val": ["000002"], "trainval": ["000001", "000002"]}.items():
        put(base / "ImageSets" / "Main" / f"{split}.txt", "\n".join(names) + "\n")
    put(base / "ImageSets" / "Main" / "test.txt", "000003\n")
    return base


def ade_tree(root):
    base = Path(root) / "ADEChallengeData2016"
    lines = []
    for split, prefix, count in (("training", "train", 3), ("validation", "val", 2)):
        for k in range(1, count + 1):
            name = f"ADE_{prefix}_{k:08d}"
            numbers = np.zeros((30, 40))
            numbers[:, : 10 * k] = k
            numbers[0, 39] = 150
            put(base / "images" / split / f"{name}.jpg", picture_bytes(seed=k))
            put(base / "annotations" / split / f"{name}.png", map_png(numbers))
            lines.append(f"{name} {'dining_room' if k % 2 else 'street'}")
    put(base / "sceneCategories.txt", "\n".join(lines) + "\n")
    rows = ["Idx\tRatio\tTrain\tVal\tStuff\tName"]
    rows += [f"{k}\t0.01\t100\t10\t0\tthing {k}, alias {k}" for k in range(1, 151)]
    put(base / "objectInfo150.txt", "\n".join(rows) + "\n")
    return base


def coco_files():
    """instances and captions: three photographs of 40×30, four objects: a polygon, a box only, runs, a crowd."""
    licences = [{"id": k, "name": f"licence {k}", "url": f"http://licence/{k}"} for k in (1, 4)]
    images = [
        {"id": k, "file_name": f"{k:012d}.jpg", "height": 30, "width": 40, "license": (1, 4, 4)[k - 1]}
        | {"flickr_url": f"http://flickr/{k}.jpg"}
        for k in (1, 2, 3)
    ]
    square, top = [[5, 5, 15, 5, 15, 15, 5, 15]], {"size": [30, 40], "counts": [0, 300, 900]}
    objects = [
        (1, 7, [5, 5, 10, 10], square, 0),
        (1, 9, [20.25, 10, 4, 8], [], 0),
        (2, 9, [0, 0, 10, 30], top, 0),
        (2, 7, [20, 0, 20, 30], {"size": [30, 40], "counts": [600, 600]}, 1),
    ]
    fields = ("image_id", "category_id", "bbox", "segmentation", "iscrowd")
    objects = [{"id": k, **dict(zip(fields, values, strict=True))} for k, values in enumerate(objects)]
    categories = [{"id": 7, "name": "cat"}, {"id": 9, "name": "laptop"}]
    words = {1: ["a cat and a laptop", "Cat near two laptops", "a cat"], 2: ["a laptop", "a bench"], 3: ["nothing"]}
    captions = [{"image_id": k, "caption": text} for k, texts in words.items() for text in texts]
    instances = {"licenses": licences, "images": images, "annotations": objects, "categories": categories}
    return instances, {"images": images, "annotations": captions}


def coco_tree(root, files=None):
    for name, content in zip(("instances", "captions"), files or coco_files(), strict=True):
        put(Path(root) / "annotations" / f"{name}_val2017.json", json.dumps(content))
    for k in (1, 2, 3):
        put(Path(root) / "val2017" / f"{k:012d}.jpg", picture_bytes(seed=k))
    return Path(root)


def icdar_tree(root, folders=("ch4_test_images", "Challenge4_Test_Task1_GT")):
    """Three photographs of 40×30: two words and one that is not legible, one that is not legible, nothing."""
    texts = {
        1: "\ufeff5,5,15,5,15,15,5,15,Exit\r\n20,10,30,12,29,18,19,16,a, b\r\n30,20,40,20,40,30,30,30,###\r\n",
        2: "\ufeff0,0,10,0,10,10,0,10,###\r\n",
        10: "\ufeff",
    }
    for k, text in texts.items():
        put(Path(root) / folders[0] / f"img_{k}.jpg", picture_bytes(seed=k))
        put(Path(root) / folders[1] / f"gt_img_{k}.txt", text)
    return Path(root)


def class_folders(root, classes=("cat", "dog"), count=3):
    for name in classes:
        for k in range(count):
            put(Path(root) / name / f"{name}{k}.jpg", picture_bytes(seed=k))
    return Path(root)


def opened(root, name="imagefolder", **options):
    """Open, use every part of every entry, and give the problems as {file: [(reason, action), …]}."""
    ds = photo_sets.open(name, root, **options)
    for i in range(len(ds)):
        image, _ = ds[i]
        boxes = torch.zeros(0, 4) if ds.boxes is None else ds.boxes[i]
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
