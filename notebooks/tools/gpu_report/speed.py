"""How fast: what each speed-up buys, the loop beside bare steps, a whole training, and what lessons compute."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models
from torchvision.transforms import v2

from .correctness import tensor_cores
from .rows import Place, Row, goal, must, skipped
from .running import last_line

WAYS = {  # each adds to the one above, but for the two kinds of compiling
    "float32, eager": {},
    "+ TF32": {"tf32": True},
    "+ channels-last": {"tf32": True, "last": True},
    "+ bf16": {"tf32": True, "last": True, "bf16": True},
    "+ compile": {"tf32": True, "last": True, "bf16": True, "compiled": "default"},
    "+ compile, reduce-overhead": {"tf32": True, "last": True, "bf16": True, "compiled": "reduce-overhead"},
}
FASTER, SHARE = 3.0, 0.9  # goals: against float32 eager; the loop against the bare step


def resnet50(place: Place) -> Iterator[Row]:
    """ResNet-50, 224 pixels, batch 256; with --quick ResNet-18, small."""
    network, side, batch = (models.resnet18, 64, 8) if place.quick else (models.resnet50, 224, 256)
    yield Row("network, batch", f"{network.__name__}, {batch}×3×{side}×{side}")
    scaled = nn.Sequential(v2.ToDtype(torch.float32, scale=True), network(num_classes=20))
    yield from _ways(scaled, batch, side, place)


def course_network(place: Place) -> Iterator[Row]:
    """The course's network at 128 pixels."""
    from cam_helpers import gap_network

    side, batch = (64, 8) if place.quick else (128, 256)
    yield Row("network, batch", f"course, {batch}×3×{side}×{side}")
    yield from _ways(gap_network("course", 20), batch, side, place)


def _ways(network: nn.Module, batch: int, side: int, place: Place) -> Iterator[Row]:
    """Pictures a second, one way of training after another; a way that fails does not hide the others."""
    images = torch.randint(256, (batch, 3, side, side), dtype=torch.uint8)
    labels, speed, resident = torch.arange(batch) % 20, {}, {}
    for name, how in WAYS.items():
        if reason := _no_meaning(how, place):
            yield skipped(name, reason)
            continue
        try:
            speed[name], resident[name] = _pictures_a_second(network, images, labels, place, **how)
        except Exception as error:
            yield Row(name, f"failed: {last_line(error)}", "", "it runs", False, place.device == "cuda")
            continue
        yield Row(name, speed[name], "pictures/s")
    best = max(speed, key=speed.get, default="")
    if place.device == "cpu" or not best:
        yield skipped("+ data on the device", "the CPU's memory is where the pictures are" if best else "no way ran")
    else:
        yield Row(f"+ data on the device ({best})", resident[best], "pictures/s")
    if "float32, eager" in speed:
        times = max(speed[best], resident[best]) / speed["float32, eager"]
        yield goal("the fastest against float32, eager", times, FASTER, "×", place)


def _no_meaning(how: dict, place: Place) -> str:
    """Why a way is not measured on this device, or ""."""
    if "tf32" in how and len(how) == 1 and place.device != "cuda":
        return "only NVIDIA's GPUs have TF32"
    if "compiled" in how and place.quick:
        return "compiling takes a minute, which --quick leaves out"
    if how.get("compiled") == "reduce-overhead" and place.device != "cuda":
        return "CUDA graphs are NVIDIA's"
    return ""


