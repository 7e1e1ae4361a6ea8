"""The live page: copies its files, and writes what it looks at and computes with.

Photographs that packages carry and a few drawings, with the features that EfficientNet-Lite0 has of them, its class
weights in sixteen bits. Data stands in scripts, because a page opened from a folder may read no other file. The whole
network, for photos and the camera: see `network.py`.
"""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import matplotlib.cbook
import numpy as np
import skimage.data
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import nn
from torchvision.transforms import v2

import drawn_world
from cam_helpers import drawing, networks, pictures

from .network import HEAD_BITS, runtime, whole_numbers

HERE = Path(__file__).resolve().parent
LINK = """<p><a href="live/index.html"><b>The live page</b></a>: any of 1000 words on pictures, on a photo of yours, and
on what the camera sees; in the browser, without Python.</p>"""


def photographs() -> dict:
    """-> name: (picture uint8 (3,H,W), what it shows)"""
    found = {
        "cat": (skimage.data.chelsea(), "a cat that looks to the left"),
        "coffee": (skimage.data.coffee(), "a cup of coffee with a spoon on a table"),
        "palace": (load_sample_image("china.jpg"), "a palace by a lake, with people before it"),
        "motorcycle": (skimage.data.stereo_motorcycle()[0], "a motorcycle in a garage"),
        "astronaut": (skimage.data.astronaut(), "an astronaut in an orange suit before a model of a shuttle"),
        "rocket": (skimage.data.rocket(), "a rocket between towers at night"),
        "flower": (load_sample_image("flower.jpg"), "a pink flower"),
        "officer": (Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg")), "a woman in a naval uniform"),
        "photographer": (skimage.data.camera(), "a man with a camera on a tripod, black and white"),
        "coins": (skimage.data.coins(), "old coins in rows, black and white"),
    }
    photos = {name: (pictures.read_picture(as_image(photo)), words) for name, (photo, words) in found.items()}
    drawings = {  # task and index
        "drawn altar": ("scenes", 2, "a drawing: inside a church"),
        "drawn playground": ("scenes", 3, "a drawing: a playground with a swing"),
        "drawn street sign": ("text", 1, "a drawing: a sign with writing"),
    }
    for name, (task, index, words) in drawings.items():
        photos[name] = drawn_world.load(task, "test", n=index + 1, size=224).images[index], words
    return photos


def as_image(photo) -> Image.Image:
    return photo if isinstance(photo, Image.Image) else Image.fromarray(photo)


def export(out: Path) -> None:
    """Write the page into the folder `out`."""
    network, weights = networks.pretrained()
    out.mkdir(parents=True, exist_ok=True)
    for path in HERE.glob("*.*"):
        if path.suffix in (".html", ".css", ".js"):
            shutil.copyfile(path, out / path.name)
    shown = [show(network, name, *photo, out) for name, photo in photographs().items()]
    whole, scales = whole_numbers(network.head.weight.detach(), HEAD_BITS)
    page = {
        "pictures": shown,
        "names": weights.meta["categories"],
        "units": whole.shape[1],
        "scales": text(scales.numpy()),
        "constants": text(network.head.bias.detach().numpy()),
        "heat": text(np.frombuffer(drawing.palette(drawing.HEAT), np.uint8)),
        "signed": text(np.frombuffer(drawing.palette(drawing.SIGNED), np.uint8)),
        "features": {},
        "runtime": runtime(network, out),
    }
    script(out / "page.js", f"const LIVE = {json.dumps(page)};")
    script(out / "weights.js", f'LIVE.weights = "{text(whole.numpy())}";')


def show(network: nn.Module, name: str, photo: torch.Tensor, words: str, out: Path) -> dict:
    """Write a picture as the page shows it, twice as fine as the network sees it, and its features."""
    file = name.replace(" ", "-")
    seen, large = pictures.fit(photo), pictures.fit(photo, 2 * 224, 64)
    v2.functional.to_pil_image(large).save(out / f"{file}.jpg", quality=82, optimize=True)
    with torch.no_grad():
        features = network.trunk(seen[None])[0].numpy()  # (K,h,w), at least 0
    scale = float(features.max()) / 65535
    levels = np.rint(features / scale).astype("<u2")
    stored = np.packbits(levels > 0).tobytes() + levels[levels > 0].tobytes()
    script(out / f"{file}.js", f'LIVE.features["{file}"] = "{text(np.frombuffer(stored, np.uint8))}";')
    sizes = zip(("height", "width", "rows", "columns"), (*seen.shape[1:], *features.shape[1:]), strict=True)
    return {"name": name, "file": file, "words": words, "scale": scale, **dict(sizes)}


def text(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.tobytes()).decode()


def script(path: Path, content: str) -> None:
    path.write_text(content + "\n", encoding="utf-8")
