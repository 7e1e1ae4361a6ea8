"""The live page: copies its files, and writes what it looks at and computes with.

Photographs that packages carry and a few drawings, with the features that EfficientNet-Lite0 has of them, its class
weights in eight bits, and, where their packages are there, the whole network (ONNX) with what runs it in a browser.
Data stands in scripts, because a page opened from a folder may read no other file. See `pages.py`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
import warnings
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
from drawn_world.folders import cache_folder

HERE = Path(__file__).resolve().parent
RUNTIME = "onnxruntime-web@1.30.0"  # an npm package
# ort.NAME.min.js and its WebAssembly: for every browser, and for those with WebGPU and JSPI, the graphics card
BUILDS = {"wasm": "ort-wasm-simd-threaded", "jspi": "ort-wasm-simd-threaded.jspi"}
RUNTIME_FILES = [f for name, core in BUILDS.items() for f in (f"ort.{name}.min.js", f"{core}.mjs", f"{core}.wasm")]
LINK = """<p><a href="live/index.html"><b>The live page</b></a>: any of 1000 words on pictures, on a photo of yours, and
on what the camera sees; in the browser, without Python.</p>"""
MARGIN = 1024  # numbers: a smaller tensor of the network is kept in float32


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
    whole, scales = eight_bits(network.head.weight.detach())
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


def eight_bits(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(C,...) -> int8 of the same shape, and a scale for each of the C: the weight, to 1/254 of the largest."""
    scales = (weight.flatten(1).abs().amax(1) / 127).clamp_min(1e-12)
    return (weight / scales.reshape(-1, *[1] * (weight.ndim - 1))).round().to(torch.int8), scales


def text(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.tobytes()).decode()


def script(path: Path, content: str) -> None:
    path.write_text(content + "\n", encoding="utf-8")


class TwoOutputs(nn.Module):
    """A chain of trunk, pool and head -> its features (N,K,h,w) and its scores (N,C)."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.trunk, self.head = network.trunk, network.head

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.trunk(picture)
        return features, self.head(features.mean((2, 3)))


def onnx_network(network: nn.Module):
    """The network as ONNX: "picture" (1,3,H,W), 0 to 1, H and W whole numbers of cells -> "features", "scores".

    Exported at one size: how an even side is padded does not depend on it, so that the sizes may be left open.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {"input_names": ["picture"], "output_names": ["features", "scores"]}
        program = torch.onnx.export(
            TwoOutputs(network).eval(), (torch.zeros(1, 3, 224, 224),), dynamo=True, verbose=False, **names
        )
    model = program.model_proto
    for value in (model.graph.input[0], model.graph.output[0]):
        for i, side in ((2, "rows"), (3, "columns")):
            value.type.tensor_type.shape.dim[i].dim_param = f"{value.name} {side}"
    del model.graph.value_info[:]
    return model


def small(model):
    """The same with its large tensors in eight bits, as in `eight_bits`: float32 again when it is opened."""
    from onnx import TensorProto, helper, numpy_helper

    graph, kept, made = model.graph, [], []
    for tensor in graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.ndim < 2 or value.size < MARGIN:
            kept.append(tensor)
            continue
        whole, scales = eight_bits(torch.from_numpy(value.copy()))
        scales = scales.reshape(-1, *[1] * (value.ndim - 1)).numpy()
        kept.append(numpy_helper.from_array(whole.numpy(), f"{tensor.name} whole"))
        kept.append(numpy_helper.from_array(scales, f"{tensor.name} scales"))
        made.append(helper.make_node("Cast", [f"{tensor.name} whole"], [f"{tensor.name} float"], to=TensorProto.FLOAT))
        made.append(helper.make_node("Mul", [f"{tensor.name} float", f"{tensor.name} scales"], [tensor.name]))
    nodes = [*made, *graph.node]
    for field, values in ((graph.initializer, kept), (graph.node, nodes)):
        del field[:]
        field.extend(values)
    return model


def runtime(network: nn.Module, out: Path) -> dict | None:
    """Write the network and what runs it into `out`; None, and a line that says why, where a package is missing."""
    try:
        import onnx  # noqa: F401  the exporter of torch needs it, and onnxscript
        import onnxscript  # noqa: F401

        package = npm_package(RUNTIME)
    except (ImportError, OSError, subprocess.SubprocessError) as reason:
        print(f"live page without the network ({reason}): its explorer works; pip install onnx onnxscript, and npm")
        return None
    folder = RUNTIME.replace("@", "-")
    (out / folder).mkdir()
    with tarfile.open(package) as archive:
        for name in RUNTIME_FILES:
            with archive.extractfile(f"package/dist/{name}") as source, open(out / folder / name, "wb") as copy:
                shutil.copyfileobj(source, copy)
    model = small(onnx_network(network)).SerializeToString()
    file = f"network-{hashlib.sha256(model).hexdigest()[:8]}.onnx"
    (out / file).write_bytes(model)
    sizes = {name: (out / folder / name).stat().st_size for name in RUNTIME_FILES}
    return {"folder": folder, "network": file, "sizes": {file: len(model), **sizes}}


def npm_package(name: str) -> Path:
    """The archive of an npm package, from the cache of this machine or by npm; OSError where there is no npm."""
    cache = cache_folder() / "npm"
    kept = cache / f"{name.replace('@', '-')}.tgz"
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise OSError("npm is missing")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            subprocess.run([npm, "pack", "--silent", name], cwd=folder, check=True, capture_output=True, timeout=300)
            next(Path(folder).glob("*.tgz")).replace(kept)
    return kept
