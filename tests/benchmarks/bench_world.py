"""How fast the world is drawn and read back.

python tests/benchmarks/bench_world.py            # 64 px, a process per core
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from drawn_world import cache, data_folder, drawing, load_arrays
from drawn_world.tasks import load_recipe


def drawing_speed(task: str, count: int, size: int) -> str:
    """Pictures per second with worker processes, their start included, and milliseconds of one core per picture."""
    job = {"task": task, "split": "train", "size": size, "seed": 46, "difficulty": 1.0}
    job |= {"data": str(data_folder()), "recipe": load_recipe(task).digest}
    began = time.perf_counter()
    pictures = len(drawing.draw_all(job, count)["images"])
    wall = time.perf_counter() - began
    drawing.draw_chunk(job, range(100))  # sprites are rasterised once per process
    began = time.process_time()
    some = len(drawing.draw_chunk(job, range(100, 200))["images"])
    each = (time.process_time() - began) / some
    return f"{task:20} {pictures / wall:6.0f} pictures/s   {1000 * each:5.2f} ms of a core each"


def reading(count: int, size: int) -> str:
    """Time to read a cached task against `np.load` of one file with the same bytes (median of 7, files in memory)."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CAM_CACHE"] = folder
        arrays, _ = load_arrays("objects", "train", count, size)
        (path,) = Path(folder).glob("*.npz")
        plain = Path(folder) / "plain.npy"
        total = sum(a.nbytes for a in arrays.values())
        np.save(plain, np.zeros(total, np.uint8) + 7)
        ours, numpy = _median(lambda: cache.read(path)), _median(lambda: np.load(plain))
    speed = f"{1000 * ours:.0f} ms, {ours / numpy:.2f} times np.load of the same bytes"
    return f"reading {total / 1e6:.0f} MB from the cache: {speed}"


def _median(action, times: int = 9) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main():
    """Print a line per task and one for the cache."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=1500)
    options.add_argument("--size", type=int, default=64)
    tasks = ["objects", "objects-pairs", "scenes", "radiograph", "video", "text", "actions", "concepts"]
    options.add_argument("--tasks", nargs="*", default=tasks)
    given = options.parse_args()
    for task in given.tasks:
        count = given.count // 16 if task == "video" else given.count
        print(drawing_speed(task, count, given.size), flush=True)
    print(reading(given.count, given.size))


if __name__ == "__main__":
    main()
