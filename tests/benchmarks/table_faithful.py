"""What lessons 12 and 13 measure on photographs: numbers of people, softmax of the weights, deletion and insertion.

    CAM_TEST_DATA=folder python tests/benchmarks/table_faithful.py data/photo_sets/measured

The functions of `photo_sets.faithful`, which the lessons call too: on the photographs of COCO (those in
CAM_TEST_DATA/coco, features kept in CAM_CACHE), and on those of CAM_TEST_DATA/imagenet_val260, 224 pixels wide. Each
row with its 95 % bootstrap interval over photographs. Writes faithful.json and people.safetensors there. Ten minutes.
"""

import datetime
import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

import photo_sets
from cam_helpers import CamModel, networks, probes, scores
from drawn_world.folders import cache_folder
from photo_sets import faithful, words


def measure(data: Path, target: Path | None) -> dict:
    network, weights = networks.pretrained()
    fast, weight, bias = networks.fast(network), network.head.weight.detach(), network.head.bias.detach()
    photos = photo_sets.open("ilsvrc_csv", data / "imagenet_val260", check=False, size=224)
    images, coco = photos.images[:], photo_sets.open("coco", data / "coco", "val", check=False, size=words.SIDE)
    means = probes.cached_features(network, coco, words.SIDE, cache_folder())
    if target:
        weight_of_people, bias_of_people, *_ = faithful.learn_people(coco, means)
        stored = {"weight": weight_of_people[:2].half().contiguous(), "bias": bias_of_people[:2].contiguous()}
        save_file(stored, target / "people.safetensors")
    found = {
        "people": faithful.people(coco, means, CamModel(fast)),
        "softmax": faithful.softened(images, photos.labels, CamModel(fast), weight, bias),
        "deletion": faithful.deletion(images, photos.labels, photos.boxes, fast, exact=network),
    }
    about = {"photos": len(photos), "coco": len(coco), "weights": weights.name, "torch": torch.__version__}
    return {"about": about | {"date": datetime.date.today().isoformat()}} | {
        part: {name: [round(x, 4) for x in (v.mean().item(), *scores.interval(v))] for name, v in rows.items()}
        for part, rows in found.items()
    }


def main(*words: str) -> None:
    data = Path(os.environ.get("CAM_TEST_DATA") or "nowhere")
    if not ((data / "imagenet_val260" / "boxes.csv").is_file() and (data / "coco" / "val2017").is_dir()):
        print("No photographs: CAM_TEST_DATA names no folder that holds imagenet_val260 and coco.")
        return
    target = Path(words[0]) if words else None
    found = json.dumps(measure(data, target), indent=1) + "\n"
    if target:
        (target / "faithful.json").write_text(found, encoding="utf-8")
    else:
        print(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
