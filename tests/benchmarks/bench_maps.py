"""What class activation maps cost beside one bare forward pass, ours and other people's: a table of ratios.

    python tests/benchmarks/bench_maps.py [repeats]

ResNet-18 with random weights, 8 pictures of 224×224 pixels, 1000 classes, eval mode, no gradients where none are
needed. Every repeat runs the bare forward pass and each contender directly after one another, in turn, and the table
shows the median of the ratios inside the repeats: what else the machine does meanwhile hits both alike. Exit code 1
when the maps of all classes cost more than LIMIT.
"""

import logging
import statistics
import sys
import time

import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam.methods import CAM
from torchvision import models

from cam_helpers import CamModel

LIMIT = 1.05  # all 1000 maps, forward pass included, as a multiple of the bare forward pass
TEN = list(range(0, 1000, 100))


def seconds(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def paired(bare, other, repeats: int) -> tuple[float, float, float]:
    """-> median, lower and upper quartile of other / bare; each pair in the other order than the one before."""
    bare(), other()
    ratios = []
    for turn in range(repeats):
        if turn % 2:
            theirs, ours = seconds(other), seconds(bare)
        else:
            ours, theirs = seconds(bare), seconds(other)
        ratios.append(theirs / ours)
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high


def contenders(model, images):
    """name -> a function that computes it from the pictures, forward pass included."""
    wrapped = CamModel(model)

    def every_class():
        wrapped(images).maps()

    def ten_classes():
        wrapped(images).maps(TEN)

    def torchcam():
        with torch.no_grad(), CAM(model, "layer4", "fc") as extractor:
            scores = model(images)
            for c in TEN:
                extractor(c, scores, normalized=False)

    def captum():
        attribution = LayerGradCam(model, model.layer4)
        for c in TEN:
            attribution.attribute(images, target=c)

    def pytorch_grad_cam():
        with GradCAM(model=model, target_layers=[model.layer4]) as extractor:
            for c in TEN:
                extractor(images, targets=[ClassifierOutputTarget(c)] * len(images))

    return {
        "1000 classes, CamModel": every_class,
        "10 classes, CamModel": ten_classes,
        "10 classes, torchcam CAM": torchcam,
        "10 classes, captum LayerGradCam": captum,
        "10 classes, pytorch-grad-cam": pytorch_grad_cam,
    }


def prepare(side: int = 224):
    """-> (the bare forward pass, the contenders)"""
    logging.getLogger("torchcam").setLevel(logging.ERROR)
    torch.manual_seed(46)
    model, images = models.resnet18().eval(), torch.rand(8, 3, side, side)

    def bare():
        with torch.no_grad():
            model(images)

    return bare, contenders(model, images)


def main(repeats: int = 31, side: int = 224) -> int:
    bare, others = prepare(side)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, ResNet-18, 8×3×{side}×{side}")
    print(f"{'a bare forward pass':<34} 1.00   ({1000 * statistics.median(seconds(bare) for _ in range(5)):.0f} ms)")
    for name, run in others.items():
        backward = "captum" in name or "grad-cam" in name  # ten times as long, and nowhere near the limit
        middle, low, high = paired(bare, run, min(3, repeats) if backward else repeats)
        print(f"{name:<34} {middle:.2f}   ({low:.2f} to {high:.2f})", flush=True)
        if name.startswith("1000"):
            all_maps = middle
    if all_maps > LIMIT:
        print(f"TOO SLOW: all maps cost {all_maps:.3f} of a bare forward pass, the limit is {LIMIT}")
        return 1
    print(f"all maps cost {all_maps:.3f} of a bare forward pass, within the limit of {LIMIT}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
