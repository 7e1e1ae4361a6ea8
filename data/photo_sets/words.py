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
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize
from tqdm.auto import tqdm

from cam_helpers import CamModel, networks
from cam_helpers.probes import LinearProbe, caption_labels

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


def maps(probe: LinearProbe, model: CamModel | nn.Module, images, which=None, classes=None, batch: int = 16) -> Tensor:
    """Signed maps of the probe's classes, one pass over the photographs -> float32 (n,C,h,w), on the CPU.

    model: a CamModel, or a network, which then runs as `networks.fast` makes it. images: uint8 (n,3,H,W), or a data
    set's `.images`; they are stretched to SIDE. which: the numbers of the photographs, None: all. classes: rows of
    the probe, None: all of them.
    """
    cams = model if isinstance(model, CamModel) else CamModel(networks.fast(model))
    device = next(cams.model.parameters()).device
    which = range(len(images)) if which is None else [int(i) for i in which]
    parts = []
    for start in tqdm(range(0, len(which), batch), "maps", unit="batch", leave=False, disable=len(which) < 10 * batch):
        photos = torch.stack([resize(images[i], [SIDE, SIDE]) for i in which[start : start + batch]])
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
