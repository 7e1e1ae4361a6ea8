"""Patterns in photographs that no class stands for: phrases in captions, and questions (lesson 09).

held, near = phrase_labels(photos.captions, "riding a wave")
questions(photos)                      # rows of photograph, question, answer
Zhou et al., section 4.2.
"""

import re

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from cam_helpers.probes import caption_labels

# phrase → what a caption says that has it; what captions of photographs say that come near; the kinds it speaks of
PHRASES = {
    "umbrella": (r"umbrellas?", r"rain\w*|beach|street|walk\w*", ["umbrella"]),
    "laptop": (r"laptops?", r"desks?|keyboards?|monitors?|books?|tables?", ["laptop"]),
    "cake": (r"(cup)?cakes?", r"plates?|desserts?|food|birthday|pies?|candles?", ["cake"]),
    "pizza": (r"pizzas?", r"plates?|food|cheese|sandwich(es)?", ["pizza"]),
    "dog": (r"dogs?|pupp(y|ies)", r"cats?|sheep|animals?|bears?|cows?", ["dog"]),
    "bus": (r"bus(es)?", r"trucks?|cars?|trains?|vans?", ["bus"]),
    "horse": (r"horses?|pon(y|ies)", r"cows?|cattle|sheep|elephants?|dogs?", ["horse"]),
    "riding a wave": (r"(rid|surf|catch)\w* .*waves?", r"surf\w*|beach|ocean|waves?", ["surfboard", "person"]),
    "sitting on a bench": (r"(on|sit\w*) .*bench(es)?", r"park|sit\w*|bench(es)?|chairs?", ["bench"]),
    "flying a kite": (r"fly\w* .*kites?|kites? .*(air|sky|fly\w*)", r"beach|field|sky|park|kites?", ["kite"]),
    "using a phone": (r"(talk|us|look|hold)\w* .*phones?|on .*phones?", r"phones?|hold\w*|cameras?", ["cell phone"]),
    "playing tennis": (r"tennis", r"baseball|court|balls?|frisbees?|play\w*", ["tennis racket"]),
}  # fmt: skip

QUESTIONS = {  # COCO's own groups of kinds, without "person"
    "what vehicle?": "bicycle, car, motorcycle, airplane, bus, train, truck, boat",
    "what is in the street?": "traffic light, fire hydrant, stop sign, parking meter, bench",
    "what animal?": "bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe",
    "what is carried?": "backpack, umbrella, handbag, tie, suitcase",
    "what for sports?": "frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket",
    "what on the table?": "bottle, wine glass, cup, fork, knife, spoon, bowl",
    "what food?": "banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake",
    "what furniture?": "chair, couch, potted plant, bed, dining table, toilet",
    "what electronics?": "tv, laptop, mouse, remote, keyboard, cell phone",
    "what in the kitchen?": "microwave, oven, toaster, sink, refrigerator",
    "what else in the room?": "book, clock, vase, scissors, teddy bear, hair drier, toothbrush",
}


def phrase_labels(captions, phrase: str) -> tuple[Tensor, Tensor]:
    """captions: for each photograph a list of sentences; phrase: one of PHRASES -> bool (N,) twice.

    Where one of the captions has the phrase; and where none has it, but one comes near.
    """

    def said(form):
        form = re.compile(rf"\b({form})\b", re.IGNORECASE)
        return caption_labels(captions, lambda own: any(map(form.search, own))).bool()

    held, near = map(said, PHRASES[phrase][:2])
    return held, near & ~held


def questions(photos) -> Tensor:
    """Every photograph of COCO, asked each of QUESTIONS that has one answer in it -> int64 (M,3).

    Rows of photograph, question, answer: indices into photos, QUESTIONS and photos.classes. One answer: objects of one
    kind of that group and no other were drawn in it.
    """
    rows = []
    for q, kinds in enumerate(QUESTIONS.values()):
        group = torch.tensor([photos.classes.index(kind) for kind in kinds.split(", ")])
        there = photos.labels[:, group]
        which = (there.sum(1) == 1).nonzero()[:, 0]
        rows.append(torch.stack([which, torch.full_like(which, q), group[there[which].argmax(1)]], 1))
    return torch.cat(rows)


def peak_distance(maps: Tensor, masks: Tensor) -> Tensor:
    """maps (N,H,W), masks bool (N,H,W) -> (N,): pixels from the hottest one to the nearest true one, 0 inside."""
    found = []
    for heat, mask in zip(maps, masks, strict=True):
        away = distance_transform_edt(~mask.numpy())
        found.append(away.flat[int(heat.argmax())])
    return torch.tensor(found)