def _pictures_a_second(
    network: nn.Module, images: Tensor, labels: Tensor, place: Place, tf32=False, last=False, bf16=False, compiled=""
) -> tuple[float, float]:
    """With pictures that move to the device in each step, and with pictures that are there.

    The median of some steps after the first ones, which compile and choose algorithms.
    """
    form = torch.channels_last if last else torch.preserve_format
    net = copy.deepcopy(network).to(place.device, memory_format=form).train()
    model = torch.compile(net, mode=compiled) if compiled else net
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def step(x: Tensor, y: Tensor) -> None:
        x, y = x.to(place.device), y.to(place.device)
        with torch.autocast(place.device, torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    torch.compiler.reset()  # what an earlier way compiled
    with tensor_cores(tf32 and place.device == "cuda"):
        for _ in range(2 if place.quick else 6):
            step(images, labels)
        there = images.to(place.device), labels.to(place.device)
        speeds = []
        for pair in ((images, labels), there):
            took = [place.seconds(partial(step, *pair)) for _ in range(3 if place.quick else 15)]
            speeds.append(len(images) / statistics.median(took))
    if not torch.isfinite(next(net.parameters())).all():
        raise RuntimeError("the weights are no longer numbers")
    return tuple(speeds)


def loop(place: Place) -> Iterator[Row]:
    """`training.fit` beside forward pass, backward pass and step on the same tensors, in turns."""
    from cam_helpers import gap_network

    large = "resnet18" if place.quick else "resnet50"
    cases = (  # network, side, batch, steps an epoch
        (nn.Sequential(v2.ToDtype(torch.float32, scale=True), gap_network(large, 20)), large, 224, 256, 12),
        (gap_network("course", 20), "course", 128, 32, 150),
    )
    for network, name, side, batch, steps in cases:
        if place.quick:
            side, batch, steps = 64, 8, 3
        data, loops, bares = _Pictures(steps * batch, side), [], []
        for _ in range(1 if place.quick else 3):
            loops.append(_loop_speed(network, data, batch))
            bares.append(_bare_speed(network, data, batch, place))
        case = f"{name}, {side} px, batch {batch}"
        yield Row(f"{case}: fit", statistics.median(loops), "pictures/s")
        yield Row(f"{case}: bare steps", statistics.median(bares), "pictures/s")
        share = statistics.median(one / other for one, other in zip(loops, bares, strict=True))
        yield goal(f"{case}: share", share, SHARE, "of the bare steps", place)


class _Pictures:
    """Random pictures in memory, as `fit` takes them."""

    def __init__(self, count: int, side: int):
        self.images = torch.randint(256, (count, 3, side, side), dtype=torch.uint8)
        self.labels = torch.arange(count) % 20

    def __len__(self) -> int:
        return len(self.images)


def _recipe(data: _Pictures, batch: int):
    from cam_helpers.training import Recipe

    side = data.images.shape[-1]
    return Recipe(size=side, epochs=3, batch=batch, learning_rate=0.01, flips=False, growing=(1, 0))


def _loop_speed(network: nn.Module, data: _Pictures, batch: int) -> float:
    """Pictures a second in the epochs after the first, which chooses algorithms."""
    from cam_helpers.training import fit

    rows = fit(copy.deepcopy(network), data, _recipe(data, batch)).rows
    return 2 * len(data) / (rows[-1]["seconds"] - rows[0]["seconds"])


def _bare_speed(network: nn.Module, data: _Pictures, batch: int, place: Place) -> float:
    """The same network, optimizer, precision, memory format and tensors without the loop."""
    from cam_helpers.devices import half_precision
    from cam_helpers.training.loop import sgd_one_cycle

    net = copy.deepcopy(network).to(place.device, memory_format=torch.channels_last).train()
    optimizer, schedule = sgd_one_cycle(net, _recipe(data, batch), 3 * len(data) // batch)
    images, labels = (part.to(place.device).split(batch) for part in (data.images, data.labels))

    def epoch() -> None:
        for x, y in zip(images, labels, strict=True):
            with half_precision(place.device):
                logits = net(x)
            F.cross_entropy(logits.float(), y).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()

    epoch()
    return 2 * len(data) / (place.seconds(epoch) + place.seconds(epoch))


def course_preset(place: Place) -> Iterator[Row]:
    """Lesson 03's preset for a GPU, to its end."""
    import drawn_world
    from cam_helpers.networks import load_checkpoint
    from cam_helpers.training import PRESETS
    from cam_helpers.training.__main__ import main

    preset = "smoke" if place.quick else "course"
    recipe = PRESETS[preset]

    def draw() -> None:
        for split in ("train", "val", "test"):
            drawn_world.load(recipe.task, split, n=recipe.n, size=recipe.size, seed=recipe.data_seed)

    yield Row("drawing the pictures, or reading drawn ones", place.seconds(draw), "s")
    found = main(["--preset", preset, "--out", str(place.folder / preset)])
    yield Row("preset, precision", f"{preset}, {found['precision']}")
    yield must("device", found["device"].startswith(place.device))
    yield Row("training", found["seconds"] / 60, "minutes")
    yield Row("pictures trained on", found["pictures_per_second"], "pictures/s")
    yield Row("top-1 accuracy on val", found["top1"])
    if preset == "course":
        stored = load_checkpoint("objects-gap")[1]["metrics"]["val_top1"]
        yield Row("top-1 accuracy of the stored objects-gap", stored)
        yield must("below the accuracy of objects-gap by", stored - found["top1"], 0.02)


def all_maps(place: Place) -> Iterator[Row]:
    """The maps of 1000 classes, forward pass included, beside a forward pass."""
    from cam_helpers import CamModel

    make, side, batch = (models.resnet18, 64, 4) if place.quick else (models.resnet50, 224, 64)
    network = make().eval().to(place.device)
    wrapped, images = CamModel(network), torch.rand(batch, 3, side, side, device=place.device)

    def forward() -> None:
        with torch.no_grad():
            network(images)

    for _ in range(3):
        wrapped(images).maps(), forward()
    pairs = [
        (place.seconds(lambda: wrapped(images).maps()), place.seconds(forward)) for _ in range(5 if place.quick else 21)
    ]
    yield Row(f"forward pass, {make.__name__}, {batch}×{side}²", 1000 * statistics.median(b for _, b in pairs), "ms")
    yield Row("1000 maps each, forward pass included", statistics.median(a / b for a, b in pairs), "forward passes")


def many_statistics(place: Place) -> Iterator[Row]:
    """Scene statistics of 10,000 pictures, with their bootstraps."""
    import drawn_world
    from cam_helpers.networks import load_checkpoint
    from cam_helpers.statistics import scene_statistics

    passes, each = (1, 16) if place.quick else (5, 2000)
    data = drawn_world.load("scenes", "test", n=each, size=64 if place.quick else 128)
    network = load_checkpoint("scenes-gap")[0].to(place.device)
    found = []
    took = place.seconds(lambda: found.extend(scene_statistics(network, data) for _ in range(passes)))
    count = sum(part.count for part in found)
    yield must("pictures counted", count == passes * each)
    yield Row(f"{count} pictures ({passes} times {each} drawn scenes)", took, "s")
    yield Row("with 200 bootstraps", count / took, "pictures/s")


def features(place: Place) -> Iterator[Row]:
    """GAP features of 1,880 random pictures, as large as photos are for a network."""
    from cam_helpers.probes import gap_features

    count, side = (32, 64) if place.quick else (1880, 224)
    images = torch.randint(256, (count, 3, side, side), dtype=torch.uint8)
    network = nn.Sequential(v2.ToDtype(torch.float32, scale=True), models.resnet18()).eval().to(place.device)
    gap_features(network, images[:8])
    took = place.seconds(lambda: gap_features(network, images))
    yield Row(f"{count} random pictures of {side}×{side}, ResNet-18", took, "s")
    yield Row("features", count / took, "pictures/s")
