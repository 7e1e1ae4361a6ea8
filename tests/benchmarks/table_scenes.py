"""Informative objects of scenes on COCO photographs: what lesson 10 stores for readers without the photographs.

    CAM_TEST_DATA=folder python tests/benchmarks/table_scenes.py data/photo_sets/measured/scenes.json

Eight scenes, told by captions; half of the photographs to learn from, half to count on. Two minutes.
"""

import datetime
import json
import os
import sys
from pathlib import Path

import pandas as pd
import torch

import photo_sets
from cam_helpers import networks
from cam_helpers.probes import LinearProbe, cached_features
from cam_helpers.statistics import MEASURES, SceneStatistics, rank_correlation
from photo_sets import words

SCENES = ["street", "kitchen", "bathroom", "beach", "snow", "baseball", "tennis", "living room"]


def log_odds(photos, labels) -> pd.DataFrame:
    """How much more often each kind of object is in a scene's photographs than in the others: scenes × kinds."""
    there, rows = photos.labels > 0, {}
    for c, scene in enumerate(SCENES):
        inside = labels[:, c] == 1
        p, q = ((there[rows_].sum(0) + 0.5) / (rows_.sum() + 1) for rows_ in (inside, ~inside))
        rows[scene] = (torch.logit(p) - torch.logit(q)).numpy()
    return pd.DataFrame(rows, photos.classes).T


def count(photos, network, folder) -> SceneStatistics:
    """One pass over the held-out photographs of the scenes; the region is the hottest fifth of the scene's map."""
    features = cached_features(network, photos, words.SIDE, folder)
    labels, learn = words.labels(photos.captions, SCENES), words.halves(photos.paths)
    probe = LinearProbe(costs=[0.001]).fit(features[learn], labels[learn])
    found = SceneStatistics(SCENES, photos.classes, threshold=0.2, rule="area")
    pairs = ((labels == 1) & ~learn[:, None]).nonzero()
    which = pairs[:, 0].unique()
    maps = dict(zip(which.tolist(), words.maps(probe, network, photos.images, which), strict=True))
    for key, (i, c) in enumerate(pairs.tolist()):
        kinds = words.kinds_at(photos, i)[None]
        found.update(maps[i][None, c], kinds, torch.tensor([c]), torch.tensor([key]))
    return found


def summary(photos, found: SceneStatistics) -> dict:
    """What lesson 10 shows: rank correlations with intervals, and the first six of each list."""
    truth = log_odds(photos, words.labels(photos.captions, SCENES))
    agreement = {by: rank_correlation(found, truth, by) for by in MEASURES}
    return {
        "about": {
            "photos": len(photos), "set": "COCO 2017 validation", "size": words.SIDE,
            "torch": torch.__version__, "date": str(datetime.date.today()),
        },
        "pictures": dict(zip(SCENES, found.pictures[0, :, 0].int().tolist(), strict=True)),
        "objects": agreement["lift"]["objects"].to_dict(),
        "agreement": {
            by: {scene: [round(float(x), 4) for x in row] for scene, *row in table[["value", "low", "high"]].itertuples()}
            for by, table in agreement.items()
        },
        "lists": {scene: {by: list(found.top(scene, 6, by).index) for by in MEASURES} for scene in SCENES},
    }  # fmt: skip


if __name__ == "__main__":
    photos = photo_sets.open("coco", Path(os.environ["CAM_TEST_DATA"]) / "coco", "val", check=False)
    found = count(photos, networks.pretrained()[0], os.environ.get("CAM_CACHE", "data/cache"))
    Path(sys.argv[1]).write_text(json.dumps(summary(photos, found), indent=1) + "\n")
