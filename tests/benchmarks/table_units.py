"""Units of the pretrained network, named by the objects of COCO photographs: what lesson 11 stores for readers.

    CAM_TEST_DATA=folder python tests/benchmarks/table_units.py data/photo_sets/measured/units.json

Half of the photographs to learn the words' weights from; the lists are of the other half. Two minutes.
"""

import datetime
import json
import os
import sys
from pathlib import Path

import torch

import photo_sets
from cam_helpers import CamModel, networks
from cam_helpers.probes import cached_features
from photo_sets import named_units, words

if __name__ == "__main__":
    photos = photo_sets.open("coco", Path(os.environ["CAM_TEST_DATA"]) / "coco", "val", check=False)
    network = networks.pretrained()[0]
    folder = os.environ.get("CAM_CACHE", "data/cache")
    features = cached_features(network, photos, words.SIDE, folder)
    about = {"photos": len(photos), "set": "COCO 2017 validation", "size": words.SIDE, "torch": torch.__version__}
    about |= {"held_out": int((~words.halves(photos.paths)).sum()), "date": str(datetime.date.today())}
    found = {"about": about} | named_units.summary(photos, CamModel(networks.fast(network)), features, folder)
    found = json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 4))
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
