"""Lesson 09 on photographs: what it measures there, stored for readers without them.

    CAM_TEST_DATA=folder python tests/benchmarks/table_patterns.py data/photo_sets/measured

Runs the lesson's set-up cell and those tagged "photographs", with COCO's photographs in folder/coco and ICDAR's in
folder/text, and measures the maps of its answers to questions; keeps its `numbers` in patterns.json and its classifier
of writing in text.safetensors. Three minutes; one and a half where the features are cached. "half": `values_of_half`.
"""

import datetime
import json
import os
import sys
from pathlib import Path
from unittest.mock import patch

import nbformat
import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate

import photo_sets
from cam_helpers import scores
from photo_sets import at_hand, words

HALF = {"icdar2015": 125, "coco": 940}  # photographs
LESSON = Path(__file__).parents[2] / "notebooks" / "09_pattern_discovery.ipynb"


def measure() -> dict:
    """The names that these cells make; with `of_answers` among the `numbers`."""
    names = {}
    for number, cell in enumerate(nbformat.read(LESSON, as_version=4).cells):
        if number == 1 or "photographs" in cell.metadata.get("tags", []):
            exec(compile(cell.source, f"{LESSON.name}, cell {number}", "exec"), names)
    names["numbers"]["answers"] |= of_answers(names)
    return names


def values_of_half() -> dict:
    """The same of half of the photographs, without intervals: what the tests measure again, in a third of the time."""
    half = patch.object(photo_sets, "at_hand", lambda *what, **how: at_hand(*what, **how | {"n": HALF[what[0]]}))
    with half, patch.object(scores, "interval", lambda outcome: (0.0, 0.0)):
        numbers = measure()["numbers"]
    values = {
        "writing": {rival: {what: one[0] for what, one in row.items()} for rival, row in numbers["writing"].items()},
        "phrases": {
            phrase: {kind: row[kind][0] for kind in ("random", "near")} for phrase, row in numbers["phrases"].items()
        },
        "answers": {what: one[0] for what, one in numbers["answers"].items()},
    }
    return {"squares": numbers["squares"]["measured on"]} | values


def of_answers(names: dict, side: int = 80) -> dict:
    """Does the map of a question's answer peak in its boxes? On half of the photographs that were not learnt from.

    names: of the lesson, whose `layer` knows answers -> [value, low, high] of: the answer's own map; a blob in the
    middle; where a photograph was asked two questions, its own map, and the map of the other question
    """
    photos, photo, answer, layer = (names[name] for name in ("coco", "photo", "answer", "layer"))
    layer.weight = layer.weight[:, : names["coco_features"].shape[1]]  # the picture's part, without the question's
    some = photo[~names["known"]].unique()[::2]
    maps = words.maps(layer, names["cams"], photos.images, some)
    row_of = {kind: row for row, kind in enumerate(layer.classes.tolist())}
    place = {i: k for k, i in enumerate(some.tolist())}
    pairs = [(i, k) for i, k in zip(photo.tolist(), answer.tolist(), strict=True) if i in place and k in row_of]
    heat = torch.stack([maps[place[i], row_of[k]] for i, k in pairs])
    heat = interpolate(heat[:, None], (side, side), mode="bilinear")[:, 0]
    boxes = [words.boxes_of(photos, i, photos.classes[k], side) for i, k in pairs]
    at = {}
    for row, (i, _) in enumerate(pairs):
        at.setdefault(i, []).append(row)
    own, other = torch.tensor([(a, b) for rows in at.values() for a in rows for b in rows if a != b]).T
    blob, theirs = scores.centred_gaussian(len(pairs), (side, side)), [boxes[row] for row in own]
    return {
        "peak of the answer's map in its box": names["rate"](scores.pointing_game(heat, boxes)),
        "… a blob in the middle": names["rate"](scores.pointing_game(blob, boxes)),
        "two questions: peak of its own map in its box": names["rate"](scores.pointing_game(heat[own], theirs)),
        "two questions: peak of the other question's map": names["rate"](scores.pointing_game(heat[other], theirs)),
    }


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for name in ("coco", "text"):
        if not (Path(os.environ.get("CAM_TEST_DATA") or "nowhere") / name).is_dir():
            sys.exit(f"expected CAM_TEST_DATA to name a folder that holds coco and text, got none that holds {name}")
    names = measure()
    about = {
        "streets": f"{len(names['street'])} photographs of ICDAR 2015",
        "things": f"{len(names['coco'])} photographs of COCO 2017",
        "size": names["SIDE"],
        "torch": torch.__version__,
        "date": str(datetime.date.today()),
    }
    numbers = {"about": about} | {name: names["numbers"][name] for name in ("squares", "writing", "phrases", "answers")}
    numbers["half"] = values_of_half()
    target.mkdir(parents=True, exist_ok=True)
    (target / "patterns.json").write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    save_file({"weight": names["text"].weight[:1].half(), "bias": names["text"].bias[:1]}, target / "text.safetensors")
