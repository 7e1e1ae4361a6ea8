"""Words of captions on COCO photographs: what the lessons store for readers without the photographs.

    CAM_TEST_DATA=folder python tests/benchmarks/table_words.py data/photo_sets/measured

For each word of `photo_sets.words`, half of the photographs to learn from and half to measure on: photographs that say
it, average precision of the decision value, peak of the map inside a box of the thing, the boxes' share of the picture.
Writes words.json and words.safetensors there. Three minutes.
"""

import datetime
import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.metrics import average_precision_score

import photo_sets
from cam_helpers import networks, scores
from cam_helpers.probes import LinearProbe, cached_features
from photo_sets import words


def measure(photos, folder) -> tuple[dict, LinearProbe]:
    network, _ = networks.pretrained()
    features = cached_features(network, photos, words.SIDE, folder)
    labels, learn = words.labels(photos.captions), words.halves(photos.paths)
    probe = LinearProbe(costs=[0.001]).fit(features[learn], labels[learn])
    decision, rows = probe.decision(features), {}
    for c, (word, kind) in enumerate(words.WORDS.items()):
        rows[word] = {"learnt_from": int(labels[learn, c].sum()), "said": int(labels[~learn, c].sum())}
        rows[word]["average_precision"] = float(average_precision_score(labels[~learn, c], decision[~learn, c]))
        if kind is None:
            continue
        k = photos.classes.index(kind)
        shown = [i for i in ((labels[:, c] == 1) & ~learn).nonzero()[:, 0].tolist() if (photos.objects[i] == k).any()]
        sizes = [photos.sizes[i] for i in shown]
        truth = [photos.boxes[i][photos.objects[i] == k] for i in shown]
        truth = [box / torch.tensor([w, h, w, h]) * words.SIDE for box, (h, w) in zip(truth, sizes, strict=True)]
        heat = words.maps(probe, network, photos.images, shown, [c])[:, 0]
        heat = torch.nn.functional.interpolate(heat[:, None], (words.SIDE, words.SIDE), mode="bilinear")[:, 0]
        hits = scores.pointing_game(heat, truth)
        share = [scores_of(box) for box in truth]
        rows[word] |= {
            "with_box": len(shown),
            "area": sum(share) / len(share),
            "peak": [float(hits), *scores.interval(hits)],
        }
        print(f"{word:15}", rows[word], flush=True)
    about = {"photos": len(photos), "set": "COCO 2017 validation", "size": words.SIDE, "torch": torch.__version__}
    return {"about": about | {"date": str(datetime.date.today())}, "words": rows}, probe


def scores_of(boxes) -> float:
    """The share of the picture that the boxes cover together."""
    covered = torch.zeros(words.SIDE, words.SIDE, dtype=torch.bool)
    for x1, y1, x2, y2 in boxes.round().int().tolist():
        covered[y1:y2, x1:x2] = True
    return float(covered.float().mean())


if __name__ == "__main__":
    target, data = Path(sys.argv[1]), Path(os.environ["CAM_TEST_DATA"]) / "coco"
    found, probe = measure(photo_sets.open("coco", data, "val", check=False), os.environ.get("CAM_CACHE", "data/cache"))
    (target / "words.json").write_text(json.dumps(found, indent=1) + "\n")
    save_file({"weight": probe.weight.half(), "bias": probe.bias}, target / "words.safetensors")
