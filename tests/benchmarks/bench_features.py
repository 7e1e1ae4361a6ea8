"""Scene statistics beside the bare forward passes, and the batched occluder beside a plain loop: ratios.

    python tests/benchmarks/bench_features.py [pictures] [repeats]

`scenes-gap`, drawn scenes of 128×128 pixels. Every repeat runs both directly after one another, and the table shows the
median of the ratios inside the repeats. Statistics: the one pass with its 200 bootstraps, forward passes included. The
occluder: 11×11, stride 3, on one picture; the loop hides one spot of the whole picture after another. Exit code 1 when
the statistics cost more than LIMIT, or the occluder is less than FASTER times as fast.
"""

import statistics
import sys
import time

import torch

import drawn_world
from cam_helpers import CamModel
from cam_helpers.networks import load_checkpoint
from cam_helpers.statistics import scene_statistics
from cam_helpers.units import receptive_field, theoretical_field

LIMIT, FASTER = 1.5, 5.0


def seconds(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ratio(run, other, repeats: int) -> float:
    """-> median of the seconds of run over those of other, in turn; a first call loads modules and is not timed"""
    run()
    return statistics.median(seconds(run) / seconds(other) for _ in range(repeats))


def prepare(pictures: int):
    """-> (statistics, forward passes), (occluder, plain loop)"""
    network, _ = load_checkpoint("scenes-gap")
    data = drawn_world.load("scenes", "test", n=pictures, size=128)
    cams, image, unit = CamModel(network), data.images[0], 5
    box = theoretical_field(network, (128, 128))

    def forward():
        with torch.no_grad():
            for images in data.images.split(64):
                network(images)

    def loop():
        heat = cams(image[None]).features[0, unit]
        at, paint = int(heat.argmax()), image.float().mean((1, 2), keepdim=True).to(torch.uint8)
        for y in range(0, 128 - 10, 3):
            for x in range(0, 128 - 10, 3):
                hidden = image.clone()
                hidden[:, y : y + 11, x : x + 11] = paint
                (cams(hidden[None]).features[0, unit].flatten()[at] - heat.max()).abs().item()

    def occluder():
        receptive_field(cams, image[None], unit, box=box)

    return (lambda: scene_statistics(cams, data), forward), (occluder, loop)


def main(pictures: int = 2000, repeats: int = 3) -> int:
    counting, hiding = prepare(pictures)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, scenes-gap, 128×128")
    cost = ratio(*counting, repeats)
    print(f"statistics of {pictures} pictures: {cost:.2f} of their forward passes, the limit is {LIMIT}", flush=True)
    faster = 1 / ratio(*hiding, repeats)
    print(f"occluder, batched: {faster:.1f} times as fast as a plain loop, at least {FASTER:g} is wanted")
    return int(cost > LIMIT or faster < FASTER)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
