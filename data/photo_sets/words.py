"""Words of captions as classes (lessons 08 to 11): a linear SVM a word on frozen features, whose weights give its map.

photos = photo_sets.open("coco", "~/data/coco", "val", size=words.SIDE, download=True)
labels, learn = words.labels(photos.captions), words.halves(photos.paths)
probe = words.probe()                       # learnt from those photographs, for readers without them
heat = words.maps(probe, network, photo[None])
Zhou et al., section 4.2.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import torch
from safetensors.torch import load_file
from scipy.ndimage import maximum_filter
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import resize
from tqdm.auto import tqdm

from cam_helpers import CamModel, networks, scores
from cam_helpers.probes import LinearProbe, cached_features, caption_labels

SIDE = 320  # to which photographs are stretched: 10×10 places for EfficientNet-Lite0

# word → the kind of object whose boxes are its truth; None where COCO's people drew none
WORDS = {
    "brushing teeth": "toothbrush",
    "horse": "horse", "motorcycle": "motorcycle", "umbrella": "umbrella", "laptop": "laptop", "pizza": "pizza",
    "cake": "cake", "kite": "kite", "surfboard": "surfboard", "phone": "cell phone", "frisbee": "frisbee",
    "wine": "wine glass", "bat": "baseball bat", "racket": "tennis racket", "skateboard": "skateboard", "skis": "skis",
    "cat": "cat", "dog": "dog", "elephant": "elephant", "train": "train", "bus": "bus", "truck": "truck",
    "plane": "airplane", "boat": "boat", "bike": "bicycle", "bench": "bench", "bed": "bed", "toilet": "toilet",
    "banana": "banana", "tie": "tie", "teddy bear": "teddy bear", "cup": "cup",
    "woman": None, "water": None, "snow": None, "beach": None, "street": None, "kitchen": None, "bathroom": None,
    "grass": None, "tree": None, "building": None, "mountain": None, "food": None, "table": None,
}  # fmt: skip
_ALSO = {  # other ways to say a word
    "brushing teeth": r"brush\w*( \w+)? teeth|toothbrush(es)?",
    "motorcycle": r"motorcycles?|motorbikes?", "kite": r"kites?", "phone": r"(cell ?|smart)?phones?|telephones?",
    "wine": r"wines?|wine ?glass(es)?", "bat": r"bats?", "skis": r"skis?|skiing|skiers?",
    "plane": r"(air)?planes?|jets?|airliners?", "boat": r"(sail)?boats?|ships?", "bike": r"(bi|motor)?bi(ke|cycle)s?",
    "racket": r"rac(k|qu)ets?",
}  # fmt: skip


def labels(captions, words: Sequence[str] = tuple(WORDS), least: int = 2) -> Tensor:
    """captions: for each photograph a list of sentences -> int64 (N, len(words)), 1 where `least` of them say the word.

    Upper and lower case, singular and plural are alike; other ways to say it are known for the words of WORDS.
    """

    def said(word):
        if word not in _ALSO:
            return caption_labels(captions, word, least)
        form = re.compile(rf"\b({_ALSO[word]})\b", re.IGNORECASE)
        return caption_labels(captions, lambda own: sum(form.search(text) is not None for text in own) >= least)

    return torch.stack([said(word) for word in words], 1)


def halves(paths) -> Tensor:
    """bool (N,): True for the half of the photographs to learn from, by their file names: always the same ones."""
    return torch.tensor([crc32(Path(path).stem.encode()) % 2 == 0 for path in paths])


def crossed(features: Tensor, labels: Tensor, learn: Tensor) -> LinearProbe:
    """Two classifiers for each of C words, so that every photograph is measured by one that has not seen it.

    features (N,K), labels (N,C) of 0 and 1, learn bool (N,). Rows 0 to C−1 are learnt from the photographs of `learn`,
    rows C to 2·C−1 from the others: row c + C·learn[i] has not seen photograph i.
    """
    one, other = (LinearProbe(costs=[0.001]).fit(features[half], labels[half]) for half in (learn, ~learn))
    one.weight, one.bias = torch.cat([one.weight, other.weight]), torch.cat([one.bias, other.bias])
    one.classes = torch.arange(len(one.bias))
    return one


def boxes_of(photos, index: int, kinds: str | Sequence[str], side: int = SIDE) -> Tensor:
    """The boxes of a kind of object, or of several, in a stretched photograph -> float32 (M,4).

    Args:
        photos: a data set with boxes
        index: the number of a photograph
        kinds: of `photos.object_names`
        side: of the stretched photograph in pixels
    """
    height, width = photos.sizes[index]
    names = [kinds] if isinstance(kinds, str) else kinds
    mine = torch.isin(photos.objects[index], torch.tensor([photos.object_names.index(name) for name in names]))
    return photos.boxes[index][mine] / torch.tensor([width, height, width, height]) * side


def surest(probe: LinearProbe, features: Tensor, photos, word: str, n: int = 1) -> list[int]:
    """The photographs with the highest answers for a word, of those that say it and that were not learnt from.

    Args:
        probe: with `.words`
        features: (N,K), the pooled features of the photographs
        photos: N photographs with captions
        word: one of the probe's
        n: how many
    """
    said = (labels(photos.captions, [word])[:, 0] == 1) & ~halves(photos.paths)
    answers = probe.decision(features)[:, probe.words.index(word)]
    return answers.where(said, -torch.inf).topk(n).indices.tolist()


def painted(boxes: Tensor, side: int = SIDE) -> Tensor:
    """The pixels that lie in a box: (M,4), in pixels -> bool (side,side)."""
    found = torch.zeros(side, side, dtype=torch.bool)
    for x1, y1, x2, y2 in boxes.round().int().tolist():
        found[y1:y2, x1:x2] = True
    return found


def regions(photos, which, kind: str) -> Tensor:
    """The pixels of stretched photographs that lie in a box of this kind of object -> bool (n,SIDE,SIDE).

    photos: a data set with boxes and `.object_names`; which: the numbers of n photographs
    """
    return torch.stack([painted(boxes_of(photos, i, kind)) for i in which])


def maps(
    probe: LinearProbe,
    model: CamModel | nn.Module,
    images,
    which=None,
    classes=None,
    batch: int = 4,
    size: int = SIDE,
) -> Tensor:
    """Signed maps of the probe's classes, one pass over the photographs -> float32 (n,C,h,w), on the CPU.

    Args:
        probe: linear classifiers on the network's features at this size
        model: a CamModel, or a network, which then runs as `networks.fast` makes it
        images: uint8 (n,3,H,W), or a data set's `.images`
        which: the numbers of the photographs, None: all
        classes: rows of the probe, None: all of them
        batch: photographs a pass; more at once take much more memory and, on a CPU, no less time
        size: side in pixels to which they are stretched
    """
    cams = model if isinstance(model, CamModel) else CamModel(networks.fast(model))
    device = next(cams.model.parameters()).device
    which = range(len(images)) if which is None else [int(i) for i in which]
    parts = []
    for start in tqdm(range(0, len(which), batch), "maps", unit="batch", leave=False, disable=len(which) < 160):
        photos = torch.stack([resize(images[i], [size, size]) for i in which[start : start + batch]])
        parts.append(probe.maps(cams(photos.to(device)).features.float(), classes).cpu())
    return torch.cat(parts)


def probe(name: str = "words") -> LinearProbe:
    """Linear classifiers for the features of `networks.pretrained()` at SIDE pixels; `.words` names the rows.

    "words": WORDS, learnt from one half of 1,880 photographs of COCO (`python tests/benchmarks/table_words.py`).
    "text": writing, learnt from squares of one half of ICDAR 2015's photographs (`…/table_patterns.py`).
    """
    stored = load_file(Path(__file__).with_name("measured") / f"{name}.safetensors")
    found = LinearProbe()
    found.weight, found.bias, found.several = stored["weight"].float(), stored["bias"].float(), True
    found.classes, found.words = torch.arange(len(found.weight)), list(WORDS) if name == "words" else [name]
    return found


def kinds_at(photos, index: int, side: int = 80) -> Tensor:
    """Where each kind of object is in a photograph -> bool (kinds,side,side): its outline if it has one, else its box.

    Objects may lie over one another. photos: a data set with boxes and `object_names`, such as COCO.
    """
    found = torch.zeros(len(photos.object_names), side, side, dtype=torch.bool)
    height, width = photos.sizes[index]
    scale = torch.tensor([width, height, width, height]) / side
    outlined = photos.has_mask[index] if photos.has_mask is not None else torch.zeros(len(photos.objects[index]))
    masks = photos.masks[index] if outlined.any() else None
    for k, (kind, box) in enumerate(zip(photos.objects[index], photos.boxes[index] / scale, strict=True)):
        if outlined[k]:
            found[kind] |= resize(masks[k : k + 1].float(), [side, side])[0] >= 0.5
        else:
            x1, y1, x2, y2 = box.round().int().tolist()
            found[kind, y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)] = True
    return found


def both_halves(
    model: nn.Module, photos, names: Sequence[str], folder, size: int = SIDE
) -> dict[str, dict[str, Tensor]]:
    """Does a word's map peak on the thing? Each photograph by classifiers of the half that it is not in.

    Args:
        model: takes uint8
        photos: a data set with captions, boxes and `.object_names`, such as COCO
        names: of WORDS, with a kind of object each
        folder: of `cached_features`
        size: to which photographs are stretched

    Returns:
        word -> one number a photograph that says the word and has a box of the thing: "peak", is the hottest pixel in a
        box; "shuffled", the same with shuffled labels; "within_16" pixels; what a blind point would hit: "area",
        "area_within_16", "centre". Of the photographs that show a person, too: "peak_with_person"; "blind_in_person",
        a blind point of the person's boxes; "on_person", peak there and not on the thing; "person_area". And
        "ranked_right" of all photographs that say the word: the part of the others whose decision value is lower
    """
    spoken, learn = labels(photos.captions, names), halves(photos.paths)
    mixed = spoken[torch.randperm(len(spoken), generator=torch.Generator().manual_seed(0))]
    features, n = cached_features(model, photos, size, folder), len(names)
    probe = crossed(features, torch.cat([spoken, mixed], 1), learn)
    kinds = [photos.object_names.index(WORDS[word]) for word in names]
    there = torch.tensor([[bool((own == kind).any()) for kind in kinds] for own in photos.objects])
    which = ((spoken == 1) & there).any(1).nonzero()[:, 0]
    seen = maps(probe, model, photos.images, which, size=size)  # one pass, though some photographs say several words
    decision, found = probe.decision(features), {}
    for c, word in enumerate(names):
        said = spoken[:, c] == 1
        answers = torch.where(learn, decision[:, c + 2 * n], decision[:, c])
        own = (said & there[:, c])[which]
        shown, rows = which[own].tolist(), c + n * torch.arange(4)
        heat = torch.where(learn[shown][:, None, None, None], seen[own][:, rows[2:]], seen[own][:, rows[:2]])
        regions_of = regions(photos, shown, WORDS[word]), regions(photos, shown, "person")
        found[word] = _peaks(*interpolate(heat, (SIDE, SIDE), mode="bilinear").unbind(1), *regions_of)
        found[word]["ranked_right"] = (answers[said][:, None] > answers[~said]).double().mean(1)
    return found


def near(masks: Tensor, beside: int) -> Tensor:
    """The pixels of masks, bool (N,H,W), and those at most so many rows and columns beside them -> bool (N,H,W)."""
    side = 2 * beside + 1
    return torch.from_numpy(maximum_filter(masks.byte().numpy(), (1, side, side), mode="constant")) > 0


def _peaks(heat: Tensor, blind: Tensor, true: Tensor, person: Tensor) -> dict[str, Tensor]:
    """Maps and regions (n,SIDE,SIDE) -> one number a photograph, see `both_halves`."""
    peak, on_person = (scores.pointing_game(heat, region).hits.double() for region in (true, person))
    seen, middle = person.any((1, 2)), SIDE // 2
    return {
        "peak": peak,
        "shuffled": scores.pointing_game(blind, true).hits.double(),
        "within_16": scores.pointing_game(heat, true, beside=16).hits.double(),
        "area": true.double().mean((1, 2)),
        "area_within_16": near(true, 16).double().mean((1, 2)),
        "centre": true[:, middle, middle].double(),
        "peak_with_person": peak[seen],
        "blind_in_person": (true & person)[seen].sum((1, 2)) / person[seen].sum((1, 2)),
        "on_person": (on_person * (1 - peak))[seen],
        "person_area": person[seen].double().mean((1, 2)),
    }


def rates(numbers: dict[str, Tensor]) -> dict[str, list[float]]:
    """One number a photograph each -> name -> [mean, low, high, how many], with 95 % intervals: as they are stored."""
    rows = {name: (float(one.mean()), *scores.interval(one)) for name, one in numbers.items() if len(one)}
    return {name: [*(round(part, 4) for part in row), len(numbers[name])] for name, row in rows.items()}
