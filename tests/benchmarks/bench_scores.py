"""What scoring boxes at a thousand thresholds costs: a table of ratios.

    python tests/benchmarks/bench_scores.py [repeats]

Upsampled random 14×14 maps, with two true boxes each. The sweep over all thresholds beside the plain way, which labels
each map anew at each threshold, with the same answer; and beside the forward pass of a ResNet-50 with random weights
that would make such a map of 224×224 pixels. Exit code 1 when the sweep is less than FASTER times as fast, or a whole
evaluation (forward pass, map, sweep) costs more than WHOLE forward passes.
"""

import sys

import torch
from bench_maps import paired
from torchvision import models
from torchvision.ops import box_iou

from cam_helpers import CamModel, boxes_from_maps, scores

FASTER, WHOLE = 3.0, 2.0


def maps_and_boxes(n, side):
    rng = torch.Generator().manual_seed(46)
    maps = torch.nn.functional.interpolate(torch.randn(n, 1, 14, 14, generator=rng), (side, side), mode="bilinear")[
        :, 0
    ]
    corner = torch.rand(n, 2, 2, generator=rng) * side / 2
    return maps, list(torch.cat([corner, corner + side / 3], 2))


def plain(maps, truth, steps):
    """-> the accuracy at each threshold, one threshold at a time."""
    curve = []
    for t in range(steps):
        found = boxes_from_maps(maps, t / steps, normalize="minmax")
        right = [
            len(a) > 0 and (box_iou(a.double(), b.double()) >= 0.5).any() for a, b in zip(found, truth, strict=True)
        ]
        curve.append(sum(map(bool, right)) / len(maps))
    return curve


def sweep(maps, truth, steps):
    return scores.BoxSweep(steps).update(maps, truth).compute().curve.tolist()


def evaluation():
    """-> (the bare forward pass, the whole evaluation of one picture)"""
    torch.manual_seed(46)
    model, image = models.resnet50().eval(), torch.rand(1, 3, 224, 224)
    wrapped, truth = CamModel(model), [torch.tensor([[30.0, 40.0, 160.0, 200.0]])]

    def bare():
        with torch.no_grad():
            model(image)

    def whole():
        scores.max_box_acc(wrapped(image).maps([7], size=(224, 224))[:, 0], truth)

    return bare, whole


def speed_up(n, side, steps, repeats):
    """-> median and quartiles of plain / sweep."""
    data = (*maps_and_boxes(n, side), steps)
    assert plain(*data) == sweep(*data)
    return paired(lambda: sweep(*data), lambda: plain(*data), repeats)


def main(repeats: int = 5) -> int:
    ratios = []
    for n, side, steps in ((8, 64, 100), (8, 64, 1000), (2, 224, 100), (2, 224, 1000)):
        middle, low, high = speed_up(n, side, steps, repeats)
        print(
            f"{steps:4} thresholds, {side}×{side}: {middle:5.1f} times as fast as labelling ({low:.1f} to {high:.1f})"
        )
        ratios += [middle] if steps == 1000 else []
    whole, low, high = paired(*evaluation(), 4 * repeats)
    print(f"a whole evaluation, ResNet-50: {whole:.2f} forward passes ({low:.2f} to {high:.2f})")
    return int(min(ratios) < FASTER or whole > WHOLE)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
