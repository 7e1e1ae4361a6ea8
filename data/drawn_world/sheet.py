"""Contact sheets: samples of a task with boxes, outlines of the masks and labels drawn over them.

python -m drawn_world.sheet --out DIR [--task objects] [--size 128]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageColor, ImageDraw
from skimage.segmentation import find_boundaries
from torchvision.transforms.functional import pil_to_tensor, to_pil_image
from torchvision.utils import make_grid

import drawn_world

COLOURS = [ImageColor.getrgb(c) for c in ("#ffb000", "#648fff", "#dc267f", "#ffffff", "#00c896", "#fe6100", "#aa6eff")]


def sheet(task: str, split: str = "val", count: int = 32, size: int = 128, columns: int = 8) -> Image.Image:
    """One picture with samples of a task: each plain, and below it with its outlines, boxes and label.

    Args:
        task, split, size: as `drawn_world.load`
        count: how many samples
        columns: in a row
    """
    data = drawn_world.load(task, split, n=count, size=size)
    step = max(1, len(data) // count) if "frame" not in vars(data) else 1
    cells = []
    for first in range(0, count, columns):
        chosen = [k * step for k in range(first, min(first + columns, count))]
        cells += [data.images[k] for k in chosen] + [_annotated(data, k) for k in chosen]
    return to_pil_image(make_grid(cells, min(columns, count), padding=3, pad_value=255))


def _annotated(data, k: int) -> torch.Tensor:
    image = data.images[k].permute(1, 2, 0).numpy().copy()
    colours = np.array([COLOURS[number % len(COLOURS)] for number in range(256)], np.uint8)[data.instances[k]]
    edges = find_boundaries(np.pad(data.instances[k], 1), mode="inner")[1:-1, 1:-1]
    image[edges] = colours[edges]
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    boxes = data.boxes[k].tolist()
    for number, (x0, y0, x1, y1) in enumerate(boxes if len(boxes) <= 4 else (), 1):
        pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=COLOURS[number % len(COLOURS)])
    label = data.labels[k]
    words = data.classes[int(label)] if label.ndim == 0 else ", ".join(data.classes[c] for c in label.nonzero()[:, 0])
    pen.rectangle((0, 0, pen.textlength(words) + 4, 11), fill=(0, 0, 0))
    pen.text((2, 0), words, fill=(255, 255, 255))
    return pil_to_tensor(picture)


def main() -> None:
    """Write one picture file for every task, or for one."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--task", choices=drawn_world.TASKS)
    options.add_argument("--size", type=int, default=128)
    options.add_argument("--count", type=int, default=32, help="samples of each task")
    options.add_argument("--format", choices=("png", "jpg"), default="png")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for task in [given.task] if given.task else drawn_world.TASKS:
        path = given.out / f"{task}.{given.format}"
        sheet(task, count=given.count, size=given.size).save(path, optimize=True, quality=85)
        print(path)


if __name__ == "__main__":
    main()
