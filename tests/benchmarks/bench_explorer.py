"""From an event to new picture bytes in the explorer, beside writing one picture of that size as a PNG.

    python tests/benchmarks/bench_explorer.py [repeats]

A 512×512 picture of noisy blobs, ResNet-18 with random weights, 1000 classes; each event brings new bytes of the map,
the network's first words and a sentence. Each repeat handles one event and writes
the bare PNG (Pillow's own settings) directly after one another; the table shows the median of the events, and of the
ratios inside the repeats. Times are the processor's, not the clock's, so that other programs count for little. Exit
code 1 when a kind of event costs more than LIMIT bare PNGs.
"""

import io
import statistics
import sys
import time

import torch
from PIL import Image
from torch.nn import functional as F
from torchvision import models

from cam_explorer import Explorer, Source

LIMIT = 1.0  # of the time that one 512×512 PNG takes with Pillow's own settings


def seconds(run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def prepare():
    """-> (writes the bare PNG, {kind of event: makes the i-th event})"""
    torch.manual_seed(46)
    photo = F.interpolate(torch.rand(1, 3, 32, 32), size=(512, 512), mode="bicubic")[0].clamp(0, 1)
    photo = (photo * 255 + 8 * torch.randn(3, 512, 512)).clamp(0, 255).to(torch.uint8)
    names = [f"class {i}" for i in range(1000)]
    app = Explorer(Source(models.resnet18().eval(), names, [photo], side=224), ask=("label", "against", "cell"))
    bare = Image.fromarray(photo.permute(1, 2, 0).numpy())
    return lambda: bare.save(io.BytesIO(), "PNG"), {
        "class": lambda i: app.set(label=i % 1000, against=None, cell=None, off=()),
        "threshold": lambda i: app.set(threshold=0.1 + i % 80 / 100),
        "opacity": lambda i: app.set(opacity=0.1 + i % 80 / 100),
        "minus": lambda i: app.set(label=0, against=1 + i % 999),
        "unit off": lambda i: app.set(off=(i % 512,)),
        "cell": lambda i: app.set(cell=(i % 7, i // 7 % 7)),
    }


def measure(bare, event, repeats: int) -> tuple[float, float]:
    """-> median milliseconds, median of event / bare"""
    event(0), bare()
    pairs = [(seconds(lambda i=i: event(i)), seconds(bare)) for i in range(1, repeats + 1)]
    return 1000 * statistics.median(e for e, _ in pairs), statistics.median(e / b for e, b in pairs)


def main(repeats: int = 31) -> int:
    bare, events = prepare()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, 512×512, 1000 classes")
    print(f"{'a bare PNG':<12} {1000 * statistics.median(seconds(bare) for _ in range(5)):6.0f} ms   1.00")
    worst = 0.0
    for name, event in events.items():
        milliseconds, ratio = measure(bare, event, repeats)
        worst = max(worst, ratio)
        print(f"{name:<12} {milliseconds:6.0f} ms   {ratio:.2f}", flush=True)
    print(f"the slowest kind of event costs {worst:.2f} of a bare PNG, the limit is {LIMIT}; the goal is 50 ms")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
