"""Scenes of captions on COCO photographs, and the objects that their maps lie on (lesson 10; paper, section 4.2).

found, shuffled = scenes.count(photos, network, cache_folder)     # counters of photographs not learnt from
scenes.summary(photos, found, shuffled)                           # what `photo_sets.measured("scenes")` stores
"""

import pandas as pd
import torch
from torch import Tensor

from cam_helpers.probes import LinearProbe, cached_features
from cam_helpers.statistics import MEASURES, SceneStatistics, rank_correlation

from . import words

SCENES = ["street", "kitchen", "bathroom", "beach", "snow", "baseball", "tennis", "living room"]


def log_odds(photos, labels: Tensor) -> pd.DataFrame:
    """How much more often each kind of object is in a scene's photographs than in the others: scenes × kinds.

    The odds of a share p are p / (1 − p); this is the logarithm of the ratio of two odds. Half a photograph is added to
    each count, so that no share is 0 or 1. labels: (N,C) 0/1, as `words.labels` gives; photos: with .labels, .classes.
    """
    there, rows = photos.labels > 0, []
    for inside in (labels == 1).T:
        here, elsewhere = ((there[part].sum(0) + 0.5) / (part.sum() + 1) for part in (inside, ~inside))
        rows.append(torch.logit(here) - torch.logit(elsewhere))
    return pd.DataFrame(torch.stack(rows).numpy(), SCENES, photos.classes)


def count(photos, network, cache) -> tuple[SceneStatistics, SceneStatistics]:
    """One pass over the held-out photographs of the scenes -> counters, and counters with shuffled maps.

    The region is the hottest fifth of the scene's map. Shuffled: each photograph takes the map of the next photograph
    of the same scene, which knows what such photographs look like and has not seen this one.
    """
    features = cached_features(network, photos, words.SIDE, cache)
    labels, learn = words.labels(photos.captions, SCENES), words.halves(photos.paths)
    probe = LinearProbe(costs=[0.001]).fit(features[learn], labels[learn])
    held = [((labels[:, c] == 1) & ~learn).nonzero()[:, 0].tolist() for c in range(len(SCENES))]
    which = sorted({i for some in held for i in some})
    maps = dict(zip(which, words.maps(probe, network, photos.images, which), strict=True))
    found, shuffled = (SceneStatistics(SCENES, photos.classes, threshold=0.2, rule="area") for _ in range(2))
    for c, some in enumerate(held):
        for i, other in zip(some, some[1:] + some[:1], strict=True):
            about = words.kinds_at(photos, i)[None], torch.tensor([c]), torch.tensor([i])
            found.update(maps[i][None, c], *about)
            shuffled.update(maps[other][None, c], *about)
    return found, shuffled


def summary(photos, found: SceneStatistics, shuffled: SceneStatistics) -> dict:
    """What lesson 10 shows: a row for each scene and object, and rank correlations with the objects' log-odds.

    "agreement", "minus_frequency", "shuffled": measure → scene, and "mean" → [value, low, high]; None where a measure
    is alike for all objects of a scene, which "mean" then leaves out.
    """
    truth = log_odds(photos, words.labels(photos.captions, SCENES))
    rows = found.table().query("pictures >= 5").round(4)
    rows["log_odds"] = [round(float(truth.loc[row.scene, row.object]), 3) for row in rows.itertuples()]

    def agreement(counters, against=None):
        found = {}
        for by in MEASURES:
            table = rank_correlation(counters, truth, by, against).drop(columns="objects").round(4).astype(object)
            found[by] = dict(zip(table.index, table.where(table.notna(), None).to_numpy().tolist(), strict=True))
        return {by: rows for by, rows in found.items() if by != against}

    return {
        "pictures": dict(zip(SCENES, found.pictures[0, :, 0].int().tolist(), strict=True)),
        "rows": {name: rows[name].tolist() for name in rows.columns},
        "agreement": agreement(found),
        "minus_frequency": agreement(found, "frequency"),
        "shuffled": agreement(shuffled),
    }
