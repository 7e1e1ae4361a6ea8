"""The command: which parts, on which device, and the report that is printed and written."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from functools import partial
from importlib.metadata import distribution
from pathlib import Path

import torch
import torchvision

from . import correctness, speed, training
from .rows import Place, Row, table_line
from .running import run_part

ROOT = Path(__file__).resolve().parents[3]
PARTS = {
    "identity": correctness.identity,
    "maps": correctness.maps,
    "boxes": correctness.boxes,
    "scores": correctness.scores,
    "explorer": correctness.explorer,
    "statistics": correctness.statistics,
    "units": correctness.units,
    "memory": correctness.memory,
    "training": training.fit,
    "checkpoints": training.checkpoints,
    "resume": training.resume,
    "pin_memory": training.pin_memory,
    "two_processes": training.two_processes,
    "several_cards": training.several_cards,
    "resnet50": speed.resnet50,
    "course_network": speed.course_network,
    "loop": speed.loop,
    "course_preset": speed.course_preset,
    "all_maps": speed.all_maps,
    "statistics_10k": speed.many_statistics,
    "features": speed.features,
}
ABOUT = """What the course computes on a GPU: is it right, how fast is it, does it train. Prints a table as it goes, and
writes it to DIR/gpu_report.json.

This report was written on a machine without a GPU: on CUDA and on MPS none of its parts is proven, so a part
that fails there may be at fault itself. DIR/PART.log says where it stopped. On an H100-class card all parts are
meant to take less than 8 minutes; that was not measured.

PyTorch and torchvision are enough to start; parts that need more say what. Where no registry answers, bring it along:
    python notebooks/tools/gpu_report --needs > needs.txt          here, where the course is installed
    pip download --no-deps -r needs.txt -d wheels                  (--python-version and --platform of the GPU machine)
    pip install --no-index --no-deps --target packages wheels/*    there
    PYTHONPATH=packages python notebooks/tools/gpu_report --out DIR"""
NOT_NEEDED = re.compile("torch|torchvision|nvidia-.*|cuda-.*|triton|jupyter.*|ipykernel|seaborn|captum|torchcam")


def machine(place: Place) -> Iterator[Row]:
    """What computes here. In a process of its own: what asks a GPU takes memory on it."""
    yield Row("PyTorch, torchvision", f"{torch.__version__}, {torchvision.__version__}")
    yield Row("Python, system", f"{platform.python_version()}, {platform.platform()}")
    yield Row("CPU cores", float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))
    yield Row("threads of PyTorch", float(torch.get_num_threads()))
    there = ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    yield Row("devices", ", ".join(there))
    if "cuda" in there:
        card = torch.cuda.get_device_properties(0)
        yield Row("CUDA of PyTorch, cuDNN", f"{torch.version.cuda}, {torch.backends.cudnn.version()}")
        yield Row("device name", card.name)
        yield Row("memory of the device", card.total_memory / 2**30, "GiB")
        yield Row("cards", float(torch.cuda.device_count()))
        yield Row("driver", _driver())


def _driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown: nvidia-smi does not say"


def main(arguments: list[str] | None = None) -> int:
    """-> 0: every part is fine or skipped; 1: some failed; 2: there is no such device."""
    given = parser().parse_args(arguments)
    if given.needs:
        print(*(f"{name}=={version}" for name, version in sorted(needs().items())), sep="\n")
        return 0
    if not given.out:
        parser().error("say where the report goes: --out DIR")
    with tempfile.TemporaryDirectory() as scratch:
        here = run_part(machine, Place("any", given.quick, Path(scratch)), Path(scratch, "log"), lambda row: None)
    if here["status"] == "failed":
        print(f"The devices of this machine cannot be told: {here['error']}", file=sys.stderr)
        return 2
    facts = {row["what"]: row["value"] for row in here["rows"]}
    there = facts["devices"].split(", ")
    device = given.device or there[0]
    if device not in there:
        print(f"There is no {device.upper()} device here: PyTorch {torch.__version__} finds {', '.join(there)}. "
              "Run the report where there is one, or take --device cpu --quick.", file=sys.stderr)  # fmt: skip
        return 2
    report = {
        "date": date.today().isoformat(), "measured_on": measured_on(device, facts), "device": device,
        "quick": given.quick, "finished": False, "machine": facts, "parts": {},
    }  # fmt: skip
    for what, value in facts.items():
        print(table_line("machine", Row(what, value)))
    write(report, given.out)  # a folder that cannot be written shows now
    began = time.monotonic()
    for name in given.only:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            say = partial(_say, name)
            place = Place(device, given.quick, Path(scratch))
            found = run_part(PARTS[name], place, given.out / f"{name}.log", say, given.limit)
        report["parts"][name] = found
        report["seconds"] = round(time.monotonic() - began, 1)
        write(report, given.out)
        print(f"{name:<14} {summary(found)}", flush=True)
    report["finished"] = True
    write(report, given.out)
    failed = [name for name, found in report["parts"].items() if found["status"] == "failed"]
    print(f"{len(report['parts'])} parts, {len(failed)} failed{': ' * bool(failed)}{', '.join(failed)}; "
          f"{report['seconds']:.0f} s; {given.out / 'gpu_report.json'}")  # fmt: skip
    return int(bool(failed))


def measured_on(device: str, facts: dict) -> str:
    """The device in words, for readers of the table."""
    cores = f"{facts['CPU cores']:.0f} CPU cores"
    return {"cuda": facts.get("device name"), "mps": f"Apple's GPU beside {cores}"}.get(device) or cores


def needs(name: str = "cam-helpers", found: dict[str, str] | None = None) -> dict[str, str]:
    """What the parts import beside PyTorch and torchvision: package -> the version installed here."""
    from packaging.requirements import Requirement  # not on a bare machine
    from packaging.utils import canonicalize_name

    found = {} if found is None else found
    for line in distribution(name).requires or ():
        wanted = Requirement(line)
        key = canonicalize_name(wanted.name)
        if key in found or NOT_NEEDED.fullmatch(key) or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        found[key] = distribution(key).version
        needs(key, found)
    return found


def _say(name: str, row: Row) -> None:
    print(table_line(name, row), flush=True)


def summary(found: dict) -> str:
    """How a part ended: "ok, 3.1 s, peak memory 0.4 GiB"."""
    words = [found["status"]]
    if reason := found.get("error") or found.get("reason"):
        words = [f"{found['status']}: {reason}"]
    words.append(f"{found['seconds']:.1f} s")
    if found.get("peak_memory_gib") is not None:
        words.append(f"peak memory {found['peak_memory_gib']:.2f} GiB")
    return f"-- {', '.join(words)}"


def write(report: dict, folder: Path) -> None:
    """The report as JSON, the old file or the new one, never half of one."""
    with _files().replacing(folder / "gpu_report.json") as file:
        file.write(json.dumps(_plain(report), indent=1, allow_nan=False).encode())


def _files():
    """cam_helpers.files by its path: the report is also written where the package lacks something it imports."""
    place = importlib.util.spec_from_file_location("_files", ROOT / "cam_helpers" / "files.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def _plain(value):
    """JSON has no NaN and no infinity: they become words."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python notebooks/tools/gpu_report", description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for gpu_report.json, and a log of each part")
    parser.add_argument("--needs", action="store_true", help="print the packages to bring along, and stop")
    parser.add_argument("--device", choices=("cuda", "mps", "cpu"), help="the best there is, where it is not given")
    parser.add_argument("--quick", action="store_true", help="everything small: does it run, not how fast is it")
    parser.add_argument(
        "--only", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which a part is stopped")
    return parser
