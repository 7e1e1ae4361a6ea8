"""What lessons 12 and 13 measure on photographs: maps of numbers, softmax of the weights, deletion and insertion.

Every function gives name → one number a photograph, (N,), ready for `cam_helpers.scores.interval`. Stored for readers
without the photographs by `python tests/benchmarks/table_faithful.py`: `photo_sets.measured("faithful")`.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2.functional import center_crop, gaussian_blur, resize

from cam_helpers import CamModel, saliency, scores
from cam_helpers.maps import class_activation_maps
from cam_helpers.probes import ridge

from . import words

SOFTENED = {  # what may be done to the weights (C,K) of a head
    "as trained": lambda weight: weight,
    "positive part": lambda weight: weight.clamp_min(0),
    "softmax": lambda weight: weight.softmax(1),
}


def higher_on(maps: Tensor, inside: Tensor) -> Tensor:
    """Is the map's mean inside above its mean on the rest? maps, inside (0 to 1): (N,h,w) -> (N,) 0 or 1."""
    means = [(maps * part).sum((1, 2)) / part.sum((1, 2)).clamp_min(1e-6) for part in (inside, 1 - inside)]
    return (means[0] > means[1]).double()


def correlation(a: Tensor, b: Tensor, ranks: bool = False) -> Tensor:
    """Pearson's, over the places of each picture, or of their ranks: (N,h,w), (N,h,w) -> (N,)."""
    a, b = (x.flatten(1).argsort(1).argsort(1).float() if ranks else x.flatten(1) for x in (a, b))
    return torch.stack([torch.stack(pair).corrcoef()[0, 1] for pair in zip(a, b, strict=True)])


def square(image: Tensor, side: int = 224) -> Tensor:
    """The middle of a picture, as large as its shorter side, at one size: (3,H,W) -> (3,side,side)."""
    return resize(center_crop(image, min(image.shape[1:])), [side, side])


