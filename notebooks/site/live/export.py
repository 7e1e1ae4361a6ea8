"""The live page: copies its files, and writes what it looks at and computes with.

Photographs that packages carry and a few drawings, with the features that EfficientNet-Lite0 has of them, its class
weights in sixteen bits. Data stands in scripts, because a page opened from a folder may read no other file. The whole
network, for photos and the camera: see `network.py`.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Sequence
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
FRONT = HERE / "front.md"


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
    photos, names = photographs(), weights.meta["categories"]
    shown = [show(network, name, *photo, out) for name, photo in photos.items()]
    page = {
        "pictures": shown,
        "heat": text(np.frombuffer(drawing.palette(drawing.HEAT), np.uint8)),
        "signed": text(np.frombuffer(drawing.palette(drawing.SIGNED), np.uint8)),
        "features": {},
    }
    script(out / "page.js", {**page, **head(network, names, range(len(names))), "runtime": runtime(network, out)})
    first = network(pictures.fit(photos[shown[0]["name"]][0])[None])[0].topk(10).indices.tolist()
    script(out / "front_data.js", {**page, **head(network, names, first), "pictures": shown[:1]})


def head(network: nn.Module, names: list[str], classes: Sequence[int]) -> dict:
    """The last layer for some classes, as `core.js` reads it."""
    whole, scales = whole_numbers(network.head.weight.detach()[classes], HEAD_BITS)
    numbers = {"weights": whole, "scales": scales, "constants": network.head.bias.detach()[classes]}
    return {
        "names": [names[c] for c in classes],
        "units": whole.shape[1],
        **{name: text(value.numpy()) for name, value in numbers.items()},
    }


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
    features_of = f'LIVE.features["{file}"] = "{text(np.frombuffer(stored, np.uint8))}";'
    (out / f"{file}.js").write_text(features_of + "\n", encoding="utf-8")
    sizes = zip(("height", "width", "rows", "columns"), (*seen.shape[1:], *features.shape[1:]), strict=True)
    return {"name": name, "file": file, "words": words, "scale": scale, **dict(sizes)}


def text(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.tobytes()).decode()


def script(path: Path, page: dict) -> None:
    path.write_text(f"const LIVE = {json.dumps(page)};\n", encoding="utf-8")
