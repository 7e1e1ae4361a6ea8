"""Boxes on ILSVRC photos, with three small networks: one table, every method through the same boxes and normalisation.

    CAM_TEST_DATA=folder python tests/benchmarks/table_photos.py [pictures] [network …]
    CAM_TEST_DATA=folder python tests/benchmarks/table_photos.py --json data/photo_sets/measured/boxes.json [--quick]

EfficientNet-Lite0, MobileNetV2 and SqueezeNet 1.1, pretrained, on the pictures of `imagenet_val260` (lesson 05), 224
and 320 pixels wide, strided and dilated: errors of classification, GT-known accuracy at the paper's 20 % of the
maximum, and MaxBoxAcc, with 95 % bootstrap intervals over pictures and paired differences. Of the class activation map
also the one that lies where its cells look (`aligned`). Grad-CAM (captum) and torchcam on the same pictures. In theory
both are the class activation map times a positive number. So torchcam has the same boxes; Grad-CAM cuts negative
evidence to zero before the map is enlarged, which moves the edge of a few boxes. (In SqueezeNet that number is the part
of the places where the class score is above zero: where there are none, Grad-CAM has no map.) Half an hour.

With --json, in a minute or two: the numbers that lessons show beside those of the drawn world (`photo_sets.measured`);
--quick leaves out the dilated network.
"""

import datetime
import json
import os
import sys
from pathlib import Path

import torch
from torch.nn.functional import interpolate
from torchcam.methods import CAM
from torchvision.transforms import v2

import drawn_world
import photo_sets
from cam_helpers import CamModel, boxes_from_maps, networks, saliency, scores

THRESHOLDS = 50  # of the maximum, for MaxBoxAcc
LITE0 = "efficientnet_lite0"
LAYERS = {  # features and head
    LITE0: ("trunk", "head"),
    "mobilenet_v2": ("features", "classifier.1"),
    "squeezenet1_1": ("features", "classifier.1"),
}
STRIDES = {LITE0: (32, 16), "mobilenet_v2": (32, 16), "squeezenet1_1": (16, 8)}


def torchcam(network, name, images, classes):
    with torch.no_grad(), CAM(network, *LAYERS[name]) as extractor:
        return extractor(classes.tolist(), network(images), normalized=False)[0]


def methods(network, name, images, classes, size):
    """-> logits, the largest error of the identity, and method: maps (N,h,w), aligned ones as large as the pictures"""
    model, found = CamModel(network), {"CAM": [], "aligned": [], "Grad-CAM": [], "torchcam": []}
    logits, errors = [], []
    for x, c in zip(images.split(20), classes.split(20), strict=True):
        cams = model(x)
        logits.append(cams.logits)
        errors.append(cams.identity_error())
        found["CAM"].append(cams.maps(c)[:, 0])
        found["aligned"].append(cams.maps(c, size=size, aligned=True)[:, 0])
        found["Grad-CAM"].append(saliency.grad_cam(network, x, c))
        found["torchcam"].append(torchcam(network, name, x, c))
    return torch.cat(logits), max(errors), {method: torch.cat(parts) for method, parts in found.items()}


def judge(maps, truth):
    return [
        scores.gt_known_accuracy(maps, truth),
        scores.max_box_acc(maps, truth, thresholds=THRESHOLDS, normalize="max"),
    ]


def percent(score):
    low, high = (100 * end for end in score.interval())
    return f"{100 * score:5.1f} ({low:.1f} to {high:.1f})"


def points(a, b):
    return "{:+5.1f} ({:+.1f} to {:+.1f})".format(*(100 * x for x in scores.paired_difference(a, b)))


def row(name, judged, base=None, centre=None, note=""):
    cells = [f"{percent(judged[0]):<21} {percent(judged[1]):<21} {judged[1].threshold:4.0%}"]
    for other in (base, centre):
        cells.append(
            " ".join(f"{points(*pair):<22}" for pair in zip(judged, other, strict=True)) if other else " " * 45
        )
    print(f"{name:<31} " + "  ".join(cells) + note, flush=True)