def learn_people(photos, means: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two numbers a photograph, how many people and how much of it (%) their boxes cover, learnt from one half of COCO.

    photos: opened with size=words.SIDE; means (N,K): `cached_features` of the same photographs.
    -> weight (4,K), bias (4,): how many, how much, and both learnt from numbers dealt out by chance; the two numbers
    (N,2); the share of each of 10×10 places that is covered, (N,10,10)
    """
    person = photos.classes.index("person")
    boxes = [box[kinds == person] for box, kinds in zip(photos.boxes, photos.objects, strict=True)]
    inside = torch.stack([_covered(own) for own in boxes])
    numbers = torch.stack([torch.tensor([float(len(own)) for own in boxes]), 100 * inside.mean((1, 2))], 1)
    learn = words.halves(photos.paths)
    dealt = torch.randperm(int(learn.sum()), generator=torch.Generator().manual_seed(0))
    weight, bias = ridge(means[learn], torch.cat([numbers[learn], numbers[learn][dealt]], 1))
    return weight, bias, numbers, inside


def people(photos, means: Tensor, model: CamModel, judged: int = 300) -> dict[str, Tensor]:
    """`learn_people`, judged on the other half: are the numbers right, and do their maps lie on the people?

    Args:
        photos: of COCO, with boxes
        means: (N,K), the pooled features of the photographs
        model: gives the features that the maps are drawn on
        judged: maps of so many photographs at most, whose people cover 2 to 70 %
    """
    weight, bias, numbers, inside = learn_people(photos, means)
    held, covered = ~words.halves(photos.paths), inside.mean((1, 2))
    chosen = (held & (covered > 0.02) & (covered < 0.7)).nonzero()[:judged, 0]
    told, inside, few = means @ weight.T + bias, inside[chosen], numbers[chosen, 0] < 3
    seen = _features(model, [photos.images[i] for i in chosen.tolist()])
    drawn = torch.cat([class_activation_maps(features, weight) for features in seen])
    found = {"area of the people": inside.double().mean((1, 2))}
    for k, name in ((1, "how much"), (0, "how many")):
        off = (told[held, k] - numbers[held, k]).square()
        found[f"{name}: explained"] = 1 - off / numbers[held, k].var(correction=0)
        for label, maps in ((name, drawn[:, k]), (f"{name}, shuffled", drawn[:, k + 2])):
            found[f"{label}: map higher on people"] = higher_on(maps, inside)
            peak = maps.flatten(1).argmax(1, keepdim=True)
            found[f"{label}: peak on a person"] = inside.flatten(1).gather(1, peak)[:, 0].double()
    many = found["how many: map higher on people"]
    return found | {"… one or two people": many[few], "… three or more": many[~few]}


def people_weights() -> tuple[Tensor, Tensor]:
    """Weight (2,K) and bias (2,) of `learn_people`, how many and how much, for readers without the photographs."""
    stored = load_file(Path(__file__).with_name("measured") / "people.safetensors")
    return stored["weight"].float(), stored["bias"]


def on_own_half(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Two photographs in one frame; maps (N,2,h,2w) of the left one's word and of the right one's.

    -> the share of the positive evidence on the word's own half, and whether the peak is there: (N,), means of the two
    """
    side, positive = maps.shape[3] // 2, maps.relu()
    left = positive[..., :side].sum((2, 3)) / positive.sum((2, 3)).clamp_min(1e-9)
    peak = (maps.flatten(2).argmax(2) % (2 * side) < side).double()
    return (left[:, 0] + 1 - left[:, 1]) / 2, (peak[:, 0] + 1 - peak[:, 1]) / 2


def softened(images: Tensor, labels: Tensor, model: CamModel, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Each way of SOFTENED: is the word right, and with the next photograph beside it, does its map stay on its own?

    Args:
        images: uint8 (N,3,S,S)
        labels: (N,)
        model: gives the features
        weight: (C,K), of the model's head
        bias: (C,), of the model's head
    """
    means = torch.cat([features.mean((2, 3)) for features in _features(model, images)])
    beside = torch.stack([labels, labels.roll(-1)], 1)
    apart = beside[:, 0] != beside[:, 1]
    pairs = torch.cat(list(_features(model, torch.cat([images, images.roll(-1, 0)], 3)[apart])))
    found = {}
    for name, change in SOFTENED.items():
        found[f"{name}: word right"] = ((means @ change(weight).T + bias).argmax(1) == labels).double()
        maps = torch.einsum("nkhw,nck->nchw", pairs, change(weight)[beside[apart]])
        share, peak = on_own_half(maps)
        found |= {f"{name}: peak on its own photo": peak, f"{name}: evidence on its own photo": share}
    return found


def deletion(images: Tensor, labels: Tensor, boxes, network: nn.Module, exact: nn.Module | None = None) -> dict:
    """Insertion minus deletion of the class map and its controls; the blob in the middle where the thing is not there.

    Args:
        images: uint8 (N,3,S,S)
        labels, boxes: (N,), and a list of (M,4) in pixels of the images
        network: that is asked
        exact: the same in float32: with it also gradients and blurred paint, which take longer
    """
    model = CamModel(network)
    cams = [model(part) for part in images.split(8)]
    wrong = torch.cat([c.logits for c in cams]).float().scatter(1, labels[:, None], -torch.inf).argmax(1)
    own, other = (
        torch.cat([c.maps(k)[:, 0] for c, k in zip(cams, which.split(8), strict=True)]).float()
        for which in (labels, wrong)
    )
    maps = {"class map": own, "another word's map": other, "the next photo's map": own.roll(-1, 0)}
    maps["a blob in the middle"] = scores.centred_gaussian(len(images), (7, 7))
    maps["random order"] = torch.rand(own.shape, generator=torch.Generator().manual_seed(0))
    if exact is not None:
        maps["Grad-CAM++"] = saliency.grad_cam_plus_plus(exact, images / 255, labels)
        maps["input gradient"] = saliency.input_gradient(exact, images / 255, labels)
    curves = scores.deletion_and_insertion(network, images, labels, maps)
    found = {name: scores.faithfulness(curve) for name, curve in curves.items()}
    centre = torch.stack([(box[0, :2] + box[0, 2:]) / 2 for box in boxes])
    near, _, far = (centre - images.shape[3] / 2).norm(dim=1).argsort().chunk(3)
    lead = found["class map"] - found["a blob in the middle"]
    found |= {"lead over the blob": lead, "… thing near the middle": lead[near], "… thing far from it": lead[far]}
    if exact is not None:
        paint = gaussian_blur(images, [63, 63], [20.0, 20.0])
        maps = {f"{name}, blurred paint": maps[name] for name in ("class map", "a blob in the middle", "random order")}
        curves = scores.deletion_and_insertion(network, images, labels, maps, paint=paint)
        found |= {name: scores.faithfulness(curve) for name, curve in curves.items()}
    return found


def _covered(boxes: Tensor) -> Tensor:
    """The share of each of 10×10 places inside the boxes, which are in pixels of the stretched photograph."""
    return F.adaptive_avg_pool2d(words.painted(boxes)[None].float(), 10)[0]


def _features(model: CamModel, images):
    """The features of a few pictures at a time, on the CPU."""
    device = next(model.model.parameters()).device
    for start in range(0, len(images), 8):
        yield model(torch.stack(list(images[start : start + 8])).to(device)).features.float().cpu()
