"""Maps whose cells lie where they look, beside maps that are simply enlarged: pointing and boxes, a table.

    CAM_TEST_DATA=folder python tests/benchmarks/table_alignment.py [pictures]

MobileNetV2 and SqueezeNet 1.1 on the ILSVRC pictures of `imagenet_val260` at 224 pixels, strided and dilated, and the
course's network for objects on its drawings: the pointing game, boxes at the paper's 20 % of the maximum and MaxBoxAcc,
with 95 % bootstrap intervals, and the paired difference that the alignment makes. Some minutes.
"""

import os
import sys
from pathlib import Path

import torch
from torchvision.transforms import v2

import drawn_world
import photo_sets
from cam_helpers import CamModel, networks, scores

STRIDES = {"mobilenet_v2": (32, 16, 8), "squeezenet1_1": (16, 8)}


def judge(maps, truth):
    return (
        scores.pointing_game(maps, truth),
        scores.gt_known_accuracy(maps, truth),
        scores.max_box_acc(maps, truth, thresholds=50, normalize="max"),
    )


def row(name, network, images, labels, truth, size):
    even, aligned, model = [], [], CamModel(network)
    for x, c in zip(images.split(20), labels.split(20), strict=True):
        cams = model(x)
        even.append(cams.maps(c, size=size)[:, 0])
        aligned.append(cams.maps(c, size=size, aligned=True)[:, 0])
    places, middles = (
        len(cams.centres[0]),
        (torch.arange(len(cams.centres[0])) + 0.5) * x.shape[2] / cams.features.shape[2],
    )
    moved = float((cams.centres[0] - (middles - 0.5)).mean())
    cells = [f"{name:<26} {places:>3}² {moved:+6.1f} px"]
    for before, after in zip(judge(torch.cat(even), truth), judge(torch.cat(aligned), truth), strict=True):
        difference, low, high = (100 * x for x in scores.paired_difference(after, before))
        cells.append(f"{100 * before:5.1f} → {100 * after:5.1f}  {difference:+5.1f} ({low:+.1f} to {high:+.1f})")
    print("   ".join(f"{cell:<36}" for cell in cells), flush=True)


def main(n: int | None = None) -> None:
    heads = ("network, cells, shift", "pointing: even → aligned", "boxes at 20 %", "MaxBoxAcc")
    print("   ".join(f"{head:<36}" for head in heads))
    network = networks.load_checkpoint("objects-gap")[0]
    drawings = drawn_world.load("objects", "test", n=n or 500, size=64)
    truth = [torch.as_tensor(boxes) for boxes in drawings.boxes]
    for stride in (4, 2):
        finer = networks.dilate(network, stride)
        row(f"objects-gap, stride {stride}", finer, drawings.images, drawings.labels, truth, (64, 64))
    folder = Path(os.environ.get("CAM_TEST_DATA") or "nowhere") / "imagenet_val260"
    if not (folder / "boxes.csv").is_file():
        print("No ILSVRC pictures: CAM_TEST_DATA names no folder that holds imagenet_val260.")
        return
    photos = photo_sets.open("ilsvrc_csv", folder, check=False, n=n)
    pictures, truth = torch.stack(list(photos.images)), list(photos.boxes)
    for name, strides in STRIDES.items():
        network, weights = networks.pretrained(name)
        prepare = v2.Normalize(weights.transforms().mean, weights.transforms().std)
        images = prepare(v2.functional.resize(pictures, [224, 224]) / 255)
        for stride in strides:
            finer = networks.dilate(network, stride)
            row(f"{name}, stride {stride}", finer, images, photos.labels, truth, tuple(pictures.shape[2:]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