def measured(photos, quick: bool = False) -> dict:
    """-> row: score: [value, low, high], parts of 1. EfficientNet-Lite0 at 224 pixels, and a box in the middle.

    Beside them the course's network on 300 drawn test pictures, as in lesson 05.
    """
    pictures, truth, size = photos.images[:], photos.boxes, tuple(photos.images[:1].shape[2:])
    network, weights = networks.pretrained()
    images = v2.functional.resize(pictures, [224, 224]) / 255
    at20, best = judge(scores.centred_box(len(photos), size), truth)
    rows = {"fixed box": {"boxes_at_20": at20, "max_box_acc": best}}
    for name, stride in ((LITE0, 32), (f"{LITE0}, dilated", 16))[: 1 if quick else 2]:
        model, logits, maps = networks.fast_cams(networks.dilate(network, stride)), [], []
        for x, c in zip(images.split(20), photos.labels.split(20), strict=True):
            cams = model(x)
            logits.append(cams.logits)
            maps.append(cams.maps(c, size=size)[:, 0])
        maps, error = torch.cat(maps), scores.classification_error(torch.cat(logits), photos.labels)
        at20, best = judge(maps, truth)
        rows[name] = {"top1_error": error[1], "top5_error": error[5], "boxes_at_20": at20, "max_box_acc": best}
        rows[name]["peak_in_box"] = scores.pointing_game(maps, truth)
    drawn, (network, _) = drawn_world.load("objects", "test", n=300, size=128), networks.load_checkpoint("objects-gap")
    parts, model = zip(drawn.images.split(20), drawn.labels.split(20), strict=True), networks.fast_cams(network)
    maps = torch.cat([model(x).maps(c, size=(128, 128))[:, 0] for x, c in parts])
    for name, found in (("drawings", maps), ("drawings, fixed box", scores.centred_box(300, (128, 128)))):
        rows[name] = dict(zip(("boxes_at_20", "max_box_acc"), judge(found, drawn.boxes), strict=True))
    return {
        "about": {
            "photos": len(photos),
            "set": "ILSVRC 2012 validation, up to five boxes a photo",
            "size": 224,
            "weights": weights.name,
            "torch": torch.__version__,
            "date": datetime.date.today().isoformat(),
        }
    } | {
        row: {name: [round(x, 4) for x in (score, *score.interval())] for name, score in found.items()}
        for row, found in rows.items()
    }


def main(*words: str) -> None:
    folder = Path(os.environ.get("CAM_TEST_DATA") or "nowhere") / "imagenet_val260"
    quick, words = "--quick" in words, [word for word in words if word != "--quick"]
    if not (folder / "boxes.csv").is_file():
        print("No ILSVRC pictures: CAM_TEST_DATA names no folder that holds imagenet_val260.")
    elif words[:1] == ["--json"]:
        found = measured(photo_sets.open("ilsvrc_csv", folder, check=False), quick)
        Path(words[1]).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    else:
        n = next((int(word) for word in words if word.isdigit()), None)
        photos = photo_sets.open("ilsvrc_csv", folder, check=False, n=n)
        table(photos, [word for word in words if not word.isdigit()])


def table(photos, names) -> None:
    pictures, truth = photos.images[:], photos.boxes
    size = tuple(pictures.shape[2:])
    fixed = judge(scores.centred_box(len(photos), size), truth)
    print(f"{len(photos)} photos, {sum(map(len, truth))} boxes; per cent, 95 % intervals; pairs: at 20 %, MaxBoxAcc")
    heads = ("at 20 %", "MaxBoxAcc", "at", "− strided at 224", "", "− fixed box")
    print(" " * 31 + " {:<21} {:<21} {:>4}  {:<22} {:<22}  {:<22}".format(*heads))
    row("fixed box in the middle", fixed)
    row("Gaussian in the middle", judge(scores.centred_gaussian(len(photos), size), truth), None, fixed)
    for name in names or STRIDES:
        strides = STRIDES[name]
        network, weights = networks.pretrained(name)
        prepare, base = v2.Normalize(weights.transforms().mean, weights.transforms().std), None
        for side in (224, 320):
            images = prepare(v2.functional.resize(pictures, [side, side]) / 255)
            for stride in strides:
                judged, boxed = {}, {}
                finer = networks.dilate(network, stride)
                logits, error, found = methods(finer, name, images, photos.labels, size)
                wrong = scores.classification_error(logits, photos.labels)
                for method, maps in found.items():
                    large = maps.double()
                    if method != "aligned":
                        large = interpolate(large[:, None], size, mode="bilinear")[:, 0]
                    judged[method], boxed[method] = judge(large, truth), boxes_from_maps(large)
                places = found["CAM"].shape[1]
                print(
                    f"{name} {side} px, {places}×{places}: top-1 error {wrong[1]:.1%}, top-5 {wrong[5]:.1%}, "
                    f"identity {error:.0e}"
                )
                base = base or judged["CAM"]
                for method, score in judged.items():
                    same = sum(map(torch.equal, boxed[method], boxed["CAM"]))
                    note = "" if method == "CAM" else f"  the same box on {same}"
                    title = (
                        f"{name.split('1_')[0]} {side} px, {places}×{places}" if method == "CAM" else f"    {method}"
                    )
                    row(title, score, base if method == "CAM" else judged["CAM"], fixed, note)


if __name__ == "__main__":
    main(*sys.argv[1:])
