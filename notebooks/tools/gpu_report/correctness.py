"""Is what the course computes on this device what it computes on the CPU?"""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .rows import Place, Row, Skipped, must, refused_by_mps, skipped

TEN = (
    "resnet18", "resnext50_32x4d", "mobilenet_v2", "efficientnet_b0", "googlenet", "inception_v3",
    "shufflenet_v2_x1_0", "regnet_y_400mf", "densenet121", "squeezenet1_1",
)  # fmt: skip
FLOAT32, SHORT = 1e-4, 0.02  # relative differences: rounding of a deep network; bf16 has eight bits


@contextmanager
def tensor_cores(allowed: bool):
    """Whether float32 products and convolutions may use TF32, ten bits of mantissa."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def difference(one: Tensor, other: Tensor) -> float:
    """The largest, relative to the largest value of `other`."""
    one, other = one.detach().cpu().double(), other.detach().cpu().double()
    return ((one - other).abs().max() / other.abs().max().clamp_min(1e-30)).item()


def random_networks(names, place: Place):
    """-> name, network on the CPU, its pictures; random weights, as if it had been trained."""
    from tiny_networks import pictures, random_network

    for name in names:
        side = (128 if name == "inception_v3" else 64) if place.quick else 224
        yield name, random_network(name, side), pictures(2 if place.quick else 4, side)


def identity(place: Place) -> Iterator[Row]:
    """The maps give back the class scores: networks with random weights (ten; quick: five), the pretrained one."""
    for name, network, images in random_networks(TEN[::2] if place.quick else TEN, place):
        yield from _identity(name, network, images, place)
    yield from _pretrained(place)


def _identity(name, network, images, place: Place) -> Iterator[Row]:
    from cam_helpers import CamModel

    wrapped, images = CamModel(network.to(place.device)), images.to(place.device)
    with tensor_cores(False):
        yield must(f"{name}, float32", wrapped(images).identity_error(), FLOAT32)
    try:
        with torch.autocast(place.device, torch.bfloat16):
            yield must(f"{name}, bf16 autocast", wrapped(images).identity_error(), SHORT)
    except (RuntimeError, TypeError) as error:
        yield refused_by_mps(f"{name}, bf16 autocast", error, place)


def _pretrained(place: Place) -> Iterator[Row]:
    from cam_helpers import networks

    try:
        network, weights = networks.pretrained()
    except networks.WeightsUnavailable as reason:
        yield skipped("the pretrained network", str(reason))
        return
    random = torch.Generator().manual_seed(0)
    photos = torch.randint(256, (4, 3, 256, 320), dtype=torch.uint8, generator=random)
    images = torch.stack([weights.transforms()(photo) for photo in photos])
    yield from _identity("the pretrained network", network, images, place)


def maps(place: Place) -> Iterator[Row]:
    """Scores and maps beside those of the CPU in double precision."""
    from cam_helpers import CamModel

    for name, network, images in random_networks(TEN[:1] if place.quick else TEN, place):
        exact = CamModel(copy.deepcopy(network).double())(images.double())
        wrapped = CamModel(network.to(place.device))
        with tensor_cores(False):
            cams = wrapped(images.to(place.device))
        size = (images.shape[-1],) * 2
        yield must(f"{name}, all maps", difference(cams.maps(), exact.maps()), FLOAT32)
        enlarged = difference(cams.maps([0, 7], size), exact.maps([0, 7], size))
        yield must(f"{name}, enlarged", enlarged, FLOAT32)
        if cams.centres is not None:
            aligned = difference(cams.maps([0], size, aligned=True), exact.maps([0], size, aligned=True))
            yield must(f"{name}, aligned", aligned, FLOAT32)
        if place.device == "cuda":
            with tensor_cores(True):
                loose = difference(wrapped(images.to(place.device)).maps(), exact.maps())
            yield must(f"{name}, all maps, TF32", loose, SHORT)


def _drawings(place: Place, task: str = "objects"):
    """-> the course's network for this task on the device, drawn pictures, their maps of the true class enlarged."""
    import drawn_world
    from cam_helpers import CamModel
    from cam_helpers.networks import load_checkpoint

    network, card = load_checkpoint(f"{task}-gap")
    side = 64 if place.quick else card["size"]
    data = drawn_world.load(task, "test", n=32 if place.quick else 500, size=side)
    with tensor_cores(False):
        cams = CamModel(network.to(place.device))(data.images.to(place.device))
    return network, data, cams, cams.maps(data.labels, size=(side, side))[:, 0]


def boxes(place: Place) -> Iterator[Row]:
    """Boxes of maps on the device, and of the same maps on the CPU: equal to the last bit."""
    from cam_helpers import boxes_from_maps
    from cam_helpers.boxes import region_above

    _, _, _, heat = _drawings(place)
    for rule in ("largest", "all", "released"):
        there, here = (boxes_from_maps(maps, rule=rule) for maps in (heat, heat.cpu()))
        equal = all(torch.equal(one.cpu(), other) for one, other in zip(there, here, strict=True))
        yield must(f"rule {rule!r}, {len(here)} maps: equal boxes", equal)
    yield must("boxes stay on the device", all(found.device.type == place.device for found in there))
    yield must("region above 20 %: equal", torch.equal(region_above(heat, 0.2).cpu(), region_above(heat.cpu(), 0.2)))


