"""Informative objects of scenes on COCO photographs: what lesson 10 stores for readers without the photographs.

    CAM_TEST_DATA=folder python tests/benchmarks/table_scenes.py data/photo_sets/measured/scenes.json

Eight scenes, told by captions; half of the photographs to learn from, half to count on. Two minutes.
"""

import datetime
import json
import os
import sys
from pathlib import Path

import torch

import photo_sets
from cam_helpers import networks
from photo_sets import scenes, words

if __name__ == "__main__":
    photos = photo_sets.open("coco", Path(os.environ["CAM_TEST_DATA"]) / "coco", "val", check=False)
    about = {"photos": len(photos), "set": "COCO 2017 validation", "size": words.SIDE, "torch": torch.__version__}
    about["date"] = str(datetime.date.today())
    counted = scenes.count(photos, networks.pretrained()[0], os.environ.get("CAM_CACHE", "data/cache"))
    found = {"about": about} | scenes.summary(photos, *counted)
    # one row a line
    text = json.dumps(found, indent=1).replace(",\n   ", ", ")
    Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")
