"""Measure how much memory, disk and time each lesson takes, one after another, on its first run.

python notebooks/tools/memory.py                                   every lesson
python notebooks/tools/memory.py notebooks/05_localize_objects.ipynb …   these, keeping the rows of the others

Prints a row a lesson and keeps it in notebooks/tools/memory.json, with the day and the machine; `plan.py` writes the
plan of a term from it. Lessons run with the readers' preset, those of SMOKE, which would train for minutes, with the
preset `smoke`; each with an empty folder for what is drawn, and without photographs (CAM_TEST_DATA). Linux only.
"""

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path

import execute
import nbformat
import psutil
import torch

from cam_helpers.files import replacing

LESSONS = Path(__file__).resolve().parents[1]
KEPT = Path(__file__).with_name("memory.json")
SMOKE = ("03",)
EVERY = 0.2  # seconds between two looks


def held(kernel: psutil.Process) -> int:
    """Bytes: what is resident of a kernel, and what each process that it started holds for itself alone."""
    total = kernel.memory_info().rss
    for process in kernel.children(recursive=True):
        try:
            total += process.memory_full_info().uss
        except psutil.Error:  # it has just ended
            continue
    return total


class Watch(threading.Thread):
    """While it lives, `found` grows by (bytes that the kernels of this process hold, number of the cell that runs)."""

    def __init__(self):
        super().__init__()
        self.found, self.cell, self.ended = [], 0, threading.Event()

    def next_cell(self, cell, **_):
        self.cell += cell.cell_type == "code" and bool(cell.source.strip())

    def run(self):
        here = psutil.Process()
        while not self.ended.wait(EVERY):
            try:
                kernels = [child for child in here.children() if "ipykernel" in " ".join(child.cmdline())]
                self.found += [(held(kernel), self.cell) for kernel in kernels]
            except psutil.Error:  # it has just ended
                continue


def measure(path: Path) -> dict:
    """Run a lesson in a kernel of its own -> its row: memory and the cell that took most, disk, seconds, with what."""
    preset = "smoke" if path.stem[:2] in SMOKE else "quick"
    notebook = nbformat.read(path, as_version=4)
    watch, start = Watch(), time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        os.environ |= {"CAM_PRESET": preset, "CAM_CACHE": cache}
        options = {"timeout": 600, "kernel_name": "python3", "resources": {"metadata": {"path": path.parent}}}
        watch.start()
        try:
            execute.Client(notebook, full=preset != "smoke", on_cell_start=watch.next_cell, **options).execute()
        finally:
            watch.ended.set()
            watch.join()
        seconds = round(time.perf_counter() - start)
        kept = sum(file.stat().st_size for file in Path(cache).rglob("*") if file.is_file())
    most = max(amount for amount, _ in watch.found)
    return {
        "gigabytes": round(most / 1e9, 1),
        "at_cell": next(cell for amount, cell in watch.found if amount > 0.97 * most),  # memory is seldom given back
        "megabytes_on_disk": round(kept / 1e6),
        "seconds": seconds,
        "preset": preset,
        "day": datetime.date.today().isoformat(),
        "machine": machine(),
    }


def machine() -> str:
    """In words: system, cores, Python and torch, and whether there is a GPU."""
    gpu = "a GPU" if torch.accelerator.is_available() else "no GPU"
    python, torch_version = platform.python_version(), torch.__version__.split("+")[0]
    return f"{platform.system()}, {os.cpu_count()} cores, {gpu}, Python {python}, torch {torch_version}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", type=Path, default=sorted(LESSONS.glob("[0-9]*.ipynb")))
    given = parser.parse_args()
    if platform.system() != "Linux":
        sys.exit("expected Linux, whose kernel says what a process holds for itself alone: do it there")
    os.environ.pop("CAM_TEST_DATA", None)
    for path in given.lessons:
        row = measure(path)
        rows = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
        rows = dict(sorted((rows | {path.stem[:2]: row}).items()))
        with replacing(KEPT) as file:
            file.write(f"{json.dumps(rows, indent=1)}\n".encode())
        most, disk = f"{row['gigabytes']:.1f} GB at cell {row['at_cell']}", f"{row['megabytes_on_disk']} MB on disk"
        print(f"{path.stem}: {most}, {disk}, {row['seconds']} s, preset {row['preset']}", flush=True)


if __name__ == "__main__":
    main()