def scores(place: Place) -> Iterator[Row]:
    """Every score of tensors on the device, and of the same tensors on the CPU."""
    from cam_helpers import boxes_from_maps
    from cam_helpers import scores as course

    _, data, cams, heat = _drawings(place)
    masks, labels = data.masks.union(), data.labels
    found = boxes_from_maps(heat)
    guesses = [logits.topk(1).indices.expand(len(box)) for logits, box in zip(cams.logits, found, strict=True)]

    def every(move):
        maps = move(heat)
        moved = [[move(x) for x in part] for part in (found, guesses, data.boxes)]
        yield "classification error", course.classification_error(move(cams.logits), move(labels))[1]
        yield "localization error", course.localization_error(*moved, move(labels))
        yield "GT-known at 20 %", course.gt_known_accuracy(maps, moved[2])
        yield "MaxBoxAcc", course.max_box_acc(maps, moved[2], thresholds=50)
        yield "MaxBoxAcc V2", course.max_box_acc_v2(maps, moved[2], thresholds=50)
        yield "pixel average precision", course.pixel_average_precision(maps, move(masks))
        yield "pointing game", course.pointing_game(maps, moved[2])

    pairs = zip(every(lambda x: x.to(place.device)), every(lambda x: x.cpu()), strict=True)
    for (what, there), (_, here) in pairs:
        yield must(f"{what}, difference", abs(float(there) - float(here)), 1e-6)


def explorer(place: Place) -> Iterator[Row]:
    """The explorer's pictures: drawn from what the device computed, and from what the CPU did."""
    from PIL import Image
    from tiny_networks import blobs, random_network

    from cam_explorer import Settings, Source, describe, render

    network, photos = random_network("resnet18", 128), blobs(2, (160, 128))
    names = [f"class {c}" for c in range(1000)]
    with tensor_cores(False):
        shown = [
            Source(copy.deepcopy(network).to(device), names, photos, side=128).forward()
            for device in ("cpu", place.device)
        ]
    for style in ("heat", "signed", "dim", "grid"):
        settings = Settings(style=style, label=shown[0].top(1)[0][0])
        here, there = (np.asarray(Image.open(io.BytesIO(render(settings, one)))).astype(int) for one in shown)
        yield must(f"style {style!r}: share of pixels that differ", (abs(here - there).max(-1) > 8).mean(), 0.01)
    sentence = [describe(replace(settings, style="heat"), one).split(":")[0] for one in shown]
    yield must("the sentence names the same class", sentence[0] == sentence[1])


def statistics(place: Place) -> Iterator[Row]:
    """Counts of objects and of the maps' regions on them."""
    from cam_helpers.statistics import scene_statistics

    network, data, _, _ = _drawings(place, "scenes")
    with tensor_cores(False):
        there = scene_statistics(network, data, replicates=20)
        here = scene_statistics(copy.deepcopy(network).cpu(), data, replicates=20)
    yield must("pictures counted", there.count == here.count == len(data))
    for measure, most in (("frequency", 0.0), ("overlap", 0.01), ("by_weight", 1e-3)):
        one, other = (torch.from_numpy(found.values(measure)).nan_to_num() for found in (there, here))
        yield must(f"{measure}, difference", difference(one, other), most)


def units(place: Place) -> Iterator[Row]:
    """Top pictures of every unit, and a receptive field."""
    from cam_helpers import CamModel
    from cam_helpers.units import TopPictures, receptive_field, theoretical_field

    network, data, cams, _ = _drawings(place)
    with tensor_cores(False):
        on_cpu = CamModel(copy.deepcopy(network).cpu())
        there = TopPictures(4).update(cams.features)
        here = TopPictures(4).update(on_cpu(data.images).features)
        yield must("highest activations, difference", difference(there.values, here.values), 1e-3)
        same = (there.pictures == here.pictures).double().mean().item()
        yield must("share of other top pictures", 1 - same, 0.02)
        size, unit = tuple(data.images.shape[2:]), int(here.values[:, 0].argmax())
        box, top = theoretical_field(network, size), data.images[here.pictures[unit, :2]]
        stride = 9 if place.quick else 3
        one = receptive_field(CamModel(network), top.to(place.device), unit, stride=stride, box=box)
        other = receptive_field(on_cpu, top, unit, stride=stride, box=box)
        yield must("receptive field, difference", difference(one, other), 1e-3)


def memory(place: Place) -> Iterator[Row]:
    """What a thousand maps take, and whether anything is left behind."""
    from tiny_networks import random_network

    from cam_helpers import CamModel

    if place.device == "cpu":
        raise Skipped("PyTorch does not count the CPU's memory")
    held = torch.cuda.memory_allocated if place.device == "cuda" else torch.mps.current_allocated_memory
    wrapped = CamModel(random_network("resnet18", 224).to(place.device))
    images = torch.rand(8 if place.quick else 64, 3, 224, 224, device=place.device)
    after = []
    for _ in range(10):
        wrapped(images).maps()
        place.synchronize()
        after.append(held())
    yield must("bytes more after ten passes than after two", after[-1] - after[1], 0)
    if place.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = held()
        with torch.no_grad():
            wrapped.model(images)
        forward = torch.cuda.max_memory_allocated() - before
        wrapped(images).maps()
        whole = torch.cuda.max_memory_allocated() - before
        yield Row(f"forward pass of {len(images)} pictures, ResNet-18", forward / 2**30, "GiB")
        yield Row("the same with the maps of 1000 classes", whole / 2**30, "GiB")
